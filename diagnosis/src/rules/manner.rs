//! How a container obeyed a request to stop, as a headline.

use coroner_proto::v1::Message;
use jiff::SignedDuration;

use crate::messages::stop;

/// How it obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It ended in time.
    Obeyed,
    /// It was killed so long after the request.
    KilledAfter(SignedDuration),
    /// It was killed without having been asked before.
    AtOnce,
    /// It was killed; whether it had been asked before is not known.
    Killed,
}

impl Manner {
    /// The headline, with the reason for the request as far as it is known.
    pub(super) fn headline(self, reason: Option<Message>) -> Message {
        match (self, reason) {
            (Self::Obeyed, None) => stop::stop_obeyed(),
            (Self::Obeyed, Some(reason)) => stop::stop_obeyed_for(reason),
            (Self::KilledAfter(waited), None) => stop::stop_killed_after(waited),
            (Self::KilledAfter(waited), Some(reason)) => stop::stop_killed_after_for(waited, reason),
            (Self::AtOnce, None) => stop::stop_at_once(),
            (Self::AtOnce, Some(reason)) => stop::stop_at_once_for(reason),
            (Self::Killed, None) => stop::stop_killed(),
            (Self::Killed, Some(reason)) => stop::stop_killed_for(reason),
        }
    }
}
