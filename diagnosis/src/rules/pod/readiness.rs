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
            ContainerStatus, Probe, Probes, State,
            message::probe::{Which, timed_out},
        },
    },
    rules::probe,
    verdict::Verdict,
};

/// A container may take so long after its start to become ready.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);
/// How long a rollout may wait for a pod that starts: the default of `progressDeadlineSeconds`.
const START: i32 = 600;
/// The value of `progressDeadlineSeconds` that stands for no deadline (`HasProgressDeadline` in
/// `pkg/controller/deployment/util/deployment_util.go`).
const NO_DEADLINE: i32 = i32::MAX;
/// What a probe or a rollout allows counts up to a day, in seconds.
const DAY: i32 = 86_400;

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
    let ripe = began + PATIENCE.max(allowance(readiness));
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
        .usual_until(usual_until(case, status, &wanted.probes, began))
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

/// How long after it may begin a probe may fail until that counts; at most a day.
fn allowance(probe: &Probe) -> SignedDuration {
    let in_a_row = i64::from(probe.failure_threshold.max(1)) * i64::from(probe.period_seconds.max(1));
    SignedDuration::from_secs((i64::from(probe.initial_delay_seconds.max(0)) + in_a_row).min(DAY.into()))
}

/// Until when a rollout waits for the first instance of a container, which has not become ready since its start.
fn usual_until(case: PodCase<'_>, status: &ContainerStatus, probes: &Probes, began: Timestamp) -> Option<Timestamp> {
    // The pod was ready once if it has ceased to be since.
    let never = case.pod.condition("Ready").and_then(|ready| ready.since).is_none_or(|since| since <= began);
    let wait = progress_deadline(case).unwrap_or(START).clamp(0, DAY);
    // The readiness probe begins when the startup probe has succeeded.
    let allowed = [&probes.startup, &probes.readiness].into_iter().flatten().map(allowance);
    let allowed = allowed.fold(SignedDuration::ZERO, |sum, more| sum.saturating_add(more));
    let until = began.saturating_add(allowed.max(SignedDuration::from_secs(i64::from(wait)))).ok()?;
    (status.restarts == 0 && never && case.now < until).then_some(until)
}

/// How long the Deployment that the pod belongs to waits for progress, in seconds; `None` without a deadline.
fn progress_deadline(case: PodCase<'_>) -> Option<i32> {
    let nearest = case.node.objects.workload(&case.pod.meta.controller.as_ref()?.uid)?;
    let above = nearest.meta.controller.as_ref().and_then(|above| case.node.objects.workload(&above.uid));
    above.unwrap_or(nearest).progress_deadline_seconds.filter(|deadline| *deadline != NO_DEADLINE)
}
