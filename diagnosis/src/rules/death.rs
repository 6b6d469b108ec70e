//! The end of one container instance, as the rules look at it.

use coroner_proto::v1::{Exit, Process};
use jiff::{SignedDuration, Timestamp};

use super::fabricated::{LOST, NONE, UNKNOWN};
pub use crate::case::CLOCKS;
use crate::{
    case::{AuditedEnd, ContainerFile, KEPT_FOR, Line, NodeFile, OomKill, PodFile, Statement},
    messages::common,
    observation::{
        Source,
        cri::State,
        kernel_log::Fault,
        process::WaitStatus,
        trace::{Signal, WATCHED_SIGNALS},
    },
    verdict::Evidence,
};

/// What precedes an end by more than this did not cause it at once.
pub(super) const MOMENT: SignedDuration = SignedDuration::from_secs(1);

/// Signals that end no process: they are ignored, or stop and continue it (signal(7)).
const HARMLESS: [i32; 8] = [17, 18, 19, 20, 21, 22, 23, 28];
/// How long before an end a request to stop may have come.
const REQUEST: SignedDuration = SignedDuration::from_secs(30);

/// The end of a container instance, with what rules conclude from.
#[derive(Debug)]
pub struct Death<'a> {
    /// The file of the node.
    pub node: &'a NodeFile,
    /// The file of the container instance.
    pub file: &'a ContainerFile,
    /// Pid of its main process, where known.
    pub main: Option<i32>,
    /// When the container ended, by the best source.
    pub at: Timestamp,
    /// The exit code that was reported, or that follows from the kernel's wait status.
    pub code: Option<i32>,
    /// The kernel's wait status of its main process.
    pub wait: Option<WaitStatus>,
    /// Signals that its main process was sent, in order of time.
    pub signals: Vec<(Timestamp, &'a Signal)>,
    /// The kernel's kill of its main process for memory.
    pub oom_kill: Option<OomKill<'a>>,
}

/// The end of a container as the runtime or the kubelet reports it.
#[derive(Clone, Copy, Debug)]
pub struct Reported<'a> {
    /// The runtime, or else the kubelet or the API server.
    pub source: Source,
    /// The exit code, 0 to 255.
    pub code: i32,
    /// The reason, such as `StartError`; may be empty.
    pub reason: &'a str,
    /// The message that belongs to the reason.
    pub message: &'a str,
    /// Whether the container had started.
    pub started: bool,
}

/// How the main process ended, as far as it was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By this signal.
    Signal(i32),
    /// By its own exit(2), with this status.
    Exit(i32),
    /// The reported code may be either.
    Unknown,
}

impl<'a> Death<'a> {
    /// Looks at a container's file. `None` if it has not ended.
    pub fn of(node: &'a NodeFile, file: &'a ContainerFile) -> Option<Self> {
        let main = node.main_pid(file);
        let from = file.first_seen - CLOCKS;
        let reported = file.reported_exit();
        let until = reported.as_ref().map_or(Timestamp::MAX, |exit| exit.at + CLOCKS);
        let waited = main.and_then(|pid| node.processes.exits.of(pid, from, until).next_back());
        let oom_kill = main.and_then(|pid| node.oom_kill(pid, from, until));
        // The kernel's SIGKILL is what the runtime will report as 137.
        let seen = waited.map(|(_, status)| status.as_exit_code()).or_else(|| oom_kill.as_ref().map(|_| 137));
        let stated = reported.as_ref().map(|exit| exit.what);
        let code = stated.filter(|code| *code != NONE).or(seen).or(stated);
        let at = reported
            .as_ref()
            .map(|exit| exit.at)
            .or_else(|| waited.map(|(at, _)| at))
            .or_else(|| oom_kill.as_ref().map(|kill| kill.at))?;
        let signals = main.map(|pid| node.processes.signals.of(pid, from, at + CLOCKS).collect()).unwrap_or_default();
        Some(Self { node, file, main, at, code, wait: waited.map(|(_, status)| *status), signals, oom_kill })
    }

