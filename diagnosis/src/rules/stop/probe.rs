//! The kubelet stopped a container because its liveness or startup probe failed.

use coroner_proto::v1::{Cause, StopRequester};
use jiff::SignedDuration;

use super::Request;
use crate::{
    case::PodFile,
    observation::{
        Source,
        kube::message::{
            self,
            probe::{Which, timed_out},
        },
    },
    rules::{
        death::{CLOCKS, Death},
        probe::{answer, results, throttling, wanted},
    },
    text,
};

/// The kubelet's decision to kill this instance for a failed probe.
pub(super) fn kill(death: &Death<'_>, pod: &PodFile) -> Option<Request> {
    let container = death.file.name()?;
    let (from, to) = (death.file.first_seen - CLOCKS, death.at + CLOCKS);
    let kills = pod.events("Killing").filter(|known| known.event.about.container() == Some(container));
    let decided = kills
        .filter_map(|known| Some((message::probe::kill(&known.event.message)?, known, known.last_between(from, to)?)));
    let (which, killing, at) = decided.max_by_key(|(_, _, at)| *at)?;
    let mut said = vec![(killing.source(), at, killing.event.message.clone())];
    let probe = wanted(pod, container, which);
    let results = results(pod, container, which);
    let got = results.iter().rev().find_map(|known| Some((*known, known.last_between(from, at + CLOCKS)?)));
    if let Some((known, last)) = got {
        said.push((known.source(), last, known.said()));
    }
    let answer = got.map(|(known, _)| answer(&known.event.message));
    let asked = probe.as_ref().map_or_else(String::new, |probe| {
        format!(
            " ({}, every {} s, {} s to answer, {} failures in a row)",
            text::clean(&probe.what, 256),
            probe.period_seconds,
            probe.timeout_seconds,
            probe.failure_threshold
        )
    });
    let throttled = answer.is_some_and(timed_out).then(|| throttling(death.node, death.file, from, at)).flatten();
    let mut explanation = format!(
        "The kubelet ran the {} probe{asked} and decided to restart the container. What the probe got: {}.",
        which.name(),
        answer.map_or_else(|| "not known".to_owned(), |answer| text::clean(answer, 512)),
    );
    if let Some(words) = &throttled {
        explanation = format!("{explanation} {words}");
        said.push((Source::Cgroups, at, words.clone()));
    }
    Some(Request {
        cause: Some(match which {
            Which::Startup => Cause::StartupProbeFailed,
            Which::Liveness | Which::Readiness => Cause::LivenessProbeFailed,
        }),
        by: StopRequester::Probe,
        at: at - SignedDuration::from_secs(1),
        summary: format!("Restarted by the kubelet: its {} probe failed", which.name()),
        explanation,
        said,
        contributing: throttled.map(|_| Cause::CpuThrottled),
    })
}
