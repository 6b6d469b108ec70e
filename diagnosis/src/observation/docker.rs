//! What Docker reports about the kubelet's containers, on nodes where cri-dockerd stands between the two.
//!
//! Mirrors moby's `daemon/{monitor,kill,events}.go`; a container is described in the CRI's terms, as cri-dockerd's
//! `core/container_status.go` gives them. Known inaccuracies: `oom`, and the reason `OOMKilled`, are about any process
//! of the container, on cgroup v1 also about its pod, and the reason sticks to whatever end comes later; a status is
//! 128 + n for a signal n as for a status of that value.

use serde::{Deserialize, Serialize};

use crate::observation::cri::{Container, ContainerId, Sandbox};

/// The status that Docker makes up for a container whose shim died under it, with an event `die` and all. A program's
/// own 255 looks the same.
pub const LOST: u32 = 255;

/// A statement of Docker about its containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// A container, as it was inspected.
    Container(Box<Container>),
    /// A pod's sandbox, as it was inspected.
    Sandbox(Sandbox),
    /// An event of a container or sandbox.
    Event(ContainerId, Event),
}

/// What happened to a container or sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// `oom`: some cgroup that it belongs to ran out of memory (v1), or a process of it was killed for memory (v2).
    Oom,
    /// `kill`: Docker sent its main process a signal on request. Ends by themselves, and kills by the
    /// kernel or by other processes, have no such event.
    Kill {
        /// The signal.
        signal: i32,
    },
    /// `die`: its main process ended.
    Die {
        /// Exit status, or 128 + signal.
        status: u32,
    },
}
