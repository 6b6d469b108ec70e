//! What one caller may have at once, so that none takes all from the others.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::identity::Identity;
use crate::unavailable::{RETRY_AFTER, busy};

/// Requests of one reader at once, until their answers are sent. More would wait for the ledger's connections.
const REQUESTS: usize = 16;
/// The same of a user, of whom there may be any number.
const REQUESTS_OF_USER: usize = 6;
/// The same of an agent, which pushes one batch after the other: one is under way, and one may be left of a connection
/// that broke.
const PUSHES: usize = 2;
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
pub struct Slot {
    _permit: OwnedSemaphorePermit,
    /// It counts as long as it lives.
    _share: Arc<Share>,
}

impl Share {
    pub(super) fn request(self: Arc<Self>) -> Result<Slot, Status> {
        self.slot(|share| &share.requests, "requests")
    }

    pub(super) fn stream(self: Arc<Self>) -> Result<Slot, Status> {
        self.slot(|share| &share.streams, "streams")
    }

    fn slot(self: Arc<Self>, of: fn(&Self) -> &Arc<Semaphore>, what: &str) -> Result<Slot, Status> {
        match Arc::clone(of(&self)).try_acquire_owned() {
            Ok(permit) => Ok(Slot { _permit: permit, _share: self }),
            Err(_) => Err(busy(format!("this caller has as many {what} under way as one may have"), RETRY_AFTER)),
        }
    }
}

/// The shares of all callers that have something under way.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<BTreeMap<String, Weak<Share>>>);

impl Shares {
    /// Those who need no credentials cannot be distinguished: what bounds them are the bounds of the services.
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
        let requests = match identity {
            Identity::Agent(_) => PUSHES,
            Identity::User(_) => REQUESTS_OF_USER,
            Identity::Local | Identity::Reader(_) => REQUESTS,
        };
        let share = share(requests, STREAMS);
        shares.insert(name, Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

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
