//! The ledger: everything the agents have reported, in the order in which it became durable, in one SQLite file, or in
//! a stream that several aggregators [share](shared), of which the file is an index then.
//!
//! One thread writes, and answers only after the commit is on disk. Readers have connections and positions of their own
//! and learn only the last committed offset, so a slow reader affects no other and costs one batch of memory.

mod backup;
mod calendar;
mod error;
mod flood;
mod handle;
mod holders;
mod holes;
mod inbox;
mod jetstream;
mod lock;
mod migration;
mod outboxes;
mod pool;
mod push;
mod query;
mod queue;
mod reader;
mod records;
mod retention;
mod row;
mod salvage;
mod schema;
mod shared;
mod store;
mod writer;

pub use self::{
    backup::{backup, restore},
    error::Error,
    handle::Ledger,
    holders::{Holder, holders},
    inbox::Waiting,
    jetstream::Target as StreamTarget,
    push::{Entry, Identity, Logged, Push},
    query::{Extent, Found, ListPosition, Page, Place, Query, extent, fetch, find, gaps, list, nodes, revisions, uids},
    queue::MAX_PUSHES,
    reader::{Body, Chunk, Item, Limits, Lost, Position, expired, last, read, seek},
    retention::{Retention, used_bytes},
    shared::Follower,
    store::Store,
    writer::Writer,
};

/// The number of a record: 1, 2, 3 … in the order in which they became durable. 0 is before all of them.
pub type Offset = i64;
