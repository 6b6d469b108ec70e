//! The case file of the node: its sources, its pods and containers, and what was said about its processes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use coroner_proto::v1::Node;
use jiff::{SignedDuration, Timestamp};

use super::{
    Subject,
    container::{ContainerFile, KubeletWord, ProcessFile, Samples},
    pod::PodFile,
    statements::{ByPid, Said},
};
use crate::observation::{
    Fact, Gap, Health, Observation, Source,
    cgroup::{self, Level},
    containerd::{TaskEvent, TaskEventKind},
    cri::{Container, ContainerId, Pod, Sandbox, State},
    disk::{FileSystem, Pids, Role},
    docker,
    kernel_log::{Event, Fault, Killed, OomSummary, Record},
    kube::{self, Change, Object, Terminated},
    kubelet,
    process::{NodeMemory, WaitStatus},
    trace,
};

/// Statements about processes that are kept, of each kind: a minute of the worst storm known (4,500 OOM kills).
const STATEMENTS: usize = 4608;
/// Containers whose files are kept. The kubelet's own limit is 110 pods by default and 500 in practice.
const CONTAINERS: usize = 4096;
/// Gaps of one source that are remembered.
const GAPS: usize = 32;
/// Pods whose files are kept.
const PODS: usize = 2048;
/// Other objects of the API that are kept, of each kind.
const OBJECTS: usize = 4096;
/// The kernel logs all lines of one kill within this time of one another.
const SAME_KILL: SignedDuration = SignedDuration::from_secs(1);

/// Whose word about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    Kubelet,
    Api,
    /// It is deleted; this is how it was.
    ApiLast,
}

/// Everything that is known of the node.
#[derive(Debug)]
pub struct NodeFile {
    /// Its names.
    pub node: Node,
    /// Its sources.
    pub sources: BTreeMap<Source, SourceFile>,
    /// Its containers and sandboxes.
    pub containers: BTreeMap<ContainerId, ContainerFile>,
    /// Its pods, by uid as the node knows it.
    pub pods: BTreeMap<String, PodFile>,
    /// All pods together and each QoS class: what their cgroups' files said, by path.
    pub kubepods: BTreeMap<String, Samples>,
    /// The node's memory, as last read.
    pub memory: Option<Said<NodeMemory>>,
    /// Its file systems, as last read.
    pub disks: BTreeMap<Role, Said<FileSystem>>,
    /// Its room for processes, as last read.
    pub pids: Option<Said<Pids>>,
    /// The kubelet's configuration.
    pub kubelet: Option<kubelet::Config>,
    /// Usage of the node, as the kubelet last measured it.
    pub stats: Option<Said<kubelet::NodeStats>>,
    /// The Node object.
    pub object: Option<kube::Node>,
    /// Workloads of the node's pods and what they belong to, by uid.
    pub workloads: BTreeMap<String, kube::Workload>,
    /// Claims, by namespace and name.
    pub claims: BTreeMap<(String, String), kube::Claim>,
    /// Container by pid: the newest owner.
    owners: BTreeMap<i32, ContainerId>,
    kills: ByPid<Line<Killed>>,
    summaries: ByPid<Line<OomSummary>>,
    victims: ByPid<trace::OomVictim>,
    /// Before Linux 5.0 the summary names no pid: (victim's cgroup, limit's cgroup) by time.
    legacy_summaries: BTreeMap<Timestamp, (String, String)>,
    /// Usage and limit of the cgroup that ran out, by time.
    limit_usages: BTreeMap<Timestamp, (u64, Option<u64>)>,
    /// Faults, by thread id.
    pub faults: ByPid<Line<Fault>>,
    /// Ends told by audit, by pid.
    pub audits: ByPid<Line<AuditedEnd>>,
    /// Signals, by target thread.
    pub signals: ByPid<trace::Signal>,
    /// Ends told by the kernel, by pid.
    pub exits: ByPid<WaitStatus>,
    arrivals: VecDeque<ContainerId>,
}

/// A line of the kernel log, read and as it stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<T> {
    /// Microseconds since boot, by the kernel's own clock: unlike its wall time, the same after a restart of the agent.
    pub boot_micros: u64,
    /// What it means.
    pub event: T,
    /// As it stood there.
    pub text: String,
}

