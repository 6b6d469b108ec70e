//! The kubelet's probes: which failed, what it got, and whether the CPU's limit explains it.

use jiff::Timestamp;

use crate::{
    case::{ContainerFile, NodeFile, Occurrences, PodFile},
    observation::{
        Source,
        kube::{
            Kind, Probe,
            message::probe::{Which, result},
        },
    },
};

/// A probe as the Pod has it.
pub(super) fn wanted(pod: &PodFile, container: &str, which: Which) -> Option<Probe> {
    let probes = &pod.object()?.container(container)?.probes;
    match which {
        Which::Liveness => probes.liveness.clone(),
        Which::Startup => probes.startup.clone(),
        Which::Readiness => probes.readiness.clone(),
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
    let of_probe = |known: &&Occurrences| {
        known.event.about.container() == Some(container)
            && result(&known.event.message).is_some_and(|(probe, _)| probe == which)
    };
    pod.events("Unhealthy").filter(of_probe).collect()
}

/// What the probe got.
pub(super) fn answer(message: &str) -> &str {
    result(message).map_or(message, |(_, answer)| answer)
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
