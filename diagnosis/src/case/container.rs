//! The case file of one container instance.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{samples::Samples, statements::Statement};
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
/// Times that the OOM killer chose one of its processes, times of kills as a group and of refused forks that are
/// remembered.
const TIMES: usize = 64;

/// Everything that is known of one container instance.
#[derive(Debug)]
pub struct ContainerFile {
    /// The runtime's ID of the instance.
    pub id: ContainerId,
    /// When the first happened that is known of it.
    pub first_seen: Timestamp,
    /// When the last happened that is known of it.
    pub last_seen: Timestamp,
    /// When something was last recorded of it.
    pub(super) recorded: Timestamp,
    /// The pod whose file lists it.
    pub(super) filed_under: Option<String>,
    /// The most advanced status that the runtime reported.
    pub status: Option<cri::Container>,
    /// The source that reported [`status`](Self::status).
    pub status_by: Source,
    /// Its name by the kubelet's log directory, for nodes whose CRI cannot be asked.
    pub log_name: Option<(Pod, String, Option<u32>)>,
    /// What the kubelet reports of it, by itself or through the Pod's status.
    pub kubelet: Option<KubeletStatus>,
    /// The uid of its pod by its cgroup's path.
    pub pod_uid: Option<String>,
    /// The path of its cgroup, once one was observed.
    pub cgroup: Option<cgroup::Path>,
    /// When its cgroup was removed.
    pub cgroup_removed: Option<Timestamp>,
    /// When the runtime removed it.
    pub removed: Option<Timestamp>,
    /// The source of the runtime's events about it: containerd or Docker.
    pub events_by: Source,
    /// Pid of its main process, by the runtime's events.
    pub task_pid: Option<i32>,
    /// When its main process was started, by the runtime's events.
    pub task_started: Option<Timestamp>,
    /// Exit status of its main process, by the runtime's events.
    pub task_exit: Option<Statement<u32>>,
    /// The times of containerd's events `/tasks/oom`.
    pub task_ooms: Vec<Timestamp>,
    /// Signals that the runtime reports to have sent to its main process.
    pub runtime_kills: Vec<(Timestamp, i32)>,
    /// Its processes, by their pids; mostly one.
    pub processes: BTreeMap<i32, Box<ProcessFile>>,
    /// When the OOM killer was reported to have chosen which of its processes.
    kills: BTreeSet<(Timestamp, i32)>,
    /// What was sampled of its cgroup.
    pub samples: Samples,
    /// The kernel killed the whole cgroup (memory.oom.group), by its own log.
    pub group_kills: BTreeSet<Timestamp>,
    /// The kernel refused a fork in it, by its own log.
    pub forks_refused: BTreeSet<Timestamp>,
}

/// What the kubelet reports of a container instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeletStatus {
    /// Its pod, with the uid that the node knows.
    pub pod: Pod,
    /// The container's name in the Pod.
    pub name: String,
    /// Main, init, sidecar or ephemeral.
    pub kind: ContainerKind,
    /// The image, as the Pod names it.
    pub image: String,
    /// How often it was restarted before.
    pub attempt: u32,
    /// How it ended, and when that was reported.
    pub ended: Option<Statement<kube::Terminated>>,
}

/// What is known of one process of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFile {
    /// When /proc or an event last showed it.
    pub seen: Timestamp,
    /// When it was started, in clock ticks since boot (field 22 of /proc/PID/stat); `None` if it was not read.
    pub start_ticks: Option<u64>,
    /// Its `comm`, where known.
    pub name: Option<String>,
    /// Its pid in the container's pid namespace, where known.
    pub namespaced_pid: Option<i32>,
    /// Whether it was started by exec.
    pub exec: bool,
    /// When it ended, where that was seen.
    pub ended: Option<Timestamp>,
    /// When /proc last showed that it was not about to end.
    pub alive: Option<Timestamp>,
    /// When /proc last showed that it was about to end, or had ended.
    pub ending: Option<Timestamp>,
}

impl ContainerFile {
    /// The file of an instance of which only its id is known, first observed at `at`.
    pub fn new(id: ContainerId, at: Timestamp) -> Self {
        Self {
            id,
            first_seen: at,
            last_seen: at,
            recorded: at,
            filed_under: None,
            status: None,
            status_by: Source::Cri,
            log_name: None,
            kubelet: None,
            pod_uid: None,
            cgroup: None,
            cgroup_removed: None,
            removed: None,
            events_by: Source::Containerd,
            task_pid: None,
            task_started: None,
            task_exit: None,
            task_ooms: Vec::new(),
            runtime_kills: Vec::new(),
            processes: BTreeMap::new(),
            kills: BTreeSet::new(),
            samples: Samples::default(),
            group_kills: BTreeSet::new(),
            forks_refused: BTreeSet::new(),
        }
    }

