//! An aggregator that goes away and comes back: with its ledger, with none, or with an older one.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::GapReason;
use coroner_tests::coroner::aggregator;
use coroner_tests::until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::feeder::Feeder;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregator_that_was_killed_gets_what_was_found_out_meanwhile() -> Result<()> {
    let stage = Stage::new()?;
    let ledger = stage.path("ledger.db");
    let mut agents = [stage.feeder(1)?, stage.feeder(2)?];
    let subscriber = stage.subscriber()?;
    let mut last = 0;
    for _ in 0..3 {
        let mut aggregator = stage.aggregator(&ledger, &[]).await?;
        for agent in &mut agents {
            last = agent.push_next(500).await?;
        }
        // Killed while it is at work.
        subscriber.until("some have come", |received| received.of(1).last() >= Some(&(last - 499))).await?;
        aggregator.kill()?;
        for agent in &mut agents {
            last = agent.push_next(500).await?;
        }
    }
    let _aggregator = stage.aggregator(&ledger, &[]).await?;
    for node in [1, 2] {
        subscriber.until_all(node, last).await?;
    }
    let received = subscriber.received();
    ensure!(received.gaps.is_empty() && received.others.is_empty() && received.returns > 3, "{received:?}");
    for agent in agents {
        agent.end().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregator_that_hangs_in_the_midst_of_a_push_costs_nothing() -> Result<()> {
    let stage = Stage::new()?;
    let outbox = stage.path("outbox.db");
    let mut feeder = Feeder::start(1, stage.unused_url(), &outbox, 64 << 20)?;
    let last = feeder.push_next(40_000).await?;
    feeder.end().await?;
    let aggregator = stage.aggregator(&stage.path("ledger.db"), &[]).await?;
    let subscriber = stage.subscriber()?;
    let mut agent = stage.start("agent", &stage.agent_command(1, &outbox, &["--aggregator", &stage.url()])?)?;
    subscriber.until("some have come", |received| received.of(1).len() > 1_000).await?;
    let pid = Pid::from_raw(i32::try_from(aggregator.pid())?);
    kill(pid, Signal::SIGSTOP)?;
    let noticed = until("the agent notices", async || {
        agent.check()?;
        Ok(agent.output().contains("does not take records").then_some(()))
    });
    let (noticed, before) = (noticed.await, subscriber.received());
    kill(pid, Signal::SIGCONT)?;
    noticed?;
    ensure!(before.of(1).last() < Some(&last), "all have come before");
    let received = subscriber.until_all(1, last).await.with_context(|| agent.tail())?;
    ensure!(received.gaps.is_empty() && received.repeated == 0, "{:?}, {} again", received.gaps, received.repeated);
    Ok(())
}

/// The ledger is another one: a reader of the one before gets one gap and then everything that agents still keep, which
/// is everything here.
async fn ensure_all_comes_again(replace: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let stage = Stage::new()?;
    let ledger = stage.path("ledger.db");
    let mut aggregator = stage.aggregator(&ledger, &[]).await?;
    let mut agent = stage.feeder(1)?;
    let subscriber = stage.subscriber()?;
    let last = agent.push_next(1_000).await?;
    subscriber.until_all(1, last).await?;
    backup(&ledger)?;
    let last = agent.push_next(1_000).await?;
    subscriber.until_all(1, last).await?;

    // The agent has nothing to push, so that its connection is re-established without its knowledge.
    aggregator.kill()?;
    replace(&ledger)?;
    let _aggregator = stage.aggregator(&ledger, &[]).await?;
    let last = agent.push_next(1).await?;
    subscriber.until_all(1, last).await?;
    let newcomer = stage.subscriber()?;
    let received = newcomer.until_all(1, last).await?;
    ensure!(received.gaps.is_empty() && received.others.is_empty(), "{received:?}");
    let received = subscriber.until("it received everything again", |received| received.repeated >= last - 1).await?;
    ensure!(matches!(received.gaps.as_slice(), [one] if one.reason() == GapReason::Retention), "{:?}", received.gaps);
    agent.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregator_with_an_empty_ledger_gets_everything_that_agents_still_keep() -> Result<()> {
    ensure_all_comes_again(|ledger| {
        for suffix in ["", "-wal", "-shm"] {
            fs::remove_file(format!("{}{suffix}", ledger.display()))?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregator_with_an_older_ledger_gets_everything_that_agents_still_keep() -> Result<()> {
    ensure_all_comes_again(|ledger| command(&["restore", "--from", &backup_of(ledger), "--ledger"], ledger)).await
}

fn backup_of(ledger: &Path) -> String {
    format!("{}.backup", ledger.display())
}

fn backup(ledger: &Path) -> Result<()> {
    command(&["backup", "--to", &backup_of(ledger), "--ledger"], ledger)
}

fn command(words: &[&str], ledger: &Path) -> Result<()> {
    let output = Command::new(aggregator()?).args(words).arg(ledger).output().context("starting the aggregator")?;
    ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
