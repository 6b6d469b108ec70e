//! Whose memory ran out: the container's, the pod's, or the node's.
//!
//! It follows from the cgroup that the kernel names, and, if that is the pod's, from how the pod's limit compares with
//! those of its containers: the kubelet gives a pod the sum of its containers' limits, so that a pod of one limited
//! container runs out one level above it.

use coroner_proto::v1::{Cause, Message, OomScope};
use jiff::Timestamp;

use crate::{
    case::{ContainerFile, NodeFile, OomKill, PodFile},
    messages::memory,
    observation::{
        cgroup::{self, Level, Limit},
        kernel_log::KillScope,
        kube::ContainerKind,
    },
    rules::death::CLOCKS,
};

/// Whose memory ran out.
#[derive(Debug)]
pub(super) struct Shortage {
    pub(super) cause: Cause,
    pub(super) sure: bool,
    pub(super) scope: OomScope,
    /// What shows it, where the headline is not sufficient.
    pub(super) because: Option<Message>,
    pub(super) alternatives: Vec<Cause>,
}

/// Whose memory ran out.
pub(super) fn shortage(node: &NodeFile, file: &ContainerFile, kill: &OomKill<'_>) -> Shortage {
    let summary = kill.summary.map(|line| &line.event);
    if summary.is_some_and(|s| s.global) || kill.scope == Some(KillScope::Global) {
        let scope = OomScope::Node;
        return Shortage { cause: Cause::OomNode, sure: true, scope, because: None, alternatives: vec![] };
    }
    let Some(limit) = kill.limit_cgroup() else {
        return by_limits(node, file, kill.killed.is_some()).unwrap_or_else(undecided);
    };
    let path = cgroup::Path(limit.to_owned());
    // Where the node is itself a container (kind, minikube, k3d), the limit may be that of this one.
    let own = kill.victim_cgroup().and_then(|victim| victim.container()).or_else(|| file.cgroup.clone());
    match path.level() {
        Level::Container { .. } if own.as_ref().is_some_and(|own| path != *own && own.is_within(&path)) => {
            let because = Some(memory::oom_shared_limit(limit));
            Shortage { cause: Cause::OomNode, sure: true, scope: OomScope::Kubepods, because, alternatives: vec![] }
        }
        Level::Container { .. } if own.as_ref().is_some_and(|own| is_made_inside(&path, own)) => Shortage {
            cause: Cause::OomNestedLimit,
            sure: true,
            scope: OomScope::Container,
            because: Some(memory::oom_nested_limit_of(limit)),
            alternatives: vec![],
        },
        Level::Container { .. } => container(None, true),
        Level::Pod { .. } => by_pod(node, file, kill),
        Level::Root | Level::Kubepods | Level::Other => {
            let because = Some(memory::oom_shared_limit(limit));
            Shortage { cause: Cause::OomNode, sure: true, scope: OomScope::Kubepods, because, alternatives: vec![] }
        }
    }
}

/// Whether a cgroup was made by the container itself, below its own. crun makes one too, `container`, which has the
/// container's limit.
fn is_made_inside(path: &cgroup::Path, own: &cgroup::Path) -> bool {
    path.is_within(own) && path.0.trim_end_matches('/') != own.0 && path.0 != format!("{own}/container")
}

/// Whose it was cannot be known.
pub(super) fn undecided() -> Shortage {
    Shortage {
        cause: Cause::Unattributed,
        sure: false,
        scope: OomScope::Unspecified,
        because: Some(memory::oom_undecided()),
        alternatives: vec![Cause::OomContainerLimit, Cause::OomPodLimit, Cause::OomNode],
    }
}

fn container(because: Option<Message>, sure: bool) -> Shortage {
    let alternatives = if sure { vec![] } else { vec![Cause::OomPodLimit] };
    Shortage { cause: Cause::OomContainerLimit, sure, scope: OomScope::Container, because, alternatives }
}

