//! From Docker's answers to the CRI's terms, and nothing more: environment and arguments of containers stay behind.
//!
//! Mirrors cri-dockerd's `core/{container_status,sandbox_status,helpers}.go` and, for the cgroup, moby's
//! `daemon/oci_linux.go`.

use std::collections::HashMap;

use bollard::models::{ContainerInspectResponse, ContainerState, ContainerSummary, EventMessage};
use coroner_diagnosis::{
    cri::{Container, ContainerId, Pod, Sandbox, State},
    docker::{Event, Word},
};
use jiff::Timestamp;

use super::{super::runtime::cut, client::TYPE_LABEL};

/// Ids, names and other short texts are cut to this. Kubernetes' own names have at most 253 bytes.
const MAX_NAME: usize = 256;
/// Paths and images are cut to this: the kernel's PATH_MAX.
const MAX_PATH: usize = 4096;
/// Messages are cut to this, as the kubelet cuts termination messages.
const MAX_MESSAGE: usize = 4096;
/// The sandbox' value of [`TYPE_LABEL`].
const SANDBOX: &str = "podsandbox";
/// cri-dockerd makes labels of annotations, which Docker does not have.
const ANNOTATION: &str = "annotation.";

type Labels = HashMap<String, String>;

/// A container or sandbox, as it was inspected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inspected {
    pub(super) word: Word,
    pub(super) state: State,
    /// Docker writes a container's labels over the attributes of its events (`daemon/events.go`), and an image may bring
    /// any labels: what its events say of signal and exit code may be the image's word.
    pub(super) may_forge: bool,
    /// When it came into its state.
    pub(super) since: Option<Timestamp>,
}

/// Reads what was inspected. `None` if it is none of the kubelet's.
pub(super) fn inspected(answer: ContainerInspectResponse) -> Option<Inspected> {
    let config = answer.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    let is_sandbox = labels.get(TYPE_LABEL)? == SANDBOX;
    let id = id(answer.id?)?;
    let host = answer.host_config.unwrap_or_default();
    let told = answer.state.unwrap_or_default();
    let created_at = time(answer.created.as_deref());
    let status = Status::of(&told);
    let since = match status.state {
        State::Created | State::Unknown => created_at,
        State::Running => status.started_at,
        State::Exited => status.finished_at,
    };
    let state = status.state;
    let word = if is_sandbox {
        Word::Sandbox(Sandbox { id, pod: pod(&labels), ready: state == State::Running, created_at })
    } else {
        let annotation = |key: &str| labels.get(&format!("{ANNOTATION}io.kubernetes.{key}"));
        Word::Container(Box::new(Container {
            pod: pod(&labels),
            name: label(&labels, "io.kubernetes.container.name"),
            attempt: annotation("container.restartCount").and_then(|count| count.parse().ok()).unwrap_or_default(),
            state,
            created_at,
            started_at: status.started_at,
            finished_at: status.finished_at,
            exit_code: told.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or_default(),
            reason: status.reason.to_owned(),
            message: cut(told.error.unwrap_or_default(), MAX_MESSAGE),
            image: cut(config.image.unwrap_or_default(), MAX_PATH),
            pid: told.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0 && state == State::Running),
            cgroups_path: host.cgroup_parent.and_then(|parent| cgroups_path(&parent, &id)),
            memory_limit: host.memory.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0),
            limits_known: host.memory.is_some(),
            sandbox_id: labels.get("io.kubernetes.sandbox.id").cloned().and_then(self::id),
            grace_period_seconds: annotation("pod.terminationGracePeriod").and_then(|seconds| seconds.parse().ok()),
            id,
        }))
    };
    let may_forge = ["signal", "exitCode"].into_iter().any(|attribute| labels.contains_key(attribute));
    Some(Inspected { word, state, may_forge, since })
}

/// What cri-dockerd makes of a state, except that what never started has no times of a run.
struct Status {
    state: State,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    reason: &'static str,
}

impl Status {
    fn of(told: &ContainerState) -> Self {
        let (started_at, finished_at) = (time(told.started_at.as_deref()), time(told.finished_at.as_deref()));
        let failed = told.exit_code.is_some_and(|code| code != 0);
        let (state, reason) = match finished_at {
            _ if told.running == Some(true) => (State::Running, ""),
            Some(_) if told.oom_killed == Some(true) => (State::Exited, "OOMKilled"),
            Some(_) if failed => (State::Exited, "Error"),
            Some(_) => (State::Exited, "Completed"),
            None if failed => (State::Exited, "ContainerCannotRun"),
            None => (State::Created, ""),
        };
        // While it runs again, Docker still tells when it ended before.
        Self { state, started_at, finished_at: finished_at.filter(|_| state == State::Exited), reason }
    }
}

/// What a listing tells: whose it is, whether it is a sandbox, and whether it runs.
pub(super) fn listed(summary: ContainerSummary) -> Option<(ContainerId, bool)> {
    use bollard::models::ContainerSummaryStateEnum::{PAUSED, RUNNING};
    let runs = matches!(summary.state, Some(RUNNING | PAUSED));
    Some((id(summary.id?)?, runs))
}

/// An event, pruned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) id: ContainerId,
    pub(super) seen_at: Timestamp,
    pub(super) happened_at: Timestamp,
    pub(super) what: What,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Something that is told as it is.
    Event(Event),
    /// It is another than before, or new.
    Changed,
    /// It is gone.
    Destroyed,
}

/// Reads an event. `None` if it tells nothing of a container of the kubelet's.
pub(super) fn event(event: EventMessage, seen_at: Timestamp) -> Option<Told> {
    let actor = event.actor?;
    let attributes = actor.attributes.unwrap_or_default();
    let number = |key: &str| attributes.get(key)?.parse::<u8>().ok();
    let what = match event.action.as_deref()? {
        "create" | "start" | "update" => What::Changed,
        "oom" => What::Event(Event::Oom),
        "kill" => What::Event(Event::Kill { signal: number("signal")?.into() }),
        "die" => number("exitCode").map_or(What::Changed, |status| What::Event(Event::Die { status: status.into() })),
        "destroy" => What::Destroyed,
        _ => return None,
    };
    let id = id(actor.id?).filter(|_| attributes.contains_key(TYPE_LABEL))?;
    let told = event.time_nano.filter(|time| *time > 0).map(|time| Timestamp::from_nanosecond(time.into()));
    Some(Told { id, seen_at, happened_at: told.and_then(Result::ok).unwrap_or(seen_at), what })
}

/// An id; none if it cannot be one.
fn id(id: String) -> Option<ContainerId> {
    let fits = !id.is_empty() && id.len() <= MAX_NAME && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then_some(ContainerId(id))
}

fn pod(labels: &Labels) -> Pod {
    Pod {
        namespace: label(labels, "io.kubernetes.pod.namespace"),
        name: label(labels, "io.kubernetes.pod.name"),
        uid: label(labels, "io.kubernetes.pod.uid"),
    }
}

fn label(labels: &Labels, key: &str) -> String {
    cut(labels.get(key).cloned().unwrap_or_default(), MAX_NAME)
}

/// With the systemd driver the parent is a slice.
fn cgroups_path(parent: &str, id: &ContainerId) -> Option<String> {
    let fits = !parent.is_empty() && parent.len() <= MAX_PATH;
    let path = if parent.ends_with(".slice") {
        format!("{parent}:docker:{id}")
    } else {
        format!("{}/{id}", parent.trim_end_matches('/'))
    };
    fits.then_some(path)
}

/// A time; `None` for Go's zero time and for what is no time at all.
fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse::<Timestamp>().ok().filter(|time| time.as_second() > 0)
}
