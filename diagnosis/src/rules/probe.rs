//! The kubelet stopped a container because its liveness or startup probe failed.

use coroner_proto::v1::{Cause, StopRequester};
use jiff::{SignedDuration, Timestamp};

use super::{
    death::{CLOCKS, Death},
    request::Request,
};
use crate::{
    case::{ContainerFile, NodeFile, Occurrences, PodFile},
    observation::{
        Source,
        kube::{Kind, Probe},
    },
    text,
};

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Liveness,
    Startup,
    Readiness,
}

impl Which {
    /// How the kubelet's events call it (`pkg/kubelet/prober/prober.go`, `pkg/kubelet/kuberuntime/kuberuntime_manager.go`).
    const fn name(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Startup => "startup",
            Self::Readiness => "readiness",
        }
    }

    fn of(self, pod: &PodFile, container: &str) -> Option<Probe> {
        let probes = &pod.object()?.container(container)?.probes;
        match self {
            Self::Liveness => probes.liveness.clone(),
            Self::Startup => probes.startup.clone(),
            Self::Readiness => probes.readiness.clone(),
        }
    }
}

impl Occurrences {
    /// Where events come from.
    pub(super) fn source(&self) -> Source {
        Source::Api(Kind::Events)
    }

    /// The event, as evidence.
    pub(super) fn said(&self) -> String {
        format!("{}: {} (by {}, {}x)", self.event.reason, self.event.message, self.event.by, self.event.count.max(1))
    }
}

/// The kubelet's decision to kill this instance for a failed probe.
pub(super) fn kill(death: &Death<'_>, pod: &PodFile) -> Option<Request> {
    let container = death.file.name()?;
    let (from, to) = (death.file.first_seen - CLOCKS, death.at + CLOCKS);
    let kills = pod.events("Killing").filter(|known| known.event.about.container() == Some(container));
    // `Container web failed liveness probe, will be restarted`.
    let decided = kills.filter_map(|known| {
        let failed = |which: Which| known.event.message.contains(&format!("failed {} probe", which.name()));
        let which = [Which::Liveness, Which::Startup].into_iter().find(|which| failed(*which))?;
        Some((which, known, known.last_between(from, to)?))
    });
    let (which, killing, at) = decided.max_by_key(|(_, _, at)| *at)?;
    let mut said = vec![(killing.source(), at, killing.event.message.clone())];
    let probe = which.of(pod, container);
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

/// Failures of a probe of a container, the oldest first.
pub(super) fn results<'a>(pod: &'a PodFile, container: &str, which: Which) -> Vec<&'a Occurrences> {
    let prefix = which.name();
    let of_probe = |known: &&Occurrences| {
        let begins = known.event.message.get(..prefix.len());
        known.event.about.container() == Some(container)
            && begins.is_some_and(|begins| begins.eq_ignore_ascii_case(prefix))
    };
    pod.events("Unhealthy").filter(of_probe).collect()
}

/// What the probe got, of `Liveness probe failed: …` or `Liveness probe errored: …`.
pub(super) fn answer(message: &str) -> &str {
    message.split_once(": ").map_or(message, |(_, answer)| answer).trim()
}

/// Whether that is that no answer came in time.
pub(super) fn timed_out(answer: &str) -> bool {
    ["timed out", "deadline exceeded", "Client.Timeout", "i/o timeout"].iter().any(|words| answer.contains(words))
}

/// That the container was throttled most of the time, in words, where it was.
pub(super) fn throttling(node: &NodeFile, file: &ContainerFile, from: Timestamp, to: Timestamp) -> Option<String> {
    // A limit of the container's own is a limit of its pod too, if it is the only one.
    let pod = node.pod_of(file).map(|pod| &pod.samples);
    let of = [Some(&file.samples), pod].into_iter().flatten().filter_map(|samples| samples.throttled(from, to));
    let (all, throttled) = of.max_by_key(|(_, throttled)| *throttled)?;
    // Less than ten periods (one second) tell nothing.
    if all < 10 || throttled * 2 < all {
        return None;
    }
    Some(format!(
        "The CPU limit held it back in {throttled} of {all} scheduling periods, so it may only have been too slow."
    ))
}
