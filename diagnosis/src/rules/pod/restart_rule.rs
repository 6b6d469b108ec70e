//! A restart rule of the pod removed a container that no source saw end: `pkg/kubelet/kubelet_pods.go` reports
//! `RestartingAllContainers` with exit code 137 of it.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase, end_with_reason, fabricated_exit};
use crate::{
    aspect::Aspect, observation::kube::ContainerStatus, rules::stop::restart_rule::restarting, text, verdict::Verdict,
};

/// The kubelet's reason.
const REASON: &str = "RestartingAllContainers";

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    case.pod.statuses.iter().filter_map(|status| finding(case, status)).collect()
}

fn finding(case: PodCase<'_>, status: &ContainerStatus) -> Option<Finding> {
    let ended = end_with_reason(status, REASON)?;
    // Where its end was seen, the diagnosis of the container says why.
    if case.instance(&status.name).is_some_and(|file| file.task_exit.is_some()) {
        return None;
    }
    let condition = restarting(case.pod);
    let at = condition.and_then(|condition| condition.since).or(ended.finished).unwrap_or(case.file.last_report);
    let trigger = condition.map_or_else(String::new, |condition| format!(": {}", text::clean(&condition.message, 512)));
    let mut verdict = Verdict::new(Cause::StoppedByRestartRule, Confidence::Certain, at)
        .told(
            "Stopped by a restart rule of its pod",
            format!(
                "Another container of the pod exited, for which its restartPolicyRules restart all containers{trigger}. \
                 The kubelet removed this one without a grace period; its exit code {} is no status of the program.",
                ended.code
            ),
        )
        .by(case.file.teller(), at, format!("{} {}: {}", ended.reason, ended.code, text::clean(&ended.message, 512)));
    if let Some(condition) = condition {
        let said = format!("condition AllContainersRestarting, reason {}: {}", condition.reason, condition.message);
        verdict = verdict.by(case.file.teller(), at, said);
    }
    verdict.exit = Some(fabricated_exit(ended));
    Some(Finding { aspect: Aspect::Status { container: status.name.clone() }, verdict, ripe: at })
}
