//! Nodes.

use k8s_openapi::api::core::v1 as core;

use super::{Condition, Meta, Resources, pod, quantity::resources, text, time};

/// A Node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Names.
    pub meta: Meta,
    /// It takes no new pods.
    pub cordoned: bool,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// What pods may use of it.
    pub allocatable: Resources,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// Its boot id, by the kubelet.
    pub boot_id: String,
}

/// A taint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value; empty if it has none.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

impl Node {
    /// A condition.
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
            status: pod::status(&condition.status),
            reason: text(&condition.reason),
            message: text(&condition.message),
            since: condition.last_transition_time.as_ref().map(time),
        });
        Self {
            meta: Meta::from(&node.metadata),
            cordoned: spec.is_some_and(|spec| spec.unschedulable == Some(true)),
            taints: taints.collect(),
            allocatable: resources(status.and_then(|status| status.allocatable.as_ref())),
            conditions: conditions.collect(),
            boot_id: status.and_then(|s| s.node_info.as_ref()).map(|info| info.boot_id.clone()).unwrap_or_default(),
        }
    }
}
