//! A ledger that several aggregators share, over a real nats-server: agents and readers do not notice which one they
//! use.

use std::{path::Path, time::Duration};

use coroner_aggregator::feed::Timing;
use coroner_proto::v1::{
    DiagnosisFilter, GapReason, GetStatusRequest, ListDiagnosesRequest, PushDiagnosesRequest, SourceStatus,
    WatchDiagnosesRequest, outbox_record::Record, watch_diagnoses_request::Start, watch_diagnoses_response::Frame,
};
use tonic::Code;

use crate::{
    exporters::daemon::NatsServer,
    support::{Aggregator, Feed, Ingest, diagnosis, from_oldest, items, push, push_numbers, replay},
};

async fn beside(server: &NatsServer, flags: &[&str]) -> Aggregator {
    over(tempfile::tempdir().unwrap(), server.port, flags).await
}

async fn over(directory: tempfile::TempDir, port: u16, flags: &[&str]) -> Aggregator {
    let url = format!("nats://127.0.0.1:{port}/deaths");
    let flags: Vec<_> = ["--jetstream", &url].into_iter().chain(flags.iter().copied()).collect();
    Aggregator::start_in(directory, &flags, Timing::default()).await
}

fn names(numbers: std::ops::RangeInclusive<u64>) -> Vec<String> {
    numbers.map(|n| format!("number {n}")).collect()
}

/// Reads on until as much has come; no more than a word of what an aggregator may lag behind another.
async fn read(feed: &mut Feed, start: Start, count: usize) -> (Vec<String>, Vec<String>) {
    let request = WatchDiagnosesRequest { start: Some(start), max_batch_size: 7, ..Default::default() };
    let mut frames = feed.watch_diagnoses(request).await.unwrap().into_inner();
    let (mut seen, mut tokens) = (vec![], vec![]);
    while seen.len() < count {
        let response = frames.message().await.unwrap().unwrap();
        tokens.push(response.resume_token.clone());
        seen.extend(items([&response]));
    }
    (seen, tokens)
}

async fn acknowledged(ingest: &mut Ingest) -> u64 {
    ingest.push_diagnoses(push(1, [])).await.unwrap().into_inner().acknowledged_sequence
}

#[tokio::test]
async fn agents_and_readers_change_between_aggregators_at_any_time() {
    let place = tempfile::tempdir().unwrap();
    let server = NatsServer::start(place.path(), 0).await;
    let (one, other) = (beside(&server, &[]).await, beside(&server, &[]).await);
    let (mut to_one, mut to_other) = (one.ingest().await, other.ingest().await);
    push_numbers(&mut to_one, 1..=50).await;
    // What the first has acknowledged, the second knows as soon as it has read of it; until then it asks for it again.
    let mut after = 0;
    while after < 50 {
        after = acknowledged(&mut to_other).await;
    }
    let lost = PushDiagnosesRequest { after_sequence: 60, ..push(61, [Record::Diagnosis(diagnosis(61))]) };
    assert_eq!(to_other.push_diagnoses(lost).await.unwrap_err().code(), Code::Aborted);
    push_numbers(&mut to_other, 40..=100).await;
    assert_eq!(acknowledged(&mut to_other).await, 100);

    let (mut from_one, mut from_other) = (one.feed().await, other.feed().await);
    let (seen, tokens) = read(&mut from_one, Start::FromOldest(true), 100).await;
    assert_eq!(seen, names(1..=100));
    assert_eq!(read(&mut from_other, Start::FromOldest(true), 100).await.0, names(1..=100));
    // Each batch holds seven: behind the third of them lie the others, here as there.
    for feed in [&mut from_one, &mut from_other] {
        assert_eq!(read(feed, Start::ResumeToken(tokens[2].clone()), 79).await.0, names(22..=100));
    }
    let everything = ListDiagnosesRequest { page_size: 500, ..Default::default() };
    let listed = from_other.list_diagnoses(everything.clone()).await.unwrap().into_inner().diagnoses;
    assert_eq!(listed, from_one.list_diagnoses(everything).await.unwrap().into_inner().diagnoses);
    assert_eq!(listed.len(), 100);
}

