//! Delays between attempts: each twice as long as the one before it, up to a longest one, with jitter.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// The delays of one series of attempts. Each is drawn from the upper half of its range, so that programs which failed
/// together do not come back together, and none is longer than the longest.
#[derive(Debug)]
pub struct Backoff {
    shape: ExponentialBuilder,
    delays: ExponentialBackoff,
    /// What [`next`](Self::next) gives if the iterator should ever end.
    longest: Duration,
}

impl Backoff {
    /// From `first` to `longest`. The n-th delay is between a half and the whole of `first * 2^(n-1)`, at most
    /// `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        // backon adds a jitter of up to the delay itself.
        let shape = ExponentialBuilder::new()
            .with_jitter()
            .with_min_delay(first.min(longest) / 2)
            .with_max_delay(longest / 2)
            .without_max_times();
        Self { delays: shape.build(), shape, longest }
    }

    /// The delay before the next attempt.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> Duration {
        self.delays.next().unwrap_or(self.longest)
    }

    /// An attempt succeeded: the next delay is a first one again.
    pub fn reset(&mut self) {
        self.delays = self.shape.build();
    }
}

/// How long who delivers to a peer waits after what went wrong.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// After the first failure, at most; each further one in a row waits up to twice as long.
    pub first: Duration,
    /// The longest delay between two attempts.
    pub longest: Duration,
    /// While only an operator can help, at most.
    pub hold: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(30), hold: Duration::from_secs(60) }
    }
}

impl Pace {
    /// A new series of delays.
    pub fn backoff(self) -> Backoff {
        Backoff::new(self.first, self.longest)
    }
}

/// One delay with jitter, between a half and the whole of `delay`.
pub fn jittered(delay: Duration) -> Duration {
    Backoff::new(delay, delay).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(60);

    #[test]
    fn delays_double_up_to_the_longest_and_start_over_after_a_success() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        for round in 0..2 {
            for n in 0..100 {
                let whole = FIRST.saturating_mul(1 << n.min(20)).min(LONGEST);
                let delay = backoff.next();
                assert!(whole / 2 <= delay && delay <= whole, "{round}, {n}: {delay:?} of {whole:?}");
            }
            backoff.reset();
        }
    }

    #[test]
    fn no_two_programs_keep_step() {
        let mut drawn: Vec<_> = (0..100).map(|_| jittered(LONGEST)).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert!(drawn.len() > 50);
        assert!(drawn.iter().all(|delay| (LONGEST / 2..=LONGEST).contains(delay)));
    }

    #[test]
    fn a_first_delay_beyond_the_longest_is_the_longest() {
        assert!(Backoff::new(LONGEST, FIRST).next() <= FIRST);
    }
}
