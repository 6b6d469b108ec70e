//! What the file of a ledger looks like, how a new one is made, and how anything else is refused untouched.
//!
//! Invariants:
//! - Offsets count up by one from what AUTOINCREMENT has given last and are never used again. An offset without a
//!   record is in `hole`, or it is a loss.
//! - A row of `record`, `inbox` and `stream` has a checksum over all of it that counts ([`row`](super::row)).
//! - `owner` is who reported a record: a node's agent, by its name, or the watch of the cluster. `holder` counts by it.
//! - `store_time` never falls as offsets rise.
//! - `latest` is 1 for exactly one record of each uid: the highest revision that is kept.
//! - `ledger.expired_offset` is the offset before the oldest record that is kept.
//! - What waits in `inbox` is younger than every record, and lies there in the order in which it came.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use coroner_runtime::whole_file::sync_directory;
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, config::DbConfig};
use uuid::Uuid;

use super::{Offset, error::Error, migration};
use crate::budget::Budget;

/// "CoLe": the application id in the header of a ledger's file.
const APPLICATION_ID: i32 = 0x436f_4c65;
/// The version of the schema below. The one before is [brought up](super::migration) to it; any other is refused.
pub(super) const VERSION: i32 = 4;
/// How long the check for damage may take at start. A ledger that is too large for it is checked in part.
const CHECK_TIME: Duration = Duration::from_secs(15);

/// Pages of the journal that are brought into the ledger at once. Most are written to again and again, as those of
/// indexes are: what is written often into the journal is written once into the ledger.
const CHECKPOINT_PAGES: i64 = 16_384;
/// What stays of the journal's file.
const JOURNAL_BYTES: i64 = 64 << 20;

/// Times are nanoseconds since 1970. Records that are no diagnosis (gaps) have no uid. The indexes are partial over
/// `latest`, so that a query never walks over earlier revisions; each ends with the order of listing.
const SCHEMA: &str = "
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch BLOB NOT NULL,
    expired_offset INTEGER NOT NULL,
    expired_time INTEGER NOT NULL
) STRICT;
CREATE TABLE stream (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    node TEXT NOT NULL,
    stream_id TEXT NOT NULL,
    acknowledged INTEGER NOT NULL,
    push_time INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    UNIQUE (node, stream_id)
) STRICT;
CREATE TABLE node (
    name TEXT PRIMARY KEY,
    push_time INTEGER NOT NULL,
    status BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY,
    receive_time INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    node TEXT NOT NULL,
    acknowledge INTEGER NOT NULL,
    records INTEGER NOT NULL,
    parcel BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE TABLE record (
    offset INTEGER PRIMARY KEY AUTOINCREMENT,
    store_time INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    uid BLOB,
    revision INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    event_time INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    node TEXT NOT NULL,
    container TEXT NOT NULL,
    workload TEXT NOT NULL,
    workload_above TEXT NOT NULL,
    cause INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    confidence INTEGER NOT NULL,
    fatal INTEGER NOT NULL,
    owner TEXT NOT NULL,
    body BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX record_by_uid ON record (uid, revision) WHERE uid IS NOT NULL;
CREATE UNIQUE INDEX gap_by_sequence ON record (stream, sequence) WHERE uid IS NULL;
CREATE INDEX latest_by_time ON record (event_time, uid) WHERE latest = 1;
CREATE INDEX latest_by_name ON record (name, event_time, uid) WHERE latest = 1;
CREATE INDEX latest_by_node ON record (node, event_time, uid) WHERE latest = 1;
CREATE INDEX latest_by_namespace ON record (namespace, event_time, uid) WHERE latest = 1;
CREATE INDEX latest_by_workload ON record (workload, event_time, uid) WHERE latest = 1 AND workload <> '';
CREATE INDEX latest_by_workload_above ON record (workload_above, event_time, uid)
    WHERE latest = 1 AND workload_above <> '';
CREATE INDEX latest_by_cause ON record (cause, event_time, uid) WHERE latest = 1;
";

/// The rest of it, which a ledger of the version before gets when it is migrated.
pub(super) const ADDED: &str = "
CREATE TABLE hole (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    owner TEXT
) STRICT;
CREATE TABLE holder (
    name TEXT PRIMARY KEY,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    taken INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX latest_by_severity ON record (severity, event_time, uid) WHERE latest = 1 AND severity > 1;
";

/// Opens the ledger for its one writer; makes it where there is none.
///
/// # Errors
/// [`Error::NotALedger`], [`Error::OtherVersion`] or [`Error::Damaged`] for a file that cannot be used, which then is
/// as it was before.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    ensure(path)?;
    let version = check_header(path)?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| unusable(path, e))?;
    // SQLite would be content with reading, and never write again even if the disk could be written.
    if connection.is_readonly(MAIN_DB).map_err(|e| unusable(path, e))? {
        return Err(Error::File { doing: "write", path: path.into(), source: ErrorKind::ReadOnlyFilesystem.into() });
    }
    // After a crash the journal holds what the file does not; a refusal leaves both as they are.
    let has_journal = journal_of(path).exists();
    let keep_journal = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(keep_journal, has_journal).map_err(|e| unusable(path, e))?;
    check_pages(path, &connection)?;
    connection.set_db_config(keep_journal, false).map_err(|e| unusable(path, e))?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(|e| unusable(path, e))?;
    connection.pragma_update(None, "synchronous", "full").map_err(|e| unusable(path, e))?;
    connection.pragma_update(None, "cache_size", -Budget::find().writer_cache_kib()).map_err(|e| unusable(path, e))?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(|e| unusable(path, e))?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES).map_err(|e| unusable(path, e))?;
    if version != VERSION {
        migration::run(&mut connection).map_err(|e| unusable(path, e))?;
    }
    epoch(&connection).map_err(|e| unusable(path, e))?;
    Ok(connection)
}

