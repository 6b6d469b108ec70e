//! A ledger that several aggregators share: the log is a stream of JetStream, and the file of each is an index of it that follows.

use std::{path::Path, sync::Arc, time::Duration};

use futures::StreamExt;
use prost::Message;
use tokio::{
    select,
    sync::{mpsc, oneshot, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Error, Ledger, Logged, Offset, Push, Retention, Store, Writer,
    jetstream::{Extent, JetStream, Target, Word},
    schema,
    writer::Job,
};
use crate::{filter::timestamp, nodes::Nodes};
use coroner_proto::v1::NodeStatus;

/// Records that are taken over at once.
const CHUNK: usize = 1_000;
/// Time between two tries to read what cannot be read.
const RETRY: Duration = Duration::from_secs(1);
/// A push is answered when the aggregator's own index has it; this long it may lag.
const LAG: Duration = Duration::from_secs(5);
/// Progress of a long catching up is told so often.
const PROGRESS: Duration = Duration::from_secs(5);

/// What a shared ledger has beside its index.
#[derive(Debug)]
pub(super) struct Shared {
    stream: JetStream,
    followed: watch::Receiver<Offset>,
}

impl Shared {
    /// Stores a push in the log; on return the index has it too.
    pub(super) async fn append(&self, ledger: &Ledger, push: Push) -> Result<i64, Error> {
        let Push { node, stream_id, .. } = &push;
        let outbox = Push { node: node.clone(), stream_id: stream_id.clone(), ..Push::default() };
        let before = ledger.write(outbox.clone()).await?;
        if before < push.after {
            return Ok(before);
        }
        let last = self.stream.publish(&push).await?;
        if let Some((status, _)) = &push.status {
            self.stream.tell(&Word { node: node.clone(), status: Some(status.clone()), ..Word::default() }).await?;
        }
        if push.acknowledge <= before {
            return Ok(before);
        }
        // Only behind all of its records, so that none can be missing before what is acknowledged.
        let word =
            Word { acknowledged: push.acknowledge, node: node.clone(), stream_id: stream_id.clone(), status: None };
        self.stream.tell(&word).await?;
        let mut followed = self.followed.clone();
        let caught_up = timeout(LAG, followed.wait_for(|followed| *followed >= last)).await;
        caught_up.map_err(|_| Error::Unavailable)?.map_err(|_| Error::Unavailable)?;
        ledger.write(Push { acknowledge: push.acknowledge, ..outbox }).await
    }

    /// What the aggregators agree upon beside the ledger.
    pub(super) fn state(&self) -> &async_nats::jetstream::kv::Store {
        self.stream.state()
    }
}

/// Takes over into the index what the log holds.
#[derive(Debug)]
pub struct Follower {
    stream: JetStream,
    /// As the stream was when it was opened.
    extent: Extent,
    jobs: mpsc::Sender<Job>,
    followed: watch::Sender<Offset>,
    nodes: Arc<Nodes>,
    words_read: watch::Sender<bool>,
}

impl Ledger {
    /// Opens the index of a stream beside `path`, makes it where there is none, and starts its writer. It holds what is followed from
    /// then on: see [`Follower::run`] and [`Follower::caught_up`].
    ///
    /// # Errors
    /// If the stream cannot be reached, or the file cannot be used.
    pub async fn open_shared(
        path: &Path,
        retention: Retention,
        target: &Target,
        nodes: Arc<Nodes>,
    ) -> Result<(Self, Writer, Follower), Error> {
        let stream = JetStream::connect(target, retention).await?;
        let extent = stream.extent().await?;
        let path = schema::with_suffix(path, ".index");
        let index = path.clone();
        let known = tokio::task::spawn_blocking(move || what_it_knows(&index)).await.map_err(|_| Error::Unavailable)?;
        let epoch = stream.epoch(extent, known).await?;
        let opened = tokio::task::spawn_blocking(move || {
            schema::ensure(&path)?;
            let store = |path: &Path| Store::open_index(path, epoch);
            Self::start(&path, store, retention)
        });
        let (mut ledger, writer, at) = opened.await.map_err(|_| Error::Unavailable)??;
        let (followed, receiver) = watch::channel(at);
        ledger.shared = Some(Shared { stream: stream.clone(), followed: receiver });
        let jobs = ledger.jobs.clone();
        let follower = Follower { stream, extent, jobs, followed, nodes, words_read: watch::Sender::new(false) };
        tracing::info!("The ledger is {target}, of which {} of {} records are read", at, extent.last);
        Ok((ledger, writer, follower))
    }
}

/// The epoch and the last offset of an index that lies there.
fn what_it_knows(index: &Path) -> Option<(Uuid, Offset)> {
    let connection = schema::open_reader(index).ok()?;
    Some((schema::epoch(&connection).ok()?, schema::last_offset(&connection).ok()?))
}

impl Follower {
    /// Waits until the index holds what the stream held when it was opened. Tells how that goes.
    pub async fn caught_up(&self) {
        let last = self.extent.last;
        let mut followed = self.followed.subscribe();
        let mut words_read = self.words_read.subscribe();
        loop {
            let caught_up = async {
                // The channels live as long as this.
                let _all =
                    (followed.wait_for(|at| *at >= last).await.is_ok(), words_read.wait_for(|all| *all).await.is_ok());
            };
            if timeout(PROGRESS, caught_up).await.is_ok() {
                return;
            }
            tracing::info!("Reading the stream: {} of {last} records", *self.followed.borrow());
        }
    }

    /// Follows until told to stop.
    ///
    /// # Errors
    /// [`Error::StreamChanged`] if the stream is not any more what this aggregator has read: only a restart helps.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), Error> {
        select! {
            () = stop.cancelled() => Ok(()),
            () = self.hear() => Ok(()),
            result = self.follow() => result,
        }
    }

    async fn follow(&self) -> Result<(), Error> {
        let mut failing = false;
        loop {
            match self.follow_until_it_breaks().await {
                Err(Error::StreamChanged) => return Err(Error::StreamChanged),
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "The stream cannot be read: trying again");
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
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Follow { logged, reply }).await.map_err(|_| Error::Unavailable)?;
        let at = answer.await.map_err(|_| Error::Unavailable)?;
        self.followed.send_replace(at);
        Ok(())
    }

    /// Hears what other aggregators tell of nodes.
    async fn hear(&self) {
        loop {
            if let Err(error) = self.hear_until_it_breaks().await {
                tracing::debug!(%error, "What is told of nodes cannot be read: trying again");
            }
            sleep(RETRY).await;
        }
    }

    async fn hear_until_it_breaks(&self) -> Result<(), Error> {
        let (mut words, any) = self.stream.words().await?;
        if !any {
            self.words_read.send_replace(true);
        }
        while let Some(told) = words.next().await {
            let (word, heard, is_last) = told?;
            let Word { node, stream_id, acknowledged, status } = word;
            let mut push = Push { node, stream_id, acknowledge: acknowledged, ..Push::default() };
            if let Some(status) = status {
                let sources = NodeStatus::decode(status.as_slice()).unwrap_or_default().sources;
                let last_heard_time = Some(timestamp(heard));
                self.nodes.told(NodeStatus { node: push.node.clone(), sources, last_heard_time, ..Default::default() });
                push.status = Some((status, heard));
            } else {
                self.nodes.acknowledged(&push.node, acknowledged.unsigned_abs());
            }
            let (reply, answer) = oneshot::channel();
            self.jobs.send(Job::Append { push, reply }).await.map_err(|_| Error::Unavailable)?;
            answer.await.map_err(|_| Error::Unavailable)?;
            if is_last {
                self.words_read.send_replace(true);
            }
        }
        Err(Error::Unavailable)
    }
}
