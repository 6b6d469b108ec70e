//! The time by which retention judges age. It follows the clock of the machine, but ahead by no more than a day in an
//! hour: a clock that is wrong for some minutes, even by years, must not cost the history, and whether it is cannot be
//! known at once. Back it follows at once: then nothing goes before its time.

use std::time::Instant;

/// How much faster than time itself it may catch up.
const CATCHING_UP: i64 = 24;
/// How far behind whatever is due next it begins: an hour passes before anything goes.
const DAY: i64 = 86_400_000_000_000;

/// A time that never jumps ahead.
#[derive(Debug)]
pub(super) struct Calendar {
    /// Nanoseconds since 1970.
    believed: i64,
    at: Instant,
}

impl Calendar {
    /// Begins where the clock shows `clock` and the oldest record goes when it is `due`, if there is one. How long the
    /// program was stopped, no other clock shows.
    pub(super) fn new(due: Option<i64>, clock: i64, at: Instant) -> Self {
        Self { believed: due.map_or(clock, |due| clock.min(due.saturating_sub(DAY))), at }
    }

    /// The time to judge by, where the clock shows `clock`. In nanoseconds since 1970.
    pub(super) fn now(&mut self, clock: i64, at: Instant) -> i64 {
        let elapsed = i64::try_from(at.duration_since(self.at).as_nanos()).unwrap_or(i64::MAX);
        self.believed = clock.min(self.believed.saturating_add(elapsed.saturating_mul(CATCHING_UP)));
        self.at = at;
        self.believed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: i64 = DAY / 1440;
    const YEAR: i64 = 365 * DAY;

    fn after(minutes: u64, start: Instant) -> Instant {
        start + Duration::from_mins(minutes)
    }

    #[test]
    fn it_is_the_clock_as_long_as_that_runs_evenly_and_when_it_is_set_back() {
        let start = Instant::now();
        let mut calendar = Calendar::new(None, YEAR, start);
        assert_eq!(calendar.now(YEAR + MINUTE, after(1, start)), YEAR + MINUTE);
        assert_eq!(calendar.now(YEAR - DAY, after(2, start)), YEAR - DAY);
        assert_eq!(calendar.now(YEAR - DAY + MINUTE, after(3, start)), YEAR - DAY + MINUTE);
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_believed_a_day_in_an_hour() {
        let start = Instant::now();
        let mut calendar = Calendar::new(None, YEAR, start);
        assert_eq!(calendar.now(2 * YEAR, after(10, start)), YEAR + DAY / 6);
        assert_eq!(calendar.now(2 * YEAR, after(60, start)), YEAR + DAY);
        // Set right, it is as if nothing had been.
        assert_eq!(calendar.now(YEAR + 61 * MINUTE, after(61, start)), YEAR + 61 * MINUTE);
    }

    #[test]
    fn a_clock_that_is_found_ahead_makes_nothing_due_for_an_hour() {
        let start = Instant::now();
        for clock in [YEAR + 1, 2 * YEAR] {
            let mut calendar = Calendar::new(Some(YEAR), clock, start);
            assert!(calendar.now(clock, after(59, start)) < YEAR);
            assert!(calendar.now(clock + 61 * MINUTE, after(61, start)) >= YEAR);
        }
    }
}
