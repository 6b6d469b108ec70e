//! The file systems that pods and images live on, by statvfs(2), and the node's room for processes.

/// A file system, and what the kubelet uses it for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// What it is to the kubelet.
    pub role: Role,
    /// A directory on it.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Bytes left to those who are not root (`f_bavail`), as the kubelet counts.
    pub bytes_available: u64,
    /// All its inodes.
    pub inodes: u64,
    /// Inodes left.
    pub inodes_available: u64,
}

/// What a file system is to the kubelet. The same may stand for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The kubelet's own: volumes, logs (`nodefs`).
    Node,
    /// Images (`imagefs`).
    Image,
    /// What containers write (`containerfs`).
    Container,
}

impl Role {
    /// The beginning of its eviction signals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "nodefs",
            Self::Image => "imagefs",
            Self::Container => "containerfs",
        }
    }
}

/// Room for processes and threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pids {
    /// As many are possible: the smaller of `pid_max` and `threads-max`.
    pub max: u64,
    /// As many there are (the fourth field of /proc/loadavg).
    pub current: u64,
}