    /// Its pod: by the runtime, else by the kubelet, else by its log links.
    pub fn pod(&self) -> Option<&Pod> {
        let by_runtime = self.status.as_ref().map(|status| &status.pod);
        let by_kubelet = || self.kubelet.as_ref().map(|status| &status.pod);
        by_runtime.or_else(by_kubelet).or_else(|| self.log_name.as_ref().map(|(pod, _, _)| pod))
    }

    /// Its name in the pod, by the best source.
    pub fn name(&self) -> Option<&str> {
        let by_runtime = self.status.as_ref().map(|status| status.name.as_str());
        let by_kubelet = || self.kubelet.as_ref().map(|status| status.name.as_str());
        by_runtime.or_else(by_kubelet).or_else(|| self.log_name.as_ref().map(|(_, name, _)| name.as_str()))
    }

    /// The uid of its pod as the node knows it.
    pub fn pod_uid(&self) -> Option<&str> {
        self.pod().map(|pod| pod.uid.as_str()).filter(|uid| !uid.is_empty()).or(self.pod_uid.as_deref())
    }

    /// How often it was restarted before, by the best source.
    pub fn attempt(&self) -> Option<u32> {
        let by_runtime = self.status.as_ref().map(|status| status.attempt);
        let by_log = self.log_name.as_ref().and_then(|(_, _, attempt)| *attempt);
        by_runtime.or(by_log).or_else(|| self.kubelet.as_ref().map(|status| status.attempt))
    }

    /// Records what the kubelet reports. What it reported of the end stays: later it may only report less.
    pub(super) fn record_kubelet(&mut self, status: KubeletStatus) {
        let ended = self.kubelet.take().and_then(|known| known.ended);
        self.kubelet = Some(KubeletStatus { ended: ended.or(status.ended), ..status });
    }

