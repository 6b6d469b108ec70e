//! What a record must be to be stored. What it says is not judged here, only whether it keeps to the rules of the wire, so
//! that every reader can rely on them.
//!
//! An enum number that this version does not know is refused too: a cluster's aggregator is upgraded before its agents.

use coroner_proto::v1::{
    Candidate, Cause, Confidence, ContainerKind, Diagnosis, Gap, GapReason, OomScope, OutboxRecord, Severity,
    SourceHealth, SourceStatus, StopRequester, SubjectKind, outbox_record::Record,
};
use prost::Message;
use prost_types::{Duration, Timestamp};
use uuid::Uuid;

use crate::{
    key::node_of,
    ledger::{Entry, Identity},
    time::nanoseconds,
};

/// Bytes of one record, encoded. Agents keep to 16 KiB.
pub const MAX_RECORD_BYTES: usize = 64 << 10;
/// Bytes of a name of Kubernetes.
const MAX_NAME_BYTES: usize = 253;
/// Bytes of the id of an outbox.
const MAX_STREAM_ID_BYTES: usize = 128;
/// Sources of one agent.
const MAX_SOURCES: usize = 64;
/// Bytes of the reason of a source's health.
const MAX_REASON_BYTES: usize = 1024;
/// A pod is two deep at most: ReplicaSet and Deployment, Job and CronJob.
const MAX_WORKLOADS: usize = 2;

/// Why a record is refused, to follow its name.
pub type Refusal = String;

/// Makes an entry of the ledger of a record, which has to be about the node `own` if one is given: a stolen node must not speak about
/// others.
///
/// # Errors
/// The rule it breaks.
pub fn entry(record: OutboxRecord, own: Option<&str>) -> Result<Entry, Refusal> {
    let sequence = sequence(record.sequence)?;
    match record.record {
        Some(Record::Diagnosis(diagnosis)) => {
            let identity = Identity { uid: uid(&diagnosis.uid)?, revision: diagnosis.revision };
            check_diagnosis(&diagnosis)?;
            is_about(node_of(&diagnosis), own)?;
            Ok(Entry { sequence, identity: Some(identity), body: body(&diagnosis)? })
        }
        Some(Record::Gap(gap)) => {
            check_gap(&gap)?;
            is_about(&gap.node, own)?;
            Ok(Entry { sequence, identity: None, body: body(&gap)? })
        }
        None => Err("it holds neither a diagnosis nor a gap".into()),
    }
}

fn is_about(node: &str, own: Option<&str>) -> Result<(), Refusal> {
    match own {
        Some(own) if !node.is_empty() && node != own => {
            Err("it is about another node than the one that the agent speaks for".into())
        }
        Some(_) | None => Ok(()),
    }
}

/// The sequence of a record that can be acknowledged.
///
/// # Errors
/// That it cannot be.
pub fn sequence(sequence: u64) -> Result<i64, Refusal> {
    i64::try_from(sequence).ok().filter(|s| *s > 0).ok_or_else(|| format!("sequence {sequence} is out of range"))
}

/// Whether a push can be told from others by these.
///
/// # Errors
/// That it cannot.
pub fn check_origin(node: &str, stream_id: &str) -> Result<(), Refusal> {
    if node.is_empty() || stream_id.is_empty() {
        return Err("node and stream_id must be given".into());
    }
    name("node", node)?;
    if stream_id.len() > MAX_STREAM_ID_BYTES || stream_id.contains(char::is_control) {
        return Err(format!("stream_id has more than {MAX_STREAM_ID_BYTES} bytes or control characters"));
    }
    Ok(())
}

/// The sources that keep to the rules. The others are left out: a push is not refused for them.
pub fn sources(sources: Vec<SourceStatus>) -> Vec<SourceStatus> {
    let is_sound = |source: &SourceStatus| {
        name("source", &source.source).is_ok()
            && source.reason.len() <= MAX_REASON_BYTES
            && SourceHealth::try_from(source.health).is_ok()
            && time("since_time", source.since_time.as_ref()).is_ok()
    };
    sources.into_iter().take(MAX_SOURCES).filter(is_sound).collect()
}

fn uid(text: &str) -> Result<Uuid, Refusal> {
    // One way to write it, so that a uid is equal only to itself.
    let uid = Uuid::parse_str(text).ok().filter(|uid| uid.hyphenated().to_string() == text);
    uid.ok_or_else(|| "uid is not a UUID in lower case with hyphens".into())
}

fn body(message: &impl Message) -> Result<Vec<u8>, Refusal> {
    let body = message.encode_to_vec();
    if body.len() > MAX_RECORD_BYTES {
        return Err(format!("it has {} bytes, and {MAX_RECORD_BYTES} are the most", body.len()));
    }
    Ok(body)
}

