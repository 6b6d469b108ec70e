//! Objects of the Kubernetes API, pruned to what the rules read: reports of the API server and the kubelet.
//!
//! Each is made from the type of `k8s-openapi` that it is named after, as soon as it arrives, so that nothing else of
//! it is kept. Clients of the API server choose texts in them: no rule shows one without cleaning it.

mod event;
mod lease;
pub mod message;
mod network;
mod node;
mod pod;
mod policy;
mod quantity;
mod workload;

pub use event::{Event, Reference};
pub use lease::Lease;
pub use network::{Backend, BackendPort, Endpoint, EndpointSlice, Ingress, Service, ServicePort, TargetPort};
pub use node::{Node, Taint};
pub use pod::{
    Condition, Container, ContainerKind, ContainerStatus, Deletion, Pod, Port, Probe, Probes, State, Terminated,
    Toleration, Volume, VolumeKind,
};
pub use policy::{Claim, LimitRange, ResourceQuota};
pub use quantity::{Resources, amount};
pub use workload::{Workload, WorkloadKind};

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::{Deserialize, Serialize};

/// What a watch reports about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is there, new or changed.
    Applied,
    /// It is gone; the object is its last state.
    Deleted,
}

/// The kinds of objects that are watched. Each is a source of its own: permission for one may be there without another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Pods.
    Pods,
    /// Events.
    Events,
    /// Nodes.
    Nodes,
    /// Deployments.
    Deployments,
    /// ReplicaSets.
    ReplicaSets,
    /// Jobs.
    Jobs,
    /// StatefulSets.
    StatefulSets,
    /// DaemonSets.
    DaemonSets,
    /// Services.
    Services,
    /// EndpointSlices.
    EndpointSlices,
    /// Ingresses.
    Ingresses,
    /// ResourceQuotas.
    ResourceQuotas,
    /// LimitRanges.
    LimitRanges,
    /// PersistentVolumeClaims.
    Claims,
}

impl Kind {
    /// All kinds that are watched.
    pub const ALL: [Self; 14] = [
        Self::Pods,
        Self::Events,
        Self::Nodes,
        Self::Deployments,
        Self::ReplicaSets,
        Self::Jobs,
        Self::StatefulSets,
        Self::DaemonSets,
        Self::Services,
        Self::EndpointSlices,
        Self::Ingresses,
        Self::ResourceQuotas,
        Self::LimitRanges,
        Self::Claims,
    ];

    /// The resource, as the API names it in URLs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Events => "events",
            Self::Nodes => "nodes",
            Self::Deployments => "deployments",
            Self::ReplicaSets => "replicasets",
            Self::Jobs => "jobs",
            Self::StatefulSets => "statefulsets",
            Self::DaemonSets => "daemonsets",
            Self::Services => "services",
            Self::EndpointSlices => "endpointslices",
            Self::Ingresses => "ingresses",
            Self::ResourceQuotas => "resourcequotas",
            Self::LimitRanges => "limitranges",
            Self::Claims => "persistentvolumeclaims",
        }
    }
}

/// An object of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// A Pod. Shared, for the watch keeps it as well as its case file.
    Pod(#[serde(with = "shared")] Arc<Pod>),
    /// An Event of `v1` or `events.k8s.io/v1`.
    Event(Box<Event>),
    /// A Node.
    Node(Box<Node>),
    /// What makes pods.
    Workload(Box<Workload>),
    /// A Service.
    Service(Box<Service>),
    /// Some endpoints of a Service.
    EndpointSlice(Box<EndpointSlice>),
    /// An Ingress.
    Ingress(Box<Ingress>),
    /// A ResourceQuota.
    ResourceQuota(Box<ResourceQuota>),
    /// A LimitRange.
    LimitRange(Box<LimitRange>),
    /// A PersistentVolumeClaim.
    Claim(Box<Claim>),
}

impl Object {
    /// The kind of its watch.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Pod(_) => Kind::Pods,
            Self::Event(_) => Kind::Events,
            Self::Node(_) => Kind::Nodes,
            Self::Workload(workload) => workload.kind.into(),
            Self::Service(_) => Kind::Services,
            Self::EndpointSlice(_) => Kind::EndpointSlices,
            Self::Ingress(_) => Kind::Ingresses,
            Self::ResourceQuota(_) => Kind::ResourceQuotas,
            Self::LimitRange(_) => Kind::LimitRanges,
            Self::Claim(_) => Kind::Claims,
        }
    }
}

/// The metadata of an object that rules read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    /// Its namespace; empty for objects of the cluster, such as Nodes.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// The uid that the API server gave the object.
    pub uid: String,
    /// When the API server created it (`metadata.creationTimestamp`).
    pub created: Option<Timestamp>,
    /// The owner reference with `controller: true`, if there is one.
    pub controller: Option<Controller>,
}

/// The controller of an object, from its owner references.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Controller {
    /// The kind of the controller, such as `ReplicaSet`.
    pub kind: String,
    /// The name of the controller, in the namespace of the object.
    pub name: String,
    /// The uid of the controller.
    pub uid: String,
}

impl From<&ObjectMeta> for Meta {
    fn from(meta: &ObjectMeta) -> Self {
        let mut owners = meta.owner_references.iter().flatten();
        let controller = owners.find(|owner| owner.controller == Some(true)).map(|owner| Controller {
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        });
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map(time),
            controller,
        }
    }
}

mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(shared: &Arc<T>, serializer: S) -> Result<S::Ok, S::Error> {
        shared.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}

fn time(at: &Time) -> Timestamp {
    at.0
}

/// The status of a condition: none for `Unknown`.
fn status(status: &str) -> Option<bool> {
    match status {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

fn text(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}
