//! How long an exporter waits after what went wrong.

use std::time::Duration;

use coroner_runtime::backoff::{Backoff, jittered};

use super::sink::Remedy;

/// The longest that a receiver may ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(600);

/// How long to wait after what went wrong.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// After the first failure, at most; each further one in a row waits twice as long.
    pub first: Duration,
    /// The longest of these.
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
    /// The delays of one series of failures.
    pub(super) fn backoff(self) -> Backoff {
        Backoff::new(self.first, self.longest)
    }

    /// What to wait after one more failure.
    pub(super) fn delay(self, remedy: &Remedy, backoff: &mut Backoff) -> Duration {
        match remedy {
            Remedy::Hold => jittered(self.hold),
            Remedy::Retry { after: Some(after) } => {
                // Never less than was asked for.
                let after = (*after).clamp(self.first, LONGEST_WISH);
                after + jittered(after / 4)
            }
            Remedy::Retry { after: None } | Remedy::Bisect => backoff.next(),
        }
    }
}