#[tokio::test]
async fn a_reader_that_knows_more_than_its_new_aggregator_waits_for_it() {
    let place = tempfile::tempdir().unwrap();
    let server = NatsServer::start(place.path(), 0).await;
    let one = beside(&server, &[]).await;
    let mut ingest = one.ingest().await;
    push_numbers(&mut ingest, 1..=9).await;
    let (_, tokens) = read(&mut one.feed().await, Start::FromOldest(true), 9).await;
    let token = tokens.last().unwrap();
    // The place behind a record that is not there yet: the last eight bytes but eight are the offset.
    let ahead = format!("{}{:016x}{}", &token[..34], 12, &token[50..]);
    let mut feed = one.feed().await;
    let request = WatchDiagnosesRequest { start: Some(Start::ResumeToken(ahead)), ..Default::default() };
    let mut frames = feed.watch_diagnoses(request).await.unwrap().into_inner();
    push_numbers(&mut ingest, 10..=14).await;
    let mut seen = vec![];
    while seen.len() < 2 {
        seen.extend(items([&frames.message().await.unwrap().unwrap()]));
    }
    assert_eq!(seen, names(13..=14), "no gap, and nothing twice");
}

#[tokio::test]
async fn a_lost_index_is_rebuilt_with_all_that_is_known_of_nodes() {
    let place = tempfile::tempdir().unwrap();
    let server = NatsServer::start(place.path(), 0).await;
    let one = beside(&server, &[]).await;
    let mut ingest = one.ingest().await;
    let sources = vec![SourceStatus { source: "cri".into(), ..Default::default() }];
    ingest.push_diagnoses(PushDiagnosesRequest { sources, ..push(1, []) }).await.unwrap();
    push_numbers(&mut ingest, 1..=30).await;
    let (_, tokens) = read(&mut one.feed().await, Start::FromOldest(true), 30).await;
    one.app.stop().await.unwrap();

    let other = beside(&server, &[]).await;
    let mut feed = other.feed().await;
    assert_eq!(acknowledged(&mut other.ingest().await).await, 30);
    assert_eq!(items(&replay(&mut feed, from_oldest()).await), names(1..=30));
    assert_eq!(read(&mut feed, Start::ResumeToken(tokens[1].clone()), 16).await.0, names(15..=30));
    let nodes = feed.get_status(GetStatusRequest {}).await.unwrap().into_inner().nodes;
    assert_eq!((nodes.len(), nodes[0].node.as_str(), nodes[0].sources[0].source.as_str()), (1, "n1", "cri"));

    // Whatever lies in the index's place gives way to one.
    let directory = other.directory;
    other.app.stop().await.unwrap();
    let index = directory.path().join("ledger.db.index");
    assert!(index.exists());
    std::fs::write(&index, "no database").unwrap();
    let again = over(directory, server.port, &[]).await;
    assert_eq!(items(&replay(&mut again.feed().await, from_oldest()).await), names(1..=30));
}

