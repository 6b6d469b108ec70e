//! What the one writer does to the ledger: receive, file, expire. Synchronous; [`writer`](super::writer) gives it a thread.

use std::path::Path;

use coroner_proto::v1::{Diagnosis, Gap, GapReason};
use prost::Message;
use rusqlite::{
    CachedStatement, Connection, OptionalExtension, Transaction, TransactionBehavior, named_params, params,
};
use uuid::Uuid;

use super::{
    Error, Offset, Retention,
    inbox::{self, Received, Waiting},
    schema,
};
use crate::filter::{Key, timestamp};

/// Lives of one node's outbox that are remembered. A node has one at a time.
const STREAMS_PER_NODE: i64 = 8;

/// What one push brings.
#[derive(Clone, Debug, Default)]
pub struct Push {
    /// The node that the agent speaks for.
    pub node: String,
    /// The life of its outbox.
    pub stream_id: String,
    /// The records that are fit to be stored.
    pub entries: Vec<Entry>,
    /// The highest sequence of the push, stored or rejected; 0 for a handshake.
    pub acknowledge: i64,
    /// What must have been acknowledged of the stream before, or nothing of this is stored.
    pub after: i64,
    /// The node's status, encoded, where it is due to be stored, and when it was heard, in nanoseconds since 1970.
    pub status: Option<(Vec<u8>, i64)>,
}

/// One message of a log that this ledger follows.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its place there, and so the offset of its record.
    pub offset: Offset,
    /// When it was stored there, in nanoseconds since 1970.
    pub time: i64,
    /// Holds one entry; `None` for what cannot be understood.
    pub push: Option<Push>,
}

/// One record.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its sequence in the agent's outbox.
    pub sequence: i64,
    /// What tells a diagnosis from all others; none for a gap.
    pub identity: Option<Identity>,
    /// The encoded `Diagnosis` or `Gap`.
    pub body: Vec<u8>,
}

/// What tells a diagnosis from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Of the diagnosis.
    pub uid: Uuid,
    /// Of that uid.
    pub revision: u32,
}

impl Entry {
    /// What a record that was stored at `now` is found by; `None` if the body is not what it is said to be.
    pub fn key(&self, now: i64) -> Option<Key> {
        Some(match self.identity {
            Some(_) => Key::of(&Diagnosis::decode(&*self.body).ok()?, now),
            None => Key::of_gap(&Gap::decode(&*self.body).ok()?, now),
        })
    }
}

/// The writer's side of the ledger.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// The time of the last record: `store_time` never falls, even if the clock does.
    last_time: i64,
    waiting: Waiting,
    /// Up to here the log is taken over, where this ledger follows one.
    followed: Offset,
    bytes_per_page: i64,
}

