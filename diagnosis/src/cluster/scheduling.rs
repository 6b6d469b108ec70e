//! A pod that no node takes.
//!
//! The scheduler's message counts nodes by the first filter that each of them failed (`pkg/scheduler/framework/types.go`,
//! `FitError`), in the order of its plugins: cordoned, taints, node affinity, resources, volumes, spreading and affinity
//! between pods. A node that failed a later one had passed those before.

use std::collections::BTreeSet;

use coroner_proto::v1::{Cause, Confidence, SubjectKind};
use jiff::SignedDuration;

use super::{
    Finding, Scope,
    file::{ClusterFile, Node},
    pods::{Pod, Unscheduled},
};
use crate::{
    aspect::Aspect,
    observation::{
        Source,
        kube::{Kind, Meta, Taint},
    },
    report, text,
    units::size,
    verdict::Verdict,
};

/// A pod counts as unschedulable after so long.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);
/// Taints that the control plane sets itself: such a node is not there for anybody.
const LIFECYCLE: &str = "node.kubernetes.io/";

pub(super) fn finding(file: &ClusterFile, uid: &str) -> Option<Finding> {
    let pod = file.pods.get(uid)?;
    let unscheduled = pod.unscheduled.as_deref()?;
    let Unscheduled { message, since, .. } = unscheduled;
    let reasons = reasons(message);
    let causes =
        reasons.iter().filter_map(|(count, reason)| Some((cause(file, unscheduled, reason)?, *count, *reason)));
    let causes: Vec<(Cause, u32, &str)> = causes.collect();
    let (decisive, _, _) = causes.iter().copied().max_by_key(|(cause, count, _)| (rank(*cause), *count))?;
    let mut explanation = format!("No node takes it. {}", text::clean(message, 768));
    let more = match decisive {
        Cause::UnschedulableResources => room(file, pod, &causes),
        Cause::UnschedulableTaint => taints(file, unscheduled),
        Cause::UnschedulableNodeSelector => selector(unscheduled),
        Cause::VolumeClaimUnbound => claims(file, pod, unscheduled),
        _ => None,
    };
    if let Some(more) = more {
        explanation = format!("{explanation} {more}");
    }
    let mut verdict = Verdict::new(decisive, Confidence::Certain, *since)
        .not_fatal()
        .told(headline(decisive), explanation)
        .by(Source::Api(Kind::Pods), *since, format!("PodScheduled False, Unschedulable: {message}"));
    for (cause, count, reason) in &causes {
        if *cause != decisive && verdict.candidates.iter().all(|known| known.cause() != *cause) {
            verdict = verdict.or_else(*cause, &format!("{count} node(s): {}", text::clean(reason, 256)));
        }
    }
    let meta = Meta {
        namespace: pod.namespace.to_string(),
        name: pod.name.to_string(),
        uid: uid.to_owned(),
        ..Meta::default()
    };
    let workloads = unscheduled.controller.as_deref().map(|nearest| {
        let above = file.workloads.get(&*nearest.uid).and_then(|workload| workload.controller.as_deref().cloned());
        let above = above.or_else(|| report::deployment_of(nearest, pod.shape.labels.value("pod-template-hash")));
        report::workloads([Some(nearest), above.as_ref()])
    });
    Some(Finding {
        meta,
        kind: SubjectKind::Pod,
        workloads: workloads.unwrap_or_default(),
        aspect: Aspect::Schedule,
        verdict,
        ripe: *since + PATIENCE,
    })
}

/// The parts of `0/5 nodes are available: 3 Insufficient cpu, 2 node(s) had untolerated taint(s). preemption: …`, with the
/// number of nodes of each; 0 where none is named.
fn reasons(message: &str) -> Vec<(u32, &str)> {
    let message = message.split(" preemption:").next().unwrap_or(message);
    let message = message.split(" no new claims").next().unwrap_or(message);
    let list = message.split_once("nodes are available: ").map_or(message, |(_, list)| list);
    let mut reasons: Vec<(u32, &str)> = Vec::new();
    let mut start = 0;
    // A comma inside a reason, as between the keys of taints, is not followed by a number.
    let ends = list.match_indices(", ").map(|(at, _)| at).chain([list.len()]);
    for end in ends {
        let next = list[end..].trim_start_matches(", ");
        if end < list.len() && !next.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let part = list[start..end].trim_start_matches(", ").trim().trim_end_matches('.');
        let (count, reason) = match part.split_once(' ') {
            Some((count, reason)) if count.bytes().all(|byte| byte.is_ascii_digit()) => {
                (count.parse().unwrap_or(0), reason)
            }
            _ => (0, part),
        };
        if !reason.is_empty() {
            reasons.push((count, reason));
        }
        start = end;
    }
    reasons
}

