//! The case file of the node: hands each observation to what keeps it.

mod kernel;
mod kills;
mod kube;
mod runtime;
mod state;

pub use state::{DaemonFile, NodeState, TroubleFile};

use std::collections::{BTreeMap, BTreeSet};

use coroner_proto::v1::Node;
use jiff::{SignedDuration, Timestamp};

use super::{
    Closing, container::ContainerFile, coverage::Coverage, objects::Objects, pod::PodFile, processes::Processes,
    registry::Registry, statements::Statement, subject::Subject,
};
use crate::observation::{
    Fact, Observation, Source,
    cgroup::{self, Level},
    cri::ContainerId,
    disk::{FileSystem, Pids, Role},
    docker, kubelet,
    process::NodeMemory,
    trace::Signal,
};

/// Everything that is known of the node.
#[derive(Debug, Default)]
pub struct NodeFile {
    /// The names and ids of the node.
    pub node: Node,
    /// Its containers and pods.
    pub registry: Registry,
    /// Statements about processes, by pid and time.
    pub processes: Processes,
    /// Health and gaps of the sources.
    pub coverage: Coverage,
    /// Objects that its pods refer to, and its own.
    pub objects: Objects,
    /// The node's memory, as last read.
    pub memory: Option<Statement<NodeMemory>>,
    /// Its file systems, as last read.
    pub disks: BTreeMap<Role, Statement<FileSystem>>,
    /// Its process table, as last read.
    pub pids: Option<Statement<Pids>>,
    /// The kubelet's configuration, where it was read.
    pub kubelet: Option<kubelet::Config>,
    /// Usage of the node, as the kubelet last measured it.
    pub stats: Option<Statement<kubelet::NodeStats>>,
    /// Its daemons, its way to the API server, and what its kernel reports.
    pub state: NodeState,
}

/// How far the clocks of two sources that report the same moment may differ.
pub const CLOCKS: SignedDuration = SignedDuration::from_secs(2);

/// The containers and pods that an observation may concern.
type Concerned = BTreeSet<Subject>;

impl NodeFile {
    /// The file of a node of which only names and ids are known.
    pub fn new(node: Node) -> Self {
        Self { node, ..Self::default() }
    }

    /// Files what was seen. Gives what it may concern.
    pub fn record(&mut self, observation: Observation) -> BTreeSet<Subject> {
        let at = observation.happened_at;
        self.registry.advance(observation.seen_at);
        let mut concerned = Concerned::new();
        match observation.fact {
            Fact::KernelLog(record) => self.record_kernel(at, observation.seen_at, record, &mut concerned),
            Fact::Signal(signal) => {
                self.concern_owner(signal.target.tid, &mut concerned);
                self.processes.signals.add(signal.target.tid, at, signal);
            }
            Fact::OomVictim(victim) => self.record_victim(at, victim, &mut concerned),
            Fact::ProcessExit(exit) => self.record_process_exit(at, &exit, &mut concerned),
            Fact::Process(process) => self.record_process(at, process, &mut concerned),
            Fact::Cgroup(sample) => self.record_sample(at, sample, &mut concerned),
            Fact::CgroupRemoved(path) => self.record_cgroup_removed(at, &path, &mut concerned),
            Fact::Container(status) => self.record_status(at, Source::Cri, status, &mut concerned),
            Fact::ContainerName { id, pod, name, attempt } => {
                self.registry.record(&id, at, |file| file.log_name = Some((pod, name, attempt)));
                concerned.insert(Subject::Container(id));
            }
            Fact::ContainerRemoved(id) => self.record_removed(at, &id, &mut concerned),
            Fact::Sandbox(sandbox) => self.record_sandbox(at, &sandbox, &mut concerned),
            Fact::SandboxRemoved(id) => self.record_sandbox_removed(at, &id, &mut concerned),
            Fact::Task(event) => self.record_task(at, event, &mut concerned),
            Fact::Docker(docker::Report::Container(status)) => {
                self.record_status(at, Source::Docker, *status, &mut concerned);
            }
            Fact::Docker(docker::Report::Sandbox(sandbox)) => self.record_sandbox(at, &sandbox, &mut concerned),
            Fact::Docker(docker::Report::Event(id, event)) => self.record_docker(at, &id, event, &mut concerned),
            Fact::Log(tail) => {
                let uid = tail.pod.uid.clone();
                self.registry.record_pod(&uid, at, |pod| pod.record_log(tail));
                self.concern_pod(at, uid, &mut concerned);
            }
            Fact::Object(change, object) => self.record_object(at, change, object, &mut concerned),
            Fact::KubeletPod(pod) => self.record_kubelet_pod(at, *pod, &mut concerned),
            Fact::KubeletSummary(summary) => self.record_summary(at, *summary),
            Fact::KubeletConfig(config) => self.kubelet = Some(config),
            Fact::Lease(_) => {}
            Fact::Node(reading) => self.record_reading(at, reading, &mut concerned),
            Fact::NodeMemory(memory) => {
                self.memory = Some(Statement { at, what: memory });
                concerned.insert(Subject::Node);
            }
            Fact::FileSystem(disk) => {
                self.disks.insert(disk.role, Statement { at, what: disk });
            }
            Fact::Pids(table) => self.pids = Some(Statement { at, what: table }),
            Fact::Health(source, health) => self.coverage.record_health(at, source, health),
            Fact::ReadUpTo(source) => self.coverage.record_read(at, source),
            Fact::Gap(gap) => {
                self.coverage.record_gap(at, &gap);
                self.concern_ended(gap.from, gap.to, &mut concerned);
            }
        }
        concerned
    }

