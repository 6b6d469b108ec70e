//! The task of one exporter: reads the ledger behind its cursor, sends, and moves the cursor behind what was taken.
//!
//! - The cursor on disk never runs ahead of the receiver; it may lag by what was sent last. So a crash sends that
//!   again, in the same order and with the same ids.
//! - It never gives up: what may help is tried again without end (see [`Remedy`]), and only what is refused for good,
//!   alone, becomes a dead letter. Meanwhile the ledger keeps what its retention allows, and what that removes becomes
//!   a gap.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use coroner_diagnosis::{messages::operation, observation::Reason, text};
use coroner_proto::v1::{ExporterState, Gap};
use coroner_runtime::{
    backoff::{Backoff, Pace},
    error::chain,
};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    counters::Counters,
    cursor::Cursor,
    dead_letter::DeadLetters,
    error::Error,
    item::Item,
    pace::delay,
    setup::Setup,
    sink::{Refused, Rejected, Remedy, Sink, Taken},
    target::{Start, Target},
};
use crate::{
    filter::Selection,
    gap,
    ledger::{self, Chunk, Ledger, Limits, Offset, Position},
    token::ResumeToken,
};

/// What one batch may hold.
const LIMITS: Limits = Limits { scan: 2_000, records: 500, bytes: 1 << 20 };
/// So many records that are not wanted may lie between the cursor on disk and the true one.
const SKIPPED: Offset = 1_000;
/// So many records in a row that are refused for good are more likely the fault of the receiver: from then on there is
/// a long pause before each further one.
const REFUSED_IN_A_ROW: u32 = 16;
/// The longest that a receiver may take for one batch.
const SEND_DEADLINE: Duration = Duration::from_secs(30);
/// What is under way when the program is stopped has so long to be answered.
const LAST_ANSWER: Duration = Duration::from_secs(3);

/// The task of one exporter.
pub(super) struct Runner<S> {
    target: Target,
    sink: S,
    ledger: Arc<Ledger>,
    pace: Pace,
    /// The delays since the receiver last took something.
    backoff: Backoff,
    stop: CancellationToken,
    counters: Arc<Counters>,
    selection: Arc<Selection>,
    dead_letters: Option<DeadLetters>,
    /// Everything up to it is handled.
    position: Position,
    cursor: Cursor,
    /// The cursor on disk.
    saved: Position,
    cursor_fails: bool,
    /// Records of the next batch: fewer while looking for one that is refused.
    limit: usize,
    refused_in_a_row: u32,
    /// To be sent before anything else.
    first: Option<Item>,
}

impl<S: Sink> Runner<S> {
    /// Finds its place in the ledger and makes it durable.
    pub(super) async fn open(
        setup: &Setup,
        target: Target,
        sink: S,
        cursor: Cursor,
        counters: Arc<Counters>,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let Setup { ledger, directory, pace, .. } = setup;
        let error = |doing| {
            let path = cursor.place();
            move |error| Error::of_file(doing, &path, &error)
        };
        let mut start = target.start;
        let token = match cursor.read().await {
            Err(damaged) if damaged.kind() == io::ErrorKind::InvalidData => {
                let path = cursor.place();
                tracing::error!(exporter = target.name, path = %path.display(), "The cursor is damaged: all that is kept is sent again");
                start = Start::Oldest;
                None
            }
            read => read.map_err(error("read the cursor"))?,
        };
        let (expired, last) = ledger
            .stream(|c| Ok((ledger::expired(c)?, ledger::last(c)?)))
            .await
            .map_err(|e| error("begin, as the ledger cannot be read, at")(io::Error::other(e)))?;
        let epoch = ledger.epoch();
        let (position, first) = match token {
            Some(token) if token.epoch == epoch && (token.position.offset <= last.offset || ledger.is_shared()) => {
                (token.position, None)
            }
            Some(token) => {
                let gap = gap::of_other_ledger(token.position.time, expired.time);
                (expired, Some(Item::gap(epoch, expired.offset, expired, gap)))
            }
            None if start == Start::Now => (last, None),
            None => (expired, None),
        };
        // An exporter that has no record of having started would begin elsewhere after a crash. A changed ledger is
        // only written down once it was reported.
        if first.is_none() {
            cursor.write(ResumeToken { epoch, position }).await.map_err(error("write the cursor"))?;
        }
        counters.offset.store(position.offset, Relaxed);
        counters.time.store(position.time, Relaxed);
        let selection =
            Selection::new(target.filter.clone().include(), Vec::new()).expect("its fields are few and sound");
        Ok(Self {
            dead_letters: Some(DeadLetters::new(directory, &target.name)),
            target,
            sink,
            ledger: Arc::clone(ledger),
            pace: *pace,
            backoff: pace.backoff(),
            stop,
            counters,
            selection: Arc::new(selection),
            position,
            cursor,
            saved: position,
            cursor_fails: false,
            limit: LIMITS.records,
            refused_in_a_row: 0,
            first,
        })
    }

