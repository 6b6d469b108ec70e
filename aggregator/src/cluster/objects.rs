//! The objects that are watched, of which kinds, and pruned to what.

use std::fmt::Debug;

use coroner_diagnosis::{
    cluster::Scope,
    observation::kube::{self as observed, Kind, Object},
};
use coroner_watch::{ClusterPod, Report, reports};
use futures::{
    StreamExt as _,
    stream::{BoxStream, SelectAll, select_all},
};
use k8s_openapi::api::{
    apps::v1 as apps, batch::v1 as batch, core::v1 as core, discovery::v1 as discovery, networking::v1 as networking,
};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

/// Objects of one answer to a list: pods of usual size take 2.5 MiB until they are decoded.
const PAGE: u32 = 250;

/// The kinds that are watched: what quotas and limit ranges refuse is in the events of those whom they refuse.
pub(super) const WATCHED: [Kind; 12] = [
    Kind::Pods,
    Kind::Nodes,
    Kind::Deployments,
    Kind::ReplicaSets,
    Kind::StatefulSets,
    Kind::DaemonSets,
    Kind::Jobs,
    Kind::Services,
    Kind::EndpointSlices,
    Kind::Ingresses,
    Kind::Claims,
    Kind::Events,
];

/// One of the watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Watch {
    pub(super) kind: Kind,
    /// Of events, the reason that is watched: what a controller could not create or bind. The others are the agents'.
    pub(super) reason: &'static str,
}

/// What all watches report.
pub(super) type Watches = SelectAll<BoxStream<'static, (Watch, Report<Object>)>>;

/// Watches all that is in a scope.
pub(super) fn all(client: &Client, scope: Scope) -> Watches {
    macro_rules! of {
        ($kind:ident, $type:ty, $object:ident) => {
            of!($kind, $type, $object, "", "")
        };
        ($kind:ident, $type:ty, $object:ident, $reason:expr, $fields:expr) => {
            watch(client, Watch { kind: Kind::$kind, reason: $reason }, $fields, |object: &$type| {
                Object::$object(observed::$object::from(object).into())
            })
        };
    }
    let mut watches = vec![
        of!(Nodes, core::Node, Node),
        of!(Deployments, apps::Deployment, Workload),
        of!(ReplicaSets, apps::ReplicaSet, Workload),
        of!(StatefulSets, apps::StatefulSet, Workload),
        of!(DaemonSets, apps::DaemonSet, Workload),
        of!(Jobs, batch::Job, Workload),
        of!(Claims, core::PersistentVolumeClaim, Claim),
        of!(Events, core::Event, Event, "FailedCreate", "reason=FailedCreate"),
        of!(Events, core::Event, Event, "ProvisioningFailed", "reason=ProvisioningFailed"),
    ];
    match scope {
        Scope::All => watches.extend([
            of!(Pods, ClusterPod, Pod),
            of!(Services, core::Service, Service),
            of!(EndpointSlices, discovery::EndpointSlice, EndpointSlice),
            of!(Ingresses, networking::Ingress, Ingress),
        ]),
        Scope::Unscheduled => watches.push(of!(Pods, ClusterPod, Pod, "", "spec.nodeName=")),
    }
    select_all(watches)
}

fn watch<K>(
    client: &Client,
    watch: Watch,
    fields: &str,
    prune: impl Fn(&K) -> Object + Send + 'static,
) -> BoxStream<'static, (Watch, Report<Object>)>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let api: Api<K> = Api::all(client.clone());
    reports(api, fields, PAGE, watch.kind.name(), prune).map(move |report| (watch, report)).boxed()
}
