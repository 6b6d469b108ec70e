//! What of its subject a diagnosis is about.

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
    /// The end of the instance, or of the pod as a whole.
    End,
    /// The kill of one of a container's processes.
    Process {
        /// Pid.
        pid: i32,
        /// When the kernel logged the kill, in microseconds since boot: with it, a pid that is used again is another process.
        boot_micros: Option<u64>,
    },
}

impl Aspect {
    /// Whether it is a state, which may be over, and not a moment.
    pub fn is_state(&self) -> bool {
        match self {
            Self::Start { .. }
            | Self::Ready { .. }
            | Self::Resize
            | Self::Schedule
            | Self::Create
            | Self::Route
            | Self::Stop { .. } => true,
            Self::Hook { .. } | Self::Status { .. } | Self::End | Self::Process { .. } => false,
        }
    }

    /// Whether it is a moment that may happen again to the same subject.
    pub fn recurs(&self) -> bool {
        matches!(self, Self::Hook { .. })
    }

    /// The container that a pod's aspect is about.
    pub fn container(&self) -> &str {
        match self {
            Self::Start { container }
            | Self::Ready { container }
            | Self::Hook { container }
            | Self::Status { container }
            | Self::Stop { container } => container,
            Self::Resize | Self::Schedule | Self::Create | Self::Route | Self::End | Self::Process { .. } => "",
        }
    }

    /// Its part of a uid.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Start { container } => format!("start/{container}"),
            Self::Ready { container } => format!("ready/{container}"),
            Self::Hook { container } => format!("hook/{container}"),
            Self::Resize => "resize".to_owned(),
            Self::Schedule => "schedule".to_owned(),
            Self::Create => "create".to_owned(),
            Self::Route => "route".to_owned(),
            Self::Status { container } => format!("status/{container}"),
            Self::Stop { container } => format!("stop/{container}"),
            Self::End => "end".to_owned(),
            Self::Process { pid, boot_micros } => format!("process/{pid}/{}", boot_micros.unwrap_or_default()),
        }
    }
}