impl Store {
    /// Opens the ledger; makes it where there is none.
    ///
    /// # Errors
    /// If the file cannot be used, which then is as it was before.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::of(schema::open(path)?)
    }

    /// Opens the index of a log of this epoch; what cannot be used as such, or is of another one, is replaced by an empty one.
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
        let bytes_per_page = read("PRAGMA page_size")?;
        let expired = read("SELECT expired_offset FROM ledger")?;
        let last = schema::last_offset(&connection).map_err(Error::reading("open the ledger"))?;
        Ok(Self {
            connection,
            last_time: last_time.max(received),
            waiting,
            followed: last.max(expired),
            bytes_per_page,
        })
    }

    /// What tells this ledger from every other one.
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
        let oldest = "SELECT store_time FROM record ORDER BY offset LIMIT 1";
        let oldest: Option<i64> = self
            .connection
            .query_row(oldest, (), |row| row.get(0))
            .optional()
            .map_err(Error::reading("look at the oldest record"))?;
        Ok(oldest.map(|oldest| oldest.saturating_add(retention.age_nanoseconds())))
    }

    /// Stores pushes in one transaction, durable and to be read on return, behind what waited. Gives what is acknowledged to each, which
    /// is less than its `after` where nothing of it was stored for lack of what comes before. What is there already is not stored again.
    ///
    /// # Errors
    /// If SQLite fails; then nothing is stored.
    pub fn append(&mut self, pushes: Vec<Push>, now: i64) -> Result<Vec<i64>, Error> {
        if !self.waiting.is_empty() {
            self.file(i64::MAX, || false)?;
        }
        let now = now.max(self.last_time);
        let acknowledged = self.admit(pushes, now, |transaction, stream, push| {
            file(transaction, &Origin { stream, node: &push.node, time: now }, &push.entries, None)
        })?;
        self.last_time = now;
        Ok(acknowledged)
    }

    /// The same, but what is durable on return is to be read only when it is [filed](Self::file).
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

    /// What is durable, but not filed yet.
    pub fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// Files what has waited longest, push by push, in one transaction: all of it, or until these are so many records, or until it is
    /// told that this is enough.
    ///
    /// # Errors
    /// If SQLite fails; then nothing is filed.
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
                let text = "stored records could not be understood";
                tracing::error!(node, acknowledge, reason = text, "Records are told as lost");
                vec![gap(acknowledge, &node, time, GapReason::Corrupt, size.records, text).0]
            });
            file(&transaction, &Origin { stream, node: &node, time }, &entries, None)?;
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

    /// Takes over what the log holds next, in one transaction. What was taken over before is not again; what the log has removed before
    /// it could be is told as a gap.
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
                let text = "the log had removed records before this aggregator read them";
                insert_gap(&transaction, offset - 1, time, GapReason::Retention, missing, text)?;
            }
            match push {
                Some(push) => {
                    if let (_, Some(stream)) = acknowledge(&transaction, push, time)? {
                        file(&transaction, &Origin { stream, node: &push.node, time }, &push.entries, Some(*offset))?;
                    }
                }
                None => {
                    let text = "a record of the log could not be understood";
                    insert_gap(&transaction, *offset, time, GapReason::Corrupt, 1, text)?;
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
        let count = |sql| {
            let answer =
                self.connection.prepare_cached(sql).and_then(|mut s| s.query_row((), |row| row.get::<_, i64>(0)));
            answer.map_err(Error::reading("measure the ledger"))
        };
        let pages = count("PRAGMA page_count")? - count("PRAGMA freelist_count")?;
        Ok(u64::try_from(pages * self.bytes_per_page).is_ok_and(|bytes| bytes > retention.bytes))
    }

    /// Removes at most `limit` of the oldest records: those that are too old, and any while the ledger is too large.
    /// True if there may be more to remove.
    ///
    /// # Errors
    /// If SQLite fails; then nothing is removed.
    pub fn expire(&mut self, retention: Retention, now: i64, limit: u32) -> Result<bool, Error> {
        let over = self.is_over(retention)?;
        let oldest = now.saturating_sub(retention.age_nanoseconds());
        let removed = self.try_expire(over, oldest, limit).map_err(Error::reading("expire records"))?;
        Ok(removed == limit as usize || (removed > 0 && self.is_over(retention)?))
    }

    fn try_expire(&mut self, over: bool, oldest: i64, limit: u32) -> Result<usize, rusqlite::Error> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("DELETE FROM stream WHERE heard_time < ?", (oldest,))?;
        transaction.execute("DELETE FROM node WHERE heard_time < ?", (oldest,))?;
        let last: Option<(Offset, i64)> = transaction
            .prepare_cached(
                "SELECT offset, store_time FROM (SELECT offset, store_time FROM record ORDER BY offset LIMIT :limit)
                 WHERE :over OR store_time < :oldest ORDER BY offset DESC LIMIT 1",
            )?
            .query_row(named_params! {":limit": limit, ":over": over, ":oldest": oldest}, |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((offset, time)) = last else {
            transaction.commit()?;
            return Ok(0);
        };
        let orphans: Vec<[u8; 16]> = transaction
            .prepare_cached("SELECT uid FROM record WHERE offset <= ? AND latest = 1")?
            .query_map((offset,), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let removed = transaction.prepare_cached("DELETE FROM record WHERE offset <= ?")?.execute((offset,))?;
        {
            // Revisions may have arrived out of order: an earlier one may be younger than the highest.
            let mut promote = transaction.prepare_cached(
                "UPDATE record SET latest = 1
                 WHERE offset = (SELECT offset FROM record WHERE uid = ? ORDER BY revision DESC LIMIT 1)",
            )?;
            for uid in orphans {
                promote.execute((uid,))?;
            }
        }
        transaction.execute("UPDATE ledger SET expired_offset = ?, expired_time = ?", (offset, time))?;
        transaction.commit()?;
        Ok(removed)
    }
}

/// Notes what a push says beside its records. Gives what is acknowledged, and under which stream to store the records; `None` if there is
/// nothing to store, or what comes before it is missing.
fn acknowledge(transaction: &Transaction<'_>, push: &Push, now: i64) -> Result<(i64, Option<i64>), rusqlite::Error> {
    if let Some((status, heard)) = &push.status {
        transaction
            .prepare_cached(
                "INSERT INTO node VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET heard_time = excluded.heard_time, status = excluded.status",
            )?
            .execute(params![push.node, heard, status])?;
    }
    let known: Option<(i64, i64)> = transaction
        .prepare_cached("SELECT id, acknowledged FROM stream WHERE node = ? AND stream_id = ?")?
        .query_row((&push.node, &push.stream_id), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let before = known.map_or(0, |(_, acknowledged)| acknowledged);
    // An agent that lives but finds nothing out is not to be forgotten: it would push again all that it still keeps.
    if let (Some((stream, _)), true) = (known, push.status.is_some()) {
        transaction.prepare_cached("UPDATE stream SET heard_time = ? WHERE id = ?")?.execute((now, stream))?;
    }
    if push.acknowledge == 0 && push.entries.is_empty() || before < push.after {
        return Ok((before, None));
    }
    let stream = match known {
        Some((stream, _)) => stream,
        None => insert_stream(transaction, push, now)?,
    };
    let acknowledged = before.max(push.acknowledge);
    transaction.prepare_cached("UPDATE stream SET acknowledged = ?, heard_time = ? WHERE id = ?")?.execute((
        acknowledged,
        now,
        stream,
    ))?;
    Ok((acknowledged, Some(stream)))
}

/// Where records come from, and when they came.
struct Origin<'a> {
    stream: i64,
    node: &'a str,
    /// Nanoseconds since 1970.
    time: i64,
}

/// Files records under all that they are found by; one at this offset, if one is given.
fn file(
    transaction: &Transaction<'_>,
    origin: &Origin<'_>,
    entries: &[Entry],
    offset: Option<Offset>,
) -> Result<(), rusqlite::Error> {
    let Origin { stream, node: from, time } = *origin;
    let mut highest = transaction
        .prepare_cached("SELECT offset, revision, node FROM record WHERE uid = ? ORDER BY revision DESC LIMIT 1")?;
    let mut known_revision = transaction.prepare_cached("SELECT 1 FROM record WHERE uid = ? AND revision = ?")?;
    let mut known_gap =
        transaction.prepare_cached("SELECT 1 FROM record WHERE uid IS NULL AND stream = ? AND sequence = ?")?;
    let mut demote = transaction.prepare_cached("UPDATE record SET latest = 0 WHERE offset = ?")?;
    let mut insert = transaction.prepare_cached(INSERT)?;
    for entry in entries {
        let highest: Option<(Offset, u32, String)> = match entry.identity {
            Some(Identity { uid, .. }) => {
                let row = highest.query_row((uid.into_bytes(),), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
                row.optional()?
            }
            None => None,
        };
        let fit = match (entry.key(time), &highest) {
            (None, _) => Err((GapReason::Corrupt, "a stored record could not be understood")),
            // A uid is its node's: nobody else can know the same facts, and who claims to would hide what that node told.
            (Some(key), Some((.., node))) if *node != key.node => {
                Err((GapReason::Rejected, "a diagnosis was refused: its uid is one of another node's"))
            }
            (Some(key), _) => Ok(key),
        };
        let instead;
        let (entry, key) = match fit {
            Ok(key) => (entry, key),
            Err((reason, text)) => {
                tracing::error!(from, sequence = entry.sequence, reason = text, "A record is told as lost");
                instead = gap(entry.sequence, from, time, reason, 1, text);
                (&instead.0, instead.1)
            }
        };
        // What is there already is looked for, not left to ON CONFLICT: that would use up an offset.
        let is_latest = match (entry.identity, highest) {
            (None, _) if known_gap.exists((stream, entry.sequence))? => continue,
            (None, _) => false,
            (Some(_), None) => true,
            (Some(Identity { revision, .. }), Some((offset, highest, _))) if revision > highest => {
                demote.execute((offset,))?;
                true
            }
            (Some(Identity { uid, revision }), _) if known_revision.exists((uid.into_bytes(), revision))? => continue,
            (Some(_), _) => false,
        };
        insert_entry(&mut insert, entry, &key, &Place { offset, stream, is_latest, time })?;
    }
    Ok(())
}

/// With NULL for the offset, the next one.
const INSERT: &str = "
    INSERT INTO record (offset, store_time, stream, sequence, uid, revision, latest, event_time, namespace, name, node,
        container, workload, workload_above, cause, kind, severity, confidence, fatal, body)
    VALUES (:offset, :store_time, :stream, :sequence, :uid, :revision, :latest, :event_time, :namespace, :name, :node,
        :container, :workload, :workload_above, :cause, :kind, :severity, :confidence, :fatal, :body)";

/// The gap in the place of `lost` records that this ledger cannot store.
fn gap(sequence: i64, node: &str, now: i64, reason: GapReason, lost: i64, text: &str) -> (Entry, Key) {
    let gap = Gap {
        node: node.into(),
        source: "ledger".into(),
        reason: reason.into(),
        start_time: Some(timestamp(now)),
        end_time: Some(timestamp(now)),
        lost_count: u64::try_from(lost).ok(),
        text: text.into(),
    };
    (Entry { sequence, identity: None, body: gap.encode_to_vec() }, Key::of_gap(&gap, now))
}

/// Stores a gap of the log itself, which is of no node and no outbox.
fn insert_gap(
    transaction: &Transaction<'_>,
    offset: Offset,
    time: i64,
    reason: GapReason,
    lost: i64,
    text: &str,
) -> Result<(), rusqlite::Error> {
    let (gap, key) = gap(offset, "", time, reason, lost, text);
    let place = Place { offset: Some(offset), stream: 0, is_latest: false, time };
    insert_entry(&mut transaction.prepare_cached(INSERT)?, &gap, &key, &place)
}

fn insert_stream(transaction: &Transaction<'_>, push: &Push, now: i64) -> Result<i64, rusqlite::Error> {
    transaction.execute(
        "INSERT INTO stream (node, stream_id, acknowledged, heard_time) VALUES (?, ?, 0, ?)",
        (&push.node, &push.stream_id, now),
    )?;
    let id = transaction.last_insert_rowid();
    transaction.execute(
        "DELETE FROM stream WHERE node = ?1
         AND id NOT IN (SELECT id FROM stream WHERE node = ?1 ORDER BY heard_time DESC, id DESC LIMIT ?2)",
        (&push.node, STREAMS_PER_NODE),
    )?;
    Ok(id)
}

/// Where a record goes.
struct Place {
    /// The next one if none is given.
    offset: Option<Offset>,
    stream: i64,
    is_latest: bool,
    /// Nanoseconds since 1970.
    time: i64,
}

fn insert_entry(
    insert: &mut CachedStatement<'_>,
    entry: &Entry,
    key: &Key,
    place: &Place,
) -> Result<(), rusqlite::Error> {
    let Key {
        event_time,
        namespace,
        name,
        node,
        container,
        workload,
        workload_above,
        cause,
        kind,
        severity,
        confidence,
        fatal,
    } = key;
    insert.execute(named_params! {
        ":offset": place.offset,
        ":store_time": place.time,
        ":stream": place.stream,
        ":sequence": entry.sequence,
        ":uid": entry.identity.map(|i| i.uid.into_bytes()),
        ":revision": entry.identity.map_or(0, |i| i.revision),
        ":latest": place.is_latest,
        ":event_time": event_time,
        ":namespace": namespace,
        ":name": name,
        ":node": node,
        ":container": container,
        ":workload": workload,
        ":workload_above": workload_above,
        ":cause": cause,
        ":kind": kind,
        ":severity": severity,
        ":confidence": confidence,
        ":fatal": fatal,
        ":body": entry.body,
    })?;
    Ok(())
}
