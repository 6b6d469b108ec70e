//! What agents push: acknowledged when durable, once however often it comes, and refused without harm when it is wrong.

use coroner_proto::v1::{
    Cause, Diagnosis, GetDiagnosisRequest, GetStatusRequest, OutboxRecord, PushDiagnosesRequest, PushDiagnosesResponse,
    SourceHealth, SourceStatus, Subject, outbox_record::Record,
};
use prost_types::Timestamp;
use tonic::{Code, codegen::http::uri::PathAndQuery};
use tonic_types::StatusExt;

use crate::support::{
    Aggregator, channel, diagnosis, from_oldest, gap, items, push, push_numbers, replay, subject, uid,
};

#[tokio::test]
async fn resend_stores_nothing_twice() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    let records = [Record::Diagnosis(diagnosis(1)), Record::Gap(gap(7)), Record::Diagnosis(diagnosis(2))];
    for _ in 0..3 {
        let answer = ingest.push_diagnoses(push(1, records.clone())).await.unwrap().into_inner();
        assert_eq!(answer, PushDiagnosesResponse { acknowledged_sequence: 3, rejected: vec![] });
    }
    // From a new outbox over the same facts, as after an agent lost its disk.
    let again = PushDiagnosesRequest { stream_id: "another".into(), ..push(1, [Record::Diagnosis(diagnosis(1))]) };
    assert_eq!(ingest.push_diagnoses(again).await.unwrap().into_inner().acknowledged_sequence, 1);
    assert_eq!(items(&replay(&mut feed, from_oldest()).await), ["number 1", "gap kernel_log 7", "number 2"]);
}

#[tokio::test]
async fn empty_push_returns_where_to_continue() {
    let aggregator = Aggregator::start().await;
    let mut ingest = aggregator.ingest().await;
    assert_eq!(ingest.push_diagnoses(push(1, [])).await.unwrap().into_inner().acknowledged_sequence, 0);
    push_numbers(&mut ingest, 1..=5).await;
    assert_eq!(ingest.push_diagnoses(push(1, [])).await.unwrap().into_inner().acknowledged_sequence, 5);
    let aggregator = aggregator.restart().await;
    let mut ingest = aggregator.ingest().await;
    assert_eq!(ingest.push_diagnoses(push(1, [])).await.unwrap().into_inner().acknowledged_sequence, 5);
}

#[tokio::test]
async fn a_push_behind_a_hole_is_refused_and_leaves_nothing() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    push_numbers(&mut ingest, 1..=2).await;
    let after = |after_sequence| PushDiagnosesRequest { after_sequence, ..push(5, [Record::Diagnosis(diagnosis(5))]) };
    assert_eq!(ingest.push_diagnoses(after(4)).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(ingest.push_diagnoses(after(u64::MAX)).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(ingest.push_diagnoses(push(1, [])).await.unwrap().into_inner().acknowledged_sequence, 2);
    // Sequences 3 and 4 may have been discarded: what counts is what was acknowledged.
    assert_eq!(ingest.push_diagnoses(after(2)).await.unwrap().into_inner().acknowledged_sequence, 5);
    assert_eq!(items(&replay(&mut feed, from_oldest()).await), ["number 1", "number 2", "number 5"]);
}

#[tokio::test]
async fn a_node_cannot_revise_what_another_has_reported() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    let of = |node: &str, summary: &str, revision| {
        let subject = Some(Subject { node: node.into(), ..diagnosis(1).subject.unwrap() });
        Record::Diagnosis(Diagnosis { subject, revision, summary: summary.into(), ..diagnosis(1) })
    };
    ingest.push_diagnoses(push(1, [of("n1", "killed by its limit", 1)])).await.unwrap();
    let forged = PushDiagnosesRequest { node: "n2".into(), ..push(1, [of("n2", "nothing to see", 2)]) };
    for _ in 0..2 {
        assert_eq!(ingest.push_diagnoses(forged.clone()).await.unwrap().into_inner().acknowledged_sequence, 1);
    }
    ingest.push_diagnoses(push(2, [of("n1", "killed by its pod's limit", 2)])).await.unwrap();
    let seen = items(&replay(&mut feed, from_oldest()).await);
    assert_eq!(seen, ["killed by its limit", "gap ledger 1", "killed by its pod's limit"]);
}