    /// The end as the runtime reports it; else as the kubelet does.
    pub fn reported(&self) -> Option<Reported<'a>> {
        let by_runtime =
            self.file.status.as_ref().filter(|status| status.state == State::Exited).map(|status| Reported {
                source: self.file.status_by,
                code: status.exit_code,
                reason: &status.reason,
                message: &status.message,
                started: status.started_at.is_some(),
            });
        let by_kubelet = || {
            let ended = &self.file.kubelet.as_ref()?.ended.as_ref()?.what;
            Some(Reported {
                source: self.node.pod_of(self.file).map_or(Source::Kubelet, PodFile::reporter),
                code: ended.code,
                reason: &ended.reason,
                message: &ended.message,
                started: ended.started.is_some(),
            })
        };
        by_runtime.or_else(by_kubelet)
    }

    /// Whether the container ever started.
    pub fn started(&self) -> bool {
        self.file.task_started.is_some() || self.reported().is_none_or(|reported| reported.started)
    }

    /// Whether it ran in an earlier boot of the node, and nothing of it was observed in this one: no source of this one
    /// can show how it ended.
    pub fn is_of_earlier_boot(&self) -> bool {
        let by_kubelet = || self.file.kubelet.as_ref()?.ended.as_ref()?.what.started;
        let status = self.file.status.as_ref();
        let started = status.and_then(|status| status.started_at.or(status.created_at)).or_else(by_kubelet);
        let before = self.node.state.booted.zip(started).is_some_and(|(booted, started)| started < booted);
        let ran = self.main.is_some() || self.file.samples.latest.is_some() || self.file.task_started.is_some();
        before && !ran
    }

    /// The reported reason, as `OOMKilled`; empty where there is none.
    pub fn reason(&self) -> &'a str {
        self.reported().map_or("", |reported| reported.reason)
    }

    /// The last signal of this number that reached the main process before its end.
    pub fn signal(&self, number: i32) -> Option<(Timestamp, &'a Signal)> {
        self.signals.iter().rev().find(|(_, signal)| signal.signal == number && signal.reached()).copied()
    }

    /// Whether the silence of `source` around the end means something.
    pub fn covered(&self, source: Source) -> bool {
        self.node.covered(source, (self.at - MOMENT).max(self.file.first_seen), self.at)
    }

    /// Whether the signals of its main process were observed from a moment until its end. That none is on file shows
    /// nothing all the same where [`Self::keeps_signals_since`] is false.
    pub fn observed_signals_since(&self, from: Timestamp) -> bool {
        self.main.is_some() && self.node.covered(Source::Signals, from.max(self.file.first_seen), self.at)
    }

    /// Whether a moment is so recent that no signal of after it is forgotten.
    pub fn keeps_signals_since(&self, from: Timestamp) -> bool {
        self.at.duration_since(from.max(self.file.first_seen)) <= KEPT_FOR
    }

    /// Whether a request to stop by a signal would have been observed.
    pub fn watched_before_end(&self) -> bool {
        self.node.covered(Source::Signals, (self.at - REQUEST).max(self.file.first_seen), self.at)
    }

    /// How the main process ended.
    pub fn ending(&self) -> Ending {
        if let Some(status) = self.wait {
            return match status {
                WaitStatus::Exited(status) => Ending::Exit(status.into()),
                WaitStatus::Signaled(signal) => Ending::Signal(signal.into()),
            };
        }
        if self.oom_kill.is_some() {
            return Ending::Signal(9);
        }
        let Some(code) = self.code else { return Ending::Unknown };
        // The runtime lost the process, and made up this status later. No process survives SIGKILL.
        if code == NONE || code == LOST && self.reason() == UNKNOWN {
            return if self.signal(9).is_some() { Ending::Signal(9) } else { Ending::Unknown };
        }
        // A runtime reports signal n as 128 + n, and n is at least 1.
        if code <= 128 || code > 128 + 64 {
            return Ending::Exit(code);
        }
        let number = code - 128;
        if HARMLESS.contains(&number) {
            return Ending::Exit(code);
        }
        // No process survives SIGKILL, however long it still waits inside the kernel.
        if let Some((at, _)) = self.signal(number)
            && (number == 9 || self.at.duration_since(at) <= CLOCKS)
        {
            return Ending::Signal(number);
        }
        if self.fault_of_main().is_some() && matches!(number, 4 | 7 | 8 | 11) {
            return Ending::Signal(number);
        }
        if self.main.is_some_and(|main| self.audit(main, number).is_some()) {
            return Ending::Signal(number);
        }
        if number == 7 && self.memory_error().is_some() {
            return Ending::Signal(number);
        }
        if WATCHED_SIGNALS.contains(&number) && self.covered(Source::Signals) && self.main.is_some() {
            return Ending::Exit(code);
        }
        Ending::Unknown
    }

    /// The signal that the Pod's status names, where the exit code stands for the same.
    pub fn reported_signal(&self) -> Option<i32> {
        let signal = self.file.kubelet.as_ref()?.ended.as_ref()?.what.signal;
        (signal > 0 && self.code == Some(128 + signal)).then_some(signal)
    }

    /// The kernel's line about a fault of the main process.
    pub fn fault_of_main(&self) -> Option<(Timestamp, &'a Line<Fault>)> {
        let from = self.file.first_seen - CLOCKS;
        self.main.and_then(|pid| self.node.processes.faults.of(pid, from, self.at + CLOCKS).next_back())
    }

    /// The audit record that this signal ended a process of the container.
    pub fn audit(&self, pid: i32, signal: i32) -> Option<(Timestamp, &'a Line<AuditedEnd>)> {
        let mut audits = self.node.processes.audits.of(pid, self.at - CLOCKS, self.at + CLOCKS);
        audits.find(|(_, line)| line.event.signal == signal)
    }

    /// The kernel's line about broken memory that the main process used.
    pub fn memory_error(&self) -> Option<(Timestamp, &'a Line<()>)> {
        self.node.processes.memory_errors.of(self.main?, self.at - CLOCKS, self.at + CLOCKS).next_back()
    }

    /// The exit for the diagnosis: the reported code and reason, with this signal (0 for none).
    pub fn exit(&self, signal: i32) -> Option<Exit> {
        let reported_reason = self.reason().to_owned();
        self.code.map(|code| Exit { code, signal, fabricated: code == NONE, reported_reason })
    }

    /// The end as the runtime's events report it, else as its status or the kubelet's does.
    pub fn reported_end(&self) -> Option<Evidence> {
        if let Some((source, at, statement)) = self.file.exit_reported() {
            return Some(Evidence::new(source, at, statement));
        }
        let reported = self.reported()?;
        let statement = match reported.reason {
            "" => common::exit_code_reported(reported.code),
            reason => common::exit_reported(reason, reported.code),
        };
        Some(Evidence::new(reported.source, self.at, statement))
    }

    /// The main process, as diagnoses show it.
    pub fn main_process(&self) -> Option<Process> {
        self.main.map(|pid| self.process(pid))
    }

    /// A process of this container, with its name where that is known.
    pub fn process(&self, pid: i32) -> Process {
        let known = self.file.processes.get(&pid);
        Process {
            pid,
            name: known.and_then(|p| p.name.clone()).map(|name| crate::text::clean(&name, 64)).unwrap_or_default(),
            is_main: self.main.map(|main| main == pid),
            ..Process::default()
        }
    }

    /// The moment the sandbox of its pod ended, where that was before this container's end.
    pub fn sandbox_end(&self) -> Option<Statement<u32>> {
        let pod = self.node.pod_of(self.file)?;
        let ends = pod.sandboxes.values().filter_map(|sandbox| sandbox.end.clone());
        ends.filter(|end| end.at < self.at).min_by_key(|end| end.at)
    }
}

impl Signal {
    /// Whether it reached its target: delivered, or one of its kind was already waiting there.
    pub fn reached(&self) -> bool {
        matches!(self.result, 0 | 2)
    }
}
