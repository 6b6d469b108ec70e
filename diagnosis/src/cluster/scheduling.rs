//! A pod that no node takes.
//!
//! The scheduler's message counts nodes by the first filter that each of them failed. Which of several is named as the
//! cause is a judgement: the one whose removal would make the pod fit, that is, what changes with the free resources of
//! nodes before what is written on them. It is certain only if the others are nodes that are kept free on purpose.

use std::{collections::BTreeSet, sync::Arc};

use coroner_proto::v1::{Cause, Confidence, Message, SubjectKind};
use jiff::SignedDuration;

use super::{
    Finding, Scope,
    file::ClusterFile,
    held::Node,
    lost::HASH,
    pods::{Pod, Unscheduled},
};
use crate::{
    aspect::Aspect,
    messages::{cluster, next},
    observation::{
        Source,
        kube::{
            Kind, Taint,
            message::scheduler::{Reason, Refusal, refusals},
        },
    },
    verdict::Verdict,
};

/// A pod counts as unschedulable after so long.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);
/// And after so long if the scheduler has chosen a node for it, whose pods have to end first.
const NOMINATED: SignedDuration = SignedDuration::from_secs(120);
/// And after so long if no scheduler has reported anything of it: one works through many pods in turn.
const UNSEEN_PATIENCE: SignedDuration = SignedDuration::from_secs(30);
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
    let (verdict, patience) = match unscheduled.reason.as_deref() {
        None => (unseen(unscheduled), UNSEEN_PATIENCE),
        Some("SchedulingGated") => (gated(unscheduled), PATIENCE),
        Some(reason) => (refused(file, pod, unscheduled, reason)?, PATIENCE),
    };
    let patience = if unscheduled.nominated { NOMINATED } else { patience };
    Some(Finding {
        meta: pod.meta(uid),
        kind: SubjectKind::Pod,
        node: Box::default(),
        workloads: file.workloads_of(unscheduled.controller.as_deref(), pod.shape.labels.value(HASH)),
        aspect: Aspect::Schedule,
        verdict,
        ripe: unscheduled.since + patience,
    })
}

/// One of the scheduler's reasons, and the cause that it is.
#[derive(Debug)]
struct Ground<'m> {
    cause: Cause,
    rank: u8,
    refusal: Refusal<'m>,
}