/// The pod's cgroup ran out: is its limit that of its containers, or one of its own below theirs?
fn by_pod(node: &NodeFile, file: &ContainerFile, kill: &OomKill<'_>) -> Shortage {
    let pod = node.pod_of(file);
    let by_kernel = kill.limit_usage.and_then(|(_, limit)| limit);
    let limit = by_kernel.or_else(|| pod.and_then(pod_limit));
    let own = memory_limit(node, file);
    let pod_level = |sure, because| Shortage {
        cause: Cause::OomPodLimit,
        sure,
        scope: OomScope::Pod,
        because: Some(because),
        alternatives: if sure { vec![] } else { vec![Cause::OomContainerLimit] },
    };
    if own == Some(None) {
        return pod_level(true, memory::oom_container_unlimited());
    }
    let Some(pod) = pod else { return undecided() };
    let Some(limit) = limit else { return by_spec_of_pod(file, pod).unwrap_or_else(undecided) };
    match sum_of_limits(node, pod, kill.at) {
        Sum::Unlimited => pod_level(true, memory::oom_pod_partly_limited()),
        Sum::Limited(sum) if limit < sum => pod_level(true, memory::oom_pod_below_sum(limit, sum)),
        Sum::Limited(sum) if limit == sum => container(Some(memory::oom_pod_is_sum()), true),
        // More containers than are known make up the pod's limit.
        Sum::Limited(_) | Sum::Unknown => match own {
            Some(Some(own)) if own == limit => container(Some(memory::oom_pod_equals_container()), false),
            _ => by_spec_of_pod(file, pod).unwrap_or_else(undecided),
        },
    }
}

/// Without the kernel's summary: what the limits and counters allow. `memcg`: the kernel named a cgroup's limit.
pub(super) fn by_limits(node: &NodeFile, file: &ContainerFile, memcg: bool) -> Option<Shortage> {
    let pod = node.pod_of(file);
    let limit = pod.and_then(pod_limit);
    let hit = |samples: &crate::case::Samples| samples.limit_hits.count().is_some_and(|hits| hits > 0);
    let counted = hit(&file.samples) || pod.is_some_and(|pod| hit(&pod.samples));
    let roomy = node.memory.as_ref().is_some_and(|m| m.what.available > m.what.total / 10);
    let node_short = |because, sure| Shortage {
        cause: Cause::OomNode,
        sure,
        scope: if memcg { OomScope::Kubepods } else { OomScope::Node },
        because: Some(because),
        alternatives: vec![],
    };
    match (file.memory_limit()?, limit) {
        (None, None) => Some(node_short(memory::oom_no_limits(), false)),
        (None, Some(_)) => Some(Shortage {
            cause: Cause::OomPodLimit,
            sure: counted,
            scope: OomScope::Pod,
            because: Some(memory::oom_only_pod_limited()),
            alternatives: if counted { vec![] } else { vec![Cause::OomNode] },
        }),
        (Some(own), limit) => {
            let sum = pod.map_or(Sum::Unknown, |pod| {
                sum_of_limits(node, pod, file.reported_exit().map_or(file.last_seen, |exit| exit.at))
            });
            let below = matches!((limit, &sum), (Some(limit), Sum::Limited(sum)) if limit < *sum)
                || matches!((limit, &sum), (Some(limit), Sum::Unlimited) if limit < own);
            // Where the pod's limit is not known, one below its containers' is only ruled out if the pod has but this
            // one.
            let alone = pod.is_some_and(|pod| pod.containers.len() == 1);
            let hidden = !alone && pod.is_none_or(|pod| pod.samples.latest.is_none());
            if below || hidden || !(counted || memcg || roomy) {
                return None;
            }
            let mut shortage = container(Some(memory::oom_only_container_limited()), counted && memcg);
            if !shortage.sure {
                shortage.alternatives = vec![Cause::OomNode];
            }
            Some(shortage)
        }
    }
}

