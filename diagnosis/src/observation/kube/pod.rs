//! Pods.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::core::v1 as core, apimachinery::pkg::util::intstr::IntOrString};

use super::{Meta, Resources, quantity::resources, text, time};

/// The annotation by which the API server's mirror of a static pod names the uid that the kubelet and the runtime know it by.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// A Pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pod {
    /// Names and owner.
    pub meta: Meta,
    /// The uid that node and runtime know it by: another one than the API's for static pods.
    pub node_uid: String,
    /// Labels.
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
    /// Its priority.
    pub priority: i32,
    /// It asks for nodes with certain labels (`nodeSelector`).
    pub node_selector: BTreeMap<String, String>,
    /// It asks for nodes by required node affinity.
    pub node_affinity: bool,
    /// Names of its `schedulingGates`: it is not scheduled before they are removed.
    pub gates: Vec<String>,
    /// The scheduler makes room for it on this node; empty otherwise.
    pub nominated_node: String,
    /// Taints that it tolerates.
    pub tolerations: Vec<Toleration>,
    /// Limits of the pod as a whole.
    pub limits: Resources,
    /// Its containers, of all kinds.
    pub containers: Vec<Container>,
    /// Its volumes.
    pub volumes: Vec<Volume>,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Why it is in that phase, as `Evicted`.
    pub reason: String,
    /// The same in words.
    pub message: String,
    /// `Guaranteed`, `Burstable` or `BestEffort`.
    pub qos: String,
    /// Conditions.
    pub conditions: Vec<Condition>,
    /// When the kubelet took it on.
    pub started: Option<Timestamp>,
    /// What the kubelet says of its containers, of all kinds.
    pub statuses: Vec<ContainerStatus>,
}

/// A toleration.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Toleration {
    /// Key; empty for any.
    pub key: String,
    /// Value; `None` for any.
    pub value: Option<String>,
    /// Effect; empty for any.
    pub effect: String,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// When the grace period ends (`metadata.deletionTimestamp`).
    pub due: Timestamp,
    /// Seconds of grace.
    pub grace_seconds: i64,
}

impl Deletion {
    /// When it was asked for.
    pub fn asked(&self) -> Timestamp {
        self.due - SignedDuration::from_secs(self.grace_seconds.clamp(0, 1 << 31))
    }
}

/// What kind of container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: ContainerKind,
    /// Its image.
    pub image: String,
    /// Requests.
    pub requests: Resources,
    /// Limits.
    pub limits: Resources,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Its probes.
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
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// Its name; empty if it has none.
    pub name: String,
    /// Its number.
    pub number: i32,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
}

/// The probes of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// Restarts the container when it fails.
    pub liveness: Option<Probe>,
    /// Takes the container out of Services while it fails.
    pub readiness: Option<Probe>,
    /// Holds the others back until it has succeeded once, and restarts the container when it fails.
    pub startup: Option<Probe>,
}

/// A probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// A volume.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    /// Its name in the pod.
    pub name: String,
    /// What stands behind it.
    pub kind: VolumeKind,
}

/// What stands behind a volume.
#[derive(Clone, Debug, Default, PartialEq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Its type, as `Ready`.
    pub kind: String,
    /// `Some(true)` for `True`; `None` for `Unknown`.
    pub status: Option<bool>,
    /// Why.
    pub reason: String,
    /// The same in words.
    pub message: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// What the kubelet says of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// Its kind. Sidecars are told by the wanted container, not here.
    pub kind: ContainerKind,
    /// The id of the instance, without its `containerd://`; empty before the first.
    pub id: String,
    /// Its image.
    pub image: String,
    /// It is ready.
    pub ready: bool,
    /// Its startup probe has succeeded.
    pub started: Option<bool>,
    /// How often it was started again.
    pub restarts: i32,
    /// What it does now.
    pub state: State,
    /// How the instance before ended.
    pub last: Option<Terminated>,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terminated {
    /// Its id, without `containerd://`; may be empty.
    pub id: String,
    /// Exit code.
    pub code: i32,
    /// Signal; the kubelet leaves it 0.
    pub signal: i32,
    /// Why, as `OOMKilled`.
    pub reason: String,
    /// The same in words, or the container's own last words.
    pub message: String,
    /// When it started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
}

impl Pod {
    /// A condition that is met.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// A container as it is wanted.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// What the kubelet says of a container.
    pub fn status(&self, name: &str) -> Option<&ContainerStatus> {
        self.statuses.iter().find(|status| status.name == name)
    }
}

