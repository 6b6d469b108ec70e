//! The one owner of the outbox: a thread, since it waits for the disk. What arrives while it waits goes into the next
//! transaction together, so that a storm costs few of them and a lone record none of its time.

use coroner_proto::v1::Gap;
use coroner_runtime::tasks::{Group, NoThread, on_thread};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::{Batch, Limit, Outbox, Record, Sizes};

/// Requests that may wait. With records of at most 16 KiB that is 4 MiB, usually 0.5 MiB.
const WAITING: usize = 256;
/// Records of one transaction.
const TOGETHER: usize = 512;

/// The error that the outbox' thread has ended.
#[derive(Clone, Copy, Debug, Error)]
#[error("the outbox' thread has ended")]
pub struct Closed;

enum Request {
    Append(Vec<Record>),
    Batch(Limit, oneshot::Sender<Batch>),
    Next(Limit, oneshot::Sender<Batch>),
    Synchronize { stream_id: String, acknowledged: u64 },
    Acknowledge { stream_id: String, sequence: u64 },
    Replace { stream_id: String, sequence: u64, gap: Gap },
    Flush(oneshot::Sender<()>),
    Sizes(oneshot::Sender<Sizes>),
}

/// The way to the outbox' owner. When the last one is dropped, the file is closed.
#[derive(Clone, Debug)]
pub struct Keeper {
    requests: mpsc::Sender<Request>,
}

/// Starts the owner as a task of this group. It ends when the last [`Keeper`] is dropped.
pub fn start(outbox: Outbox, group: &Group) -> Keeper {
    let (requests, waiting) = mpsc::channel(WAITING);
    group.fatal("outbox", |stop| async move {
        on_thread("outbox", move || keep(outbox, waiting)).await?;
        // The last keeper is gone, which may be before the group is asked to stop.
        stop.cancelled().await;
        Ok::<_, NoThread>(())
    });
    Keeper { requests }
}

fn keep(mut outbox: Outbox, mut waiting: mpsc::Receiver<Request>) {
    // Who waits for the next append.
    let mut next_append: Option<(Limit, oneshot::Sender<Batch>)> = None;
    while let Some(request) = waiting.blocking_recv() {
        let mut next = Some(request);
        while let Some(request) = next.take() {
            match request {
                Request::Append(mut records) => {
                    while records.len() < TOGETHER {
                        match waiting.try_recv() {
                            Ok(Request::Append(more)) => records.extend(more),
                            other => {
                                next = other.ok();
                                break;
                            }
                        }
                    }
                    outbox.append(records);
                    if let Some((limit, reply)) = next_append.take() {
                        let _gone = reply.send(outbox.batch(limit));
                    }
                }
                Request::Batch(limit, reply) => {
                    let _gone = reply.send(outbox.batch(limit));
                }
                Request::Next(limit, reply) => {
                    let batch = outbox.batch(limit);
                    if batch.records.is_empty() {
                        next_append = Some((limit, reply));
                    } else {
                        let _gone = reply.send(batch);
                    }
                }
                Request::Synchronize { stream_id, acknowledged } => outbox.synchronize(&stream_id, acknowledged),
                Request::Acknowledge { stream_id, sequence } => outbox.acknowledge(&stream_id, sequence),
                Request::Replace { stream_id, sequence, gap } => outbox.replace(&stream_id, sequence, gap),
                Request::Sizes(reply) => {
                    let _gone = reply.send(outbox.sizes());
                }
                // What came before this in the queue has been dealt with.
                Request::Flush(reply) => {
                    let _gone = reply.send(());
                }
            }
        }
    }
    outbox.flush();
}

impl Keeper {
    /// Hands records over. Waits while too many requests wait already, not for the disk; see [`Self::flush`].
    ///
    /// # Errors
    /// If the owner has ended.
    pub async fn append(&self, records: Vec<Record>) -> Result<(), Closed> {
        self.send(Request::Append(records)).await
    }

    /// See [`Outbox::batch`].
    ///
    /// # Errors
    /// If the owner has ended.
    pub async fn batch(&self, limit: Limit) -> Result<Batch, Closed> {
        self.ask(|reply| Request::Batch(limit, reply)).await
    }

    /// The same, but waits until there are records. For one caller: a later call takes the place of an earlier one.
    ///
    /// # Errors
    /// If the owner has ended.
    pub async fn next_batch(&self, limit: Limit) -> Result<Batch, Closed> {
        self.ask(|reply| Request::Next(limit, reply)).await
    }

    /// See [`Outbox::synchronize`].
    ///
    /// # Errors
    /// If the owner has ended.
    pub async fn synchronize(&self, stream_id: String, acknowledged: u64) -> Result<(), Closed> {
        self.send(Request::Synchronize { stream_id, acknowledged }).await
    }

    /// See [`Outbox::acknowledge`].
    ///
    /// # Errors
    /// If the owner has ended.
    pub async fn acknowledge(&self, stream_id: String, sequence: u64) -> Result<(), Closed> {
        self.send(Request::Acknowledge { stream_id, sequence }).await
    }

    /// See [`Outbox::replace`].
    ///
    /// # Errors
    /// If the owner has ended.
    pub async fn replace(&self, stream_id: String, sequence: u64, gap: Gap) -> Result<(), Closed> {
        self.send(Request::Replace { stream_id, sequence, gap }).await
    }

    /// Waits until all that was handed over is durable.
    ///
    /// # Errors
    /// If the owner has ended.
    pub async fn flush(&self) -> Result<(), Closed> {
        self.ask(Request::Flush).await
    }

    /// See [`Outbox::sizes`].
    ///
    /// # Errors
    /// If the owner has ended.
    pub async fn sizes(&self) -> Result<Sizes, Closed> {
        self.ask(Request::Sizes).await
    }

    async fn send(&self, request: Request) -> Result<(), Closed> {
        self.requests.send(request).await.map_err(|_| Closed)
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply)).await?;
        answer.await.map_err(|_| Closed)
    }
}
