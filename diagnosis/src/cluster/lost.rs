//! Pods of a node that is gone or does not respond: those that are deleted and cannot go, and those that were removed
//! without their node's part.
//!
//! The control plane marks a silent node's condition `Ready` as Unknown (`pkg/controller/nodelifecycle`). Only a
//! kubelet can confirm that the containers of a pod have ended, so a pod that is deleted meanwhile stays, until the
//! node is back, its Node object is deleted (`pkg/controller/podgc` removes its pods then), or a client removes it by
//! force.

use std::sync::Arc;

use coroner_proto::v1::{Cause, Confidence, SubjectKind, Workload};
use jiff::{SignedDuration, Timestamp};

use super::{Finding, file::ClusterFile};
use crate::{
    aspect::Aspect,
    messages::lost as texts,
    observation::{
        Source,
        kube::{self, Change, Condition, Controller, Kind, Meta, State, WorkloadKind},
    },
    report,
    verdict::Verdict,
};

/// A pod may take so much longer than its grace period.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);
/// The garbage collector removes the pods of a Node object that is gone after 40 s, and looks each 20 s
/// (`quarantineTime`, `gcCheckPeriod` in `pkg/controller/podgc/gc_controller.go`).
const COLLECTED: SignedDuration = SignedDuration::from_secs(90);

/// The label that pods of one ReplicaSet have in common.
pub(super) const HASH: &str = "pod-template-hash";

/// What the control plane holds of a node that does not respond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    since: Option<Timestamp>,
    /// The condition as evidence.
    text: Box<str>,
}

impl Lost {
    /// `None` of a node that responds.
    pub(super) fn of(node: &kube::Node) -> Option<Box<Self>> {
        let ready = node.condition("Ready").filter(|ready| ready.status.is_none())?;
        let text = format!("Ready=Unknown ({}): {}", ready.reason, ready.message);
        Some(Box::new(Self { since: ready.since, text: text.into() }))
    }
}

/// A pod of a node that is being deleted.
#[derive(Debug, PartialEq)]
pub(super) struct Leaving {
    /// When its grace period ends.
    due: Timestamp,
    controller: Option<Arc<Controller>>,
}

impl Leaving {
    /// `None` of a pod that is not deleted, has no node, or of which no container runs as far as its status shows.
    pub(super) fn of(pod: &kube::Pod, share: impl FnOnce(Controller) -> Arc<Controller>) -> Option<Box<Self>> {
        let deletion = pod.deletion.filter(|_| !pod.node.is_empty() && may_run(pod))?;
        Some(Box::new(Self { due: deletion.due, controller: pod.meta.controller.clone().map(share) }))
    }
}

/// A pod that was removed without its node's part.
#[derive(Debug)]
pub(super) struct Removed {
    meta: Meta,
    node: Box<str>,
    workloads: Vec<Workload>,
    at: Timestamp,
    why: Why,
    /// It was reported.
    pub(super) is_reported: bool,
    /// Its object is gone.
    pub(super) is_gone: bool,
}

/// How it is known.
#[derive(Debug)]
enum Why {
    /// By the condition that the garbage collector has set.
    Collected(Condition),
    /// By the reason that the node controller has set (`pkg/util/node`, `NodeUnreachablePodReason`), with its message.
    GivenUp(Box<str>),
    /// It was removed while its containers ran and there was no Node object.
    NoNode,
    /// The same while its node did not respond.
    NoAnswer(Lost),
}

/// Whether containers of a pod may run, as far as its status shows.
fn may_run(pod: &kube::Pod) -> bool {
    let ended = matches!(pod.phase.as_str(), "Failed" | "Succeeded");
    !ended && (pod.statuses.is_empty() || pod.statuses.iter().any(|of| matches!(of.state, State::Running { .. })))
}

/// Whether a pod goes with its node whenever that goes: it belongs to a DaemonSet, or is a static pod.
fn is_of_node(pod: &kube::Pod) -> bool {
    pod.meta.controller.as_ref().is_some_and(|of| matches!(of.kind.as_str(), "DaemonSet" | "Node"))
}

impl Removed {
    /// What was just reported of a pod, if that shows that it is removed so.
    pub(super) fn by(file: &ClusterFile, at: Timestamp, change: Change, pod: &kube::Pod) -> Option<Self> {
        if pod.node.is_empty() || is_of_node(pod) {
            return None;
        }
        let collected = pod
            .condition("DisruptionTarget")
            .filter(|condition| condition.status == Some(true) && condition.reason == "DeletionByPodGC");
        // One that is only deleted waits for its node.
        let given_up = || pod.phase == "Failed" && pod.reason == "NodeLost";
        let forced = || (change == Change::Deleted && may_run(pod) && !pod.statuses.is_empty()).then_some(());
        let (at, why) = match (collected, file.nodes.get(pod.node.as_str())) {
            (Some(condition), _) => (condition.since.unwrap_or(at), Why::Collected(condition.clone())),
            (None, _) if given_up() => {
                let since =
                    pod.condition("Ready").filter(|ready| ready.status == Some(false)).and_then(|ready| ready.since);
                (since.unwrap_or(at), Why::GivenUp(pod.message.as_str().into()))
            }
            (None, Some(node)) => (at, forced().and(node.lost.as_deref()).map(|lost| Why::NoAnswer(lost.clone()))?),
            (None, None) => (at, forced().filter(|()| file.shows_nodes()).map(|()| Why::NoNode)?),
        };
        let hash = pod.labels.get(HASH).map(String::as_str);
        Some(Self {
            meta: pod.meta.clone(),
            node: pod.node.as_str().into(),
            workloads: file.workloads_of(pod.meta.controller.as_ref(), hash),
            at,
            why,
            is_reported: false,
            is_gone: false,
        })
    }

