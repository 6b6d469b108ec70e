//! What one exporter has done, as far as others may ask.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering::Relaxed},
};

use coroner_diagnosis::observation::Reason;
use coroner_proto::v1::{ExporterState, ExporterStatus};

use super::target::Target;
use crate::ledger::Offset;

/// What one exporter has done since the program started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records that the receiver has taken.
    pub sent: AtomicU64,
    /// Attempts that were followed by another one.
    pub retries: AtomicU64,
    /// Records that the receiver refused permanently.
    pub dead_lettered: AtomicU64,
    /// Records that retention took before they could be sent.
    pub lost: AtomicU64,
    /// The ledger's offset up to which all is handled.
    pub offset: AtomicI64,
    /// When the last record that is handled was stored, in nanoseconds since 1970.
    pub time: AtomicI64,
    /// When nothing was left to handle last, in nanoseconds since 1970.
    caught_up: AtomicI64,
    /// Its state: an [`ExporterState`] by its number.
    state: AtomicI32,
    /// Why it does not deliver; `None` while it does.
    reason: Mutex<Option<Reason>>,
}

impl Counters {
    /// The present state of the exporter.
    pub fn state(&self) -> ExporterState {
        self.state.load(Relaxed).try_into().unwrap_or_default()
    }

    pub(super) fn set_state(&self, state: ExporterState) {
        self.state.store(state.into(), Relaxed);
    }

    pub(super) fn set_reason(&self, reason: Option<Reason>) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// The status of the exporter of this target while the ledger ends at `committed`.
    pub fn status(&self, target: &Target, committed: Offset) -> ExporterStatus {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (reason, reason_message) = reason.map(|reason| reason.on_the_wire()).unwrap_or_default();
        ExporterStatus {
            name: target.name.clone(),
            url: target.shown.clone(),
            state: self.state().into(),
            sent_count: self.sent.load(Relaxed),
            retry_count: self.retries.load(Relaxed),
            dead_letter_count: self.dead_lettered.load(Relaxed),
            lost_count: self.lost.load(Relaxed),
            lag_count: self.lag(committed),
            reason,
            reason_message,
        }
    }

    /// For how long records have waited, in seconds at the time `now` in nanoseconds since 1970.
    pub fn lag_seconds(&self, committed: Offset, now: i64) -> i64 {
        if self.lag(committed) == 0 {
            self.caught_up.store(now, Relaxed);
            return 0;
        }
        let since = self.caught_up.load(Relaxed).max(self.time.load(Relaxed));
        (now - since).max(0) / 1_000_000_000
    }

    /// Records of the ledger that are still to come, wanted or not.
    pub fn lag(&self, committed: Offset) -> u64 {
        u64::try_from(committed - self.offset.load(Relaxed)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_lag_counts_from_the_last_record_or_from_when_there_was_none() {
        let counters = Counters::default();
        counters.offset.store(5, Relaxed);
        counters.time.store(100 * SECOND, Relaxed);
        assert_eq!(counters.lag_seconds(6, 130 * SECOND), 30);
        assert_eq!(counters.lag_seconds(5, 500 * SECOND), 0);
        assert_eq!(counters.lag_seconds(6, 502 * SECOND), 2, "it was idle until 500");
    }
}
