//! What the aggregators know of nodes, in a bucket beside the stream: the last of each kind is kept.

use async_nats::jetstream::kv;
use futures::{StreamExt, stream::BoxStream};
use prost::Message;

use super::super::error::Error;
use super::{failed, nanoseconds};

/// What is known of a node: its status, or how far its outbox is acknowledged.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in super::super) struct NodeUpdate {
    #[prost(string, tag = "1")]
    pub(in super::super) node: String,
    /// The life of its outbox, and how far that is acknowledged; 0 in an update of its status.
    #[prost(string, tag = "2")]
    pub(in super::super) stream_id: String,
    #[prost(int64, tag = "3")]
    pub(in super::super) acknowledged: i64,
    /// Its `NodeStatus`, encoded, without times; nothing in an update of its outbox.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(in super::super) status: Option<Vec<u8>>,
}

/// An update as it was stored.
#[derive(Clone, Debug)]
pub(in super::super) struct StoredUpdate {
    pub(in super::super) update: NodeUpdate,
    /// When it was stored, in nanoseconds since 1970.
    pub(in super::super) time: i64,
    /// Whether all older ones have been read.
    pub(in super::super) is_last: bool,
}

/// Stores an update for all aggregators.
pub(super) async fn put(bucket: &kv::Store, update: &NodeUpdate) -> Result<(), Error> {
    let kind = if update.status.is_none() { "outbox" } else { "status" };
    let stored = bucket.put(format!("{kind}.{}", key(&update.node)), update.encode_to_vec().into()).await;
    stored.map(drop).map_err(failed("store what is known of a node"))
}

/// The last updates of each node, and then those to come.
pub(super) async fn updates(bucket: &kv::Store) -> Result<BoxStream<'static, Result<StoredUpdate, Error>>, Error> {
    let updates = bucket.watch_with_history(">").await.map_err(failed("read what is known of nodes"))?;
    let updates = updates.map(|entry| {
        let entry = entry.map_err(failed("read what is known of nodes"))?;
        let update = NodeUpdate::decode(entry.value.clone()).map_err(failed("understand what is known of a node"))?;
        Ok(StoredUpdate { update, time: nanoseconds(entry.created), is_last: entry.seen_current })
    });
    Ok(updates.boxed())
}

/// A part of a bucket's key, of any name.
fn key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => key.push(char::from(byte)),
            other => key.push_str(&format!("={other:02X}")),
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_makes_a_key_of_its_own() {
        assert_eq!(key("worker-1"), "worker-1");
        assert_eq!(key("a.b=c ü"), "a=2Eb=3Dc=20=C3=BC");
    }
}
