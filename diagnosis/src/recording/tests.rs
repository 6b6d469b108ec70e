use super::*;
use crate::observation::containerd::{TaskEvent, TaskEventKind};
use crate::observation::cri::{ContainerId, State};
use crate::observation::{Gap, GapReason, Reason};

const CASE: &str = r#"{"start": 1795211830000000000, "end": 1795211838000000000, "boot_offset_ns": 1795209865000000000,
    "truth": [], "node": {"kernel": "6.18.44", "node_name": "node1", "cgroup": "v1", "uptime_s": 1973.72}}"#;

/// Of the node and of the API.
const SOURCES: usize = Source::OF_NODE.len() + crate::observation::kube::Kind::ALL.len();

fn recording() -> Recording {
    Recording::new(CASE).unwrap()
}

fn at(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap()
}

fn read(file: &str, contents: &str) -> Vec<Observation> {
    recording().read(file, contents).unwrap()
}

#[test]
fn a_case_names_its_clocks_and_its_node() {
    let recording = recording();
    assert_eq!((recording.start, recording.end), (at(1_795_211_830_000_000_000), at(1_795_211_838_000_000_000)));
    let node = Node::from(&recording.node);
    assert_eq!((node.name.as_str(), node.kernel_release.as_str()), ("node1", "6.18.44"));
    for wrong in ["", "{}", "[]", r#"{"start": 1, "end": "2", "boot_offset_ns": 3}"#] {
        assert_eq!(Recording::new(wrong).unwrap_err().to_string(), "reading case.json");
    }
}