    /// Exports until it is stopped.
    ///
    /// # Errors
    /// If it cannot go on.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        let (name, url) = (self.target.name.clone(), self.target.shown.clone());
        tracing::info!(exporter = name, url, "Exporting");
        let Err(end) = self.export().await;
        if self.position != self.saved {
            self.save().await;
        }
        let Counters { sent, retries, dead_lettered, lost, .. } = &*self.counters;
        self.counters.set_state(ExporterState::Unspecified);
        tracing::info!(exporter = name, ?sent, ?retries, ?dead_lettered, ?lost, ?end, "Exporter has ended");
        match end {
            End::Stopped | End::LedgerClosed => Ok(()),
            End::Failed(reason) => Err(Error::Failed(reason)),
        }
    }

    async fn export(&mut self) -> Result<Infallible, End> {
        let mut committed = self.ledger.committed();
        if let Some(item) = self.first.take() {
            self.deliver(vec![item]).await?;
        }
        loop {
            let chunk = self.read().await?;
            let (position, at_end) = (chunk.position, chunk.at_end);
            let items = self.items(chunk);
            self.deliver(items).await?;
            self.advance(position);
            if self.position.offset - self.saved.offset >= SKIPPED {
                self.save().await;
            }
            if at_end {
                let changed = self.stop.run_until_cancelled(committed.changed()).await.ok_or(End::Stopped)?;
                changed.map_err(|_| End::LedgerClosed)?;
            }
        }
    }

    /// One look into the ledger; waits for as long as it cannot be read.
    async fn read(&mut self) -> Result<Chunk, End> {
        let mut backoff = self.pace.backoff();
        let mut failing = false;
        loop {
            let (after, selection) = (self.position, Arc::clone(&self.selection));
            let look = move |connection: &_| ledger::read(connection, after, None, &selection, LIMITS);
            match self.ledger.stream(look).await {
                Ok(chunk) => return Ok(chunk),
                Err(_) if self.stop.is_cancelled() => return Err(End::Stopped),
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        let error = chain(&error);
                        tracing::warn!(exporter = self.target.name, error, "Cannot read the ledger: trying again");
                    }
                    self.wait(backoff.next()).await?;
                }
            }
        }
    }

    fn items(&self, chunk: Chunk) -> Vec<Item> {
        let epoch = self.ledger.epoch();
        let mut items = Vec::with_capacity(chunk.items.len() + 1);
        if let Some(lost) = chunk.lost {
            self.counters.lost.fetch_add(lost.count, Relaxed);
            let gap = gap::of_retention(self.position.time, lost.end_time, Some(lost.count));
            let position = Position { offset: lost.offset, time: lost.end_time };
            items.push(Item::gap(epoch, self.position.offset, position, gap));
        }
        let (after, end) = (self.position, chunk.position.offset);
        self.counters.lost.fetch_add(chunk.missing.iter().map(Gap::lost_count).sum(), Relaxed);
        items.extend(chunk.missing.into_iter().map(|gap| Item::missing(epoch, after, end, gap)));
        let filter = &self.target.filter;
        items.extend(chunk.items.into_iter().map(|item| Item::decode(epoch, item).restricted_to(&filter.namespaces)));
        items
    }

    /// Sends all of them, in their order, however long it takes.
    async fn deliver(&mut self, items: Vec<Item>) -> Result<(), End> {
        let mut rest = &items[..];
        while !rest.is_empty() {
            let settled = self.attempt(&rest[..rest.len().min(self.limit)]).await?;
            rest = &rest[settled..];
        }
        Ok(())
    }

    /// One attempt; gives how many of the batch are settled.
    async fn attempt(&mut self, batch: &[Item]) -> Result<usize, End> {
        let answer = tokio::select! {
            answer = timeout(SEND_DEADLINE, self.sink.send(batch)) => answer,
            () = async { self.stop.cancelled().await; sleep(LAST_ANSWER).await } => return Err(End::Stopped),
        };
        let answer =
            answer.unwrap_or_else(|_| Err(Refused::new(Remedy::RETRY, operation::export_no_answer(SEND_DEADLINE))));
        match answer {
            Ok(Taken { rejected: None }) => {
                self.limit = (self.limit * 2).min(LIMITS.records);
                self.settled(batch).await;
                Ok(batch.len())
            }
            Ok(Taken { rejected: Some(Rejected { count, why }) }) => {
                if count < batch.len() {
                    self.takes(batch.len() - count);
                }
                self.bury(batch, &why).await?;
                Ok(batch.len())
            }
            Err(Refused { done, remedy, why }) => {
                let (taken, rest) = batch.split_at(done.min(batch.len()));
                if !taken.is_empty() {
                    self.settled(taken).await;
                }
                match (remedy, rest) {
                    (_, []) => {}
                    (Remedy::Bisect, [item]) => self.bury(std::slice::from_ref(item), &why).await?,
                    (Remedy::Bisect, _) => self.limit = (rest.len() / 2).max(1),
                    (remedy, _) => self.failed(&remedy, &why).await?,
                }
                Ok(batch.len() - rest.len() + usize::from(remedy == Remedy::Bisect && rest.len() == 1))
            }
        }
    }

    /// The receiver has these.
    async fn settled(&mut self, items: &[Item]) {
        let Some(last) = items.last() else { return };
        self.takes(items.len());
        self.advance(last.position);
        self.save().await;
    }

    /// Nothing is wrong with the receiver: it has taken so many.
    fn takes(&mut self, count: usize) {
        self.counters.sent.fetch_add(count as u64, Relaxed);
        self.backoff.reset();
        self.refused_in_a_row = 0;
        if self.counters.state() != ExporterState::Delivering {
            self.counters.set_state(ExporterState::Delivering);
            self.counters.set_reason(None);
            tracing::info!(exporter = self.target.name, "The receiver takes records");
        }
    }

    /// The receiver will never take these: they become dead letters before the cursor moves on.
    async fn bury(&mut self, items: &[Item], why: &Reason) -> Result<(), End> {
        let Some(last) = items.last() else { return Ok(()) };
        loop {
            let mut letters = self.dead_letters.take().expect("it is put back below");
            let (owned, reason) = (items.to_vec(), why.text());
            let work = spawn_blocking(move || (letters.bury(&owned, &reason), letters));
            let (buried, letters) = work.await.map_err(|error| End::Failed(error.to_string()))?;
            self.dead_letters = Some(letters);
            match buried {
                Ok(()) => break,
                Err(error) => {
                    let why = match error.kind() {
                        io::ErrorKind::StorageFull if error.raw_os_error().is_none() => {
                            operation::export_letters_full()
                        }
                        _ => operation::export_letters_failed(error.to_string()),
                    };
                    self.failed(&Remedy::Hold, &why.into()).await?;
                }
            }
        }
        let reason = text::clean(&why.text(), 512);
        tracing::error!(
            exporter = self.target.name,
            count = items.len(),
            first = items[0].id,
            reason,
            "The receiver refuses records for good"
        );
        self.counters.dead_lettered.fetch_add(items.len() as u64, Relaxed);
        self.refused_in_a_row = self.refused_in_a_row.saturating_add(1);
        self.advance(last.position);
        self.save().await;
        if self.refused_in_a_row >= REFUSED_IN_A_ROW {
            self.failed(&Remedy::Hold, &operation::export_each_refused().into()).await?;
        }
        Ok(())
    }

    /// Logs it if that is news, and waits.
    async fn failed(&mut self, remedy: &Remedy, reason: &Reason) -> Result<(), End> {
        self.counters.retries.fetch_add(1, Relaxed);
        let (exporter, why) = (&self.target.name, text::clean(&reason.text(), 512));
        let holds = *remedy == Remedy::Hold;
        let state = if holds { ExporterState::Holding } else { ExporterState::Retrying };
        if self.counters.state() != state {
            self.counters.set_state(state);
            match state {
                ExporterState::Holding => {
                    tracing::error!(exporter, why, "The receiver cannot be used as configured: records are held")
                }
                _ => tracing::warn!(exporter, why, "The receiver does not take records: trying again"),
            }
        }
        self.counters.set_reason(Some(reason.clone()));
        let delay = delay(self.pace, remedy, &mut self.backoff);
        self.wait(delay).await
    }

    async fn wait(&mut self, delay: Duration) -> Result<(), End> {
        self.stop.run_until_cancelled(sleep(delay)).await.ok_or(End::Stopped)
    }

    fn advance(&mut self, position: Position) {
        if position.offset >= self.position.offset {
            self.position = position;
            self.counters.offset.store(position.offset, Relaxed);
            self.counters.time.store(position.time, Relaxed);
        }
    }

    /// Makes the cursor durable. If that fails, no more is lost than that records are sent again after a restart.
    async fn save(&mut self) {
        let token = ResumeToken { epoch: self.ledger.epoch(), position: self.position };
        match self.cursor.write(token).await {
            Ok(()) => {
                self.saved = token.position;
                if std::mem::take(&mut self.cursor_fails) {
                    tracing::info!(exporter = self.target.name, "The cursor can be written again");
                }
            }
            Err(error) if !std::mem::replace(&mut self.cursor_fails, true) => {
                tracing::error!(exporter = self.target.name, %error, "Cannot write the cursor: after a restart records are sent again");
            }
            Err(_) => {}
        }
    }
}

/// Why an exporter ends.
#[derive(Debug)]
enum End {
    Stopped,
    LedgerClosed,
    /// A fault of this program.
    Failed(String),
}
