//! A disk that cannot be written beneath an agent's outbox, and beneath the ledger. The kernel makes it so where a file
//! system turns out to be faulty (`errors=remount-ro`), even if files are open; what is written then is lost until it
//! has been unmounted, checked and mounted again.

use anyhow::{Context as _, Result, ensure};
use coroner_proto::v1::SourceHealth;
use coroner_tests::until;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::feeder::Feeder;
use crate::pushes::Pushes;
use crate::small_disk::SmallDisk;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_on_a_read_only_disk_goes_on_in_memory_and_moves_to_the_disk_when_it_may() -> Result<()> {
    let stage = Stage::new()?;
    let disk = SmallDisk::mount(stage.path("node"), 8)?;
    let _aggregator = stage.aggregator(&stage.path("ledger.db"), &[]).await?;
    let subscriber = stage.subscriber()?;
    let outbox = disk.path("outbox.db");
    let mut agent = Feeder::start(1, stage.url(), &outbox, 64 << 20)?;
    agent.push_next(100).await?;
    disk.fail()?;
    let last = agent.push_next(100).await?;
    ensure!(agent.outbox().0 == SourceHealth::Degraded && agent.outbox().1.contains("memory"), "{:?}", agent.outbox());
    subscriber.until_all(1, last).await?;
    agent.end().await?;

    // As at the boot of a node whose disk waits for its check.
    disk.detach()?;
    disk.repair()?;
    disk.set_read_only(true)?;
    let mut agent = Feeder::start(1, stage.url(), &outbox, 64 << 20)?.behind(last);
    let last = agent.push_next(100).await?;
    ensure!(agent.outbox().0 == SourceHealth::Degraded, "{:?}", agent.outbox());
    subscriber.until_all(1, last).await?;
    disk.set_read_only(false)?;
    let last = agent.push_until_on_disk().await?;
    let received = subscriber.until_all(1, last).await?;
    ensure!(received.gaps.is_empty() && received.others.is_empty(), "{received:?}");
    agent.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregator_on_a_read_only_disk_takes_nothing_and_has_lost_nothing_when_the_disk_is_repaired() -> Result<()>
{
    let stage = Stage::new()?;
    let disk = SmallDisk::mount(stage.path("disk"), 16)?;
    let ledger = disk.path("ledger.db");
    let mut aggregator = stage.aggregator(&ledger, &[]).await?;
    let subscriber = stage.subscriber()?;
    let mut agent = stage.feeder(1)?;
    let last = agent.push_next(1_000).await?;
    subscriber.until_all(1, last).await?;

    disk.fail()?;
    let mut pushes = Pushes::of_node_2(stage.ingest()?);
    let refusal = pushes.until_refused().await?;
    ensure!(refusal.code() == Code::Unavailable, "{refusal:?}");
    ensure!(refusal.get_details_retry_info().and_then(|info| info.retry_delay).is_some(), "{refusal:?}");
    ensure!(pushes.acknowledged == 0, "nothing can be durable");
    let all = agent.push_next(1_000).await?;
    // What is there can be read.
    let reader = stage.subscriber()?;
    reader.until_all(1, last).await?;
    aggregator.kill()?;

    disk.detach()?;
    disk.repair()?;
    disk.set_read_only(true)?;
    let mut aggregator = stage.start("aggregator", &stage.aggregator_command(&ledger, &[])?)?;
    let status = until("it does not start", async || aggregator.ended()).await.with_context(|| aggregator.tail())?;
    ensure!(status.code() == Some(1) && aggregator.output().contains("read-only"), "{status}\n{}", aggregator.tail());
    disk.set_read_only(false)?;
    let _aggregator = stage.aggregator(&ledger, &[]).await?;
    let received = subscriber.until_all(1, all).await?;
    ensure!(received.gaps.is_empty() && received.others.is_empty(), "{received:?}");
    agent.end().await
}