impl From<&core::Pod> for Pod {
    fn from(pod: &core::Pod) -> Self {
        let meta = Meta::from(&pod.metadata);
        let mirror = pod.metadata.annotations.as_ref().and_then(|all| all.get(MIRROR)).cloned();
        let deletion = pod.metadata.deletion_timestamp.as_ref().map(|at| Deletion {
            due: time(at),
            grace_seconds: pod.metadata.deletion_grace_period_seconds.unwrap_or_default(),
        });
        let spec = pod.spec.as_ref();
        let status = pod.status.as_ref();
        let mut containers = Vec::new();
        let mut volumes = Vec::new();
        if let Some(spec) = spec {
            containers.extend(spec.init_containers.iter().flatten().map(|container| {
                let sidecar = container.restart_policy.as_deref() == Some("Always");
                wanted(container, if sidecar { ContainerKind::Sidecar } else { ContainerKind::Init })
            }));
            containers.extend(spec.containers.iter().map(|container| wanted(container, ContainerKind::Main)));
            volumes.extend(spec.volumes.iter().flatten().map(volume));
        }
        let statuses = |all: Option<&Vec<core::ContainerStatus>>, kind| {
            all.into_iter().flatten().map(|one| container_status(one, kind)).collect::<Vec<_>>()
        };
        let mut said = Vec::new();
        if let Some(status) = status {
            said.extend(statuses(status.init_container_statuses.as_ref(), ContainerKind::Init));
            said.extend(statuses(status.container_statuses.as_ref(), ContainerKind::Main));
            said.extend(statuses(status.ephemeral_container_statuses.as_ref(), ContainerKind::Ephemeral));
            for status in &mut said {
                let sidecar =
                    |container: &Container| container.name == status.name && container.kind == ContainerKind::Sidecar;
                if containers.iter().any(sidecar) {
                    status.kind = ContainerKind::Sidecar;
                }
            }
        }
        Self {
            node_uid: mirror.unwrap_or_else(|| meta.uid.clone()),
            labels: pod.metadata.labels.clone().unwrap_or_default(),
            deletion,
            finalizers: pod.metadata.finalizers.clone().unwrap_or_default(),
            node: spec.map(|spec| text(&spec.node_name)).unwrap_or_default(),
            restart_policy: spec.map(|spec| text(&spec.restart_policy)).unwrap_or_default(),
            grace_seconds: spec.and_then(|spec| spec.termination_grace_period_seconds),
            deadline_seconds: spec.and_then(|spec| spec.active_deadline_seconds),
            priority: spec.and_then(|spec| spec.priority).unwrap_or_default(),
            node_selector: spec.and_then(|spec| spec.node_selector.clone()).unwrap_or_default(),
            node_affinity: spec
                .and_then(|spec| spec.affinity.as_ref()?.node_affinity.as_ref())
                .is_some_and(|affinity| affinity.required_during_scheduling_ignored_during_execution.is_some()),
            gates: spec
                .and_then(|spec| spec.scheduling_gates.as_ref())
                .into_iter()
                .flatten()
                .map(|gate| gate.name.clone())
                .collect(),
            nominated_node: status.map(|status| text(&status.nominated_node_name)).unwrap_or_default(),
            tolerations: spec
                .and_then(|spec| spec.tolerations.as_ref())
                .into_iter()
                .flatten()
                .map(toleration)
                .collect(),
            limits: resources(spec.and_then(|spec| spec.resources.as_ref()?.limits.as_ref())),
            containers,
            volumes,
            phase: status.map(|status| text(&status.phase)).unwrap_or_default(),
            reason: status.map(|status| text(&status.reason)).unwrap_or_default(),
            message: status.map(|status| text(&status.message)).unwrap_or_default(),
            qos: status.map(|status| text(&status.qos_class)).unwrap_or_default(),
            conditions: status.and_then(|s| s.conditions.as_ref()).into_iter().flatten().map(condition).collect(),
            started: status.and_then(|status| status.start_time.as_ref()).map(time),
            statuses: said,
            meta,
        }
    }
}

fn wanted(container: &core::Container, kind: ContainerKind) -> Container {
    let asked = container.resources.as_ref();
    let hooks = container.lifecycle.as_ref();
    let mounts = container.volume_mounts.iter().flatten();
    let ports = container.ports.iter().flatten().map(|port| Port {
        name: text(&port.name),
        number: port.container_port,
        protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
    });
    Container {
        name: container.name.clone(),
        kind,
        image: text(&container.image),
        requests: resources(asked.and_then(|asked| asked.requests.as_ref())),
        limits: resources(asked.and_then(|asked| asked.limits.as_ref())),
        ports: ports.collect(),
        probes: Probes {
            liveness: container.liveness_probe.as_ref().map(probe),
            readiness: container.readiness_probe.as_ref().map(probe),
            startup: container.startup_probe.as_ref().map(probe),
        },
        post_start: hooks.is_some_and(|hooks| hooks.post_start.is_some()),
        pre_stop: hooks.is_some_and(|hooks| hooks.pre_stop.is_some()),
        read_only_mounts: mounts.filter(|m| m.read_only == Some(true)).map(|m| m.mount_path.clone()).collect(),
        read_only_root: container.security_context.as_ref().is_some_and(|c| c.read_only_root_filesystem == Some(true)),
    }
}

