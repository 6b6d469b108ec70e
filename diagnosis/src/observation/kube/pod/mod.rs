//! Pods.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Meta, Resources};

mod decode;

/// A Pod, as far as rules read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// The names and the owner of the Pod.
    pub meta: Meta,
    /// The uid that node and runtime know it by: another one than the API's for static pods.
    pub node_uid: String,
    /// The labels of the Pod.
    pub labels: BTreeMap<String, String>,
    /// It was asked to be deleted.
    pub deletion: Option<Deletion>,
    /// Who must agree before it is gone.
    pub finalizers: Vec<String>,
    /// The node that it is bound to; empty while there is none.
    pub node: String,
    /// `Always`, `OnFailure` or `Never`.
    pub restart_policy: String,
    /// Seconds that its containers have between the request to stop and SIGKILL.
    pub grace_seconds: Option<i64>,
    /// Seconds that it may run.
    pub deadline_seconds: Option<i64>,
    /// The priority of the Pod.
    pub priority: i32,
    /// It asks for nodes with certain labels (`nodeSelector`).
    pub node_selector: BTreeMap<String, String>,
    /// It asks for nodes by required node affinity.
    pub node_affinity: bool,
    /// The scheduler that it asks for (`schedulerName`).
    pub scheduler: String,
    /// Names of its `schedulingGates`: it is not scheduled before they are removed.
    pub gates: Vec<String>,
    /// The scheduler preempts pods for it on this node; empty otherwise.
    pub nominated_node: String,
    /// Taints that it tolerates.
    pub tolerations: Vec<Toleration>,
    /// Limits of the pod as a whole.
    #[serde(with = "crate::observation::kube::quantity::as_text")]
    pub limits: Resources,
    /// Its containers, of all kinds.
    pub containers: Vec<Container>,
    /// The volumes of the Pod.
    pub volumes: Vec<Volume>,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Why it is in that phase, as `Evicted`.
    pub reason: String,
    /// The same in words.
    pub message: String,
    /// `Guaranteed`, `Burstable` or `BestEffort`.
    pub qos: String,
    /// The conditions in its status.
    pub conditions: Vec<Condition>,
    /// When the kubelet took it on.
    pub started: Option<Timestamp>,
    /// The kubelet's statuses of its containers, of all kinds.
    pub statuses: Vec<ContainerStatus>,
}

impl Container {
    /// Its memory limit in bytes; `None` for none.
    pub fn memory_limit(&self) -> Option<u64> {
        memory(&self.limits)
    }

    /// Its memory request in bytes; `None` for none.
    pub fn memory_request(&self) -> Option<u64> {
        memory(&self.requests)
    }
}

/// The amount of memory among these, in bytes.
fn memory(amounts: &Resources) -> Option<u64> {
    amounts.get("memory").and_then(|thousandths| u64::try_from(*thousandths / 1000).ok())
}

/// A toleration of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Toleration {
    /// Key; empty for any.
    pub key: String,
    /// Value; `None` for any.
    pub value: Option<String>,
    /// Effect; empty for any.
    pub effect: String,
    /// Of a `NoExecute` taint, for so many seconds; `None` for ever.
    pub seconds: Option<i64>,
}

impl Toleration {
    /// Whether it tolerates this taint (`k8s.io/component-helpers/scheduling/corev1`).
    pub fn tolerates(&self, taint: &super::Taint) -> bool {
        (self.effect.is_empty() || self.effect == taint.effect)
            && (self.key.is_empty() || self.key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
    }
}

/// A request to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When the grace period ends (`metadata.deletionTimestamp`).
    pub due: Timestamp,
    /// The grace period, in seconds.
    pub grace_seconds: i64,
}

impl Deletion {
    /// When it was asked for.
    pub fn asked(&self) -> Timestamp {
        self.due - SignedDuration::from_secs(self.grace_seconds.clamp(0, 1 << 31))
    }
}

/// What kind of container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerKind {
    /// An ordinary one.
    #[default]
    Main,
    /// It must succeed before the others start.
    Init,
    /// An init container that keeps running (`restartPolicy: Always`).
    Sidecar,
    /// Added for debugging.
    Ephemeral,
}

/// A container, as it is wanted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// The name of the container.
    pub name: String,
    /// The kind of the container.
    pub kind: ContainerKind,
    /// The image of the container.
    pub image: String,
    /// What the container requests.
    #[serde(with = "crate::observation::kube::quantity::as_text")]
    pub requests: Resources,
    /// The limits of the container.
    #[serde(with = "crate::observation::kube::quantity::as_text")]
    pub limits: Resources,
    /// The ports of the container.
    pub ports: Vec<Port>,
    /// The probes of the container.
    pub probes: Probes,
    /// It has a hook after its start.
    pub post_start: bool,
    /// It has a hook before its stop.
    pub pre_stop: bool,
    /// Mount points of volumes that it may only read.
    pub read_only_mounts: BTreeSet<String>,
    /// Its root file system may only be read.
    pub read_only_root: bool,
}

/// A port of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Port {
    /// Its name; empty if it has none.
    pub name: String,
    /// The number of the port.
    pub number: i32,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
}

