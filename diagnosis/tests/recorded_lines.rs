//! Every line that real nodes gave is understood.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use coroner_diagnosis::observation::cgroup::{Level, Limit, Path};
use coroner_diagnosis::observation::kernel_log::{Event, FaultKind, Record};
use coroner_diagnosis::observation::kube::Object;
use coroner_diagnosis::observation::node::Reading;
use coroner_diagnosis::observation::{Fact, Observation};
use coroner_diagnosis::recording::Recording;

mod support;

const KNOWN: [&str; 26] = [
    "kmsg",
    "trace",
    "cgroups",
    "procfs",
    "containerd_events",
    "cri_containers",
    "cri_events",
    "cri_sandboxes",
    "kubelet_healthz",
    "kubelet_configz",
    "kubelet_summary",
    "kubelet_pods",
    "pods",
    "events",
    "node_events",
    "nodes",
    "deployments",
    "replicasets",
    "jobs",
    "services",
    "endpointslices",
    "ingresses",
    "resourcequotas",
    "limitranges",
    "pvcs",
    "leases",
];

fn each_case(files: &[&str], mut look: impl FnMut(&support::Case, &Recording, Vec<Observation>)) {
    for case in support::cases(files) {
        let recording = Recording::new(&case.case_json).unwrap();
        let observations = recording.observations(case.files.iter().map(|(name, text)| (name.clone(), text))).unwrap();
        look(&case, &recording, observations);
    }
}

fn records(observations: &[Observation]) -> impl Iterator<Item = &Record> {
    observations.iter().filter_map(|observation| match &observation.fact {
        Fact::KernelLog(record) => Some(record),
        _ => None,
    })
}

#[test]
fn every_line_becomes_observations_in_the_order_of_time() {
    each_case(&KNOWN, |case, recording, observations| {
        // What `coroner record` wrote has none of these files: it is observations already.
        if case.files.values().all(String::is_empty) {
            return;
        }
        assert!(observations.is_sorted_by_key(|observation| observation.seen_at), "{}", case.name);
        assert!(observations.iter().all(|observation| observation.happened_at <= observation.seen_at));
        let count = |is_one: fn(&Fact) -> bool| observations.iter().filter(|o| is_one(&o.fact)).count();
        for (file, is_one) in [
            ("kmsg", count(|fact| matches!(fact, Fact::KernelLog(_) | Fact::Gap(_)))),
            ("cgroups", count(|fact| matches!(fact, Fact::Cgroup(_)))),
            ("procfs", count(|fact| matches!(fact, Fact::NodeMemory(_)))),
            ("procfs", count(|fact| matches!(fact, Fact::Pids(_)))),
            ("pods", count(|fact| matches!(fact, Fact::Object(_, Object::Pod(_))))),
            ("nodes", count(|fact| matches!(fact, Fact::Object(_, Object::Node(_))))),
            ("kubelet_healthz", count(|fact| matches!(fact, Fact::Node(Reading::Answer(..))))),
        ] {
            assert_eq!(is_one, case.files[file].lines().count(), "{}: {file}", case.name);
        }
        assert!(observations.iter().any(|o| matches!(o.fact, Fact::FileSystem(_))), "{}", case.name);
        let trace = observations.iter().filter(|o| matches!(o.fact, Fact::Signal(_) | Fact::OomVictim(_))).count();
        assert_eq!(trace, case.files["trace"].lines().count(), "{}", case.name);
        assert!(recording.end > recording.start && !recording.node.name.is_empty());
    });
}

#[test]
fn every_kernel_line_about_a_death_is_an_event() {
    let mut kinds = BTreeSet::new();
    each_case(&["kmsg"], |_, _, observations| {
        for record in records(&observations) {
            let text = record.text.as_str();
            let expected = [
                ("Killed process ", "killed"),
                ("oom-kill:constraint=", "summary"),
                (" invoked oom-killer: ", "invoked"),
                (" are going to be killed due to memory.oom.group set", "group"),
                ("]: segfault at ", "fault"),
                ("traps: ", "fault"),
                ("audit: type=1326", "seccomp"),
            ];
            let expected = expected.iter().find(|(pattern, _)| text.contains(pattern)).map(|(_, kind)| *kind);
            let expected = expected.or_else(|| text.starts_with("memory: usage ").then_some("usage"));
            let parts = ["anon ", "file ", "shmem ", "rss ", "cache ", "total_rss ", "total_cache ", "total_shmem "];
            let is_part = parts.iter().any(|key| text.starts_with(key));
            let expected = expected.or_else(|| is_part.then_some("memory"));
            let found = Event::parse(text).map(|event| match event {
                Event::Killed(_) => "killed",
                Event::OomSummary(_) => "summary",
                Event::OomInvoked { .. } => "invoked",
                Event::GroupKill { .. } => "group",
                Event::Fault(_) => "fault",
                Event::Seccomp { .. } => "seccomp",
                Event::LimitUsage { .. } => "usage",
                Event::CgroupMemory(_) => "memory",
                other => panic!("{text}: {other:?}"),
            });
            assert_eq!(found, expected, "{text}");
            assert_eq!(record.facility, 0);
            kinds.extend(found);
        }
    });
    assert_eq!(kinds.len(), 8);
}

