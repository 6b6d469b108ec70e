//! The kernel's clocks, converted to wall time at one place.
//!
//! Two clocks of the kernel reach the agent. Both count from boot, neither counts while the machine is suspended:
//!
//! - CLOCK_MONOTONIC (tracefs with `trace_clock` mono, the process connector): [`Anchor::wall`]. Error: the few
//!   microseconds between two readings of the clocks.
//! - The kernel's `local_clock()` (the kernel log): NTP does not steer it, so that it drifts away from CLOCK_MONOTONIC,
//!   by tens of seconds within months. [`KernelLogClock`] learns the difference from records that are read as soon as
//!   they were written. Error: the time from writing to reading (a few milliseconds); before the first such record the
//!   whole drift since boot, which is unknown.
//!
//! Every conversion uses the current setting of the wall clock: after a step, earlier events have times by the new
//! setting. A step back puts what follows before what is known already, so the agent then [starts over](set_back).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use nix::time::{ClockId, clock_gettime};

/// How often the clocks are compared, which takes no system call.
const COMPARED: Duration = Duration::from_secs(2);
/// NTP steers the clock over smaller differences; what waits for a time waits longer by no more than this.
const STEP: SignedDuration = SignedDuration::from_secs(10);

/// The time between two times that the agent starts over: two programs that set the clock against each other would have
/// it do nothing else.
const PAUSE: Duration = Duration::from_mins(10);
/// The variable in which the agent passes on to itself when it started over: CLOCK_MONOTONIC in seconds.
const STARTED_OVER: &str = "CORONER_STARTED_OVER";

/// What the agent passes on in its environment when it starts over.
pub fn starting_over() -> (&'static str, String) {
    (STARTED_OVER, monotonic().as_secs().to_string())
}

/// When this process started over, by CLOCK_MONOTONIC; `None` if it never did.
pub fn last_start_over() -> Option<Duration> {
    std::env::var(STARTED_OVER).ok()?.parse().ok().map(Duration::from_secs)
}

/// Ends when the wall clock has been set back since the call, and gives by how much; not before some minutes after
/// `last`. While the machine is suspended CLOCK_MONOTONIC stands still, which looks as if the wall clock had been set
/// ahead.
pub fn set_back(last: Option<Duration>) -> impl Future<Output = SignedDuration> {
    let ahead = |anchor: Anchor| anchor.wall.checked_sub(anchor.monotonic).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut before = ahead(Anchor::now());
    async move {
        loop {
            tokio::time::sleep(COMPARED).await;
            let now = ahead(Anchor::now());
            let back = before.duration_since(now);
            if back > STEP {
                let earliest = last.map_or(Duration::ZERO, |last| last.saturating_add(PAUSE));
                tokio::time::sleep(earliest.saturating_sub(monotonic())).await;
                return back;
            }
            before = now;
        }
    }
}

/// One moment, read from both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    /// The wall clock at that moment.
    pub wall: Timestamp,
    /// CLOCK_MONOTONIC at that moment, since the boot.
    pub monotonic: Duration,
}

impl Anchor {
    /// Readings further apart than this are repeated: the thread was interrupted between them.
    const APART: Duration = Duration::from_micros(50);

    /// Reads both clocks now.
    pub fn now() -> Self {
        let mut best: Option<(Duration, Self)> = None;
        for _ in 0..3 {
            let before = monotonic();
            let wall = Timestamp::now();
            let apart = monotonic().saturating_sub(before);
            if best.is_none_or(|(smallest, _)| apart < smallest) {
                best = Some((apart, Self { wall, monotonic: before + apart / 2 }));
            }
            if apart <= Self::APART {
                break;
            }
        }
        best.expect("the loop runs at least once").1
    }