fn cause(file: &ClusterFile, pod: &Unscheduled, reason: &str) -> Option<Cause> {
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    Some(if says(&["persistentvolumeclaim", "PersistentVolumeClaim", "persistent volume", "volume node affinity"]) {
        Cause::VolumeClaimUnbound
    } else if says(&["Insufficient ", "Too many pods", "free ports", "max volume count"]) {
        Cause::UnschedulableResources
    } else if says(&["pod affinity", "pod anti-affinity", "pods anti-affinity", "topology spread"]) {
        Cause::UnschedulableAffinity
    } else if says(&["node affinity", "node selector"]) {
        // One filter tells of both; the pod tells which it has.
        if pod.node_selector.is_empty() && pod.node_affinity {
            Cause::UnschedulableAffinity
        } else {
            Cause::UnschedulableNodeSelector
        }
    } else if says(&["untolerated taint"]) {
        if only_lifecycle(file, pod) { Cause::UnschedulableNoNodes } else { Cause::UnschedulableTaint }
    } else if says(&["unschedulable", "not ready", "unreachable", "no nodes available"]) {
        Cause::UnschedulableNoNodes
    } else {
        return None;
    })
}

/// How close to fitting the nodes are that this keeps out.
fn rank(cause: Cause) -> u8 {
    match cause {
        Cause::VolumeClaimUnbound => 5,
        Cause::UnschedulableResources | Cause::UnschedulableAffinity => 4,
        Cause::UnschedulableNodeSelector => 3,
        Cause::UnschedulableTaint => 2,
        _ => 1,
    }
}

fn headline(cause: Cause) -> &'static str {
    match cause {
        Cause::UnschedulableResources => "Cannot be scheduled: no node has enough room",
        Cause::UnschedulableNodeSelector => "Cannot be scheduled: no node has the labels that it asks for",
        Cause::UnschedulableAffinity => "Cannot be scheduled: its affinity rules leave no node",
        Cause::UnschedulableTaint => "Cannot be scheduled: it does not tolerate the nodes' taints",
        Cause::VolumeClaimUnbound => "Cannot be scheduled: a volume claim is not bound",
        _ => "Cannot be scheduled: no node takes pods",
    }
}

/// Taints of a node that keep this pod out.
fn untolerated<'a>(node: &'a Node, pod: &'a Unscheduled) -> impl Iterator<Item = &'a Taint> {
    let hard = node.taints.iter().filter(|taint| taint.effect != "PreferNoSchedule");
    hard.filter(|taint| !pod.tolerations.iter().any(|toleration| toleration.tolerates(taint)))
}

/// Whether the nodes that taints keep out are only those that the control plane has taken out of service.
fn only_lifecycle(file: &ClusterFile, pod: &Unscheduled) -> bool {
    let mut tainted = file.nodes.values().filter(|node| untolerated(node, pod).next().is_some()).peekable();
    let lifecycle = |taint: &Taint| taint.key.starts_with(LIFECYCLE);
    tainted.peek().is_some() && tainted.all(|node| untolerated(node, pod).all(lifecycle))
}

fn taints(file: &ClusterFile, pod: &Unscheduled) -> Option<String> {
    let keys: BTreeSet<_> = file
        .nodes
        .values()
        .flat_map(|node| untolerated(node, pod))
        .filter(|taint| !taint.key.starts_with(LIFECYCLE))
        .map(|taint| text::clean(&format!("{}={}:{}", taint.key, taint.value, taint.effect), 253))
        .collect();
    let keys: Vec<_> = keys.into_iter().collect();
    (!keys.is_empty()).then(|| format!("Taints that it does not tolerate: {}.", keys.join(", ")))
}

