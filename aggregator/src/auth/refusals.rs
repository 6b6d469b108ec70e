//! Refusals and their reasons: always counted, logged at a bounded rate, and never with a secret.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use coroner_diagnosis::text;

/// Between two lines of the log about the same reason.
const INTERVAL: Duration = Duration::from_secs(5);
/// Bytes of a line about a caller and about the matter.
const MAX_TEXT: usize = 256;

/// Why a request or connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The TLS handshake failed: no TLS, an unknown authority, an expired or revoked certificate, too slow.
    Handshake,
    /// No known caller sent a request on the connection in time.
    Idle,
    /// There are as many connections as there may be.
    Connections,
    /// Neither certificate nor token.
    Nothing,
    /// A certificate without a role.
    Certificate,
    /// A token that is none, or not for this service.
    Token,
    /// A push for another node.
    Node,
    /// A read by a caller that may only push.
    Reader,
    /// More at once than one caller may have.
    Share,
    /// More stored than one node may.
    Rate,
    /// The API server could not be asked.
    Unavailable,
}

impl Reason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Handshake,
        Self::Idle,
        Self::Connections,
        Self::Nothing,
        Self::Certificate,
        Self::Token,
        Self::Node,
        Self::Reader,
        Self::Share,
        Self::Rate,
        Self::Unavailable,
    ];

    /// The name of the reason in the log, in metrics and in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Idle => "silent",
            Self::Connections => "connections",
            Self::Nothing => "nothing_shown",
            Self::Certificate => "certificate",
            Self::Token => "token",
            Self::Node => "other_node",
            Self::Reader => "no_reader",
            Self::Share => "share",
            Self::Rate => "rate",
            Self::Unavailable => "unavailable",
        }
    }
}

/// How often requests and connections were refused, by reason.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<[Count; Reason::ALL.len()]>);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    total: u64,
    /// At the last line.
    reported: u64,
    reported_at: Option<Instant>,
}

impl Refusals {
    /// Counts a refusal and logs it, at a limited rate. `what` must contain no secret.
    pub fn count(&self, reason: Reason, who: &dyn fmt::Display, what: &str) {
        if let Some(since) = self.add(reason, Instant::now()) {
            let (who, what) = (text::clean(&who.to_string(), MAX_TEXT), text::clean(what, MAX_TEXT));
            tracing::warn!(reason = reason.name(), who, what, count = since, "Refused");
        }
    }

    /// How many refusals of this reason were counted.
    pub fn of(&self, reason: Reason) -> u64 {
        self.counts()[reason as usize].total
    }

    /// The counts of all reasons that are not 0.
    pub fn all(&self) -> Vec<coroner_proto::v1::Refusals> {
        let counts = Reason::ALL.map(|reason| (reason.name().to_owned(), self.of(reason)));
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        counts.map(|(reason, count)| coroner_proto::v1::Refusals { reason, count }).collect()
    }

    /// Counts one. Gives how many there were since the last line, when it is time for another.
    fn add(&self, reason: Reason, now: Instant) -> Option<u64> {
        let count = &mut self.counts()[reason as usize];
        count.total += 1;
        if count.reported_at.is_some_and(|at| now.saturating_duration_since(at) < INTERVAL) {
            return None;
        }
        let since = count.total - count.reported;
        (count.reported, count.reported_at) = (count.total, Some(now));
        Some(since)
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, [Count; Reason::ALL.len()]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places() {
        assert!(Reason::ALL.iter().enumerate().all(|(place, reason)| *reason as usize == place));
    }

    #[test]
    fn all_are_counted_and_few_are_logged() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(refusals.add(Reason::Token, at(0)), Some(1));
        assert!((1..1000).all(|n| refusals.add(Reason::Token, at(n)).is_none()));
        assert_eq!(refusals.add(Reason::Node, at(1000)), Some(1), "another reason has a line of its own");
        assert_eq!(refusals.add(Reason::Token, at(5000)), Some(1000), "a line has their number");
        assert_eq!(refusals.of(Reason::Token), 1001);
    }
}