/// The kernel's audit told of the end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditedEnd {
    /// The signal that ended it; 0 where seccomp only refused a call.
    pub signal: i32,
    /// The system call that seccomp refused.
    pub syscall: Option<i64>,
}

/// What is known of one source.
#[derive(Debug)]
pub struct SourceFile {
    /// How well it sees.
    pub health: Health,
    /// Since when.
    pub since: Timestamp,
    /// When it lost something: from, to.
    pub gaps: VecDeque<(Timestamp, Timestamp)>,
}

/// The kernel killed a process for memory: all that was said about it.
#[derive(Clone, Debug)]
pub struct OomKill<'a> {
    /// The process.
    pub pid: i32,
    /// When.
    pub at: Timestamp,
    /// The `Killed process` line.
    pub killed: Option<&'a Line<Killed>>,
    /// The `oom-kill:` line.
    pub summary: Option<&'a Line<OomSummary>>,
    /// Victim's and limit's cgroup where the kernel is older than 5.0.
    pub legacy: Option<&'a (String, String)>,
    /// The tracepoint `oom:mark_victim`.
    pub victim: Option<&'a trace::OomVictim>,
    /// Usage and limit of the cgroup that ran out.
    pub limit_usage: Option<(u64, Option<u64>)>,
}

impl OomKill<'_> {
    /// The cgroup whose limit was reached, by the kernel's own word.
    pub fn limit_cgroup(&self) -> Option<&str> {
        let by_summary = self.summary.and_then(|line| line.event.limit_cgroup.as_deref());
        by_summary.or_else(|| self.legacy.map(|(_, limit)| limit.as_str()))
    }

    /// The container that the victim was in, by the kernel's own word.
    pub fn victim_container(&self) -> Option<ContainerId> {
        let by_summary = self.summary.and_then(|line| line.event.victim_cgroup.as_deref());
        let path = by_summary.or_else(|| self.legacy.map(|(victim, _)| victim.as_str()))?;
        match cgroup::Path(path.to_owned()).level() {
            Level::Container { container_id, .. } => Some(ContainerId(container_id)),
            Level::Root | Level::Kubepods | Level::Pod { .. } | Level::Other => None,
        }
    }

    /// The victim's name, where anyone told it.
    pub fn name(&self) -> Option<&str> {
        let by_line = self.killed.map(|line| line.event.comm.as_str());
        by_line
            .or_else(|| self.summary.map(|line| line.event.comm.as_str()))
            .or_else(|| self.victim.and_then(|victim| victim.comm.as_deref()))
    }
}

impl NodeFile {
    /// An empty file.
    pub fn new(node: Node) -> Self {
        Self {
            node,
            sources: BTreeMap::new(),
            containers: BTreeMap::new(),
            pods: BTreeMap::new(),
            kubepods: BTreeMap::new(),
            memory: None,
            disks: BTreeMap::new(),
            pids: None,
            kubelet: None,
            stats: None,
            object: None,
            workloads: BTreeMap::new(),
            claims: BTreeMap::new(),
            owners: BTreeMap::new(),
            kills: ByPid::new(STATEMENTS),
            summaries: ByPid::new(STATEMENTS),
            victims: ByPid::new(STATEMENTS),
            legacy_summaries: BTreeMap::new(),
            limit_usages: BTreeMap::new(),
            faults: ByPid::new(STATEMENTS),
            audits: ByPid::new(STATEMENTS),
            signals: ByPid::new(STATEMENTS),
            exits: ByPid::new(STATEMENTS),
            arrivals: VecDeque::new(),
        }
    }

    /// How many statements about processes are kept.
    pub fn statements(&self) -> usize {
        let of_kernel = self.kills.len() + self.summaries.len() + self.faults.len() + self.audits.len();
        of_kernel + self.victims.len() + self.signals.len() + self.exits.len()
    }

    /// Files what was seen. Gives what it may concern.
    pub fn hear(&mut self, observation: Observation) -> BTreeSet<Subject> {
        let at = observation.happened_at;
        let mut pods = BTreeSet::new();
        let containers = self.hear_of_containers(observation, &mut pods);
        let mut concerned: BTreeSet<Subject> = BTreeSet::new();
        for uid in pods {
            if let Some(pod) = self.pods.get_mut(&uid) {
                pod.heard = pod.heard.max(at);
                concerned.extend(pod.containers.iter().cloned().map(Subject::Container));
            }
            concerned.insert(Subject::Pod(uid));
        }
        concerned.extend(containers.into_iter().map(Subject::Container));
        concerned
    }

