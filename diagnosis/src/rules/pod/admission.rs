//! The kubelet refused the pod: before any of its containers started, or after a restart of the kubelet or the node.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase};
use crate::{
    aspect::Aspect,
    messages::{next, start},
    observation::kube::{
        self,
        message::eviction::{Eviction, eviction},
    },
    text,
    verdict::Verdict,
};

/// Reasons that only admission gives, beside `OutOf…` (`pkg/kubelet/lifecycle`, `pkg/kubelet/cm/admission`, and the
/// handlers of sysctls, topology and volumes).
const REASONS: [&str; 21] = [
    "UnexpectedAdmissionError",
    "InvalidNodeInfo",
    "UnknownReason",
    "UnexpectedPredicateFailureType",
    "PodOSSelectorNodeLabelDoesNotMatch",
    "PodOSNotSupported",
    "InitContainerRestartPolicyForbidden",
    "SupplementalGroupsPolicyNotSupported",
    "PodLevelResourcesNotSupported",
    "PodFeatureUnsupported",
    "AppArmor",
    "SysctlForbidden",
    "TopologyAffinityError",
    "EmptyPodSharedPoolError",
    "SMTAlignmentError",
    "VolumeAttachmentLimitExceeded",
    "NodeShutdown",
    "NodeAffinity",
    "NodeName",
    "NodePorts",
    "TaintToleration",
];
/// Reasons of what ends a pod that was admitted.
const ENDED: [&str; 6] = ["DeadlineExceeded", "Terminated", "Preempting", "NodeLost", "Shutdown", "Evicted"];

/// Whether the kubelet refused it (`pkg/kubelet/kubelet.go`, `rejectPod`): phase Failed, with the admission handler's
/// reason. A pod that is refused after a restart keeps the statuses of its containers.
pub(super) fn is_rejected(pod: &kube::Pod) -> bool {
    let never_ran = || pod.statuses.iter().all(|status| status.id.is_empty() && status.last.is_none());
    let unknown = !pod.reason.is_empty() && !ENDED.contains(&pod.reason.as_str());
    pod.phase == "Failed" && (is_of_admission(pod) || unknown && never_ran())
}

/// Whether reason or message is one that only admission gives.
fn is_of_admission(pod: &kube::Pod) -> bool {
    let by_reason = pod.reason.starts_with("OutOf") || REASONS.contains(&pod.reason.as_str());
    // The eviction manager also refuses pods, with the reason of its evictions (`pkg/kubelet/eviction`, `Admit`).
    let not_admitted = || pod.reason == "Evicted" && matches!(eviction(&pod.message), Some(Eviction::NotAdmitted(_)));
    by_reason || not_admitted() || pod.message.starts_with("Pod was rejected: ")
}

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    let pod = case.pod;
    if !is_rejected(pod) {
        return Vec::new();
    }
    let event = case.file.events(&pod.reason).next_back();
    let by_event = event.and_then(|known| known.first());
    let at = by_event.or(pod.started).unwrap_or(case.file.last_report);
    let confidence = if is_of_admission(pod) { Confidence::Certain } else { Confidence::Likely };
    let mut verdict = Verdict::new(Cause::RejectedByNode, confidence, at)
        .headed(start::start_not_admitted(text::clean(&pod.reason, 48)))
        .explained(start::start_not_admitted_why(&pod.message))
        .supported_by(case.file.reporter(), at, format!("status.reason {}: {}", pod.reason, pod.message));
    // Where the node takes no pod, its state is the reason, not what the pod asks for.
    if matches!(pod.reason.as_str(), "Evicted" | "NodeShutdown") {
        verdict = verdict.next(next::next_node_why(&case.node.node.name));
    }
    if let Some(known) = event {
        verdict = verdict.supported_by(known.source(), at, known.statement());
    }
    vec![Finding { aspect: Aspect::End, verdict, ripe: at }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::kube::{ContainerStatus, Pod};

    #[test]
    fn a_reason_of_admission_counts_whether_it_ran_before_or_not() {
        let ran = || vec![ContainerStatus { id: "1".to_owned(), ..ContainerStatus::default() }];
        let pod = |reason: &str, statuses| Pod {
            phase: "Failed".to_owned(),
            reason: reason.to_owned(),
            statuses,
            ..Pod::default()
        };
        for reason in ["UnexpectedAdmissionError", "OutOfcpu", "NodeAffinity"] {
            assert!(is_rejected(&pod(reason, ran())) && is_rejected(&pod(reason, Vec::new())), "{reason}");
        }
        assert!(is_rejected(&pod("ByPlugin", Vec::new())) && !is_rejected(&pod("ByPlugin", ran())));
        for reason in ["", "Evicted", "DeadlineExceeded"] {
            assert!(!is_rejected(&pod(reason, Vec::new())), "{reason}");
        }
    }
}
