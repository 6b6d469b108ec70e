//! The Nodes and Leases of a cluster, as they are watched, and the pods of a node, as they are listed when it falls
//! silent.

use std::{sync::Arc, time::Duration};

use coroner_diagnosis::{
    observation::kube::{self as observed, Lease, Node},
    text,
    triage::{self, Fact},
};
use coroner_runtime::error::chain;
use coroner_watch::{ClusterPod, Report, reports};
use futures::{
    StreamExt as _,
    stream::{BoxStream, SelectAll, select_all},
};
use k8s_openapi::api::{coordination::v1 as coordination, core::v1 as core};
use kube::{Api, Client, api::ListParams};
use tokio::time::timeout;

use super::hub::Hub;

/// Objects of one answer to a list.
const PAGE: u32 = 250;
/// Where kubelets renew their Leases.
const LEASES: &str = "kube-node-lease";
/// Pods of a node that are listed; the kubelet runs 110 by default.
const PODS: u32 = 500;
/// For a list of pods.
const DEADLINE: Duration = Duration::from_secs(5);

/// An event of the watches of Nodes and Leases.
pub(super) enum Seen {
    Node(Report<Box<Node>>),
    Lease(Report<Lease>),
}

/// Watches the Nodes and the Leases of nodes.
pub(super) fn watch(client: &Client) -> SelectAll<BoxStream<'static, Seen>> {
    let nodes: Api<core::Node> = Api::all(client.clone());
    let leases: Api<coordination::Lease> = Api::namespaced(client.clone(), LEASES);
    select_all([
        reports(nodes, "", PAGE, "nodes", |node: &core::Node| Box::new(pruned(node))).map(Seen::Node).boxed(),
        reports(leases, "", PAGE, "leases", |lease: &coordination::Lease| Lease::from(lease)).map(Seen::Lease).boxed(),
    ])
}

/// Without what triage does not read.
fn pruned(node: &core::Node) -> Node {
    let node = Node::from(node);
    Node { labels: Default::default(), allocatable: Default::default(), ..node }
}

/// Has the hub know the pods that are bound to a node.
pub(super) async fn pods(hub: &Hub, client: Client, node: Arc<str>) {
    let api: Api<ClusterPod> = Api::all(client);
    let of_node = ListParams::default().fields(&format!("spec.nodeName={node}")).limit(PODS);
    let reason = match timeout(DEADLINE, api.list(&of_node)).await {
        Ok(Ok(list)) => {
            let pods = list.items.iter().map(|pod| triage::Pod::from(&observed::Pod::from(pod)));
            return hub.observe(Fact::Pods { node, pods: pods.collect() });
        }
        Ok(Err(error)) => chain(&error),
        Err(_elapsed) => format!("no answer within {} s", DEADLINE.as_secs()),
    };
    tracing::warn!(node = text::clean(&node, 253), reason, "Cannot list the pods of a silent node");
}
