//! A ledger that several aggregators share: the log is a stream of JetStream, and the file of each is an index of it
//! that follows.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use coroner_proto::v1::NodeStatus;
use coroner_runtime::error::chain;
use futures::StreamExt;
use prost::Message;
use tokio::{
    select,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Offset,
    error::Error,
    jetstream::{Extent, JetStream, NodeUpdate, StoredUpdate, Target},
    push::{Logged, Push},
    queue::Queue,
    retention::Retention,
    schema,
};
use crate::{nodes::Nodes, time::timestamp};

/// Records that are taken over at once.
const CHUNK: usize = 1_000;
/// Time between two tries to read what cannot be read.
const RETRY: Duration = Duration::from_secs(1);
/// A push is answered when the aggregator's own index has it; this long it may lag.
const LAG: Duration = Duration::from_secs(5);
/// Progress of a long catching up is logged so often.
const PROGRESS: Duration = Duration::from_secs(5);

/// What a shared ledger has beside its index.
#[derive(Debug)]
pub(super) struct Shared {
    stream: JetStream,
    followed: watch::Receiver<Offset>,
}

impl Shared {
    /// Stores a push in the log; on return the index has it too.
    pub(super) async fn append(&self, own: &Queue, push: Push) -> Result<i64, Error> {
        let Push { node, stream_id, .. } = &push;
        let outbox = Push { node: node.clone(), stream_id: stream_id.clone(), ..Push::default() };
        let before = own.append(outbox.clone()).await?;
        if before < push.after {
            return Ok(before);
        }
        let last = self.stream.publish(&push).await?;
        if let Some((status, _)) = &push.status {
            self.stream
                .put_update(&NodeUpdate { node: node.clone(), status: Some(status.clone()), ..NodeUpdate::default() })
                .await?;
        }
        if push.acknowledge <= before {
            return Ok(before);
        }
        // Only behind all of its records, so that none can be missing before what is acknowledged.
        let update = NodeUpdate {
            acknowledged: push.acknowledge,
            node: node.clone(),
            stream_id: stream_id.clone(),
            status: None,
        };
        self.stream.put_update(&update).await?;
        let mut followed = self.followed.clone();
        let caught_up = timeout(LAG, followed.wait_for(|followed| *followed >= last)).await;
        caught_up.map_err(|_| Error::Unavailable)?.map_err(|_| Error::Unavailable)?;
        own.append(Push { acknowledge: push.acknowledge, ..outbox }).await
    }

    /// The connection, for what the aggregators pass on to one another, and the stream's name.
    pub(super) fn bus(&self) -> (async_nats::Client, &str) {
        self.stream.bus()
    }

    /// What the aggregators agree upon beside the ledger.
    pub(super) fn state(&self) -> &async_nats::jetstream::kv::Store {
        self.stream.state()
    }
}

/// A stream that is ready to be followed, and where the index of it belongs.
pub(super) struct Opened {
    stream: JetStream,
    extent: Extent,
    pub(super) index: PathBuf,
    pub(super) epoch: Uuid,
}

impl Opened {
    /// Connects to the stream, of which an index lies beside `path`.
    pub(super) async fn connect(path: &Path, retention: Retention, target: &Target) -> Result<Self, Error> {
        let stream = JetStream::connect(target, retention).await?;
        let extent = stream.extent().await?;
        let index = schema::with_suffix(path, ".index");
        let of_task = index.clone();
        let known =
            tokio::task::spawn_blocking(move || what_it_knows(&of_task)).await.map_err(|_| Error::Unavailable)?;
        let epoch = stream.epoch(extent, known).await?;
        Ok(Self { stream, extent, index, epoch })
    }

    /// What the ledger stores through and what follows the stream into its index, which has it up to `at`.
    pub(super) fn follow(self, queue: Queue, at: Offset, nodes: Arc<Nodes>) -> (Shared, Follower) {
        let Self { stream, extent, .. } = self;
        tracing::info!("{at} of {} records of the stream are read", extent.last);
        let (followed, receiver) = watch::channel(at);
        let shared = Shared { stream: stream.clone(), followed: receiver };
        (shared, Follower { stream, extent, queue, followed, nodes, updates_read: watch::Sender::new(false) })
    }
}

/// Takes over into the index what the log holds.
#[derive(Debug)]
pub struct Follower {
    stream: JetStream,
    /// As the stream was when it was opened.
    extent: Extent,
    queue: Queue,
    followed: watch::Sender<Offset>,
    nodes: Arc<Nodes>,
    updates_read: watch::Sender<bool>,
}