#[tokio::test]
async fn sequences_out_of_order_lose_nothing_and_never_fall_back() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    assert_eq!(push_numbers(&mut ingest, 5..=6).await.acknowledged_sequence, 6);
    assert_eq!(push_numbers(&mut ingest, 1..=3).await.acknowledged_sequence, 6);
    assert_eq!(replay(&mut feed, from_oldest()).await.len(), 2, "one batch and the bookmark at the end");
    assert_eq!(items(&replay(&mut feed, from_oldest()).await).len(), 5);
}

#[tokio::test]
async fn wrong_records_are_refused_one_by_one_and_readers_get_a_gap() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    let wrong = |change: fn(&mut coroner_proto::v1::Diagnosis)| {
        let mut diagnosis = diagnosis(99);
        change(&mut diagnosis);
        Record::Diagnosis(diagnosis)
    };
    let mut request = push(
        1,
        [
            Record::Diagnosis(diagnosis(1)),
            wrong(|d| d.uid = "' OR 1=1 --".into()),
            wrong(|d| d.cause = 9999),
            wrong(|d| d.severity = i32::MIN),
            wrong(|d| d.event_time = Some(Timestamp { seconds: i64::MIN, nanos: i32::MAX })),
            wrong(|d| subject(d).name = "x".repeat(1 << 20)),
            wrong(|d| d.suggestions = vec!["x".repeat(1000); 100]),
            wrong(|d| d.revision = 0),
            Record::Diagnosis(diagnosis(2)),
        ],
    );
    request.records.push(OutboxRecord { sequence: 10, record: None });
    for _ in 0..2 {
        let answer = ingest.push_diagnoses(request.clone()).await.unwrap().into_inner();
        assert_eq!(answer.acknowledged_sequence, 10, "what can never be stored counts as acknowledged");
        let rejected: Vec<u64> = answer.rejected.iter().map(|r| r.sequence).collect();
        assert_eq!(rejected, [2, 3, 4, 5, 6, 7, 8, 10]);
        assert!(answer.rejected.iter().all(|r| r.reason.len() < 300), "{:?}", answer.rejected);
    }
    assert_eq!(items(&replay(&mut feed, from_oldest()).await), ["number 1", "gap intake 8", "number 2"]);
}

#[tokio::test]
async fn sequence_that_no_outbox_counts_to_is_refused() {
    let aggregator = Aggregator::start().await;
    let mut ingest = aggregator.ingest().await;
    let record = |sequence| OutboxRecord { sequence, record: Some(Record::Diagnosis(diagnosis(1))) };
    let request = PushDiagnosesRequest { records: vec![record(0), record(u64::MAX)], ..push(1, []) };
    let answer = ingest.push_diagnoses(request).await.unwrap().into_inner();
    assert_eq!((answer.acknowledged_sequence, answer.rejected.len()), (0, 2));
}