/// The pod's cgroup ran out, of which only its specification is known: the kubelet gives it the sum of its containers'
/// limits if each has one, unless the pod has a limit as a whole (`ResourceConfigForPod` in
/// `pkg/kubelet/cm/helpers_linux.go`).
fn by_spec_of_pod(file: &ContainerFile, pod: &PodFile) -> Option<Shortage> {
    let Some(object) = pod.object() else {
        // Nothing else is known to be in it.
        let alone = pod.containers.len() == 1 && matches!(file.memory_limit(), Some(Some(_)));
        return alone.then(|| container(Some(memory::oom_pod_seems_alone()), false));
    };
    let lasting =
        object.containers.iter().filter(|one| matches!(one.kind, ContainerKind::Main | ContainerKind::Sidecar));
    let limited = lasting.clone().all(|one| one.memory_limit().is_some()) && lasting.clone().next().is_some();
    if object.limits.is_empty() && limited {
        return Some(container(Some(memory::oom_pod_is_sum()), false));
    }
    object.limits.get("memory").map(|_| Shortage {
        cause: Cause::OomPodLimit,
        sure: false,
        scope: OomScope::Pod,
        because: None,
        alternatives: vec![Cause::OomContainerLimit],
    })
}

/// From the specification alone: that its container has a limit, or that neither it nor its pod has one.
pub(super) fn by_spec(node: &NodeFile, file: &ContainerFile) -> Option<Shortage> {
    let object = node.pod_of(file)?.object()?;
    let wanted = object.container(file.name()?)?;
    if wanted.memory_limit().is_some() || matches!(file.memory_limit(), Some(Some(_))) {
        let because = Some(memory::oom_limit_by_spec());
        let of_pod = object.limits.get("memory").map(|_| Cause::OomPodLimit);
        let alternatives = of_pod.into_iter().chain([Cause::OomNode]).collect();
        return Some(Shortage { alternatives, ..container(because, false) });
    }
    object.limits.is_empty().then(|| Shortage {
        cause: Cause::OomNode,
        sure: false,
        scope: OomScope::Node,
        because: Some(memory::oom_no_limits()),
        alternatives: vec![],
    })
}

/// The container's limit; the inner `None` if it has none. Not known where its cgroup shows none and its specification
/// names one: the cgroup was read before the runtime had set the limit.
fn memory_limit(node: &NodeFile, file: &ContainerFile) -> Option<Option<u64>> {
    let is_specified = || {
        let wanted = node.pod_of(file).and_then(PodFile::object).zip(file.name());
        wanted.and_then(|(pod, name)| pod.container(name)?.memory_limit()).is_some()
    };
    file.memory_limit().filter(|limit| limit.is_some() || !is_specified())
}

enum Sum {
    Limited(u64),
    Unlimited,
    Unknown,
}

pub(super) fn pod_limit(pod: &PodFile) -> Option<u64> {
    match pod.samples.latest.as_ref()?.what.memory_limit? {
        Limit::Limited(bytes) => Some(bytes),
        Limit::Unlimited => None,
    }
}

/// The sum of the limits of a pod's containers that lived at this moment; a restarted container counts once.
fn sum_of_limits(node: &NodeFile, pod: &PodFile, at: Timestamp) -> Sum {
    let mut newest: std::collections::BTreeMap<&str, &ContainerFile> = std::collections::BTreeMap::new();
    for file in node.registry.instances(pod) {
        let ended = file.reported_exit().is_some_and(|exit| exit.at + CLOCKS < at);
        if ended || file.first_seen - CLOCKS > at {
            continue;
        }
        // A cgroup of unknown name may be that of a sandbox, which has no limit: it proves nothing.
        let Some(name) = file.name() else {
            if matches!(file.memory_limit(), Some(Some(_))) {
                return Sum::Unknown;
            }
            continue;
        };
        let known = newest.entry(name).or_insert(file);
        if known.first_seen < file.first_seen {
            *known = file;
        }
    }
    let mut sum = 0u64;
    for file in newest.values() {
        match memory_limit(node, file) {
            Some(Some(limit)) => sum = sum.saturating_add(limit),
            Some(None) => return Sum::Unlimited,
            None => return Sum::Unknown,
        }
    }
    if newest.is_empty() { Sum::Unknown } else { Sum::Limited(sum) }
}
