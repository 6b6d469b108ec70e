//! A clock that is never set and never stands still, and from when on a process was late itself.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A time that is noticed so much later shows that this process got no processor. What others did by then, it may not
/// have read yet: that a deadline has passed is no statement about who was asked.
pub const LATE: Duration = Duration::from_millis(700);

/// Time since boot, with suspended time (CLOCK_BOOTTIME). [`std::time::Instant`] stands still while the machine is
/// suspended.
pub fn since_boot() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_BOOTTIME).ok().map(Duration::from)
}
