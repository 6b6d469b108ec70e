//! The kubelet refused the pod before any of its containers started.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase};
use crate::{
    aspect::Aspect,
    messages::start,
    observation::kube::message::eviction::{Eviction, eviction},
    text,
    verdict::Verdict,
};

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    let pod = case.pod;
    // `pkg/kubelet/kubelet.go`, `rejectPod`: phase Failed, with the admission handler's reason, and no status of any
    // container.
    let never_ran = pod.statuses.iter().all(|status| status.id.is_empty() && status.last.is_none());
    let ended = ["DeadlineExceeded", "Terminated", "Preempting", "NodeLost", "Shutdown"].contains(&pod.reason.as_str());
    // The eviction manager also refuses pods, with the reason of its evictions (`pkg/kubelet/eviction`, `Admit`).
    let evicted = pod.reason == "Evicted" && !matches!(eviction(&pod.message), Some(Eviction::NotAdmitted(_)));
    if pod.phase != "Failed" || pod.reason.is_empty() || !never_ran || ended || evicted {
        return Vec::new();
    }
    let event = case.file.events(&pod.reason).next_back();
    let by_event = event.and_then(|known| known.first());
    let at = by_event.or(pod.started).unwrap_or(case.file.last_report);
    let mut verdict = Verdict::new(Cause::RejectedByNode, Confidence::Certain, at)
        .headed(start::start_not_admitted(text::clean(&pod.reason, 48)))
        .explained(start::start_not_admitted_why(&pod.message))
        .supported_by(case.file.reporter(), at, format!("status.reason {}: {}", pod.reason, pod.message));
    if let Some(known) = event {
        verdict = verdict.supported_by(known.source(), at, known.statement());
    }
    vec![Finding { aspect: Aspect::End, verdict, ripe: at }]
}
