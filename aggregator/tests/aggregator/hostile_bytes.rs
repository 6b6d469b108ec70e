//! Bytes from the network: whatever comes, nothing panics, and what intake takes is fit for every reader.

use coroner_aggregator::{
    filter::Selection,
    intake::{Origin, check},
    mask::Mask,
    token::{PageToken, ResumeToken},
};
use coroner_proto::v1::{
    Diagnosis, DiagnosisFilter, Evidence, ListDiagnosesRequest, Node, OutboxRecord, PushDiagnosesRequest, SourceStatus,
    SubjectKind, WatchDiagnosesRequest, Workload, outbox_record::Record, watch_diagnoses_request::Start,
};
use proptest::{collection::vec, prelude::*, sample::Index};
use prost::Message;
use prost_types::FieldMask;

use crate::support::{diagnosis, gap, push};

/// Later than any time that is reported, so that none is corrected.
const NOW: i64 = i64::MAX;

/// Any bytes, or those of this message with some of them changed, removed, or put in twice.
fn bytes_like(sound: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<Index>(), any::<u8>(), 0..4_usize, 0..3_usize);
    let changed = vec(change, 0..6).prop_map(move |changes| {
        let mut bytes = sound.clone();
        for (index, byte, length, kind) in changes {
            let at = if bytes.is_empty() { 0 } else { index.index(bytes.len()) };
            let end = (at + length).min(bytes.len());
            match kind {
                0 => bytes[at..end].fill(byte),
                1 => drop(bytes.drain(at..end)),
                _ => drop(bytes.splice(at..at, bytes[at..end].to_vec()).collect::<Vec<_>>()),
            }
        }
        bytes
    });
    prop_oneof![4 => changed, 1 => vec(any::<u8>(), 0..200)]
}

fn a_push() -> PushDiagnosesRequest {
    let full = Diagnosis {
        workloads: vec![Workload { kind: "ReplicaSet".into(), name: "web-1".into() }],
        node: Some(Node { name: "n1".into(), ..Default::default() }),
        evidence: vec![Evidence { time: diagnosis(1).event_time, ..Default::default() }],
        clock_uncertainty: Some(prost_types::Duration { seconds: 1, nanos: 1 }),
        resolve_time: diagnosis(1).event_time,
        ..diagnosis(1)
    };
    let sources = vec![SourceStatus { source: "cri".into(), since_time: full.event_time, ..Default::default() }];
    PushDiagnosesRequest { sources, ..push(1, [Record::Diagnosis(full), Record::Gap(gap(7))]) }
}

fn a_question() -> WatchDiagnosesRequest {
    let filter = DiagnosisFilter {
        namespaces: vec!["shop".into()],
        nodes: vec!["n1".into()],
        causes: vec![1, 2],
        min_severity: 2,
        fatal_only: true,
        workloads: vec!["Deployment/web".into()],
        ..Default::default()
    };
    let paths = ["uid", "subject.name", "evidence", "pod.name", "memory.limit_bytes"].map(str::to_owned).to_vec();
    WatchDiagnosesRequest {
        start: Some(Start::ResumeToken("01".repeat(33))),
        include: vec![filter.clone()],
        exclude: vec![filter],
        read_mask: Some(FieldMask { paths }),
        max_batch_size: 7,
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_push_of_any_bytes_is_refused_or_fit_for_every_reader(bytes in bytes_like(a_push().encode_to_vec()), own: bool) {
        let Ok(PushDiagnosesRequest { node, stream_id, records, sources, .. }) = PushDiagnosesRequest::decode(&*bytes)
        else { return Ok(()) };
        let _distinguished_from_others = check::check_origin(&node, &stream_id);
        let taken = check::sources(sources.clone());
        prop_assert!(taken.iter().all(|source| sources.contains(source)));
        for OutboxRecord { sequence, record } in records {
            let origin = if own { Origin::Node("n1") } else { Origin::Cluster };
            let entry = check::entry(OutboxRecord { sequence, record: record.clone() }, origin, NOW);
            let Ok(entry) = entry else { continue };
            prop_assert!(entry.sequence > 0 && entry.body.len() <= check::MAX_RECORD_BYTES);
            let key = entry.key(0).unwrap();
            prop_assert!(!own || key.node == "n1");
            let columns = [&key.namespace, &key.name, &key.node, &key.container];
            prop_assert!(columns.iter().all(|text| !text.contains(char::is_control)));
            let stored = match entry.identity {
                Some(_) => Record::Diagnosis(Diagnosis::decode(&*entry.body).unwrap()),
                None => Record::Gap(Message::decode(&*entry.body).unwrap()),
            };
            let mut expected = record;
            if let (true, Some(Record::Diagnosis(Diagnosis { subject: Some(subject), .. }))) = (own, &mut expected)
                && subject.kind() != SubjectKind::Node
            {
                subject.node = "n1".into();
            }
            prop_assert_eq!(Some(stored), expected);
            // A mask never turns a sound diagnosis into none.
            let mask = Mask::new(a_question().read_mask).unwrap();
            prop_assert!(entry.identity.is_none() || Diagnosis::decode(&*mask.apply(&entry.body).unwrap()).is_ok());
        }
    }

    #[test]
    fn a_question_of_any_bytes_is_refused_or_answered(
        bytes in bytes_like(a_question().encode_to_vec()),
        body in bytes_like(diagnosis(1).encode_to_vec()),
    ) {
        let sound = check::entry(OutboxRecord { sequence: 1, record: Some(Record::Diagnosis(diagnosis(1))) }, Origin::Cluster, NOW).unwrap();
        let key = sound.key(0).unwrap();
        if let Ok(question) = WatchDiagnosesRequest::decode(&*bytes) {
            if let Some(Start::ResumeToken(token)) = question.start
                && let Ok(decoded) = ResumeToken::decode(&token)
            {
                prop_assert_eq!(decoded.encode(), token.to_lowercase());
            }
            if let Ok(selection) = Selection::new(question.include, question.exclude) {
                let _wanted = (selection.wants(&key), selection.wants_gap(&key.node));
            }
            if let Ok(mask) = Mask::new(question.read_mask) {
                let _kept = mask.apply(&body);
                prop_assert!(Diagnosis::decode(&*mask.apply(&sound.body).unwrap()).is_ok());
            }
        }
        if let Ok(question) = ListDiagnosesRequest::decode(&*bytes) {
            let _place = PageToken::decode(&question.page_token, 0);
        }
    }
}