    /// The wall time at which CLOCK_MONOTONIC showed `monotonic`, but no later than the anchor itself: what is seen has
    /// happened.
    pub fn wall(&self, monotonic: Duration) -> Timestamp {
        self.wall.checked_sub(self.monotonic.saturating_sub(monotonic)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// The clock of the kernel log.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelLogClock {
    /// How far the log's clock is behind CLOCK_MONOTONIC, and when that was learned. `None`: not yet known, taken as 0.
    lag: Option<(SignedDuration, Duration)>,
}

impl KernelLogClock {
    /// The largest rate at which NTP may steer CLOCK_MONOTONIC away from the log's clock (`MAXFREQ` in
    /// `include/linux/timex.h`: 500 ppm).
    const DRIFT: u32 = 2000;

    /// Learns from a record that was read at `read`, as soon as it was written. Reading late makes the lag look larger,
    /// never smaller, so the smallest counts, as far as drift does not allow more since.
    pub fn learn(&mut self, record: Duration, read: &Anchor) {
        let now = signed(read.monotonic).saturating_sub(signed(record));
        let lag = self.lag.map_or(now, |(lag, at)| {
            now.min(lag.saturating_add(signed(read.monotonic.saturating_sub(at) / Self::DRIFT)))
        });
        self.lag = Some((lag, read.monotonic));
    }

    /// The wall time of a record whose time in the log is `record`.
    pub fn wall(&self, record: Duration, now: &Anchor) -> Timestamp {
        let monotonic = signed(record).saturating_add(self.lag());
        now.wall(Duration::try_from(monotonic).unwrap_or_default())
    }

    /// The time of the log's clock at the anchor `now`.
    pub fn reading(&self, now: &Anchor) -> Duration {
        Duration::try_from(signed(now.monotonic).saturating_sub(self.lag())).unwrap_or_default()
    }

    fn lag(&self) -> SignedDuration {
        self.lag.map_or(SignedDuration::ZERO, |(lag, _)| lag)
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux always has CLOCK_MONOTONIC").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, monotonic: u64) -> Anchor {
        Anchor { wall: Timestamp::from_second(wall).unwrap(), monotonic: Duration::from_secs(monotonic) }
    }

    #[test]
    fn past_times_follow_the_current_setting_of_the_wall_clock() {
        let event = Duration::from_secs(90);
        assert_eq!(at(1_000_000, 100).wall(event), Timestamp::from_second(999_990).unwrap());
        // The wall clock was set back by 5000 s meanwhile.
        assert_eq!(at(995_020, 120).wall(event), Timestamp::from_second(994_990).unwrap());
    }

    #[test]
    fn nothing_happened_in_the_future() {
        assert_eq!(at(1_000_000, 100).wall(Duration::from_secs(101)), Timestamp::from_second(1_000_000).unwrap());
        assert!(Anchor::now().wall(Duration::MAX) <= Timestamp::now());
    }

    #[test]
    fn a_log_record_that_was_read_late_does_not_move_the_clock() {
        let mut clock = KernelLogClock::default();
        clock.learn(Duration::from_secs(1000), &at(50_000, 1003)); // 3 s behind
        clock.learn(Duration::from_secs(1010), &at(50_017, 1020)); // read 7 s late
        let happened = clock.wall(Duration::from_secs(1010), &at(50_017, 1020));
        let error = happened.duration_since(Timestamp::from_second(50_010).unwrap());
        assert!(error.abs() < SignedDuration::from_millis(10), "{error}");
    }

    #[test]
    fn the_log_clock_follows_drift_in_both_directions() {
        for drifted in [20_u64, 0] {
            let mut clock = KernelLogClock::default();
            clock.learn(Duration::from_secs(1000), &at(50_000, 1010)); // 10 s behind
            clock.learn(Duration::from_secs(101_000), &at(150_000, 101_000 + drifted));
            assert_eq!(
                clock.wall(Duration::from_secs(101_000), &at(150_000, 101_000 + drifted)),
                Timestamp::from_second(150_000).unwrap()
            );
        }
    }

    #[test]
    fn reads_the_log_clock() {
        let mut clock = KernelLogClock::default();
        clock.learn(Duration::from_secs(95), &at(0, 100));
        assert_eq!(clock.reading(&at(10, 110)), Duration::from_secs(105));
    }
}
