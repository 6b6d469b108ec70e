//! A full disk beneath an agent's outbox, and beneath the ledger.

use anyhow::{Result, bail, ensure};
use coroner_proto::v1::{Severity, SourceHealth};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::feeder::{Feeder, diagnosis};
use crate::pushes::Pushes;
use crate::small_disk::SmallDisk;
use crate::stage::Stage;
use crate::subscriber::Received;

/// What was discarded is the least severe of the oldest: with each, everything older of at most its severity was
/// discarded too.
fn ensure_least_severe_was_discarded(received: &Received, node: u16, last: u64) -> Result<()> {
    let missing = received.missing(node, last);
    let (Some(first), severity) = (missing.first(), |number| diagnosis(node, number).severity()) else {
        bail!("nothing was discarded")
    };
    for lower in [Severity::Info, Severity::Warning] {
        let latest = missing.iter().rfind(|number| severity(**number) == lower).copied().unwrap_or_default();
        let kept = (*first..latest).find(|older| severity(*older) <= lower && missing.binary_search(older).is_err());
        ensure!(kept.is_none(), "{kept:?} was kept, and {latest} discarded");
    }
    let critical = missing.iter().find(|number| severity(**number) == Severity::Critical);
    ensure!(critical.is_none(), "{critical:?} was discarded");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_full_disk_continues_in_memory_and_counts_what_it_discards() -> Result<()> {
    let stage = Stage::new()?;
    let disk = SmallDisk::mount(stage.path("node"), 8)?;
    let ledger = stage.path("ledger.db");
    let mut aggregator = stage.aggregator(&ledger, &[]).await?;
    let subscriber = stage.subscriber()?;
    let mut agent = Feeder::start(1, stage.url(), &disk.path("outbox.db"), 64 << 20)?;
    let last = agent.push_next(100).await?;
    subscriber.until_all(1, last).await?;

    disk.fill()?;
    while agent.is_on_disk() {
        agent.push_next(100).await?;
    }
    ensure!(agent.outbox().0 == SourceHealth::Degraded && agent.outbox().1.contains("memory"), "{:?}", agent.outbox());
    let last = agent.push_next(100).await?;
    let received = subscriber.until_all(1, last).await?;
    ensure!(received.gaps.is_empty(), "nothing was lost: {:?}", received.gaps);

    // What has arrived without the agent's knowledge would be reported as lost.
    agent.until_acknowledged().await?;
    aggregator.kill()?;
    // More than memory takes.
    agent.push_next(6_000).await?;
    disk.free()?;
    let last = agent.push_until_on_disk().await?;
    let _aggregator = stage.aggregator(&ledger, &[]).await?;
    let received = subscriber.until_all_but_lost(1, last).await?;
    ensure_least_severe_was_discarded(&received, 1, last)?;
    ensure!(received.others.is_empty(), "never reported: {:?}", received.others);
    agent.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_at_its_bound_discards_the_least_severe_and_counts_them() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = Feeder::start(1, stage.url(), &stage.path("outbox.db"), 1 << 20)?;
    // More than it takes; the last of them is critical.
    let last = agent.push_next(7_999).await?;
    let _aggregator = stage.aggregator(&stage.path("ledger.db"), &[]).await?;
    let subscriber = stage.subscriber()?;
    let received = subscriber.until_all_but_lost(1, last).await?;
    ensure_least_severe_was_discarded(&received, 1, last)?;
    agent.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregator_with_a_full_disk_makes_agents_wait_and_continues_when_space_is_free() -> Result<()> {
    let stage = Stage::new()?;
    let disk = SmallDisk::mount(stage.path("disk"), 16)?;
    let ledger = disk.path("ledger.db");
    let mut aggregator = stage.aggregator(&ledger, &[]).await?;
    let subscriber = stage.subscriber()?;
    let mut agent = stage.feeder(1)?;
    let last = agent.push_next(1_000).await?;
    subscriber.until_all(1, last).await?;

    let mut pushes = Pushes::of_node_2(stage.ingest()?);
    for _ in 0..10 {
        pushes.push().await?;
    }

    disk.fill()?;
    let refusal = pushes.until_refused().await?;
    ensure!(refusal.code() == Code::Unavailable, "{refusal:?}");
    ensure!(refusal.get_details_retry_info().and_then(|info| info.retry_delay).is_some(), "{refusal:?}");
    let last = agent.push_next(1_000).await?;
    ensure!(subscriber.received().of(1).last() < Some(&last), "the disk is full");
    // What is there can be read.
    let reader = stage.subscriber()?;
    reader.until_all(2, pushes.acknowledged).await?;

    disk.free()?;
    subscriber.until_all(1, last).await?;
    aggregator.check()?;
    ensure!(aggregator.output().contains("Ledger can be written again"), "{}", aggregator.tail());

    // All that was acknowledged up to the end of a full disk's aggregator is there.
    disk.fill()?;
    pushes.until_refused().await?;
    aggregator.kill()?;
    disk.free()?;
    let aggregator = stage.aggregator(&ledger, &[]).await?;
    let reader = stage.subscriber()?;
    reader.until_all(1, last).await?;
    let received = reader.until_all(2, pushes.acknowledged).await?;
    ensure!(received.gaps.is_empty() && received.others.is_empty(), "{received:?}\n{}", aggregator.tail());
    agent.end().await
}
