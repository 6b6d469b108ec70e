//! The case file of one container instance (or sandbox).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::statements::Said;
use crate::observation::{
    Source,
    cgroup::{self, Limit},
    cri::{self, ContainerId, Pod, State},
    docker,
    kube::{self, ContainerKind},
};

/// Processes that one container's file remembers. A container of more has its oldest children forgotten first.
const PROCESSES: usize = 512;
/// `/tasks/oom` events that are remembered.
const TASK_OOMS: usize = 16;
/// Signals sent by Docker that are remembered.
const RUNTIME_KILLS: usize = 16;
/// Usages of a cgroup that are remembered, at least [`USAGE_STEP`] apart, to tell what grew in the time of [`GROWTH`].
const USAGES: usize = 32;
const USAGE_STEP: SignedDuration = SignedDuration::from_secs(9);
const GROWTH: SignedDuration = SignedDuration::from_mins(5);
/// Readings of the CPU's periods that are remembered, at least [`PERIODS_STEP`] apart.
const PERIODS: usize = 64;
const PERIODS_STEP: SignedDuration = SignedDuration::from_millis(900);

/// Everything that is known of one container instance.
#[derive(Debug)]
pub struct ContainerFile {
    /// Its id.
    pub id: ContainerId,
    /// When anybody first spoke of it.
    pub first_seen: Timestamp,
    /// When anybody last spoke of it.
    pub last_seen: Timestamp,
    /// The runtime's most advanced word.
    pub status: Option<cri::Container>,
    /// Who said so.
    pub status_by: Source,
    /// Its name as the kubelet's log directory tells it, for nodes whose CRI cannot be asked.
    pub log_name: Option<(Pod, String, Option<u32>)>,
    /// What the kubelet says of it, by itself or through the Pod's status.
    pub kubelet: Option<KubeletWord>,
    /// It is a pod's sandbox, not a container.
    pub sandbox: bool,
    /// The uid of its pod by its cgroup's path.
    pub pod_uid: Option<String>,
    /// Its cgroup.
    pub cgroup: Option<cgroup::Path>,
    /// When its cgroup was removed.
    pub cgroup_removed: Option<Timestamp>,
    /// Whose events told of it.
    pub events_by: Source,
    /// Pid of its main process, as the runtime's events tell it.
    pub task_pid: Option<i32>,
    /// When its main process was started, as the runtime's events tell it.
    pub task_started: Option<Timestamp>,
    /// Exit status of its main process, as the runtime's events tell it.
    pub task_exit: Option<Said<u32>>,
    /// Pids of processes that were started by exec.
    pub execs: BTreeSet<i32>,
    /// `/tasks/oom` events.
    pub task_ooms: Vec<Timestamp>,
    /// Signals that the runtime says it sent to its main process.
    pub runtime_kills: Vec<(Timestamp, i32)>,
    /// Its processes.
    pub processes: BTreeMap<i32, ProcessFile>,
    /// What its cgroup's files said.
    pub samples: Samples,
    /// The kernel killed the whole cgroup (memory.oom.group), by its own log.
    pub group_kills: Vec<Timestamp>,
    /// The kernel refused a fork in it, by its own log.
    pub forks_refused: Vec<Timestamp>,
}

/// What the kubelet says of a container instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeletWord {
    /// Its pod, with the uid that the node knows.
    pub pod: Pod,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: ContainerKind,
    /// Its image.
    pub image: String,
    /// Restarts before it.
    pub attempt: u32,
    /// How it ended, and when that was heard.
    pub ended: Option<Said<kube::Terminated>>,
}

/// A process of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFile {
    /// When it was last heard of.
    pub heard: Timestamp,
    /// Start time in clock ticks since boot, where known.
    pub start_ticks: Option<u64>,
    /// Its name, where known.
    pub name: Option<String>,
    /// Its pid in its own namespace, where known.
    pub namespaced_pid: Option<i32>,
}

impl ContainerFile {
    /// An empty file.
    pub fn new(id: ContainerId, at: Timestamp) -> Self {
        Self {
            id,
            first_seen: at,
            last_seen: at,
            status: None,
            status_by: Source::Cri,
            log_name: None,
            kubelet: None,
            sandbox: false,
            pod_uid: None,
            cgroup: None,
            cgroup_removed: None,
            events_by: Source::Containerd,
            task_pid: None,
            task_started: None,
            task_exit: None,
            execs: BTreeSet::new(),
            task_ooms: Vec::new(),
            runtime_kills: Vec::new(),
            processes: BTreeMap::new(),
            samples: Samples::default(),
            group_kills: Vec::new(),
            forks_refused: Vec::new(),
        }
    }

