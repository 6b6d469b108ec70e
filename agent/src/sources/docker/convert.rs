//! From Docker's answers to the CRI's terms, and nothing more: environment and arguments of containers stay behind.
//!
//! Mirrors cri-dockerd's `core/{container_status,sandbox_status,helpers}.go` and, for the cgroup, moby's
//! `daemon/oci_linux.go`.

use std::collections::HashMap;

use bollard::models::{ContainerInspectResponse, ContainerState, ContainerSummary, EventMessage};
use coroner_diagnosis::observation::{
    cri::{Container, ContainerId, Pod, Sandbox, State},
    docker::{Event, Report},
};
use jiff::Timestamp;

use super::{super::connection::cut, client::TYPE_LABEL};

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
    pub(super) statement: Report,
    pub(super) state: State,
    /// Docker writes a container's labels over the attributes of its events (`daemon/events.go`), and an image may
    /// bring any labels: signal and exit code in its events may come from the image.
    pub(super) may_forge: bool,
    /// When its present state began.
    pub(super) since: Option<Timestamp>,
}

/// Reads what was inspected. `None` if it is none of the kubelet's.
pub(super) fn inspected(answer: ContainerInspectResponse) -> Option<Inspected> {
    let config = answer.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    let is_sandbox = labels.get(TYPE_LABEL)? == SANDBOX;
    let id = id(answer.id?)?;
    let host = answer.host_config.unwrap_or_default();
    let found = answer.state.unwrap_or_default();
    let created_at = time(answer.created.as_deref());
    let status = Status::of(&found);
    let since = match status.state {
        State::Created | State::Unknown => created_at,
        State::Running => status.started_at,
        State::Exited => status.finished_at,
    };
    let state = status.state;
    let statement = if is_sandbox {
        Report::Sandbox(Sandbox { id, pod: pod(&labels), ready: state == State::Running, created_at })
    } else {
        let annotation = |key: &str| labels.get(&format!("{ANNOTATION}io.kubernetes.{key}"));
        Report::Container(Box::new(Container {
            pod: pod(&labels),
            name: label(&labels, "io.kubernetes.container.name"),
            attempt: annotation("container.restartCount").and_then(|count| count.parse().ok()).unwrap_or_default(),
            state,
            created_at,
            started_at: status.started_at,
            finished_at: status.finished_at,
            exit_code: found.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or_default(),
            reason: status.reason.to_owned(),
            message: cut(found.error.unwrap_or_default(), MAX_MESSAGE),
            image: cut(config.image.unwrap_or_default(), MAX_PATH),
            pid: found.pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0 && state == State::Running),
            cgroups_path: host.cgroup_parent.and_then(|parent| cgroups_path(&parent, &id)),
            memory_limit: host.memory.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0),
            limits_known: host.memory.is_some(),
            sandbox_id: labels.get("io.kubernetes.sandbox.id").cloned().and_then(self::id),
            grace_period_seconds: annotation("pod.terminationGracePeriod").and_then(|seconds| seconds.parse().ok()),
            id,
        }))
    };
    let may_forge = ["signal", "exitCode"].into_iter().any(|attribute| labels.contains_key(attribute));
    Some(Inspected { statement, state, may_forge, since })
}

/// What cri-dockerd makes of a state, except that what never started has no times of a run.
struct Status {
    state: State,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    reason: &'static str,
}

impl Status {
    fn of(found: &ContainerState) -> Self {
        let (started_at, finished_at) = (time(found.started_at.as_deref()), time(found.finished_at.as_deref()));
        let failed = found.exit_code.is_some_and(|code| code != 0);
        let (state, reason) = match finished_at {
            _ if found.running == Some(true) => (State::Running, ""),
            Some(_) if found.oom_killed == Some(true) => (State::Exited, "OOMKilled"),
            Some(_) if failed => (State::Exited, "Error"),
            Some(_) => (State::Exited, "Completed"),
            None if failed => (State::Exited, "ContainerCannotRun"),
            None => (State::Created, ""),
        };
        // While it runs again, Docker still has the time of its earlier end.
        Self { state, started_at, finished_at: finished_at.filter(|_| state == State::Exited), reason }
    }
}

/// What a listing contains: the owner, whether it is a sandbox, and whether it runs.
pub(super) fn listed(summary: ContainerSummary) -> Option<(ContainerId, bool)> {
    use bollard::models::ContainerSummaryStateEnum::{PAUSED, RUNNING};
    let runs = matches!(summary.state, Some(RUNNING | PAUSED));
    Some((id(summary.id?)?, runs))
}

/// An event of Docker, without what is not used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) id: ContainerId,
    pub(super) seen_at: Timestamp,
    pub(super) happened_at: Timestamp,
    pub(super) what: What,
}

