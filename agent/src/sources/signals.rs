//! Tracepoints: who sent which fatal signal to whom (`signal:signal_generate`), and whom the OOM killer chose
//! (`oom:mark_victim`).
//!
//! Only events are watched that end a process or ask it to end. By [`perf`], where the agent has CAP_PERFMON and
//! tracefs to read; else by a trace instance of the agent's own ([`tracefs`]), where it may write there. Either gives
//! the same, but text is slower, and a line break in a name breaks its line. What /proc still shows of sender and
//! target is read as soon as the event is.

mod instance;
mod names;
mod perf;
mod tracefs;

use std::convert::Infallible;

use coroner_diagnosis::{
    messages::health,
    observation::{
        Fact, Observation, Source,
        trace::{Signal, TraceEventKind},
    },
};
use jiff::Timestamp;

use super::{
    procfs::process::Processes,
    site::Site,
    worker::{End, Worker},
};
use crate::host::HostRoot;

/// Starts the source `signals` in a thread.
pub fn spawn(site: &Site, host: HostRoot) {
    site.thread(&site.outlet(Source::Signals), move |worker| run(worker, &host));
}

fn run(worker: &mut Worker, host: &HostRoot) -> Result<Infallible, End> {
    let refusal = match perf::Watch::open(host) {
        Ok(watch) => return watch.run(worker, host),
        Err(refusal) => refusal,
    };
    tracefs::run(worker, host).map_err(|end| match end {
        End::Absent(reason) => End::absent(health::health_both(refusal.reason().phrase(), reason.phrase())),
        end => end,
    })
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
