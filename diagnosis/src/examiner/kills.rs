//! Kills in containers that live on: reported one by one, or only counted when there are too many.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// Kills in one container that are reported one by one within [`STORM`].
pub(super) const ONE_BY_ONE: usize = 4;
/// After so many, further kills are counted into the newest report, and that is revised this often.
pub(super) const STORM: SignedDuration = SignedDuration::from_secs(10);
/// Kills that are remembered to be counted already. No more of one container are examined at once.
const RECENT: usize = 16;
/// How far the times of one kill by tracepoint and kernel log, and those of a kill and of the reading that counts it,
/// may differ. What is taken for another's is not lost: then the counter is ahead again.
const SAME: SignedDuration = SignedDuration::from_millis(100);

/// The kills in one container that were reported or counted.
#[derive(Debug, Default)]
pub(super) struct Kills {
    /// How many.
    pub(super) known: u64,
    /// Kills up to this moment that were not reported one by one have been counted.
    counted_until: Option<Timestamp>,
    /// Of [`known`](Self::known), those that only the cgroup's counter knows.
    unnamed: u64,
    /// When the counter showed the last of them: a kill after that is none of them.
    unnamed_until: Option<Timestamp>,
    /// The last kills that were only counted, or turned out to be among those.
    recent: VecDeque<(i32, Timestamp)>,
}

impl Kills {
    /// Takes a kill that has not been reported. False if it is known already, by an earlier count.
    pub(super) fn is_new(&mut self, pid: i32, at: Timestamp) -> bool {
        let is_it = |(known, then): &(i32, Timestamp)| *known == pid && at.duration_since(*then).abs() <= SAME;
        if self.counted_until.is_some_and(|until| at <= until) || self.recent.iter().any(is_it) {
            return false;
        }
        if self.unnamed > 0 && self.unnamed_until.is_some_and(|until| at <= until + SAME) {
            self.unnamed -= 1;
            self.remember(pid, at);
            return false;
        }
        self.known += 1;
        true
    }

    /// A kill is only counted, and so are all before it.
    pub(super) fn count(&mut self, pid: i32, at: Timestamp) {
        self.counted_until = self.counted_until.max(Some(at));
        self.remember(pid, at);
    }

    fn remember(&mut self, pid: i32, at: Timestamp) {
        self.recent.push_back((pid, at));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// The counter knows so many more, the last of them by `at`.
    pub(super) fn count_unnamed(&mut self, more: u64, at: Timestamp) {
        self.known += more;
        self.unnamed += more;
        self.unnamed_until = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_kill_that_only_the_counter_knew_does_not_swallow_one_of_hours_later() {
        let mut kills = Kills::default();
        assert!(kills.is_new(1, at(0)));
        kills.count_unnamed(2, at(1));
        assert!(!kills.is_new(1, at(1)), "it was counted before it could be named");
        assert!(kills.is_new(1, at(7200)));
        assert_eq!(kills.known, 4);
    }

    #[test]
    fn what_was_counted_in_a_storm_is_not_reported_as_well() {
        let mut kills = Kills::default();
        assert!(kills.is_new(1, at(5)));
        kills.count(1, at(5));
        assert!(!kills.is_new(1, at(4)));
        assert!(kills.is_new(1, at(6)));
    }

    #[test]
    fn a_kill_whose_line_is_read_after_it_was_counted_by_its_tracepoint_is_counted_once() {
        let mut kills = Kills::default();
        let millis = SignedDuration::from_millis;
        assert!(kills.is_new(1, at(5)));
        kills.count(1, at(5));
        assert!(!kills.is_new(1, at(5) + millis(3)));
        assert!(kills.is_new(2, at(5) + millis(3)));
        // Of a kill that only the counter knew.
        kills.count_unnamed(1, at(9));
        assert!(!kills.is_new(3, at(9) + millis(20)), "the clock of its line is ahead of that of the reading");
        assert!(!kills.is_new(3, at(9) + millis(23)));
        assert!(kills.is_new(3, at(9) + millis(200)));
        assert_eq!(kills.known, 4);
    }
}
