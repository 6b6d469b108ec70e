//! An in-place resize of the pod waits or failed: conditions of 1.33 and later
//! (`pkg/kubelet/status/status_manager.go`).

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{Finding, PodCase};
use crate::{aspect::Aspect, observation::kube::Condition, text, verdict::Verdict};

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
    let (summary, explanation) = prose(cause);
    let verdict = Verdict::new(cause, Confidence::Certain, at)
        .not_fatal()
        .told(summary, format!("{explanation} {}", text::clean(&condition.message, 768)))
        .by(
            case.file.teller(),
            at,
            format!("condition {}, reason {}: {}", condition.kind, condition.reason, condition.message),
        );
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

fn prose(cause: Cause) -> (&'static str, &'static str) {
    match cause {
        Cause::ResizeInfeasible => (
            "Not resized: the node can never provide the resources",
            "The containers keep their former resources, since the node cannot provide those that are wanted now.",
        ),
        Cause::ResizeDeferred => (
            "Not resized yet: the node lacks the room at present",
            "The containers keep their former resources until other pods of the node have freed enough.",
        ),
        _ => ("Not resized: the kubelet could not apply the resources", "The kubelet keeps trying."),
    }
}
