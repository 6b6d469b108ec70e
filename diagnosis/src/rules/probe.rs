//! The kubelet's probes: which failed, what it got, and whether the CPU limit explains it.

use coroner_proto::v1::{Cause, Message};
use jiff::{SignedDuration, Timestamp};

use crate::{
    case::{ContainerFile, NodeFile, Occurrences, PodFile},
    messages::stop,
    observation::{
        Source,
        kube::{
            Event, Kind, Probe,
            message::probe::{Which, brief, result},
        },
    },
    rules::death::CLOCKS,
    verdict::Evidence,
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

    /// The event in the notation of `kubectl`: reason, reporter, count, message.
    pub(super) fn statement(&self) -> String {
        let Event { reason, by, count, message, .. } = &self.event;
        match *count {
            ..=1 => format!("{reason} ({by}): {message}"),
            count => format!("{reason} ({by}, x{count}): {message}"),
        }
    }
}

/// What a probe asks for, and how often.
pub(super) fn asks(probe: &Probe) -> Message {
    let seconds = |seconds: i32| SignedDuration::from_secs(seconds.max(1).into());
    stop::probe_asks(probe.shown(), seconds(probe.period_seconds), seconds(probe.timeout_seconds))
}

/// What a probe got last.
pub(super) fn got(answer: Option<&str>) -> Message {
    answer
        .filter(|answer| !answer.is_empty())
        .map_or_else(stop::probe_got_unknown, |answer| stop::probe_got(brief(answer)))
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

/// Scheduling periods in which the CPU limit held a container back, of all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Throttling {
    throttled: u64,
    all: u64,
}

impl Throttling {
    /// What it may explain.
    pub(super) fn explanation(self) -> Message {
        stop::cpu_throttled(self.throttled, self.all)
    }

    /// As evidence.
    pub(super) fn statement(self) -> Message {
        stop::cpu_throttled_periods(self.throttled, self.all)
    }
}

/// That the container was throttled most of the time, where it was.
pub(super) fn throttling(node: &NodeFile, file: &ContainerFile, from: Timestamp, to: Timestamp) -> Option<Throttling> {
    // A limit of the container's own is a limit of its pod too, if it is the only one.
    let pod = node.pod_of(file).map(|pod| &pod.samples);
    let of = [Some(&file.samples), pod].into_iter().flatten().filter_map(|samples| samples.throttled(from, to));
    let (all, throttled) = of.max_by_key(|(_, throttled)| *throttled)?;
    // Less than ten periods (one second) show nothing.
    if all < 10 || throttled * 2 < all {
        return None;
    }
    Some(Throttling { throttled, all })
}

/// Why a container waited for memory instead of working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stall {
    /// `MEMORY_THROTTLED` or `SWAP_THRASHING`.
    pub(super) cause: Cause,
    /// When that was last sampled.
    at: Timestamp,
}

impl Stall {
    /// What it may explain.
    pub(super) fn explanation(self) -> Message {
        match self.cause {
            Cause::SwapThrashing => stop::swap_thrashing(),
            _ => stop::memory_throttled(),
        }
    }

    /// As evidence.
    pub(super) fn evidence(self) -> Evidence {
        let statement = match self.cause {
            Cause::SwapThrashing => stop::swap_thrashing_sampled(),
            _ => stop::memory_throttled_sampled(),
        };
        Evidence::new(Source::Cgroups, self.at, statement)
    }
}

/// That all processes of the container waited for memory most of the time, because its swap is used up or `memory.high`
/// was passed.
pub(super) fn stall(file: &ContainerFile, from: Timestamp, to: Timestamp) -> Option<Stall> {
    let (at, is_swap_full) = file.samples.stalled.filter(|(at, _)| from <= *at && *at <= to + CLOCKS)?;
    let throttled = || file.samples.high_hits.grown().is_some_and(|(_, grown)| from <= grown && grown <= to + CLOCKS);
    let cause = match is_swap_full {
        true => Cause::SwapThrashing,
        false if throttled() => Cause::MemoryThrottled,
        false => return None,
    };
    Some(Stall { cause, at })
}
