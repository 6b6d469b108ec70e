//! A container runs and is not ready.

use coroner_proto::v1::{Cause, Confidence};
use jiff::{SignedDuration, Timestamp};

use super::{Finding, PodCase};
use crate::{
    aspect::Aspect,
    observation::kube::{
        ContainerStatus, State,
        message::probe::{Which, timed_out},
    },
    rules::probe,
    text,
    verdict::Verdict,
};

/// A container may take so long after its start to become ready.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

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
    let got = answer.map_or_else(
        || "What it got is not known: the kubelet's events were not heard.".to_owned(),
        |answer| format!("What it got: {}.", text::clean(answer, 512)),
    );
    let throttled = answer
        .filter(|answer| timed_out(answer))
        .and_then(|_| case.instance(&status.name))
        .and_then(|file| probe::throttling(case.node, file, began, case.now));
    let mut verdict = Verdict::new(Cause::ReadinessProbeFailed, confidence, began)
        .not_fatal()
        .told(
            "Runs and is not ready: its readiness probe fails",
            format!(
                "The kubelet asks {} every {} s and waits {} s for the answer. {got}{}",
                text::clean(&readiness.what, 256),
                readiness.period_seconds,
                readiness.timeout_seconds,
                throttled.as_ref().map_or_else(String::new, |words| format!(" {words}")),
            ),
        )
        .by(case.file.teller(), began, "running, ready: false");
    if let Some((known, at)) = last {
        verdict = verdict.by(known.source(), at, known.said());
    }
    if let Some(words) = throttled {
        verdict = verdict.by(crate::observation::Source::Cgroups, case.now, words).with(Cause::CpuThrottled);
    }
    Some(Finding { aspect: Aspect::Ready { container: status.name.clone() }, verdict, ripe })
}
