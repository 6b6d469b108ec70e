//! An in-place resize of the pod waits or failed: conditions of 1.33 and later
//! (`pkg/kubelet/status/status_manager.go`).

use coroner_proto::v1::{Cause, Confidence, Message};
use jiff::SignedDuration;

use super::{Finding, PodCase};
use crate::{aspect::Aspect, messages::unwell, observation::kube::Condition, verdict::Verdict};

/// The kubelet tries a deferred resize again whenever resources become free.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    if case.file.has_ended() || case.pod.deletion.is_some() {
        return Vec::new();
    }
    let holds = |kind| case.pod.condition(kind).filter(|condition| condition.status == Some(true));
    let conditions = [holds("PodResizeInProgress"), holds("PodResizePending")];
    let found = conditions.into_iter().flatten().find_map(|condition| Some((condition, cause(condition)?)));
    let Some((condition, cause)) = found else { return Vec::new() };
    let at = condition.since.unwrap_or(case.file.last_report);
    let verdict = Verdict::new(cause, Confidence::Certain, at)
        .not_fatal()
        .headed(headline(cause))
        .explained(unwell::resize_kept(&condition.message))
        .supported_by(case.file.reporter(), at, condition.statement());
    vec![Finding { aspect: Aspect::Resize, verdict, ripe: at + PATIENCE }]
}

fn cause(condition: &Condition) -> Option<Cause> {
    match (condition.kind.as_str(), condition.reason.as_str()) {
        ("PodResizePending", "Infeasible") => Some(Cause::ResizeInfeasible),
        ("PodResizePending", "Deferred") => Some(Cause::ResizeDeferred),
        ("PodResizeInProgress", "Error") => Some(Cause::ResizeFailed),
        _ => None,
    }
}

fn headline(cause: Cause) -> Message {
    match cause {
        Cause::ResizeInfeasible => unwell::resize_infeasible(),
        Cause::ResizeDeferred => unwell::resize_deferred(),
        _ => unwell::resize_failed(),
    }
}
