//! A disk without room beneath an agent's outbox, and beneath the ledger.

use anyhow::{Result, bail, ensure};
use coroner_proto::v1::{Severity, SourceHealth};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::feeder::{Feeder, diagnosis};
use crate::pushes::Pushes;
use crate::small_disk::SmallDisk;
use crate::stage::Stage;
use crate::subscriber::Heard;

/// What was shed is the least severe of the oldest: with each, whatever is older and not dearer has gone too.
fn ensure_least_was_shed(heard: &Heard, node: u16, last: u64) -> Result<()> {
    let missing = heard.missing(node, last);
    let (Some(first), severity) = (missing.first(), |number| diagnosis(node, number).severity()) else {
        bail!("nothing was shed")
    };
    for dearest in [Severity::Info, Severity::Warning] {
        let latest = missing.iter().rfind(|number| severity(**number) == dearest).copied().unwrap_or_default();
        let kept = (*first..latest).find(|older| severity(*older) <= dearest && missing.binary_search(older).is_err());
        ensure!(kept.is_none(), "{kept:?} was kept, and {latest} shed");
    }
    let dear = missing.iter().find(|number| severity(**number) == Severity::Critical);
    ensure!(dear.is_none(), "{dear:?} was shed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_disk_is_full_goes_on_in_memory_sheds_the_least_and_tells_how_many() -> Result<()> {
    let stage = Stage::new()?;
    let disk = SmallDisk::mount(stage.path("node"), 8)?;
    let ledger = stage.path("ledger.db");
    let mut aggregator = stage.aggregator(&ledger, &[]).await?;
    let subscriber = stage.subscriber()?;
    let mut agent = Feeder::start(1, stage.url(), &disk.path("outbox.db"), 64 << 20)?;
    let last = agent.tell(100).await?;
    subscriber.until_all(1, last).await?;

    disk.fill()?;
    while agent.is_on_disk() {
        agent.tell(100).await?;
    }
    ensure!(agent.outbox().0 == SourceHealth::Degraded && agent.outbox().1.contains("memory"), "{:?}", agent.outbox());
    let last = agent.tell(100).await?;
    let heard = subscriber.until_all(1, last).await?;
    ensure!(heard.gaps.is_empty(), "nothing was lost: {:?}", heard.gaps);

    // What has arrived without the agent's knowing would be told to be lost.
    agent.until_acknowledged().await?;
    aggregator.kill()?;
    // More than memory takes.
    agent.tell(6_000).await?;
    disk.free()?;
    let last = agent.tell_until_on_disk().await?;
    let _aggregator = stage.aggregator(&ledger, &[]).await?;
    let heard = subscriber.until_all_but_lost(1, last).await?;
    ensure_least_was_shed(&heard, 1, last)?;
    ensure!(heard.others.is_empty(), "nobody told {:?}", heard.others);
    agent.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_at_its_bound_sheds_the_least_and_tells_how_many() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = Feeder::start(1, stage.url(), &stage.path("outbox.db"), 1 << 20)?;
    // More than it takes; the last of them is dear.
    let last = agent.tell(7_999).await?;
    let _aggregator = stage.aggregator(&stage.path("ledger.db"), &[]).await?;
    let subscriber = stage.subscriber()?;
    let heard = subscriber.until_all_but_lost(1, last).await?;
    ensure_least_was_shed(&heard, 1, last)?;
    agent.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregator_whose_disk_is_full_has_agents_wait_and_goes_on_when_there_is_room() -> Result<()> {
    let stage = Stage::new()?;
    let disk = SmallDisk::mount(stage.path("disk"), 16)?;
    let ledger = disk.path("ledger.db");
    let mut aggregator = stage.aggregator(&ledger, &[]).await?;
    let subscriber = stage.subscriber()?;
    let mut agent = stage.feeder(1)?;
    let last = agent.tell(1_000).await?;
    subscriber.until_all(1, last).await?;

    let mut pushes = Pushes::of_node_2(stage.ingest()?);
    for _ in 0..10 {
        pushes.push().await?;
    }

    disk.fill()?;
    let refusal = pushes.until_refused().await?;
    ensure!(refusal.code() == Code::Unavailable, "{refusal:?}");
    ensure!(refusal.get_details_retry_info().and_then(|info| info.retry_delay).is_some(), "{refusal:?}");
    let last = agent.tell(1_000).await?;
    ensure!(subscriber.heard().of(1).last() < Some(&last), "the disk is full");
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
    let heard = reader.until_all(2, pushes.acknowledged).await?;
    ensure!(heard.gaps.is_empty() && heard.others.is_empty(), "{heard:?}\n{}", aggregator.tail());
    agent.end().await
}
