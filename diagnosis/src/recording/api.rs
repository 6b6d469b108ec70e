//! What the API server reported, a file for each kind of objects: `{"type": "ADDED", "object": {…}}`.

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1 as apps, batch::v1 as batch, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, networking::v1 as networking,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Context, Facts, Problem};
use crate::observation::Fact;
use crate::observation::kube::{Change, Kind, Lease, Object};

#[derive(Deserialize)]
pub(super) struct Watched {
    r#type: String,
    object: Value,
}

/// The kind of the objects in a file.
pub(super) fn kind(stem: &str) -> Option<Kind> {
    match stem {
        "node_events" => Some(Kind::Events),
        "pvcs" => Some(Kind::Claims),
        _ => Kind::ALL.into_iter().find(|kind| kind.name() == stem),
    }
}

pub(super) fn objects(kind: Kind, row: Watched) -> Result<Facts, Problem> {
    let change = if row.r#type == "DELETED" { Change::Deleted } else { Change::Applied };
    let object = object(kind, row.object)?;
    Ok(vec![(None, Fact::Object(change, object))])
}

/// The Leases of nodes.
pub(super) fn leases(_: &Context<'_>, row: Watched) -> Result<Facts, Problem> {
    let lease = Lease::from(&read::<coordination::Lease>(row.object, "Lease")?);
    let renewal = lease.renewal.filter(|_| row.r#type != "DELETED");
    Ok(vec![(None, Fact::Lease(Lease { renewal, ..lease }))])
}

fn read<T: DeserializeOwned>(mut json: Value, kind: &str) -> Result<T, Problem> {
    // A watch names the kind of each object, a list and some recorders do not.
    if let Some(fields) = json.as_object_mut() {
        fields.entry("kind").or_insert_with(|| kind.into());
    }
    Ok(serde_json::from_value(json)?)
}

fn object(kind: Kind, json: Value) -> Result<Object, Problem> {
    let boxed = |workload| Object::Workload(Box::new(workload));
    Ok(match kind {
        Kind::Pods => Object::Pod(Arc::new((&read::<core::Pod>(json, "Pod")?).into())),
        Kind::Events => Object::Event(Box::new((&read::<core::Event>(json, "Event")?).into())),
        Kind::Nodes => Object::Node(Box::new((&read::<core::Node>(json, "Node")?).into())),
        Kind::Deployments => boxed((&read::<apps::Deployment>(json, "Deployment")?).into()),
        Kind::ReplicaSets => boxed((&read::<apps::ReplicaSet>(json, "ReplicaSet")?).into()),
        Kind::Jobs => boxed((&read::<batch::Job>(json, "Job")?).into()),
        Kind::StatefulSets => boxed((&read::<apps::StatefulSet>(json, "StatefulSet")?).into()),
        Kind::DaemonSets => boxed((&read::<apps::DaemonSet>(json, "DaemonSet")?).into()),
        Kind::Services => Object::Service(Box::new((&read::<core::Service>(json, "Service")?).into())),
        Kind::EndpointSlices => {
            Object::EndpointSlice(Box::new((&read::<discovery::EndpointSlice>(json, "EndpointSlice")?).into()))
        }
        Kind::Ingresses => Object::Ingress(Box::new((&read::<networking::Ingress>(json, "Ingress")?).into())),
        Kind::ResourceQuotas => {
            Object::ResourceQuota(Box::new((&read::<core::ResourceQuota>(json, "ResourceQuota")?).into()))
        }
        Kind::LimitRanges => Object::LimitRange(Box::new((&read::<core::LimitRange>(json, "LimitRange")?).into())),
        Kind::Claims => {
            Object::Claim(Box::new((&read::<core::PersistentVolumeClaim>(json, "PersistentVolumeClaim")?).into()))
        }
    })
}

/// Several lines may have the same moment; the recorder's time is all there is.
pub(super) fn watched(kind: Kind) -> impl Fn(&Context<'_>, Watched) -> Result<Facts, Problem> {
    move |_, row| objects(kind, row)
}
