//! The minutes before a container's memory ran out: its usage, and what else happened to it. None of it is part of the
//! verdict: what is observed later leads to no other one.

use coroner_proto::v1::{Memory, MemoryPoint, Moment, MomentKind};
use jiff::{SignedDuration, Timestamp};

use crate::{
    case::{ContainerFile, NodeFile, PodFile},
    observation::cgroup::Limit,
    wire,
};

/// How far back something counts as before.
const MINUTES: SignedDuration = SignedDuration::from_mins(5);
/// Moments of one diagnosis. Each has about 20 bytes.
const MOMENTS: usize = 16;

/// Adds what is known of the minutes up to a moment.
pub(super) fn add(memory: Memory, file: &NodeFile, container: &ContainerFile, until: Timestamp) -> Memory {
    let points = container.samples.history(until);
    let history = points.map(|(time, usage_bytes)| MemoryPoint { time: Some(wire::time(time)), usage_bytes }).collect();
    let pod = file.pod_of(container);
    let wanted = pod.and_then(PodFile::object).zip(container.name()).and_then(|(pod, name)| pod.container(name));
    let sample = container.samples.latest.as_ref().map(|sample| &sample.what);
    let high = match sample.and_then(|sample| sample.memory_high) {
        Some(Limit::Limited(bytes)) => Some(bytes),
        Some(Limit::Unlimited) | None => None,
    };
    Memory {
        history,
        container_request_bytes: wanted.and_then(|container| container.memory_request()),
        container_high_bytes: high,
        moments: moments(file, pod, container, until),
        ..memory
    }
}

fn moments(file: &NodeFile, pod: Option<&PodFile>, container: &ContainerFile, until: Timestamp) -> Vec<Moment> {
    let from = until - MINUTES;
    let is_within = |at: Timestamp| from <= at && at <= until;
    let mut moments = Vec::new();
    for (start, end) in container.samples.throttled_spans(from, until) {
        moments.push((start, Some(end), MomentKind::CpuThrottled));
    }
    if let (Some(pod), Some(name)) = (pod, container.name()) {
        let earlier =
            file.registry.instances(pod).filter(|other| other.id != container.id && other.name() == Some(name));
        let ends = earlier.filter_map(ContainerFile::ended_at).filter(|at| is_within(*at));
        moments.extend(ends.map(|at| (at, None, MomentKind::Restart)));
        let failures = pod.events("Unhealthy").filter(|known| known.event.about.container() == Some(name));
        let times = failures.flat_map(|known| known.between(from, until));
        moments.extend(times.map(|at| (at, None, MomentKind::ProbeFailed)));
    }
    moments.sort_by_key(|(at, _, kind)| (*at, *kind as i32));
    let first = moments.len().saturating_sub(MOMENTS);
    let moment = |(at, end, kind): (Timestamp, Option<Timestamp>, MomentKind)| Moment {
        kind: kind.into(),
        time: Some(wire::time(at)),
        end_time: end.map(wire::time),
    };
    moments.split_off(first).into_iter().map(moment).collect()
}