#[tokio::test]
async fn wrong_pushes_are_refused_with_the_right_code() {
    let aggregator = Aggregator::start().await;
    let mut ingest = aggregator.ingest().await;
    let many = push(1, (0..501).map(|n| Record::Diagnosis(diagnosis(n))));
    let mut huge = diagnosis(1);
    huge.explanation = "x".repeat(9 << 20);
    let wrong = [
        PushDiagnosesRequest { node: String::new(), ..push(1, []) },
        PushDiagnosesRequest { stream_id: String::new(), ..push(1, []) },
        PushDiagnosesRequest { node: "n".repeat(254), ..push(1, []) },
        PushDiagnosesRequest { node: "n\n1".into(), ..push(1, []) },
        PushDiagnosesRequest { stream_id: "s".repeat(129), ..push(1, []) },
        many,
        push(1, [Record::Diagnosis(huge)]),
    ];
    for request in wrong {
        let status = ingest.push_diagnoses(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
    push_numbers(&mut ingest, 1..=1).await;
}

/// The request with bytes where text should be.
#[derive(Clone, PartialEq, prost::Message)]
struct NotText {
    #[prost(bytes = "vec", tag = "1")]
    node: Vec<u8>,
}

#[tokio::test]
async fn push_that_is_no_message_is_refused_with_the_right_code() {
    let aggregator = Aggregator::start().await;
    let channel = channel(&aggregator.url()).await;
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<NotText, PushDiagnosesResponse>::default();
    let path = PathAndQuery::from_static("/coroner.v1.IngestService/PushDiagnoses");
    let request = tonic::Request::new(NotText { node: vec![0xff, 0xfe] });
    let status = grpc.unary(request, path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
}

#[tokio::test]
async fn push_while_stopping_is_refused_with_a_time_to_come_again() {
    let aggregator = Aggregator::start().await;
    let mut ingest = aggregator.ingest().await;
    push_numbers(&mut ingest, 1..=1).await;
    aggregator.app.stop().await.unwrap();
    assert_eq!(ingest.push_diagnoses(push(2, [])).await.unwrap_err().code(), Code::Unavailable);
    let refusal = coroner_aggregator::unavailable::unavailable("later");
    assert!(refusal.get_details_retry_info().unwrap().retry_delay.is_some());
}

#[tokio::test]
async fn status_shows_each_node_and_survives_a_restart() {
    let aggregator = Aggregator::start().await;
    let mut ingest = aggregator.ingest().await;
    let sources = vec![SourceStatus {
        source: "kernel_log".into(),
        health: SourceHealth::Absent.into(),
        reason: "permission denied".into(),
        ..Default::default()
    }];
    let records = [Record::Diagnosis(diagnosis(1)), Record::Gap(gap(1))];
    let request = PushDiagnosesRequest { sources: sources.clone(), ..push(1, records) };
    ingest.push_diagnoses(request).await.unwrap();
    for _ in 0..2 {
        let status = aggregator.feed().await.get_status(GetStatusRequest {}).await.unwrap().into_inner();
        assert_eq!((status.record_count, status.nodes.len()), (2, 1));
        assert_eq!((status.nodes[0].node.as_str(), status.nodes[0].acknowledged_sequence), ("n1", 2));
        assert_eq!(status.nodes[0].sources, sources);
        assert!(status.nodes[0].last_seen_time.is_some() && status.oldest_time.is_some());
    }
    let aggregator = aggregator.restart().await;
    let status = aggregator.feed().await.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.nodes[0].acknowledged_sequence, &status.nodes[0].sources), (2, &sources));
}

#[tokio::test]
async fn revisions_are_kept_and_the_highest_counts_in_whatever_order_they_come() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    let revision = |revision| {
        let mut diagnosis = diagnosis(1);
        diagnosis.revision = revision;
        diagnosis.cause = if revision == 3 { Cause::OomNode } else { Cause::Unattributed }.into();
        Record::Diagnosis(diagnosis)
    };
    ingest.push_diagnoses(push(1, [revision(1), revision(3), revision(2)])).await.unwrap();
    let answer = feed.get_diagnosis(GetDiagnosisRequest { uid: uid(1) }).await.unwrap().into_inner();
    assert_eq!(answer.diagnosis.unwrap().revision, 3);
    assert_eq!(answer.earlier_revisions.iter().map(|d| d.revision).collect::<Vec<_>>(), [2, 1]);
    let list = feed.list_diagnoses(coroner_proto::v1::ListDiagnosesRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.diagnoses.iter().map(|d| d.cause()).collect::<Vec<_>>(), [Cause::OomNode]);
    let missing = feed.get_diagnosis(GetDiagnosisRequest { uid: uid(2) }).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let malformed = feed.get_diagnosis(GetDiagnosisRequest { uid: "x".into() }).await.unwrap_err();
    assert_eq!(malformed.code(), Code::InvalidArgument);
}
