//! Processes: what /proc and the process connector report, and the node's memory.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::signal::signal_name;

/// A process, seen in a cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id (thread group id) in the node's pid namespace.
    pub pid: i32,
    /// The pid of the parent (/proc/PID/stat, field 4).
    pub parent: i32,
    /// Start time in clock ticks since boot (/proc/PID/stat, field 22): pid and start time together are unique.
    pub start_ticks: u64,
    /// The `comm` of the process, at most 15 bytes.
    pub name: String,
    /// Its pid in its own pid namespace (/proc/PID/status, last of NSpid), where it was read: 1 is a container's main
    /// process.
    pub namespaced_pid: Option<i32>,
    /// Its cgroup path (memory controller or v2), from the hierarchy's root.
    pub cgroup: String,
    /// It is about to end, or has ended: a zombie, exiting, or with SIGKILL pending. The kernel's kills send SIGKILL
    /// before they are logged.
    pub ending: bool,
}

/// A process ended (process connector, `PROC_EVENT_EXIT`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The process ID, in the initial pid namespace.
    pub pid: i32,
    /// How, as wait(2) would report it to its parent.
    pub status: WaitStatus,
}

/// How a process ended, as reported by the kernel: unlike a runtime's exit code, it distinguishes a signal from a
/// status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitStatus {
    /// By exit(2), with this status (0 to 255).
    Exited(u8),
    /// By this signal.
    Signaled(u8),
}

impl fmt::Display for WaitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with status {status}"),
            Self::Signaled(signal) => write!(f, "ended by {}", signal_name((*signal).into())),
        }
    }
}

impl WaitStatus {
    /// From the kernel's raw status word, as in `task_struct.exit_code`: the low 7 bits are a signal, bit 7 means that
    /// there is a core dump, and the next 8 bits are the status.
    pub fn from_raw(raw: u32) -> Self {
        let low = |value: u32| u8::try_from(value & 0xff).unwrap_or(u8::MAX);
        match raw & 0x7f {
            0 => Self::Exited(low(raw >> 8)),
            signal => Self::Signaled(low(signal)),
        }
    }

    /// What a runtime would report for it: the status, or 128 + the signal.
    pub fn as_exit_code(self) -> i32 {
        match self {
            Self::Exited(status) => i32::from(status),
            Self::Signaled(signal) => 128 + i32::from(signal),
        }
    }
}

/// The node's memory (/proc/meminfo), in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeMemory {
    /// All memory in bytes: MemTotal.
    pub total: u64,
    /// Available memory in bytes: MemAvailable.
    pub available: u64,
}
