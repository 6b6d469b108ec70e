//! The log of a ledger that several aggregators share: a stream of NATS JetStream.
//!
//! A record is one message, and its sequence in the stream is its offset in the ledger, its time there the time at
//! which it was stored: so all aggregators of a stream come to the same ledger, and a resume token of one is good at
//! every other. What is known of nodes lies beside, in a bucket: how far the outbox of each is acknowledged, which must
//! outlive the stream's retention, and its status.

mod nodes;
mod target;

use std::{
    io::{self, ErrorKind},
    sync::Arc,
    time::Duration,
};

use async_nats::{
    Event, HeaderMap,
    header::{HeaderName, NATS_MESSAGE_ID},
    jetstream::{
        self, Context, ErrorCode,
        consumer::{DeliverPolicy, pull},
        context::GetStreamErrorKind,
        kv, stream,
    },
};
use futures::{Stream, StreamExt, stream::BoxStream};
use tokio::sync::Notify;
use uuid::Uuid;

pub(super) use self::nodes::{NodeUpdate, StoredUpdate};
pub use self::target::Target;
use super::{
    Offset,
    error::Error,
    push::{Entry, Identity, Logged, Push},
    retention::Retention,
};
use crate::remote::nats;

/// For one answer of the server.
const DEADLINE: Duration = Duration::from_secs(5);
/// The stream remembers the ids of messages for so long, and stores none of them twice.
const DUPLICATES: Duration = Duration::from_secs(120);
/// Whose record it is, and which.
const NODE: HeaderName = HeaderName::from_static("coroner-node");
const STREAM: HeaderName = HeaderName::from_static("coroner-stream");
const SEQUENCE: HeaderName = HeaderName::from_static("coroner-sequence");
/// A gap has none.
const UID: HeaderName = HeaderName::from_static("coroner-uid");
const REVISION: HeaderName = HeaderName::from_static("coroner-revision");
/// The key of this stream's identity.
const EPOCH: &str = "epoch";

/// A connection to the stream and its buckets. It comes back by itself when it breaks.
#[derive(Clone, Debug)]
pub(super) struct JetStream {
    context: Context,
    name: String,
    subject: String,
    nodes: kv::Store,
    state: kv::Store,
    connected: Arc<Notify>,
}

/// What is known of a stream at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// When it was made, in nanoseconds since 1970.
    pub(super) created: i64,
    /// The last offset that the stream has given.
    pub(super) last: Offset,
}

impl JetStream {
    /// Connects; makes stream and buckets where there are none. Those that are there are taken as they are.
    pub(super) async fn connect(target: &Target, retention: Retention) -> Result<Self, Error> {
        let doing = "connect to JetStream";
        let connected = Arc::new(Notify::new());
        let notify = Arc::clone(&connected);
        let options = nats::options(&target.server).await.map_err(failed(doing))?;
        let options = options.request_timeout(Some(DEADLINE)).event_callback(move |event| {
            let notify = Arc::clone(&notify);
            async move {
                match event {
                    Event::Connected => notify.notify_one(),
                    Event::Disconnected => tracing::warn!("The connection to JetStream is lost"),
                    other => tracing::debug!(%other, "Connection to JetStream"),
                }
            }
        });
        let client = options.connect(target.server.host.authority()).await.map_err(failed(doing))?;
        let context = jetstream::context::ContextBuilder::new().timeout(DEADLINE).ack_timeout(DEADLINE).build(client);
        let max_bytes = i64::try_from(retention.bytes).unwrap_or(i64::MAX);
        let (name, replicas) = (target.name.clone(), target.replicas);
        let subject = format!("{name}.records");
        let config = stream::Config {
            name: name.clone(),
            subjects: vec![subject.clone()],
            max_age: retention.age,
            max_bytes,
            duplicate_window: DUPLICATES.min(retention.age),
            num_replicas: replicas,
            ..Default::default()
        };
        context.get_or_create_stream(config).await.map_err(failed("make the stream"))?;
        let bucket = async |what: &str, max_age: Duration| {
            let bucket = format!("{name}-{what}");
            // As the client would make it, which asks for more than servers before 2.10 answer.
            let config = stream::Config {
                name: format!("KV_{bucket}"),
                subjects: vec![format!("$KV.{bucket}.>")],
                max_messages_per_subject: 1,
                max_age,
                duplicate_window: if max_age.is_zero() { DUPLICATES } else { DUPLICATES.min(max_age) },
                discard: stream::DiscardPolicy::New,
                allow_rollup: true,
                deny_delete: true,
                allow_direct: true,
                num_replicas: replicas,
                ..Default::default()
            };
            let doing = "make a bucket";
            context.get_or_create_stream(config).await.map_err(failed(doing))?;
            context.get_key_value(&bucket).await.map_err(failed(doing))
        };
        let (nodes, state) = (bucket("nodes", retention.age).await?, bucket("state", Duration::ZERO).await?);
        Ok(Self { context, name, subject, nodes, state, connected })
    }

    /// The connection, and the name of the stream.
    pub(super) fn bus(&self) -> (async_nats::Client, &str) {
        (self.context.client(), &self.name)
    }

    /// What exporters and the cluster's watch agree upon.
    pub(super) fn state(&self) -> &kv::Store {
        &self.state
    }

    /// Waits until the connection is restored.
    pub(super) async fn reconnected(&self) {
        self.connected.notified().await;
    }

