//! The outbox' file: an SQLite database in WAL mode that one process holds alone.
//!
//! One transaction for each append, synchronous=FULL: when it returns, the write-ahead log has reached the disk. How
//! far the aggregator has acknowledged is written along with the next append; it is a hint, because the aggregator
//! states it again at each connection.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use coroner_proto::v1::{Diagnosis, OutboxRecord, outbox_record};
use jiff::Timestamp;
use prost::Message;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params};
use thiserror::Error;
use uuid::Uuid;

use super::{Limit, Loss, Rank, Record, Sizes};

/// "Coro": identifies the file in its header.
const APPLICATION_ID: i32 = 0x436f_726f;
/// The layout below. Goes up when it changes.
pub(super) const VERSION: i32 = 2;
/// Records are ordered by rank and then by sequence, so that discarding the oldest of one rank empties whole pages.
/// Scattered among records of higher rank they would leave holes that nothing fills, and those would have to be
/// discarded although there is space.
const LAYOUT: &str = "
    CREATE TABLE stream (
        id TEXT NOT NULL,
        last_sequence INTEGER NOT NULL,
        acknowledged_sequence INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE record (
        key INTEGER PRIMARY KEY,
        sequence INTEGER NOT NULL,
        at INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX record_by_sequence ON record (sequence);
";
/// Records inserted between two looks at the size, so that one large append cannot stretch the file.
const CHUNK: usize = 32;
/// Above these bits of a key, which hold the sequence, stands the rank.
const RANK_SHIFT: u32 = 60;
/// No stream lives to see this sequence: an aggregator that claims to have it is not believed. Behind one that it may
/// claim there is as much space again.
const ABSURD_SEQUENCE: u64 = 1 << (RANK_SHIFT - 1);

/// Why an operation on the outbox' file failed.
#[derive(Debug, Error)]
pub(super) enum DiskError {
    #[error("the file is not open")]
    NotOpen,
    #[error("cannot use {path}")]
    File {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    #[error("cannot {doing}")]
    Sqlite {
        doing: &'static str,
        #[source]
        error: rusqlite::Error,
    },
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("it has version {0}, this agent uses version {VERSION}")]
    Version(i32),
    #[error("it has the later version {0}, this agent uses version {VERSION}")]
    Later(i32),
    #[error("it is another program's database")]
    Foreign { application_id: i32 },
}

impl DiskError {
    /// Whether the file is at fault, and a new one would help. Otherwise the disk is.
    pub(super) fn is_damage(&self) -> bool {
        use ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OutOfMemory,
            PermissionDenied, ReadOnly, SystemIoFailure,
        };
        match self {
            Self::Damaged(_) | Self::Version(_) => true,
            Self::Sqlite { error, .. } => !matches!(
                error.sqlite_error_code(),
                Some(
                    CannotOpen
                        | DatabaseBusy
                        | DatabaseLocked
                        | DiskFull
                        | FileLockingProtocolFailed
                        | OutOfMemory
                        | PermissionDenied
                        | ReadOnly
                        | SystemIoFailure
                )
            ),
            Self::NotOpen | Self::File { .. } | Self::Foreign { .. } | Self::Later(_) => false,
        }
    }
}

fn to(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> DiskError {
    move |error| DiskError::Sqlite { doing, error }
}

/// SQLite's integers are signed. No sequence and no size comes near the difference.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The key of a record: its rank in the highest bits, then its sequence.
pub(super) fn key(rank: Rank, sequence: u64) -> i64 {
    (rank as i64) << RANK_SHIFT | signed(sequence.min((1 << RANK_SHIFT) - 1))
}

/// The rank of a record that lies there.
pub(super) fn rank(key: i64) -> Rank {
    Rank::ALL.into_iter().find(|rank| *rank as i64 == key >> RANK_SHIFT).unwrap_or(Rank::Info)
}

#[derive(Debug)]
pub(super) struct Disk {
    connection: Connection,
    node: String,
    max_bytes: u64,
    stream_id: String,
    state: State,
    /// The last sequence when the file was opened, until the aggregator has stated how far it has the stream.
    unsynchronized_last: Option<u64>,
    /// The highest sequence that was given out to be pushed. What was given out is never changed.
    offered: u64,
}

/// What a transaction changes and must not be believed before it is committed.
#[derive(Clone, Copy, Debug)]
struct State {
    last: u64,
    acknowledged: u64,
    /// The record of the current loss, while it may still be extended.
    loss: Option<(u64, Loss)>,
}

impl Disk {
    pub(super) fn open(path: &Path, max_bytes: u64, node: &str) -> Result<Self, DiskError> {
        let connection = connect(path)?;
        if schema_is_empty(&connection)? {
            create(&connection).map_err(to("create the tables"))?;
        } else {
            check(&connection)?;
        }
        let (stream_id, last, acknowledged) = read_stream(&connection).map_err(to("read the stream's state"))?;
        Ok(Self {
            connection,
            node: node.to_owned(),
            max_bytes,
            stream_id,
            state: State { last, acknowledged, loss: None },
            unsynchronized_last: Some(last),
            offered: last,
        })
    }

    pub(super) fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// Appends all of these records in one transaction, or none.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<(), DiskError> {
        self.state = self.transaction("append", |change| {
            for chunk in records.chunks(CHUNK) {
                chunk.iter().try_for_each(|record| change.insert(record))?;
                change.discard()?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// What is not acknowledged yet, the oldest first.
    pub(super) fn read(&mut self, limit: Limit) -> Result<Vec<OutboxRecord>, DiskError> {
        let doing = "read records";
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT sequence, checksum, body FROM record WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
            )
            .map_err(to(doing))?;
        let count = i64::try_from(limit.records.max(1)).unwrap_or(i64::MAX);
        let mut rows = select.query(params![signed(self.state.acknowledged), count]).map_err(to(doing))?;
        let mut records = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next().map_err(to(doing))? {
            let sequence = unsigned(row.get(0).map_err(to(doing))?);
            let checksum: i64 = row.get(1).map_err(to(doing))?;
            let body = row.get_ref(2).and_then(|body| Ok(body.as_blob()?)).map_err(to(doing))?;
            bytes += body.len();
            if !records.is_empty() && bytes > limit.bytes {
                break;
            }
            if checksum != i64::from(crc32fast::hash(body)) {
                return Err(DiskError::Damaged(format!("record {sequence} does not match its checksum")));
            }
            let record = OutboxRecord::decode(body)
                .map_err(|error| DiskError::Damaged(format!("record {sequence} is no message: {error}")))?;
            records.push(OutboxRecord { sequence, ..record });
        }
        self.offered = self.offered.max(records.last().map_or(0, |last| last.sequence));
        Ok(records)
    }

    /// The diagnoses that are kept, acknowledged or not, the newest first, until `take` has enough.
    pub(super) fn diagnoses(&self, mut take: impl FnMut(&Diagnosis) -> bool) -> Result<(), DiskError> {
        let doing = "read what was reported before";
        let mut select =
            self.connection.prepare("SELECT body FROM record ORDER BY sequence DESC").map_err(to(doing))?;
        let mut rows = select.query([]).map_err(to(doing))?;
        while let Some(row) = rows.next().map_err(to(doing))? {
            let body = row.get_ref(0).and_then(|body| Ok(body.as_blob()?)).map_err(to(doing))?;
            // Damage is found, and reported, when the record is about to be pushed.
            if let Ok(OutboxRecord { record: Some(outbox_record::Record::Diagnosis(diagnosis)), .. }) =
                OutboxRecord::decode(body)
                && !take(&diagnosis)
            {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn acknowledge(&mut self, sequence: u64) {
        self.state.acknowledged = self.state.acknowledged.max(sequence.min(self.state.last));
    }

    pub(super) fn synchronize(&mut self, acknowledged: u64) -> Result<(), DiskError> {
        if acknowledged >= ABSURD_SEQUENCE {
            return Ok(());
        }
        if let Some(last_when_opened) = self.unsynchronized_last
            && acknowledged > last_when_opened
        {
            let shift = acknowledged - last_when_opened;
            self.state = self.transaction("renumber records", |change| change.renumber(last_when_opened, shift))?;
        }
        self.unsynchronized_last = None;
        self.state.acknowledged = acknowledged.min(self.state.last);
        self.offered = self.offered.max(acknowledged);
        Ok(())
    }

    pub(super) fn replace(&mut self, sequence: u64, record: &Record) -> Result<(), DiskError> {
        let doing = "replace a record";
        let sql = "UPDATE record SET key = ?2, at = ?3, checksum = ?4, body = ?5 WHERE sequence = ?1";
        let mut update = self.connection.prepare_cached(sql).map_err(to(doing))?;
        let checksum = crc32fast::hash(&record.body);
        let at = record.at.as_millisecond();
        let key = key(record.rank, sequence);
        update.execute(params![signed(sequence), key, at, checksum, record.body]).map_err(to(doing))?;
        Ok(())
    }

    pub(super) fn sizes(&self) -> rusqlite::Result<Sizes> {
        let waiting = self.state.last.saturating_sub(self.state.acknowledged);
        Ok(Sizes { waiting, in_memory: 0, bytes: used_bytes(&self.connection)? })
    }

    /// Writes down how far it is acknowledged, which would otherwise come with the next append.
    pub(super) fn flush(&mut self) -> Result<(), DiskError> {
        self.state = self.transaction("flush", |_| Ok(()))?;
        Ok(())
    }

    /// Runs a change in a transaction and gives the state that is committed.
    fn transaction(
        &mut self,
        doing: &'static str,
        change: impl FnOnce(&mut Change<'_>) -> rusqlite::Result<()>,
    ) -> Result<State, DiskError> {
        let run = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut pending = Change {
                transaction: &transaction,
                state: self.state,
                offered: self.offered,
                max_bytes: self.max_bytes,
                node: &self.node,
            };
            change(&mut pending)?;
            let state = pending.state;
            transaction
                .prepare_cached("UPDATE stream SET last_sequence = ?1, acknowledged_sequence = ?2")?
                .execute(params![signed(state.last), signed(state.acknowledged)])?;
            transaction.commit()?;
            Ok(state)
        };
        run().map_err(to(doing))
    }
}

/// A transaction under way.
struct Change<'a> {
    transaction: &'a Transaction<'a>,
    state: State,
    offered: u64,
    max_bytes: u64,
    node: &'a str,
}

impl Change<'_> {
    fn insert(&mut self, record: &Record) -> rusqlite::Result<()> {
        self.state.last += 1;
        self.transaction
            .prepare_cached("INSERT INTO record (key, sequence, at, checksum, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                key(record.rank, self.state.last),
                signed(self.state.last),
                record.at.as_millisecond(),
                crc32fast::hash(&record.body),
                record.body
            ])?;
        Ok(())
    }

    /// Makes the file small enough again: first acknowledged records go, then the oldest of the least rank.
    fn discard(&mut self) -> rusqlite::Result<()> {
        let mut lost: Option<Loss> = None;
        while used_bytes(self.transaction)? > self.max_bytes {
            let acknowledged = self
                .transaction
                .prepare_cached(
                    "DELETE FROM record WHERE sequence IN
                     (SELECT sequence FROM record WHERE sequence <= ?1 ORDER BY sequence LIMIT 16)",
                )?
                .execute([signed(self.state.acknowledged)])?;
            if acknowledged > 0 {
                continue;
            }
            let times = self
                .transaction
                .prepare_cached(
                    "DELETE FROM record WHERE key IN (SELECT key FROM record WHERE key < ?1 ORDER BY key LIMIT 4)
                     RETURNING at",
                )?
                .query_map([key(Rank::Loss, 0)], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<i64>>>()?;
            if times.is_empty() {
                break;
            }
            for at in times {
                lost = Some(Loss::add(lost, Timestamp::from_millisecond(at).unwrap_or_default()));
            }
        }
        if let Some(lost) = lost {
            self.record_loss(lost)?;
        }
        Ok(())
    }

    /// Puts a loss on record: with the one before, if that has not been given out yet.
    fn record_loss(&mut self, lost: Loss) -> rusqlite::Result<()> {
        let lost = match self.state.loss {
            Some((sequence, before)) if sequence > self.offered => {
                self.transaction
                    .prepare_cached("DELETE FROM record WHERE sequence = ?1")?
                    .execute([signed(sequence)])?;
                Loss::merge(before, lost)
            }
            _ => lost,
        };
        self.insert(&lost.into_record(self.node))?;
        self.state.loss = Some((self.state.last, lost));
        Ok(())
    }

    /// Moves what came after `first` up by `shift`.
    fn renumber(&mut self, first: u64, shift: u64) -> rusqlite::Result<()> {
        // By way of the negative numbers, since a unique key may not even pass through a double.
        self.transaction.execute(
            "UPDATE record SET key = -(key + ?2), sequence = -(sequence + ?2) WHERE sequence > ?1",
            params![signed(first), signed(shift)],
        )?;
        self.transaction.execute("UPDATE record SET key = -key, sequence = -sequence WHERE sequence < 0", [])?;
        self.state.last += shift;
        self.state.loss = self.state.loss.map(|(sequence, loss)| (sequence + shift, loss));
        Ok(())
    }
}

fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map(unsigned);
    Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
}

/// Opens the file and makes sure that it is ours or empty.
pub(super) fn connect(path: &Path) -> Result<Connection, DiskError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let unusable = |error| DiskError::File { path: path.to_owned(), error };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unusable(error)),
        _ => {}
    }
    let connection = Connection::open_with_flags(path, flags).map_err(to("open the file"))?;
    let set_up = || {
        connection.busy_timeout(Duration::ZERO)?;
        // Alone from the first access on, SQLite keeps the log's index on the heap instead of in a third file.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "cache_size", -256)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cell_size_check", "ON")?;
        connection.pragma_query_value(None, "application_id", |row| row.get(0))
    };
    let application_id: i32 = set_up().map_err(to("open the file"))?;
    if application_id != APPLICATION_ID && !schema_is_empty(&connection)? {
        return Err(DiskError::Foreign { application_id });
    }
    keep_to_owner(path).map_err(unusable)?;
    let use_log = || {
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 256)
    };
    use_log().map_err(to("open the write-ahead log"))?;
    Ok(connection)
}

