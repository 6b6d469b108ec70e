//! The kubelet stopped a container because its liveness or startup probe failed.

use coroner_proto::v1::{Cause, Message, StopRequester};
use jiff::SignedDuration;

use super::{DELAY, Request, SECOND};
use crate::{
    case::{Occurrences, PodFile},
    messages::stop,
    observation::{
        Source,
        kube::{
            Probe,
            message::{
                self,
                probe::{Which, timed_out},
            },
        },
    },
    rules::{
        death::{CLOCKS, Death},
        probe::{Stall, Throttling, answer, asks, got, results, stall, throttling, wanted},
    },
    verdict::Evidence,
};

/// Failures of the liveness probe that were as many as it takes, just before an end as by a stop: events are best
/// effort, and the one about the kill itself may be lost.
pub(in crate::rules) fn inferred(death: &Death<'_>) -> Option<Request> {
    let container = death.file.name()?;
    let pod = death.node.pod_of(death.file)?;
    let probe = wanted(pod, container, Which::Liveness)?;
    let stopped = death.code == Some(143) || death.code == Some(137) && death.covered(Source::KernelLog);
    let (from, to) = (death.file.first_seen - CLOCKS, death.at + DELAY);
    let enough = |known: &&Occurrences| known.count_since(from, to) >= probe.failure_threshold.max(1);
    let results = results(pod, container, Which::Liveness);
    let failed = results.iter().rev().copied().find(enough);
    let (failed, at) = failed.and_then(|known| Some((known, known.last_between(from, to)?))).filter(|_| stopped)?;
    let answer = Some(answer(&failed.event.message));
    Some(Request {
        cause: Some(Cause::LivenessProbeFailed),
        by: StopRequester::Probe,
        at: at.min(death.at) - SECOND,
        headline: headline(Which::Liveness, Some(&probe), is_restarted(death, pod)),
        explanation: vec![asks(&probe), got(answer), stop::probe_kill_inferred()],
        evidence: vec![Evidence::new(failed.source(), at, failed.statement())],
        contributing: Vec::new(),
    })
}

/// Whether the kubelet starts the container again, as far as its Pod is known.
fn is_restarted(death: &Death<'_>, pod: &PodFile) -> bool {
    let object = pod.object();
    let wanted = object.zip(death.file.name()).and_then(|(pod, name)| Some((pod, pod.container(name)?)));
    wanted.is_none_or(|(pod, wanted)| pod.restarts(wanted, death.code))
}

fn headline(which: Which, probe: Option<&Probe>, restarted: bool) -> Message {
    let failures = probe.map(|probe| probe.failure_threshold.max(1));
    match (which, failures) {
        (Which::Startup, _) if restarted => stop::probe_startup_failed(),
        (Which::Startup, _) => stop::probe_startup_ended(),
        (_, Some(failures)) if restarted => stop::probe_liveness_failed(failures),
        (_, Some(failures)) => stop::probe_liveness_ended(failures),
        (_, None) if restarted => stop::probe_liveness_failed_some(),
        (_, None) => stop::probe_liveness_ended_some(),
    }
}

/// The kubelet's decision to kill this instance for a failed probe.
pub(super) fn kill(death: &Death<'_>, pod: &PodFile) -> Option<Request> {
    let container = death.file.name()?;
    let (from, to) = (death.file.first_seen - CLOCKS, death.at + CLOCKS);
    let kills = pod.events("Killing").filter(|known| known.event.about.container() == Some(container));
    let decided = kills
        .filter_map(|known| Some((message::probe::kill(&known.event.message)?, known, known.last_between(from, to)?)));
    let (which, killing, at) = decided.max_by_key(|(_, _, at)| *at)?;
    let mut evidence = vec![Evidence::new(killing.source(), at, killing.statement())];
    let probe = wanted(pod, container, which);
    let results = results(pod, container, which);
    let last = results.iter().rev().find_map(|known| Some((*known, known.last_between(from, at + CLOCKS)?)));
    if let Some((known, at)) = last {
        evidence.push(Evidence::new(known.source(), at, known.statement()));
    }
    let answer = last.map(|(known, _)| answer(&known.event.message));
    let throttled = answer.is_some_and(timed_out).then(|| throttling(death.node, death.file, from, at)).flatten();
    let stalled = answer.is_some_and(timed_out).then(|| stall(death.file, from, at)).flatten();
    evidence.extend(stalled.map(Stall::evidence));
    evidence.extend(throttled.map(|throttling| Evidence::new(Source::Cgroups, at, throttling.statement())));
    let explanation =
        probe.as_ref().map(asks).into_iter().chain([got(answer)]).chain(throttled.map(Throttling::explanation));
    let explanation = explanation.chain(stalled.map(Stall::explanation));
    Some(Request {
        cause: Some(match which {
            Which::Startup => Cause::StartupProbeFailed,
            Which::Liveness | Which::Readiness => Cause::LivenessProbeFailed,
        }),
        by: StopRequester::Probe,
        at: at - SignedDuration::from_secs(1),
        headline: headline(which, probe.as_ref(), is_restarted(death, pod)),
        explanation: explanation.collect(),
        evidence,
        contributing: throttled
            .map(|_| Cause::CpuThrottled)
            .into_iter()
            .chain(stalled.map(|stall| stall.cause))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::english;

    #[test]
    fn a_container_is_restarted_only_in_headlines_of_those_that_are() {
        let probe = Probe { failure_threshold: 3, ..Probe::default() };
        for (which, probe) in [(Which::Liveness, Some(&probe)), (Which::Liveness, None), (Which::Startup, None)] {
            for (restarted, begin) in [(true, "Restarted by the kubelet: "), (false, "Stopped by the kubelet: ")] {
                let headline = english(&headline(which, probe, restarted));
                assert!(headline.starts_with(begin) && headline.chars().count() <= 80, "{headline}");
            }
        }
    }
}