    /// The containers that it may concern, and the pods as a whole.
    fn hear_of_containers(&mut self, observation: Observation, pods: &mut BTreeSet<String>) -> BTreeSet<ContainerId> {
        let at = observation.happened_at;
        let mut concerned = BTreeSet::new();
        match observation.fact {
            Fact::KernelLog(record) => self.hear_kernel(at, record, &mut concerned),
            Fact::Signal(signal) => {
                concerned.extend(self.owner(signal.target.tid));
                self.signals.add(signal.target.tid, at, signal);
            }
            Fact::OomVictim(victim) => {
                concerned.extend(self.owner(victim.pid));
                self.victims.add(victim.pid, at, victim);
            }
            Fact::ProcessExit(exit) => {
                concerned.extend(self.owner(exit.pid));
                self.exits.add(exit.pid, at, exit.status);
            }
            Fact::Process(process) => {
                let path = cgroup::Path(process.cgroup);
                if let Some(id) = self.place(&path, at) {
                    let file = ProcessFile {
                        heard: at,
                        start_ticks: Some(process.start_ticks),
                        name: Some(process.name),
                        namespaced_pid: process.namespaced_pid,
                    };
                    self.enrol(&id, process.pid, &file);
                    concerned.insert(id);
                }
            }
            Fact::Cgroup(sample) => self.hear_sample(at, sample, &mut concerned),
            Fact::CgroupRemoved(path) => {
                if let Level::Container { container_id, .. } = path.level() {
                    let id = ContainerId(container_id);
                    if let Some(file) = self.containers.get_mut(&id)
                        && file.cgroup.as_ref() == Some(&path)
                    {
                        file.cgroup_removed = Some(at);
                        concerned.insert(id);
                    }
                }
            }
            Fact::NodeMemory(memory) => self.memory = Some(Said { at, what: memory }),
            Fact::Container(status) => {
                pods.insert(status.pod.uid.clone());
                concerned.insert(status.id.clone());
                self.hear_status(at, Source::Cri, status);
            }
            Fact::ContainerName { id, pod, name, attempt } => {
                if !pod.uid.is_empty() {
                    self.pods.entry(pod.uid.clone()).or_default().containers.insert(id.clone());
                }
                self.file(&id, at).log_name = Some((pod, name, attempt));
                concerned.insert(id);
            }
            Fact::ContainerRemoved(id) => {
                if self.containers.contains_key(&id) {
                    self.file(&id, at);
                    concerned.insert(id);
                }
            }
            Fact::Sandbox(sandbox) => self.hear_sandbox(at, sandbox),
            Fact::SandboxRemoved(id) => {
                if self.containers.contains_key(&id) {
                    self.file(&id, at).sandbox = true;
                }
            }
            Fact::Task(event) => {
                concerned.insert(event.container.clone());
                self.hear_task(at, event);
            }
            Fact::Docker(docker::Word::Container(status)) => {
                pods.insert(status.pod.uid.clone());
                concerned.insert(status.id.clone());
                self.hear_status(at, Source::Docker, *status);
            }
            Fact::Docker(docker::Word::Sandbox(sandbox)) => self.hear_sandbox(at, sandbox),
            Fact::Docker(docker::Word::Event(id, event)) => {
                self.file(&id, at).hear_docker(at, event);
                concerned.insert(id);
            }
            Fact::Log(tail) => {
                let uid = tail.pod.uid.clone();
                self.pod(&uid, at).hear_log(tail);
                pods.insert(uid);
            }
            Fact::FileSystem(disk) => {
                self.disks.insert(disk.role, Said { at, what: disk });
            }
            Fact::Pids(room) => self.pids = Some(Said { at, what: room }),
            Fact::Object(change, object) => self.hear_object(at, change, object, pods),
            Fact::KubeletPod(pod) => self.hear_pod(at, Voice::Kubelet, *pod, pods),
            Fact::KubeletConfig(config) => self.kubelet = Some(config),
            Fact::KubeletSummary(summary) => {
                for stats in summary.pods {
                    if let Some(pod) = self.pods.get_mut(&stats.pod_ref.uid) {
                        pod.hear_stats(at, stats);
                    }
                }
                self.stats = Some(Said { at, what: summary.node });
            }
            Fact::KubeletHealth(_) => {}
            Fact::Health(source, health) => {
                self.sources.entry(source).or_insert_with(|| SourceFile::new(at)).health(at, health);
            }
            Fact::Gap(Gap { source, from, to, .. }) => {
                let file = self.sources.entry(source).or_insert_with(|| SourceFile::new(at));
                file.gaps.push_back((from, to));
                if file.gaps.len() > GAPS {
                    file.gaps.pop_front();
                }
            }
        }
        // What happens to a sandbox concerns the containers of its pod.
        let sandboxes: Vec<_> = concerned.iter().filter(|id| self.is_sandbox(id)).cloned().collect();
        for id in sandboxes {
            concerned.remove(&id);
            let uid = self.containers.get(&id).and_then(|file| file.pod_uid.clone());
            let pods = self.pods.iter().filter(|(u, pod)| Some(*u) == uid.as_ref() || pod.sandboxes.contains(&id));
            concerned.extend(pods.flat_map(|(_, pod)| pod.containers.iter().cloned()));
        }
        concerned
    }

