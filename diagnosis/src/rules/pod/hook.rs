//! A hook of a container failed. Where the end of the container is observed, it names a hook after the start that
//! failed.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase, waiting};
use crate::{aspect::Aspect, messages::start, verdict::Verdict};

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    before_stop(case).into_iter().chain(after_start(case)).collect()
}

/// `pkg/kubelet/kuberuntime/kuberuntime_container.go`: the container was killed for it, and waits with the hook's
/// error.
fn after_start(case: PodCase<'_>) -> Vec<Finding> {
    let failures = waiting(case).filter(|(status, reason, _)| {
        *reason == "PostStartHookError" && case.instances(&status.name) == 0 && status.last.is_none()
    });
    let findings = failures.map(|(status, reason, message)| {
        let at = case.since(&status.name);
        let verdict = Verdict::new(Cause::PostStartHookFailed, Confidence::Certain, at)
            .not_fatal()
            .headed(start::start_post_start())
            .explained(start::start_post_start_why(message))
            .supported_by(case.file.reporter(), at, format!("waiting, {reason}: {message}"));
        Finding { aspect: Aspect::Start { container: status.name.clone() }, verdict, ripe: at }
    });
    findings.collect()
}

fn before_stop(case: PodCase<'_>) -> Vec<Finding> {
    let failures = case.file.events("FailedPreStopHook").filter_map(|known| {
        let container = known.event.about.container()?;
        let at = known.last()?;
        let verdict = Verdict::new(Cause::PreStopHookFailed, Confidence::Certain, at)
            .not_fatal()
            .headed(start::pre_stop_failed())
            .explained(start::pre_stop_failed_why(&known.event.message))
            .supported_by(known.source(), at, known.statement());
        Some(Finding { aspect: Aspect::Hook { container: container.to_owned() }, verdict, ripe: at })
    });
    failures.collect()
}
