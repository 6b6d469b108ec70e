//! The kernel log: [`device`] reads /dev/kmsg; where that is refused (as in every container that is not privileged: the
//! device cgroup refuses, whatever the capabilities) [`syslog`] calls syslog(2) with CAP_SYSLOG, when the kernel prints
//! ([`console`]) or once a second.
//!
//! Every record is handed on, of whatever facility: the diagnosis accepts only the kernel's own. Where one reports a
//! kill, /proc shows at once whether the process is ending: the kernel sends SIGKILL before it prints the line
//! (`__oom_kill_process()` of `mm/oom_kill.c`).
//!
//! **Backlog.** At start the log holds what was written before. Of that, the last `lookback` is handed on, so that a
//! death while the agent was down is still explained; the rest is left out. A record of the backlog is recognisable by
//! `happened_at`, which is its true time, before the agent's start. A death that was reported before a restart of the
//! agent gets the same uid again, as that is derived from boot id and subject, so for readers it is not a new one. No
//! position is kept on disk.

mod console;
mod device;
mod syslog;

use std::{convert::Infallible, time::Duration};

use coroner_diagnosis::observation::{
    Fact, Health, Observation, Source,
    kernel_log::{Event, Record},
};
use jiff::Timestamp;

use super::{
    procfs::process::Processes,
    site::Site,
    worker::{End, Worker},
};
use crate::{
    clock::{Anchor, KernelLogClock},
    host::HostRoot,
    report::NodeState,
};

/// How much of the backlog is handed on, if nothing else is asked for.
pub const LOOKBACK: Duration = Duration::from_mins(5);
/// A victim that has taken its SIGKILL and not begun to exit is neither to be seen as killed nor as exiting. It is a
/// matter of microseconds.
const BEGINS_TO_EXIT: Duration = Duration::from_millis(10);

/// Starts the source. `lookback`: how much of what was written before now is handed on.
pub fn spawn(site: &Site, host: HostRoot, lookback: Duration, state: NodeState) {
    let since = Timestamp::now().checked_sub(lookback).unwrap_or(Timestamp::UNIX_EPOCH);
    let processes = Processes::new(&host);
    let mut log = Log { since, clock: KernelLogClock::default(), next_sequence: None, newest: None, processes, state };
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
    processes: Processes,
    /// For the faults of the node.
    state: NodeState,
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
                    syslog::poll(&refusal, self, worker, host)?;
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
        // Only the kernel itself writes with facility 0.
        let event = if record.facility == 0 { Event::parse(&record.text) } else { None };
        let killed = match event {
            Some(Event::Killed(killed)) => Some(killed.pid),
            Some(Event::Trouble(trouble)) => {
                self.state.fault(happened_at, &trouble, &record.text);
                None
            }
            _ => None,
        };
        worker.send(Observation { seen_at: now.wall, happened_at, fact: Fact::KernelLog(record) })?;
        killed.map_or(Ok(()), |pid| self.look_at(pid, worker))
    }

    /// Hands on the state of a process that is reported as killed, if it is still there.
    fn look_at(&self, pid: i32, worker: &Worker) -> Result<(), End> {
        let mut process = self.processes.find_in_container(pid);
        if process.as_ref().is_some_and(|process| !process.ending) {
            worker.pause(BEGINS_TO_EXIT)?;
            process = self.processes.find_in_container(pid);
        }
        process.map_or(Ok(()), |process| worker.send(worker.outlet.now(Fact::Process(process))))
    }

    /// The wall time of the newest record, for the beginning of a gap.
    fn newest_wall(&self, now: &Anchor) -> Timestamp {
        self.newest.map_or(self.since, |newest| self.clock.wall(newest, now))
    }
}

#[cfg(test)]
mod tests;
