//! The file systems of pods and images, by statvfs(2), and the node's process table.

use serde::{Deserialize, Serialize};

/// A file system, and what the kubelet uses it for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    /// What it is to the kubelet.
    pub role: Role,
    /// The path of a directory on it, on the node.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Bytes left to those who are not root (`f_bavail`), as the kubelet counts.
    pub bytes_available: u64,
    /// The number of all inodes.
    pub inodes: u64,
    /// The number of free inodes.
    pub inodes_available: u64,
}

/// What a file system is to the kubelet. The same may stand for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The kubelet's own: volumes, logs (`nodefs`).
    Node,
    /// Images (`imagefs`).
    Image,
    /// What containers write (`containerfs`).
    Container,
}

impl Role {
    /// The first part of its eviction signals: `nodefs.available`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "nodefs",
            Self::Image => "imagefs",
            Self::Container => "containerfs",
        }
    }
}

/// The number of processes and threads, and its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    /// The highest possible number: the smaller of `pid_max` and `threads-max`.
    pub max: u64,
    /// The present number (the fourth field of /proc/loadavg).
    pub current: u64,
}
