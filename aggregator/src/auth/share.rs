//! What one caller may have at once, so that none takes all from the others.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::identity::Identity;

/// Requests of one caller at once, the answers of which have not begun.
const REQUESTS: usize = 32;
/// Streams of one caller at once.
const STREAMS: usize = 16;
/// Callers that are remembered before those that have gone are looked for.
const SWEEP: usize = 1024;

/// The share of one caller.
#[derive(Debug)]
pub(super) struct Share {
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// A place of a stream, or of a request; given back when it is dropped.
#[derive(Debug)]
pub struct StreamSlot {
    _permit: OwnedSemaphorePermit,
    /// It counts as long as it lives.
    _share: Arc<Share>,
}

impl Share {
    pub(super) fn request(self: Arc<Self>) -> Result<StreamSlot, Status> {
        self.slot(|share| &share.requests, REQUESTS, "requests")
    }

    pub(super) fn stream(self: Arc<Self>) -> Result<StreamSlot, Status> {
        self.slot(|share| &share.streams, STREAMS, "streams")
    }

    fn slot(self: Arc<Self>, of: fn(&Self) -> &Arc<Semaphore>, most: usize, what: &str) -> Result<StreamSlot, Status> {
        match Arc::clone(of(&self)).try_acquire_owned() {
            Ok(permit) => Ok(StreamSlot { _permit: permit, _share: self }),
            // With RetryInfo, for senders take it for a message that is too large otherwise.
            Err(_) => Err(Status::with_error_details(
                Code::ResourceExhausted,
                format!("one caller has at most {most} {what} at once"),
                ErrorDetails::with_retry_info(Some(Duration::from_secs(1))),
            )),
        }
    }
}

/// The shares of all callers that have something under way.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<BTreeMap<String, Weak<Share>>>);

impl Shares {
    /// Those who need no credentials cannot be told apart: what bounds them are the bounds of the services.
    pub(super) fn of(&self, identity: &Identity) -> Arc<Share> {
        let share = |requests, streams| {
            Arc::new(Share { requests: Arc::new(Semaphore::new(requests)), streams: Arc::new(Semaphore::new(streams)) })
        };
        if *identity == Identity::Local {
            return share(Semaphore::MAX_PERMITS, Semaphore::MAX_PERMITS);
        }
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = identity.to_string();
        if let Some(share) = shares.get(&name).and_then(Weak::upgrade) {
            return share;
        }
        if shares.len() >= SWEEP {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let share = share(REQUESTS, STREAMS);
        shares.insert(name, Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_a_share_of_its_own() {
        let shares = Shares::default();
        let (one, other) = (Identity::Reader("one".into()), Identity::Reader("other".into()));
        let slots: Vec<_> = (0..STREAMS).map(|_| shares.of(&one).stream().unwrap()).collect();
        let refusal = shares.of(&one).stream().unwrap_err();
        assert_eq!(refusal.code(), Code::ResourceExhausted);
        assert!(!refusal.details().is_empty(), "senders would cut their batches");
        assert!(shares.of(&other).stream().is_ok());
        drop(slots);
        assert!(shares.of(&one).stream().is_ok());
    }

    #[test]
    fn callers_that_have_gone_are_forgotten() {
        let shares = Shares::default();
        let stays = shares.of(&Identity::Agent("stays".into()));
        for n in 0..3 * SWEEP {
            drop(shares.of(&Identity::Agent(format!("n{n}"))));
        }
        assert!(shares.0.lock().unwrap().len() <= SWEEP);
        assert!(Arc::ptr_eq(&stays, &shares.of(&Identity::Agent("stays".into()))));
    }
}
