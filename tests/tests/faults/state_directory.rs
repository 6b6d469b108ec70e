//! One state directory, two agents.

use std::fs;

use anyhow::{Result, bail, ensure};
use coroner_proto::v1::GapReason;
use coroner_tests::flow::name;
use coroner_tests::until;

use crate::feeder::Feeder;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_the_same_directory_fails_with_one_line_and_the_first_loses_nothing() -> Result<()> {
    let stage = Stage::new()?;
    let _aggregator = stage.aggregator(&stage.path("ledger.db"), &[]).await?;
    let subscriber = stage.subscriber()?;
    let outbox = stage.path("outbox.db");
    let mut first = Feeder::start(1, stage.url(), &outbox, 64 << 20)?;
    first.push_next(100).await?;
    let mut second = stage.start("second", &stage.agent_command(1, &outbox, &["--aggregator", &stage.url()])?)?;
    let status = until("the second one ends", async || second.ended()).await?;
    ensure!(status.code() == Some(69), "{status}\n{}", second.tail());
    let log = second.output();
    ensure!(log.lines().filter(|line| line.contains("ERROR")).count() == 1, "{log}");
    ensure!(log.contains("is in use by another process"), "{log}");
    let last = first.push_next(100).await?;
    let received = subscriber.until_all(1, last).await?;
    ensure!(received.gaps.is_empty() && received.others.is_empty(), "{received:?}");
    first.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_directory_on_another_node_is_kept_apart_and_neither_loses_anything() -> Result<()> {
    let stage = Stage::new()?;
    let ledger = stage.path("ledger.db");
    let mut aggregator = stage.aggregator(&ledger, &[]).await?;
    let subscriber = stage.subscriber()?;
    let (original, copy) = (stage.path("original.db"), stage.path("copy.db"));
    let mut first = Feeder::start(1, stage.url(), &original, 64 << 20)?;
    let last = first.push_next(100).await?;
    subscriber.until_all(1, last).await?;
    aggregator.kill()?;
    // Some of what is copied was pushed and some was not.
    let last_copied = first.push_next(100).await?;
    first.end().await?;
    fs::copy(&original, &copy)?;

    let mut first = Feeder::start(1, stage.url(), &original, 64 << 20)?.behind(last_copied);
    let mut second = Feeder::start(2, stage.url(), &copy, 64 << 20)?;
    let _aggregator = stage.aggregator(&ledger, &[]).await?;
    let last = first.push_next(300).await?;
    let last_of_second = second.push_next(200).await?;
    subscriber.until_all(2, last_of_second).await?;
    let received = subscriber.until_all(1, last).await?;
    ensure!(received.others.is_empty(), "{received:?}");
    ensure!(received.repeated == 0, "the ledger has something twice: {received:?}");
    // What the second has of the first is refused, since no node may push for another; the first has pushed it.
    let [gap] = received.gaps.as_slice() else { bail!("one gap of what was refused: {:?}", received.gaps) };
    let of_copy = gap.node == name(2) && gap.reason() == GapReason::Rejected && gap.lost_count == Some(last_copied);
    ensure!(of_copy, "{gap:?}");
    first.end().await?;
    second.end().await
}