/// What an event of Docker reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An event that is reported unchanged.
    Event(Event),
    /// It is another than before, or new.
    Changed,
    /// It is gone.
    Destroyed,
}

/// Reads an event. `None` if it does not concern a container of the kubelet.
pub(super) fn event(event: EventMessage, seen_at: Timestamp) -> Option<Notice> {
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
    let found = event.time_nano.filter(|time| *time > 0).map(|time| Timestamp::from_nanosecond(time.into()));
    Some(Notice { id, seen_at, happened_at: found.and_then(Result::ok).unwrap_or(seen_at), what })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Docker 20.10 gives it, shortened.
    const INSPECTED: &str = r#"{"Id":"4b6c","Created":"2026-11-21T07:25:28.915972365Z","Path":"/bin/sh","Args":["-c","x"],"State":{
        "Status":"exited","Running":false,"Paused":false,"Restarting":false,"OOMKilled":true,"Dead":false,"Pid":0,"ExitCode":3,
        "Error":"","StartedAt":"2026-11-21T07:25:29.056719217Z","FinishedAt":"2026-11-21T07:25:32.089293836Z"},
        "Name":"/k8s_app_web-0_shop_11111111-2222-3333-4444-555555555555_2","RestartCount":0,"HostConfig":{"NetworkMode":"none",
        "Memory":33554432,"CgroupParent":"/kubepods/burstable/pod11111111-2222-3333-4444-555555555555","OomScoreAdj":1000},
        "Config":{"Image":"sha256:2e54","Env":["PASSWORD=hunter2"],"Labels":{"io.kubernetes.docker.type":"container",
        "io.kubernetes.pod.name":"web-0","io.kubernetes.pod.namespace":"shop","io.kubernetes.sandbox.id":"5a7",
        "io.kubernetes.pod.uid":"11111111-2222-3333-4444-555555555555","io.kubernetes.container.name":"app",
        "annotation.io.kubernetes.container.restartCount":"2","annotation.io.kubernetes.pod.terminationGracePeriod":"45"}}}"#;

    /// The container that is inspected when these parts of the answer are others.
    fn container(replace: &[(&str, &str)]) -> (Container, Inspected) {
        let text = replace.iter().fold(INSPECTED.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
        let inspected = inspected(serde_json::from_str(&text).unwrap()).unwrap();
        let Report::Container(container) = &inspected.statement else { panic!("{inspected:?}") };
        ((**container).clone(), inspected)
    }

    #[test]
    fn a_container_is_named_as_cri_dockerd_names_it_and_its_environment_stays_behind() {
        let (found, inspected) = container(&[]);
        assert_eq!((&*found.pod.namespace, &*found.pod.name, &*found.name), ("shop", "web-0", "app"));
        assert_eq!(found.pod.uid, "11111111-2222-3333-4444-555555555555");
        assert_eq!((found.attempt, found.grace_period_seconds), (2, Some(45)));
        assert_eq!((found.memory_limit, found.limits_known), (Some(32 << 20), true));
        assert_eq!(found.sandbox_id, Some(ContainerId("5a7".to_owned())));
        let path = "/kubepods/burstable/pod11111111-2222-3333-4444-555555555555/4b6c";
        assert_eq!(found.cgroups_path.as_deref(), Some(path));
        assert_eq!((inspected.since, inspected.may_forge), (found.finished_at, false));
        assert!(!format!("{inspected:?}").contains("hunter2"));
    }

    #[test]
    fn with_the_systemd_driver_the_cgroup_is_a_scope_in_the_pods_slice() {
        let slice = "kubepods-burstable-pod11111111_2222_3333_4444_555555555555.slice";
        let parent = "/kubepods/burstable/pod11111111-2222-3333-4444-555555555555";
        let (found, _) = container(&[(parent, slice)]);
        assert_eq!(found.cgroups_path, Some(format!("{slice}:docker:4b6c")));
    }

    #[test]
    fn reasons_are_those_of_cri_dockerd() {
        let reason = |replace: &[(&str, &str)]| {
            let (found, _) = container(replace);
            (found.state, found.reason, found.exit_code)
        };
        let unflagged = (r#""OOMKilled":true"#, r#""OOMKilled":false"#);
        assert_eq!(reason(&[]), (State::Exited, "OOMKilled".to_owned(), 3));
        assert_eq!(reason(&[unflagged]), (State::Exited, "Error".to_owned(), 3));
        let completed = (r#""ExitCode":3"#, r#""ExitCode":0"#);
        assert_eq!(reason(&[unflagged, completed]), (State::Exited, "Completed".to_owned(), 0));
        let runs = (r#""Running":false"#, r#""Running":true"#);
        assert_eq!(reason(&[runs]), (State::Running, String::new(), 3));
    }

    #[test]
    fn what_never_started_has_the_zero_time_of_go_and_a_reason() {
        let zero = "0001-01-01T00:00:00Z";
        let never = [
            ("2026-11-21T07:25:29.056719217Z", zero),
            ("2026-11-21T07:25:32.089293836Z", zero),
            (r#""ExitCode":3"#, r#""ExitCode":127"#),
            (r#""Error":"""#, r#""Error":"exec: \"/bin/nope\": stat /bin/nope: no such file or directory""#),
        ];
        let (found, _) = container(&never);
        assert_eq!((found.state, &*found.reason, found.exit_code), (State::Exited, "ContainerCannotRun", 127));
        assert_eq!((found.started_at, found.finished_at), (None, None));
        assert!(found.message.contains("no such file"));
        let created = [never[0], never[1], (r#""ExitCode":3"#, r#""ExitCode":0"#)];
        assert_eq!(container(&created).0.state, State::Created);
    }

    #[test]
    fn labels_that_would_overwrite_an_events_attributes_are_detected() {
        let (_, inspected) = container(&[(r#""Labels":{"#, r#""Labels":{"exitCode":"0","#)]);
        assert!(inspected.may_forge);
    }

    fn found(text: &str) -> Option<What> {
        event(serde_json::from_str(text).unwrap(), Timestamp::UNIX_EPOCH).map(|found| found.what)
    }

    #[test]
    fn only_events_of_the_kubelets_containers_count() {
        let text = r#"{"Type":"container","Action":"die","Actor":{"ID":"4b6c","Attributes":{"exitCode":"137","image":"bb:1",
            "io.kubernetes.docker.type":"container"}},"scope":"local","time":1795245928,"timeNano":1795245928496719888}"#;
        assert_eq!(found(text), Some(What::Event(Event::Die { status: 137 })));
        assert_eq!(found(&text.replace("137", "many")), Some(What::Changed), "it did die");
        assert_eq!(found(&text.replace("\"die\"", "\"exec_die\"")), None);
        assert_eq!(found(&text.replace("docker.type", "other")), None);
        assert_eq!(found(&text.replace("4b6c", "../4b6c")), None);
        let kill = text.replace("\"die\"", "\"kill\"").replace("exitCode\":\"137", "signal\":\"9");
        assert_eq!(found(&kill), Some(What::Event(Event::Kill { signal: 9 })));
    }

    proptest! {
        #[test]
        fn any_mutilated_answer_is_read_without_panic(at in 0..INSPECTED.len(), with in ".{0,4}") {
            let mut text = INSPECTED.to_owned();
            text.replace_range(at..=at, &with);
            if let Ok(answer) = serde_json::from_str(&text) {
                inspected(answer);
            }
        }

        #[test]
        fn any_answer_gives_a_container_of_bounded_size(
            text in (".{0,9}", 0..2000_usize).prop_map(|(text, times)| text.repeat(times)), number in any::<i64>(),
        ) {
            let state = ContainerState {
                error: Some(text.clone()),
                exit_code: Some(number),
                pid: Some(number),
                started_at: Some(text.clone()),
                ..Default::default()
            };
            let mut answer: ContainerInspectResponse = serde_json::from_str(INSPECTED).unwrap();
            answer.state = Some(state);
            let config = answer.config.as_mut().unwrap();
            config.image = Some(text.clone());
            for value in config.labels.as_mut().unwrap().values_mut() {
                value.clone_from(&text);
            }
            let host = answer.host_config.as_mut().unwrap();
            (host.cgroup_parent, host.memory) = (Some(text), Some(number));
            let Some(Inspected { statement: Report::Container(found), .. }) = inspected(answer) else { return Ok(()) };
            prop_assert!(found.message.len() <= MAX_MESSAGE && found.image.len() <= MAX_PATH);
            prop_assert!(found.pod.name.len() <= MAX_NAME && found.name.len() <= MAX_NAME);
            prop_assert!(found.cgroups_path.is_none_or(|path| path.len() <= MAX_PATH + 16));
        }

        #[test]
        fn any_event_is_read_without_panic(
            action in "create|start|update|oom|kill|die|destroy", value in ".{0,6}", time in any::<i64>(),
        ) {
            let attributes = ["signal", "exitCode", TYPE_LABEL].map(|key| (key.to_owned(), value.clone()));
            let actor = bollard::models::EventActor { id: Some("4b6c".to_owned()), attributes: Some(attributes.into()) };
            let message =
                EventMessage { action: Some(action), actor: Some(actor), time_nano: Some(time), ..Default::default() };
            event(message, Timestamp::UNIX_EPOCH);
        }
    }
}
