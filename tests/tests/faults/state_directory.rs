//! One state directory, two agents.

use std::fs;

use anyhow::{Result, ensure};
use coroner_tests::until;

use crate::feeder::Feeder;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_the_same_directory_says_so_in_one_line_and_the_first_loses_nothing() -> Result<()> {
    let stage = Stage::new()?;
    let _aggregator = stage.aggregator(&stage.path("ledger.db"), &[]).await?;
    let subscriber = stage.subscriber()?;
    let outbox = stage.path("outbox.db");
    let mut first = Feeder::start(1, stage.url(), &outbox, 64 << 20)?;
    first.tell(100).await?;
    let mut second = stage.start("second", &stage.agent_words(1, &outbox, &["--aggregator", &stage.url()])?)?;
    let status = until("the second one ends", async || second.ended()).await?;
    ensure!(status.code() == Some(69), "{status}\n{}", second.tail());
    let said = second.output();
    ensure!(said.lines().filter(|line| line.contains("ERROR")).count() == 1, "{said}");
    ensure!(said.contains("another agent is using the outbox"), "{said}");
    let last = first.tell(100).await?;
    let heard = subscriber.until_all(1, last).await?;
    ensure!(heard.gaps.is_empty() && heard.others.is_empty(), "{heard:?}");
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
    let last = first.tell(100).await?;
    subscriber.until_all(1, last).await?;
    aggregator.kill()?;
    // Some of what is copied was pushed and some was not.
    let last = first.tell(100).await?;
    first.end().await?;
    fs::copy(&original, &copy)?;

    let mut first = Feeder::start(1, stage.url(), &original, 64 << 20)?.behind(last);
    let mut second = Feeder::start(2, stage.url(), &copy, 64 << 20)?;
    let _aggregator = stage.aggregator(&ledger, &[]).await?;
    let last = first.tell(300).await?;
    let last_of_second = second.tell(200).await?;
    subscriber.until_all(2, last_of_second).await?;
    let heard = subscriber.until_all(1, last).await?;
    ensure!(heard.gaps.is_empty() && heard.others.is_empty(), "{heard:?}");
    ensure!(heard.repeated == 0, "the ledger has something twice: {heard:?}");
    first.end().await?;
    second.end().await
}
