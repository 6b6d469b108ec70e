//! What the one writer does to the ledger: receive, index, expire. Synchronous; [`writer`](super::writer) gives it a
//! thread.

use std::path::Path;

use coroner_proto::v1::GapReason;
use coroner_runtime::error::chain;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use uuid::Uuid;

use super::{
    Offset,
    error::Error,
    holders,
    holes::{self, Hole},
    inbox::{self, Received, Waiting},
    outboxes::acknowledge,
    push::{Logged, Push},
    reader,
    records::{self, Origin, insert_gap},
    retention::{self, Retention},
    salvage::{Salvaged, salvage},
    schema,
};
use crate::gap;

/// The writer's side of the ledger.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// The time of the last record: `store_time` never falls, even if the clock does.
    last_time: i64,
    waiting: Waiting,
    /// Up to here the log is taken over, where this ledger follows one.
    followed: Offset,
    /// Of whom retention took last, and up to where.
    taken: Option<(String, Offset)>,
}

impl Store {
    /// Opens the ledger; makes it where there is none.
    ///
    /// # Errors
    /// If the file cannot be used, which then is as it was before.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = match schema::open(path) {
            Err(error @ Error::Damaged { .. }) => {
                tracing::error!(error = chain(&error), "The ledger is damaged: what can be read of it is taken over");
                let Salvaged { records, aside } = salvage(path)?;
                tracing::error!(records, aside = %aside.display(), "The damaged ledger has been set aside");
                schema::open(path)?
            }
            opened => opened?,
        };
        Self::of(connection)
    }

    /// Opens the index of a log of this epoch; what cannot be used as such, or is of another one, is replaced by an
    /// empty one.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn open_index(path: &Path, epoch: Uuid) -> Result<Self, Error> {
        Self::of(schema::open_index(path, epoch)?)
    }

    fn of(connection: Connection) -> Result<Self, Error> {
        let read = |sql| connection.query_row(sql, (), |row| row.get(0)).map_err(Error::reading("open the ledger"));
        let (waiting, received) = inbox::waiting(&connection).map_err(Error::reading("open the ledger"))?;
        let last_time: i64 = read(
            "SELECT max(expired_time, coalesce((SELECT store_time FROM record ORDER BY offset DESC LIMIT 1), 0)) FROM ledger",
        )?;
        let expired = read("SELECT expired_offset FROM ledger")?;
        let last = schema::last_offset(&connection).map_err(Error::reading("open the ledger"))?;
        Ok(Self { connection, last_time: last_time.max(received), waiting, followed: last.max(expired), taken: None })
    }

    /// The identity of this ledger.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn epoch(&self) -> Result<Uuid, Error> {
        schema::epoch(&self.connection).map_err(Error::reading("read the epoch"))
    }

    /// The offset of the last record that was ever stored, 0 if there was none.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn last_offset(&self) -> Result<Offset, Error> {
        schema::last_offset(&self.connection).map_err(Error::reading("read the last offset"))
    }

    /// When the oldest record becomes too old, in nanoseconds since 1970; none if there is none.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn due(&self, retention: Retention) -> Result<Option<i64>, Error> {
        retention::due(&self.connection, retention)
    }

    /// Stores pushes in one transaction, durable and to be read on return, behind what waited. Gives what is
    /// acknowledged to each, which is less than its `after` where nothing of it was stored for lack of what comes
    /// before. What is there already is not stored again.
    ///
    /// # Errors
    /// If SQLite fails; then nothing is stored.
    pub fn append(&mut self, pushes: Vec<Push>, now: i64) -> Result<Vec<i64>, Error> {
        if !self.waiting.is_empty() {
            self.file(i64::MAX, || false)?;
        }
        let now = now.max(self.last_time);
        let acknowledged = self.admit(pushes, now, |transaction, stream, push| {
            records::insert(transaction, &Origin { stream, node: &push.node, time: now }, &push.entries, None).map(drop)
        })?;
        self.last_time = now;
        Ok(acknowledged)
    }

    /// The same, but what is durable on return is to be read only when it is [indexed](Self::file).
    ///
    /// # Errors
    /// If SQLite fails; then nothing is stored.
    pub fn receive(&mut self, pushes: Vec<Push>, now: i64) -> Result<Vec<i64>, Error> {
        let now = now.max(self.last_time);
        let mut waiting = self.waiting;
        let acknowledged = self.admit(pushes, now, |transaction, stream, push| {
            if push.entries.is_empty() {
                return Ok(());
            }
            let more = inbox::put(transaction, stream, push, now)?;
            waiting.records += more.records;
            waiting.bytes += more.bytes;
            Ok(())
        })?;
        (self.waiting, self.last_time) = (waiting, now);
        Ok(acknowledged)
    }

    fn admit(
        &mut self,
        pushes: Vec<Push>,
        now: i64,
        mut store: impl FnMut(&Transaction<'_>, i64, Push) -> Result<(), rusqlite::Error>,
    ) -> Result<Vec<i64>, Error> {
        let admit = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut acknowledged = Vec::with_capacity(pushes.len());
            for push in pushes {
                let (now_acknowledged, stream) = acknowledge(&transaction, &push, now)?;
                if let Some(stream) = stream {
                    store(&transaction, stream, push)?;
                }
                acknowledged.push(now_acknowledged);
            }
            transaction.commit()?;
            Ok(acknowledged)
        };
        admit().map_err(Error::reading("store a push"))
    }

    /// Records that are durable and not indexed yet.
    pub fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// Indexes what has waited longest, push by push, in one transaction: all of it, or until these are so many
    /// records, or until the callback returns that this is enough.
    ///
    /// # Errors
    /// If SQLite fails; then nothing is indexed.
    pub fn file(&mut self, records: i64, enough: impl Fn() -> bool) -> Result<(), Error> {
        self.waiting = self.try_file(records, enough).map_err(Error::reading("file what was stored"))?;
        Ok(())
    }

    fn try_file(&mut self, records: i64, enough: impl Fn() -> bool) -> Result<Waiting, rusqlite::Error> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (mut waiting, mut filed) = (self.waiting, 0);
        while filed < records && !(filed > 0 && enough()) {
            let Some(received) = inbox::first(&transaction)? else {
                waiting = Waiting::default();
                break;
            };
            let Received { id, time, stream, node, acknowledge, size, entries } = received;
            let entries = entries.unwrap_or_else(|| {
                let reason = "stored records could not be understood";
                tracing::error!(node, acknowledge, reason, "Records are reported as lost");
                vec![records::corrupt(acknowledge, &node, time, size.records)]
            });
            records::insert(&transaction, &Origin { stream, node: &node, time }, &entries, None)?;
            inbox::remove(&transaction, id)?;
            filed += size.records.max(1);
            waiting.records -= size.records;
            waiting.bytes -= size.bytes;
        }
        transaction.commit()?;
        Ok(waiting)
    }

    /// Up to which offset the log that this ledger follows is taken over.
    pub fn followed(&self) -> Offset {
        self.followed
    }

    /// Takes over what the log holds next, in one transaction. What was taken over before is not again; what the log
    /// has removed before it could be becomes a gap.
    ///
    /// # Errors
    /// If SQLite fails; then nothing is taken over.
    pub fn follow(&mut self, logged: &[Logged]) -> Result<(), Error> {
        let (followed, time) = self.try_follow(logged).map_err(Error::reading("take over the log"))?;
        (self.followed, self.last_time) = (followed, time);
        Ok(())
    }

    fn try_follow(&mut self, logged: &[Logged]) -> Result<(Offset, i64), rusqlite::Error> {
        let (mut followed, mut last_time) = (self.followed, self.last_time);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for Logged { offset, time, push } in logged {
            if *offset <= followed {
                continue;
            }
            let time = last_time.max(*time);
            let missing = offset - followed - 1;
            if missing > 0 && followed == 0 {
                transaction.execute("UPDATE ledger SET expired_offset = ?, expired_time = ?", (offset - 1, time))?;
            } else if missing > 0 {
                if missing > 1 {
                    holes::add(&transaction, &Hole { first: followed + 1, last: offset - 2, owner: None })?;
                }
                let lost = gap::in_ledger("", time, GapReason::Retention, missing.unsigned_abs());
                insert_gap(&transaction, offset - 1, time, &lost)?;
            }
            match push {
                Some(push) => {
                    let mut count = 0;
                    if let (_, Some(stream)) = acknowledge(&transaction, push, time)? {
                        let origin = Origin { stream, node: &push.node, time };
                        count = records::insert(&transaction, &origin, &push.entries, Some(*offset))?;
                    }
                    // It was there already.
                    if count == 0 {
                        holes::add(&transaction, &Hole { first: *offset, last: *offset, owner: None })?;
                    }
                }
                None => {
                    insert_gap(&transaction, *offset, time, &gap::of_corrupt_record(time))?;
                }
            }
            (followed, last_time) = (*offset, time);
        }
        transaction.commit()?;
        Ok((followed, last_time))
    }

    /// Whether the ledger holds more bytes than it may.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn is_over(&self, retention: Retention) -> Result<bool, Error> {
        let bytes = retention::used_bytes(&self.connection).map_err(Error::reading("measure the ledger"))?;
        Ok(bytes > retention.bytes)
    }

    /// Removes at most `limit` of the oldest records: those that are too old, and any while the ledger is too large.
    /// True if there may be more to remove.
    ///
    /// # Errors
    /// If SQLite fails; then nothing is removed.
    pub fn expire(&mut self, retention: Retention, now: i64, limit: u32) -> Result<bool, Error> {
        let over = self.is_over(retention)?;
        if over && self.take_share(limit)? {
            return Ok(true);
        }
        let oldest = now.saturating_sub(retention.age_nanoseconds());
        let removed = retention::remove_oldest(&mut self.connection, over, oldest, limit)
            .map_err(Error::reading("expire records"))?;
        Ok(removed == limit as usize || (removed > 0 && self.is_over(retention)?))
    }

    /// Removes at most `limit` of the oldest records of the node that holds by far the most, if there is one. False if
    /// nothing was done.
    fn take_share(&mut self, limit: u32) -> Result<bool, Error> {
        let failed = Error::reading("take records of the largest holder");
        let mut take = || {
            let Some(holder) = holders::greediest(&self.connection)? else { return Ok(false) };
            let after = match &self.taken {
                Some((of, reached)) if *of == holder => *reached,
                _ => {
                    tracing::warn!(
                        holder,
                        "The ledger is full, and most of it is one holder's: its oldest records are removed first"
                    );
                    reader::expired(&self.connection)?.offset
                }
            };
            let (removed, reached) = retention::remove_of(&mut self.connection, &holder, after, limit)?;
            // Where nothing of it is left to find, the oldest of all go.
            let is_at_end = removed == 0 && reached <= after;
            self.taken = (!is_at_end).then_some((holder, reached));
            Ok(!is_at_end)
        };
        take().map_err(failed)
    }
}
