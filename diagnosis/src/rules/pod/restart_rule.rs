//! A restart rule of the pod removed a container that no source saw end: `pkg/kubelet/kubelet_pods.go` reports
//! `RestartingAllContainers` with exit code 137 of it.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase, end_with_reason, fabricated_exit};
use crate::{
    aspect::Aspect,
    case::ContainerFile,
    messages::stop,
    observation::{cri::State, kube::ContainerStatus},
    rules::death::CLOCKS,
    verdict::Verdict,
};

/// The kubelet's reason.
const REASON: &str = "RestartingAllContainers";

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    case.pod.statuses.iter().filter_map(|status| finding(case, status)).collect()
}

fn finding(case: PodCase<'_>, status: &ContainerStatus) -> Option<Finding> {
    let ended = end_with_reason(status, REASON)?;
    let (since, condition) = case.file.restarts().next().unzip();
    // Where its end was observed, that of the container that triggered the rule included, the diagnosis of the
    // container gives the cause.
    let observed = |file: &&ContainerFile| {
        let by_runtime = file.status.as_ref().is_some_and(|status| status.state == State::Exited);
        let end = file.reported_exit().filter(|_| by_runtime || file.task_exit.is_some());
        end.is_some_and(|end| since.is_none_or(|since| end.at >= since - CLOCKS))
    };
    if case.instances_of(&status.name).any(|file| observed(&file)) {
        return None;
    }
    let at = since.or(ended.finished).unwrap_or(case.file.last_report);
    let mut verdict = Verdict::new(Cause::StoppedByRestartRule, Confidence::Certain, at)
        .headed(stop::rule_applied())
        .explained(condition.map(|condition| stop::rule_trigger(&condition.message)))
        .explained(stop::rule_removed(ended.code))
        .supported_by(case.file.reporter(), at, ended.statement());
    if let Some(condition) = condition {
        verdict = verdict.supported_by(case.file.reporter(), at, condition.statement());
    }
    verdict.exit = Some(fabricated_exit(ended));
    Some(Finding { aspect: Aspect::Status { container: status.name.clone() }, verdict, ripe: at })
}