#[test]
fn the_kernels_interfaces_agree_about_each_oom_kill() {
    each_case(&["kmsg", "trace"], |case, _, observations| {
        let marked: BTreeSet<i32> = observations
            .iter()
            .filter_map(|observation| match &observation.fact {
                Fact::OomVictim(victim) => Some(victim.pid),
                _ => None,
            })
            .collect();
        for event in records(&observations).filter_map(|record| Event::parse(&record.text)) {
            match event {
                Event::Killed(killed) => assert!(marked.contains(&killed.pid), "{}: {killed:?}", case.name),
                Event::OomSummary(summary) => {
                    let victim = Path(summary.victim_cgroup.clone().unwrap());
                    assert!(
                        matches!(victim.level(), Level::Container { pod_uid, .. } if !pod_uid.is_empty()),
                        "{victim}"
                    );
                    assert_eq!(summary.global, summary.limit_cgroup.is_none());
                    if let Some(limit) = summary.limit_cgroup {
                        assert!(victim.pod().unwrap().0.starts_with(&limit) || victim.container().unwrap().0 == limit);
                    }
                }
                Event::Fault(fault) => assert!(
                    fault.kind != FaultKind::Segfault || fault.address.is_some() && fault.object.is_some(),
                    "{fault:?}"
                ),
                _ => {}
            }
        }
    });
}

#[test]
fn every_cgroup_has_a_level_and_the_values_of_its_version() {
    each_case(&["cgroups"], |case, recording, observations| {
        for observation in &observations {
            let Fact::Cgroup(sample) = &observation.fact else { continue };
            assert_ne!(Path(sample.path.clone()).level(), Level::Other, "{}", sample.path);
            // A cgroup may be removed while it is read.
            if sample.pids_current.is_none() {
                continue;
            }
            assert!(sample.memory_usage.is_some() && sample.memory_peak.is_some(), "{}: {sample:?}", case.name);
            assert!(sample.oom_kills.is_some() && sample.limit_hits.is_some() && sample.anon.is_some());
            assert!(sample.cpu_periods.is_some() && sample.memory_limit.is_some());
            let v2 = recording.node.cgroup == "v2";
            assert_eq!((sample.ooms.is_some(), sample.oom_group.is_some(), sample.kernel.is_some()), (v2, v2, v2));
            if let Some(Limit::Limited(limit)) = sample.memory_limit {
                assert!(limit < 1 << 50, "{limit}");
            }
        }
    });
}

#[test]
fn every_container_of_the_cri_is_known_by_pod_name_and_limits() {
    each_case(&["cri_containers", "cri_events", "cri_sandboxes"], |case, _, observations| {
        for observation in &observations {
            match &observation.fact {
                Fact::Container(container) => {
                    assert!(!container.name.is_empty() && !container.pod.uid.is_empty(), "{}", case.name);
                    assert!(container.limits_known && container.sandbox_id.is_some(), "{}", case.name);
                    assert!(container.created_at.is_some() && !container.image.is_empty(), "{}", case.name);
                    if let Some(path) = &container.cgroups_path {
                        let level = Path(path.clone()).level();
                        let expected = Level::Container {
                            pod_uid: container.pod.uid.clone(),
                            container_id: container.id.0.clone(),
                        };
                        assert_eq!(level, expected);
                    }
                }
                // containerd forgets the time of a sandbox that it removes.
                Fact::Sandbox(sandbox) => {
                    assert!(!sandbox.pod.name.is_empty() && (!sandbox.ready || sandbox.created_at.is_some()));
                }
                _ => {}
            }
        }
    });
}
