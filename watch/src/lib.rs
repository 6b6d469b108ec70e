//! Watches of the API server: what an agent asks of its node's objects, and the aggregator of all.
//!
//! Objects are pruned as they arrive. A broken watch resumes where it was; where the API server no longer knows that point (410), it
//! lists anew, and what is gone since is told as deleted. While the API server is away nothing is told but that: the last
//! state stays the last that is known.

mod client;
mod state;

use std::fmt::Debug;

pub use client::{NoCluster, client, config};
use coroner_diagnosis::observation::{
    Health,
    kube::{Change, Kind, Object},
};
use futures::{Stream, StreamExt as _, stream};
use kube::{
    Api,
    runtime::{WatchStreamExt as _, watcher},
};
use serde::de::DeserializeOwned;
use state::State;

/// What a watch tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Of an object.
    Object(Change, Object),
    /// How well it sees, at start and at each change.
    Health(Health),
}

/// Watches the objects that `fields` selects (all, if it is empty), for ever. A list is asked for in pages of so many objects: what
/// of them is not kept is in memory until the next. `prune` takes of each what the examiners read.
pub fn watch<K>(
    api: Api<K>,
    fields: &str,
    page: u32,
    kind: Kind,
    prune: impl Fn(&K) -> Object + Send + 'static,
) -> impl Stream<Item = Told> + Send + 'static
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().page_size(page);
    let config = if fields.is_empty() { config } else { config.fields(fields) };
    let mut state = State::new(kind);
    let events = watcher(api, config).default_backoff();
    events.flat_map(move |event| stream::iter(state.take(event, &prune)))
}
