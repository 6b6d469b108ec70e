//! The diagnoses that the aggregator has not yet made durable: a bounded queue on disk.
//!
//! Invariants, held by `tests/outbox.rs` against a model and by killing a real process:
//! - After [`Outbox::append`] has returned, its records are on disk (fsync), unless the board shows `outbox: degraded`.
//! - A record leaves only when it is acknowledged, or when it is discarded for space: then a [`Gap`] with the number
//!   and the time range replaces it. Acknowledged records stay until their space is needed, so that an aggregator that
//!   has lost its ledger gets them again.
//! - Discarded are: acknowledged records, then the oldest of the least severity. Gaps of the outbox itself never are.
//! - Within a stream, sequences ascend and are never used twice. A file that cannot be continued is set aside, what can
//!   still be read of it is copied into a new stream, and a [`Gap`] reports it.
//! - One agent at a time: a lock on `FILE.lock`, which ends with the process.
//!
//! While the disk refuses (full, read-only, broken) records wait in a small [`memory`] queue, a stream of its own, and
//! move to the disk as soon as it takes them.

mod disk;
mod keeper;
mod memory;
mod record;
mod salvage;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use coroner_diagnosis::{
    continuation::Continuation,
    messages::{self, Message, health, stores},
    observation::Health,
};
use coroner_proto::v1::{Gap, OutboxRecord};
use coroner_runtime::error::chain;
use thiserror::Error;
use tracing::{error, warn};

use self::{
    disk::{Disk, DiskError},
    memory::Memory,
    record::Loss,
};
pub use self::{
    keeper::{Closed, Keeper, start},
    record::{Rank, Record},
};
use crate::status::{Board, OUTBOX};

/// How long a disk that has refused is left alone.
const RETRY: Duration = Duration::from_secs(2);

/// Records in ascending order of sequence, ready to be pushed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The stream that they are of. Also set if there are none.
    pub stream_id: String,
    /// The records that are not acknowledged yet, the oldest first.
    pub records: Vec<OutboxRecord>,
}

/// How much a batch may hold. One record is given even if it is larger.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The most records of a batch.
    pub records: usize,
    /// The most bytes of encoded records of a batch.
    pub bytes: usize,
}

/// How much an outbox holds at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The number of records that are not acknowledged, some of which may have been discarded.
    pub waiting: u64,
    /// Those of them that the disk does not have: they end with the process.
    pub in_memory: u64,
    /// Bytes of the file that are in use.
    pub bytes: u64,
}

/// Why an outbox cannot be used at all.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{}", messages::english(&in_use(_0)))]
    Locked(PathBuf),
    /// It is another program's database.
    #[error("{}", messages::english(&foreign(path, *application_id)))]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What SQLite stores of its program in the header.
        application_id: i32,
    },
    /// A later agent wrote it.
    #[error("{}", messages::english(&later(path, *found)))]
    Later {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
    },
}

fn in_use(path: &Path) -> Message {
    stores::outbox_in_use(path.display().to_string())
}

fn foreign(path: &Path, application_id: i32) -> Message {
    stores::outbox_is_foreign(path.display().to_string(), format!("{application_id:#x}"))
}

fn later(path: &Path, found: i32) -> Message {
    stores::outbox_is_later(path.display().to_string(), found, disk::VERSION)
}

impl OpenError {
    /// What to do about it.
    pub fn message(&self) -> Message {
        match self {
            Self::Later { path, found } => later(path, *found),
            Self::Locked(path) => in_use(path),
            Self::Foreign { path, application_id } => foreign(path, *application_id),
        }
    }
}

/// The queue. Every call may wait for the disk.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    max_bytes: u64,
    node: String,
    board: Board,
    lock: Option<File>,
    disk: Option<Disk>,
    memory: Memory,
    retry_at: Instant,
    /// The disk has refused last.
    refused: bool,
}

