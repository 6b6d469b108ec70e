//! From the CRI's messages to what a diagnosis needs, and nothing more: environment and arguments of containers stay
//! behind.
//!
//! Mirrors `pkg/kubelet/kuberuntime/labels.go` and, for the verbose info, `internal/cri/server/container_status.go` of
//! containerd and `server/container_status.go` of CRI-O. No field of it is promised by the CRI.

use std::collections::HashMap;

use coroner_diagnosis::observation::cri::{Container, ContainerId, Pod, Sandbox, State};
use jiff::Timestamp;
use k8s_cri::v1;
use serde::Deserialize;

use super::super::connection::cut;

/// Ids, names and other short texts are cut to this. Kubernetes' own names have at most 253 bytes, a file name 255.
const MAX_NAME: usize = 256;
/// Paths and images are cut to this: the kernel's PATH_MAX.
const MAX_PATH: usize = 4096;
/// Messages are cut to this, as the kubelet cuts termination messages.
const MAX_MESSAGE: usize = 4096;

/// What the verbose info of a container contains beyond its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Details {
    /// Pid of the main process: from containerd while it runs, from CRI-O since its creation and when it has ended too.
    pub(super) pid: Option<i32>,
    /// The ID of its sandbox.
    pub(super) sandbox: Option<ContainerId>,
    /// `runtimeSpec.linux.cgroupsPath`.
    pub(super) cgroups_path: Option<String>,
    /// The memory limit that it was created with; the outer `None` if there was no spec.
    pub(super) memory_limit: Option<Option<u64>>,
}

/// The verbose info of containerd and CRI-O: JSON under the key `info`. Only these fields are ever taken out of it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Info {
    #[serde(rename = "sandboxID")]
    sandbox_id: String,
    pid: i64,
    #[serde(rename = "runtimeSpec")]
    runtime_spec: Option<Spec>,
}

