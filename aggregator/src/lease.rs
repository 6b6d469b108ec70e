//! Who of several aggregators does what only one should: an entry in a bucket that its holder renews.
//!
//! Each change names the revision that it follows, so of two who both believe to hold a lease one is refused, and then
//! knows. What the holder has to remember for the next one lies in the entry itself.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::kv::{Operation, Store, UpdateErrorKind};
use futures::StreamExt;
use tokio::{
    sync::Mutex,
    time::{Instant, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

/// A lease that was not renewed for so long is free.
const TERM: Duration = Duration::from_secs(15);
/// The holder renews it so often, and gives it up itself when that has failed for twice as long.
const RENEWAL: Duration = Duration::from_secs(5);
/// Time between two tries to ask what cannot be asked.
const RETRY: Duration = Duration::from_secs(1);

/// A lease could not be used to remember something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Another holds it now.
    #[error("another aggregator has taken over")]
    Lost,
    /// The bucket cannot be written now.
    #[error("the bucket cannot be written")]
    Unavailable(#[source] async_nats::jetstream::kv::UpdateError),
}

/// Something that one aggregator does at a time.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    bucket: Arc<Store>,
    key: String,
    held: Arc<Mutex<Held>>,
    lost: CancellationToken,
}

#[derive(Debug)]
struct Held {
    holder: Uuid,
    revision: u64,
    renewed: Instant,
    memory: String,
}

/// An entry: its holder, empty after an orderly end, and its state.
fn entry(holder: Uuid, memory: &str) -> String {
    format!("{holder} {memory}")
}

fn read(entry: &[u8]) -> (Uuid, String) {
    let text = String::from_utf8_lossy(entry);
    let (holder, memory) = text.split_once(' ').unwrap_or_default();
    (holder.parse().unwrap_or_default(), memory.to_owned())
}

/// The time during which this aggregator holds a lease.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The record in the API server that names the holder.
    pub lease: Lease,
    /// Cancelled when another holds it, and when the program stops: the work has to end.
    pub over: CancellationToken,
    renewing: AbortOnDropHandle<()>,
}

/// Waits for this aggregator's turn; `None` if stopped.
pub(crate) async fn turn(bucket: &Store, name: &str, stop: &CancellationToken) -> Option<Turn> {
    let lease = stop.run_until_cancelled(Lease::take(bucket, name)).await?;
    tracing::info!(lease = name, "This aggregator's turn");
    let over = stop.child_token();
    let renewing = tokio::spawn({
        let (lease, over, name) = (lease.clone(), over.clone(), name.to_owned());
        async move {
            lease.renew().await;
            tracing::warn!(lease = name, "Another aggregator's turn");
            over.cancel();
        }
    });
    Some(Turn { lease, over, renewing: AbortOnDropHandle::new(renewing) })
}

impl Turn {
    /// Releases the lease, so that another aggregator takes over at once.
    pub(crate) async fn end(self) {
        drop(self.renewing);
        self.lease.release().await;
    }
}

impl Lease {
    /// Waits until the lease is free, and takes it.
    async fn take(bucket: &Store, name: &str) -> Self {
        let key = format!("lease.{name}");
        let holder = Uuid::now_v7();
        loop {
            match try_take(bucket, &key, holder).await {
                Ok(Some((revision, memory))) => {
                    let held = Held { holder, revision, renewed: Instant::now(), memory };
                    let held = Arc::new(Mutex::new(held));
                    return Self { bucket: Arc::new(bucket.clone()), key, held, lost: CancellationToken::new() };
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(lease = name, error, "Cannot ask for a lease: trying again");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Renews it for as long as it can be.
    async fn renew(&self) {
        let mut due = interval(RENEWAL);
        loop {
            tokio::select! {
                _ = due.tick() => {}
                () = self.lost.cancelled() => return,
            }
            let mut held = self.held.lock().await;
            match self.write(&mut held).await {
                Ok(()) => {}
                Err(Error::Unavailable(_)) if held.renewed.elapsed() < 2 * RENEWAL => {}
                Err(_) => {
                    self.lost.cancel();
                    return;
                }
            }
        }
    }

    /// What the last holder stored in the lease.
    pub(crate) async fn memory(&self) -> String {
        self.held.lock().await.memory.clone()
    }

    /// Remembers this for the next holder.
    ///
    /// # Errors
    /// If the lease is lost, or the bucket cannot be written now.
    pub(crate) async fn remember(&self, memory: String) -> Result<(), Error> {
        let mut held = self.held.lock().await;
        held.memory = memory;
        self.write(&mut held).await
    }

    /// Lets another have it at once.
    async fn release(&self) {
        let mut held = self.held.lock().await;
        held.holder = Uuid::nil();
        // If it fails, the lease ends by its term.
        let _released = self.write(&mut held).await;
    }

    async fn write(&self, held: &mut Held) -> Result<(), Error> {
        if self.lost.is_cancelled() {
            return Err(Error::Lost);
        }
        let text = entry(held.holder, &held.memory);
        match self.bucket.update(&self.key, text.into(), held.revision).await {
            Ok(revision) => {
                (held.revision, held.renewed) = (revision, Instant::now());
                Ok(())
            }
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {
                self.lost.cancel();
                Err(Error::Lost)
            }
            Err(error) => Err(Error::Unavailable(error)),
        }
    }
}

/// One try: gives the entry's revision and memory once it is ours; `None` if it was not to be had.
async fn try_take(bucket: &Store, key: &str, holder: Uuid) -> Result<Option<(u64, String)>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let found = bucket.entry(key).await.map_err(|error| text(&error))?;
    let Some(found) = found.filter(|found| found.operation == Operation::Put) else {
        let created = bucket.create(key, entry(holder, "").into()).await;
        return Ok(created.ok().map(|revision| (revision, String::new())));
    };
    let (now_held_by, memory) = read(&found.value);
    if !now_held_by.is_nil() {
        // Whether the holder renews it is seen by its revision, not by a clock.
        let mut changes = bucket.watch_from_revision(key, found.revision + 1).await.map_err(|error| text(&error))?;
        if timeout(TERM, changes.next()).await.is_ok() {
            return Ok(None);
        }
    }
    match bucket.update(key, entry(holder, &memory).into(), found.revision).await {
        Ok(revision) => Ok(Some((revision, memory))),
        Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(None),
        Err(error) => Err(text(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_back_and_nonsense_is_nobodys() {
        let holder = Uuid::from_u128(7);
        assert_eq!(read(entry(holder, "a b").as_bytes()), (holder, "a b".into()));
        assert_eq!(read(b"\xff"), (Uuid::nil(), String::new()));
    }
}
