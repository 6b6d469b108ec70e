//! Records for the tests of the formats.

use coroner_proto::v1::*;
use proptest::prelude::*;
use prost_types::Timestamp;
use uuid::Uuid;

use super::super::item::Item;
use crate::ledger::Position;

pub(in super::super) const UID: &str = "0198c0de-0000-5000-8000-000000000001";
/// 2026-08-01T10:00:00Z.
const SECONDS: i64 = 1_785_578_400;
const POSITION: Position = Position { offset: 7, time: SECONDS * 1_000_000_000 + 2_500_000_000 };

fn at(nanos: i32) -> Option<Timestamp> {
    Some(Timestamp { seconds: SECONDS, nanos })
}

/// A container that was killed at its own limit.
pub(in super::super) fn oom() -> Item {
    let evidence = |source: &str, text: &str| Evidence {
        source: source.into(),
        time: at(120_000_000),
        text: text.into(),
        message: None,
    };
    Item::diagnosis(
        POSITION,
        Diagnosis {
            uid: UID.into(),
            revision: 2,
            subject: Some(Subject {
                kind: SubjectKind::Container.into(),
                namespace: "shop".into(),
                name: "web-5d9c-x7k2".into(),
                node: "node-1".into(),
                container: "app".into(),
                container_kind: ContainerKind::Main.into(),
            }),
            cause: Cause::OomContainerLimit.into(),
            contributing: vec![Cause::HeapLimit.into()],
            fatal: true,
            confidence: Confidence::Certain.into(),
            severity: Severity::Error.into(),
            exit: Some(Exit { code: 137, signal: 9, fabricated: false, reported_reason: "OOMKilled".into() }),
            event_time: at(123_456_789),
            observe_time: at(200_000_000),
            occurrence_count: 3,
            summary: "app ran out of its own memory limit of 64 MiB".into(),
            explanation: "The kernel killed java (pid 4711) because the container reached its limit of 64 MiB.".into(),
            suggestions: vec!["Raise resources.limits.memory".into(), "Look for a leak".into()],
            node: Some(Node {
                name: "node-1".into(),
                machine_id: "4c4c4544004e3510".into(),
                boot_id: "b0071d".into(),
                kernel_release: "6.1.0-18-cloud-amd64".into(),
                cluster_uid: "c1u57e12".into(),
            }),
            pod: Some(Pod {
                namespace: "shop".into(),
                name: "web-5d9c-x7k2".into(),
                uid: "6f1c2f2e-8d8b-4f0a-9f65-0c8f5c3b7a11".into(),
            }),
            container: Some(Container {
                name: "app".into(),
                id: "d34db33f".into(),
                attempt: 2,
                image: "registry:5000/shop/web:1.2@sha256:0a0b".into(),
                start_time: at(0),
                cgroup_path: "/kubepods/pod6f1c/d34db33f".into(),
            }),
            process: Some(Process {
                pid: 4711,
                name: "java".into(),
                is_main: Some(true),
                anon_rss_bytes: Some(65_000_000),
                ..Process::default()
            }),
            memory: Some(Memory {
                scope: OomScope::Container.into(),
                limit_bytes: Some(67_108_864),
                usage_bytes: Some(67_104_768),
                ..Memory::default()
            }),
            evidence: vec![evidence("kernel_log", "Memory cgroup out of memory: Killed process 4711 (java)")],
            against: vec![evidence("cgroups", "the pod's own limit was not reached")],
            missing_sources: vec!["signals".into()],
            workloads: vec![
                Workload { kind: "ReplicaSet".into(), name: "web-5d9c".into() },
                Workload { kind: "Deployment".into(), name: "web".into() },
            ],
            ..Diagnosis::default()
        },
    )
}

/// A node that no longer answers.
pub(in super::super) fn node() -> Item {
    Item::diagnosis(
        POSITION,
        Diagnosis {
            uid: UID.into(),
            revision: 1,
            subject: Some(Subject {
                kind: SubjectKind::Node.into(),
                name: "node-1".into(),
                node: "node-1".into(),
                ..Subject::default()
            }),
            cause: Cause::KubeletDown.into(),
            confidence: Confidence::Likely.into(),
            severity: Severity::Critical.into(),
            event_time: at(0),
            summary: "the kubelet of node-1 is down".into(),
            node: Some(Node { name: "node-1".into(), ..Node::default() }),
            ..Diagnosis::default()
        },
    )
}

pub(in super::super) fn gap() -> Item {
    let gap = Gap {
        source: "ledger".into(),
        reason: GapReason::Retention.into(),
        start_time: at(0),
        end_time: at(500),
        lost_count: Some(40),
        text: "records were removed before they were read".into(),
        ..Gap::default()
    };
    Item::gap(Uuid::from_u128(1), 3, POSITION, gap)
}

/// Texts such as an attacker would choose, at every place that holds one.
pub(in super::super) fn hostile() -> impl Strategy<Value = Item> {
    let text = prop_oneof![
        "\\PC{0,40}",
        any::<String>(),
        "[\\x00-\\x7f|=\\\\\\]\"\r\n]{0,80}",
        Just("CEF:0|a|b|c|d|e|9|\r\n<13>1 - - - - - -".to_owned()),
        "[\u{0}-\u{20}\u{85}\u{2028}\u{feff}😀\"\\]]{0,3000}",
    ];
    proptest::collection::vec(text, 14).prop_map(|mut texts| {
        let mut item = oom();
        let mut next = || texts.pop().unwrap_or_default();
        let super::super::item::Record::Diagnosis(diagnosis) = &mut item.record else { unreachable!() };
        diagnosis.summary = next();
        diagnosis.explanation = next();
        diagnosis.suggestions = vec![next(), next()];
        diagnosis.evidence[0].text = next();
        diagnosis.evidence[0].source = next();
        diagnosis.process.as_mut().unwrap().name = next();
        diagnosis.exit.as_mut().unwrap().reported_reason = next();
        let container = diagnosis.container.as_mut().unwrap();
        (container.name, container.image, container.id) = (next(), next(), next());
        diagnosis.node.as_mut().unwrap().name = next();
        diagnosis.pod.as_mut().unwrap().name = next();
        diagnosis.workloads[1].name = next();
        item
    })
}