    fn hear_object(&mut self, at: Timestamp, change: Change, object: Object, pods: &mut BTreeSet<String>) {
        match object {
            Object::Pod(pod) => {
                let voice = if change == Change::Deleted { Voice::ApiLast } else { Voice::Api };
                self.hear_pod(at, voice, *pod, pods);
            }
            Object::Event(event) if event.about.kind == "Pod" => {
                if change == Change::Applied && !event.about.uid.is_empty() {
                    let uid = self.node_uid(&event.about.uid);
                    self.pod(&uid, at).hear_event(at, *event);
                    pods.insert(uid);
                }
            }
            Object::Node(node) => {
                if self.node.name.is_empty() || node.meta.name == self.node.name {
                    self.object = Some(*node);
                }
            }
            Object::Workload(workload) => {
                let asks = |pod: &PodFile| pod.object().is_some_and(|pod| pod.deletion.is_some());
                pods.extend(self.pods.iter().filter(|(_, pod)| asks(pod)).map(|(uid, _)| uid.clone()));
                if change == Change::Applied || self.workloads.contains_key(&workload.meta.uid) {
                    self.workloads.insert(workload.meta.uid.clone(), *workload);
                }
                while self.workloads.len() > OBJECTS {
                    self.workloads.pop_first();
                }
            }
            Object::Claim(claim) => {
                let key = (claim.meta.namespace.clone(), claim.meta.name.clone());
                let waiting = self.pods.iter().filter(|(_, pod)| pod.claims(&key.0).any(|name| name == key.1));
                pods.extend(waiting.map(|(uid, _)| uid.clone()));
                match change {
                    Change::Applied => self.claims.insert(key, *claim),
                    Change::Deleted => self.claims.remove(&key),
                };
                while self.claims.len() > OBJECTS {
                    self.claims.pop_first();
                }
            }
            Object::Event(_)
            | Object::Service(_)
            | Object::EndpointSlice(_)
            | Object::Ingress(_)
            | Object::ResourceQuota(_)
            | Object::LimitRange(_) => {}
        }
    }

