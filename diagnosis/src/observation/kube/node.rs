//! Nodes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use serde::{Deserialize, Serialize};

use super::{Condition, Meta, Resources, quantity::resources, text, time};

/// A Node, as far as rules read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Name and uid of the Node.
    pub meta: Meta,
    /// Its labels, by their keys.
    pub labels: BTreeMap<String, String>,
    /// Whether new pods are not scheduled to it (`spec.unschedulable`).
    pub cordoned: bool,
    /// What keeps pods away from it, from `spec.taints`.
    pub taints: Vec<Taint>,
    /// What its pods may request together (`status.allocatable`), in thousandths.
    #[serde(with = "super::quantity::as_text")]
    pub allocatable: Resources,
    /// The conditions of its status, such as `Ready`.
    pub conditions: Vec<Condition>,
    /// The boot ID that the kubelet reported (`status.nodeInfo.bootID`).
    pub boot_id: String,
    /// The address at which other nodes reach it (`InternalIP`); empty if it has none.
    pub internal_ip: String,
    /// The port of its kubelet; 10250 if the status names none.
    pub kubelet_port: u16,
}

/// The port of a kubelet that names none.
const KUBELET: u16 = 10_250;

fn internal_ip(status: &core::NodeStatus) -> Option<String> {
    let internal = status.addresses.iter().flatten().find(|address| address.type_ == "InternalIP");
    internal.map(|address| address.address.clone())
}

fn kubelet_port(status: &core::NodeStatus) -> Option<u16> {
    let endpoint = status.daemon_endpoints.as_ref()?.kubelet_endpoint.as_ref()?;
    u16::try_from(endpoint.port).ok().filter(|port| *port > 0)
}

/// A mark of a Node that keeps away, or evicts, pods that do not tolerate it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Taint {
    /// The key, with its prefix: `node.kubernetes.io/not-ready`.
    pub key: String,
    /// The value; empty if it has none.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

impl Node {
    /// The condition of this type, if there is one.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }
}

impl From<&core::Node> for Node {
    fn from(node: &core::Node) -> Self {
        let (spec, status) = (node.spec.as_ref(), node.status.as_ref());
        let taints = spec.and_then(|spec| spec.taints.as_ref()).into_iter().flatten().map(|taint| Taint {
            key: taint.key.clone(),
            value: text(&taint.value),
            effect: taint.effect.clone(),
        });
        let conditions = status.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
        let conditions = conditions.map(|condition| Condition {
            kind: condition.type_.clone(),
            status: super::status(&condition.status),
            reason: text(&condition.reason),
            message: text(&condition.message),
            since: condition.last_transition_time.as_ref().map(time),
        });
        Self {
            meta: Meta::from(&node.metadata),
            labels: node.metadata.labels.clone().unwrap_or_default(),
            cordoned: spec.is_some_and(|spec| spec.unschedulable == Some(true)),
            taints: taints.collect(),
            allocatable: resources(status.and_then(|status| status.allocatable.as_ref())),
            conditions: conditions.collect(),
            internal_ip: status.and_then(internal_ip).unwrap_or_default(),
            kubelet_port: status.and_then(kubelet_port).unwrap_or(KUBELET),
            boot_id: status.and_then(|s| s.node_info.as_ref()).map(|info| info.boot_id.clone()).unwrap_or_default(),
        }
    }
}