impl Outbox {
    /// Opens the outbox in this file, or creates it. A disk that cannot be written is no error: the board shows it.
    ///
    /// # Errors
    /// If the file is another's: a running agent's, or another program's.
    pub fn open(path: &Path, max_bytes: u64, node: &str, board: Board) -> Result<Self, OpenError> {
        let mut outbox = Self {
            path: path.to_owned(),
            max_bytes,
            node: node.to_owned(),
            board,
            lock: None,
            disk: None,
            memory: Memory::default(),
            retry_at: Instant::now(),
            refused: false,
        };
        outbox.attach()?;
        Ok(outbox)
    }

    /// What was reported before, as far as it is still stored: new reports continue it.
    pub fn continuation(&self) -> Continuation {
        let mut continuation = Continuation::default();
        if let Some(Err(error)) =
            self.disk.as_ref().map(|disk| disk.diagnoses(|diagnosis| continuation.remember(diagnosis)))
        {
            warn!(error = chain(&error), "Revisions may start over");
        }
        continuation
    }

    /// Appends in this order. When it returns, the records are durable or the board shows why not.
    pub fn append(&mut self, records: Vec<Record>) {
        if self.disk.is_some() && self.memory.is_empty() {
            let Err(error) = self.with_disk(|disk| disk.append(&records)) else { return self.recovered() };
            self.fell_out(&error);
        }
        self.memory.append(records);
        self.settle();
    }

    /// The oldest records that are not acknowledged. Those on disk come before those in memory.
    pub fn batch(&mut self, limit: Limit) -> Batch {
        self.settle();
        let on_disk = self.disk.as_ref().map(|disk| disk.stream_id().to_owned());
        if let Some(stream_id) = on_disk {
            match self.with_disk(|disk| Ok((disk.stream_id().to_owned(), disk.read(limit)?))) {
                Ok((stream_id, records)) if !records.is_empty() => {
                    if self.memory.is_empty() {
                        self.recovered();
                    }
                    return Batch { stream_id, records };
                }
                Ok((stream_id, records)) if self.memory.is_empty() => {
                    self.recovered();
                    return Batch { stream_id, records };
                }
                Ok(_) => {}
                Err(error) => {
                    self.fell_out(&error);
                    if self.memory.is_empty() {
                        return Batch { stream_id, records: Vec::new() };
                    }
                }
            }
        }
        self.memory.batch(limit, &self.node)
    }

    /// The aggregator states how far it has this stream, before anything was pushed to it on this connection. That may
    /// be less than it once had (its ledger is new: all that is kept is pushed again), and more than the outbox had
    /// itself when it was opened (its file was put back to an earlier state: what came since moves behind it).
    pub fn synchronize(&mut self, stream_id: &str, acknowledged: u64) {
        if self.memory.stream_id() == stream_id {
            self.memory.acknowledge(acknowledged);
        } else if let Err(error) = self.on_stream(stream_id, |disk| disk.synchronize(acknowledged)) {
            self.fell_out(&error);
        }
    }

    /// All records of this stream up to this sequence are durable elsewhere.
    pub fn acknowledge(&mut self, stream_id: &str, sequence: u64) {
        if self.memory.stream_id() == stream_id {
            self.memory.acknowledge(sequence);
        } else if let Err(error) = self.on_stream(stream_id, |disk| {
            disk.acknowledge(sequence);
            Ok(())
        }) {
            self.fell_out(&error);
        }
    }

    /// Puts a gap in the place of a record that the aggregator will never take.
    pub fn replace(&mut self, stream_id: &str, sequence: u64, gap: Gap) {
        let record = Record::loss(gap);
        if self.memory.stream_id() == stream_id {
            self.memory.replace(sequence, record);
        } else if let Err(error) = self.on_stream(stream_id, |disk| disk.replace(sequence, &record)) {
            self.fell_out(&error);
        }
    }

    /// How much it holds, in memory and on disk.
    pub fn sizes(&self) -> Sizes {
        let on_disk = self.disk.as_ref().and_then(|disk| disk.sizes().ok()).unwrap_or_default();
        let in_memory = self.memory.len();
        Sizes { waiting: on_disk.waiting + in_memory, in_memory, ..on_disk }
    }

