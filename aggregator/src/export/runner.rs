//! The task of one exporter: reads the ledger behind its cursor, sends, and moves the cursor behind what was taken.
//!
//! - The cursor on disk never runs ahead of the receiver; it may lag by what was sent last. So a crash sends that again, in
//!   the same order and with the same ids.
//! - It never gives up: what may help is tried again without end (see [`Remedy`]), and only what is refused for good, alone,
//!   becomes a dead letter. Meanwhile the ledger keeps what its retention allows, and what that takes is told as a gap.

use std::{
    collections::hash_map::RandomState,
    convert::Infallible,
    hash::{BuildHasher, Hasher},
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use coroner_diagnosis::text;
use coroner_proto::v1::{Diagnosis, ExporterState, Gap};
use prost::Message;
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Counters, Error, Exporters, Item, SEND_DEADLINE, Start, Target,
    cursor::Cursor,
    dead_letter::DeadLetters,
    sink::{Refused, Rejected, Remedy, Sink, Taken},
};
use crate::{
    cursor::ResumeToken,
    feed::{corrupt_gap, retention_gap},
    filter::Selection,
    ledger::{self, Body, Chunk, Ledger, Limits, Offset, Position},
};

/// What one batch may hold.
const LIMITS: Limits = Limits { scan: 2_000, records: 500, bytes: 1 << 20 };
/// So many records that are not wanted may lie between the cursor on disk and the true one.
const SKIPPED: Offset = 1_000;
/// So many records in a row that are refused for good are more likely the fault of the receiver: from then on there is a
/// long pause before each further one.
const REFUSED_IN_A_ROW: u32 = 16;
/// What is under way when the program is told to stop has so long to be answered.
const LAST_WORD: Duration = Duration::from_secs(3);

/// How long to wait after what went wrong.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// After the first failure; each further one in a row waits half as long again.
    pub first: Duration,
    /// The longest of these.
    pub longest: Duration,
    /// While only an operator can help.
    pub hold: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(30), hold: Duration::from_secs(60) }
    }
}

impl Pace {
    /// The longest that a receiver may ask to be left alone.
    const LONGEST_WISH: Duration = Duration::from_secs(600);

    /// What to wait after so many failures in a row before this one.
    fn delay(self, failures: u32, remedy: &Remedy) -> Duration {
        match remedy {
            Remedy::Hold => self.hold,
            // So much longer that the jitter never makes it shorter than was asked for.
            Remedy::Retry { after: Some(after) } => (*after).clamp(self.first, Self::LONGEST_WISH).mul_f64(1.25),
            Remedy::Retry { after: None } | Remedy::Bisect => {
                let growth = 1.5_f64.powi(i32::try_from(failures.min(64)).expect("at most 64"));
                self.first.mul_f64(growth.min(1e6)).min(self.longest)
            }
        }
    }
}

/// The task.
pub(super) struct Runner<S> {
    target: Target,
    sink: S,
    ledger: Arc<Ledger>,
    pace: Pace,
    stop: CancellationToken,
    counters: Arc<Counters>,
    selection: Arc<Selection>,
    dead_letters: Option<DeadLetters>,
    /// Everything up to it is handled.
    position: Position,
    cursor: Cursor,
    /// What the cursor on disk says.
    saved: Position,
    cursor_fails: bool,
    /// Records of the next batch: fewer while looking for one that is refused.
    limit: usize,
    failures: u32,
    refused_in_a_row: u32,
    /// To be told before anything else.
    first: Option<Item>,
}