/// What is in it names pods and quotes their logs. SQLite gives its log the mode that the file has when the log is
/// made.
fn keep_to_owner(path: &Path) -> io::Result<()> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    for file in [path, Path::new(&log)] {
        match fs::metadata(file) {
            Ok(known) if known.permissions().mode() & 0o077 != 0 => {
                fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn schema_is_empty(connection: &Connection) -> Result<bool, DiskError> {
    connection
        .query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
        .map_err(to("read the schema"))
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.execute_batch(LAYOUT)?;
    transaction.execute("INSERT INTO stream VALUES (?1, 0, 0)", [Uuid::now_v7().to_string()])?;
    transaction.commit()
}

pub(super) fn read_version(connection: &Connection) -> Result<(), DiskError> {
    let version =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(to("read the file's version"))?;
    match version {
        VERSION => Ok(()),
        earlier if earlier < VERSION => Err(DiskError::Version(earlier)),
        later => Err(DiskError::Later(later)),
    }
}

fn check(connection: &Connection) -> Result<(), DiskError> {
    read_version(connection)?;
    let verdict: String =
        connection.pragma_query_value(None, "quick_check", |row| row.get(0)).map_err(to("check the file"))?;
    if verdict == "ok" { Ok(()) } else { Err(DiskError::Damaged(verdict.replace('\n', " "))) }
}

pub(super) fn read_stream(connection: &Connection) -> rusqlite::Result<(String, u64, u64)> {
    connection.query_row("SELECT id, last_sequence, acknowledged_sequence FROM stream", [], |row| {
        Ok((row.get(0)?, unsigned(row.get(1)?), unsigned(row.get(2)?)))
    })
}
