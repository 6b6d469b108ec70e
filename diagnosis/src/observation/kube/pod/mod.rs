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
    /// Name, namespace, uid and controller of the Pod.
    pub meta: Meta,
    /// The uid that node and runtime know it by: another one than the API's for static pods.
    pub node_uid: String,
    /// Its labels, by their keys.
    pub labels: BTreeMap<String, String>,
    /// The request to delete it, if there is one.
    pub deletion: Option<Deletion>,
    /// The finalizers that keep the object after its deletion (`metadata.finalizers`).
    pub finalizers: Vec<String>,
    /// The node that it is bound to; empty while there is none.
    pub node: String,
    /// The restart policy: `Always`, `OnFailure` or `Never`.
    pub restart_policy: String,
    /// Seconds that its containers have between the request to stop and SIGKILL.
    pub grace_seconds: Option<i64>,
    /// `activeDeadlineSeconds`: seconds that it may run; `None` for no bound.
    pub deadline_seconds: Option<i64>,
    /// The priority that admission computed from its PriorityClass; 0 by default.
    pub priority: i32,
    /// The labels that a node must have (`nodeSelector`).
    pub node_selector: BTreeMap<String, String>,
    /// Whether it has a required node affinity.
    pub node_affinity: bool,
    /// The scheduler that is to place it (`schedulerName`).
    pub scheduler: String,
    /// Names of its `schedulingGates`: it is not scheduled before they are removed.
    pub gates: Vec<String>,
    /// The scheduler preempts pods for it on this node; empty otherwise.
    pub nominated_node: String,
    /// The taints that it tolerates.
    pub tolerations: Vec<Toleration>,
    /// Limits of the pod as a whole (`spec.resources`), in thousandths.
    #[serde(with = "crate::observation::kube::quantity::as_text")]
    pub limits: Resources,
    /// Its containers, of all kinds.
    pub containers: Vec<Container>,
    /// Its volumes, from `spec.volumes`.
    pub volumes: Vec<Volume>,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// The reason for that phase, such as `Evicted`; usually empty.
    pub reason: String,
    /// The message that belongs to the reason.
    pub message: String,
    /// The QoS class: `Guaranteed`, `Burstable` or `BestEffort`.
    pub qos: String,
    /// The conditions of its status, such as `DisruptionTarget`.
    pub conditions: Vec<Condition>,
    /// When the kubelet accepted it (`status.startTime`).
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
    amounts.get("memory").and_then(|thousandths| u64::try_from(thousandths / 1000).ok())
}

/// A toleration of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Toleration {
    /// The key of the taints; empty for any.
    pub key: String,
    /// The value of the taints; `None` for any.
    pub value: Option<String>,
    /// The effect of the taints; empty for any.
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

/// A request to delete a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When the grace period ends (`metadata.deletionTimestamp`).
    pub due: Timestamp,
    /// The grace period, in seconds.
    pub grace_seconds: i64,
}

impl Deletion {
    /// When the deletion was requested: the grace period before it is due.
    pub fn asked(&self) -> Timestamp {
        self.due - SignedDuration::from_secs(self.grace_seconds.clamp(0, 1 << 31))
    }
}

/// The kinds of containers of a pod.
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

/// A container, as the Pod's specification defines it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Container {
    /// The name of the container.
    pub name: String,
    /// The kind of the container.
    pub kind: ContainerKind,
    /// The image, as the specification names it.
    pub image: String,
    /// Its resource requests, in thousandths.
    #[serde(with = "crate::observation::kube::quantity::as_text")]
    pub requests: Resources,
    /// Its resource limits, in thousandths.
    #[serde(with = "crate::observation::kube::quantity::as_text")]
    pub limits: Resources,
    /// The ports that it declares; it may listen on others.
    pub ports: Vec<Port>,
    /// The probes of the container.
    pub probes: Probes,
    /// Whether it has a postStart hook.
    pub post_start: bool,
    /// Whether it has a preStop hook.
    pub pre_stop: bool,
    /// Mount points of volumes that it may only read.
    pub read_only_mounts: BTreeSet<String>,
    /// Whether its root file system is read-only.
    pub read_only_root: bool,
    /// The restart policy of its own; empty for that of its pod.
    pub restart_policy: String,
}

/// A port of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Port {
    /// Its name; empty if it has none.
    pub name: String,
    /// The number of the container's port, 1 to 65535.
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
    /// The probe's own grace period in seconds, instead of the pod's.
    pub grace_seconds: Option<i64>,
    /// Seconds from the start of the container to the first probe.
    pub initial_delay_seconds: i32,
    /// Seconds from one probe to the next.
    pub period_seconds: i32,
    /// Seconds after which a probe without an answer has failed.
    pub timeout_seconds: i32,
    /// How many failures in a row make the probe count as failed.
    pub failure_threshold: i32,
}

impl Probe {
    /// The number of the port that it asks; `None` if it asks none, or one by its name.
    pub fn port(&self) -> Option<i32> {
        let forms = ["GET http://:", "GET https://:", "TCP :", "gRPC :"];
        let asked = forms.iter().find_map(|form| self.what.strip_prefix(form))?;
        asked.split('/').next()?.parse().ok()
    }