/// The probes of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probes {
    /// Restarts the container when it fails.
    pub liveness: Option<Probe>,
    /// Takes the container out of Services while it fails.
    pub readiness: Option<Probe>,
    /// Holds the others back until it has succeeded once, and restarts the container when it fails.
    pub startup: Option<Probe>,
}

/// A probe, as the Pod defines it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probe {
    /// What it does, as `GET http://:8080/ready`, `TCP :5432`, `gRPC :9000` or `exec cat /tmp/ok`.
    pub what: String,
    /// Grace of its own in seconds.
    pub grace_seconds: Option<i64>,
    /// Seconds after the start of the container before the first.
    pub initial_delay_seconds: i32,
    /// Seconds from one to the next.
    pub period_seconds: i32,
    /// Seconds that an answer may take.
    pub timeout_seconds: i32,
    /// So many failures in a row count as failed.
    pub failure_threshold: i32,
}

/// A volume of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Its name in the pod.
    pub name: String,
    /// What stands behind it.
    pub kind: VolumeKind,
}

/// What stands behind a volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeKind {
    /// An empty directory.
    EmptyDir {
        /// In memory: what is written there counts against the memory limits of who wrote it.
        memory: bool,
        /// Its size limit in bytes.
        limit: Option<u64>,
    },
    /// A claim of this name.
    Claim(String),
    /// A ConfigMap of this name; whether it may be missing.
    ConfigMap(String, bool),
    /// A Secret of this name; whether it may be missing.
    Secret(String, bool),
    /// An image of this name.
    Image(String),
    /// A path of the node.
    HostPath(String),
    /// Anything else.
    #[default]
    Other,
}

/// A condition of a pod or node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// Its type, as `Ready`.
    pub kind: String,
    /// `Some(true)` for `True`; `None` for `Unknown`.
    pub status: Option<bool>,
    /// Why it has this status.
    pub reason: String,
    /// The same in words.
    pub message: String,
    /// Since when it has this status.
    pub since: Option<Timestamp>,
}

/// The kubelet's status of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerStatus {
    /// The name of the container.
    pub name: String,
    /// Its kind. Whether it is a sidecar follows from the container's specification, not from the status.
    pub kind: ContainerKind,
    /// The id of the instance, without its `containerd://`; empty before the first.
    pub id: String,
    /// The image of the container.
    pub image: String,
    /// Whether the container is ready.
    pub ready: bool,
    /// Its startup probe has succeeded.
    pub started: Option<bool>,
    /// How often it was started again.
    pub restarts: i32,
    /// What it does now.
    pub state: State,
    /// How the instance before ended.
    pub last: Option<Terminated>,
    /// Its devices that are reported as unhealthy (`allocatedResourcesStatus`, 1.31 on): resource and id.
    pub unhealthy: Vec<(String, String)>,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does not run yet, or not again.
    Waiting {
        /// Why, as `ImagePullBackOff`.
        reason: String,
        /// The same in words.
        message: String,
    },
    /// It runs.
    Running {
        /// Since when.
        since: Option<Timestamp>,
    },
    /// It has ended.
    Terminated(Terminated),
}

impl Default for State {
    /// What the API takes an absent state for.
    fn default() -> Self {
        Self::Waiting { reason: String::new(), message: String::new() }
    }
}

/// How an instance ended, by the kubelet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terminated {
    /// Its id, without `containerd://`; may be empty.
    pub id: String,
    /// The exit code, 0 to 255.
    pub code: i32,
    /// Signal; the kubelet leaves it 0.
    pub signal: i32,
    /// Why it ended, as `OOMKilled`.
    pub reason: String,
    /// The same in words, or the container's own last words.
    pub message: String,
    /// When the container started.
    pub started: Option<Timestamp>,
    /// When the container ended.
    pub finished: Option<Timestamp>,
}

impl Pod {
    /// Forgets what it asks for: names and status are left.
    pub fn forget_spec(&mut self) {
        let Self { meta, node_uid, node, phase, reason, message, statuses, .. } = std::mem::take(self);
        *self = Self { meta, node_uid, node, phase, reason, message, statuses, ..Self::default() };
    }

    /// For how long it stays on a node that is unreachable, from the time of the taint on; `None` for ever
    /// (`GetMinTolerationTime` in `pkg/controller/tainteviction/taint_eviction.go`).
    pub fn tolerates_unreachable(&self) -> Option<SignedDuration> {
        let unreachable = super::Taint {
            key: "node.kubernetes.io/unreachable".to_owned(),
            value: String::new(),
            effect: "NoExecute".to_owned(),
        };
        let mut tolerations = self.tolerations.iter().filter(|of| of.tolerates(&unreachable)).peekable();
        if tolerations.peek().is_none() {
            return Some(SignedDuration::ZERO);
        }
        let seconds = tolerations.filter_map(|of| of.seconds).min();
        seconds.map(|seconds| SignedDuration::from_secs(seconds.clamp(0, 1 << 31)))
    }

    /// A condition that is met.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// A container as it is wanted.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The kubelet's status of a container.
    pub fn status(&self, name: &str) -> Option<&ContainerStatus> {
        self.statuses.iter().find(|status| status.name == name)
    }
}
