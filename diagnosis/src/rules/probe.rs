//! The kubelet's probes: which failed, what it got, and whether the CPU's limit explains it.

use jiff::Timestamp;

use crate::{
    case::{ContainerFile, NodeFile, Occurrences, PodFile},
    observation::{
        Source,
        kube::{Kind, Probe},
    },
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
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Startup => "startup",
            Self::Readiness => "readiness",
        }
    }

    /// The probe as the Pod has it.
    pub(super) fn of(self, pod: &PodFile, container: &str) -> Option<Probe> {
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
