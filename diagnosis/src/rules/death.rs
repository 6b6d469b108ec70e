//! The end of one container instance, as the rules look at it.

use coroner_proto::v1::{Exit, Process};
use jiff::{SignedDuration, Timestamp};

use crate::{
    case::{ContainerFile, Line, NodeFile, OomKill, PodFile, Said},
    observation::{
        Source,
        cri::State,
        kernel_log::Fault,
        process::WaitStatus,
        trace::{Signal, WATCHED_SIGNALS},
    },
};

/// How far the clocks of two witnesses of the same moment may differ.
pub const CLOCKS: SignedDuration = SignedDuration::from_secs(2);
/// What precedes an end by more than this did not cause it at once.
pub(super) const MOMENT: SignedDuration = SignedDuration::from_secs(1);

/// The end of a container instance.
#[derive(Debug)]
pub struct Death<'a> {
    /// The node's file.
    pub node: &'a NodeFile,
    /// The container's file.
    pub file: &'a ContainerFile,
    /// Pid of its main process, where known.
    pub main: Option<i32>,
    /// When it ended.
    pub at: Timestamp,
    /// The exit code that was reported, or that follows from how the kernel says its main process ended.
    pub code: Option<i32>,
    /// How the kernel says its main process ended.
    pub wait: Option<WaitStatus>,
    /// Signals that its main process was sent, in order of time.
    pub signals: Vec<(Timestamp, &'a Signal)>,
    /// The kernel's kill of its main process for memory.
    pub oom_kill: Option<OomKill<'a>>,
}

/// What was reported of an end.
#[derive(Clone, Copy, Debug)]
pub struct Reported<'a> {
    /// By whom.
    pub source: Source,
    /// Exit code.
    pub code: i32,
    /// Why, as `StartError`.
    pub reason: &'a str,
    /// The same in words.
    pub message: &'a str,
    /// It ran before.
    pub started: bool,
}

/// How the main process ended, as far as the witnesses go.
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
        let code = reported.as_ref().map(|exit| exit.what).or_else(|| waited.map(|(_, status)| status.as_exit_code()));
        let at = reported
            .as_ref()
            .map(|exit| exit.at)
            .or_else(|| waited.map(|(at, _)| at))
            .or_else(|| oom_kill.as_ref().map(|kill| kill.at))?;
        let signals = main.map(|pid| node.processes.signals.of(pid, from, at + CLOCKS).collect()).unwrap_or_default();
        Some(Self {
            node,
            file,
            main,
            at,
            // The kernel's SIGKILL is what the runtime will report as 137.
            code: code.or_else(|| oom_kill.as_ref().map(|_| 137)),
            wait: waited.map(|(_, status)| *status),
            signals,
            oom_kill,
        })
    }

    /// The runtime's word, where it says that the container has ended; else the kubelet's.
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
                source: self.node.pod_of(self.file).map_or(Source::Kubelet, PodFile::teller),
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
        // A runtime reports signal n as 128 + n, and n is at least 1.
        if code <= 128 || code > 128 + 64 {
            return Ending::Exit(code);
        }
        let number = code - 128;
        if let Some((at, _)) = self.signal(number)
            && self.at.duration_since(at) <= CLOCKS
        {
            return Ending::Signal(number);
        }
        if self.fault_of_main().is_some() && matches!(number, 4 | 7 | 8 | 11) {
            return Ending::Signal(number);
        }
        if WATCHED_SIGNALS.contains(&number) && self.covered(Source::Signals) && self.main.is_some() {
            return Ending::Exit(code);
        }
        Ending::Unknown
    }

    /// The kernel's line about a fault of the main process.
    pub fn fault_of_main(&self) -> Option<(Timestamp, &'a Line<Fault>)> {
        let from = self.file.first_seen - CLOCKS;
        self.main.and_then(|pid| self.node.processes.faults.of(pid, from, self.at + CLOCKS).next_back())
    }

    /// The exit, as reported and as found out.
    pub fn exit(&self, signal: i32) -> Option<Exit> {
        let reported_reason = self.reason().to_owned();
        self.code.map(|code| Exit { code, signal, fabricated: false, reported_reason })
    }

    /// The main process.
    pub fn main_process(&self) -> Option<Process> {
        self.main.map(|pid| self.process(pid))
    }

    /// A process of this container.
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
    pub fn sandbox_end(&self) -> Option<Said<u32>> {
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
