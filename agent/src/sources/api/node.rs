//! The node's own object.

use std::convert::Infallible;

use coroner_diagnosis::observation::kube::{Kind, Object};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1 as core;
use kube::{Api, Client};

use super::{PAGE, report};
use crate::sources::outlet::Outlet;

pub(super) async fn watch(client: Client, outlet: &Outlet, node: &str) -> Infallible {
    let api: Api<core::Node> = Api::all(client);
    let selector = format!("metadata.name={node}");
    let prune = |node: &core::Node| Object::Node(Box::new(node.into()));
    let mut update = coroner_watch::watch(api, &selector, PAGE, Kind::Nodes, prune).boxed();
    loop {
        if let Some(update) = update.next().await {
            report(outlet, update).await;
        }
    }
}
