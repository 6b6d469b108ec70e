//! Numbered diagnoses, for tests that let many of them flow and look at what arrives.

use coroner_proto::v1::{Cause, Confidence, Diagnosis, Severity, Subject, SubjectKind};

/// The diagnosis of this number of a node. Numbers begin with 1.
pub fn diagnosis(node: u16, number: u64) -> Diagnosis {
    Diagnosis {
        uid: uid(node, number),
        revision: 1,
        subject: Some(Subject {
            kind: SubjectKind::Container.into(),
            namespace: "shop".into(),
            name: "cart-7d4b9c6f5-x2x8k".into(),
            node: name(node),
            container: "app".into(),
            ..Subject::default()
        }),
        cause: Cause::OomContainerLimit.into(),
        fatal: true,
        confidence: Confidence::Certain.into(),
        severity: Severity::Error.into(),
        event_time: Some(prost_types::Timestamp { seconds: 1_780_000_000, nanos: 7 }),
        summary: summary(number),
        ..Diagnosis::default()
    }
}

/// A node's name.
pub fn name(node: u16) -> String {
    format!("node-{node}")
}

/// Its summary.
pub fn summary(number: u64) -> String {
    format!("number {number}")
}

/// The same again from the same node and number, as an agent's are from what died.
pub fn uid(node: u16, number: u64) -> String {
    format!("c0de0000-0000-5000-{node:04x}-{number:012x}")
}

/// Node and number of a uid; none for a uid that was not made here.
pub fn number_of(uid: &str) -> Option<(u16, u64)> {
    let (node, number) = uid.strip_prefix("c0de0000-0000-5000-")?.split_once('-')?;
    Some((u16::from_str_radix(node, 16).ok()?, u64::from_str_radix(number, 16).ok()?))
}