fn check_diagnosis(diagnosis: &Diagnosis) -> Result<(), Refusal> {
    if diagnosis.revision == 0 {
        return Err("revision must be 1 or more".into());
    }
    known::<Cause>("cause", diagnosis.cause)?;
    for cause in &diagnosis.contributing {
        known::<Cause>("contributing", *cause)?;
    }
    for Candidate { cause, .. } in &diagnosis.candidates {
        known::<Cause>("candidates.cause", *cause)?;
    }
    known::<Confidence>("confidence", diagnosis.confidence)?;
    known::<Severity>("severity", diagnosis.severity)?;
    known::<StopRequester>("requested_by", diagnosis.requested_by)?;
    if let Some(memory) = &diagnosis.memory {
        known::<OomScope>("memory.scope", memory.scope)?;
    }
    let subject = diagnosis.subject.as_ref().ok_or("subject must be given")?;
    known::<SubjectKind>("subject.kind", subject.kind)?;
    known::<ContainerKind>("subject.container_kind", subject.container_kind)?;
    name("subject.namespace", &subject.namespace)?;
    name("subject.name", &subject.name)?;
    name("subject.node", &subject.node)?;
    name("subject.container", &subject.container)?;
    if diagnosis.workloads.len() > MAX_WORKLOADS {
        return Err(format!("workloads has more than {MAX_WORKLOADS} entries"));
    }
    for workload in &diagnosis.workloads {
        name("workloads.kind", &workload.kind)?;
        name("workloads.name", &workload.name)?;
    }
    if let Some(node) = &diagnosis.node {
        name("node.name", &node.name)?;
    }
    time("event_time", diagnosis.event_time.as_ref())?;
    time("observe_time", diagnosis.observe_time.as_ref())?;
    time("resolve_time", diagnosis.resolve_time.as_ref())?;
    time("container.start_time", diagnosis.container.as_ref().and_then(|c| c.start_time.as_ref()))?;
    for evidence in diagnosis.evidence.iter().chain(&diagnosis.against) {
        time("evidence.time", evidence.time.as_ref())?;
    }
    match &diagnosis.clock_uncertainty {
        Some(Duration { seconds, nanos }) if *seconds < 0 || !(0..1_000_000_000).contains(nanos) => {
            Err("clock_uncertainty is out of range".into())
        }
        _ => Ok(()),
    }
}

fn check_gap(gap: &Gap) -> Result<(), Refusal> {
    known::<GapReason>("reason", gap.reason)?;
    name("node", &gap.node)?;
    name("source", &gap.source)?;
    time("start_time", gap.start_time.as_ref())?;
    time("end_time", gap.end_time.as_ref())
}

fn known<E: TryFrom<i32>>(field: &str, number: i32) -> Result<(), Refusal> {
    E::try_from(number).map(drop).map_err(|_| format!("{field} {number} is not known to this version"))
}

fn name(field: &str, text: &str) -> Result<(), Refusal> {
    if text.len() > MAX_NAME_BYTES || text.contains(char::is_control) {
        return Err(format!("{field} has more than {MAX_NAME_BYTES} bytes or control characters"));
    }
    Ok(())
}

fn time(field: &str, time: Option<&Timestamp>) -> Result<(), Refusal> {
    match time {
        Some(time) if nanoseconds(time).is_none() => Err(format!("{field} is out of range")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{Evidence, Subject};

    use super::*;

    fn diagnosis() -> Diagnosis {
        Diagnosis {
            uid: "0198c0de-0000-5000-8000-000000000001".into(),
            revision: 1,
            subject: Some(Subject { namespace: "shop".into(), name: "web".into(), ..Default::default() }),
            ..Default::default()
        }
    }

    fn refusal(change: impl FnOnce(&mut Diagnosis)) -> String {
        let mut diagnosis = diagnosis();
        change(&mut diagnosis);
        let record = OutboxRecord { sequence: 1, record: Some(Record::Diagnosis(diagnosis)) };
        entry(record, None).expect_err("it breaks a rule")
    }

    #[test]
    fn sound_record_is_taken() {
        let record = OutboxRecord { sequence: 7, record: Some(Record::Diagnosis(diagnosis())) };
        let Entry { sequence, identity, body } = entry(record, None).unwrap();
        assert_eq!((sequence, identity.unwrap().revision, body), (7, 1, diagnosis().encode_to_vec()));
    }

    #[test]
    fn each_broken_rule_is_named() {
        let far = Some(Timestamp { seconds: i64::MAX, nanos: 0 });
        assert!(refusal(|d| d.uid = "7".into()).contains("uid"));
        assert!(refusal(|d| d.uid = d.uid.to_uppercase()).contains("uid"));
        assert!(refusal(|d| d.revision = 0).contains("revision"));
        assert!(refusal(|d| d.cause = 9999).contains("cause 9999"));
        assert!(refusal(|d| d.cause = -1).contains("cause -1"));
        assert!(refusal(|d| d.contributing = vec![9999]).contains("contributing"));
        assert!(refusal(|d| d.severity = 77).contains("severity"));
        assert!(refusal(|d| d.confidence = -7).contains("confidence"));
        assert!(refusal(|d| d.subject = None).contains("subject"));
        assert!(refusal(|d| d.subject.as_mut().unwrap().name = "x".repeat(254)).contains("subject.name"));
        assert!(refusal(|d| d.subject.as_mut().unwrap().namespace = "a\u{1b}[2J".into()).contains("subject.namespace"));
        assert!(refusal(|d| d.workloads = vec![Default::default(); 3]).contains("workloads"));
        assert!(refusal(|d| d.event_time = far).contains("event_time"));
        assert!(refusal(|d| d.evidence = vec![Evidence { time: far, ..Default::default() }]).contains("evidence.time"));
        assert!(
            refusal(|d| d.clock_uncertainty = Some(Duration { seconds: 0, nanos: -1 })).contains("clock_uncertainty")
        );
        assert!(refusal(|d| d.explanation = "x".repeat(MAX_RECORD_BYTES)).contains("bytes"));
    }

    #[test]
    fn sequences_that_cannot_be_acknowledged_are_refused() {
        assert!(sequence(0).is_err() && sequence(u64::MAX).is_err());
        assert_eq!(sequence(1), Ok(1));
    }

    #[test]
    fn unsound_source_is_left_out() {
        let sound = SourceStatus { source: "cri".into(), ..Default::default() };
        let unsound = SourceStatus { reason: "x".repeat(MAX_REASON_BYTES + 1), ..sound.clone() };
        assert_eq!(sources(vec![unsound, sound.clone()]), [sound]);
    }
}
