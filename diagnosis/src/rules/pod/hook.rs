//! A hook of a container failed. Where the end of the container is observed, it names a hook after the start that
//! failed.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase, waiting};
use crate::{aspect::Aspect, text, verdict::Verdict};

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
            .told(
                "Cannot start: its postStart hook failed",
                format!("The kubelet stops a container whose postStart hook fails: {}", text::clean(message, 512)),
            )
            .by(case.file.teller(), at, format!("waiting, {reason}: {message}"));
        Finding { aspect: Aspect::Start { container: status.name.clone() }, verdict, ripe: at }
    });
    findings.collect()
}

fn before_stop(case: PodCase<'_>) -> Vec<Finding> {
    let failures = case.file.events("FailedPreStopHook").filter_map(|known| {
        let container = known.event.about.container()?;
        let at = *known.times.last()?;
        let verdict = Verdict::new(Cause::PreStopHookFailed, Confidence::Certain, at)
            .not_fatal()
            .told(
                "Its preStop hook failed; it was stopped all the same",
                format!(
                    "The hook runs within the grace period before the container is asked to stop. It failed, so what \
                     it was to do \
                     was not done: {}",
                    text::clean(&known.event.message, 512)
                ),
            )
            .by(known.source(), at, known.said());
        Some(Finding { aspect: Aspect::Hook { container: container.to_owned() }, verdict, ripe: at })
    });
    failures.collect()
}