    /// Its pod, by the best witness.
    pub fn pod(&self) -> Option<&Pod> {
        let by_runtime = self.status.as_ref().map(|status| &status.pod);
        let by_kubelet = || self.kubelet.as_ref().map(|word| &word.pod);
        by_runtime.or_else(by_kubelet).or_else(|| self.log_name.as_ref().map(|(pod, _, _)| pod))
    }

    /// Its name in the pod, by the best witness.
    pub fn name(&self) -> Option<&str> {
        let by_runtime = self.status.as_ref().map(|status| status.name.as_str());
        let by_kubelet = || self.kubelet.as_ref().map(|word| word.name.as_str());
        by_runtime.or_else(by_kubelet).or_else(|| self.log_name.as_ref().map(|(_, name, _)| name.as_str()))
    }

    /// The uid of its pod as the node knows it.
    pub fn pod_uid(&self) -> Option<&str> {
        self.pod().map(|pod| pod.uid.as_str()).filter(|uid| !uid.is_empty()).or(self.pod_uid.as_deref())
    }

    /// Restarts before it, by the best witness.
    pub fn attempt(&self) -> Option<u32> {
        let by_runtime = self.status.as_ref().map(|status| status.attempt);
        let by_log = self.log_name.as_ref().and_then(|(_, _, attempt)| *attempt);
        by_runtime.or(by_log).or_else(|| self.kubelet.as_ref().map(|word| word.attempt))
    }

    /// Takes the kubelet's word. What it said of the end stays: later it may only say less.
    pub fn hear_kubelet(&mut self, word: KubeletWord) {
        let ended = self.kubelet.take().and_then(|known| known.ended);
        self.kubelet = Some(KubeletWord { ended: ended.or(word.ended), ..word });
    }

    /// Takes the runtime's word, unless a more advanced one is known: a container never runs again once it has exited.
    pub fn hear_status(&mut self, source: Source, status: cri::Container) {
        let rank = |state| match state {
            State::Unknown => 0,
            State::Created => 1,
            State::Running => 2,
            State::Exited => 3,
        };
        match &mut self.status {
            Some(known) if rank(known.state) > rank(status.state) => {
                // The verbose fields come only while it runs.
                known.pid = known.pid.or(status.pid);
                known.cgroups_path = known.cgroups_path.take().or(status.cgroups_path);
            }
            Some(known) => {
                let (pid, path) = (known.pid, known.cgroups_path.take());
                let limit = known.memory_limit.filter(|_| !status.limits_known);
                *known = status;
                self.status_by = source;
                known.pid = known.pid.or(pid);
                known.cgroups_path = known.cgroups_path.take().or(path);
                if limit.is_some() {
                    known.memory_limit = limit;
                    known.limits_known = true;
                }
            }
            None => {
                self.status = Some(status);
                self.status_by = source;
            }
        }
    }

    /// Learns of a process. Gives the pid that it had to forget for it, if any.
    pub fn hear_process(&mut self, pid: i32, process: &ProcessFile) -> Option<i32> {
        let known = self.processes.entry(pid).or_default();
        known.heard = known.heard.max(process.heard);
        known.start_ticks = known.start_ticks.or(process.start_ticks);
        known.namespaced_pid = known.namespaced_pid.or(process.namespaced_pid);
        if process.name.is_some() {
            known.name.clone_from(&process.name);
        }
        if self.processes.len() <= PROCESSES {
            return None;
        }
        let main = self.main_pid().or_else(|| self.oldest_pid());
        let others = self.processes.iter().filter(|(pid, _)| Some(**pid) != main);
        let oldest = others.min_by_key(|(pid, process)| (process.heard, **pid)).map(|(pid, _)| *pid)?;
        self.processes.remove(&oldest);
        Some(oldest)
    }

    /// Remembers a `/tasks/oom`.
    pub fn hear_task_oom(&mut self, at: Timestamp) {
        if self.task_ooms.len() < TASK_OOMS && !self.task_ooms.contains(&at) {
            self.task_ooms.push(at);
            self.task_ooms.sort();
        }
    }

