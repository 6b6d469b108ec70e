//! The calls of the demo that only Linux has. Elsewhere, where the rest of this program runs too, the demo is refused
//! before it makes any of them.

use nix::{Result, sys::signal::Signal};

/// Has this process sent a signal when its parent ends.
#[cfg(target_os = "linux")]
pub(super) fn end_with_parent(signal: Signal) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(signal)
}

/// Has the next child be process 1 of a namespace of its own.
#[cfg(target_os = "linux")]
pub(super) fn new_pid_namespace() -> Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn end_with_parent(_: Signal) -> Result<()> {
    Err(nix::errno::Errno::ENOSYS)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn new_pid_namespace() -> Result<()> {
    Err(nix::errno::Errno::ENOSYS)
}