    /// What it does, for people: `GET :8080/ready`, and a command in quotation marks.
    pub(crate) fn shown(&self) -> String {
        match (self.what.strip_prefix("GET http://"), self.what.strip_prefix("exec ")) {
            (Some(rest), _) => format!("GET {rest}"),
            (_, Some(command)) => format!("exec “{command}”"),
            _ => self.what.clone(),
        }
    }
}

/// A volume of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// The name by which containers mount it.
    pub name: String,
    /// What the volume is made of.
    pub kind: VolumeKind,
}

/// What a volume is made of.
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
    /// The type, such as `Ready`.
    pub kind: String,
    /// `Some(true)` for `True`; `None` for `Unknown`.
    pub status: Option<bool>,
    /// The machine-readable reason of the status.
    pub reason: String,
    /// The message that belongs to the reason.
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
    /// The image that the runtime uses.
    pub image: String,
    /// Whether the container is ready.
    pub ready: bool,
    /// Whether its startup probe has succeeded, or it has none and runs.
    pub started: Option<bool>,
    /// How often it was restarted.
    pub restarts: i32,
    /// The state of the present instance.
    pub state: State,
    /// The end of the previous instance.
    pub last: Option<Terminated>,
    /// Its devices that are reported as unhealthy (`allocatedResourcesStatus`, 1.31 on): resource and id.
    pub unhealthy: Vec<(String, String)>,
}

/// The state of a container instance.
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

/// The end of a container instance, as the kubelet reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terminated {
    /// The runtime's id, without `containerd://`; may be empty.
    pub id: String,
    /// The exit code, 0 to 255.
    pub code: i32,
    /// The signal that ended it; the kubelet leaves it 0.
    pub signal: i32,
    /// The reason, such as `OOMKilled` or `Error`.
    pub reason: String,
    /// The message that belongs to the reason, or what the program wrote to its termination message file.
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

    /// The condition of this type, whatever its status.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// The container of this name in the specification.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// When a container is started again after its end: its own policy comes before that of the pod.
    pub fn restart_policy_of<'a>(&'a self, container: &'a Container) -> &'a str {
        match (container.restart_policy.as_str(), container.kind) {
            // Recorded before containers had a field for it.
            ("", ContainerKind::Sidecar) => "Always",
            ("", _) => &self.restart_policy,
            (own, _) => own,
        }
    }

    /// Whether the kubelet starts the container again after it has ended with this exit code. An end whose code is not
    /// known counts as a failure.
    pub fn restarts(&self, container: &Container, code: Option<i32>) -> bool {
        match (self.restart_policy_of(container), container.kind) {
            ("Never", _) | (_, ContainerKind::Ephemeral) => false,
            ("OnFailure", _) | (_, ContainerKind::Init) => code != Some(0),
            _ => true,
        }
    }

    /// The status of the container of this name.
    pub fn status(&self, name: &str) -> Option<&ContainerStatus> {
        self.statuses.iter().find(|status| status.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_asks_a_port_by_number_or_none() {
        let port = |what: &str| Probe { what: what.to_owned(), ..Probe::default() }.port();
        let shown = |what: &str| Probe { what: what.to_owned(), ..Probe::default() }.shown();
        assert_eq!(shown("GET http://:8080/ready"), "GET :8080/ready");
        assert_eq!(shown("GET https://:8443/ready"), "GET https://:8443/ready");
        assert_eq!(shown("exec cat /tmp/ok"), "exec “cat /tmp/ok”");
        assert_eq!(port("GET http://:8080/ready"), Some(8080));
        assert_eq!(port("TCP :5432"), Some(5432));
        assert_eq!(port("gRPC :9000"), Some(9000));
        for none in ["GET https://:web/", "exec curl http://:8080/", ""] {
            assert_eq!(port(none), None, "{none}");
        }
    }

    #[test]
    fn the_policy_of_a_container_comes_before_that_of_its_pod() {
        let pod = Pod { restart_policy: "OnFailure".to_owned(), ..Pod::default() };
        let of = |own: &str, kind| {
            let container = Container { restart_policy: own.to_owned(), kind, ..Container::default() };
            pod.restart_policy_of(&container).to_owned()
        };
        assert_eq!(of("", ContainerKind::Main), "OnFailure");
        assert_eq!(of("Never", ContainerKind::Main), "Never");
        assert_eq!(of("", ContainerKind::Sidecar), "Always");
    }

    #[test]
    fn a_container_is_started_again_by_its_policy_kind_and_exit_code() {
        let restarts = |policy: &str, kind, code| {
            let pod = Pod { restart_policy: policy.to_owned(), ..Pod::default() };
            pod.restarts(&Container { kind, ..Container::default() }, code)
        };
        use ContainerKind::{Ephemeral, Init, Main, Sidecar};
        for (policy, kind, code) in [
            ("Always", Main, Some(0)),
            ("Always", Init, Some(1)),
            ("OnFailure", Main, Some(1)),
            ("OnFailure", Main, None),
            ("Never", Sidecar, Some(0)),
        ] {
            assert!(restarts(policy, kind, code), "{policy} {kind:?} {code:?}");
        }
        for (policy, kind, code) in [
            ("Always", Init, Some(0)),
            ("Always", Ephemeral, Some(1)),
            ("OnFailure", Main, Some(0)),
            ("Never", Main, Some(1)),
        ] {
            assert!(!restarts(policy, kind, code), "{policy} {kind:?} {code:?}");
        }
    }
}
