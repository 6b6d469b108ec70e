//! What a record must be to be stored. Its contents are not judged here, only whether it keeps to the protocol, so
//! that every reader can rely on them.
//!
//! An enum number that this version does not know is refused too: a cluster's aggregator is upgraded before its agents.

use coroner_proto::v1::{
    Candidate, Cause, Confidence, ContainerKind, Diagnosis, Gap, GapReason, OomScope, OutboxRecord, Related, Severity,
    SourceHealth, SourceStatus, StopRequester, SubjectKind, outbox_record::Record,
};
use prost::Message;
use prost_types::Duration;
use uuid::Uuid;

use super::{
    field::{Refusal, known, name, time},
    messages,
    origin::{Origin, correct_times},
};
use crate::ledger::{Entry, Identity};

/// Bytes of one record, encoded. Agents keep to 16 KiB.
pub const MAX_RECORD_BYTES: usize = 64 << 10;
/// Bytes of the id of an outbox.
const MAX_STREAM_ID_BYTES: usize = 128;
/// Sources of one agent.
const MAX_SOURCES: usize = 64;
/// Bytes of the reason of a source's health, and of its message.
const MAX_REASON_BYTES: usize = 1024;
/// Last lines of a container's log.
const MAX_LINES: usize = 16;
/// Bytes of one of them.
const MAX_LINE_BYTES: usize = 1024;
/// Points of a container's memory.
const MAX_HISTORY: usize = 64;
/// A pod is two deep at most: ReplicaSet and Deployment, Job and CronJob.
const MAX_WORKLOADS: usize = 2;
/// Containers of other pods that took part.
const MAX_RELATED: usize = 32;

/// No diagnosis is revised so often: a higher revision would hide all that follow.
const MAX_REVISION: u32 = 1_000_000;

/// Makes an entry of the ledger of a record that came at `now`, in nanoseconds since 1970.
///
/// # Errors
/// The rule it breaks.
pub fn entry(record: OutboxRecord, origin: Origin<'_>, now: i64) -> Result<Entry, Refusal> {
    let sequence = sequence(record.sequence)?;
    match record.record {
        Some(Record::Diagnosis(mut diagnosis)) => {
            let identity = Identity { uid: uid(&diagnosis.uid)?, revision: diagnosis.revision };
            check_diagnosis(&diagnosis)?;
            origin.check_diagnosis(&mut diagnosis)?;
            correct_times(&mut diagnosis, now);
            Ok(Entry { sequence, identity: Some(identity), body: body(&diagnosis)? })
        }
        Some(Record::Gap(gap)) => {
            check_gap(&gap)?;
            origin.check_gap(&gap)?;
            Ok(Entry { sequence, identity: None, body: body(&gap)? })
        }
        None => Err("it holds neither a diagnosis nor a gap".into()),
    }
}

/// The sequence of a record that can be acknowledged.
///
/// # Errors
/// That it cannot be.
pub fn sequence(sequence: u64) -> Result<i64, Refusal> {
    i64::try_from(sequence).ok().filter(|s| *s > 0).ok_or_else(|| format!("sequence {sequence} is out of range"))
}

/// Whether a push is identified by these.
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
            && source.reason_message.as_ref().is_none_or(|message| messages::is_sound(message, MAX_REASON_BYTES))
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
    if !(1..=MAX_REVISION).contains(&diagnosis.revision) {
        return Err(format!("revision must be from 1 to {MAX_REVISION}"));
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
        if memory.history.len() > MAX_HISTORY {
            return Err(format!("memory.history has more than {MAX_HISTORY} points"));
        }
        for point in &memory.history {
            time("memory.history.time", point.time.as_ref())?;
        }
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
    if diagnosis.related.len() > MAX_RELATED {
        return Err(format!("related has more than {MAX_RELATED} entries"));
    }
    for Related { namespace, pod, container, .. } in &diagnosis.related {
        name("related.namespace", namespace)?;
        name("related.pod", pod)?;
        name("related.container", container)?;
    }
    let of_related = diagnosis.related.iter().filter_map(|related| related.evidence.as_ref());
    for evidence in diagnosis.evidence.iter().chain(&diagnosis.against).chain(of_related) {
        time("evidence.time", evidence.time.as_ref())?;
    }
    messages::check(diagnosis)?;
    if diagnosis.last_lines.len() > MAX_LINES || diagnosis.last_lines.iter().any(|line| line.len() > MAX_LINE_BYTES) {
        return Err(format!("last_lines has more than {MAX_LINES} lines, or one of more than {MAX_LINE_BYTES} bytes"));
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
    time("end_time", gap.end_time.as_ref())?;
    gap.text_message.as_ref().map_or(Ok(()), |message| messages::message("text_message", message))
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{self, Evidence, Subject};
    use prost_types::Timestamp;

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
        entry(record, Origin::Cluster, 0).expect_err("it breaks a rule")
    }

    #[test]
    fn sound_record_is_taken() {
        let record = OutboxRecord { sequence: 7, record: Some(Record::Diagnosis(diagnosis())) };
        let Entry { sequence, identity, body } = entry(record, Origin::Cluster, i64::MAX).unwrap();
        assert_eq!((sequence, identity.unwrap().revision, body), (7, 1, diagnosis().encode_to_vec()));
    }

    #[test]
    fn each_broken_rule_is_named() {
        let far = Some(Timestamp { seconds: i64::MAX, nanos: 0 });
        assert!(refusal(|d| d.uid = "7".into()).contains("uid"));
        assert!(refusal(|d| d.uid = d.uid.to_uppercase()).contains("uid"));
        assert!(refusal(|d| d.revision = 0).contains("revision"));
        assert!(refusal(|d| d.revision = u32::MAX).contains("revision"));
        assert!(refusal(|d| d.cause = 9999).contains("cause 9999"));
        assert!(refusal(|d| d.cause = -1).contains("cause -1"));
        assert!(refusal(|d| d.contributing = vec![9999]).contains("contributing"));
        assert!(refusal(|d| d.severity = 77).contains("severity"));
        assert!(refusal(|d| d.confidence = -7).contains("confidence"));
        assert!(refusal(|d| d.subject = None).contains("subject"));
        assert!(refusal(|d| d.subject.as_mut().unwrap().name = "x".repeat(254)).contains("subject.name"));
        assert!(refusal(|d| d.subject.as_mut().unwrap().namespace = "a\u{1b}[2J".into()).contains("subject.namespace"));
        assert!(refusal(|d| d.workloads = vec![Default::default(); 3]).contains("workloads"));
        assert!(refusal(|d| d.last_lines = vec!["x".into(); 17]).contains("last_lines"));
        assert!(refusal(|d| d.last_lines = vec!["x".repeat(1025)]).contains("last_lines"));
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
        let nameless = SourceStatus { reason_message: Some(v1::Message::default()), ..sound.clone() };
        assert_eq!(sources(vec![unsound, nameless, sound.clone()]), [sound]);
    }
}