    /// Records the runtime's status, unless a more advanced one is known: a container never runs again once it has
    /// exited.
    pub(super) fn record_status(&mut self, source: Source, status: cri::Container) {
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

    /// Records a process. Gives the pid that it had to forget for it, if any.
    pub(super) fn record_process(&mut self, pid: i32, process: &ProcessFile) -> Option<i32> {
        let known = self.processes.entry(pid).or_default();
        // Who is seen again has not ended: the pid is another's now.
        known.ended = process.ended.or_else(|| known.ended.filter(|ended| *ended >= process.seen));
        known.seen = known.seen.max(process.seen);
        // Of another start, the pid is another process' now.
        if process.start_ticks.is_some() && process.start_ticks != known.start_ticks {
            (known.alive, known.ending) = (None, None);
            known.start_ticks = process.start_ticks;
        }
        known.namespaced_pid = known.namespaced_pid.or(process.namespaced_pid);
        known.exec |= process.exec;
        known.alive = known.alive.max(process.alive);
        known.ending = known.ending.max(process.ending);
        if process.name.is_some() {
            known.name.clone_from(&process.name);
        }
        if self.processes.len() <= PROCESSES {
            return None;
        }
        let main = self.main_pid().or_else(|| self.oldest_pid());
        let others = self.processes.iter().filter(|(pid, _)| Some(**pid) != main);
        // Those that have ended go first.
        let oldest = others.min_by_key(|(pid, process)| (process.ended.is_none(), process.seen, **pid));
        let oldest = oldest.map(|(pid, _)| *pid)?;
        self.processes.remove(&oldest);
        Some(oldest)
    }

    /// Forgets processes that ended before `until`, the main one excepted. Gives their pids.
    pub(super) fn forget_processes(&mut self, until: Timestamp) -> Vec<i32> {
        let main = self.main_pid();
        let over: Vec<i32> = self
            .processes
            .iter()
            .filter(|(pid, process)| Some(**pid) != main && process.ended.is_some_and(|ended| ended < until))
            .map(|(pid, _)| *pid)
            .collect();
        for pid in &over {
            self.processes.remove(pid);
        }
        over
    }

    /// Records a report that the OOM killer has chosen one of its processes.
    pub(super) fn record_kill(&mut self, at: Timestamp, pid: i32) {
        self.kills.insert((at, pid));
        while self.kills.len() > TIMES {
            self.kills.pop_first();
        }
    }

    /// When the OOM killer was reported to have chosen which of its processes, between two moments, as far as
    /// remembered. Of one kill there may be several times.
    pub fn kills(&self, from: Timestamp, to: Timestamp) -> impl DoubleEndedIterator<Item = (Timestamp, i32)> {
        let range = if from <= to { Some(self.kills.range((from, i32::MIN)..=(to, i32::MAX))) } else { None };
        range.into_iter().flatten().copied()
    }

    /// Records that the kernel killed the whole cgroup.
    pub(super) fn record_group_kill(&mut self, at: Timestamp) {
        insert_bounded(&mut self.group_kills, at);
    }

    /// Records that the kernel refused a fork.
    pub(super) fn record_refused_fork(&mut self, at: Timestamp) {
        insert_bounded(&mut self.forks_refused, at);
    }

    /// Records a `/tasks/oom`.
    pub(super) fn record_task_oom(&mut self, at: Timestamp) {
        if self.task_ooms.len() < TASK_OOMS && !self.task_ooms.contains(&at) {
            self.task_ooms.push(at);
            self.task_ooms.sort();
        }
    }

    /// Records an event of Docker's.
    pub(super) fn record_docker(&mut self, at: Timestamp, event: docker::Event) {
        self.events_by = Source::Docker;
        match event {
            docker::Event::Oom => self.record_task_oom(at),
            docker::Event::Die { status: docker::LOST } => {}
            docker::Event::Die { status } => self.task_exit = Some(Statement { at, what: status }),
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

    /// When it ended, as far as any source has reported: its exit, the removal of its cgroup, or that the runtime has
    /// forgotten it.
    pub fn ended_at(&self) -> Option<Timestamp> {
        let exit = self.reported_exit().map(|exit| exit.at);
        [exit, self.cgroup_removed, self.removed].into_iter().flatten().min()
    }

    /// When it ended, or was last seen if no source has ever reported that it lives. `None` while it lives.
    pub(super) fn retired(&self) -> Option<Timestamp> {
        let was_alive = self.status.is_some()
            || self.samples.latest.is_some()
            || self.task_started.is_some()
            || self.kubelet.is_some();
        self.ended_at().or_else(|| (!was_alive).then_some(self.last_seen))
    }

    /// Whether a process was started by exec.
    pub fn is_exec(&self, pid: i32) -> bool {
        self.processes.get(&pid).is_some_and(|process| process.exec)
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

    /// The container's own memory limit: `Some(None)` if it has none, `None` if it is not known.
    pub fn memory_limit(&self) -> Option<Option<u64>> {
        let started = self.task_started.or_else(|| self.status.as_ref()?.started_at);
        let by_cgroup = self.samples.latest.as_ref().and_then(|sample| match sample.what.memory_limit? {
            Limit::Limited(bytes) => Some(Some(bytes)),
            // The runtime makes the cgroup, sets its limit, and starts the container then.
            Limit::Unlimited => started.is_none_or(|started| sample.at >= started).then_some(None),
        });
        let by_runtime = self.status.as_ref().filter(|status| status.limits_known).map(|status| status.memory_limit);
        by_cgroup.or(by_runtime)
    }

    /// What the runtime's events report about its end: the source, and the text.
    pub fn exit_reported(&self) -> Option<(Source, Timestamp, String)> {
        let exit = self.task_exit.as_ref()?;
        let statement = match self.events_by {
            Source::Docker => format!("die, exitCode {}", exit.what),
            _ => format!("/tasks/exit with status {}", exit.what),
        };
        Some((self.events_by, exit.at, statement))
    }

    /// What the runtime's events report about an OOM: the source, and the text.
    pub fn reported_oom(&self) -> (Source, &'static str) {
        match self.events_by {
            Source::Docker => (Source::Docker, "oom"),
            _ => (Source::Containerd, "/tasks/oom"),
        }
    }

    /// How it ended, by the runtime: the code and when.
    pub fn reported_exit(&self) -> Option<Statement<i32>> {
        let by_events = self
            .task_exit
            .as_ref()
            .map(|exit| Statement { at: exit.at, what: i32::try_from(exit.what).unwrap_or(i32::MAX) });
        let exited = self.status.as_ref().filter(|status| status.state == State::Exited);
        let by_status =
            exited.map(|status| Statement { at: status.finished_at.unwrap_or(self.last_seen), what: status.exit_code });
        let by_kubelet = || {
            let ended = self.kubelet.as_ref()?.ended.as_ref()?;
            Some(Statement { at: ended.what.finished.unwrap_or(ended.at), what: ended.what.code })
        };
        by_events.or(by_status).or_else(by_kubelet)
    }
}

fn insert_bounded(times: &mut BTreeSet<Timestamp>, at: Timestamp) {
    times.insert(at);
    while times.len() > TIMES {
        times.pop_first();
    }
}