    fn hear_pod(&mut self, at: Timestamp, voice: Voice, pod: kube::Pod, pods: &mut BTreeSet<String>) {
        let elsewhere = !self.node.name.is_empty() && pod.node != self.node.name;
        if elsewhere || pod.node_uid.is_empty() {
            return;
        }
        let uid = pod.node_uid.clone();
        let names = Pod { namespace: pod.meta.namespace.clone(), name: pod.meta.name.clone(), uid: uid.clone() };
        for status in &pod.statuses {
            let restarts = u32::try_from(status.restarts).unwrap_or_default();
            let ended = |ended: &Terminated, attempt| (ended.id.clone(), attempt, Some(ended.clone()));
            let now = match &status.state {
                kube::State::Terminated(terminated) => ended(terminated, restarts),
                kube::State::Running { .. } => (status.id.clone(), restarts, None),
                kube::State::Waiting { .. } => (String::new(), restarts, None),
            };
            let before = status.last.as_ref().map(|last| ended(last, restarts.saturating_sub(1)));
            for (id, attempt, ended) in before.into_iter().chain([now]) {
                if id.is_empty() {
                    continue;
                }
                let id = ContainerId(id);
                // The status repeats an end as long as the pod is there: nothing new, and no sign of life.
                let known = self.containers.get(&id).and_then(|file| file.kubelet.as_ref());
                if known.is_some_and(|word| word.ended.is_some()) {
                    continue;
                }
                let born = ended.as_ref().and_then(|ended| ended.started).map_or(at, |started| started.min(at));
                self.file(&id, born).hear_kubelet(KubeletWord {
                    pod: names.clone(),
                    name: status.name.clone(),
                    kind: status.kind,
                    image: status.image.clone(),
                    attempt,
                    ended: ended.map(|what| Said { at, what }),
                });
                self.file(&id, at);
                self.pods.entry(uid.clone()).or_default().containers.insert(id);
            }
        }
        let file = self.pod(&uid, at);
        file.pod.get_or_insert(names);
        match voice {
            Voice::Kubelet => file.kubelet = Some(pod),
            Voice::Api => file.api = Some(pod),
            Voice::ApiLast => {
                file.api = Some(pod);
                file.gone = Some(at);
            }
        }
        pods.insert(uid);
    }

    /// A pod's file, opened if need be. The one of which nobody spoke for longest makes room where there are too many.
    fn pod(&mut self, uid: &str, at: Timestamp) -> &mut PodFile {
        if !self.pods.contains_key(uid) && self.pods.len() >= PODS {
            let idle = self.pods.iter().filter(|(_, pod)| pod.containers.is_empty() && pod.sandboxes.is_empty());
            if let Some(oldest) = idle.min_by_key(|(uid, pod)| (pod.heard, *uid)).map(|(uid, _)| uid.clone()) {
                self.pods.remove(&oldest);
            }
        }
        let file = self.pods.entry(uid.to_owned()).or_default();
        file.heard = file.heard.max(at);
        file
    }

    /// The uid that the node knows a pod by, from the API's.
    fn node_uid(&self, uid: &str) -> String {
        let is_mirror = |file: &&PodFile| file.api.as_ref().is_some_and(|pod| pod.meta.uid == uid);
        let mirrored = if self.pods.contains_key(uid) { None } else { self.pods.values().find(is_mirror) };
        mirrored.and_then(|file| file.api.as_ref()).map_or(uid, |pod| &pod.node_uid).to_owned()
    }

    /// Forgets a pod that is gone and of which nothing is left here.
    pub fn forget_pod(&mut self, uid: &str) {
        let done = |pod: &PodFile| pod.containers.is_empty() && pod.sandboxes.is_empty();
        if self.pods.get(uid).is_some_and(done) {
            self.pods.remove(uid);
        }
    }