#[derive(Deserialize)]
struct Spec {
    linux: Option<Linux>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Linux {
    #[serde(rename = "cgroupsPath")]
    cgroups_path: String,
    resources: Option<Resources>,
}

#[derive(Deserialize)]
struct Resources {
    memory: Option<Memory>,
}

#[derive(Deserialize)]
struct Memory {
    limit: Option<i64>,
}

/// Reads the verbose info; what is not there or not readable stays unknown.
pub(super) fn details(info: &HashMap<String, String>) -> Details {
    let Some(info) = info.get("info").and_then(|json| serde_json::from_str::<Info>(json).ok()) else {
        return Details::default();
    };
    let linux = info.runtime_spec.and_then(|spec| spec.linux);
    Details {
        pid: i32::try_from(info.pid).ok().filter(|pid| *pid > 0),
        sandbox: id(info.sandbox_id),
        memory_limit: linux
            .as_ref()
            .and_then(|linux| linux.resources.as_ref().map(|resources| limit(resources.memory.as_ref()?.limit?))),
        cgroups_path: linux.map(|linux| linux.cgroups_path).filter(|path| !path.is_empty() && path.len() <= MAX_PATH),
    }
}

impl Details {
    /// Adds to a container what its status does not contain.
    pub(super) fn complete(&self, container: &mut Container) {
        container.pid = self.pid;
        container.cgroups_path.clone_from(&self.cgroups_path);
        container.sandbox_id.clone_from(&self.sandbox);
        if let (false, Some(limit)) = (container.limits_known, self.memory_limit) {
            (container.memory_limit, container.limits_known) = (limit, true);
        }
    }
}

/// The status of a container; `None` without a usable id.
pub(super) fn container(status: v1::ContainerStatus) -> Option<Container> {
    let state = state(status.state());
    let linux = status.resources.and_then(|resources| resources.linux);
    let metadata = status.metadata.unwrap_or_default();
    let label = status.labels.get("io.kubernetes.container.name").filter(|name| !name.is_empty());
    let image = status.image.unwrap_or_default();
    let image = if image.user_specified_image.is_empty() { image.image } else { image.user_specified_image };
    Some(Container {
        pod: pod(&status.labels),
        name: cut(label.cloned().unwrap_or(metadata.name), MAX_NAME),
        attempt: metadata.attempt,
        state,
        created_at: nanoseconds(status.created_at),
        started_at: nanoseconds(status.started_at),
        finished_at: nanoseconds(status.finished_at),
        exit_code: status.exit_code,
        reason: cut(status.reason, MAX_NAME),
        message: cut(status.message, MAX_MESSAGE),
        image: cut(image, MAX_PATH),
        pid: None,
        cgroups_path: None,
        limits_known: linux.is_some(),
        memory_limit: linux.and_then(|linux| limit(linux.memory_limit_in_bytes)),
        sandbox_id: None,
        grace_period_seconds: status
            .annotations
            .get("io.kubernetes.pod.terminationGracePeriod")
            .and_then(|seconds| seconds.parse().ok()),
        id: id(status.id)?,
    })
}

/// The state, as the CRI names it.
pub(super) fn state(state: v1::ContainerState) -> State {
    match state {
        v1::ContainerState::ContainerCreated => State::Created,
        v1::ContainerState::ContainerRunning => State::Running,
        v1::ContainerState::ContainerExited => State::Exited,
        v1::ContainerState::ContainerUnknown => State::Unknown,
    }
}

/// A sandbox of a listing.
pub(super) fn sandbox(sandbox: v1::PodSandbox) -> Option<Sandbox> {
    let ready = sandbox.state() == v1::PodSandboxState::SandboxReady;
    let pod = sandbox_pod(sandbox.metadata, &sandbox.labels);
    Some(Sandbox { id: id(sandbox.id)?, pod, ready, created_at: nanoseconds(sandbox.created_at) })
}

/// The sandbox of an event.
pub(super) fn sandbox_status(status: v1::PodSandboxStatus) -> Option<Sandbox> {
    let ready = status.state() == v1::PodSandboxState::SandboxReady;
    let pod = sandbox_pod(status.metadata, &status.labels);
    Some(Sandbox { id: id(status.id)?, pod, ready, created_at: nanoseconds(status.created_at) })
}

/// An id; none if it is empty, or too long to be one.
pub(super) fn id(id: String) -> Option<ContainerId> {
    (!id.is_empty() && id.len() <= MAX_NAME).then_some(ContainerId(id))
}

fn sandbox_pod(metadata: Option<v1::PodSandboxMetadata>, labels: &HashMap<String, String>) -> Pod {
    let metadata = metadata.unwrap_or_default();
    let labelled = pod(labels);
    let first = |label: String, name: String| if label.is_empty() { cut(name, MAX_NAME) } else { label };
    Pod {
        namespace: first(labelled.namespace, metadata.namespace),
        name: first(labelled.name, metadata.name),
        uid: first(labelled.uid, metadata.uid),
    }
}

fn pod(labels: &HashMap<String, String>) -> Pod {
    let label = |key: &str| cut(labels.get(key).cloned().unwrap_or_default(), MAX_NAME);
    Pod {
        namespace: label("io.kubernetes.pod.namespace"),
        name: label("io.kubernetes.pod.name"),
        uid: label("io.kubernetes.pod.uid"),
    }
}

/// A limit in bytes: 0 and less mean none.
fn limit(bytes: i64) -> Option<u64> {
    u64::try_from(bytes).ok().filter(|bytes| *bytes > 0)
}

/// A time in nanoseconds since the epoch: 0 and less mean never.
fn nanoseconds(time: i64) -> Option<Timestamp> {
    if time <= 0 { None } else { Timestamp::from_nanosecond(time.into()).ok() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As containerd 1.6 gives it, shortened.
    const INFO: &str = r#"{"sandboxID":"5a7","pid":4242,"removing":false,"snapshotKey":"k","config":{"envs":[{"key":"PASSWORD",
        "value":"hunter2"}]},"runtimeSpec":{"ociVersion":"1.0.2-dev","process":{"args":["sh"],"env":["PASSWORD=hunter2"]},
        "linux":{"resources":{"devices":[{"allow":false,"access":"rwm"}],"memory":{"limit":33554432},"cpu":{"shares":102}},
        "cgroupsPath":"/kubepods/pod1/c1"}}}"#;

    fn verbose(json: &str) -> HashMap<String, String> {
        HashMap::from([("info".to_owned(), json.to_owned())])
    }

    #[test]
    fn verbose_info_contains_pid_cgroup_limit_and_sandbox() {
        let expected = Details {
            pid: Some(4242),
            sandbox: Some(ContainerId("5a7".to_owned())),
            cgroups_path: Some("/kubepods/pod1/c1".to_owned()),
            memory_limit: Some(Some(32 << 20)),
        };
        assert_eq!(details(&verbose(INFO)), expected);
    }

    #[test]
    fn cri_o_states_the_pid_of_a_container_that_has_ended() {
        // As CRI-O 1.37 gives it for one that ended within a moment, shortened.
        let info = r#"{"sandboxID":"5a7","pid":4242,"runtimeSpec":{"ociVersion":"1.3.0","linux":{"resources":
            {"memory":{"limit":67108864,"swap":67108864}},"cgroupsPath":"/kubepods/burstable/pod1/crio-c1"}},
            "privileged":false}"#;
        let status = v1::ContainerStatus {
            id: "c1".to_owned(),
            state: v1::ContainerState::ContainerExited.into(),
            ..Default::default()
        };
        let mut container = container(status).unwrap();
        details(&verbose(info)).complete(&mut container);
        assert_eq!((container.pid, container.memory_limit), (Some(4242), Some(64 << 20)));
        assert_eq!(container.cgroups_path.as_deref(), Some("/kubepods/burstable/pod1/crio-c1"));
    }

    #[test]
    fn environment_values_never_leave_the_status() {
        let status = v1::ContainerStatus { id: "c1".to_owned(), ..Default::default() };
        let mut container = container(status).unwrap();
        details(&verbose(INFO)).complete(&mut container);
        assert_eq!((container.memory_limit, container.limits_known), (Some(32 << 20), true));
        assert!(!format!("{container:?}").contains("hunter2"));
    }

    #[test]
    fn a_spec_without_a_memory_limit_means_none_and_no_spec_means_unknown() {
        let details_of = details(&verbose(r#"{"pid":0,"runtimeSpec":{"linux":{"resources":{}}}}"#));
        assert_eq!((details_of.pid, details_of.memory_limit), (None, Some(None)));
        assert_eq!(details(&verbose(r#"{"pid":7}"#)).memory_limit, None);
        assert_eq!(details(&HashMap::new()), Details::default());
    }

    #[test]
    fn an_ended_container_keeps_its_times_and_the_pid_that_it_had() {
        let status = v1::ContainerStatus {
            id: "c1".to_owned(),
            state: v1::ContainerState::ContainerExited.into(),
            created_at: 1,
            finished_at: 2_000_000_000,
            ..Default::default()
        };
        let mut container = container(status).unwrap();
        Details { pid: Some(1), ..Details::default() }.complete(&mut container);
        assert_eq!((container.pid, container.started_at), (Some(1), None));
        assert_eq!(container.finished_at, Some(Timestamp::from_second(2).unwrap()));
    }

    proptest! {
        #[test]
        fn any_text_as_verbose_info_is_read_without_panic(text in ".{0,200}") {
            details(&verbose(&text));
        }

        #[test]
        fn any_mutilated_info_is_read_without_panic(at in 0..INFO.len(), with in ".{0,4}") {
            let mut text = INFO.to_owned();
            text.replace_range(at..=at, &with);
            details(&verbose(&text));
        }

        #[test]
        fn any_status_gives_a_container_of_bounded_size(
            text in (".{0,9}", 0..2000_usize).prop_map(|(text, times)| text.repeat(times)), state in any::<i32>(), times in any::<[i64; 3]>(), limit in any::<i64>(),
        ) {
            let linux = v1::LinuxContainerResources { memory_limit_in_bytes: limit, ..Default::default() };
            let status = v1::ContainerStatus {
                id: "c1".to_owned(),
                state,
                created_at: times[0],
                started_at: times[1],
                finished_at: times[2],
                reason: text.clone(),
                message: text.clone(),
                image_ref: text.clone(),
                labels: ["io.kubernetes.pod.name", "io.kubernetes.pod.uid", "io.kubernetes.container.name", "other"]
                    .map(|key| (key.to_owned(), text.clone())).into(),
                annotations: [("io.kubernetes.pod.terminationGracePeriod".to_owned(), text.clone())].into(),
                resources: Some(v1::ContainerResources { linux: Some(linux), windows: None }),
                ..Default::default()
            };
            let container = container(status).unwrap();
            prop_assert!(container.message.len() <= MAX_MESSAGE && container.reason.len() <= MAX_NAME);
            prop_assert!(container.pod.name.len() <= MAX_NAME && container.name.len() <= MAX_NAME);
        }
    }
}
