//! A pod that no node takes.
//!
//! The scheduler's message counts nodes by the first filter that each of them failed. Which of several is named as the
//! cause is a judgement: the one whose removal would make the pod fit, that is, what changes with the room on the nodes
//! before what is written on them. It is certain only if the others are nodes that are kept free on purpose.

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
        kube::{
            Kind, Meta, Taint,
            message::scheduler::{Reason, Refusal, refusals},
        },
    },
    report, text,
    units::size,
    verdict::Verdict,
};

/// A pod counts as unschedulable after so long.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);
/// Taints by which the control plane, a cloud, an autoscaler or a node's agents take a node out of service, by the
/// beginning or the end of their keys.
const OUT_OF_SERVICE: [&str; 6] = [
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/unregistered",
];
const AGENT_NOT_READY: &str = "/agent-not-ready";

pub(super) fn finding(file: &ClusterFile, uid: &str) -> Option<Finding> {
    let pod = file.pods.get(uid)?;
    let unscheduled = pod.unscheduled.as_deref()?;
    let verdict = match &*unscheduled.reason {
        "SchedulingGated" => gated(unscheduled),
        _ => refused(file, pod, unscheduled)?,
    };
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
        ripe: unscheduled.since + PATIENCE,
    })
}

/// One of the scheduler's reasons, and the cause that it is.
#[derive(Debug)]
struct Ground<'m> {
    cause: Cause,
    rank: u8,
    refusal: Refusal<'m>,
}

fn refused(file: &ClusterFile, pod: &Pod, unscheduled: &Unscheduled) -> Option<Verdict> {
    let Unscheduled { reason, message, since, .. } = unscheduled;
    let grounds = refusals(message).into_iter().map(|refusal| {
        let (cause, rank) = judge(file, unscheduled, &refusal.reason);
        Ground { cause, rank, refusal }
    });
    let grounds: Vec<Ground<'_>> = grounds.collect();
    let decisive = grounds.iter().max_by_key(|ground| (ground.rank, ground.refusal.nodes))?;
    let cause = decisive.cause;
    let kept_free =
        |ground: &Ground<'_>| matches!(ground.cause, Cause::UnschedulableTaint | Cause::UnschedulableNoNodes);
    let only = |ground: &Ground<'_>| ground.cause == cause || decisive.rank > 3 && kept_free(ground);
    let is_certain = cause != Cause::UnschedulableOther && grounds.iter().all(only);
    let confidence = if is_certain { Confidence::Certain } else { Confidence::Likely };
    let more = match cause {
        Cause::UnschedulableResources => room(file, pod, &grounds),
        Cause::UnschedulableTaint => taints(file, unscheduled),
        Cause::UnschedulableNodeSelector => selector(unscheduled),
        Cause::VolumeClaimUnbound => claims(file, pod, unscheduled),
        _ => None,
    };
    let more = more.map_or_else(String::new, |more| format!(" {more}"));
    let mut verdict = Verdict::new(cause, confidence, *since)
        .not_fatal()
        .told(headline(cause), format!("No node takes it. {}{more}", text::clean(message, 768)))
        .by(Source::Api(Kind::Pods), *since, format!("PodScheduled False, {reason}: {message}"));
    for Ground { cause: other, refusal, .. } in &grounds {
        if *other != cause && verdict.candidates.iter().all(|known| known.cause() != *other) {
            verdict =
                verdict.or_else(*other, &format!("{} node(s): {}", refusal.nodes, text::clean(refusal.text, 256)));
        }
    }
    Some(verdict)
}

/// The cause that a reason is, and how close to fitting the nodes are that it keeps out: what is true of the pod
/// itself, then what changes as other pods come and go, then what is fixed on a node.
fn judge(file: &ClusterFile, pod: &Unscheduled, reason: &Reason<'_>) -> (Cause, u8) {
    match reason {
        Reason::ClaimUnbound => (Cause::VolumeClaimUnbound, 8),
        Reason::Group => (Cause::UnschedulablePodGroup, 7),
        Reason::Device => (Cause::UnschedulableDevice, 6),
        Reason::Affinity => (Cause::UnschedulableAffinity, 6),
        Reason::Resources(_) => (Cause::UnschedulableResources, 5),
        Reason::HostPorts => (Cause::UnschedulableHostPort, 5),
        Reason::Volume => (Cause::UnschedulableVolume, 4),
        Reason::Unknown => (Cause::UnschedulableOther, 3),
        Reason::TopologyLabel => (Cause::UnschedulableAffinity, 3),
        // One filter tells of both; the pod tells which it has.
        Reason::NodeLabels if pod.node_selector.is_empty() && pod.node_affinity => (Cause::UnschedulableAffinity, 3),
        Reason::NodeLabels => (Cause::UnschedulableNodeSelector, 3),
        Reason::Taints(keys) if keys.is_empty() && only_out_of_service(file, pod) => (Cause::UnschedulableNoNodes, 1),
        Reason::Taints(keys) if !keys.is_empty() && keys.iter().all(|key| out_of_service(key)) => {
            (Cause::UnschedulableNoNodes, 1)
        }
        Reason::Taints(_) => (Cause::UnschedulableTaint, 2),
        Reason::NoNode => (Cause::UnschedulableNoNodes, 1),
    }
}

