//! What the CRI (v1) reports about containers and sandboxes, pruned to what a diagnosis needs.
//!
//! Mirrors `k8s.io/cri-api/pkg/apis/runtime/v1/api.proto` and the labels of `pkg/kubelet/kuberuntime/labels.go`.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A container's or sandbox' id, as the runtime gives it: usually 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerId(pub String);

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pod, with the names by which the runtime knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// The namespace that the pod is in.
    pub namespace: String,
    /// The name of the Pod object.
    pub name: String,
    /// The uid; for a static pod the hash of its manifest, 32 hex digits.
    pub uid: String,
}

/// One instance of a container: each restart makes another, with an ID of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Container {
    /// The runtime's ID of the container.
    pub id: ContainerId,
    /// Its pod, from the labels `io.kubernetes.pod.*`.
    pub pod: Pod,
    /// Its name, from the label `io.kubernetes.container.name`.
    pub name: String,
    /// How often the container was restarted before, from the metadata.
    pub attempt: u32,
    /// How far the instance has come, by the runtime.
    pub state: State,
    /// When the runtime created it, by the clock of the node; `None` if it is not reported.
    pub created_at: Option<Timestamp>,
    /// When its process was started; `None` if it never was.
    pub started_at: Option<Timestamp>,
    /// When the container ended.
    pub finished_at: Option<Timestamp>,
    /// The exit code, 0 to 255; meaningful only in the state `Exited`.
    pub exit_code: i32,
    /// The runtime's reason: Completed, Error, OOMKilled, StartError, Unknown …
    pub reason: String,
    /// The runtime's message, such as the error of a failed start.
    pub message: String,
    /// The image as the pod names it.
    pub image: String,
    /// Pid of its main process (verbose info), as long as the runtime states it: CRI-O also of one that has ended.
    pub pid: Option<i32>,
    /// Its cgroup (verbose info, `runtimeSpec.linux.cgroupsPath`), where known. May be of systemd's form
    /// `slice:prefix:name`.
    pub cgroups_path: Option<String>,
    /// Its memory limit in bytes; `None` if it has none, or it is not known (then [`limits_known`](Self::limits_known)
    /// is false).
    pub memory_limit: Option<u64>,
    /// Whether the CRI reported the limits at all.
    pub limits_known: bool,
    /// The sandbox that it runs in; `None` if it is not reported.
    pub sandbox_id: Option<ContainerId>,
    /// The pod's termination grace period in seconds, from the annotation `io.kubernetes.pod.terminationGracePeriod`.
    pub grace_period_seconds: Option<u64>,
}

/// The state of a container, as the CRI defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Created, not started.
    Created,
    /// Running.
    Running,
    /// Ended.
    Exited,
    /// The runtime does not know.
    Unknown,
}

/// What holds the namespaces of a pod, in which its containers run: for most runtimes a pause container.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sandbox {
    /// The runtime's ID of the sandbox.
    pub id: ContainerId,
    /// The pod whose containers run in it.
    pub pod: Pod,
    /// Whether it is in the state `SANDBOX_READY`.
    pub ready: bool,
    /// When the runtime created it, by the clock of the node; `None` if it is not reported.
    pub created_at: Option<Timestamp>,
}

impl Container {
    /// Whether its state is `Exited`.
    pub fn exited(&self) -> bool {
        self.state == State::Exited
    }
}
