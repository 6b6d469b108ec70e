//! What the CRI reported: `cri_containers`, `cri_events`, `cri_sandboxes`, as JSON in the way of `crictl`: enums by
//! name, 64-bit numbers as strings, times in nanoseconds or as `crictl inspect` writes them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::{Context, Facts, Problem};
use crate::observation::Fact;
use crate::observation::cri::{Container, ContainerId, Pod, Sandbox, State};
use crate::parse::decimal;

#[derive(Deserialize)]
pub(super) struct ContainerRow {
    container: Inspected,
}

#[derive(Deserialize)]
struct Inspected {
    status: Status,
    #[serde(default)]
    info: Info,
}

/// `{"container": {"status": ContainerStatus, "info": …}}`.
pub(super) fn containers(_: &Context<'_>, row: ContainerRow) -> Result<Facts, Problem> {
    Ok(vec![row.container.status.into_fact(row.container.info)])
}

#[derive(Deserialize)]
pub(super) struct EventRow {
    event: Event,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    container_id: String,
    #[serde(default)]
    container_event_type: String,
    pod_sandbox_status: Option<PodSandbox>,
    containers_statuses: Option<Vec<Status>>,
}

/// `{"event": ContainerEventResponse}`. The time in it is that of the event for some types and of the container for
/// others.
pub(super) fn events(_: &Context<'_>, row: EventRow) -> Result<Facts, Problem> {
    let event = row.event;
    let mut facts = Facts::new();
    let sandbox = event.pod_sandbox_status.as_ref().map(|sandbox| sandbox.id.clone());
    facts.extend(event.pod_sandbox_status.map(PodSandbox::into_fact));
    for status in event.containers_statuses.unwrap_or_default() {
        facts.push(status.into_fact(Info { sandbox_id: sandbox.clone().unwrap_or_default(), ..Info::default() }));
    }
    if event.container_event_type == "CONTAINER_DELETED_EVENT" {
        let is_sandbox = sandbox.as_ref() == Some(&event.container_id);
        let id = ContainerId(event.container_id);
        facts.push((None, if is_sandbox { Fact::SandboxRemoved(id) } else { Fact::ContainerRemoved(id) }));
    }
    Ok(facts)
}

#[derive(Deserialize)]
pub(super) struct SandboxRow {
    sandbox: PodSandbox,
}