impl<S: Sink> Runner<S> {
    /// Finds its place in the ledger and makes it durable.
    pub(super) async fn open(
        exporters: &Exporters,
        target: Target,
        sink: S,
        cursor: Cursor,
        counters: Arc<Counters>,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let Exporters { ledger, directory, pace, .. } = exporters;
        let error = |doing| {
            let path = cursor.place();
            move |source| Error::File { doing, path, source }
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
                let text = "the ledger is another one than was exported so far; its oldest record follows";
                let gap = Gap { text: text.into(), ..retention_gap(token.position.time, expired.time, None) };
                (expired, Some(Item::gap(epoch, expired.offset, expired, gap)))
            }
            None if start == Start::Now => (last, None),
            None => (expired, None),
        };
        // An exporter that has no record of having started would begin elsewhere after a crash. A changed ledger is only
        // written down once it was told.
        if first.is_none() {
            cursor.write(ResumeToken { epoch, position }).await.map_err(error("write the cursor"))?;
        }
        counters.offset.store(position.offset, Relaxed);
        let selection =
            Selection::new(target.filter.clone().include(), Vec::new()).expect("its fields are few and sound");
        Ok(Self {
            dead_letters: Some(DeadLetters::new(directory, &target.name)),
            target,
            sink,
            ledger: Arc::clone(ledger),
            pace: *pace,
            stop,
            counters,
            selection: Arc::new(selection),
            position,
            cursor,
            saved: position,
            cursor_fails: false,
            limit: LIMITS.records,
            failures: 0,
            refused_in_a_row: 0,
            first,
        })
    }

    /// Exports until told to stop.
    pub(super) async fn run(mut self) {
        let (name, url) = (self.target.name.clone(), self.target.shown.clone());
        tracing::info!(exporter = name, url, "Exporting");
        let Err(end) = self.export().await;
        if self.position != self.saved {
            self.save().await;
        }
        let Counters { sent, retries, dead_lettered, lost, .. } = &*self.counters;
        self.counters.set_state(ExporterState::Unspecified);
        tracing::info!(exporter = name, ?sent, ?retries, ?dead_lettered, ?lost, ?end, "Exporter has ended");
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
        let mut failures = 0;
        loop {
            let (after, selection) = (self.position, Arc::clone(&self.selection));
            let look = move |connection: &_| ledger::read(connection, after, None, &selection, LIMITS);
            match self.ledger.stream(look).await {
                Ok(chunk) => return Ok(chunk),
                Err(_) if self.stop.is_cancelled() => return Err(End::Stopped),
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(exporter = self.target.name, %error, "Cannot read the ledger: trying again");
                    }
                    self.wait(self.pace.delay(failures, &Remedy::RETRY)).await?;
                    failures += 1;
                }
            }
        }
    }

    fn items(&self, chunk: Chunk) -> Vec<Item> {
        let epoch = self.ledger.epoch();
        let mut items = Vec::with_capacity(chunk.items.len() + 1);
        if let Some(lost) = chunk.lost {
            self.counters.lost.fetch_add(lost.count, Relaxed);
            let gap = retention_gap(self.position.time, lost.end_time, Some(lost.count));
            let position = Position { offset: lost.offset, time: lost.end_time };
            items.push(Item::gap(epoch, self.position.offset, position, gap));
        }
        items.extend(chunk.items.into_iter().map(|item| decode(epoch, item)));
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
            () = async { self.stop.cancelled().await; sleep(LAST_WORD).await } => return Err(End::Stopped),
        };
        let answer = answer.unwrap_or_else(|_| Err(Refused::new(Remedy::RETRY, "no answer in time")));
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
        self.failures = 0;
        self.refused_in_a_row = 0;
        if self.counters.state() != ExporterState::Delivering {
            self.counters.set_state(ExporterState::Delivering);
            tracing::info!(exporter = self.target.name, "The receiver takes records");
        }
    }

    /// The receiver will never take these: they become dead letters before the cursor moves on.
    async fn bury(&mut self, items: &[Item], why: &str) -> Result<(), End> {
        let Some(last) = items.last() else { return Ok(()) };
        loop {
            let mut letters = self.dead_letters.take().expect("it is put back below");
            let (owned, reason) = (items.to_vec(), why.to_owned());
            let work = spawn_blocking(move || (letters.bury(&owned, &reason), letters));
            let (buried, letters) = work.await.map_err(|_| End::Stopped)?;
            self.dead_letters = Some(letters);
            match buried {
                Ok(()) => break,
                Err(error) => {
                    let why = format!("cannot keep what the receiver refuses: {error}");
                    self.failed(&Remedy::Hold, &why).await?;
                }
            }
        }
        let reason = text::clean(why, 512);
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
            self.failed(&Remedy::Hold, "it refuses one record after the other").await?;
        }
        Ok(())
    }

    /// Says so if that is news, and waits.
    async fn failed(&mut self, remedy: &Remedy, why: &str) -> Result<(), End> {
        self.counters.retries.fetch_add(1, Relaxed);
        let (exporter, why) = (&self.target.name, text::clean(why, 512));
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
        let delay = jittered(self.pace.delay(self.failures, remedy));
        self.failures = self.failures.saturating_add(1);
        self.wait(delay).await
    }

    async fn wait(&mut self, delay: Duration) -> Result<(), End> {
        self.stop.run_until_cancelled(sleep(delay)).await.ok_or(End::Stopped)
    }

    fn advance(&mut self, position: Position) {
        if position.offset >= self.position.offset {
            self.position = position;
            self.counters.offset.store(position.offset, Relaxed);
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
}

fn decode(epoch: Uuid, ledger::Item { position, body, .. }: ledger::Item) -> Item {
    let before = position.offset - 1;
    match body {
        Body::Diagnosis(body) => match Diagnosis::decode(&*body) {
            Ok(diagnosis) => Item::diagnosis(position, diagnosis),
            Err(_) => Item::gap(epoch, before, position, corrupt_gap(position)),
        },
        Body::Gap(body) => {
            let gap = Gap::decode(&*body).unwrap_or_else(|_| corrupt_gap(position));
            Item::gap(epoch, before, position, gap)
        }
    }
}

/// Up to a fifth more or less, so that many exporters do not come back in step.
fn jittered(delay: Duration) -> Duration {
    // Each RandomState has keys of its own, drawn by the standard library.
    let drawn = RandomState::new().build_hasher().finish() % 401;
    delay.mul_f64(0.8 + f64::from(u16::try_from(drawn).unwrap_or(200)) / 1000.0)
}
