//! A container runs and is not ready.

use coroner_proto::v1::{Cause, Confidence};
use jiff::{SignedDuration, Timestamp};

use super::{Finding, PodCase};
use crate::{
    aspect::Aspect,
    messages::unwell,
    observation::{
        Source,
        kube::{
            ContainerStatus, State,
            message::probe::{Which, timed_out},
        },
    },
    rules::probe,
    verdict::Verdict,
};

/// A container may take so long after its start to become ready.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);
/// How long a rollout may wait for a pod that starts: the default of `progressDeadlineSeconds`.
const START: SignedDuration = SignedDuration::from_secs(600);

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    if case.pod.deletion.is_some() || case.file.has_ended() {
        return Vec::new();
    }
    case.pod.statuses.iter().filter_map(|status| finding(case, status)).collect()
}

fn finding(case: PodCase<'_>, status: &ContainerStatus) -> Option<Finding> {
    let State::Running { since } = status.state else { return None };
    // A startup probe that has not succeeded yet holds the others back.
    if status.ready || status.started == Some(false) {
        return None;
    }
    let wanted = case.pod.container(&status.name)?;
    let readiness = wanted.probes.readiness.as_ref()?;
    let began = since.unwrap_or(case.file.last_report);
    let failures = probe::results(case.file, &status.name, Which::Readiness);
    let last = failures.last().and_then(|known| Some((*known, known.last_between(began, Timestamp::MAX)?)));
    let in_a_row = i64::from(readiness.failure_threshold.max(1)) * i64::from(readiness.period_seconds.max(1));
    let delay = i64::from(readiness.initial_delay_seconds.max(0)) + in_a_row;
    let ripe = began + PATIENCE.max(SignedDuration::from_secs(delay.min(86_400)));
    let answer = last.map(|(known, _)| probe::answer(&known.event.message));
    let confidence = if answer.is_some() { Confidence::Certain } else { Confidence::Likely };
    let throttled = answer
        .filter(|answer| timed_out(answer))
        .and_then(|_| case.instance(&status.name))
        .and_then(|file| probe::throttling(case.node, file, began, case.now));
    let stalled = answer
        .filter(|answer| timed_out(answer))
        .and_then(|_| probe::stall(case.instance(&status.name)?, began, case.now));
    let mut verdict = Verdict::new(Cause::ReadinessProbeFailed, confidence, began)
        .not_fatal()
        .usual_if(is_starting(case, status, began))
        .headed(unwell::unready())
        .explained(probe::asks(readiness))
        .explained(probe::got(answer))
        .explained(throttled.map(probe::Throttling::explanation))
        .explained(stalled.map(probe::Stall::explanation))
        .supported_by(case.file.reporter(), began, "running, ready: false");
    if let Some((known, at)) = last {
        verdict = verdict.supported_by(known.source(), at, known.statement());
    }
    if let Some(throttling) = throttled {
        verdict = verdict.supported_by(Source::Cgroups, case.now, throttling.statement()).with(Cause::CpuThrottled);
    }
    if let Some(stall) = stalled {
        verdict = verdict.supported([stall.evidence()]).with(stall.cause);
    }
    Some(Finding { aspect: Aspect::Ready { container: status.name.clone() }, verdict, ripe })
}

/// Whether the first instance of a container has not become ready since its start, and a rollout would still wait for
/// it.
fn is_starting(case: PodCase<'_>, status: &ContainerStatus, began: Timestamp) -> bool {
    // The pod was ready once if it has ceased to be since.
    let never = case.pod.condition("Ready").and_then(|ready| ready.since).is_none_or(|since| since <= began);
    status.restarts == 0 && never && case.now < began + START
}