fn selector(pod: &Unscheduled) -> Option<String> {
    let labels = pod.node_selector.iter().map(|(key, value)| text::clean(&format!("{key}={value}"), 253));
    let labels: Vec<_> = labels.collect();
    (!labels.is_empty()).then(|| format!("Its nodeSelector: {}.", labels.join(", ")))
}

/// What it asks for, and what there is: as a sum, and on the roomiest node. Not known where not all pods are watched.
fn room(file: &ClusterFile, pod: &Pod, causes: &[(Cause, u32, &str)]) -> Option<String> {
    let resource =
        causes.iter().find_map(|(_, _, reason)| reason.split_once("Insufficient ").map(|(_, name)| name.trim()))?;
    let wanted = pod.requests.get(resource).copied().filter(|wanted| *wanted > 0)?;
    if file.scope != Scope::All {
        return None;
    }
    let open = file.nodes.iter().filter(|(_, node)| !node.cordoned);
    let free = open.filter_map(|(name, node)| Some(node.allocatable.get(resource)? - file.pods.used(name, resource)));
    let free: Vec<i128> = free.collect();
    let (sum, most) = (free.iter().filter(|free| **free > 0).sum::<i128>(), free.iter().copied().max()?);
    let shown = |amount: i128| show(resource, amount.max(0));
    let split = if sum >= wanted && most < wanted && free.len() > 1 {
        " There is room in sum, but on no single node: smaller requests, or moving others, would make it fit."
    } else {
        ""
    };
    Some(format!(
        "It requests {} of {resource}; free are {} on the roomiest of {} nodes and {} on all together.{split}",
        shown(wanted),
        shown(most),
        free.len(),
        shown(sum)
    ))
}

/// An amount in thousandths, for people.
fn show(resource: &str, thousandths: i128) -> String {
    let whole = u64::try_from(thousandths / 1000).unwrap_or(u64::MAX);
    match resource {
        "memory" | "ephemeral-storage" => size(whole),
        _ if thousandths % 1000 == 0 => whole.to_string(),
        _ => format!("{thousandths}m"),
    }
}

/// Which claims hold it back.
fn claims(file: &ClusterFile, pod: &Pod, unscheduled: &Unscheduled) -> Option<String> {
    let held = file.namespaces.get(&pod.namespace).map(|objects| &objects.claims);
    let words = unscheduled.claims.iter().filter_map(|name| {
        let shown = text::clean(name, 253);
        match held.and_then(|claims| claims.get(name)) {
            Some(claim) if &*claim.phase == "Bound" => None,
            Some(claim) => {
                let class = claim.class.as_deref().map_or_else(
                    || "the default storage class".to_owned(),
                    |class| format!("storage class {}", text::clean(class, 253)),
                );
                let why = file.failures.get(&claim.uid);
                let why = why.map_or_else(String::new, |why| format!(": {}", text::clean(&why.message, 512)));
                Some(format!("claim {shown} of {class} is {}{why}", text::clean(&claim.phase, 32)))
            }
            None if file.watched(Kind::Claims) => Some(format!("claim {shown} does not exist")),
            None => None,
        }
    });
    let words: Vec<_> = words.collect();
    (!words.is_empty()).then(|| format!("{}.", words.join("; ")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_the_schedulers_message_apart() {
        let message = "0/6 nodes are available: 1 node(s) had untolerated taint {a: b, c: d}, 2 Insufficient cpu, 3 \
                       Insufficient \
                       memory. preemption: 0/6 nodes are available: 6 Preemption is not helpful for scheduling.";
        assert_eq!(
            reasons(message),
            [(1, "node(s) had untolerated taint {a: b, c: d}"), (2, "Insufficient cpu"), (3, "Insufficient memory")]
        );
        assert_eq!(reasons("no nodes available to schedule pods"), [(0, "no nodes available to schedule pods")]);
    }

    proptest! {
        #[test]
        fn any_message_is_taken_apart_without_panic(message: String) {
            let _parts = reasons(&message);
        }
    }
}
