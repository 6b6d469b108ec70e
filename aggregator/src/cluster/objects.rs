//! The objects that are watched, of which kinds, and pruned to what.

use coroner_diagnosis::observation::kube::{Kind, Object};
use coroner_watch::{Told, watch};
use futures::{
    StreamExt as _,
    stream::{BoxStream, SelectAll},
};
use k8s_openapi::api::{
    apps::v1 as apps, batch::v1 as batch, core::v1 as core, discovery::v1 as discovery, networking::v1 as networking,
};
use kube::{Api, Client};

/// Objects of one answer to a list.
const LISTED: u32 = 250;

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

/// What the watches of all kinds report, each with its kind.
pub(super) type Watches = SelectAll<BoxStream<'static, (Kind, Told)>>;

/// Watches all of them.
pub(super) fn all(client: &Client) -> Watches {
    macro_rules! of {
        ($kind:ident, $type:ty, $object:ident) => {
            of!($kind, $type, $object, "")
        };
        ($kind:ident, $type:ty, $object:ident, $fields:expr) => {{
            let api: Api<$type> = Api::all(client.clone());
            let prune = |object: &$type| Object::$object(Box::new(object.into()));
            watch(api, $fields, LISTED, Kind::$kind, prune).map(|told| (Kind::$kind, told)).boxed()
        }};
    }
    // Of events, only what a controller could not create or bind: the others are the agents'.
    let failed = |reason: &'static str| {
        let api: Api<core::Event> = Api::all(client.clone());
        let prune = |event: &core::Event| Object::Event(Box::new(event.into()));
        watch(api, reason, LISTED, Kind::Events, prune).map(|told| (Kind::Events, told)).boxed()
    };
    futures::stream::select_all([
        of!(Pods, core::Pod, Pod),
        of!(Nodes, core::Node, Node),
        of!(Deployments, apps::Deployment, Workload),
        of!(ReplicaSets, apps::ReplicaSet, Workload),
        of!(StatefulSets, apps::StatefulSet, Workload),
        of!(DaemonSets, apps::DaemonSet, Workload),
        of!(Jobs, batch::Job, Workload),
        of!(Services, core::Service, Service),
        of!(EndpointSlices, discovery::EndpointSlice, EndpointSlice),
        of!(Ingresses, networking::Ingress, Ingress),
        of!(Claims, core::PersistentVolumeClaim, Claim),
        failed("reason=FailedCreate"),
        failed("reason=ProvisioningFailed"),
    ])
}
