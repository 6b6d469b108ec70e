//! Somebody deleted the pod of a container: who, and why.

use coroner_proto::v1::StopRequester;

use super::{Request, SECOND};
use crate::{
    case::NodeFile,
    observation::{
        Source,
        kube::{Controller, Deletion, Kind, Pod, WorkloadKind},
    },
    text,
};

/// Somebody deleted the pod.
pub(super) fn asked(node: &NodeFile, pod: &Pod) -> Option<Request> {
    let asked = pod.deletion.as_ref().map(Deletion::asked)?;
    let (by, who) = pod.meta.controller.as_ref().map_or_else(
        || (StopRequester::Deletion, "The pod was deleted".to_owned()),
        |controller| requester(node, pod, controller),
    );
    let grace = pod.deletion.map_or(0, |deletion| deletion.grace_seconds);
    Some(Request {
        cause: None,
        by,
        at: asked - SECOND,
        summary: who.clone(),
        explanation: format!("{who}, with {grace} s of grace."),
        said: vec![(
            Source::Api(Kind::Pods),
            asked,
            format!("metadata.deletionTimestamp is set, deletionGracePeriodSeconds {grace}"),
        )],
        contributing: None,
    })
}

/// Why a controller deleted one of its pods.
fn requester(node: &NodeFile, pod: &Pod, controller: &Controller) -> (StopRequester, String) {
    let name = |text: &str| text::clean(text, 253);
    let Some(owner) = node.objects.workload(&controller.uid) else {
        let who = format!("The pod was deleted; it belongs to {} {}", controller.kind, name(&controller.name));
        return (StopRequester::Deletion, who);
    };
    if owner.deletion.is_some() {
        let who = format!("{} {} was deleted, and its pods with it", owner.kind.name(), name(&owner.meta.name));
        return (StopRequester::Deletion, who);
    }
    let top = owner.meta.controller.as_ref();
    let siblings = top
        .into_iter()
        .flat_map(|top| node.objects.controlled_by(&top.uid))
        .filter(|other| other.kind == WorkloadKind::ReplicaSet && other.meta.controller.as_ref() == top);
    let newer = siblings.filter(|other| other.revision > owner.revision && other.wanted.unwrap_or(0) > 0);
    // The Deployment bears the revision of its newest ReplicaSet (`pkg/controller/deployment/sync.go`).
    let deployment = top.and_then(|top| node.objects.workload(&top.uid)).filter(|top| top.revision > owner.revision);
    let is_known = owner.kind == WorkloadKind::ReplicaSet && owner.revision.is_some();
    if let (Some(revision), Some(top)) = (newer.chain(deployment).filter_map(|w| w.revision).max(), top)
        && is_known
    {
        let who =
            format!("{} {} was rolled out to revision {revision}, which replaced the pod", top.kind, name(&top.name));
        return (StopRequester::Rollout, who);
    }
    if let Some((label, newest)) = &owner.newest
        && pod.labels.get(*label).is_some_and(|revision| revision != newest)
    {
        let who = format!("{} {} was rolled out, which replaced the pod", owner.kind.name(), name(&owner.meta.name));
        return (StopRequester::Rollout, who);
    }
    let above = |wanted: i32| match owner.kind {
        // The pods of the highest ordinals go first.
        WorkloadKind::StatefulSet => {
            let ordinal = pod.meta.name.rsplit('-').next().and_then(|number| number.parse::<i32>().ok());
            ordinal.is_some_and(|ordinal| ordinal >= wanted)
        }
        WorkloadKind::ReplicaSet => wanted == 0 || owner.there > wanted,
        WorkloadKind::Deployment | WorkloadKind::DaemonSet | WorkloadKind::Job => false,
    };
    let (kind, top_name) =
        top.map_or_else(|| (owner.kind.name(), &owner.meta.name), |top| (top.kind.as_str(), &top.name));
    match owner.wanted {
        Some(wanted) if above(wanted) => {
            (StopRequester::ScaleDown, format!("{kind} {} was scaled down to {wanted}", name(top_name)))
        }
        _ => (StopRequester::Deletion, format!("The pod was deleted; it belongs to {kind} {}", name(top_name))),
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1;
    use k8s_openapi::api::{apps::v1 as apps, core::v1 as core};
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::observation::kube::{Change, Workload};

    fn object<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn owned(kind: &str, name: &str) -> Value {
        json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": name, "controller": true}])
    }

    fn pod(kind: &str, owner: &str, labels: Value) -> Pod {
        let metadata =
            json!({"name": "web-2", "uid": "a-pod", "labels": labels, "ownerReferences": owned(kind, owner)});
        (&object::<core::Pod>(json!({"metadata": metadata}))).into()
    }

    fn asked_by(pod: &Pod, workloads: impl IntoIterator<Item = Workload>) -> StopRequester {
        let mut node = NodeFile::new(v1::Node::default());
        for workload in workloads {
            node.objects.record_workload(jiff::Timestamp::UNIX_EPOCH, Change::Applied, workload);
        }
        requester(&node, pod, pod.meta.controller.as_ref().unwrap()).0
    }

    fn replica_set(revision: &str, replicas: i32) -> Workload {
        let annotations = json!({"deployment.kubernetes.io/revision": revision});
        let metadata = json!({"name": "web-old", "uid": "web-old", "annotations": annotations,
                              "ownerReferences": owned("Deployment", "web")});
        (&object::<apps::ReplicaSet>(json!({"metadata": metadata, "spec": {"replicas": replicas, "selector": {}},
                                            "status": {"replicas": replicas}})))
            .into()
    }

    fn deployment(revision: &str) -> Workload {
        let annotations = json!({"deployment.kubernetes.io/revision": revision});
        (&object::<apps::Deployment>(json!({"metadata": {"name": "web", "uid": "web", "annotations": annotations}})))
            .into()
    }

    #[test]
    fn a_deployment_that_is_ahead_of_the_pods_replica_set_was_rolled_out() {
        let pod = pod("ReplicaSet", "web-old", json!({}));
        assert_eq!(asked_by(&pod, [replica_set("3", 1), deployment("4")]), StopRequester::Rollout);
        assert_eq!(asked_by(&pod, [replica_set("4", 1), deployment("4")]), StopRequester::Deletion);
        assert_eq!(asked_by(&pod, [replica_set("4", 0), deployment("4")]), StopRequester::ScaleDown);
        assert_eq!(asked_by(&pod, [replica_set("3", 1)]), StopRequester::Deletion, "nobody knows of another revision");
        assert_eq!(asked_by(&pod, []), StopRequester::Deletion);
    }

    #[test]
    fn pods_of_stateful_and_daemon_sets_bear_the_revision_that_is_replaced() {
        let set: Workload = (&object::<apps::StatefulSet>(json!({
            "metadata": {"name": "web", "uid": "web"},
            "spec": {"replicas": 3, "selector": {}, "template": {}, "serviceName": "web"},
            "status": {"replicas": 3, "updateRevision": "web-new"},
        })))
            .into();
        let of = |hash: &str| pod("StatefulSet", "web", json!({"controller-revision-hash": hash}));
        assert_eq!(asked_by(&of("web-old"), [set.clone()]), StopRequester::Rollout);
        assert_eq!(asked_by(&of("web-new"), [set]), StopRequester::Deletion);

        let set: Workload = (&object::<apps::DaemonSet>(json!({
            "metadata": {"name": "web", "uid": "web", "annotations": {"deprecated.daemonset.template.generation": "7"}},
        })))
            .into();
        let of = |generation: &str| pod("DaemonSet", "web", json!({"pod-template-generation": generation}));
        assert_eq!(asked_by(&of("6"), [set.clone()]), StopRequester::Rollout);
        assert_eq!(asked_by(&of("7"), [set]), StopRequester::Deletion);
    }
}
