//! A writer to stderr that never fails and never waits for long.

use std::{
    io::{self, StderrLock, Write},
    os::fd::AsFd as _,
    sync::atomic::{AtomicBool, Ordering},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A pipe that can be written takes so much at once without waiting (`PIPE_BUF`).
const PIECE: usize = 4096;
/// How long a reader that has fallen behind is waited for, in milliseconds.
const PATIENCE: u16 = 50;

/// Stderr was not read when a line was last due: until it is read, nothing waits for it.
static STUCK: AtomicBool = AtomicBool::new(false);

/// The lock on stderr, for one line.
#[derive(Debug)]
pub(super) struct Stderr(StderrLock<'static>);

impl Default for Stderr {
    fn default() -> Self {
        Self(io::stderr().lock())
    }
}

impl Stderr {
    /// Whether stderr takes a piece now. A closed one "takes" it by an error.
    fn takes(&self) -> bool {
        let patience = if STUCK.load(Ordering::Relaxed) { PollTimeout::ZERO } else { PATIENCE.into() };
        let takes = poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)], patience) != Ok(0);
        STUCK.store(!takes, Ordering::Relaxed);
        takes
    }
}

impl Write for Stderr {
    /// Writes what can be written; always returns that everything was.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        for piece in line.chunks(PIECE) {
            if !self.takes() || self.0.write_all(piece).is_err() {
                break;
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