    /// Lets time pass: closes files of what ended long enough ago, and forgets what nothing refers to any more.
    pub fn expire(&mut self, now: Timestamp) {
        self.registry.advance(now);
        self.registry.expire(&self.coverage);
        self.processes.expire(now);
        let registry = &self.registry;
        self.objects.expire(now, |uid| registry.controlled_by(uid).next().is_some());
    }

    /// When [`expire`](Self::expire) has something to do.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        [self.registry.next_expiry(), self.objects.next_expiry()].into_iter().flatten().min()
    }

    /// Takes out the subjects whose files have been closed since this was last asked, and why.
    pub fn take_closed(&mut self) -> Vec<(Subject, Closing)> {
        self.registry.take_closed()
    }

    /// What concerns a sandbox concerns the containers of its pod.
    fn concern(&self, id: &ContainerId, concerned: &mut Concerned) {
        let Some(uid) = self.registry.sandbox(id) else {
            concerned.insert(Subject::Container(id.clone()));
            return;
        };
        let containers = self.registry.pod(uid).into_iter().flat_map(|pod| &pod.containers);
        concerned.extend(containers.cloned().map(Subject::Container));
    }

    fn concern_owner(&self, pid: i32, concerned: &mut Concerned) {
        if let Some(id) = self.registry.owner(pid) {
            self.concern(id, concerned);
        }
    }

    /// Between these moments a source has lost something: verdicts on what ended then may rest on its silence.
    fn concern_ended(&self, from: Timestamp, to: Timestamp, concerned: &mut Concerned) {
        let from = from.saturating_sub(CLOCKS).unwrap_or(from);
        let to = to.saturating_add(CLOCKS).unwrap_or(to);
        let is_within = |file: &&ContainerFile| file.reported_exit().is_some_and(|end| (from..=to).contains(&end.at));
        let ended = self.registry.containers().filter(is_within);
        concerned.extend(ended.map(|file| Subject::Container(file.id.clone())));
    }

    /// Something was reported of a pod as a whole: it concerns all its containers.
    fn concern_pod(&mut self, at: Timestamp, uid: String, concerned: &mut Concerned) {
        self.registry.record_pod(&uid, at, |pod| pod.last_report = pod.last_report.max(at));
        let containers = self.registry.pod(&uid).into_iter().flat_map(|pod| &pod.containers);
        concerned.extend(containers.cloned().map(Subject::Container));
        concerned.insert(Subject::Pod(uid));
    }
}

// What rules ask that takes several of its parts.
impl NodeFile {
    /// Whether a source was there and lost nothing between two moments. Without this, its silence means nothing.
    pub fn covered(&self, source: Source, from: Timestamp, to: Timestamp) -> bool {
        self.coverage.covered(source, from, to)
    }

    /// The container or sandbox that a process belongs to, as last known.
    pub fn owner(&self, pid: i32) -> Option<&ContainerId> {
        self.registry.owner(pid)
    }

    /// Whether a signal came from inside a container: by what was last known of the sender's process, or by its cgroup
    /// as /proc showed it. Such a program may call itself anything.
    pub fn is_sent_from_container(&self, signal: &Signal) -> bool {
        let cgroup = signal.sender_process.as_ref().and_then(|process| process.cgroup.clone());
        let is_of_pod = |level| matches!(level, Level::Container { pod_uid, .. } if !pod_uid.is_empty());
        self.owner(signal.sender_pid()).is_some() || cgroup.is_some_and(|path| is_of_pod(cgroup::Path(path).level()))
    }

    /// The file of the pod that a container belongs to, if it is known.
    pub fn pod_of(&self, file: &ContainerFile) -> Option<&PodFile> {
        self.registry.pod(file.pod_uid()?)
    }

    /// The pid of a container's main process. Only where there is no runtime to ask, the oldest process stands for it.
    pub fn main_pid(&self, file: &ContainerFile) -> Option<i32> {
        let coverage = &self.coverage;
        let no_source_left = coverage.is_absent(Source::Cri)
            && coverage.is_absent(Source::Containerd)
            && coverage.is_unknown_or_absent(Source::Docker);
        let unreported = file.status.is_none() && file.task_started.is_none();
        file.main_pid().or_else(|| if no_source_left && unreported { file.oldest_pid() } else { None })
    }

    /// A process that the OOM killer chose between two moments, and of which no container is known.
    pub fn unowned_victim(&self, from: Timestamp, to: Timestamp) -> Option<i32> {
        self.processes.victims(from, to).find(|pid| self.owner(*pid).is_none())
    }
}