fn out_of_service(key: &str) -> bool {
    OUT_OF_SERVICE.iter().any(|prefix| key.starts_with(prefix)) || key.ends_with(AGENT_NOT_READY)
}

/// Taints of a node that keep this pod out.
fn untolerated<'a>(node: &'a Node, pod: &'a Unscheduled) -> impl Iterator<Item = &'a Taint> {
    let hard = node.taints.iter().filter(|taint| taint.effect != "PreferNoSchedule");
    hard.filter(|taint| !pod.tolerations.iter().any(|toleration| toleration.tolerates(taint)))
}

/// Whether the nodes that taints keep out are only those that are out of service.
fn only_out_of_service(file: &ClusterFile, pod: &Unscheduled) -> bool {
    let mut tainted = file.nodes.values().filter(|node| untolerated(node, pod).next().is_some()).peekable();
    let lifecycle = |taint: &Taint| out_of_service(&taint.key);
    tainted.peek().is_some() && tainted.all(|node| untolerated(node, pod).all(lifecycle))
}

fn taints(file: &ClusterFile, pod: &Unscheduled) -> Option<String> {
    let keys: BTreeSet<_> = file
        .nodes
        .values()
        .flat_map(|node| untolerated(node, pod))
        .filter(|taint| !out_of_service(&taint.key))
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
fn room(file: &ClusterFile, pod: &Pod, grounds: &[Ground<'_>]) -> Option<String> {
    let resource = grounds.iter().find_map(|ground| match ground.refusal.reason {
        Reason::Resources(name) if !name.is_empty() => Some(name),
        _ => None,
    })?;
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

/// Its gates: somebody else decides when it may be scheduled (`pkg/scheduler/framework/plugins/schedulinggates`).
fn gated(unscheduled: &Unscheduled) -> Verdict {
    let gates: Vec<_> = unscheduled.gates.iter().map(|gate| text::clean(gate, 253)).collect();
    let which = if gates.is_empty() { String::new() } else { format!(": {}", gates.join(", ")) };
    Verdict::new(Cause::SchedulingGated, Confidence::Certain, unscheduled.since)
        .not_fatal()
        .told(
            headline(Cause::SchedulingGated),
            format!("The scheduler does not consider the pod while spec.schedulingGates is not empty{which}."),
        )
        .by(
            Source::Api(Kind::Pods),
            unscheduled.since,
            format!("PodScheduled False, SchedulingGated: {}", unscheduled.message),
        )
}

fn headline(cause: Cause) -> &'static str {
    match cause {
        Cause::UnschedulableResources => "Cannot be scheduled: no node has enough room",
        Cause::UnschedulableNodeSelector => "Cannot be scheduled: no node has the labels that it asks for",
        Cause::UnschedulableAffinity => "Cannot be scheduled: its affinity rules leave no node",
        Cause::UnschedulableTaint => "Cannot be scheduled: it does not tolerate the nodes' taints",
        Cause::UnschedulableVolume => "Cannot be scheduled: a volume ties it to nodes that cannot take it",
        Cause::UnschedulableDevice => "Cannot be scheduled: no node has the devices that it asks for",
        Cause::UnschedulableHostPort => "Cannot be scheduled: its host port is taken on each node",
        Cause::UnschedulablePodGroup => "Cannot be scheduled: the pod group that it belongs to does not fit",
        Cause::UnschedulableOther => "Cannot be scheduled: see the scheduler's message",
        Cause::SchedulingGated => "Not scheduled yet: scheduling gates are set",
        Cause::VolumeClaimUnbound => "Cannot be scheduled: a volume claim is not bound",
        _ => "Cannot be scheduled: no node is in service",
    }
}
