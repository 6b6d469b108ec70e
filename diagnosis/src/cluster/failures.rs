//! What events report of controllers that cannot create pods, and of claims that get no volume.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use crate::observation::kube::{Event, Reference};

/// Failures that are kept, one for each workload or claim.
const FAILURES: usize = 16_384;

/// The newest failure of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) about: Reference,
    pub(super) reason: Arc<str>,
    pub(super) message: Arc<str>,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// Uid of the event.
    event: Arc<str>,
}

impl Failure {
    /// By the event's own times; by that of its arrival where it has none.
    pub(super) fn new(event: &Event, at: Timestamp, reason: Arc<str>, message: Arc<str>) -> Self {
        let last = event.last.or(event.first).unwrap_or(at);
        let first = event.first.unwrap_or(last).min(last);
        let (about, event) = (event.about.clone(), event.meta.uid.as_str().into());
        Self { about, reason, message, first, last, event }
    }
}

/// By the uid of the object. Where there are too many, the one that was reported longest ago goes.
#[derive(Debug, Default)]
pub(super) struct Failures {
    held: BTreeMap<Arc<str>, Failure>,
    by_time: BTreeSet<(Timestamp, Arc<str>)>,
    /// How many went before their end.
    evicted: u64,
}

impl Failures {
    pub(super) fn get(&self, about: &str) -> Option<&Failure> {
        self.held.get(about)
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The objects whose newest failure has this reason, and its event's uid.
    pub(super) fn of_reason(&self, reason: &str) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        let of_reason = self.held.iter().filter(move |(_, failure)| &*failure.reason == reason);
        of_reason.map(|(about, failure)| (about, &failure.event))
    }

    /// Keeps a failure, unless a newer one of the same object is known. True if something has changed.
    pub(super) fn add(&mut self, failure: Failure) -> bool {
        let about: Arc<str> = failure.about.uid.as_str().into();
        if self.held.get(&about).is_some_and(|known| known.last > failure.last || *known == failure) {
            return false;
        }
        self.remove(&about);
        if self.held.len() >= FAILURES
            && let Some((_, oldest)) = self.by_time.first().cloned()
        {
            self.remove(&oldest);
            self.evicted += 1;
        }
        self.by_time.insert((failure.last, Arc::clone(&about)));
        self.held.insert(about, failure);
        true
    }

    /// Forgets the failure of an object.
    pub(super) fn remove(&mut self, about: &str) -> bool {
        let Some((about, failure)) = self.held.remove_entry(about) else { return false };
        self.by_time.remove(&(failure.last, about))
    }

    /// An event is gone: its failure is over, unless a newer event has reported it. True if it is.
    pub(super) fn end(&mut self, about: &str, event: &str) -> bool {
        self.held.get(about).is_some_and(|failure| &*failure.event == event) && self.remove(about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(about: &str, second: i64) -> Failure {
        let event = Event {
            about: Reference { uid: about.to_owned(), ..Reference::default() },
            last: Timestamp::from_second(second).ok(),
            ..Event::default()
        };
        Failure::new(&event, Timestamp::UNIX_EPOCH, "FailedCreate".into(), "no".into())
    }

    #[test]
    fn the_failure_reported_longest_ago_is_discarded_and_counted() {
        let mut failures = Failures::default();
        for number in 0..FAILURES {
            assert!(failures.add(failure(&number.to_string(), i64::try_from(number).unwrap())));
        }
        assert!(failures.add(failure("0", 1_000_000)), "the first is reported again");
        assert!(failures.add(failure("new", 1_000_001)));
        assert_eq!((failures.held.len(), failures.by_time.len(), failures.evicted()), (FAILURES, FAILURES, 1));
        assert!(failures.get("0").is_some() && failures.get("1").is_none());
    }

    #[test]
    fn an_older_report_does_not_replace_a_newer_one() {
        let mut failures = Failures::default();
        assert!(failures.add(failure("a", 2)));
        assert!(!failures.add(failure("a", 1)));
        assert!(!failures.add(failure("a", 2)), "the same again is no change");
        assert_eq!(failures.get("a").unwrap().last.as_second(), 2);
    }
}
