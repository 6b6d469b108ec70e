//! An agent's outbox and uplink, fed with numbered diagnoses.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coroner_agent::config::Aggregator;
use coroner_agent::outbox::{self, Closed, Keeper, Limit, Outbox, Record};
use coroner_agent::status::{Board, OUTBOX};
use coroner_agent::uplink::Uplink;
use coroner_proto::v1::{Diagnosis, Severity, SourceHealth};
use coroner_runtime::backoff::Pace;
use coroner_runtime::metrics::Metrics;
use coroner_runtime::tasks::{Group, Supervisor};
use coroner_tests::flow::{self, name};
use coroner_tests::{PATIENCE, until};
use tokio::task;
use tokio_util::sync::CancellationToken;

/// Trying again is quick.
const PACE: Pace =
    Pace { first: Duration::from_millis(5), longest: Duration::from_millis(50), hold: Duration::from_secs(60) };
/// Diagnoses that are appended together.
const TOGETHER: usize = 100;

/// Started and not ended, or ended by [`end`](Self::end).
pub(crate) struct Feeder {
    node: u16,
    keeper: Keeper,
    board: Board,
    uplink: task::JoinHandle<Result<(), Closed>>,
    supervisor: Supervisor,
    owner: Group,
    /// The last number that was pushed.
    last: u64,
}

/// The node whose diagnoses have 4 KiB each.
pub(crate) const WORDY: u16 = 9;

/// The diagnosis of this number: half of them are of the least severity.
pub(crate) fn diagnosis(node: u16, number: u64) -> Diagnosis {
    let severity = [Severity::Info, Severity::Info, Severity::Warning, Severity::Critical]
        [usize::try_from(number % 4).expect("below 4")];
    let explanation = if node == WORDY { "x".repeat(4 << 10) } else { String::new() };
    Diagnosis { severity: severity.into(), explanation, ..flow::diagnosis(node, number) }
}

pub(crate) fn record(node: u16, number: u64) -> Record {
    Record::diagnosis(diagnosis(node, number))
}

impl Feeder {
    /// Over this outbox, which is made where there is none.
    pub(crate) fn start(node: u16, url: String, outbox: &Path, max_bytes: u64) -> Result<Self> {
        let board = Board::default();
        let outbox = Outbox::open(outbox, max_bytes, &name(node), board.clone())?;
        let supervisor = Supervisor::new(&Metrics::default());
        let owner = supervisor.group();
        let keeper = outbox::start(outbox, &owner);
        let aggregator = Aggregator { url, tls: None, token: None };
        let uplink = Uplink::new(name(node), aggregator, keeper.clone(), board.clone(), PACE);
        let uplink = tokio::spawn(uplink.run(CancellationToken::new()));
        Ok(Self { node, keeper, board, uplink, supervisor, owner, last: 0 })
    }

    /// Continues after what an earlier one has pushed.
    pub(crate) fn behind(self, last: u64) -> Self {
        Self { last, ..self }
    }

    /// Pushes so many more, and waits until the outbox has them, on disk or in memory. Gives the last number.
    pub(crate) async fn push_next(&mut self, count: u64) -> Result<u64> {
        let numbers: Vec<u64> = (self.last + 1..=self.last + count).collect();
        for numbers in numbers.chunks(TOGETHER) {
            let records = numbers.iter().map(|number| record(self.node, *number));
            self.keeper.append(records.collect()).await?;
            self.keeper.flush().await?;
        }
        self.last += count;
        Ok(self.last)
    }

    /// Waits until the aggregator has acknowledged everything.
    pub(crate) async fn until_acknowledged(&self) -> Result<()> {
        until("all is acknowledged", async || {
            let batch = self.keeper.batch(Limit { records: 1, bytes: 1 }).await?;
            Ok(batch.records.is_empty().then_some(()))
        })
        .await
    }

    /// How well the outbox is, and why not.
    pub(crate) fn outbox(&self) -> (SourceHealth, String) {
        let outbox = self.board.sources().into_iter().find(|source| source.source == OUTBOX);
        outbox.map(|status| (status.health(), status.reason)).unwrap_or_default()
    }

    pub(crate) fn is_on_disk(&self) -> bool {
        self.outbox().0 == SourceHealth::Ok
    }

    /// Pushes more until the outbox is on disk. Gives the last number.
    pub(crate) async fn push_until_on_disk(&mut self) -> Result<u64> {
        let pushed = until("the outbox is on disk", async || {
            let last = self.push_next(1).await?;
            Ok(self.is_on_disk().then_some(last))
        });
        pushed.await.with_context(|| format!("{:?}", self.outbox()))
    }

    /// Ends it and closes the file; what it had in memory alone is gone.
    pub(crate) async fn end(self) -> Result<()> {
        let Self { keeper, uplink, supervisor, owner, .. } = self;
        uplink.abort();
        ensure!(uplink.await.is_err_and(|error| error.is_cancelled()), "the uplink has ended by itself");
        drop(keeper);
        let late = owner.stop(PATIENCE).await;
        ensure!(late.is_empty() && supervisor.failure().is_none(), "the outbox: {:?}", supervisor.failure());
        Ok(())
    }
}