/// Opens the index of a log of this epoch for its one writer. What is lost of it in a crash is read again, so no commit
/// waits for the disk; and whatever else lies in its place gives way.
///
/// # Errors
/// If the file cannot be used.
pub(super) fn open_index(path: &Path, of: Uuid) -> Result<Connection, Error> {
    let usable = || -> Result<Option<Connection>, Error> {
        let connection = open(path)?;
        let found = epoch(&connection).map_err(|e| unusable(path, e))?;
        Ok((found == of).then_some(connection))
    };
    let connection = match usable() {
        Ok(Some(connection)) => connection,
        Ok(None) => replace_index(path, of)?,
        Err(error) if error.is_about_data() => replace_index(path, of)?,
        Err(error) => return Err(error),
    };
    connection.pragma_update(None, "synchronous", "normal").map_err(|e| unusable(path, e))?;
    Ok(connection)
}

fn replace_index(path: &Path, of: Uuid) -> Result<Connection, Error> {
    tracing::info!("{} is rebuilt from the log", path.display());
    let cleared = remove(path).and_then(|()| remove_journal(path));
    cleared.map_err(|source| Error::File { doing: "replace", path: path.into(), source })?;
    let connection = open(path)?;
    let adopted = connection.execute("UPDATE ledger SET epoch = ?", (of.into_bytes(),));
    adopted.map_err(|e| unusable(path, e))?;
    Ok(connection)
}

/// Creates a ledger if there is no file at this path.
pub(super) fn ensure(path: &Path) -> Result<(), Error> {
    if is_missing(path)? { create(path) } else { Ok(()) }
}

/// Opens the ledger for one reader.
pub(super) fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "cache_size", -Budget::find().reader_cache_kib())?;
    Ok(connection)
}

/// The epoch of this ledger.
pub(super) fn epoch(connection: &Connection) -> Result<Uuid, rusqlite::Error> {
    connection.query_row("SELECT epoch FROM ledger", (), |row| row.get(0)).map(Uuid::from_bytes)
}

/// The offset of the last record that was ever stored, 0 if there was none.
pub(super) fn last_offset(connection: &Connection) -> Result<Offset, rusqlite::Error> {
    let mut statement =
        connection.prepare_cached("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'record'), 0)")?;
    statement.query_row((), |row| row.get(0))
}

pub(super) fn connect(path: &Path, access: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // There may be no writable directory but the ledger's.
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(64);
    // Else a statement that is kept is prepared again for each new value that might change its plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// True where there is no file, or an empty one.
fn is_missing(path: &Path) -> Result<bool, Error> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file() && metadata.len() == 0),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
        Err(source) => Err(Error::File { doing: "look at", path: path.into(), source }),
    }
}

