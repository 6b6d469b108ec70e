//! What of its subject a diagnosis is about.

use crate::observation::{kernel_log::TroubleKind, node::Daemon};

/// What of its subject a diagnosis is about. Part of its uid: the cause never is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// That a container, or the pod as a whole, does not start.
    Start {
        /// The container's name; empty for the pod as a whole.
        container: String,
    },
    /// That a container runs and is not ready.
    Ready {
        /// The container's name.
        container: String,
    },
    /// That a hook of a container fails.
    Hook {
        /// The container's name.
        container: String,
    },
    /// What the kubelet reports of the end of a container.
    Status {
        /// The container's name.
        container: String,
    },
    /// That a device of a container is not healthy.
    Device {
        /// The container's name.
        container: String,
    },
    /// That its resources are not changed as wanted.
    Resize,
    /// That no node takes it.
    Schedule,
    /// That its pods cannot be created.
    Create,
    /// That no traffic gets through it.
    Route,
    /// That it does not end.
    Stop {
        /// The container's name; empty for the pod as a whole.
        container: String,
    },
    /// That it is deleted and cannot go, because its node is lost.
    Lost,
    /// That it was removed without its node's part.
    Removal,
    /// That a node, or its agent, gives no sign.
    Silence,
    /// That many nodes, or the control plane, cannot be reached.
    Path,
    /// That a node goes on purpose.
    Leave,
    /// That a node was restarted.
    Boot {
        /// The id of the boot that began.
        id: String,
    },
    /// The state of a part of the node.
    Node(Part),
    /// The end of the instance, or of the pod as a whole.
    End,
    /// The kill of one of a container's processes.
    Process {
        /// Pid.
        pid: i32,
        /// When the kernel logged the kill, in microseconds since boot: with it, a pid that is used again is another
        /// process.
        boot_micros: Option<u64>,
    },
}

impl Aspect {
    /// Whether it is a state, which may be over, and not a moment.
    pub fn is_state(&self) -> bool {
        match self {
            Self::Start { .. }
            | Self::Ready { .. }
            | Self::Device { .. }
            | Self::Resize
            | Self::Schedule
            | Self::Create
            | Self::Route
            | Self::Lost
            | Self::Silence
            | Self::Path
            | Self::Node(_)
            | Self::Stop { .. } => true,
            Self::Hook { .. }
            | Self::Status { .. }
            | Self::Removal
            | Self::Leave
            | Self::Boot { .. }
            | Self::End
            | Self::Process { .. } => false,
        }
    }

    /// Whether it is a moment that may happen again to the same subject.
    pub fn recurs(&self) -> bool {
        matches!(self, Self::Hook { .. } | Self::Leave)
    }

    /// The name of the container; empty for an aspect of the pod as a whole.
    pub fn container(&self) -> &str {
        match self {
            Self::Start { container }
            | Self::Ready { container }
            | Self::Device { container }
            | Self::Hook { container }
            | Self::Status { container }
            | Self::Stop { container } => container,
            Self::Resize
            | Self::Schedule
            | Self::Create
            | Self::Route
            | Self::Lost
            | Self::Removal
            | Self::Silence
            | Self::Path
            | Self::Leave
            | Self::Boot { .. }
            | Self::Node(_)
            | Self::End
            | Self::Process { .. } => "",
        }
    }

    /// Its part of a uid.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Start { container } => format!("start/{container}"),
            Self::Ready { container } => format!("ready/{container}"),
            Self::Hook { container } => format!("hook/{container}"),
            Self::Device { container } => format!("device/{container}"),
            Self::Resize => "resize".to_owned(),
            Self::Schedule => "schedule".to_owned(),
            Self::Create => "create".to_owned(),
            Self::Route => "route".to_owned(),
            Self::Status { container } => format!("status/{container}"),
            Self::Stop { container } => format!("stop/{container}"),
            Self::Lost => "lost".to_owned(),
            Self::Removal => "removal".to_owned(),
            Self::Silence => "silence".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Leave => "leave".to_owned(),
            Self::Boot { id } => format!("boot/{id}"),
            Self::Node(part) => part.key(),
            Self::End => "end".to_owned(),
            Self::Process { pid, boot_micros } => format!("process/{pid}/{}", boot_micros.unwrap_or_default()),
        }
    }
}

/// A part of a node, each of which may be in a bad state by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The kubelet.
    Kubelet,
    /// The container runtime.
    Runtime,
    /// The way to the API server.
    ApiServer,
    /// Memory.
    Memory,
    /// Disk space.
    Disk,
    /// Process IDs.
    Pids,
    /// The network plugin.
    Network,
    /// The kubelet's certificate.
    Certificate,
    /// The clock.
    Clock,
    /// One kind of faults of the kernel.
    Kernel(TroubleKind),
    /// Volumes and disks that processes wait for.
    Volumes,
    /// The connection tracking table.
    Conntrack,
    /// The neighbour table.
    Neighbours,
    /// Open files.
    Files,
}

impl Part {
    fn key(self) -> String {
        let name = match self {
            Self::Kubelet => "kubelet",
            Self::Runtime => "runtime",
            Self::ApiServer => "api_server",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Pids => "pids",
            Self::Network => "network",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::Kernel(kind) => return format!("node/kernel/{kind}"),
            Self::Volumes => "volumes",
            Self::Conntrack => "conntrack",
            Self::Neighbours => "neighbours",
            Self::Files => "files",
        };
        format!("node/{name}")
    }
}

impl From<Daemon> for Part {
    fn from(daemon: Daemon) -> Self {
        match daemon {
            Daemon::Kubelet => Self::Kubelet,
            Daemon::Runtime => Self::Runtime,
        }
    }
}
