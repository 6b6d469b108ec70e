//! A clock that is never set and never stands still.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time since boot, with suspended time (CLOCK_BOOTTIME). [`std::time::Instant`] stands still while the machine is
/// suspended.
pub fn since_boot() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_BOOTTIME).ok().map(Duration::from)
}