#[test]
fn sources_without_a_file_are_absent_and_those_with_an_empty_one_are_well() {
    let observations = recording().observations([("kmsg.ndjson", ""), ("cri_events.ndjson", "")]).unwrap();
    let healthy: Vec<Source> = observations
        .iter()
        .filter_map(|observation| match &observation.fact {
            Fact::Health(source, Health::Ok) => Some(*source),
            Fact::Health(_, Health::Absent(_)) => None,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(healthy, [Source::KernelLog, Source::Cri]);
    assert_eq!(observations.len(), SOURCES);
}

#[test]
fn what_was_seen_at_the_same_time_keeps_one_order() {
    let files = [
        ("procfs.ndjson", r#"{"t":1795211831000000000,"files":{"meminfo":"MemTotal: 8 kB\nMemAvailable: 4 kB\n"}}"#),
        ("cgroups.ndjson", r#"{"t":1795211831000000000,"path":"/kubepods","files":{"memory.max":null}}"#),
        ("kmsg.ndjson", r#"{"t":1795211830500000000,"record":"6,1,2,-;x"}"#),
    ];
    let one = recording().observations(files).unwrap();
    let mut reversed = files;
    reversed.reverse();
    assert_eq!(one, recording().observations(reversed).unwrap());
    let sources: Vec<Source> = one.iter().skip(SOURCES).map(|o| o.fact.source()).collect();
    assert_eq!(sources, [Source::KernelLog, Source::Cgroups, Source::Procfs]);
}

#[test]
fn the_kernels_clock_becomes_wall_time_but_never_later_than_seen() {
    let log = read("kmsg", r#"{"t":1795211832000000000,"record":"6,1,1966000000,-;x"}"#);
    assert_eq!(log[0].happened_at, at(1_795_211_831_000_000_000));
    assert_eq!(log[0].seen_at, at(1_795_211_832_000_000_000));
    let ahead = read("kmsg", r#"{"t":1795211832000000000,"record":"6,1,1968000000,-;x"}"#);
    assert_eq!(ahead[0].happened_at, ahead[0].seen_at);
}

#[test]
fn losses_become_gaps_since_the_line_before() {
    let log = read(
        "kmsg",
        "{\"t\":1795211831000000000,\"record\":\"6,1,1,-;x\"}\n{\"t\":1795211832000000000,\"lost\":true}\n",
    );
    let gap = |source, from, to, lost| {
        Fact::Gap(Gap { source, reason: GapReason::Overrun, from: at(from), to: at(to), lost })
    };
    assert_eq!(log[1].fact, gap(Source::KernelLog, 1_795_211_831_000_000_000, 1_795_211_832_000_000_000, None));
    let trace = read("trace", r#"{"t":1795211831000000000,"line":"CPU:0 [LOST 12 EVENTS]"}"#);
    assert_eq!(trace[0].fact, gap(Source::Signals, 1_795_211_830_000_000_000, 1_795_211_831_000_000_000, Some(12)));
}

#[test]
fn a_line_that_cannot_be_used_is_named() {
    for (file, line) in [
        ("kmsg.ndjson", r#"{"t":1,"record":"no record"}"#),
        ("kmsg.ndjson", r#"{"t":1,"record":"6,1,1,-;x"#),
        ("trace.ndjson", r#"{"t":1,"line":"no line"}"#),
        ("cgroups.ndjson", r#"{"t":1,"path":"/"}"#),
        ("containerd_events.ndjson", r#"{"t":1,"line":"2026-11-20 21:57:11 +0000 UTC k8s.io /tasks/oom"}"#),
        ("containerd_events.ndjson", r#"{"t":1,"line":"2026-11-20 21:57 x UTC k8s.io /tasks/oom {}"}"#),
        ("cri_containers.ndjson", r#"{"t":1,"container":{"status":{}}}"#),
        ("cri_sandboxes.ndjson", r#"{"t":"1","sandbox":{"id":"a"}}"#),
        ("procfs.ndjson", "{}"),
    ] {
        let good = match file {
            "kmsg.ndjson" => r#"{"t":1,"record":"6,1,1,-;x"}"#,
            _ => "",
        };
        let error = recording().read(file, &format!("{good}\n\n{line}\n")).unwrap_err();
        assert_eq!(error.to_string(), format!("{file}, line 3"));
        assert!(!std::error::Error::source(&error).unwrap().to_string().is_empty());
    }
}

#[test]
fn events_of_containerd_are_read_by_topic() {
    let line = |topic: &str, json: &str| {
        let line = format!("2026-11-20 21:57:11.652636235 +0000 UTC {topic} {json}");
        format!("{}\n", serde_json::json!({"t": 1_795_211_832_000_000_000_i64, "line": line}))
    };
    let contents = [
        line("k8s.io /tasks/exit", r#"{"container_id":"c","id":"e","pid":7,"exited_at":{"seconds":1795211831}}"#),
        line(
            "k8s.io /tasks/delete",
            r#"{"container_id":"c","pid":7,"exit_status":137,"exited_at":"2026-11-20T21:57:11Z"}"#,
        ),
        line("k8s.io /tasks/oom", r#"{"container_id":"c"}"#),
        line("k8s.io /snapshot/prepare", r#"{"key":"c"}"#),
        line("moby /tasks/oom", r#"{"container_id":"c"}"#),
    ]
    .concat();
    let facts = read("containerd_events", &contents);
    let exited_at = Some(at(1_795_211_831_000_000_000));
    let expected = [
        TaskEventKind::Exit { process_id: "e".to_owned(), pid: 7, status: 0, exited_at },
        TaskEventKind::Delete { status: 137, exited_at },
        TaskEventKind::Oom,
    ];
    let container = ContainerId("c".to_owned());
    assert_eq!(
        facts.iter().map(|o| &o.fact).collect::<Vec<_>>(),
        expected.map(|kind| Fact::Task(TaskEvent { container: container.clone(), kind })).iter().collect::<Vec<_>>()
    );
    assert_eq!(facts[0].happened_at, at(1_795_211_831_652_636_235));
}

fn container(facts: &Observation) -> &crate::observation::cri::Container {
    match &facts.fact {
        Fact::Container(container) => container,
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_are_distinguished_from_no_limit_and_from_no_statement() {
    let limits = |resources: &str, info: &str| {
        let line = format!(r#"{{"t":1795211832000000000,"container":{{"status":{{"id":"c"{resources}}}{info}}}}}"#);
        let facts = read("cri_containers", &line);
        (container(&facts[0]).memory_limit, container(&facts[0]).limits_known)
    };
    assert_eq!(limits(r#","resources":{"linux":{"memoryLimitInBytes":"4096"}}"#, ""), (Some(4096), true));
    assert_eq!(limits(r#","resources":{"linux":{"memoryLimitInBytes":"0"}}"#, ""), (None, true));
    assert_eq!(limits(r#","resources":null"#, r#","info":{}"#), (None, false));
    let config = r#","info":{"config":{"linux":{"resources":{"memory_limit_in_bytes":8192}}}}"#;
    assert_eq!(limits("", config), (Some(8192), true));
    assert_eq!(limits("", r#","info":{"config":{"linux":{"resources":{"cpu_shares":2}}}}"#), (None, true));
    let spec = r#","info":{"runtimeSpec":{"linux":{"cgroupsPath":"/a","resources":{"memory":{"limit":4096}}}}}"#;
    assert_eq!(limits("", spec), (Some(4096), true));
    assert_eq!(limits("", r#","info":{"runtimeSpec":{"linux":{"resources":{"cpu":{}}}}}"#), (None, true));
}

#[test]
fn a_status_is_dated_by_its_state_and_the_year_one_is_no_date() {
    let line = |state: &str| {
        format!(
            r#"{{"t":1795211832000000000,"container":{{"status":{{"id":"c","state":"{state}","createdAt":"1795211828000000000",
                "startedAt":"2026-11-20T21:57:09Z","finishedAt":"0001-01-01T00:00:00Z","exitCode":3,"labels":null,
                "annotations":{{"io.kubernetes.pod.terminationGracePeriod":"30"}},
                "image":{{"image":"sha256:1","userSpecifiedImage":"app:1"}}}},"info":{{"pid":77,"sandboxID":"s"}}}}}}"#
        )
        .replace('\n', "")
    };
    let running = &read("cri_containers", &line("CONTAINER_RUNNING"))[0];
    assert_eq!(running.happened_at, at(1_795_211_829_000_000_000));
    let facts = container(running);
    assert_eq!((facts.state, facts.finished_at, facts.pid), (State::Running, None, Some(77)));
    assert_eq!((facts.grace_period_seconds, facts.image.as_str(), facts.exit_code), (Some(30), "app:1", 3));
    assert_eq!(facts.sandbox_id, Some(ContainerId("s".to_owned())));
    let exited = &read("cri_containers", &line("CONTAINER_EXITED"))[0];
    assert_eq!(exited.happened_at, exited.seen_at);
}

#[test]
fn a_deleted_sandbox_is_distinguished_from_a_deleted_container() {
    let event = |id: &str| {
        let event = format!(
            r#"{{"t":1795211832000000000,"event":{{"containerId":"{id}","containerEventType":"CONTAINER_DELETED_EVENT",
                "podSandboxStatus":{{"id":"s","metadata":{{"name":"p","namespace":"n","uid":"u"}},"state":"SANDBOX_NOTREADY"}},
                "containersStatuses":[{{"id":"other","state":"CONTAINER_EXITED"}}]}}}}"#
        );
        read("cri_events", &event.replace('\n', ""))
    };
    let of_container = event("c");
    assert!(matches!(&of_container[0].fact, Fact::Sandbox(sandbox) if !sandbox.ready && sandbox.pod.namespace == "n"));
    assert_eq!(container(&of_container[1]).sandbox_id, Some(ContainerId("s".to_owned())));
    assert_eq!(of_container[2].fact, Fact::ContainerRemoved(ContainerId("c".to_owned())));
    assert_eq!(event("s")[2].fact, Fact::SandboxRemoved(ContainerId("s".to_owned())));
}

/// One observation of each kind that recorded cases have no row for; of the others, `tests/tests/recorded.rs` holds the
/// same over all cases.
fn of_every_other_kind() -> Vec<Fact> {
    use crate::observation::{
        cgroup, docker, kernel_log, kube, node, process,
        trace::{OomVictim, SenderProcess, Signal, Thread},
    };
    let container = crate::observation::cri::Container {
        id: ContainerId("c".to_owned()),
        pod: crate::observation::cri::Pod { namespace: "shop".to_owned(), name: "web".to_owned(), uid: "u".to_owned() },
        name: "app".to_owned(),
        attempt: 2,
        state: State::Exited,
        created_at: Some(at(1)),
        started_at: None,
        finished_at: Some(at(3)),
        exit_code: -1,
        reason: "Error".to_owned(),
        message: "\u{0} \u{202e}".to_owned(),
        image: "app:1".to_owned(),
        pid: Some(7),
        cgroups_path: None,
        memory_limit: Some(u64::MAX),
        limits_known: true,
        sandbox_id: None,
        grace_period_seconds: Some(30),
    };
    let thread = Thread { tid: 7, comm: "runc:[1]".to_owned() };
    let sender = SenderProcess { pid: 7, exe: Some("/usr/bin/runc".to_owned()), cgroup: None };
    let limits = [("memory".to_owned(), i128::MAX)].into_iter().collect();
    let pod = kube::Pod { limits, priority: -5, ..kube::Pod::default() };
    vec![
        Fact::KernelLog(kernel_log::Record {
            sequence: None,
            boot_micros: 5,
            facility: 1,
            level: 6,
            text: "x".to_owned(),
        }),
        Fact::CgroupRemoved(cgroup::Path("/kubepods/x".to_owned())),
        Fact::ProcessExit(process::Exit { pid: 7, status: process::WaitStatus::Signaled(9) }),
        Fact::ContainerRemoved(ContainerId("c".to_owned())),
        Fact::Docker(docker::Report::Container(Box::new(container.clone()))),
        Fact::Docker(docker::Report::Event(ContainerId("c".to_owned()), docker::Event::Kill { signal: 15 })),
        Fact::ContainerName {
            id: ContainerId("c".to_owned()),
            pod: container.pod,
            name: "app".to_owned(),
            attempt: None,
        },
        Fact::Signal(Signal {
            signal: 9,
            code: -6,
            sender: thread.clone(),
            sender_process: Some(sender),
            target: thread.clone(),
            group: true,
            result: 0,
        }),
        Fact::OomVictim(OomVictim { pid: 7, comm: None, allocator: thread }),
        Fact::KubeletPod(Box::new(pod)),
        Fact::Node(node::Reading::Blocked(vec![node::BlockedProcess {
            pid: 7,
            name: "dd".to_owned(),
            wait_channel: "io_schedule".to_owned(),
            since: at(5),
            pod_uid: String::new(),
        }])),
        Fact::Node(node::Reading::ApiServer(node::ApiServer {
            address: "10.0.0.1:443".to_owned(),
            failed: Some((node::Step::Tls, Reason::quote("bad"))),
        })),
        Fact::Node(node::Reading::KubeletClientCertificate(node::Validity { from: at(1), until: at(2) })),
        Fact::Health(Source::Api(Kind::Pods), Health::Degraded(Reason::quote("403"))),
        Fact::Gap(Gap { source: Source::Cri, reason: GapReason::Overload, from: at(1), to: at(2), lost: Some(3) }),
    ]
}

#[test]
fn what_is_observed_is_read_back_as_it_was() {
    let (seen_at, happened_at) = (at(1_795_211_832_000_000_001), at(1_795_211_831_999_999_999));
    let observations: Vec<_> = of_every_other_kind()
        .into_iter()
        .flat_map(|fact| {
            [seen_at, happened_at].map(|happened_at| Observation { seen_at, happened_at, fact: fact.clone() })
        })
        .collect();
    let rows = observations.iter().map(|observation| row(observation).unwrap()).collect::<Vec<_>>().join("\n");
    assert_eq!(recording().observations([("observed.1.ndjson", rows)]).unwrap(), observations);
}

#[test]
fn no_secret_is_recorded_in_whatever_text_it_stands() {
    let secret = "password=hunter2-correct-horse";
    for fact in of_every_other_kind() {
        let observation = Observation { seen_at: at(5), happened_at: at(5), fact };
        let text = row(&observation)
            .unwrap()
            .replace("\"web\"", &format!("\"{secret}\""))
            .replace("\"x\"", "\"password=hunter2\"");
        let again = recording().observations([("observed.ndjson", text)]).unwrap();
        assert!(!row(&again[0]).unwrap().contains("hunter2"), "{again:?}");
    }
}

#[test]
fn a_recording_of_a_later_format_is_refused_with_the_version_that_wrote_it() {
    let case = |format: u32| {
        format!(r#"{{"start": 1, "end": 2, "boot_offset_ns": 3, "format": {format}, "coroner": "9.1.0", "new": 1}}"#)
    };
    assert!(Recording::new(&case(FORMAT)).is_ok());
    assert!(Recording::new(&case(FORMAT + 1)).unwrap_err().to_string().contains("coroner 9.1.0"));
}

#[test]
fn a_recording_may_be_about_some_pods_only() {
    let scope = Scope { namespace: Some("shop".to_owned()), pods: ["web".to_owned()].into() };
    let other = Scope { namespace: Some("bank".to_owned()), ..Scope::default() };
    let kept = |scope: &Scope| {
        let observed =
            of_every_other_kind().into_iter().map(|fact| Observation { seen_at: at(5), happened_at: at(5), fact });
        observed.filter_map(|observation| scope.narrow(observation)).count()
    };
    let all = of_every_other_kind().len();
    // The kubelet's pod has neither name nor namespace.
    assert_eq!((kept(&Scope::default()), kept(&scope), kept(&other)), (all, all - 1, all - 3));
}
