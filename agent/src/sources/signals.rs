//! tracefs: who sent which fatal signal to whom (`signal:signal_generate`), and whom the OOM killer chose (`oom:mark_victim`).
//!
//! Only events are watched that end a process or ask it to end, in a trace [`instance`] of the agent's own, so that other tracers neither
//! disturb it nor are disturbed. What /proc still tells of sender and target is read as soon as the event is: a sender as
//! short-lived as `kill` is mostly gone by then, and only its thread id and name are known.

mod instance;

use std::{convert::Infallible, fs::File, io::Read, os::fd::AsFd, time::Duration};

use coroner_diagnosis::observation::{
    Fact, GapReason, Observation, Source,
    trace::{Signal, TraceEventKind, TraceLine, parse_line},
};
use jiff::Timestamp;
use nix::errno::Errno;
use tracing::debug;

use self::instance::Instance;
use super::{
    procfs::process::Processes,
    site::Site,
    worker::{End, Worker},
};
use crate::{clock::Anchor, host::HostRoot};

/// Several times what one read of the pipe gives (8 KiB).
const PIPE_READ: usize = 32 * 1024;
/// Longer than any line of the watched events. A line that does not end within is dropped.
const LINE_MAX: usize = 4 * 1024;

/// Starts the source.
pub fn spawn(site: &Site, host: HostRoot) {
    site.thread(&site.outlet(Source::Signals), move |worker| run(worker, &host));
}

fn run(worker: &mut Worker, host: &HostRoot) -> Result<Infallible, End> {
    let instance = Instance::create(host)?;
    let pipe = instance.pipe()?;
    worker.health(instance.health())?;
    let processes = Processes::new(host);
    let mut pending = Vec::new();
    let mut read_until = Timestamp::now();
    loop {
        if !fill(&pipe, &mut pending)? {
            read_until = Timestamp::now();
            worker.readable(pipe.as_fd(), None)?;
            continue;
        }
        while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = pending.drain(..=end).collect();
            match parse_line(&String::from_utf8_lossy(&line)) {
                Ok(TraceLine::Event(event)) => {
                    let now = Anchor::now();
                    let happened_at = now.wall(Duration::from_micros(event.boot_micros));
                    hand_on(event.kind, now.wall, happened_at, &processes, worker)?;
                }
                Ok(TraceLine::LostEvents { lost, .. }) => {
                    let now = Timestamp::now();
                    worker.send(worker.outlet.gap(GapReason::Overrun, read_until.min(now), now, lost))?;
                }
                Err(error) => debug!(%error, "A line of the trace is not understood"),
            }
        }
        if pending.len() > LINE_MAX {
            pending.clear();
        }
    }
}

/// Reads what is there. False if there is nothing.
fn fill(mut pipe: &File, pending: &mut Vec<u8>) -> Result<bool, End> {
    let start = pending.len();
    pending.resize(start + PIPE_READ, 0);
    let read = pipe.read(&mut pending[start..]);
    pending.truncate(start + *read.as_ref().unwrap_or(&0));
    match read {
        // Tracing was switched off by somebody else; the instance is made anew.
        Ok(0) => Err(End::failed("reading trace_pipe")(std::io::ErrorKind::UnexpectedEof)),
        Ok(_) => Ok(true),
        Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
            Errno::EAGAIN | Errno::EINTR => Ok(false),
            _ => Err(End::failed("reading trace_pipe")(error)),
        },
    }
}

fn hand_on(
    kind: TraceEventKind,
    seen_at: Timestamp,
    happened_at: Timestamp,
    processes: &Processes,
    worker: &Worker,
) -> Result<(), End> {
    let (target, fact) = match kind {
        TraceEventKind::Signal(signal) => (signal.target.tid, Fact::Signal(with_sender(signal, processes))),
        TraceEventKind::OomVictim(victim) => (victim.pid, Fact::OomVictim(victim)),
        TraceEventKind::Other => return Ok(()),
    };
    worker.send(Observation { seen_at, happened_at, fact })?;
    // Whose it is, while it can be read: even a killed process waits a while for its parent.
    match processes.find_in_container(target) {
        Some(process) => worker.send(Observation { seen_at, happened_at: seen_at, fact: Fact::Process(process) }),
        None => Ok(()),
    }
}

fn with_sender(mut signal: Signal, processes: &Processes) -> Signal {
    if signal.sender.tid != signal.target.tid {
        signal.sender_process = processes.owner_of_thread(signal.sender.tid);
    }
    signal
}

#[cfg(test)]
mod tests;
