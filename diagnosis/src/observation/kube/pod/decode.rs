//! From the API's Pod to ours.

use k8s_openapi::{api::core::v1 as core, apimachinery::pkg::util::intstr::IntOrString};

use super::{
    super::{Meta, amount, quantity::resources, status, text, time},
    Condition, Container, ContainerKind, ContainerStatus, Deletion, Pod, Port, Probe, Probes, State, Terminated,
    Toleration, Volume, VolumeKind,
};

/// The annotation by which the API server's mirror of a static pod names the uid that the kubelet and the runtime know
/// it by.
const MIRROR: &str = "kubernetes.io/config.mirror";

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
        let mut statuses_found = Vec::new();
        if let Some(status) = status {
            statuses_found.extend(statuses(status.init_container_statuses.as_ref(), ContainerKind::Init));
            statuses_found.extend(statuses(status.container_statuses.as_ref(), ContainerKind::Main));
            statuses_found.extend(statuses(status.ephemeral_container_statuses.as_ref(), ContainerKind::Ephemeral));
            for status in &mut statuses_found {
                let sidecar =
                    |container: &Container| container.name == status.name && container.kind == ContainerKind::Sidecar;
                if containers.iter().any(sidecar) {
                    status.kind = ContainerKind::Sidecar;
                }
            }
        }
        // They are kept as long as the pod is there.
        containers.shrink_to_fit();
        statuses_found.shrink_to_fit();
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
            scheduler: spec.map(|spec| text(&spec.scheduler_name)).unwrap_or_default(),
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
            statuses: statuses_found,
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
        restart_policy: text(&container.restart_policy),
        read_only_root: container.security_context.as_ref().is_some_and(|c| c.read_only_root_filesystem == Some(true)),
    }
}

fn toleration(toleration: &core::Toleration) -> Toleration {
    let any = toleration.operator.as_deref() == Some("Exists");
    Toleration {
        key: text(&toleration.key),
        value: if any { None } else { Some(text(&toleration.value)) },
        effect: text(&toleration.effect),
        seconds: toleration.toleration_seconds,
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
        let limit = dir.size_limit.as_ref().and_then(|limit| amount(&limit.0));
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
        unhealthy: unhealthy(status),
        last: status.last_state.as_ref().and_then(|last| last.terminated.as_ref()).map(ended),
    }
}

fn unhealthy(status: &core::ContainerStatus) -> Vec<(String, String)> {
    let all = status.allocated_resources_status.iter().flatten();
    let devices = all.flat_map(|of| of.resources.iter().flatten().map(|device| (of.name.clone(), device)));
    devices
        .filter(|(_, device)| device.health.as_deref() == Some("Unhealthy"))
        .map(|(name, device)| (name, device.resource_id.clone()))
        .collect()
}

/// `containerd://0123…` without its scheme.
fn bare_id(id: Option<&str>) -> String {
    let id = id.unwrap_or_default();
    id.split_once("://").map_or(id, |(_, bare)| bare).to_owned()
}