/// `{"sandbox": PodSandbox}`.
pub(super) fn sandboxes(_: &Context<'_>, row: SandboxRow) -> Result<Facts, Problem> {
    Ok(vec![row.sandbox.into_fact()])
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSandbox {
    id: String,
    #[serde(default)]
    metadata: SandboxMetadata,
    #[serde(default)]
    state: String,
    #[serde(default, deserialize_with = "time")]
    created_at: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SandboxMetadata {
    name: String,
    namespace: String,
    uid: String,
}

impl PodSandbox {
    fn into_fact(self) -> (Option<Timestamp>, Fact) {
        let SandboxMetadata { name, namespace, uid } = self.metadata;
        let ready = self.state == "SANDBOX_READY";
        let pod = Pod { namespace, name, uid };
        let sandbox = Sandbox { id: ContainerId(self.id), pod, ready, created_at: self.created_at };
        // When it stopped being ready is not reported.
        (sandbox.created_at.filter(|_| ready), Fact::Sandbox(sandbox))
    }
}

/// ContainerStatus.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    id: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    state: String,
    #[serde(default, deserialize_with = "time")]
    created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time")]
    finished_at: Option<Timestamp>,
    #[serde(default)]
    exit_code: i32,
    #[serde(default)]
    image: Image,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    resources: Option<Resources>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    attempt: u32,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Image {
    image: String,
    user_specified_image: String,
}

/// The runtime's own words, where it was asked for them: containerd's `containerInfo`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Info {
    pid: i32,
    #[serde(rename = "sandboxID")]
    sandbox_id: String,
    config: Option<Config>,
    runtime_spec: Option<RuntimeSpec>,
}

#[derive(Deserialize)]
struct Config {
    linux: Option<Resources>,
}

#[derive(Deserialize)]
struct RuntimeSpec {
    linux: Option<SpecLinux>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecLinux {
    #[serde(default)]
    cgroups_path: String,
    resources: Option<SpecResources>,
}

#[derive(Deserialize)]
struct SpecResources {
    memory: Option<SpecMemory>,
}

#[derive(Deserialize)]
struct SpecMemory {
    limit: Option<i64>,
}

/// A ContainerStatus wraps `LinuxContainerResources` in `linux`, a ContainerConfig's `linux` in `resources`.
#[derive(Deserialize)]
struct Resources {
    #[serde(alias = "resources")]
    linux: Option<LinuxResources>,
}

#[derive(Deserialize)]
struct LinuxResources {
    /// 0: none.
    #[serde(default, rename = "memoryLimitInBytes", alias = "memory_limit_in_bytes", deserialize_with = "number")]
    memory_limit: i64,
}

impl Status {
    fn into_fact(self, info: Info) -> (Option<Timestamp>, Fact) {
        let label = |name: &str| self.labels.as_ref().and_then(|labels| labels.get(name)).cloned().unwrap_or_default();
        let grace = self.annotations.as_ref().and_then(|a| a.get("io.kubernetes.pod.terminationGracePeriod"));
        let spec = info.runtime_spec.and_then(|spec| spec.linux);
        // The status reflects a resize; the other two contain the values at creation.
        let facts = self.resources.and_then(|resources| resources.linux);
        let facts = facts.or_else(|| info.config?.linux?.linux).map(|linux| linux.memory_limit);
        let in_spec = spec.as_ref().and_then(|spec| spec.resources.as_ref());
        let memory_limit =
            facts.or_else(|| in_spec.map(|spec| spec.memory.as_ref().and_then(|m| m.limit).unwrap_or(0)));
        let state = match self.state.as_str() {
            "CONTAINER_CREATED" => State::Created,
            "CONTAINER_RUNNING" => State::Running,
            "CONTAINER_EXITED" => State::Exited,
            _ => State::Unknown,
        };
        let happened_at = match state {
            State::Created => self.created_at,
            State::Running => self.started_at,
            State::Exited => self.finished_at,
            State::Unknown => None,
        };
        let container = Container {
            pod: Pod {
                namespace: label("io.kubernetes.pod.namespace"),
                name: label("io.kubernetes.pod.name"),
                uid: label("io.kubernetes.pod.uid"),
            },
            name: match label("io.kubernetes.container.name") {
                name if name.is_empty() => self.metadata.name,
                name => name,
            },
            id: ContainerId(self.id),
            attempt: self.metadata.attempt,
            state,
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            exit_code: self.exit_code,
            reason: self.reason,
            message: self.message,
            image: match self.image {
                Image { user_specified_image: image, .. } if !image.is_empty() => image,
                Image { image, .. } => image,
            },
            pid: Some(info.pid).filter(|pid| *pid > 0),
            cgroups_path: spec.map(|spec| spec.cgroups_path).filter(|path| !path.is_empty()),
            memory_limit: memory_limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0),
            limits_known: memory_limit.is_some(),
            sandbox_id: Some(info.sandbox_id).filter(|id| !id.is_empty()).map(ContainerId),
            grace_period_seconds: grace.and_then(|seconds| decimal(seconds)),
        };
        (happened_at, Fact::Container(container))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(i64),
    Text(String),
    Parts {
        #[serde(default)]
        seconds: i64,
        #[serde(default)]
        nanos: i32,
    },
}

/// A 64-bit number: proto3 JSON writes it as a string.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    match Number::deserialize(deserializer)? {
        Number::Plain(number) => Ok(number),
        Number::Text(text) => decimal(&text).ok_or_else(|| serde::de::Error::custom("not a number")),
        Number::Parts { .. } => Err(serde::de::Error::custom("not a number")),
    }
}

/// A time, in nanoseconds, in RFC 3339, or as seconds and nanoseconds. Zero and what is before the epoch (Go's zero
/// time is of the year 1) mean none.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let from_nanoseconds = |nanoseconds: i64| Timestamp::from_nanosecond(i128::from(nanoseconds));
    let time = match Option::deserialize(deserializer)? {
        None => return Ok(None),
        Some(Number::Plain(number)) => from_nanoseconds(number),
        Some(Number::Text(text)) => match decimal(&text) {
            Some(number) => from_nanoseconds(number),
            None => text.parse(),
        },
        Some(Number::Parts { seconds, nanos }) => Timestamp::new(seconds, nanos),
    };
    Ok(Some(time.map_err(serde::de::Error::custom)?).filter(|time| *time > Timestamp::UNIX_EPOCH))
}
