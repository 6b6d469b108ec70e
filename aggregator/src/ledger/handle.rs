//! The ledger as the services see it.

use std::{path::Path, sync::Arc};

use rusqlite::Connection;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    Offset,
    error::Error,
    jetstream::Target,
    lock::lock,
    pool::Pool,
    push::Push,
    queue::Queue,
    retention::Retention,
    schema,
    shared::{Follower, Opened, Shared},
    store::Store,
    writer::Writer,
};
use crate::{file::is_at, nodes::Nodes};

/// Connections for streams, and as many for queries: a slow query never stands in the way of a stream.
const READERS: usize = 4;

/// The ledger as the services see it.
#[derive(Debug)]
pub struct Ledger {
    epoch: Uuid,
    committed: watch::Receiver<Offset>,
    streams: Pool,
    queries: Pool,
    queue: Queue,
    shared: Option<Shared>,
}

impl Ledger {
    /// Opens the ledger, makes it where there is none, and starts its writer, which ends when the ledger is closed or
    /// dropped, or when the stored data turns out to be damaged.
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
        if !is_at(&held, path) {
            held = lock(path)?;
        }
        let followed = store.followed();
        let (queue, jobs) = Queue::new();
        let (committed, receiver) = watch::channel(store.last_offset()?);
        let ledger = Self {
            epoch: store.epoch()?,
            committed: receiver,
            streams: Pool::new(path, READERS),
            queries: Pool::new(path, READERS),
            queue,
            shared: None,
        };
        let failed = |source| Error::File { doing: "start the writer of", path: path.into(), source };
        let writer = Writer::start(store, jobs, committed, retention, held).map_err(failed)?;
        Ok((ledger, writer, followed))
    }

    /// Opens the index of a stream beside `path`, makes it where there is none, and starts its writer. It holds what is
    /// followed from then on: see [`Follower::run`] and [`Follower::caught_up`].
    ///
    /// # Errors
    /// If the stream cannot be reached, or the file cannot be used.
    pub async fn open_shared(
        path: &Path,
        retention: Retention,
        target: &Target,
        nodes: Arc<Nodes>,
    ) -> Result<(Self, Writer, Follower), Error> {
        let opened = Opened::connect(path, retention, target).await?;
        let (index, epoch) = (opened.index.clone(), opened.epoch);
        let started = tokio::task::spawn_blocking(move || {
            schema::ensure(&index)?;
            Self::start(&index, |path| Store::open_index(path, epoch), retention)
        });
        let (mut ledger, writer, at) = started.await.map_err(|_| Error::Unavailable)??;
        let (shared, follower) = opened.follow(ledger.queue.clone(), at, nodes);
        ledger.shared = Some(shared);
        tracing::info!("The ledger is {target}");
        Ok((ledger, writer, follower))
    }

    /// The epoch: a random id that a restored or new ledger changes.
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
            None => self.queue.append(push).await,
            Some(shared) => shared.append(&self.queue, push).await,
        }
    }

    /// How the aggregators that share this ledger reach one another: a connection, and the name of the stream. None
    /// where it is this one's alone.
    pub fn bus(&self) -> Option<(async_nats::Client, &str)> {
        self.shared.as_ref().map(Shared::bus)
    }

    /// What the aggregators that share this ledger agree upon beside it; none where it is this one's alone.
    pub fn state(&self) -> Option<&async_nats::jetstream::kv::Store> {
        self.shared.as_ref().map(Shared::state)
    }

    /// Whether a position behind the last record can be another aggregator's, which has seen more of the same ledger.
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Has the writer index all that is acknowledged by now, if it can.
    pub async fn filed(&self) {
        self.queue.file().await;
    }

    /// Has the writer look for what has become too old. Gives the time by which age is judged, in nanoseconds since
    /// 1970; none if the writer has other things to do, or has ended.
    pub async fn expire(&self) -> Option<i64> {
        self.queue.expire().await
    }

    /// Has the writer end behind what it was given. Who still holds the ledger can store nothing more.
    pub async fn close(&self) {
        // The writer closes the ledger behind all readers, so that SQLite takes its journal away.
        self.streams.close();
        self.queries.close();
        self.queue.close().await;
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
