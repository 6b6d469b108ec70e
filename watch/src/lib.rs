//! Watches of the API server: an agent's of the objects of its node, and the aggregator's of all objects.
//!
//! Objects are pruned as they arrive. A broken watch resumes where it was; where the API server no longer knows that
//! point (410), it lists again, and what is gone since is reported as deleted. A watch that stays quiet after it broke
//! is restarted. While the API server is unavailable only that is reported: the last state stays the last that is
//! known.

mod changes;
mod client;
mod cluster_pod;
mod doubt;
mod reports;
mod server_clock;
mod timer;

use std::fmt::Debug;

pub use client::{NoCluster, client, config};
pub use cluster_pod::ClusterPod;
use coroner_diagnosis::observation::{
    Health,
    kube::{Change, Kind, Object},
};
use futures::{Stream, StreamExt as _, stream};
use kube::{Api, ResourceExt as _};
pub use reports::{Report, reports};
use serde::de::DeserializeOwned;
pub use server_clock::{ServerClock, date};

use changes::Changes;

/// A change that a watch reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// Of an object.
    Object(Change, Object),
    /// How well it sees, at start and at each change.
    Health(Health),
}

/// Watches as [`reports()`] does, and keeps what `prune` takes of each object: only changes of that are reported, and
/// what is gone as it was last.
pub fn watch<K>(
    api: Api<K>,
    fields: &str,
    page: u32,
    kind: Kind,
    prune: impl Fn(&K) -> Object + Send + 'static,
) -> impl Stream<Item = Update> + Send + 'static
where
    K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut changes = Changes::default();
    let prune = move |object: &K| (object.uid().unwrap_or_default(), prune(object));
    reports(api, fields, page, kind.name(), prune).flat_map(move |report| stream::iter(changes.take(report)))
}
