//! The ledger: everything the agents have told, in the order in which it became durable, in one SQLite file, or in a stream that
//! several aggregators [share](shared), of which the file is an index then.
//!
//! One thread writes, and answers only after the commit is on disk. Readers have connections and positions of their own and
//! learn only the last committed offset, so a slow reader harms nobody and costs one batch of memory.

mod backup;
mod calendar;
mod flood;
mod inbox;
mod jetstream;
mod pool;
mod query;
mod reader;
mod schema;
mod shared;
mod store;
mod writer;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode};
use tokio::{
    runtime,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::jetstream::Target as StreamTarget;
pub use self::{
    backup::{backup, restore},
    inbox::Waiting,
    query::{Extent, ListPosition, Page, Query, extent, list, namespaces, nodes, revisions},
    reader::{Body, Chunk, Item, Limits, Lost, Position, expired, last, read, seek},
    shared::Follower,
    store::{Entry, Identity, Logged, Push, Store},
};
use self::{pool::Pool, shared::Shared, writer::Job};

/// The number of a record: 1, 2, 3 … in the order in which they became durable. 0 is before all of them.
pub type Offset = i64;

/// Connections for streams, and as many for queries: a slow query never stands in the way of a stream.
const READERS: usize = 4;
/// Pushes that may wait for the writer. Intake lets no more be under way at once.
const PUSHES: usize = crate::gate::MAX_PUSHES;

/// How much is kept: what is older, or too much, goes, the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// By the time at which a record was stored.
    pub age: Duration,
    /// Bytes of the ledger's file that are in use.
    pub bytes: u64,
}

impl Retention {
    fn age_nanoseconds(&self) -> i64 {
        i64::try_from(self.age.as_nanos()).unwrap_or(i64::MAX)
    }
}

