//! How much one node may store: a share for each, so that none fills the ledger in seconds. A storm of kills makes
//! about 100 KiB a second; an outbox that was full for days is taken over in minutes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tonic::Status;

use crate::unavailable::busy;

/// Bytes of records that a node may store at once,
const BURST: u64 = 64 << 20;
/// and in a second from then on.
const RATE: u64 = 1 << 20;
/// Nodes that are remembered before those that have their whole burst again are forgotten.
const SWEEP: usize = 1024;

/// How much of its burst each node has used lately.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<BTreeMap<String, Spent>>);

/// What a node has used of its burst, at a time.
#[derive(Clone, Copy, Debug)]
struct Spent {
    bytes: u64,
    at: Instant,
}

impl Spent {
    fn now(self, now: Instant) -> Self {
        let regained = now.saturating_duration_since(self.at).as_millis().saturating_mul(u128::from(RATE)) / 1000;
        Self { bytes: self.bytes.saturating_sub(u64::try_from(regained).unwrap_or(u64::MAX)), at: now }
    }
}

impl Rates {
    /// Lets a node store so many bytes.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` with the time after which it may.
    pub(super) fn spend(&self, node: &str, bytes: u64, now: Instant) -> Result<(), Status> {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = nodes.get(node).map_or(0, |spent| spent.now(now).bytes);
        // A push that is larger than what is left is taken, and the next one waits.
        if spent > BURST {
            let wait = Duration::from_millis((spent - BURST).saturating_mul(1000) / RATE + 1);
            let text = format!("node {node} stores more than {} KiB a second", RATE >> 10);
            return Err(busy(text, wait.min(Duration::from_secs(30))));
        }
        if nodes.len() >= SWEEP && !nodes.contains_key(node) {
            nodes.retain(|_, spent| spent.now(now).bytes > 0);
        }
        nodes.insert(node.to_owned(), Spent { bytes: spent + bytes, at: now });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn a_node_has_a_burst_and_then_a_rate_and_takes_nothing_from_others() {
        let (rates, start) = (Rates::default(), Instant::now());
        for _ in 0..65 {
            rates.spend("n1", 1 << 20, start).unwrap();
        }
        let refusal = rates.spend("n1", 1, start).unwrap_err();
        assert_eq!(refusal.code(), Code::ResourceExhausted);
        let wait = refusal.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!(rates.spend("n2", 1 << 20, start).is_ok());
        assert!(rates.spend("n1", 1 << 20, start + wait).is_ok());
        assert!(rates.spend("n1", 1 << 20, start + wait).is_err());
        assert!(rates.spend("n1", 50 << 20, start + Duration::from_secs(60)).is_ok());
    }
}
