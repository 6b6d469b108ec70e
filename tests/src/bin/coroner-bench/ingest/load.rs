//! What agents push: diagnoses of about 1 KiB, no two alike, in batches.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::ingest_service_client::IngestServiceClient;
use coroner_proto::v1::outbox_record::Record;
use coroner_proto::v1::{
    Cause, Confidence, Diagnosis, OutboxRecord, PushDiagnosesRequest, Severity, Subject, SubjectKind,
};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use prost_types::Timestamp;
use tonic::Code;
use tonic::transport::Channel;

use super::Aggregator;

/// The contract's bound of a push.
pub(super) const BATCH: u64 = 500;
/// What a diagnosis comes to, encoded.
const BYTES: usize = 1024;
/// Diagnoses of the same pod.
const OF_A_POD: u64 = 10;
/// Connections that are made at once.
const CONNECTING: usize = 64;
/// Seconds from the first diagnosis to the last, one in each; then they start over.
const SPREAD: u64 = 1_000_000;
/// How long an agent waits that is asked to retry.
const AGAIN: Duration = Duration::from_secs(1);

/// So many diagnoses, pushed by so many agents at once.
pub(super) struct Load {
    agents: u64,
    of_each: u64,
}

impl Load {
    /// At least one of each agent.
    pub(super) fn new(agents: u64, records: u64) -> Self {
        Self { agents, of_each: (records / agents).max(1) }
    }

    pub(super) fn describe(&self, senders: &str) -> String {
        format!("{} {senders}, batches of {}", self.agents, self.of_each.min(BATCH))
    }

    pub(super) fn agents(&self) -> u64 {
        self.agents
    }

    /// The numbers of an agent's diagnoses, batch by batch.
    pub(super) fn batches(&self, agent: u64) -> impl Iterator<Item = std::ops::Range<u64>> + use<> {
        let (first, end) = (agent * self.of_each, (agent + 1) * self.of_each);
        (first..end).step_by(500).map(move |from| from..(from + BATCH).min(end))
    }

    /// Pushes all of it. Connections, and what is pushed over them, are made before.
    pub(super) async fn push(&self, aggregator: &Aggregator) -> Result<Rate> {
        let agents = (0..self.agents).map(async |agent| {
            let first = agent * self.of_each;
            let pushes: Vec<_> = self.batches(agent).map(|numbers| push(agent, first, numbers)).collect();
            anyhow::Ok((aggregator.ingest().await?, pushes))
        });
        let agents: Vec<_> = stream::iter(agents).buffer_unordered(CONNECTING).try_collect().await?;
        let started = Instant::now();
        let tasks = agents.into_iter().map(|(mut client, pushes)| {
            tokio::spawn(async move {
                for push in pushes {
                    deliver(&mut client, push).await?;
                }
                anyhow::Ok(())
            })
        });
        for done in try_join_all(tasks.collect::<Vec<_>>()).await.context("an agent's task")? {
            done?;
        }
        let acknowledged = started.elapsed();
        aggregator.settled().await?;
        let rate = |elapsed: Duration| (self.agents * self.of_each) as f64 / elapsed.as_secs_f64();
        Ok(Rate { acknowledged: rate(acknowledged), readable: rate(started.elapsed()) })
    }
}

/// Diagnoses a second.
pub(super) struct Rate {
    /// Until all were acknowledged.
    pub(super) acknowledged: f64,
    /// Until all could be read.
    pub(super) readable: f64,
}

/// Pushes until it is acknowledged, as an agent does.
pub(super) async fn deliver(client: &mut IngestServiceClient<Channel>, push: PushDiagnosesRequest) -> Result<()> {
    let last = push.records.last().context("an empty push")?.sequence;
    loop {
        match client.push_diagnoses(push.clone()).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                ensure!(answer.rejected.is_empty(), "records were refused: {}", answer.rejected[0].reason);
                ensure!(answer.acknowledged_sequence >= last, "it was not acknowledged");
                return Ok(());
            }
            Err(status) if status.code() == Code::Unavailable => tokio::time::sleep(AGAIN).await,
            Err(status) => return Err(status).context("pushing"),
        }
    }
}

/// One agent's push of the diagnoses with these numbers; its stream began at `first`.
pub(super) fn push(agent: u64, first: u64, numbers: std::ops::Range<u64>) -> PushDiagnosesRequest {
    let records =
        numbers.map(|n| OutboxRecord { sequence: n - first + 1, record: Some(Record::Diagnosis(diagnosis(agent, n))) });
    PushDiagnosesRequest {
        node: format!("node-{agent}"),
        stream_id: "bench".into(),
        records: records.collect(),
        ..Default::default()
    }
}

/// The nth diagnosis. Its uid is as scattered as that of a real one.
pub(super) fn diagnosis(agent: u64, n: u64) -> Diagnosis {
    let (high, low) = (scatter(2 * n), scatter(2 * n + 1));
    let mut diagnosis = Diagnosis {
        uid: format!(
            "{:08x}-{:04x}-5{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        ),
        revision: 1,
        subject: Some(Subject {
            kind: SubjectKind::Container.into(),
            namespace: format!("team-{}", n % 50),
            name: pod(n / OF_A_POD),
            node: format!("node-{agent}"),
            container: "app".into(),
            ..Default::default()
        }),
        cause: Cause::OomContainerLimit.into(),
        fatal: true,
        confidence: Confidence::Certain.into(),
        severity: Severity::Error.into(),
        event_time: Some(Timestamp { seconds: first_second() + i64::try_from(n % SPREAD).unwrap_or(0), nanos: 0 }),
        summary: format!("number {n}"),
        ..Default::default()
    };
    diagnosis.explanation = "x".repeat(BYTES.saturating_sub(diagnosis.encoded_len() + 3));
    diagnosis
}

/// When the first has happened: twelve days ago, which is a little more than the spread.
fn first_second() -> i64 {
    static FIRST: LazyLock<i64> = LazyLock::new(|| jiff::Timestamp::now().as_second() - 12 * 86_400);
    *FIRST
}

/// The name of the nth pod.
pub(super) fn pod(n: u64) -> String {
    format!("web-{:08x}-{n}", scatter(n) >> 32)
}

/// How many pods so many diagnoses are of.
pub(super) fn pods(diagnoses: u64) -> u64 {
    diagnoses.div_ceil(OF_A_POD)
}

/// SplitMix64: a number that looks drawn, another one for each.
pub(super) fn scatter(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Pushes the first so many diagnoses as they are made, by a few agents at once.
pub(super) async fn fill(aggregator: &Aggregator, count: u64) -> Result<()> {
    const FILLING: u64 = 4;
    let load = Load::new(FILLING, count);
    let tasks = (0..FILLING).map(async |agent| {
        let mut client = aggregator.ingest().await?;
        // What does not divide is the last one's.
        let rest = if agent == FILLING - 1 { Some(FILLING * load.of_each..count) } else { None };
        for numbers in load.batches(agent).chain(rest.filter(|rest| !rest.is_empty())) {
            deliver(&mut client, push(agent, agent * load.of_each, numbers)).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(tasks).await?;
    aggregator.settled().await
}