    pub(super) async fn extent(&self) -> Result<Extent, Error> {
        let doing = "ask for the state of the stream";
        let mut stream = match self.context.get_stream(&self.name).await {
            Err(error) => {
                let gone = matches!(error.kind(), GetStreamErrorKind::JetStream(answer) if answer.error_code() == ErrorCode::STREAM_NOT_FOUND);
                return Err(if gone { Error::StreamChanged } else { failed(doing)(error) });
            }
            Ok(stream) => stream,
        };
        let info = stream.info().await.map_err(failed(doing))?;
        Ok(Extent { created: nanoseconds(info.created), last: offset(info.state.last_sequence) })
    }

    /// The identity of this stream: it changes if the stream has lost what an index of it once had.
    pub(super) async fn epoch(&self, extent: Extent, index: Option<(Uuid, Offset)>) -> Result<Uuid, Error> {
        let doing = "agree upon the epoch of the stream";
        loop {
            let found = self.state.entry(EPOCH).await.map_err(failed(doing))?;
            let known = found.as_ref().and_then(|entry| {
                let (epoch, created) = std::str::from_utf8(&entry.value).ok()?.split_once(' ')?;
                Some((epoch.parse::<Uuid>().ok()?, created.parse::<i64>().ok()?))
            });
            if let Some((epoch, created)) = known
                && created == extent.created
                && !index.is_some_and(|(of, last)| of == epoch && last > extent.last)
            {
                return Ok(epoch);
            }
            let epoch = format!("{} {}", Uuid::now_v7(), extent.created);
            // Of several that find the same, one is first; the others take what it wrote.
            let _written = match found {
                None => self.state.create(EPOCH, epoch.into()).await.is_ok(),
                Some(entry) => self.state.update(EPOCH, epoch.into(), entry.revision).await.is_ok(),
            };
        }
    }

    /// Publishes the records of a push in their order. On return the stream has all of them; gives the offset of the
    /// last, 0 if there is none.
    pub(super) async fn publish(&self, push: &Push) -> Result<Offset, Error> {
        let doing = "store records in the stream";
        let mut acknowledgements = Vec::with_capacity(push.entries.len());
        for entry in &push.entries {
            let mut headers = HeaderMap::new();
            let sequence = entry.sequence.to_string();
            headers.insert(NATS_MESSAGE_ID, format!("{}/{}/{sequence}", push.node, push.stream_id));
            headers.insert(NODE, push.node.as_str());
            headers.insert(STREAM, push.stream_id.as_str());
            headers.insert(SEQUENCE, sequence);
            if let Some(Identity { uid, revision }) = entry.identity {
                headers.insert(UID, uid.to_string());
                headers.insert(REVISION, revision.to_string());
            }
            let body = entry.body.clone().into();
            let sent = self.context.publish_with_headers(self.subject.clone(), headers, body).await;
            acknowledgements.push(sent.map_err(failed(doing))?);
        }
        let mut last = 0;
        for acknowledgement in acknowledgements {
            last = last.max(offset(acknowledgement.await.map_err(failed(doing))?.sequence));
        }
        Ok(last)
    }

    /// The records from this offset on, and then those to come.
    pub(super) async fn records(
        &self,
        from: Offset,
    ) -> Result<impl Stream<Item = Result<Logged, Error>> + use<>, Error> {
        let doing = "read the stream";
        let stream = self.context.get_stream(&self.name).await.map_err(failed(doing))?;
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from.max(1).unsigned_abs() },
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(failed(doing))?;
        let messages = consumer.messages().await.map_err(failed(doing))?;
        Ok(messages.map(move |message| logged(&message.map_err(failed(doing))?)))
    }

    /// Stores an update of a node for all aggregators.
    pub(super) async fn put_update(&self, update: &NodeUpdate) -> Result<(), Error> {
        nodes::put(&self.nodes, update).await
    }

    /// The last updates of each node, and then those to come; whether there are any yet.
    pub(super) async fn updates(&self) -> Result<(BoxStream<'static, Result<StoredUpdate, Error>>, bool), Error> {
        let doing = "read what is known of nodes";
        let bucket = self.context.get_key_value(&self.nodes.name).await.map_err(failed(doing))?;
        let any = bucket.status().await.map_err(failed(doing))?.values() > 0;
        Ok((nodes::updates(&self.nodes).await?, any))
    }
}

fn logged(message: &jetstream::Message) -> Result<Logged, Error> {
    let malformed = || io::Error::new(ErrorKind::InvalidData, "it is none of an aggregator's");
    let info = message.info().map_err(|error| failed("understand a message of the stream")(error))?;
    let (offset, time) = (offset(info.stream_sequence), nanoseconds(info.published));
    let header = |name: &HeaderName| message.headers.as_ref()?.get(name.clone()).map(ToString::to_string);
    let read = || {
        let sequence = header(&SEQUENCE)?.parse().ok()?;
        let identity = match header(&UID) {
            None => None,
            Some(uid) => Some(Identity { uid: uid.parse().ok()?, revision: header(&REVISION)?.parse().ok()? }),
        };
        Some(Push {
            node: header(&NODE)?,
            stream_id: header(&STREAM)?,
            entries: vec![Entry { sequence, identity, body: message.payload.to_vec() }],
            ..Push::default()
        })
    };
    let push = read().ok_or_else(malformed).inspect_err(|error| {
        tracing::error!(offset, %error, "Cannot understand a message of the stream: it is reported as lost");
    });
    Ok(Logged { offset, time, push: push.ok() })
}

fn offset(sequence: u64) -> Offset {
    Offset::try_from(sequence).unwrap_or(Offset::MAX)
}

fn nanoseconds(time: async_nats::datetime::DateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}

fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(doing: &'static str) -> impl Fn(E) -> Error + Copy {
    move |source| Error::JetStream { doing, source: source.into() }
}
