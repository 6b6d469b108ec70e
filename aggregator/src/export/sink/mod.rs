//! The sinks. A sink sends one batch and reports the result; retries are the runner's task.

mod events;
mod headers;
mod lines;
mod nats;
mod otlp;
mod proxied;
mod syslog;
mod webhook;

use std::{fmt::Display, time::Duration};

use super::item::Item;

pub(super) use self::{events::Events, lines::Lines, nats::Nats, otlp::Otlp, syslog::Syslog, webhook::Webhook};

/// One way out. A `send` that is dropped half-way may have sent anything; the batch comes again.
pub(super) trait Sink: Send + 'static {
    /// Sends records in their order. On success the receiver has all of them.
    fn send(&mut self, batch: &[Item]) -> impl Future<Output = Result<Taken, Refused>> + Send;
}

/// The receiver has accepted the batch, or all but some of it.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The part that the receiver rejected, if any.
    pub(super) rejected: Option<Rejected>,
}

/// What the receiver will never accept of a batch: how many, and why, but not which.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) count: usize,
    pub(super) why: String,
}

/// The receiver has not all of the batch.
#[derive(Debug)]
pub(super) struct Refused {
    /// So many of its first records it has for certain.
    pub(super) done: usize,
    pub(super) remedy: Remedy,
    pub(super) why: String,
}

impl Refused {
    pub(super) fn new(remedy: Remedy, why: impl Display) -> Self {
        Self { done: 0, remedy, why: why.to_string() }
    }
}

/// What to do after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Nothing is wrong with the batch. After so long, if the receiver requests it.
    Retry { after: Option<Duration> },
    /// One of its records will never be taken.
    Bisect,
    /// An operator has to act.
    Hold,
}

impl Remedy {
    pub(super) const RETRY: Self = Self::Retry { after: None };
}
