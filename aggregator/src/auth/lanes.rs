//! The ways to the API server: it is asked by few at once, and known callers have a lane of their own, which made-up
//! tokens cannot fill.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::{Api, Client, api::PostParams};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::Semaphore, time::timeout};

/// Questions at once on one way.
const AT_ONCE: usize = 8;
/// Reviews of unknown tokens that may wait, in all and from one address. Behind a proxy all come from one.
const MAX_WAITING: usize = 64;
const MAX_WAITING_OF_ADDRESS: usize = 16;
/// For one answer, the wait for its turn included.
const DEADLINE: Duration = Duration::from_secs(5);

/// The error that the API server did not answer in time, or with an error.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the API server did not answer who this is or what it may read")]
pub(super) struct Unavailable;

/// The queue in which a review waits, by who causes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// A caller that was admitted before, by this token or on this connection.
    Known,
    /// Another caller, at this address; none for a socket in the file system.
    Unknown(Option<IpAddr>),
    /// A reader of whom it is asked what it may see.
    Access,
}

/// The API server, with a bounded queue for each kind of review.
pub(super) struct Server {
    client: Client,
    known: Semaphore,
    unknown: Semaphore,
    access: Semaphore,
    waiting: Arc<Waiting>,
}

impl Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(client: Client) -> Self {
        let lane = || Semaphore::new(AT_ONCE);
        Self { client, known: lane(), unknown: lane(), access: lane(), waiting: Arc::default() }
    }

    /// Sends a review to the API server and waits for its result.
    pub(super) async fn ask<K>(&self, lane: Lane, review: &K) -> Result<K, Unavailable>
    where
        K: kube::Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + Debug,
    {
        let (turns, _place) = match lane {
            Lane::Known => (&self.known, None),
            Lane::Access => (&self.access, None),
            Lane::Unknown(address) => {
                (&self.unknown, Some(Arc::clone(&self.waiting).enter(address).ok_or(Unavailable)?))
            }
        };
        let question = async {
            let _turn = turns.acquire().await;
            Api::<K>::all(self.client.clone()).create(&PostParams::default(), review).await
        };
        match timeout(DEADLINE, question).await {
            Ok(Ok(answer)) => Ok(answer),
            // The errors of kube contain nothing of what was sent.
            Ok(Err(error)) => {
                tracing::debug!(%error, kind = %K::kind(&()), "The API server refuses a review");
                Err(Unavailable)
            }
            Err(_elapsed) => Err(Unavailable),
        }
    }
}

/// Reviews of unknown tokens.
#[derive(Debug, Default)]
struct Waiting(Mutex<BTreeMap<Option<IpAddr>, usize>>);

/// A place among them.
#[derive(Debug)]
struct Place {
    waiting: Arc<Waiting>,
    address: Option<IpAddr>,
}

impl Waiting {
    fn enter(self: Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counts.values().sum();
        let of_address = counts.entry(address).or_default();
        if all >= MAX_WAITING || *of_address >= MAX_WAITING_OF_ADDRESS {
            if *of_address == 0 {
                counts.remove(&address);
            }
            return None;
        }
        *of_address += 1;
        drop(counts);
        Some(Place { waiting: self, address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_takes_all_places_of_those_who_are_not_known() {
        let waiting = Arc::new(Waiting::default());
        let enter = |n: u8| Arc::clone(&waiting).enter(Some([10, 0, 0, n].into()));
        let greedy: Vec<_> = (0..100).filter_map(|_| enter(1)).collect();
        assert_eq!(greedy.len(), MAX_WAITING_OF_ADDRESS);
        let others: Vec<_> = (2..=200).filter_map(enter).collect();
        assert_eq!(greedy.len() + others.len(), MAX_WAITING);
        drop((greedy, others));
        assert!(waiting.0.lock().unwrap().is_empty());
    }
}