    /// Takes an event of Docker's.
    pub fn hear_docker(&mut self, at: Timestamp, event: docker::Event) {
        self.events_by = Source::Docker;
        match event {
            docker::Event::Oom => self.hear_task_oom(at),
            docker::Event::Die { status: docker::LOST } => {}
            docker::Event::Die { status } => self.task_exit = Some(Said { at, what: status }),
            docker::Event::Kill { signal } => {
                if !self.runtime_kills.contains(&(at, signal)) {
                    self.runtime_kills.push((at, signal));
                    self.runtime_kills.sort();
                }
                if self.runtime_kills.len() > RUNTIME_KILLS {
                    self.runtime_kills.remove(0);
                }
            }
        }
    }

    /// The pid of its main process: by the runtime, else the process that is PID 1 of its namespace.
    pub fn main_pid(&self) -> Option<i32> {
        let by_status = || self.status.as_ref().and_then(|status| status.pid).filter(|pid| *pid > 0);
        let by_namespace = || self.processes.iter().find(|(_, p)| p.namespaced_pid == Some(1)).map(|(pid, _)| *pid);
        self.task_pid.or_else(by_status).or_else(by_namespace)
    }

    /// The pid of the process that started first, of those whose start is known. Where no runtime can be asked, that is
    /// the main process; where one can, its word may only be late, and this may be any child.
    pub fn oldest_pid(&self) -> Option<i32> {
        let started = self.processes.iter().filter(|(_, p)| p.start_ticks.is_some());
        started.min_by_key(|(pid, p)| (p.start_ticks, **pid)).map(|(pid, _)| *pid)
    }

    /// The container's own memory limit: `Some(None)` if it has none, `None` if nobody told.
    pub fn memory_limit(&self) -> Option<Option<u64>> {
        let by_cgroup = self.samples.latest.as_ref().and_then(|said| said.what.memory_limit).map(|limit| match limit {
            Limit::Limited(bytes) => Some(bytes),
            Limit::Unlimited => None,
        });
        let by_runtime = self.status.as_ref().filter(|status| status.limits_known).map(|status| status.memory_limit);
        by_cgroup.or(by_runtime)
    }

    /// What the runtime's events say of its end: who says so, and in which words.
    pub fn said_exit(&self) -> Option<(Source, Timestamp, String)> {
        let exit = self.task_exit.as_ref()?;
        let said = match self.events_by {
            Source::Docker => format!("die, exitCode {}", exit.what),
            _ => format!("/tasks/exit with status {}", exit.what),
        };
        Some((self.events_by, exit.at, said))
    }

    /// How the runtime's events call an OOM: who says so, and in which words.
    pub fn said_oom(&self) -> (Source, &'static str) {
        match self.events_by {
            Source::Docker => (Source::Docker, "oom"),
            _ => (Source::Containerd, "/tasks/oom"),
        }
    }

    /// How it ended, by the runtime: the code and when.
    pub fn reported_exit(&self) -> Option<Said<i32>> {
        let by_events = self
            .task_exit
            .as_ref()
            .map(|exit| Said { at: exit.at, what: i32::try_from(exit.what).unwrap_or(i32::MAX) });
        let exited = self.status.as_ref().filter(|status| status.state == State::Exited);
        let by_status =
            exited.map(|status| Said { at: status.finished_at.unwrap_or(self.last_seen), what: status.exit_code });
        let by_kubelet = || {
            let ended = self.kubelet.as_ref()?.ended.as_ref()?;
            Some(Said { at: ended.what.finished.unwrap_or(ended.at), what: ended.what.code })
        };
        by_events.or(by_status).or_else(by_kubelet)
    }
}

/// What the files of one cgroup said, over time.
#[derive(Debug, Default)]
pub struct Samples {
    /// The newest sample.
    pub latest: Option<Said<cgroup::Sample>>,
    /// The highest usage that any sample told.
    pub peak: Option<u64>,
    /// The newest sample that still had memory in use: what it consisted of before the end.
    pub last_use: Option<Said<cgroup::Sample>>,
    /// Usage over the last minutes, the oldest first.
    usage: VecDeque<(Timestamp, u64)>,
    /// Processes of this very cgroup were killed for memory.
    pub oom_kills: Rise,
    /// Processes of this cgroup or of any below it were killed for memory (v2).
    pub oom_kills_below: Rise,
    /// An allocation failed for the limit of this very cgroup (v2).
    pub ooms: Rise,
    /// The limit of this very cgroup was reached.
    pub limit_hits: Rise,
    /// Forks were refused for the limit of this very cgroup.
    pub pids_limit_hits: Rise,
    /// Scheduling periods, and those of them in which it was throttled, over the last minutes, the oldest first.
    periods: VecDeque<(Timestamp, u64, u64)>,
}

