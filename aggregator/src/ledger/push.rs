//! What the ledger is given to store.

use coroner_proto::v1::{Diagnosis, Gap};
use prost::Message;
use uuid::Uuid;

use super::Offset;
use crate::key::Key;

/// The records and the status that one push stores.
#[derive(Clone, Debug, Default)]
pub struct Push {
    /// The name of the agent's node.
    pub node: String,
    /// Identifies the outbox; sequences are counted within it.
    pub stream_id: String,
    /// The records that are fit to be stored.
    pub entries: Vec<Entry>,
    /// The highest sequence of the push, stored or rejected; 0 for a handshake.
    pub acknowledge: i64,
    /// The sequence up to which the stream must have been acknowledged before, or nothing of this is stored.
    pub after: i64,
    /// The node's status, encoded, where it is due to be stored, and when it was reported, in nanoseconds since 1970.
    pub status: Option<(Vec<u8>, i64)>,
}

/// One message of a log that this ledger follows.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its place there, and so the offset of its record.
    pub offset: Offset,
    /// When it was stored there, in nanoseconds since 1970.
    pub time: i64,
    /// Holds one entry; `None` if the message cannot be decoded.
    pub push: Option<Push>,
}

/// One record of a push.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The number of the record in the agent's outbox, from 1.
    pub sequence: i64,
    /// The identity of a diagnosis; none for a gap.
    pub identity: Option<Identity>,
    /// The encoded `Diagnosis` or `Gap`.
    pub body: Vec<u8>,
}

/// What makes a revision of a diagnosis unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Identifies the diagnosis over all of its revisions.
    pub uid: Uuid,
    /// The revision within that uid, from 1.
    pub revision: u32,
}

impl Entry {
    /// The index values of a record that was stored at `now`; `None` if the body does not match its identity.
    pub fn key(&self, now: i64) -> Option<Key> {
        Some(match self.identity {
            Some(_) => Key::of(&Diagnosis::decode(&*self.body).ok()?, now),
            None => Key::of_gap(&Gap::decode(&*self.body).ok()?, now),
        })
    }
}
