//! The machine's clock is set while the programs run. They get the time from libfaketime, which reads the offset from a
//! file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use coroner_proto::v1::{GapReason, GetStatusRequest};
use coroner_tests::flow::name;
use coroner_tests::secured::{Authority, write};
use coroner_tests::until;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::feeder::Feeder;
use crate::stage::{Stage, listens};
use crate::subscriber::Subscriber;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// A clock that tests set.
struct Clock(PathBuf);

impl Clock {
    fn new(stage: &Stage) -> Result<Self> {
        let clock = Self(stage.path("clock"));
        clock.set(0)?;
        Ok(clock)
    }

    /// Sets it so many seconds ahead of the machine's.
    fn set(&self, seconds: i64) -> Result<()> {
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{seconds:+}"))?;
        fs::rename(&new, &self.0).context("setting the clock")
    }

    /// These words as a program with this clock; other clocks of its go on as ever.
    fn command(&self, command: Vec<String>) -> Result<Vec<String>> {
        Ok([vec!["env".to_owned(), "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned()], self.environment()?, command].concat())
    }

    /// The same where all clocks jump, as if time had passed.
    fn command_where_time_passes(&self, command: Vec<String>) -> Result<Vec<String>> {
        Ok([vec!["env".to_owned()], self.environment()?, command].concat())
    }

    fn environment(&self) -> Result<Vec<String>> {
        // Debian has a directory for each architecture.
        let directories = fs::read_dir("/usr/lib")?.map(|entry| Ok(entry?.path().join("faketime/libfaketimeMT.so.1")));
        let libraries = directories.collect::<Result<Vec<_>>>()?;
        let library = libraries.iter().find(|path| path.exists()).context("Debian's libfaketime is not there")?;
        let variables = [("LD_PRELOAD", library.as_path()), ("FAKETIME_TIMESTAMP_FILE", self.0.as_path())];
        let variables = variables.map(|(name, path)| format!("{name}={}", path.display()));
        // So it is read each time, and the times of files are left alone.
        Ok(variables.into_iter().chain(["FAKETIME_NO_CACHE=1", "NO_FAKE_STAT=1"].map(str::to_owned)).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregator_whose_clock_is_set_keeps_the_order_and_removes_nothing_by_mistake() -> Result<()> {
    let stage = Stage::new()?;
    let (clock, ledger) = (Clock::new(&stage)?, stage.path("ledger.db"));
    let start = async || {
        let mut aggregator = stage.start("aggregator", &clock.command(stage.aggregator_command(&ledger, &[])?)?)?;
        listens(&mut aggregator).await?;
        anyhow::Ok(aggregator)
    };
    let mut agent = stage.feeder(1)?;
    let subscriber = stage.subscriber()?;
    let mut aggregator = start().await?;
    // A node that falls silent is not forgotten either.
    let mut idle = stage.feeder(2)?;
    idle.push_next(1).await?;
    subscriber.until_all(2, 1).await?;
    idle.end().await?;
    // Never so far back that what is reported would be in the future.
    for off in [0, -HOUR, DAY, YEAR, 0, -100 * DAY, 0] {
        clock.set(off)?;
        let last = agent.push_next(100).await?;
        subscriber.until_all(1, last).await?;
        // At its start it looks for what is too old.
        ensure!(aggregator.stop()?.success(), "{}", aggregator.tail());
        aggregator = start().await?;
        let newcomer = stage.subscriber()?;
        let received = newcomer.until_all(1, last).await.with_context(|| format!("{off} s off"))?;
        ensure!(
            received.gaps.is_empty() && received.repeated == 0 && received.of(2) == [1],
            "{off} s off: {received:?}"
        );
        let nodes = stage.feed()?.get_status(GetStatusRequest {}).await?.into_inner().nodes;
        ensure!(nodes.iter().any(|node| node.node == name(2)), "{off} s off: {nodes:?}");
    }
    let received = subscriber.received();
    ensure!(received.gaps.is_empty() && received.repeated == 0 && received.others.is_empty(), "{received:?}");
    agent.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_become_too_old_goes_and_a_reader_from_before_gets_one_gap() -> Result<()> {
    let stage = Stage::new()?;
    let (clock, ledger) = (Clock::new(&stage)?, stage.path("ledger.db"));
    let command = stage.aggregator_command(&ledger, &["--retain-days", "30"])?;
    let mut aggregator = stage.start("aggregator", &clock.command_where_time_passes(command)?)?;
    listens(&mut aggregator).await?;
    let mut agent = stage.feeder(1)?;
    let subscriber = stage.subscriber()?;
    let last = agent.push_next(100).await?;
    let before = subscriber.until_all(1, last).await?;
    drop(subscriber);
    let last = agent.push_next(100).await?;
    let newcomer = stage.subscriber()?;
    newcomer.until_all(1, last).await?;

    clock.set(20 * DAY)?;
    let last = agent.push_next(100).await?;
    newcomer.until_all(1, last).await?;
    clock.set(31 * DAY)?;
    let mut feed = stage.feed()?;
    until("what is too old is gone", async || {
        let status = feed.get_status(GetStatusRequest {}).await?.into_inner();
        Ok((status.record_count == 100).then_some(()))
    })
    .await?;
    let last = agent.push_next(1).await?;
    let reader = Subscriber::resume(stage.feed()?, before);
    let received = reader.until("the last has come", |received| received.of(1).last() == Some(&last)).await?;
    ensure!(received.missing(1, last) == (101..=200).collect::<Vec<u64>>(), "{:?}", received.missing(1, last));
    ensure!(received.gaps.len() == 1 && received.lost(GapReason::Retention) == 100, "{:?}", received.gaps);
    agent.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_clock_is_set_goes_on_and_does_not_run_hot() -> Result<()> {
    let stage = Stage::new()?;
    let clock = Clock::new(&stage)?;
    let _aggregator = stage.aggregator(&stage.path("ledger.db"), &[]).await?;
    let subscriber = stage.subscriber()?;
    let outbox = stage.path("outbox.db");
    let mut feeder = Feeder::start(1, stage.unused_url(), &outbox, 64 << 20)?;
    let last = feeder.push_next(1_000).await?;
    feeder.end().await?;
    clock.set(-HOUR)?;
    let command = clock.command(stage.agent_command(1, &outbox, &["--aggregator", &stage.url()])?)?;
    let mut agent = stage.start("agent", &command)?;
    subscriber.until_all(1, last).await.with_context(|| agent.tail())?;

    let mut feed = stage.feed()?;
    let used = processor_seconds(agent.pid())?;
    clock.set(DAY)?;
    let mut seen_times = std::collections::BTreeSet::new();
    until("its time changes again and again", async || {
        agent.check()?;
        let nodes = feed.get_status(GetStatusRequest {}).await?.into_inner().nodes;
        let received = nodes.into_iter().find(|node| node.node == name(1)).and_then(|node| node.last_seen_time);
        seen_times.extend(received.map(|time| (time.seconds, time.nanos)));
        if seen_times.len() == 2 {
            clock.set(-DAY)?;
        }
        Ok((seen_times.len() == 3).then_some(()))
    })
    .await?;
    let used = processor_seconds(agent.pid())? - used;
    ensure!(used < 3, "it took {used} s of a processor");
    ensure!(agent.stop()?.success(), "{}", agent.tail());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_clock_is_set_back_starts_over_in_the_same_process() -> Result<()> {
    let stage = Stage::new()?;
    let clock = Clock::new(&stage)?;
    let _aggregator = stage.aggregator(&stage.path("ledger.db"), &[]).await?;
    let command = stage.agent_command(1, &stage.path("outbox.db"), &["--aggregator", &stage.url()])?;
    let mut agent = stage.start("agent", &clock.command(command)?)?;
    let starts = |output: &str| output.matches("Agent started").count();
    until("it runs", async || Ok((starts(&agent.output()) == 1).then_some(()))).await?;
    clock.set(-HOUR)?;
    until("it starts over", async || {
        agent.check()?;
        Ok((starts(&agent.output()) == 2).then_some(()))
    })
    .await
    .with_context(|| agent.tail())?;
    ensure!(agent.output().contains("The clock was set back"), "{}", agent.tail());
    let mut feed = stage.feed()?;
    until("it reports as before", async || {
        agent.check()?;
        let nodes = feed.get_status(GetStatusRequest {}).await?.into_inner().nodes;
        Ok(nodes.iter().any(|node| node.node == name(1) && node.last_seen_time.is_some()).then_some(()))
    })
    .await?;
    ensure!(starts(&agent.output()) == 2, "{}", agent.tail());
    ensure!(agent.stop()?.success(), "{}", agent.tail());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_clock_is_wrong_does_not_trust_the_aggregator_and_does_as_soon_as_it_is_right() -> Result<()> {
    let stage = Stage::new()?;
    let (clock, authority) = (Clock::new(&stage)?, Authority::new()?);
    let next_month = Timestamp::now().to_zoned(TimeZone::UTC).date() + 30.days();
    write(&stage.path(""), "tls", &authority.aggregator_until(next_month)?)?;
    fs::write(stage.path("ca.crt"), &authority.pem)?;
    let path = |name: &str| stage.path(name).display().to_string();
    let (certificate, key, ca) = (path("tls.crt"), path("tls.key"), path("ca.crt"));
    let flags = ["--listen", "127.0.0.1:0", "--tls-cert", &certificate, "--tls-key", &key];
    let aggregator = stage.aggregator(&stage.path("ledger.db"), &flags).await?;
    let url = until("the aggregator listens on TCP", async || {
        let log = aggregator.output();
        let port = log.split_once("listening on 127.0.0.1:").and_then(|(_, rest)| rest.split_once('\n'));
        Ok(port.map(|(port, _)| format!("https://localhost:{port}")))
    })
    .await?;
    let subscriber = stage.subscriber()?;
    let outbox = stage.path("outbox.db");
    let mut feeder = Feeder::start(1, stage.unused_url(), &outbox, 64 << 20)?;
    let last = feeder.push_next(1_000).await?;
    feeder.end().await?;

    clock.set(YEAR)?;
    let command = clock.command(stage.agent_command(1, &outbox, &["--aggregator", &url, "--tls-ca", &ca])?)?;
    let mut agent = stage.start("agent", &command)?;
    until("the agent refuses the certificate", async || {
        agent.check()?;
        Ok(agent.output().contains("certificate expired").then_some(()))
    })
    .await
    .with_context(|| agent.tail())?;
    ensure!(subscriber.received().numbers.is_empty(), "it has pushed to an unverified server");
    clock.set(0)?;
    let received = subscriber.until_all(1, last).await.with_context(|| agent.tail())?;
    ensure!(received.gaps.is_empty(), "{:?}", received.gaps);
    Ok(())
}

/// How many seconds of a processor a process has taken.
fn processor_seconds(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))?;
    // The name, field 2, may contain anything; fields 14 and 15 are in hundredths of a second.
    let (_, rest) = stat.rsplit_once(')').context("no name")?;
    let times = rest.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(times / 100)
}
