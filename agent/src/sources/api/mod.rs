//! The Kubernetes API: the pods of this node, their events and its Node object.
//!
//! The API server is spared: pods are selected by node, and events of a pod are watched only while it is in trouble. Of
//! all events of the cluster, an agent never asks for more than those.

mod events;
mod node;
mod owners;
mod patience;
mod pods;
mod trouble;
mod turns;

use std::{convert::Infallible, path::PathBuf, sync::Arc, time::Duration};

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{Fact, Health, Source, kube::Kind},
};
use coroner_runtime::{backoff::Backoff, error::chain};
use coroner_watch::{NoCluster, ServerClock, Update};
use kube::{Client, config::InClusterError};
use tokio::time::sleep;

use self::events::Troubles;
use super::{outlet::Outlet, site::Site};

/// Objects of one answer to a list: 20 pods of usual size take 3 MiB until they are pruned.
const PAGE: u32 = 20;
/// The first delay before a client that could not be made is tried again, and the longest.
const CLIENT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What is needed to reach the API server.
#[derive(Clone, Debug)]
pub struct Config {
    /// A kubeconfig, for agents outside of pods.
    pub kubeconfig: Option<PathBuf>,
    /// The name of the node.
    pub node: String,
    /// The API server's clock, as its answers show it.
    pub clock: ServerClock,
}

/// The outlets of the three kinds.
#[derive(Clone, Debug)]
struct Outlets {
    pods: Outlet,
    events: Outlet,
    nodes: Outlet,
}

/// The kinds that an agent watches.
pub const SOURCES: [Source; 3] = [Source::Api(Kind::Pods), Source::Api(Kind::Events), Source::Api(Kind::Nodes)];

/// Starts the sources that watch the API server.
pub fn spawn(site: &Site, config: Config) {
    let [pods, events, nodes] = SOURCES.map(|source| site.outlet(source));
    let all = [pods.clone(), events.clone(), nodes.clone()];
    let outlets = Outlets { pods, events, nodes };
    site.task_of_many("api", &all, move || run(outlets.clone(), config.clone()));
}

async fn run(outlets: Outlets, config: Config) -> Infallible {
    let mut delays = Backoff::new(CLIENT.0, CLIENT.1);
    let client = loop {
        match coroner_watch::client(config.kubeconfig.as_deref(), &config.clock).await {
            Ok(client) => break client,
            // Its files may be written later than the agent is started.
            Err(error) => {
                for outlet in [&outlets.pods, &outlets.events, &outlets.nodes] {
                    outlet.health(Health::Absent(unusable(&error).into())).await;
                }
            }
        }
        sleep(delays.next()).await;
    };
    watch_all(client, &outlets, &config.node).await
}

/// Why there is no client for the API server.
fn unusable(error: &NoCluster) -> Message {
    match error {
        NoCluster::NotInside(InClusterError::ReadEnvironmentVariable(_)) => health::health_no_cluster(),
        NoCluster::NotInside(error) => health::health_no_client(chain(error)),
        NoCluster::Kubeconfig { path, error } => health::health_no_kubeconfig(path, chain(error)),
        NoCluster::Client(error) => health::health_no_client(chain(error)),
    }
}

async fn watch_all(client: Client, outlets: &Outlets, node: &str) -> Infallible {
    let troubles = Arc::new(Troubles::default());
    tokio::select! {
        never = pods::watch(client.clone(), &outlets.pods, node, &troubles) => never,
        never = node::watch(client.clone(), &outlets.nodes, node) => never,
        never = events::watch(client, &outlets.events, node, &troubles) => never,
    }
}

/// Reports what a watch gives.
async fn report(outlet: &Outlet, update: Update) {
    match update {
        Update::Object(change, object) => {
            let _going_away = outlet.send(outlet.now(Fact::Object(change, object))).await;
        }
        Update::Health(health) => outlet.health(health).await,
    }
}
