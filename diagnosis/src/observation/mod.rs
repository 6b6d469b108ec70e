//! What a source reports: one [`Observation`] is one thing seen on the node, when, and by which source. Sources decide
//! nothing.

pub mod cgroup;
pub mod containerd;
pub mod cri;
pub mod disk;
pub mod docker;
mod health;
pub mod kernel_log;
pub mod kube;
pub mod kubelet;
pub mod log;
pub mod node;
pub mod process;
pub mod trace;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::health::{Health, Reason};

/// One thing seen on the node.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// When the source got it, by the node's wall clock.
    pub seen_at: Timestamp,
    /// When it happened: by the source's own clock where it has one (converted to wall time by the source), else
    /// [`seen_at`](Self::seen_at).
    pub happened_at: Timestamp,
    /// What the source reports.
    pub fact: Fact,
}

/// What a source can report, by source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A record of the kernel log, of any facility.
    KernelLog(kernel_log::Record),
    /// A signal was generated.
    Signal(trace::Signal),
    /// The kernel's OOM killer chose a victim.
    OomVictim(trace::OomVictim),
    /// The files of a cgroup, as they were read.
    Cgroup(cgroup::Sample),
    /// A cgroup's directory is gone.
    CgroupRemoved(cgroup::Path),
    /// A process was seen in a cgroup.
    Process(process::Process),
    /// A process ended.
    ProcessExit(process::Exit),
    /// The node's memory.
    NodeMemory(process::NodeMemory),
    /// The CRI's word about a container.
    Container(cri::Container),
    /// The runtime no longer knows this container.
    ContainerRemoved(cri::ContainerId),
    /// The CRI's word about a sandbox.
    Sandbox(cri::Sandbox),
    /// The runtime no longer knows this sandbox.
    SandboxRemoved(cri::ContainerId),
    /// An event of containerd's own stream.
    Task(containerd::TaskEvent),
    /// Docker's word.
    Docker(docker::Report),
    /// The container of an ID, from the kubelet's log links. Does not include its state.
    ContainerName {
        /// The container's id.
        id: cri::ContainerId,
        /// Its pod; the uid is empty where the link's target does not contain it.
        pod: cri::Pod,
        /// Its name.
        name: String,
        /// Restart count, from the name of the log file, if it contains it.
        attempt: Option<u32>,
    },
    /// The end of a container's log.
    Log(log::Tail),
    /// A file system of the node.
    FileSystem(disk::FileSystem),
    /// The node's process table.
    Pids(disk::Pids),
    /// The API server's word about an object.
    Object(kube::Change, kube::Object),
    /// The Lease of a node.
    Lease(kube::Lease),
    /// The kubelet's word about a pod: ahead of the API server's, and there while that is away.
    KubeletPod(Box<kube::Pod>),
    /// The kubelet's configuration.
    KubeletConfig(kubelet::Config),
    /// Usage as the kubelet measures it.
    KubeletSummary(Box<kubelet::Summary>),
    /// What a check of the node as a whole reports.
    Node(node::Reading),
    /// A source reports how well it observes, at start and at each change.
    Health(Source, Health),
    /// A source has passed on everything that it could observe until this happened.
    ReadUpTo(Source),
    /// A source lost something.
    Gap(Gap),
}

impl Fact {
    /// The source that reports facts of this kind.
    pub fn source(&self) -> Source {
        match self {
            Self::KernelLog(_) => Source::KernelLog,
            Self::Signal(_) | Self::OomVictim(_) => Source::Signals,
            Self::Cgroup(_) | Self::CgroupRemoved(_) => Source::Cgroups,
            Self::Process(_) | Self::NodeMemory(_) | Self::Pids(_) => Source::Procfs,
            Self::ProcessExit(_) => Source::ProcessEvents,
            Self::Container(_) | Self::ContainerRemoved(_) | Self::Sandbox(_) | Self::SandboxRemoved(_) => Source::Cri,
            Self::Task(_) => Source::Containerd,
            Self::Docker(_) => Source::Docker,
            Self::ContainerName { .. } => Source::ContainerLogs,
            Self::Log(_) => Source::Logs,
            Self::FileSystem(_) => Source::Disk,
            Self::Object(_, object) => Source::Api(object.kind()),
            Self::Lease(_) => Source::Leases,
            Self::KubeletPod(_) | Self::KubeletConfig(_) | Self::KubeletSummary(_) => Source::Kubelet,
            Self::Node(_) => Source::NodeChecks,
            Self::Health(source, _) | Self::ReadUpTo(source) | Self::Gap(Gap { source, .. }) => *source,
        }
    }
}

/// An interface of the node or the API server that is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// /dev/kmsg, or syslog(2) where the device is refused.
    KernelLog,
    /// The files of cgroup v1 or v2.
    Cgroups,
    /// The runtime's CRI socket.
    Cri,
    /// containerd's own event stream.
    Containerd,
    /// Docker's API: its events, and the containers as it inspects them.
    Docker,
    /// The kubelet's links to the logs of containers: their identity where the CRI cannot be had.
    ContainerLogs,
    /// The ends of the logs of containers.
    Logs,
    /// Tracepoints of the kernel: who sent which signal to whom, and whom the OOM killer chose.
    Signals,
    /// /proc.
    Procfs,
    /// The kernel's process connector: how every process ended.
    ProcessEvents,
    /// The file systems, by statvfs(2).
    Disk,
    /// The kubelet's HTTP endpoints.
    Kubelet,
    /// The checks of the node as a whole: its daemons, its way to the API server, pressure, certificates, clocks.
    NodeChecks,
    /// The API server's watch of one kind of objects.
    Api(kube::Kind),
    /// The Leases by which kubelets show that they live.
    Leases,
    /// What the agents of all nodes report of their nodes.
    NodeReports,
    /// Attempts to connect to a node, by the aggregator and by agents of other nodes.
    Probes,
}

impl Source {
    /// Those of the node itself, in the order in which they are shown.
    pub const OF_NODE: [Self; 13] = [
        Self::KernelLog,
        Self::Cgroups,
        Self::Cri,
        Self::Containerd,
        Self::Docker,
        Self::ContainerLogs,
        Self::Logs,
        Self::Signals,
        Self::Procfs,
        Self::ProcessEvents,
        Self::Disk,
        Self::Kubelet,
        Self::NodeChecks,
    ];

    /// Its name on the wire and in evidence.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KernelLog => "kernel_log",
            Self::Cgroups => "cgroups",
            Self::Cri => "cri",
            Self::Containerd => "containerd",
            Self::Docker => "docker",
            Self::ContainerLogs => "container_logs",
            Self::Logs => "logs",
            Self::Signals => "signals",
            Self::Procfs => "procfs",
            Self::ProcessEvents => "process_events",
            Self::Disk => "disk",
            Self::Kubelet => "kubelet",
            Self::NodeChecks => "node_checks",
            Self::Api(kind) => kind.name(),
            Self::Leases => "leases",
            Self::NodeReports => "node_reports",
            Self::Probes => "probes",
        }
    }
}

/// A source lost something: what happened between `from` and `to` may be unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The source that lost something.
    pub source: Source,
    /// Why it was lost.
    pub reason: GapReason,
    /// The last moment before the loss.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
    /// How many things were lost, where that is known.
    pub lost: Option<u64>,
}

/// Why a source lost something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// It was overwritten before it was read.
    Overrun,
    /// The connection broke, and what happened meanwhile could not be asked for.
    Disconnected,
    /// A bounded queue of the agent was full.
    Overload,
}
