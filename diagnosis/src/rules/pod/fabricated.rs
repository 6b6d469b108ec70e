//! The kubelet made up how a container ended, because it could not find it any more.
//!
//! Mirrors `pkg/kubelet/kubelet_pods.go` and `pkg/kubelet/status/status_manager.go`: reason `ContainerStatusUnknown`,
//! always with exit code 137, though nobody was sent SIGKILL for it.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase, end_with_reason, fabricated_exit};
use crate::{aspect::Aspect, observation::kube::ContainerStatus, text, verdict::Verdict};

/// The reason that is only given to what was made up.
const MADE_UP: &str = "ContainerStatusUnknown";

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    case.pod.statuses.iter().filter_map(|status| finding(case, status)).collect()
}

fn finding(case: PodCase<'_>, status: &ContainerStatus) -> Option<Finding> {
    let ended = end_with_reason(status, MADE_UP)?;
    let instance = case.instance(&status.name);
    let at = ended.finished.unwrap_or(case.file.last_report);
    let seen = instance.and_then(|file| Some((file, file.reported_exit()?)));
    let truth =
        match seen.filter(|(file, _)| file.task_exit.is_some() || file.status.as_ref().is_some_and(|s| s.exited())) {
            Some((_, exit)) => format!("The node saw it end with code {}; a diagnosis of its own says why.", exit.what),
            None => "How it really ended, nobody on the node saw.".to_owned(),
        };
    let mut verdict = Verdict::new(Cause::StatusFabricated, Confidence::Certain, at)
        .told(
            format!("Exit code {} is made up: the kubelet did not find the container any more", ended.code),
            format!(
                "The kubelet had to report an end and did not know any: its runtime no longer had the container. It \
                 always reports {} then. {truth}",
                ended.code
            ),
        )
        .by(case.file.teller(), at, format!("{} {}: {}", ended.reason, ended.code, text::clean(&ended.message, 512)));
    verdict.exit = Some(fabricated_exit(ended));
    Some(Finding { aspect: Aspect::Status { container: status.name.clone() }, verdict, ripe: at })
}
