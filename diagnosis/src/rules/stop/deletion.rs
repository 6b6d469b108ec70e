//! The pod of a container was deleted: by whom, and why.

mod job;

use coroner_proto::v1::{Cause, Message, StopRequester};
use jiff::SignedDuration;

use super::{Request, SECOND};
use crate::{
    case::NodeFile,
    messages::stop,
    observation::{
        Source,
        kube::{Controller, Deletion, Kind, Pod, Workload, WorkloadKind},
    },
    text,
    verdict::Evidence,
};

/// The pod was deleted.
pub(super) fn asked(node: &NodeFile, pod: &Pod, deletion: Deletion) -> Option<Request> {
    let asked = deletion.asked();
    let Reason { cause, by, phrase, sentence } = match &pod.meta.controller {
        Some(controller) => reason(node, pod, controller),
        None => deleted(None),
    };
    let seconds = deletion.grace_seconds;
    let period = match by {
        StopRequester::Deletion if seconds > 0 => Some(stop::deleted(SignedDuration::from_secs(seconds))),
        StopRequester::Deletion => Some(stop::deleted_now()),
        _ => None,
    };
    // The kubelet's last step sets the period to 0, whatever it was.
    let statement = match seconds {
        0 => "metadata.deletionTimestamp".to_owned(),
        seconds => format!("metadata.deletionTimestamp, deletionGracePeriodSeconds: {seconds}"),
    };
    Some(Request {
        cause,
        by,
        at: asked - SECOND,
        headline: phrase,
        explanation: period.into_iter().chain(sentence).collect(),
        evidence: vec![Evidence::new(Source::Api(Kind::Pods), asked, statement)],
        contributing: Vec::new(),
    })
}

/// Why a pod was deleted.
struct Reason {
    /// The cause that it is; `None` where it is a mere request.
    cause: Option<Cause>,
    by: StopRequester,
    /// Of a cause, the headline; else as it completes one.
    phrase: Message,
    /// As a sentence of the explanation.
    sentence: Option<Message>,
}

impl Reason {
    fn new(by: StopRequester, phrase: Message, sentence: impl Into<Option<Message>>) -> Self {
        Self { cause: None, by, phrase, sentence: sentence.into() }
    }
}

fn deleted(sentence: Option<Message>) -> Reason {
    Reason::new(StopRequester::Deletion, stop::reason_deleted(), sentence)
}

/// A name that leaves space for the rest of a headline.
fn short(name: &str) -> String {
    text::clean(name, 24)
}

/// What a workload is and what it belongs to, as a sentence.
fn belongs_to(owner: &Workload) -> Message {
    let (kind, name) = (owner.kind.name(), owner.meta.name.as_str());
    match &owner.meta.controller {
        Some(top) => stop::belongs_to_below(kind, name, &top.kind, &top.name),
        None => stop::deleted_of_unknown(kind, name),
    }
}

fn owner_deleted(owner: &Workload) -> Message {
    let (kind, name) = (owner.kind.name(), owner.meta.name.as_str());
    match &owner.meta.controller {
        Some(top) => stop::owner_deleted_below(kind, name, &top.kind, &top.name),
        None => stop::owner_deleted(kind, name),
    }
}

/// Why a controller deleted one of its pods.
fn reason(node: &NodeFile, pod: &Pod, controller: &Controller) -> Reason {
    let Some(owner) = node.objects.workload(&controller.uid) else {
        return deleted(Some(stop::deleted_of_unknown(&controller.kind, &controller.name)));
    };
    let own = (owner.kind.name(), owner.meta.name.as_str());
    if owner.deletion.is_some() {
        let (kind, name) = own;
        let phrase = stop::reason_owner_deleted(kind, short(name));
        return Reason::new(StopRequester::Deletion, phrase, owner_deleted(owner));
    }
    if owner.kind == WorkloadKind::Job {
        return job::reason(owner).unwrap_or_else(|| deleted(Some(belongs_to(owner))));
    }
    let rolled_out = |(kind, name): (&str, &str), sentence: Message| {
        Reason::new(StopRequester::Rollout, stop::reason_rollout(kind, text::clean(name, 20)), sentence)
    };
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
        let (kind, name) = (top.kind.as_str(), top.name.as_str());
        return rolled_out((kind, name), stop::rolled_out_to(kind, name, revision));
    }
    if let Some((label, newest)) = &owner.newest
        && pod.labels.get(label.as_ref()).is_some_and(|revision| revision != newest)
    {
        let (kind, name) = own;
        return rolled_out(own, stop::rolled_out(kind, name));
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
    let (kind, name) = top.map_or(own, |top| (top.kind.as_str(), top.name.as_str()));
    match owner.wanted {
        Some(wanted) if above(wanted) => {
            let phrase = stop::reason_scaled_down(kind, short(name), wanted);
            Reason::new(StopRequester::ScaleDown, phrase, stop::scaled_down(kind, name, wanted))
        }
        _ => deleted(Some(stop::deleted_of(kind, name))),
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1;
    use k8s_openapi::api::{apps::v1 as apps, core::v1 as core};
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::observation::kube::Change;

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
        reason(&node, pod, pod.meta.controller.as_ref().unwrap()).by
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
        assert_eq!(asked_by(&pod, [replica_set("3", 1)]), StopRequester::Deletion, "no other revision is known");
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
