//! A hook of a container failed. Where the end of the container is observed, it names a hook after the start that
//! failed.

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{Finding, PodCase, waiting};
use crate::{aspect::Aspect, case::ContainerFile, messages::start, rules::death::CLOCKS, verdict::Verdict};

/// Within this time the end of a container is reported by all who report it, before or after the event of its hook.
const REPORTED: SignedDuration = SignedDuration::from_secs(5);

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
        let killed = was_killed(&known.event.message);
        if killed && ended_before_due(case, container) {
            return None;
        }
        let verdict = Verdict::new(Cause::PreStopHookFailed, Confidence::Certain, at)
            .not_fatal()
            .headed(start::pre_stop_failed())
            .explained(start::pre_stop_failed_why(&known.event.message))
            .supported_by(known.source(), at, known.statement());
        let ripe = if killed { at + REPORTED } else { at };
        Some(Finding { aspect: Aspect::Hook { container: container.to_owned() }, verdict, ripe })
    });
    failures.collect()
}

/// Whether a hook was killed: `… failed - error: command 'nginx -s quit; sleep 29' exited with 137: …`.
fn was_killed(message: &str) -> bool {
    let status = message.rsplit_once("' exited with ").and_then(|(_, rest)| rest.split_once(':'));
    status.is_some_and(|(status, _)| status == "137")
}

/// Whether a container ended before its grace period was over, as by what its hook did. The kernel then kills the hook:
/// it ends all processes of a container with its main process.
fn ended_before_due(case: PodCase<'_>, container: &str) -> bool {
    let due = case.file.deletion.map(|deletion| deletion.due);
    let ended = case.instance(container).and_then(ContainerFile::ended_at);
    due.zip(ended).is_some_and(|(due, ended)| ended < due - CLOCKS)
}