    fn hear_kernel(&mut self, at: Timestamp, record: Record, concerned: &mut BTreeSet<ContainerId>) {
        // Only the kernel itself writes with facility 0; a line of any other may be forged.
        if record.facility != 0 {
            return;
        }
        let Some(event) = Event::parse(&record.text) else { return };
        let (text, boot_micros) = (record.text, record.boot_micros);
        match event {
            Event::Killed(killed) => {
                if let Some((_, (victim, _))) = self.legacy_summaries.range(at - SAME_KILL..=at).next_back() {
                    let path = cgroup::Path(victim.clone());
                    self.enrol_victim(&path, killed.pid, Some(&killed.comm), at, concerned);
                } else if let Some(id) = self.group_killed_near(at)
                    && self.owner(killed.pid).is_none()
                {
                    self.enrol(&id, killed.pid, &ProcessFile { heard: at, ..ProcessFile::default() });
                }
                concerned.extend(self.owner(killed.pid));
                self.kills.add(killed.pid, at, Line { boot_micros, event: killed, text });
            }
            Event::OomSummary(summary) => {
                if let Some(path) = summary.victim_cgroup.clone().map(cgroup::Path) {
                    self.enrol_victim(&path, summary.pid, Some(&summary.comm), at, concerned);
                }
                concerned.extend(self.owner(summary.pid));
                self.summaries.add(summary.pid, at, Line { boot_micros, event: summary, text });
            }
            Event::LegacySummary { victim_cgroup, limit_cgroup } => {
                self.legacy_summaries.insert(at, (victim_cgroup, limit_cgroup));
                shrink(&mut self.legacy_summaries);
            }
            Event::LimitUsage { usage, limit } => {
                self.limit_usages.insert(at, (usage, limit));
                shrink(&mut self.limit_usages);
            }
            Event::GroupKill { cgroup } => {
                if let Some(id) = self.place(&cgroup::Path(cgroup), at) {
                    let file = self.file(&id, at);
                    if !file.group_kills.contains(&at) {
                        file.group_kills.push(at);
                    }
                    concerned.insert(id);
                }
            }
            Event::Fault(fault) => {
                concerned.extend(self.owner(fault.tid));
                self.faults.add(fault.tid, at, Line { boot_micros, event: fault, text });
            }
            Event::Seccomp { pid, signal, syscall, .. } => {
                concerned.extend(self.owner(pid));
                self.audits.add(
                    pid,
                    at,
                    Line { boot_micros, event: AuditedEnd { signal, syscall: Some(syscall) }, text },
                );
            }
            Event::AbnormalEnd { pid, signal, .. } => {
                concerned.extend(self.owner(pid));
                self.audits.add(pid, at, Line { boot_micros, event: AuditedEnd { signal, syscall: None }, text });
            }
            Event::ForkRejected { cgroup } => {
                if let Some(id) = self.place(&cgroup::Path(cgroup), at) {
                    let file = self.file(&id, at);
                    if !file.forks_refused.contains(&at) {
                        file.forks_refused.push(at);
                    }
                    concerned.insert(id);
                }
            }
            Event::OomInvoked { .. } | Event::HardwareMemoryError { .. } => {}
        }
    }

    /// The container whose cgroup was killed as a group around this moment.
    fn group_killed_near(&self, at: Timestamp) -> Option<ContainerId> {
        let near = |kill: &&Timestamp| **kill <= at && at.duration_since(**kill) <= SAME_KILL;
        let mut killed = self.containers.values().filter(|file| file.group_kills.iter().rev().any(|k| near(&k)));
        let only = killed.next()?;
        killed.next().is_none().then(|| only.id.clone())
    }

    fn enrol_victim(
        &mut self,
        path: &cgroup::Path,
        pid: i32,
        name: Option<&str>,
        at: Timestamp,
        concerned: &mut BTreeSet<ContainerId>,
    ) {
        if let Some(id) = self.place(path, at) {
            self.enrol(&id, pid, &ProcessFile { heard: at, name: name.map(str::to_owned), ..ProcessFile::default() });
            concerned.insert(id);
        }
    }

    fn hear_sample(&mut self, at: Timestamp, sample: cgroup::Sample, concerned: &mut BTreeSet<ContainerId>) {
        let path = cgroup::Path(sample.path.clone());
        match path.level() {
            Level::Container { .. } => {
                let Some(id) = self.place(&path, at) else { return };
                for pid in &sample.processes {
                    self.enrol(&id, *pid, &ProcessFile { heard: at, ..ProcessFile::default() });
                }
                let own = self.containers.get(&id).is_some_and(|file| file.cgroup.as_ref() == Some(&path));
                if own && let Some(file) = self.containers.get_mut(&id) {
                    file.samples.hear(at, sample);
                    concerned.insert(id);
                }
            }
            Level::Pod { pod_uid } => {
                let pod = self.pods.entry(pod_uid).or_default();
                pod.cgroup = Some(path);
                pod.samples.hear(at, sample);
                concerned.extend(pod.containers.iter().cloned());
            }
            Level::Kubepods | Level::Root => self.kubepods.entry(path.0).or_default().hear(at, sample),
            Level::Other => {}
        }
    }

    fn hear_status(&mut self, at: Timestamp, source: Source, status: Container) {
        let id = status.id.clone();
        let uid = status.pod.uid.clone();
        let running = status.pid.filter(|_| status.state == State::Running);
        let born = status.started_at.or(status.created_at).unwrap_or(at);
        self.file(&id, born.min(at)).hear_status(source, status);
        self.file(&id, at);
        self.pod(&uid, at).containers.insert(id.clone());
        if let Some(pid) = running {
            self.enrol(&id, pid, &ProcessFile { heard: at, namespaced_pid: Some(1), ..ProcessFile::default() });
        }
    }

