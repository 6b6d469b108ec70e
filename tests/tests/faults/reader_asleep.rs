//! A reader that stops reading, and one that stays away for too long.

use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use coroner_proto::v1::watch_diagnoses_request::Start;
use coroner_proto::v1::{GapReason, WatchDiagnosesRequest, WatchDiagnosesResponse};
use coroner_tests::{MIB, until};
use rusqlite::{Connection, OpenFlags};
use tonic::{Code, Streaming};

use crate::feeder::{Feeder, WORDY};
use crate::stage::Stage;
use crate::subscriber::{Received, Subscriber};

const SLEEPERS: usize = 16;
/// What each has not read: many times what the windows of HTTP/2 and the buffers of the kernel hold.
const RECORDS: u64 = 6_000;
/// What they may cost together: 6 MiB each, with the ledger's caches. What waits for them is four times as much.
const MOST: u64 = 96 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_fall_asleep_are_cut_off_cost_a_batch_each_and_miss_nothing_when_they_wake() -> Result<()> {
    let stage = Stage::new()?;
    let mut aggregator = stage.aggregator(&stage.path("ledger.db"), &[]).await?;
    let mut agent = stage.feeder(WORDY)?;
    let awake = stage.subscriber()?;
    let last = agent.push_next(RECORDS).await?;
    awake.until_all(WORDY, last).await?;
    let memory = memory(aggregator.pid())?;

    let mut sleepers = Vec::new();
    for _ in 0..SLEEPERS {
        sleepers.push(Sleeper::start(&stage).await?);
    }
    let mut last = last;
    until("they are cut off", async || {
        aggregator.check()?;
        last = agent.push_next(1).await?;
        // No other reader waits for them.
        awake.until_all(WORDY, last).await?;
        Ok((aggregator.output().matches("A reader was cut off").count() >= SLEEPERS).then_some(()))
    })
    .await?;
    let grown = self::memory(aggregator.pid())?.saturating_sub(memory);
    println!("{SLEEPERS} readers that sleep cost {} KiB", grown >> 10);
    ensure!(grown < MOST, "{grown} bytes more");
    for sleeper in sleepers {
        let received = sleeper.wake().await?;
        ensure!(received.of(WORDY).last() < Some(&RECORDS), "it was not asleep");
        let reader = Subscriber::resume(stage.feed()?, received);
        let received = reader.until_all(WORDY, last).await?;
        ensure!(received.gaps.is_empty() && received.repeated == 0, "{:?}, {} again", received.gaps, received.repeated);
    }
    agent.end().await
}

/// Has begun to read.
struct Sleeper {
    frames: Streaming<WatchDiagnosesResponse>,
    received: Received,
}

impl Sleeper {
    async fn start(stage: &Stage) -> Result<Self> {
        let request = WatchDiagnosesRequest { start: Some(Start::FromOldest(true)), ..Default::default() };
        let mut frames = stage.feed()?.watch_diagnoses(request).await?.into_inner();
        let mut received = Received::default();
        received.take(frames.message().await?.context("it has ended")?);
        Ok(Self { frames, received })
    }

    /// Reads what has come meanwhile, up to the word with which it was cut off.
    async fn wake(mut self) -> Result<Received> {
        loop {
            match self.frames.message().await {
                Ok(Some(frame)) => self.received.take(frame),
                Ok(None) => bail!("it has ended without a word"),
                Err(status) if status.code() == Code::Unavailable => return Ok(self.received),
                Err(status) => return Err(status).context("cut off with another word"),
            }
        }
    }
}

/// Bytes that a process has for itself alone.
fn memory(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_was_away_for_longer_than_the_ledger_reaches_gets_one_gap_and_goes_on() -> Result<()> {
    let stage = Stage::new()?;
    let ledger = stage.path("ledger.db");
    let _aggregator = stage.aggregator(&ledger, &["--retain-bytes", "1MiB"]).await?;
    let mut agent = Feeder::start(1, stage.url(), &stage.path("outbox.db"), 64 << 20)?;
    let reader = stage.subscriber()?;
    let last = agent.push_next(100).await?;
    let before = reader.until_all(1, last).await?;
    drop(reader);
    let last = agent.push_next(10_000).await?;
    let newcomer = stage.subscriber()?;
    newcomer.until("the last has come", |received| received.of(1).last() == Some(&last)).await?;
    let connection = Connection::open_with_flags(&ledger, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    until("retention has done its work", async || {
        let count = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        let bytes = (count("page_count")? - count("freelist_count")?) * count("page_size")?;
        Ok((u64::from(bytes) <= MIB).then_some(()))
    })
    .await?;
    let reader = Subscriber::resume(stage.feed()?, before);
    let received = reader.until("the last has come", |received| received.of(1).last() == Some(&last)).await?;
    let missing = received.missing(1, last).len() as u64;
    ensure!(missing > 0 && received.lost(GapReason::Retention) == missing, "{missing} missing: {:?}", received.gaps);
    ensure!(received.gaps.len() == 1 && received.repeated == 0, "{:?}", received.gaps);
    agent.end().await
}
