//! The tracepoint `printk:console`: it shows when the kernel has printed something. What it was is asked of the log:
//! the tracepoint's text has neither facility nor level.

use std::time::Duration;

use crate::{
    host::HostRoot,
    sources::{
        tracepoints::{self, Events},
        worker::{End, Worker},
    },
};

/// One page of buffer for each CPU: what is lost does not matter.
const PAGES: usize = 1;
/// The lines of a report follow one another within this time, and a flood of them is read by so many looks.
const GATHER: Duration = Duration::from_millis(20);
/// A look without an event, should a print ever go unnoticed.
const LOOK: Duration = Duration::from_secs(10);

/// The tracepoint by which the kernel shows that it prints.
#[derive(Debug)]
pub(super) struct Console(Events);

impl Console {
    pub(super) fn open(host: &HostRoot) -> Result<Self, End> {
        let (tracepoint, _) = tracepoints::find(host, "printk/console", None)?;
        Ok(Self(Events::open(vec![tracepoint], PAGES)?))
    }

    /// Waits until the kernel has printed since this was last called.
    pub(super) fn wait(&mut self, worker: &Worker) -> Result<(), End> {
        if self.0.wait(worker, LOOK)? {
            worker.pause(GATHER)?;
        } else {
            self.0.follow_cpus()?;
        }
        self.0.drain(|_| {});
        Ok(())
    }
}
