//! A clock that is never set and never stands still, and from when on a process was late itself.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A time that is noticed so much later shows that this process got no processor. What others did by then, it may not
/// have read yet: that a deadline has passed is no statement about who was asked.
pub const LATE: Duration = Duration::from_millis(700);

/// The clock that counts suspended time: on Linux not the monotonic one, on macOS that.
#[cfg(target_os = "linux")]
const SINCE_BOOT: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(target_os = "linux"))]
const SINCE_BOOT: ClockId = ClockId::CLOCK_MONOTONIC;

/// Time since boot, with suspended time. [`std::time::Instant`] stands still while the machine is suspended.
pub fn since_boot() -> Option<Duration> {
    clock_gettime(SINCE_BOOT).ok().map(Duration::from)
}
