//! Events from the ring buffers of perf_event_open(2).

use std::{convert::Infallible, time::Duration};

use coroner_diagnosis::{
    messages::health,
    observation::{
        GapReason, Health,
        trace::{Format, NAMELESS, Thread, TraceEventKind, WATCHED_SIGNALS},
    },
};
use coroner_sys::perf::{Record, Tracepoint};
use jiff::Timestamp;

use super::{hand_on, names::Names};
use crate::{
    clock::Anchor,
    host::HostRoot,
    sources::{
        procfs::process::Processes,
        tracepoints::{self, Events},
        worker::{End, Worker},
    },
};

/// Pages of each CPU's buffer: space for some 900 events that are not read yet.
const PAGES: usize = 16;
/// Longer than nothing is ever waited for: without an event nothing wakes the reader, but a CPU may come.
const LOOK: Duration = Duration::from_secs(10);

/// The tracepoints that are watched, by perf_event_open(2).
pub(super) struct Watch {
    events: Events,
    signal: Format,
    victim: Option<Format>,
    named: Vec<Format>,
    health: Health,
}

/// What an event holds.
enum Seen {
    Kind(TraceEventKind),
    Named(Thread),
}

impl Watch {
    pub(super) fn open(host: &HostRoot) -> Result<Self, End> {
        let filter = WATCHED_SIGNALS.map(|signal| format!("sig=={signal}")).join("||");
        let (tracepoint, signal) = tracepoints::find(host, "signal/signal_generate", Some(&filter))?;
        let mut watched = vec![tracepoint];
        let mut add = |(tracepoint, format): (Tracepoint, Format)| {
            watched.push(tracepoint);
            format
        };
        let victim = tracepoints::find(host, "oom/mark_victim", None).map(&mut add);
        let of_threads = [("task/task_newtask", "comm"), ("task/task_rename", "newcomm")];
        let of_threads = of_threads.map(|(name, field)| tracepoints::find(host, name, Some(&Names::filter(field))));
        let named = of_threads.into_iter().flatten().map(&mut add).collect();
        let (victim, health) = match victim {
            Ok(victim) => (Some(victim), Health::Ok),
            Err(end) => (None, Health::Degraded(health::health_victims_untraced(end.reason().phrase()).into())),
        };
        Ok(Self { events: Events::open(watched, PAGES)?, signal, victim, named, health })
    }

    pub(super) fn run(mut self, worker: &Worker, host: &HostRoot) -> Result<Infallible, End> {
        worker.health(self.health.clone())?;
        let processes = Processes::new(host);
        let mut names = Names::default();
        let mut read_until = Timestamp::now();
        loop {
            let (seen, lost) = self.take();
            let now = Anchor::now();
            if lost > 0 {
                worker.send(worker.outlet.gap(GapReason::Overrun, read_until.min(now.wall), now.wall, Some(lost)))?;
            }
            let is_quiet = seen.is_empty();
            for (at, seen) in seen {
                match seen {
                    Seen::Named(thread) => names.record(thread),
                    Seen::Kind(mut kind) => {
                        name_sender(&mut kind, &names, &processes);
                        hand_on(kind, now.wall, now.wall(at), &processes, worker)?;
                    }
                }
            }
            read_until = now.wall;
            if is_quiet && !self.events.wait(worker, LOOK)? && self.events.follow_cpus()? {
                let now = Timestamp::now();
                worker.send(worker.outlet.gap(GapReason::Disconnected, read_until.min(now), now, None))?;
            }
        }
    }

    /// All that is there, in order of time, and how many were lost.
    fn take(&mut self) -> (Vec<(Duration, Seen)>, u64) {
        let Self { events, signal, victim, named, .. } = self;
        let (mut seen, mut lost) = (Vec::new(), 0);
        events.drain(|record| match record {
            Record::Lost(count) => lost += count,
            Record::Event { at, fields } => {
                let id = fields.first_chunk().map(|id| u64::from(u16::from_ne_bytes(*id)));
                let is = |format: &Format| id == Some(format.id);
                let event = if is(signal) {
                    signal.signal(fields).map(TraceEventKind::Signal).map(Seen::Kind)
                } else if let Some(victim) = victim.as_ref().filter(|victim| is(victim)) {
                    victim.victim(fields).map(TraceEventKind::OomVictim).map(Seen::Kind)
                } else {
                    named.iter().find(|named| is(named)).and_then(|named| named.named(fields)).map(Seen::Named)
                };
                seen.extend(event.map(|event| (at, event)));
            }
        });
        seen.sort_by_key(|(at, _)| *at);
        (seen, lost)
    }
}

/// The event names the sender's thread only.
fn name_sender(kind: &mut TraceEventKind, names: &Names, processes: &Processes) {
    let thread = match kind {
        // Who signals itself bears the target's name.
        TraceEventKind::Signal(signal) if signal.sender.tid == signal.target.tid => {
            signal.sender.comm.clone_from(&signal.target.comm);
            return;
        }
        TraceEventKind::Signal(signal) => &mut signal.sender,
        TraceEventKind::OomVictim(victim) => &mut victim.allocator,
        TraceEventKind::Other => return,
    };
    let name = names.of(thread.tid).map(str::to_owned).or_else(|| processes.name_of_thread(thread.tid));
    thread.comm = name.unwrap_or_else(|| NAMELESS.to_owned());
}
