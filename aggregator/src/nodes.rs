//! What is known of each node's agent: when it last reported, and the health of its sources. Kept in memory, stored with the
//! pushes when it changes, so that a restart forgets no silent node.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coroner_proto::v1::{NodeStatus, SourceStatus};
use jiff::Timestamp;
use prost::Message;

use crate::time::{nanoseconds, timestamp};

/// Nodes that are remembered; twice the largest clusters that Kubernetes supports. About 2 KiB each.
const MAX_NODES: usize = 10_000;
/// How stale the stored time of an unchanged node may be.
const STORE_INTERVAL: i64 = 60_000_000_000;

/// There are more nodes than can be remembered.
#[derive(Debug, thiserror::Error)]
#[error("this aggregator remembers {MAX_NODES} nodes and knows as many")]
pub struct Full;

/// All nodes that have reported.
#[derive(Debug, Default)]
pub struct Nodes(Mutex<BTreeMap<String, Node>>);

#[derive(Debug, Default)]
struct Node {
    status: NodeStatus,
    /// When it was last stored, in nanoseconds since 1970.
    stored: i64,
}

impl Nodes {
    /// Notes that a node has reported, and its sources if it named them. Gives its status, encoded, when that should be stored.
    ///
    /// # Errors
    /// [`Full`] for a new node when there are too many.
    pub fn observe(&self, name: &str, now: Timestamp, sources: Vec<SourceStatus>) -> Result<Option<Vec<u8>>, Full> {
        let now = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
        let mut nodes = self.nodes();
        if !nodes.contains_key(name) && nodes.len() >= MAX_NODES {
            return Err(Full);
        }
        let node = nodes.entry(name.to_owned()).or_insert_with(|| Node {
            status: NodeStatus { node: name.to_owned(), ..Default::default() },
            stored: i64::MIN,
        });
        node.status.last_heard_time = Some(timestamp(now));
        let changed = !sources.is_empty() && node.status.sources != sources;
        if changed {
            node.status.sources = sources;
        }
        if changed || now.saturating_sub(node.stored) >= STORE_INTERVAL {
            node.stored = now;
            let stored = NodeStatus { sources: node.status.sources.clone(), ..Default::default() };
            return Ok(Some(stored.encode_to_vec()));
        }
        Ok(None)
    }

    /// Notes what is stored of a node, by this aggregator before it was restarted or by another one, unless this one knows better.
    pub fn restore(&self, status: NodeStatus) {
        let time = |status: &NodeStatus| status.last_heard_time.as_ref().and_then(nanoseconds);
        let mut nodes = self.nodes();
        if nodes.len() >= MAX_NODES && !nodes.contains_key(&status.node) {
            return;
        }
        let node = nodes.entry(status.node.clone()).or_default();
        if time(&node.status) < time(&status) {
            let acknowledged_sequence = node.status.acknowledged_sequence.max(status.acknowledged_sequence);
            node.stored = time(&status).unwrap_or_default();
            node.status = NodeStatus { acknowledged_sequence, ..status };
        }
    }

    /// Notes what is acknowledged to a node's agent.
    pub fn acknowledged(&self, name: &str, sequence: u64) {
        if let Some(node) = self.nodes().get_mut(name) {
            node.status.acknowledged_sequence = sequence;
        }
    }

    /// Forgets nodes that have not reported for so long before `now`, in nanoseconds since 1970.
    pub fn forget_silent(&self, now: i64, age: Duration) {
        let oldest = now.saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX));
        let is_recent = |status: &NodeStatus| status.last_heard_time.as_ref().and_then(nanoseconds) >= Some(oldest);
        self.nodes().retain(|_, node| is_recent(&node.status));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.nodes().len()
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<NodeStatus> {
        self.nodes().values().map(|node| node.status.clone()).collect()
    }

    /// One of them.
    pub fn of(&self, name: &str) -> Option<NodeStatus> {
        self.nodes().get(name).map(|node| node.status.clone())
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<String, Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn source(name: &str) -> Vec<SourceStatus> {
        vec![SourceStatus { source: name.into(), ..Default::default() }]
    }

    #[test]
    fn status_is_stored_when_new_when_changed_and_when_stale() {
        let nodes = Nodes::default();
        assert!(nodes.observe("n", at(100), source("cri")).unwrap().is_some());
        assert!(nodes.observe("n", at(101), source("cri")).unwrap().is_none());
        assert!(nodes.observe("n", at(102), source("kernel_log")).unwrap().is_some());
        assert!(nodes.observe("n", at(161), source("kernel_log")).unwrap().is_none());
        assert!(nodes.observe("n", at(162), source("kernel_log")).unwrap().is_some());
    }

    #[test]
    fn what_is_stored_already_is_not_stored_again_before_it_is_stale() {
        let nodes = Nodes::default();
        let last_heard_time = Some(timestamp(100_000_000_000));
        nodes.restore(NodeStatus { node: "n".into(), sources: source("cri"), last_heard_time, ..Default::default() });
        assert!(nodes.observe("n", at(101), source("cri")).unwrap().is_none());
        assert!(nodes.observe("n", at(160), source("cri")).unwrap().is_some());
    }

    #[test]
    fn push_that_names_no_sources_changes_none() {
        let nodes = Nodes::default();
        nodes.observe("n", at(100), source("cri")).unwrap();
        nodes.observe("n", at(101), vec![]).unwrap();
        assert_eq!(nodes.all()[0].sources, source("cri"));
    }

    #[test]
    fn nodes_are_bounded_and_known_ones_stay() {
        let nodes = Nodes::default();
        for n in 0..MAX_NODES {
            nodes.observe(&n.to_string(), at(100), vec![]).unwrap();
        }
        assert!(nodes.observe("one more", at(101), vec![]).is_err());
        assert!(nodes.observe("7", at(102), vec![]).is_ok());
        nodes.forget_silent(202_000_000_000, Duration::from_secs(100));
        assert_eq!(nodes.all().len(), 1);
    }
}