impl Samples {
    /// Takes a sample.
    pub fn hear(&mut self, at: Timestamp, sample: cgroup::Sample) {
        self.peak = self.peak.max(sample.memory_peak).max(sample.memory_usage);
        if let Some(usage) = sample.memory_usage
            && self.usage.back().is_none_or(|(last, _)| *last + USAGE_STEP <= at)
        {
            self.usage.push_back((at, usage));
            if self.usage.len() > USAGES {
                self.usage.pop_front();
            }
        }
        for (rise, count) in [
            (&mut self.oom_kills, sample.oom_kills),
            (&mut self.oom_kills_below, sample.oom_kills_below),
            (&mut self.ooms, sample.ooms),
            (&mut self.limit_hits, sample.limit_hits),
            (&mut self.pids_limit_hits, sample.pids_limit_hits),
        ] {
            if let Some(count) = count {
                rise.hear(at, count);
            }
        }
        if let (Some(all), Some(throttled)) = (sample.cpu_periods, sample.cpu_throttled_periods)
            && self.periods.back().is_none_or(|(last, _, _)| *last + PERIODS_STEP <= at)
        {
            self.periods.push_back((at, all, throttled));
            if self.periods.len() > PERIODS {
                self.periods.pop_front();
            }
        }
        let newer = |known: &Option<Said<cgroup::Sample>>| known.as_ref().is_none_or(|known| known.at <= at);
        let in_use = sample.anon.unwrap_or(0) > 0 || sample.file.unwrap_or(0) > 0;
        if in_use && newer(&self.last_use) {
            self.last_use = Some(Said { at, what: sample.clone() });
        }
        if newer(&self.latest) {
            self.latest = Some(Said { at, what: sample });
        }
    }
}

impl Samples {
    /// Scheduling periods between two moments, and those of them in which it was throttled, as far as they were read.
    pub fn throttled(&self, from: Timestamp, to: Timestamp) -> Option<(u64, u64)> {
        let before = self.periods.iter().rev().find(|(at, _, _)| *at <= from).or_else(|| self.periods.front())?;
        let after = self.periods.iter().rev().find(|(at, _, _)| *at <= to)?;
        Some((after.1.saturating_sub(before.1), after.2.saturating_sub(before.2)))
    }

    /// The newest usage before a moment, and by how much it had grown in the five minutes before.
    pub fn usage_at(&self, at: Timestamp) -> Option<(u64, u64)> {
        let before: Vec<_> = self.usage.iter().filter(|(t, _)| *t <= at && *t >= at - GROWTH).collect();
        let (_, last) = before.last()?;
        let (_, first) = before.first()?;
        Some((*last, last.saturating_sub(*first)))
    }
}

/// A counter of a cgroup that only grows, and when it was seen to grow.
#[derive(Clone, Debug, Default)]
pub struct Rise {
    first: Option<(Timestamp, u64)>,
    last: Option<(Timestamp, u64)>,
    /// The last growth: between these two moments.
    grown: Option<(Timestamp, Timestamp)>,
}

impl Rise {
    fn hear(&mut self, at: Timestamp, count: u64) {
        match self.last {
            Some((last_at, _)) if at < last_at => {}
            Some((last_at, last)) => {
                if count > last {
                    self.grown = Some((last_at, at));
                }
                self.last = Some((at, count));
            }
            None => {
                self.first = Some((at, count));
                self.last = Some((at, count));
            }
        }
    }

    /// The newest count.
    pub fn count(&self) -> Option<u64> {
        self.last.map(|(_, count)| count)
    }

    /// By how much it grew while it was watched.
    pub fn growth(&self) -> u64 {
        match (self.first, self.last) {
            (Some((_, first)), Some((_, last))) => last.saturating_sub(first),
            _ => 0,
        }
    }

    /// The last time it grew: between which two moments.
    pub fn grown(&self) -> Option<(Timestamp, Timestamp)> {
        self.grown
    }

    /// When it was first and last read.
    pub fn watched(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.first?.0, self.last?.0))
    }
}