    /// Writes down what would otherwise be written with the next append.
    pub fn flush(&mut self) {
        self.settle();
        if self.disk.is_some()
            && let Err(error) = self.with_disk(Disk::flush)
        {
            self.fell_out(&error);
        }
    }

    /// Acts on the disk if it still is that stream.
    fn on_stream(
        &mut self,
        stream_id: &str,
        mut act: impl FnMut(&mut Disk) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        if self.disk.is_none() {
            return Ok(());
        }
        // Asked again on each try: a damaged file may have been replaced by a new stream in between.
        self.with_disk(|disk| if disk.stream_id() == stream_id { act(disk) } else { Ok(()) })
    }

    /// Acts on the disk; a file that turns out to be damaged is replaced by a new one, and the act tried once more
    /// there.
    fn with_disk<T>(&mut self, mut act: impl FnMut(&mut Disk) -> Result<T, DiskError>) -> Result<T, DiskError> {
        let Some(disk) = &mut self.disk else { return Err(DiskError::NotOpen) };
        match act(disk) {
            Err(error) if error.is_damage() => {
                self.disk = None;
                let mut disk = salvage::replace_damaged(&self.path, self.max_bytes, &self.node, &error)?;
                let done = act(&mut disk);
                self.disk = Some(disk);
                done
            }
            done => done,
        }
    }

    /// The disk has done what was asked, and nothing waits for it.
    fn recovered(&mut self) {
        if std::mem::take(&mut self.refused) {
            self.board.set(OUTBOX, &Health::Ok);
        }
    }

    fn fell_out(&mut self, error: &DiskError) {
        self.refused = true;
        self.retry_at = Instant::now() + RETRY;
        self.show_memory_only(health::health_quoted(chain(error)));
    }

    fn show_memory_only(&self, why: Message) {
        self.board.set(OUTBOX, &Health::Degraded(health::health_memory_only(why).into()));
    }

    /// Brings the disk back and memory's records onto it, as far as that is possible and not only just refused.
    fn settle(&mut self) {
        if (self.disk.is_some() && self.memory.is_empty()) || Instant::now() < self.retry_at {
            return;
        }
        if self.disk.is_none() {
            if let Err(error) = self.attach() {
                self.retry_at = Instant::now() + RETRY;
                error!(%error, "The outbox cannot be used");
                self.show_memory_only(error.message());
            }
            return;
        }
        let records = self.memory.to_records(&self.node);
        match self.with_disk(|disk| disk.append(&records)) {
            Ok(()) => {
                self.memory.clear();
                self.board.set(OUTBOX, &Health::Ok);
            }
            Err(error) => self.fell_out(&error),
        }
    }

    /// Locks and opens the file, and moves onto it what waits in memory.
    fn attach(&mut self) -> Result<(), OpenError> {
        if self.lock.is_none() {
            match lock(&self.path) {
                Ok(file) => self.lock = Some(file),
                Err(TryLockError::WouldBlock) => return Err(OpenError::Locked(self.path.clone())),
                Err(TryLockError::Error(error)) => {
                    self.fell_out(&DiskError::File { path: self.path.clone(), error });
                    return Ok(());
                }
            }
        }
        let opened = match salvage::open(&self.path, self.max_bytes, &self.node) {
            Err(error) if error.is_damage() => salvage::replace_damaged(&self.path, self.max_bytes, &self.node, &error),
            opened => opened,
        };
        match opened {
            Ok(disk) => {
                self.disk = Some(disk);
                if self.memory.is_empty() {
                    self.board.set(OUTBOX, &Health::Ok);
                } else {
                    self.settle();
                }
            }
            Err(DiskError::Foreign { application_id }) => {
                return Err(OpenError::Foreign { path: self.path.clone(), application_id });
            }
            Err(DiskError::Later(found)) => return Err(OpenError::Later { path: self.path.clone(), found }),
            Err(error) => self.fell_out(&error),
        }
        Ok(())
    }
}

fn lock(path: &Path) -> Result<File, TryLockError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(TryLockError::Error)?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(name).map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}
