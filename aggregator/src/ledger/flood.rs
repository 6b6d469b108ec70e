//! When to file what [waits](super::inbox): at once when nothing else is to be done, soon while that keeps up, and late
//! in a flood, whose pushes are stored and answered first.

use std::time::{Duration, Instant};

use super::{inbox::Waiting, retention::Retention};

/// A push is stored and indexed in one, if there is no more than this.
const AT_ONCE: i64 = 100;
/// After so long without a push there is time to index.
const QUIET: Duration = Duration::from_millis(5);
/// How long records may wait as long as filing keeps up.
const SOON: Duration = Duration::from_millis(100);
/// More than this in that time is a flood. To file them takes about as long as they have waited.
const KEEPS_UP: i64 = 5_000;
/// How long records may wait in a flood, if pushes leave no time before.
const LATE: Duration = Duration::from_secs(5);
/// Bytes that may wait in a flood.
const MOST_BYTES: i64 = 256 << 20;
/// Of what the ledger may hold, this part may wait at most.
const PART: u64 = 8;

/// Decides when records that wait in the inbox are indexed.
#[derive(Debug)]
pub(super) struct Flood {
    /// Since when something waits.
    since: Option<Instant>,
    most_bytes: i64,
}

impl Flood {
    pub(super) fn new(retention: Retention) -> Self {
        let part = i64::try_from(retention.bytes / PART).unwrap_or(i64::MAX);
        Self { since: None, most_bytes: part.min(MOST_BYTES) }
    }

    /// Whether so many records may be indexed as they come.
    pub(super) fn allows_at_once(&self, records: usize) -> bool {
        self.since.is_none() && i64::try_from(records).is_ok_and(|records| records <= AT_ONCE)
    }

    /// Notes what waits now. Gives how long to wait for a push before filing; `None` if there is nothing to file.
    pub(super) fn patience(&mut self, waiting: Waiting, now: Instant) -> Option<Duration> {
        if waiting.is_empty() {
            self.since = None;
            return None;
        }
        self.since.get_or_insert(now);
        Some(if self.is_due(waiting, now) { Duration::ZERO } else { QUIET })
    }

    /// Whether filing has to go before pushes now.
    pub(super) fn is_due(&self, waiting: Waiting, now: Instant) -> bool {
        let Some(since) = self.since else { return false };
        let waited = now.duration_since(since);
        waited >= LATE || waiting.bytes >= self.most_bytes || (waited >= SOON && waiting.records <= KEEPS_UP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETENTION: Retention = Retention { age: Duration::from_secs(1), bytes: 1 << 40 };

    fn waiting(records: i64) -> Waiting {
        Waiting { records, bytes: records * 1_000 }
    }

    #[test]
    fn a_steady_load_is_filed_soon_and_a_flood_late() {
        let start = Instant::now();
        for (records, soon) in [(5_000, true), (5_001, false)] {
            let mut flood = Flood::new(RETENTION);
            assert_eq!(flood.patience(waiting(records), start), Some(QUIET));
            assert_eq!(flood.is_due(waiting(records), start + SOON), soon);
            assert!(flood.is_due(waiting(records), start + LATE));
        }
    }

    #[test]
    fn time_counts_from_when_nothing_waited() {
        let start = Instant::now();
        let mut flood = Flood::new(RETENTION);
        flood.patience(waiting(9_000), start);
        assert!(!flood.allows_at_once(1), "it would overtake what waits");
        assert_eq!(flood.patience(waiting(7_000), start + LATE), Some(Duration::ZERO));
        assert_eq!(flood.patience(Waiting::default(), start + LATE), None);
        assert!(flood.allows_at_once(100) && !flood.allows_at_once(101));
        assert_eq!(flood.patience(waiting(7_000), start + LATE), Some(QUIET));
    }

    #[test]
    fn what_waits_is_bounded_in_a_small_ledger_too() {
        let start = Instant::now();
        let mut flood = Flood::new(Retention { bytes: 8_000_000, ..RETENTION });
        assert_eq!(flood.patience(waiting(999), start), Some(QUIET));
        assert_eq!(flood.patience(waiting(1_000), start), Some(Duration::ZERO));
    }
}
