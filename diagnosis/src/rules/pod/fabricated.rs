//! The kubelet made up how a container ended, because it could not find it any more.
//!
//! Mirrors `pkg/kubelet/kubelet_pods.go` and `pkg/kubelet/status/status_manager.go`: reason `ContainerStatusUnknown`,
//! always with exit code 137, though no process was sent SIGKILL for it.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase, admission, end_with_reason, fabricated_exit};
use crate::{
    aspect::Aspect,
    case::ContainerFile,
    messages::exit,
    observation::kube::{ContainerStatus, Terminated},
    rules::{fabricated::MADE_UP, stop::removal::removal},
    verdict::Verdict,
};

/// How its message ends where the kubelet had seen the container run.
const USED_TO_RUN: &str = "The container used to be Running";

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    // What ended the pod ended its containers; that their status was lost is only how the kubelet cleaned up.
    if removal(case.node, case.file).is_some() || admission::is_rejected(case.pod) {
        return Vec::new();
    }
    case.pod.statuses.iter().filter_map(|status| finding(case, status)).collect()
}

fn finding(case: PodCase<'_>, status: &ContainerStatus) -> Option<Finding> {
    let ended = end_with_reason(status, MADE_UP)?;
    let instance = case.instance(&status.name);
    // Of a container that ran in an earlier boot, it is that boot which has ended.
    let booted = case.node.state.booted;
    let of_earlier_boot =
        instance.is_none() && booted.is_some_and(|booted| case.pod.started.is_some_and(|at| at < booted));
    if !ran(status, ended, instance) || of_earlier_boot {
        return None;
    }
    let at = ended.finished.unwrap_or(case.file.last_report);
    let seen = instance.and_then(|file| Some((file, file.reported_exit()?)));
    let truth = seen
        .filter(|(file, _)| file.task_exit.is_some() || file.status.as_ref().is_some_and(|s| s.exited()))
        .map_or_else(exit::fabricated_unseen, |(_, seen)| match seen.what {
            code if code == ended.code => exit::fabricated_seen_equal(),
            code => exit::fabricated_seen(code),
        });
    let mut verdict = Verdict::new(Cause::StatusFabricated, Confidence::Certain, at)
        .headed(exit::fabricated_by_kubelet(ended.code))
        .explained(exit::fabricated_by_kubelet_why(ended.code))
        .explained(truth)
        .supported_by(case.file.reporter(), at, ended.statement());
    verdict.exit = Some(fabricated_exit(ended));
    Some(Finding { aspect: Aspect::Status { container: status.name.clone() }, verdict, ripe: at })
}

/// Whether the container has ever run. The kubelet makes up the same end for one that never started, once its pod is
/// removed.
fn ran(status: &ContainerStatus, ended: &Terminated, instance: Option<&ContainerFile>) -> bool {
    let started = instance.is_some_and(|file| {
        let by_runtime = file.status.as_ref().is_some_and(|status| status.started_at.is_some());
        file.task_started.is_some() || file.kubelet.is_some() || by_runtime
    });
    started
        || status.restarts > 0
        || ended.started.is_some()
        || !ended.id.is_empty()
        || ended.message.ends_with(USED_TO_RUN)
}