/// What can go wrong with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something else lies where the ledger should.
    #[error("{} is not a ledger of coroner-aggregator; nothing in it was changed", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// A ledger, but not of this program's version.
    #[error(
        "{} is a ledger of version {found}, and this coroner-aggregator reads version {expected} only; nothing in it was changed",
        path.display()
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// This program's.
        expected: i32,
    },
    /// A ledger that cannot be relied upon.
    #[error("ledger {} is damaged ({detail}); move it away to start with an empty one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// Another process writes to it.
    #[error("ledger {} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A copy would replace something.
    #[error("{} exists already; --force replaces it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A copy would replace what it is a copy of.
    #[error("{} is the ledger itself and its backup at once; give another file", path.display())]
    SameFile {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be made or read.
    #[error("cannot {doing} ledger {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// SQLite failed.
    #[error("cannot {doing}")]
    Sqlite {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// JetStream failed.
    #[error("cannot {doing}")]
    JetStream {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The stream has lost records, or is another one.
    #[error("the stream is not the one that was read so far; the aggregator has to start anew with it")]
    StreamChanged,
    /// A query took longer than it may.
    #[error("the query took too long")]
    Deadline,
    /// The writer is gone, or could not store it.
    #[error("the ledger cannot store anything at present")]
    Unavailable,
}

impl Error {
    fn reading(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Sqlite { doing, source }
    }

    /// Whether the stored data itself cannot be used, so that no restart helps.
    pub fn is_about_data(&self) -> bool {
        match self {
            Self::NotALedger { .. } | Self::OtherVersion { .. } | Self::Damaged { .. } => true,
            Self::Sqlite { source, .. } => {
                matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
            }
            Self::InUse { .. }
            | Self::Exists { .. }
            | Self::SameFile { .. }
            | Self::File { .. }
            | Self::JetStream { .. }
            | Self::StreamChanged
            | Self::Deadline
            | Self::Unavailable => false,
        }
    }
}

/// The ledger as the services see it.
#[derive(Debug)]
pub struct Ledger {
    epoch: Uuid,
    committed: watch::Receiver<Offset>,
    streams: Pool,
    queries: Pool,
    jobs: mpsc::Sender<Job>,
    shared: Option<Shared>,
}

/// The thread of the ledger's one writer.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<Result<(), Error>>,
    ended: CancellationToken,
}

impl Writer {
    /// Waits until it has ended: when the ledger is closed, or by itself if the stored data is damaged.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// What it ended with. Blocks until it has.
    ///
    /// # Errors
    /// If the stored data is damaged.
    pub fn join(self) -> Result<(), Error> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Ledger {
    /// Opens the ledger, makes it where there is none, and starts its writer, which ends when the ledger is closed or dropped,
    /// or when the stored data turns out to be damaged.
    ///
    /// # Errors
    /// If the file cannot be used, which then is as it was before.
    pub fn open(path: &Path, retention: Retention) -> Result<(Self, Writer), Error> {
        schema::ensure(path)?;
        let (ledger, writer, _) = Self::start(path, Store::open, retention)?;
        Ok((ledger, writer))
    }

    /// Opens the file, which is there, and starts its writer; gives also how far a log is taken over into it.
    fn start(
        path: &Path,
        open: impl FnOnce(&Path) -> Result<Store, Error>,
        retention: Retention,
    ) -> Result<(Self, Writer, Offset), Error> {
        let mut held = lock(path)?;
        let store = open(path)?;
        // An index that could not be used has been replaced.
        if !backup::is_same_file(&held, path) {
            held = lock(path)?;
        }
        let followed = store.followed();
        let (jobs, queue) = mpsc::channel(PUSHES);
        let (committed, receiver) = watch::channel(store.last_offset()?);
        let ledger = Self {
            epoch: store.epoch()?,
            committed: receiver,
            streams: Pool::new(path, READERS),
            queries: Pool::new(path, READERS),
            jobs,
            shared: None,
        };
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let failed = |source| Error::File { doing: "start the writer of", path: path.into(), source };
        let timer = runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let thread = thread::Builder::new().name("ledger".into()).spawn(move || {
            let _held = (held, guard);
            writer::run(store, queue, &committed, retention, &timer)
        });
        Ok((ledger, Writer { thread: thread.map_err(failed)?, ended }, followed))
    }

    /// What tells this ledger from every other one.
    pub fn epoch(&self) -> Uuid {
        self.epoch
    }

    /// The last committed offset, and every later one.
    pub fn committed(&self) -> watch::Receiver<Offset> {
        self.committed.clone()
    }

    /// Stores a push. On return it is durable; gives what is acknowledged.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it could not be stored now.
    pub async fn append(&self, push: Push) -> Result<i64, Error> {
        match &self.shared {
            None => self.write(push).await,
            Some(shared) => shared.append(self, push).await,
        }
    }

    /// What the aggregators that share this ledger agree upon beside it; none where it is this one's alone.
    pub fn state(&self) -> Option<&async_nats::jetstream::kv::Store> {
        self.shared.as_ref().map(Shared::state)
    }

    /// Whether a position behind the last record can be another aggregator's, which has seen more of the same ledger.
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Writes into this aggregator's own file.
    async fn write(&self, push: Push) -> Result<i64, Error> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.jobs.try_send(Job::Append { push, reply }).map_err(|_| Error::Unavailable)?;
        answer.await.map_err(|_| Error::Unavailable)
    }

    /// Has the writer file all that is acknowledged by now, if it can.
    pub async fn filed(&self) {
        let (reply, answer) = tokio::sync::oneshot::channel();
        if self.jobs.send(Job::File { reply }).await.is_ok() {
            let _not_now = answer.await;
        }
    }

    /// Has the writer look for what has become too old. Gives the time by which age is judged, in nanoseconds since 1970; none if the
    /// writer has other things to do, or has ended.
    pub async fn expire(&self) -> Option<i64> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        // A full queue has it look soon enough by itself.
        self.jobs.try_send(Job::Expire { reply }).ok()?;
        answer.await.ok()
    }

    /// Has the writer end behind what it was given. Who still holds the ledger can store nothing more.
    pub async fn close(&self) {
        // The writer closes the ledger behind all readers, so that SQLite takes its journal away.
        self.streams.close();
        self.queries.close();
        let _ended = self.jobs.send(Job::Close).await;
    }

    /// Runs one look of a stream on a connection of its own.
    ///
    /// # Errors
    /// If SQLite fails or takes too long.
    pub async fn stream<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.streams.run(look).await
    }

    /// Runs a query on a connection of its own.
    ///
    /// # Errors
    /// If SQLite fails or takes too long.
    pub async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.queries.run(query).await
    }
}

/// Keeps a second writer away. Held apart from SQLite's own locks, which are of another kind (fcntl).
fn lock(path: &Path) -> Result<File, Error> {
    let file = File::open(path).map_err(|source| Error::File { doing: "lock", path: path.into(), source })?;
    match file.try_lock() {
        // Who held the lock until just now may have put another file into its place.
        Ok(()) if !backup::is_same_file(&file, path) => Err(Error::InUse { path: path.into() }),
        Ok(()) => Ok(file),
        Err(fs_error) => Err(match fs_error {
            std::fs::TryLockError::WouldBlock => Error::InUse { path: path.into() },
            std::fs::TryLockError::Error(source) => Error::File { doing: "lock", path: path.into(), source },
        }),
    }
}