fn refused(file: &ClusterFile, pod: &Pod, unscheduled: &Unscheduled, reason: &str) -> Option<Verdict> {
    let Unscheduled { message, since, .. } = unscheduled;
    let grounds = refusals(message).into_iter().map(|refusal| {
        let (cause, rank) = judge(file, unscheduled, &refusal.reason);
        Ground { cause, rank, refusal }
    });
    let mut grounds: Vec<Ground<'_>> = grounds.collect();
    // The nodes that it may run on are kept from it by their taints: the others were never meant.
    let tainted = selected_are_tainted(file, unscheduled);
    if tainted && grounds.iter().any(|ground| matches!(ground.refusal.reason, Reason::Taints(_))) {
        grounds.retain(|ground| !matches!(ground.refusal.reason, Reason::NodeLabels));
    }
    let decisive = grounds.iter().max_by_key(|ground| (ground.rank, ground.refusal.nodes))?;
    let cause = decisive.cause;
    let kept_free =
        |ground: &Ground<'_>| matches!(ground.cause, Cause::UnschedulableTaint | Cause::UnschedulableNoNodes);
    let only = |ground: &Ground<'_>| ground.cause == cause || decisive.rank > 3 && kept_free(ground);
    let is_certain = cause != Cause::UnschedulableOther && grounds.iter().all(only);
    let confidence = if is_certain { Confidence::Certain } else { Confidence::Likely };
    let explanation = match cause {
        Cause::UnschedulableResources => shortage(file, pod, &grounds),
        Cause::UnschedulableTaint => taints(file, unscheduled, tainted).into_iter().collect(),
        Cause::UnschedulableNodeSelector => selector(unscheduled).into_iter().collect(),
        Cause::VolumeClaimUnbound => claims(file, pod, unscheduled),
        _ => Vec::new(),
    };
    // The explanation gives what the scheduler's message gives, with the numbers.
    let quoted = explanation.is_empty().then(|| cluster::scheduler_reported(message));
    let in_use = decisive.refusal.reason == Reason::ClaimInUse;
    let mut verdict = Verdict::new(cause, confidence, *since)
        .not_fatal()
        .headed(if in_use { cluster::unschedulable_claim_in_use() } else { headline(cause) })
        .next(in_use.then(|| next::next_claim_in_use(&*pod.namespace)))
        .explained(quoted)
        .supported_by(Source::Api(Kind::Pods), *since, format!("PodScheduled ({reason}): {message}"));
    verdict.explanation.extend(explanation);
    for Ground { cause: other, refusal, .. } in &grounds {
        if *other != cause && verdict.candidates.iter().all(|(known, _)| known != other) {
            verdict = verdict.or_else(*other, cluster::scheduler_nodes(refusal.nodes, refusal.text));
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
        Reason::Volume | Reason::ClaimInUse => (Cause::UnschedulableVolume, 4),
        Reason::Unknown => (Cause::UnschedulableOther, 3),
        Reason::TopologyLabel => (Cause::UnschedulableAffinity, 3),
        // One filter reports both; the pod shows which it has.
        Reason::NodeLabels if pod.node_selector.is_empty() && pod.node_affinity => (Cause::UnschedulableAffinity, 3),
        Reason::NodeLabels => (Cause::UnschedulableNodeSelector, 3),
        Reason::Taints(_) if selected_are_tainted(file, pod) => (Cause::UnschedulableTaint, 2),
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

/// The nodes that have the labels that a pod selects; none where it selects none.
fn selected<'a>(file: &'a ClusterFile, pod: &'a Unscheduled) -> impl Iterator<Item = &'a Node> {
    let has = |node: &Node, (key, value): (&String, &String)| node.labels.value(key) == Some(value.as_str());
    let selects = !pod.node_selector.is_empty() && !pod.node_affinity;
    let nodes = file.nodes.values().filter(move |_| selects);
    nodes.filter(move |node| pod.node_selector.iter().all(|label| has(node, label)))
}

/// Whether each of the nodes that a pod selects has a taint that keeps it out, and there are such nodes.
fn selected_are_tainted(file: &ClusterFile, pod: &Unscheduled) -> bool {
    let mut selected = selected(file, pod).peekable();
    selected.peek().is_some() && selected.all(|node| untolerated(node, pod).next().is_some())
}

/// The taints that keep it out; those of nodes that are out of service only if it `selects` them.
fn taints(file: &ClusterFile, pod: &Unscheduled, selects: bool) -> Option<Message> {
    let all = file.nodes.values().filter(|_| !selects);
    let nodes = all.chain(selected(file, pod).filter(|_| selects));
    let taints: BTreeSet<_> = nodes
        .flat_map(|node| untolerated(node, pod))
        .filter(|taint| selects || !out_of_service(&taint.key))
        .map(|Taint { key, value, effect }| match value.is_empty() {
            true => format!("{key}:{effect}"),
            false => format!("{key}={value}:{effect}"),
        })
        .collect();
    (!taints.is_empty()).then(|| cluster::untolerated_taints(taints.into_iter().collect::<Vec<_>>()))
}

fn selector(pod: &Unscheduled) -> Option<Message> {
    let labels: Vec<_> = pod.node_selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    (!labels.is_empty()).then(|| cluster::node_selector(labels))
}

/// What it asks for, and what there is: as a sum, and on the roomiest node. Not known where not all pods are watched.
fn shortage(file: &ClusterFile, pod: &Pod, grounds: &[Ground<'_>]) -> Vec<Message> {
    let resource = grounds.iter().find_map(|ground| match ground.refusal.reason {
        Reason::Resources(name) if !name.is_empty() => Some(name),
        _ => None,
    });
    let wanted =
        resource.and_then(|resource| Some((resource, pod.requests.get(resource).filter(|wanted| *wanted > 0)?)));
    let Some((resource, wanted)) = wanted.filter(|_| file.scope == Scope::All) else { return Vec::new() };
    let open = file.nodes.iter().filter(|(_, node)| !node.cordoned);
    let free = open.filter_map(|(name, node)| Some(node.allocatable.get(resource)? - file.pods.used(name, resource)));
    let free: Vec<i128> = free.collect();
    let Some(most) = free.iter().copied().max() else { return Vec::new() };
    let sum = free.iter().filter(|free| **free > 0).sum::<i128>();
    let numbers = match resource {
        "memory" | "ephemeral-storage" => {
            let bytes = |thousandths: i128| u64::try_from(thousandths.max(0) / 1000).unwrap_or(u64::MAX);
            cluster::free_bytes(resource, bytes(wanted), bytes(most), bytes(sum), free.len())
        }
        _ => cluster::free_amount(resource, quantity(wanted), quantity(most), quantity(sum), free.len()),
    };
    let split = sum >= wanted && most < wanted && free.len() > 1;
    [numbers].into_iter().chain(split.then(cluster::free_only_in_sum)).collect()
}

/// Thousandths as a quantity of Kubernetes: `2`, `250m`.
fn quantity(thousandths: i128) -> String {
    match thousandths.max(0) {
        whole if whole % 1000 == 0 => (whole / 1000).to_string(),
        thousandths => format!("{thousandths}m"),
    }
}

/// Which claims hold it back.
fn claims(file: &ClusterFile, pod: &Pod, unscheduled: &Unscheduled) -> Vec<Message> {
    let held = file.namespaces.get(&pod.namespace).map(|objects| &objects.claims);
    let of_claim = |name: &Arc<str>| match held.and_then(|claims| claims.get(name)) {
        Some(claim) if &*claim.phase == "Bound" => Vec::new(),
        Some(claim) => {
            let state = match claim.class.as_deref() {
                Some(class) => cluster::claim_pending(name, class, &claim.phase),
                None => cluster::claim_pending_default(name, &claim.phase),
            };
            let why = file.failures.get(&claim.uid).map(|failure| cluster::claim_message(&failure.message));
            [state].into_iter().chain(why).collect()
        }
        None if file.watched(Kind::Claims) => vec![cluster::claim_missing(name)],
        None => Vec::new(),
    };
    unscheduled.claims.iter().flat_map(of_claim).collect()
}

/// Its gates: their owner decides when it may be scheduled (`pkg/scheduler/framework/plugins/schedulinggates`).
fn gated(unscheduled: &Unscheduled) -> Verdict {
    let gates: Vec<_> = unscheduled.gates.iter().collect();
    let why = if gates.is_empty() { cluster::scheduling_gates_unknown() } else { cluster::scheduling_gates(gates) };
    Verdict::new(Cause::SchedulingGated, Confidence::Certain, unscheduled.since)
        .not_fatal()
        .headed(headline(Cause::SchedulingGated))
        .explained(why)
        .supported_by(
            Source::Api(Kind::Pods),
            unscheduled.since,
            format!("PodScheduled (SchedulingGated): {}", unscheduled.message),
        )
}

/// No scheduler has examined it: the one that it asks for may not run.
fn unseen(unscheduled: &Unscheduled) -> Verdict {
    Verdict::new(Cause::UnschedulableOther, Confidence::Likely, unscheduled.since)
        .not_fatal()
        .headed(cluster::unschedulable_unseen())
        .explained(cluster::unschedulable_unseen_why(&*unscheduled.message))
        .next(next::next_scheduler())
        .supported_by(
            Source::Api(Kind::Pods),
            unscheduled.since,
            format!("schedulerName: {}; no condition PodScheduled", unscheduled.message),
        )
}

fn headline(cause: Cause) -> Message {
    match cause {
        Cause::UnschedulableResources => cluster::unschedulable_resources(),
        Cause::UnschedulableNodeSelector => cluster::unschedulable_node_selector(),
        Cause::UnschedulableAffinity => cluster::unschedulable_affinity(),
        Cause::UnschedulableTaint => cluster::unschedulable_taint(),
        Cause::UnschedulableVolume => cluster::unschedulable_volume(),
        Cause::UnschedulableDevice => cluster::unschedulable_device(),
        Cause::UnschedulableHostPort => cluster::unschedulable_host_port(),
        Cause::UnschedulablePodGroup => cluster::unschedulable_pod_group(),
        Cause::UnschedulableOther => cluster::unschedulable_other(),
        Cause::SchedulingGated => cluster::scheduling_gated(),
        Cause::VolumeClaimUnbound => cluster::unschedulable_claim(),
        _ => cluster::unschedulable_no_nodes(),
    }
}
