//! Figures, not tests: `cargo nextest run -p coroner-aggregator --run-ignored only measure --no-capture`.

use std::time::{Duration, Instant};

use coroner_proto::v1::{Diagnosis, ListDiagnosesRequest, WatchDiagnosesRequest, outbox_record::Record};

use crate::support::{Aggregator, diagnosis, next_news, push, push_numbers};

const PUSHES: u64 = 2_000;

/// As long as a usual one.
fn usual(n: u64) -> Diagnosis {
    Diagnosis { explanation: "x".repeat(900), ..diagnosis(n) }
}

fn figures(mut samples: Vec<Duration>) -> String {
    samples.sort();
    let at = |percent: usize| samples[(samples.len() - 1) * percent / 100];
    format!("median {:?}, p99 {:?}, most {:?}", at(50), at(99), at(100))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn latency_from_push_to_subscriber() {
    let aggregator = Aggregator::start().await;
    let (mut ingest, mut feed) = (aggregator.ingest().await, aggregator.feed().await);
    let mut stream = feed.watch_diagnoses(WatchDiagnosesRequest::default()).await.unwrap().into_inner();
    stream.message().await.unwrap();
    let mut samples = Vec::new();
    for n in 1..=PUSHES {
        let sent = Instant::now();
        let acknowledged = tokio::spawn({
            let mut ingest = ingest.clone();
            async move { ingest.push_diagnoses(push(n, [Record::Diagnosis(usual(n))])).await }
        });
        next_news(&mut stream).await;
        samples.push(sent.elapsed());
        acknowledged.await.unwrap().unwrap();
    }
    println!("push to subscriber, one diagnosis: {}", figures(samples));
    push_numbers(&mut ingest, PUSHES + 1..=PUSHES + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn throughput_in_batches_of_500() {
    const BATCHES: u64 = 100;
    let aggregator = Aggregator::start().await;
    let mut feed = aggregator.feed().await;
    let started = Instant::now();
    let clients = (0..4_u64).map(async |client| {
        let mut ingest = aggregator.ingest().await;
        for batch in 0..BATCHES / 4 {
            let first = (client * BATCHES / 4 + batch) * 500 + 1;
            let records =
                (first..first + 500).map(|n| Record::Diagnosis(usual(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 30)));
            ingest.push_diagnoses(push(first, records)).await.unwrap();
        }
    });
    futures::future::join_all(clients).await;
    let elapsed = started.elapsed();
    let rate = BATCHES as f64 / elapsed.as_secs_f64();
    println!("4 clients, {BATCHES} pushes of 500 in {elapsed:?}: {rate:.1} pushes/s, {:.0} diagnoses/s", rate * 500.0);
    let mut samples = Vec::new();
    for _ in 0..200 {
        let asked = Instant::now();
        feed.list_diagnoses(ListDiagnosesRequest { page_size: 20, ..Default::default() }).await.unwrap();
        samples.push(asked.elapsed());
    }
    println!("list of 20 among {}: {}", BATCHES * 500, figures(samples));
}