/// Makes a ledger beside its place and moves it there, so that a crash never leaves half of one.
fn create(path: &Path) -> Result<(), Error> {
    let file_error = |doing| move |source| Error::File { doing, path: path.to_path_buf(), source };
    fs::create_dir_all(directory_of(path)).map_err(file_error("create the directory of"))?;
    let draft = with_suffix(path, ".new");
    // SQLite would take the journal of a ledger that is gone for the new one's.
    remove_journal(path).map_err(file_error("clear the way for"))?;
    make(&draft).map_err(file_error("create"))?;
    write_schema(&draft).map_err(|source| Error::Sqlite { doing: "create the ledger", source })?;
    put(&draft, path).map_err(file_error("create"))
}

/// Makes an empty file for a draft of a ledger. SQLite gives its files beside it the same mode.
pub(super) fn make(draft: &Path) -> io::Result<()> {
    remove_draft(draft)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft).map(drop)
}

/// Puts a draft that is closed and on disk into its place.
pub(super) fn put(draft: &Path, path: &Path) -> io::Result<()> {
    File::open(draft)?.sync_all()?;
    fs::rename(draft, path)?;
    sync_directory(path)
}

/// Moves a ledger and its journal, which together make it up, to a free name that contains the reason.
pub(super) fn set_aside(ledger: &Path, why: &str) -> io::Result<PathBuf> {
    let aside = with_suffix(ledger, &format!(".{why}-{}", Timestamp::now().as_microsecond()));
    // The journal first, and by a second name: until the ledger itself is moved, both are where they were.
    match fs::hard_link(journal_of(ledger), journal_of(&aside)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::rename(ledger, &aside)?;
    Ok(aside)
}

/// The file with what has not been brought into the ledger's own yet.
pub(super) fn journal_of(path: &Path) -> PathBuf {
    with_suffix(path, "-wal")
}

/// Removes a draft of a ledger, with all that SQLite may have left beside it.
pub(super) fn remove_draft(draft: &Path) -> io::Result<()> {
    remove(draft)?;
    remove(&with_suffix(draft, "-journal"))?;
    remove_journal(draft)
}

/// Removes the journal, and its index, of a ledger that is not there any more.
pub(super) fn remove_journal(path: &Path) -> io::Result<()> {
    remove(&journal_of(path))?;
    remove(&with_suffix(path, "-shm"))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Written without WAL: the header in the file itself must identify it.
pub(super) fn write_schema(path: &Path) -> Result<(), rusqlite::Error> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "synchronous", "full")?;
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute_batch(ADDED)?;
    let epoch = Uuid::now_v7().into_bytes();
    transaction.execute("INSERT INTO ledger VALUES (1, ?, 0, 0)", (epoch,))?;
    transaction.commit()
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Reads the version from the header without SQLite, which may write to what it opens. See
/// <https://sqlite.org/fileformat.html> 1.3.
pub(super) fn check_header(path: &Path) -> Result<i32, Error> {
    let mut header = [0; 100];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    let be = |at: usize| i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    match read {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Err(Error::NotALedger { path: path.into() }),
        Err(source) => return Err(Error::File { doing: "read", path: path.into(), source }),
        Ok(()) => {}
    }
    if !header.starts_with(b"SQLite format 3\0") || be(68) != APPLICATION_ID {
        return Err(Error::NotALedger { path: path.into() });
    }
    match be(60) {
        found @ (migration::FROM | VERSION) => Ok(found),
        found => Err(Error::OtherVersion { path: path.into(), found, expected: VERSION }),
    }
}

/// Looks for damage, for a bounded time.
fn check_pages(path: &Path, connection: &Connection) -> Result<(), Error> {
    let started = Instant::now();
    let interrupt = connection.get_interrupt_handle();
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if waiting.recv_timeout(CHECK_TIME) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let answer = connection.query_row("PRAGMA quick_check(1)", (), |row| row.get::<_, String>(0));
    drop(done);
    watchdog.join().expect("the watchdog only waits");
    match answer {
        Ok(text) if text == "ok" => Ok(()),
        Ok(text) => Err(Error::Damaged { path: path.into(), detail: text.lines().collect::<Vec<_>>().join("; ") }),
        Err(e) if e.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            tracing::info!(elapsed = ?started.elapsed(), "Ledger is too large to be checked for damage as a whole");
            Ok(())
        }
        Err(e) => Err(unusable(path, e)),
    }
}

pub(super) fn unusable(path: &Path, source: rusqlite::Error) -> Error {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => Error::Damaged { path: path.into(), detail: source.to_string() },
        Some(ErrorCode::NotADatabase) => Error::NotALedger { path: path.into() },
        _ => Error::Sqlite { doing: "open the ledger", source },
    }
}
