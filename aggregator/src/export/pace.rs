//! How long an exporter waits after what went wrong.

use std::time::Duration;

use coroner_runtime::backoff::{Backoff, Pace, jittered};

use super::sink::Remedy;

/// The longest that a receiver may ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(600);

/// How long to wait after a failure with this remedy.
pub(super) fn delay(pace: Pace, remedy: &Remedy, backoff: &mut Backoff) -> Duration {
    match remedy {
        Remedy::Hold => jittered(pace.hold),
        Remedy::Retry { after: Some(after) } => {
            // Never less than was asked for.
            let after = (*after).clamp(pace.first, LONGEST_WISH);
            after + jittered(after / 4)
        }
        Remedy::Retry { after: None } | Remedy::Bisect => backoff.next(),
    }
}