    pub(super) fn finding(&self) -> Finding {
        let (at, node) = (self.at, &*self.node);
        let new = |confidence| Verdict::new(Cause::RemovedWithNode, confidence, at);
        let verdict = match &self.why {
            Why::Collected(condition) => new(Confidence::Certain)
                .headed(texts::lost_collected())
                .explained(texts::lost_collected_why(node))
                .supported_by(Source::Api(Kind::Pods), at, condition.statement()),
            Why::GivenUp(message) => new(Confidence::Certain)
                .headed(texts::lost_given_up())
                .explained(texts::lost_given_up_why(node))
                .supported_by(Source::Api(Kind::Pods), at, format!("status.reason NodeLost: {message}")),
            Why::NoNode => new(Confidence::Likely)
                .headed(texts::lost_collected())
                .explained(texts::lost_collected_why(node))
                .supported_by(Source::Api(Kind::Pods), at, texts::lost_removed_running())
                .supported_by(Source::Api(Kind::Nodes), at, texts::lost_no_object(node)),
            Why::NoAnswer(lost) => new(Confidence::Likely)
                .headed(texts::lost_forced())
                .explained(texts::lost_forced_why(node))
                .supported_by(Source::Api(Kind::Pods), at, texts::lost_removed_running())
                .supported_by(Source::Api(Kind::Nodes), lost.since.unwrap_or(at), &*lost.text),
        };
        Finding {
            meta: self.meta.clone(),
            kind: SubjectKind::Pod,
            node: self.node.clone(),
            workloads: self.workloads.clone(),
            aspect: Aspect::Removal,
            verdict,
            ripe: at,
        }
    }
}

/// A pod that is deleted and whose node cannot confirm its end.
pub(super) fn finding(file: &ClusterFile, uid: &str) -> Option<Finding> {
    let pod = file.pods.get(uid)?;
    let Leaving { due, controller } = pod.leaving.as_deref()?;
    let (due, node) = (*due, &*pod.node);
    let verdict = Verdict::new(Cause::StuckOnLostNode, Confidence::Certain, due).not_fatal();
    let (verdict, patience) = match file.nodes.get(node) {
        Some(known) => {
            let lost = known.lost.as_deref()?;
            let verdict = verdict.headed(texts::lost_stuck()).explained(texts::lost_stuck_why(node)).supported_by(
                Source::Api(Kind::Nodes),
                lost.since.unwrap_or(due),
                &*lost.text,
            );
            (verdict, PATIENCE)
        }
        None if file.shows_nodes() => {
            let verdict = verdict
                .headed(texts::lost_stuck_gone())
                .explained(texts::lost_stuck_gone_why(node))
                .supported_by(Source::Api(Kind::Nodes), due, texts::lost_no_object(node));
            (verdict, COLLECTED)
        }
        None => return None,
    };
    let is_replaced_later = controller.as_deref().is_some_and(|of| of.kind == WorkloadKind::StatefulSet.name());
    let verdict = verdict.explained(is_replaced_later.then(texts::lost_stateful_set)).supported_by(
        Source::Api(Kind::Pods),
        due,
        texts::lost_overdue(),
    );
    Some(Finding {
        meta: pod.meta(uid),
        kind: SubjectKind::Pod,
        node: node.into(),
        workloads: file.workloads_of(controller.as_deref(), pod.shape.labels.value(HASH)),
        aspect: Aspect::Lost,
        verdict,
        ripe: due + patience,
    })
}

impl ClusterFile {
    /// Whether a Node that is not on file does not exist. A watch that shows none at all proves nothing.
    fn shows_nodes(&self) -> bool {
        self.watched(Kind::Nodes) && !self.nodes.is_empty()
    }

    /// The workloads that a pod belongs to, by its controller and the value of its label [`HASH`]: the nearest first.
    pub(super) fn workloads_of(&self, nearest: Option<&Controller>, hash: Option<&str>) -> Vec<Workload> {
        let Some(nearest) = nearest else { return Vec::new() };
        let above = self.workloads.get(&*nearest.uid).and_then(|workload| workload.controller.as_deref().cloned());
        let above = above.or_else(|| report::deployment_of(nearest, hash));
        report::workloads([Some(nearest), above.as_ref()])
    }
}
