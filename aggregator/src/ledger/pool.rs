//! A bounded set of read-only connections, used on blocking threads, each call with a deadline.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, InterruptHandle};
use tokio::{sync::Semaphore, task};

use super::{error::Error, schema};

/// How long one look or query may take, the wait for a connection included.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Pool {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

/// Ends what a connection is doing when its result is not needed any more.
struct Interrupt(InterruptHandle);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

impl Pool {
    pub(super) fn new(path: &Path, size: usize) -> Self {
        Self { path: path.into(), permits: Arc::new(Semaphore::new(size)), idle: Mutex::default() }
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Error> {
        tokio::time::timeout(DEADLINE, self.run_unbounded(look)).await.unwrap_or(Err(Error::Deadline))
    }

    async fn run_unbounded<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Error::Unavailable)?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.open().await?,
        };
        // Dropped with this future, at the deadline or when the client goes: the connection then ends its work and is
        // closed. Interrupting one that has finished its work does nothing.
        let interrupt = Interrupt(connection.get_interrupt_handle());
        let work = task::spawn_blocking(move || {
            let result = look(&connection);
            (result, connection, permit)
        });
        let (result, connection, permit) = work.await.map_err(|_| Error::Unavailable)?;
        drop(interrupt);
        if !self.permits.is_closed() {
            self.idle().push(connection);
        }
        drop(permit);
        result.map_err(|source| match source.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Error::Deadline,
            _ => Error::Sqlite { doing: "read the ledger", source },
        })
    }

    /// Closes the connections that are not in use, and permits no further use.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle().clear();
    }

    async fn open(&self) -> Result<Connection, Error> {
        let path = self.path.clone();
        let opened = task::spawn_blocking(move || schema::open_reader(&path)).await;
        opened.map_err(|_| Error::Unavailable)?.map_err(Error::reading("open the ledger for reading"))
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