    fn hear_sandbox(&mut self, at: Timestamp, sandbox: Sandbox) {
        let file = self.pods.entry(sandbox.pod.uid.clone()).or_default();
        file.pod = Some(sandbox.pod);
        file.containers.remove(&sandbox.id);
        file.sandboxes.insert(sandbox.id.clone());
        self.file(&sandbox.id, at).sandbox = true;
    }

    fn hear_task(&mut self, at: Timestamp, event: TaskEvent) {
        let id = event.container;
        match event.kind {
            TaskEventKind::Start { pid } => {
                let file = self.file(&id, at);
                file.task_pid = Some(pid);
                file.task_started = Some(at);
                self.enrol(&id, pid, &ProcessFile { heard: at, namespaced_pid: Some(1), ..ProcessFile::default() });
            }
            TaskEventKind::ExecStarted { pid, .. } => {
                self.file(&id, at).execs.insert(pid);
                self.enrol(&id, pid, &ProcessFile { heard: at, ..ProcessFile::default() });
            }
            TaskEventKind::Oom => self.file(&id, at).hear_task_oom(at),
            TaskEventKind::Exit { process_id, pid, status, exited_at } => {
                if process_id == id.0 {
                    let file = self.file(&id, at);
                    file.task_pid = Some(pid);
                    file.task_exit = Some(Said { at: exited_at.unwrap_or(at), what: status });
                    self.enrol(&id, pid, &ProcessFile { heard: at, ..ProcessFile::default() });
                }
            }
            TaskEventKind::Delete { status, exited_at } => {
                let file = self.file(&id, at);
                if file.task_exit.is_none() && file.task_started.is_some() {
                    file.task_exit = Some(Said { at: exited_at.unwrap_or(at), what: status });
                }
            }
        }
    }

    /// The file of the container that a cgroup belongs to, opened if need be. `None` for what is no container.
    fn place(&mut self, path: &cgroup::Path, at: Timestamp) -> Option<ContainerId> {
        let Level::Container { pod_uid, container_id } = path.level() else { return None };
        let id = ContainerId(container_id);
        let own = path.container();
        let pod_path = path.pod();
        let file = self.file(&id, at);
        if file.cgroup.is_none() {
            file.cgroup = own;
        }
        if !pod_uid.is_empty() {
            file.pod_uid = Some(pod_uid.clone());
            let pod = self.pods.entry(pod_uid).or_default();
            if pod.cgroup.is_none() {
                pod.cgroup = pod_path;
            }
            if !pod.sandboxes.contains(&id) {
                pod.containers.insert(id.clone());
            }
        }
        Some(id)
    }

    /// A container's file, opened if need be. The oldest file makes room where there are too many.
    fn file(&mut self, id: &ContainerId, at: Timestamp) -> &mut ContainerFile {
        if !self.containers.contains_key(id) {
            self.arrivals.push_back(id.clone());
            while self.arrivals.len() > CONTAINERS {
                if let Some(oldest) = self.arrivals.pop_front() {
                    self.forget(&oldest);
                }
            }
        }
        let file = self.containers.entry(id.clone()).or_insert_with(|| ContainerFile::new(id.clone(), at));
        file.first_seen = file.first_seen.min(at);
        file.last_seen = file.last_seen.max(at);
        file
    }

    /// Closes a container's file for good.
    pub fn forget(&mut self, id: &ContainerId) {
        self.arrivals.retain(|known| known != id);
        if let Some(file) = self.containers.remove(id) {
            for pid in file.processes.keys() {
                if self.owners.get(pid) == Some(id) {
                    self.owners.remove(pid);
                }
            }
        }
        self.pods.retain(|_, pod| {
            let was = pod.containers.remove(id) | pod.sandboxes.remove(id);
            let api_has_it = pod.gone.is_none() && (pod.api.is_some() || pod.kubelet.is_some());
            !(was && pod.containers.is_empty() && pod.sandboxes.is_empty() && !api_has_it)
        });
    }

    fn enrol(&mut self, id: &ContainerId, pid: i32, process: &ProcessFile) {
        self.owners.insert(pid, id.clone());
        let forgotten = self.containers.get_mut(id).and_then(|file| file.hear_process(pid, process));
        if let Some(pid) = forgotten
            && self.owners.get(&pid) == Some(id)
        {
            self.owners.remove(&pid);
        }
    }