#[tokio::test]
async fn while_the_stream_is_away_readers_read_and_agents_keep() {
    let place = tempfile::tempdir().unwrap();
    let server = NatsServer::start(place.path(), 0).await;
    let one = beside(&server, &[]).await;
    let mut ingest = one.ingest().await;
    push_numbers(&mut ingest, 1..=5).await;
    let port = server.kill();
    let refused = ingest.push_diagnoses(push(6, [Record::Diagnosis(diagnosis(6))])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let mut feed = one.feed().await;
    assert_eq!(items(&replay(&mut feed, from_oldest()).await), names(1..=5));

    let _server = NatsServer::start(place.path(), port).await;
    while ingest.push_diagnoses(push(6, [Record::Diagnosis(diagnosis(6))])).await.is_err() {}
    assert_eq!(read(&mut feed, Start::FromOldest(true), 6).await.0, names(1..=6));
}

#[tokio::test]
async fn a_stream_that_was_lost_is_another_ledger_and_readers_get_a_gap() {
    let place = tempfile::tempdir().unwrap();
    let server = NatsServer::start(place.path(), 0).await;
    let one = beside(&server, &[]).await;
    push_numbers(&mut one.ingest().await, 1..=5).await;
    let (_, tokens) = read(&mut one.feed().await, Start::FromOldest(true), 5).await;
    let port = server.kill();
    std::fs::remove_dir_all(place.path().join("js")).unwrap();
    let server = NatsServer::start(place.path(), port).await;
    // The program ends with this error, to be restarted.
    let error = tokio::time::timeout(Duration::from_secs(60), one.app.failed()).await.expect("it notices");
    assert!(error.to_string().contains("stream"), "{error}");
    let directory = one.directory;
    one.app.stop().await.unwrap();

    let one = over(directory, server.port, &[]).await;
    let mut ingest = one.ingest().await;
    assert_eq!(acknowledged(&mut ingest).await, 0, "agents push again what they keep");
    push_numbers(&mut ingest, 3..=5).await;
    let token = Some(Start::ResumeToken(tokens.last().unwrap().clone()));
    let request = WatchDiagnosesRequest { start: token, stop_at_end: true, ..Default::default() };
    let frames = replay(&mut one.feed().await, request).await;
    assert!(matches!(&frames[0].frame, Some(Frame::Gap(gap)) if gap.reason() == GapReason::Retention), "{frames:?}");
    assert_eq!(items(&frames)[1..], names(3..=5));
}

#[tokio::test]
async fn one_of_them_exports_and_another_goes_on_where_it_stopped() {
    let place = tempfile::tempdir().unwrap();
    let server = NatsServer::start(place.path(), 0).await;
    let file = place.path().join("out.jsonl");
    let export = format!("file://{}?name=siem", file.display());
    let (one, other) = (beside(&server, &["--export", &export]).await, beside(&server, &["--export", &export]).await);
    push_numbers(&mut one.ingest().await, 1..=40).await;
    until_exported(&file, 40).await;
    one.app.stop().await.unwrap();
    push_numbers(&mut other.ingest().await, 41..=80).await;
    until_exported(&file, 80).await;
    let third = beside(&server, &["--export", &export]).await;
    other.app.stop().await.unwrap();
    push_numbers(&mut third.ingest().await, 81..=90).await;
    assert_eq!(until_exported(&file, 90).await, names(1..=90), "each once, in order");
}

async fn until_exported(file: &Path, count: usize) -> Vec<String> {
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let summaries: Vec<_> =
            lines.map(|line| line["diagnosis"]["summary"].as_str().unwrap_or_default().to_owned()).collect();
        if summaries.len() >= count {
            return summaries;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn filters_and_the_nodes_of_all_are_the_same_at_each() {
    let place = tempfile::tempdir().unwrap();
    let server = NatsServer::start(place.path(), 0).await;
    let (one, other) = (beside(&server, &[]).await, beside(&server, &[]).await);
    let of = |node: &str| PushDiagnosesRequest { node: node.into(), ..push(1, [Record::Diagnosis(diagnosis(1))]) };
    one.ingest().await.push_diagnoses(of("n1")).await.unwrap();
    other.ingest().await.push_diagnoses(PushDiagnosesRequest { records: vec![], ..of("n2") }).await.unwrap();
    for aggregator in [&one, &other] {
        let mut feed = aggregator.feed().await;
        loop {
            let nodes = feed.get_status(GetStatusRequest {}).await.unwrap().into_inner().nodes;
            if nodes.iter().map(|node| node.node.as_str()).eq(["n1", "n2"]) {
                break;
            }
        }
        let filter = Some(DiagnosisFilter { namespaces: vec!["shop".into()], ..Default::default() });
        let request = ListDiagnosesRequest { filter, ..Default::default() };
        while feed.list_diagnoses(request.clone()).await.unwrap().into_inner().diagnoses.len() != 1 {}
    }
}
