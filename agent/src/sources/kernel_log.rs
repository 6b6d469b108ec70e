//! The kernel log: [`device`] reads /dev/kmsg; where that is refused (as in every container that is not privileged: the device cgroup
//! says no, whatever the capabilities) [`syslog`] polls syslog(2) with CAP_SYSLOG.
//!
//! Every record is handed on, of whatever facility: the diagnosis takes only the kernel's own for its word.
//!
//! **Backlog.** At start the log holds what was written before. Of that, the last `lookback` is handed on, so that a death while the
//! agent was away is still explained; the rest is left out. A record of the backlog tells itself by `happened_at`, which is its true
//! time, before the agent's start. A death that was reported before a restart of the agent gets the same uid again, as that
//! is derived from boot id and subject, so it is not a new one to anybody. No position is kept on disk.

mod device;
mod syslog;

use std::{convert::Infallible, time::Duration};

use coroner_diagnosis::observation::{Fact, Health, Observation, Source, kernel_log::Record};
use jiff::Timestamp;

use super::{
    site::Site,
    worker::{End, Worker},
};
use crate::{
    clock::{Anchor, KernelLogClock},
    host::HostRoot,
};

/// How much of the backlog is handed on, if nothing else is asked for.
pub const LOOKBACK: Duration = Duration::from_mins(5);

/// Starts the source. `lookback`: how much of what was written before now is handed on.
pub fn spawn(site: &Site, host: HostRoot, lookback: Duration) {
    let since = Timestamp::now().checked_sub(lookback).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut log = Log { since, clock: KernelLogClock::default(), next_sequence: None, newest: None };
    site.thread(&site.outlet(Source::KernelLog), move |worker| log.run(worker, &host));
}

/// What is kept from one run of the source to the next.
#[derive(Debug)]
struct Log {
    /// Older records of the backlog are left out.
    since: Timestamp,
    clock: KernelLogClock,
    /// The sequence number that comes next.
    next_sequence: Option<u64>,
    /// The newest record's time by the log's clock.
    newest: Option<Duration>,
}

impl Log {
    fn run(&mut self, worker: &mut Worker, host: &HostRoot) -> Result<Infallible, End> {
        loop {
            match device::open(&host.dev) {
                Ok((device, backlog)) => {
                    worker.health(Health::Ok)?;
                    return device::read(&device, backlog, self, worker);
                }
                Err(refusal) => {
                    syslog::poll(&refusal, self, worker, || device::open(&host.dev).is_ok())?;
                    // What was read so far is not read again from the device.
                    self.since = self.newest_wall(&Anchor::now());
                }
            }
        }
    }

    /// Hands a record on, unless it is of the backlog (`old`) and too old.
    fn hand_on(&mut self, record: Record, old: bool, now: &Anchor, worker: &Worker) -> Result<(), End> {
        let written = Duration::from_micros(record.boot_micros);
        let happened_at = self.clock.wall(written, now);
        // Records of several processors are not strictly in the order of their times.
        self.newest = self.newest.max(Some(written));
        if old && happened_at < self.since {
            return Ok(());
        }
        worker.send(Observation { seen_at: now.wall, happened_at, fact: Fact::KernelLog(record) })
    }

    /// The wall time of the newest record, for the beginning of a gap.
    fn newest_wall(&self, now: &Anchor) -> Timestamp {
        self.newest.map_or(self.since, |newest| self.clock.wall(newest, now))
    }
}

#[cfg(test)]
mod tests;
