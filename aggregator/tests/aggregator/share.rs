//! One node that fills the ledger pays for it with its own history.

use coroner_aggregator::feed::Timing;
use coroner_proto::v1::{Diagnosis, PushDiagnosesRequest, outbox_record::Record};
use uuid::Uuid;

use crate::support::{Aggregator, diagnosis, from_oldest, items, push, push_numbers, replay, status_where, subject};

#[tokio::test]
async fn retention_takes_first_from_a_node_that_fills_the_ledger_and_reports_it() {
    let aggregator = Aggregator::start_with(&["--retain-bytes", "8MiB"], Timing::default()).await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    push_numbers(&mut ingest, 1..=50).await;
    let greedy = |n: u64| {
        let mut received = Diagnosis { explanation: "x".repeat(8 << 10), ..diagnosis(n) };
        received.uid = Uuid::from_u128(u128::from(n) << 64).to_string();
        subject(&mut received).node = "n2".into();
        received.summary = format!("greedy {n}");
        Record::Diagnosis(received)
    };
    for first in (1..=3_000).step_by(100) {
        let request = push(first, (first..first + 100).map(greedy));
        ingest.push_diagnoses(PushDiagnosesRequest { node: "n2".into(), ..request }).await.unwrap();
    }
    let status = status_where(&mut feed, |status| {
        status.waiting_count == 0 && status.nodes.iter().any(|node| node.removed_count > 1_500)
    })
    .await;
    let honest = status.nodes.iter().find(|node| node.node == "n1").unwrap();
    assert_eq!((honest.record_count, honest.removed_count), (50, 0));
    let received = items(&replay(&mut feed, from_oldest()).await);
    let honest: Vec<_> = received.iter().filter(|item| item.starts_with("number ")).cloned().collect();
    assert_eq!(honest, (1..=50).map(|n| format!("number {n}")).collect::<Vec<_>>(), "nothing of the other is lost");
    let gaps = received.iter().filter_map(|item| item.strip_prefix("gap ledger ")).map(|n| n.parse::<u64>().unwrap());
    let kept = received.iter().filter(|item| item.starts_with("greedy ")).count() as u64;
    assert_eq!(gaps.sum::<u64>() + kept, 3_000, "what is gone is counted");
    assert_eq!(status.record_count, kept + 50);
}
