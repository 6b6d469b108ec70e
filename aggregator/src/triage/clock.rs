//! A clock that is never set, and the conversion of its values to wall time.

use coroner_proto::v1::Diagnosis;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::time::{nanoseconds, timestamp};

/// Differences up to this are those of two readings, and not of a clock that was set.
const SAME: SignedDuration = SignedDuration::from_secs(1);

/// Counts from the time of the day at which it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Timestamp,
    started: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { origin: Timestamp::now(), started: Instant::now() }
    }

    /// The present time of this clock.
    pub(super) fn now(self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        self.origin.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// How long it takes until this time; 0 if it has passed.
    pub(super) fn until(self, at: Timestamp) -> std::time::Duration {
        at.duration_since(self.now()).try_into().unwrap_or_default()
    }

    /// Gives the times of a diagnosis as the wall clock shows them now, which may have been set since this clock was
    /// made.
    pub(super) fn on_wall(self, mut diagnosis: Diagnosis) -> Diagnosis {
        let set_by = Timestamp::now().duration_since(self.now());
        if set_by.abs() <= SAME {
            return diagnosis;
        }
        let by = i64::try_from(set_by.as_nanos()).unwrap_or_default();
        let Diagnosis { event_time, observe_time, resolve_time, evidence, against, .. } = &mut diagnosis;
        let of_evidence = evidence.iter_mut().chain(against).map(|evidence| &mut evidence.time);
        for time in [event_time, observe_time, resolve_time].into_iter().chain(of_evidence) {
            *time = time.as_ref().and_then(nanoseconds).map(|at| timestamp(at.saturating_add(by)));
        }
        diagnosis
    }
}