/// The epoch and the last offset of an index that lies there.
fn what_it_knows(index: &Path) -> Option<(Uuid, Offset)> {
    let connection = schema::open_reader(index).ok()?;
    Some((schema::epoch(&connection).ok()?, schema::last_offset(&connection).ok()?))
}

impl Follower {
    /// Waits until the index holds what the stream held when it was opened. Logs how that goes.
    pub async fn caught_up(&self) {
        let last = self.extent.last;
        let mut followed = self.followed.subscribe();
        let mut updates_read = self.updates_read.subscribe();
        loop {
            let caught_up = async {
                // The channels live as long as this.
                let _all = (
                    followed.wait_for(|at| *at >= last).await.is_ok(),
                    updates_read.wait_for(|all| *all).await.is_ok(),
                );
            };
            if timeout(PROGRESS, caught_up).await.is_ok() {
                return;
            }
            tracing::info!("Reading the stream: {} of {last} records", *self.followed.borrow());
        }
    }

    /// Follows until stopped.
    ///
    /// # Errors
    /// [`Error::StreamChanged`] if the stream is not any more what this aggregator has read: only a restart helps.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), Error> {
        select! {
            () = stop.cancelled() => Ok(()),
            () = self.follow_nodes() => Ok(()),
            result = self.follow() => result,
        }
    }

    async fn follow(&self) -> Result<(), Error> {
        let mut failing = false;
        loop {
            match self.follow_until_it_breaks().await {
                Err(Error::StreamChanged) => return Err(Error::StreamChanged),
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    tracing::warn!(error = chain(&error), "The stream cannot be read: trying again");
                }
                Err(_) => {}
                Ok(()) => failing = false,
            }
            sleep(RETRY).await;
        }
    }

    /// One reading of the stream, from where the index is. Ends well when the connection has broken and come back.
    async fn follow_until_it_breaks(&self) -> Result<(), Error> {
        let at = *self.followed.borrow();
        let extent = self.stream.extent().await?;
        // Of a stream that has lost its end, the same offsets are given to other records.
        if extent.created != self.extent.created || extent.last < at {
            return Err(Error::StreamChanged);
        }
        let mut records = Box::pin(self.stream.records(at + 1).await?.ready_chunks(CHUNK));
        loop {
            let chunk = select! {
                chunk = records.next() => chunk,
                () = self.stream.reconnected() => return Ok(()),
            };
            let Some(chunk) = chunk else { return Err(Error::Unavailable) };
            let (mut logged, mut broken) = (Vec::with_capacity(chunk.len()), Ok(()));
            for record in chunk {
                match record {
                    Ok(record) => logged.push(record),
                    Err(error) => {
                        broken = Err(error);
                        break;
                    }
                }
            }
            if !logged.is_empty() {
                self.take_over(logged).await?;
            }
            broken?;
        }
    }

    async fn take_over(&self, logged: Vec<Logged>) -> Result<(), Error> {
        let at = self.queue.follow(logged).await?;
        self.followed.send_replace(at);
        Ok(())
    }

    /// Follows what the aggregators know of nodes.
    async fn follow_nodes(&self) {
        loop {
            if let Err(error) = self.follow_nodes_until_it_breaks().await {
                tracing::debug!(%error, "What is known of nodes cannot be read: trying again");
            }
            sleep(RETRY).await;
        }
    }

    async fn follow_nodes_until_it_breaks(&self) -> Result<(), Error> {
        let (mut updates, any) = self.stream.updates().await?;
        if !any {
            self.updates_read.send_replace(true);
        }
        while let Some(stored) = updates.next().await {
            let StoredUpdate { update, time, is_last } = stored?;
            let NodeUpdate { node, stream_id, acknowledged, status } = update;
            let mut push = Push { node, stream_id, acknowledge: acknowledged, ..Push::default() };
            if let Some(status) = status {
                let sources = NodeStatus::decode(status.as_slice()).unwrap_or_default().sources;
                let last_seen_time = Some(timestamp(time));
                self.nodes.restore(NodeStatus {
                    node: push.node.clone(),
                    sources,
                    last_seen_time,
                    ..Default::default()
                });
                push.status = Some((status, time));
            } else {
                self.nodes.acknowledged(&push.node, acknowledged.unsigned_abs());
            }
            self.queue.append_in_turn(push).await?;
            if is_last {
                self.updates_read.send_replace(true);
            }
        }
        Err(Error::Unavailable)
    }
}
