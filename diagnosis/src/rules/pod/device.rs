//! A device of a running container is not healthy: by its plugin, whose report the kubelet passes on, or by the kernel
//! log.

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{Finding, PodCase};
use crate::{
    aspect::Aspect,
    case::ContainerFile,
    messages::unwell,
    observation::{
        Source,
        kube::{ContainerStatus, State},
    },
    rules::device::errors,
    verdict::Verdict,
};

/// A plugin that is started again reports its devices as unhealthy for a moment.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    if case.file.has_ended() {
        return Vec::new();
    }
    case.pod.statuses.iter().filter_map(|status| finding(case, status)).collect()
}

fn finding(case: PodCase<'_>, status: &ContainerStatus) -> Option<Finding> {
    if !matches!(status.state, State::Running { .. }) {
        return None;
    }
    let lives = |file: &&ContainerFile| file.reported_exit().is_none();
    let instance = case.instance(&status.name).filter(lives);
    let errors: Vec<_> = instance.into_iter().flat_map(|file| errors(case.node, file)).collect();
    let (confidence, at, why) = match (status.unhealthy.first(), errors.first()) {
        (Some((resource, id)), first) => {
            let at = first.map_or(case.file.last_report, |(at, _)| *at);
            (Confidence::Certain, at, unwell::device_unhealthy(resource, id))
        }
        (None, Some((at, line))) => (Confidence::Likely, *at, unwell::device_xid(line.event.code, &line.event.device)),
        (None, None) => return None,
    };
    let mut verdict = Verdict::new(Cause::DeviceFailed, confidence, at)
        .not_fatal()
        .headed(unwell::device_failed())
        .explained(why)
        .explained(unwell::device_failed_why());
    for (resource, id) in &status.unhealthy {
        verdict = verdict.supported_by(case.file.reporter(), at, format!("{resource} {id}: health Unhealthy"));
    }
    for (at, line) in &errors {
        verdict = verdict.supported_by(Source::KernelLog, *at, &line.text);
    }
    let ripe = if status.unhealthy.is_empty() { at } else { at + PATIENCE };
    Some(Finding { aspect: Aspect::Device { container: status.name.clone() }, verdict, ripe })
}