fn toleration(toleration: &core::Toleration) -> Toleration {
    let any = toleration.operator.as_deref() == Some("Exists");
    Toleration {
        key: text(&toleration.key),
        value: if any { None } else { Some(text(&toleration.value)) },
        effect: text(&toleration.effect),
    }
}

fn probe(probe: &core::Probe) -> Probe {
    let port = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    let what = if let Some(get) = &probe.http_get {
        let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
        format!("GET {scheme}://:{}{}", port(&get.port), get.path.as_deref().unwrap_or("/"))
    } else if let Some(tcp) = &probe.tcp_socket {
        format!("TCP :{}", port(&tcp.port))
    } else if let Some(grpc) = &probe.grpc {
        format!("gRPC :{}", grpc.port)
    } else if let Some(exec) = &probe.exec {
        format!("exec {}", exec.command.iter().flatten().cloned().collect::<Vec<_>>().join(" "))
    } else {
        String::new()
    };
    Probe {
        what,
        grace_seconds: probe.termination_grace_period_seconds,
        initial_delay_seconds: probe.initial_delay_seconds.unwrap_or(0),
        period_seconds: probe.period_seconds.unwrap_or(10),
        timeout_seconds: probe.timeout_seconds.unwrap_or(1),
        failure_threshold: probe.failure_threshold.unwrap_or(3),
    }
}

fn volume(volume: &core::Volume) -> Volume {
    let kind = if let Some(dir) = &volume.empty_dir {
        let limit = dir.size_limit.as_ref().and_then(|limit| super::amount(&limit.0));
        VolumeKind::EmptyDir {
            memory: dir.medium.as_deref() == Some("Memory"),
            limit: limit.and_then(|thousandths| u64::try_from(thousandths / 1000).ok()),
        }
    } else if let Some(claim) = &volume.persistent_volume_claim {
        VolumeKind::Claim(claim.claim_name.clone())
    } else if let Some(map) = &volume.config_map {
        VolumeKind::ConfigMap(map.name.clone(), map.optional == Some(true))
    } else if let Some(secret) = &volume.secret {
        VolumeKind::Secret(text(&secret.secret_name), secret.optional == Some(true))
    } else if let Some(image) = &volume.image {
        VolumeKind::Image(text(&image.reference))
    } else if let Some(path) = &volume.host_path {
        VolumeKind::HostPath(path.path.clone())
    } else {
        VolumeKind::Other
    };
    Volume { name: volume.name.clone(), kind }
}

fn condition(condition: &core::PodCondition) -> Condition {
    Condition {
        kind: condition.type_.clone(),
        status: status(&condition.status),
        reason: text(&condition.reason),
        message: text(&condition.message),
        since: condition.last_transition_time.as_ref().map(time),
    }
}

/// The status of a condition.
pub(super) fn status(status: &str) -> Option<bool> {
    match status {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

fn container_status(status: &core::ContainerStatus, kind: ContainerKind) -> ContainerStatus {
    let ended = |ended: &core::ContainerStateTerminated| Terminated {
        id: bare_id(ended.container_id.as_deref()),
        code: ended.exit_code,
        signal: ended.signal.unwrap_or_default(),
        reason: text(&ended.reason),
        message: text(&ended.message),
        started: ended.started_at.as_ref().map(time),
        finished: ended.finished_at.as_ref().map(time),
    };
    let state = status.state.as_ref().map_or_else(State::default, |state| {
        if let Some(terminated) = &state.terminated {
            State::Terminated(ended(terminated))
        } else if let Some(running) = &state.running {
            State::Running { since: running.started_at.as_ref().map(time) }
        } else {
            let waiting = state.waiting.clone().unwrap_or_default();
            State::Waiting { reason: waiting.reason.unwrap_or_default(), message: waiting.message.unwrap_or_default() }
        }
    });
    ContainerStatus {
        name: status.name.clone(),
        kind,
        id: bare_id(status.container_id.as_deref()),
        image: status.image.clone(),
        ready: status.ready,
        started: status.started,
        restarts: status.restart_count,
        state,
        last: status.last_state.as_ref().and_then(|last| last.terminated.as_ref()).map(ended),
    }
}

/// `containerd://0123…` without its scheme.
fn bare_id(id: Option<&str>) -> String {
    let id = id.unwrap_or_default();
    id.split_once("://").map_or(id, |(_, bare)| bare).to_owned()
}