    /// The container that a process belongs to, as last known.
    pub fn owner(&self, pid: i32) -> Option<ContainerId> {
        self.owners.get(&pid).cloned()
    }

    /// Whether an id is that of a sandbox.
    pub fn is_sandbox(&self, id: &ContainerId) -> bool {
        self.containers.get(id).is_some_and(|file| file.sandbox)
            || self.pods.values().any(|pod| pod.sandboxes.contains(id))
    }

    /// The pod of a container.
    pub fn pod_of(&self, file: &ContainerFile) -> Option<&PodFile> {
        self.pods.get(file.pod_uid()?)
    }

    /// The pid of a container's main process. Only where there is no runtime to ask, the oldest process stands for it.
    pub fn main_pid(&self, file: &ContainerFile) -> Option<i32> {
        let absent = |source| matches!(self.sources.get(&source).map(|file| &file.health), Some(Health::Absent(_)));
        let has_docker = self.sources.contains_key(&Source::Docker) && !absent(Source::Docker);
        let nobody_to_ask = absent(Source::Cri) && absent(Source::Containerd) && !has_docker;
        let unheard = file.status.is_none() && file.task_started.is_none();
        file.main_pid().or_else(|| if nobody_to_ask && unheard { file.oldest_pid() } else { None })
    }

    /// Whether, and how, the kernel last killed a process of this pid for memory between two moments.
    pub fn oom_kill(&self, pid: i32, from: Timestamp, to: Timestamp) -> Option<OomKill<'_>> {
        let last_line = self.kills.of(pid, from, to).next_back().map(|(at, _)| at);
        let last = last_line.max(self.victims.of(pid, from, to).next_back().map(|(at, _)| at))?;
        // In a group kill the kernel writes the line of its first victim twice.
        let from = from.max(last - SAME_KILL);
        let killed = self.kills.of(pid, from, to).next();
        let summary = self.summaries.of(pid, from, to).next();
        let victim = self.victims.of(pid, from, to).next();
        let at = killed.map(|(at, _)| at).or_else(|| summary.map(|(at, _)| at)).or_else(|| victim.map(|(at, _)| at))?;
        let around = at - SAME_KILL..=at;
        let unsummed = killed.is_some() && summary.is_none();
        let legacy = if unsummed { self.legacy_summaries.range(around.clone()).next_back() } else { None };
        let usage = if summary.is_some() || legacy.is_some() {
            self.limit_usages.range(around).next_back().map(|(_, usage)| *usage)
        } else {
            None
        };
        Some(OomKill {
            pid,
            at,
            killed: killed.map(|(_, line)| line),
            summary: summary.map(|(_, line)| line),
            legacy: legacy.map(|(_, cgroups)| cgroups),
            victim: victim.map(|(_, victim)| victim),
            limit_usage: usage,
        })
    }

    /// A process that the OOM killer chose between two moments, and of which no container is known.
    pub fn unowned_victim(&self, from: Timestamp, to: Timestamp) -> Option<i32> {
        let mut victims =
            self.victims.iter().filter(|(pid, at, _)| (from..=to).contains(at) && self.owner(*pid).is_none());
        victims.next().map(|(pid, _, _)| pid)
    }

    /// Whether a source was there and lost nothing between two moments. Without this, its silence means nothing.
    pub fn covered(&self, source: Source, from: Timestamp, to: Timestamp) -> bool {
        self.sources.get(&source).is_some_and(|file| {
            file.health == Health::Ok
                && file.since <= from
                && !file.gaps.iter().any(|(start, end)| *start <= to && *end >= from)
        })
    }
}

impl SourceFile {
    fn new(at: Timestamp) -> Self {
        Self { health: Health::Absent(String::new()), since: at, gaps: VecDeque::new() }
    }

    fn health(&mut self, at: Timestamp, health: Health) {
        if self.health != health {
            self.health = health;
            self.since = at;
        }
    }
}

/// Keeps the newest entries of what is only needed for a moment.
fn shrink<T>(map: &mut BTreeMap<Timestamp, T>) {
    while map.len() > 256 {
        map.pop_first();
    }
}
