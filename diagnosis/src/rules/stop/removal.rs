//! What ended a pod as a whole, and so asked its containers to stop.

use coroner_proto::v1::{Cause, Message, StopRequester};
use jiff::{SignedDuration, Timestamp};

use super::Request;
use crate::{
    case::{NodeFile, PodFile},
    messages::{lost, removal as texts},
    observation::kube::{Condition, Event, Pod},
    rules::eviction,
    verdict::Evidence,
};

/// What ended a pod.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::rules) struct Removal {
    pub(in crate::rules) cause: Cause,
    pub(in crate::rules) by: StopRequester,
    pub(in crate::rules) at: Timestamp,
    pub(in crate::rules) headline: Message,
    pub(in crate::rules) explanation: Vec<Message>,
    pub(in crate::rules) evidence: Vec<Evidence>,
}

impl Removal {
    /// As a request to its containers to stop.
    pub(in crate::rules) fn request(self) -> Request {
        let Self { cause, by, at, headline, explanation, evidence } = self;
        Request { cause: Some(cause), by, at, headline, explanation, evidence, contributing: Vec::new() }
    }
}

/// What ended the pod, or is about to, as far as the API shows it.
pub(in crate::rules) fn removal(node: &NodeFile, file: &PodFile) -> Option<Removal> {
    let pod = file.object()?;
    evicted_by_kubelet(node, file, pod)
        .or_else(|| out_of_time(file, pod))
        .or_else(|| by_reason(file, pod))
        .or_else(|| disrupted(node, file, pod))
        .or_else(|| by_event(node, file, pod))
}

/// The kubelet's eviction manager (`pkg/kubelet/eviction/eviction_manager.go`): reason `Evicted`; its message is also
/// that of the condition.
fn evicted_by_kubelet(node: &NodeFile, file: &PodFile, pod: &Pod) -> Option<Removal> {
    let event = file.events("Evicted").next_back();
    let by_status = (pod.reason == "Evicted").then_some(pod.message.as_str());
    let condition = disruption(pod).filter(|condition| condition.reason == "TerminationByKubelet");
    let by_condition = condition.map(|condition| condition.message.as_str());
    let by_event = event.map(|known| known.event.message.as_str());
    let messages = [by_status, by_event, by_condition].into_iter().flatten();
    let eviction = messages.filter_map(|message| eviction::of(node, file, pod, message)).next()?;
    let at = event.and_then(|known| known.first()).or_else(|| since(file, pod))?;
    let mut evidence = Vec::new();
    // The event has the same message as the status.
    evidence.extend(event.map(|known| Evidence::new(known.source(), at, known.statement())));
    if evidence.is_empty() {
        evidence.extend(by_status.map(|message| Evidence::new(file.reporter(), at, status("Evicted", message))));
    }
    if evidence.is_empty() {
        evidence.extend(condition.map(|condition| Evidence::new(file.reporter(), at, condition.statement())));
    }
    evidence.extend(eviction.evidence);
    Some(Removal {
        cause: eviction.cause,
        by: StopRequester::Eviction,
        at,
        headline: eviction.headline,
        explanation: eviction.explanation,
        evidence,
    })
}

/// `activeDeadlineSeconds` ran out, of the pod (`pkg/kubelet/active_deadline.go`).
fn out_of_time(file: &PodFile, pod: &Pod) -> Option<Removal> {
    let event = file.events("DeadlineExceeded").next_back();
    if pod.reason != "DeadlineExceeded" && event.is_none() {
        return None;
    }
    let at = event.and_then(|known| known.first()).or_else(|| since(file, pod))?;
    let allowed = pod.deadline_seconds.map(SignedDuration::from_secs).map(texts::removal_deadline_of);
    let mut evidence: Vec<_> =
        event.map(|known| Evidence::new(known.source(), at, known.statement())).into_iter().collect();
    // The event has the same message as the status.
    if evidence.is_empty() {
        evidence.push(Evidence::new(file.reporter(), at, status(&pod.reason, &pod.message)));
    }
    Some(Removal {
        cause: Cause::DeadlineExceeded,
        by: StopRequester::Deadline,
        at,
        headline: texts::removal_deadline(),
        explanation: allowed.into_iter().collect(),
        evidence,
    })
}

/// The kubelet ended it, by the reason of its status: `pkg/kubelet/preemption`, `pkg/kubelet/nodeshutdown` (`Shutdown`
/// in 1.20 and 1.21, `Terminated` since).
fn by_reason(file: &PodFile, pod: &Pod) -> Option<Removal> {
    let event = file.events("Preempting").next_back().filter(|known| known.event.by == "kubelet");
    let reason = match pod.reason.as_str() {
        "" => event.map(|_| "Preempting")?,
        reason => reason,
    };
    let Ended { cause, by, headline, explanation } = match reason {
        "Preempting" => preempted_by_kubelet(),
        "Terminated" | "Shutdown" => shut_down(),
        _ => return None,
    };
    let at = event.and_then(|known| known.first()).or_else(|| since(file, pod))?;
    let mut evidence: Vec<_> =
        event.map(|known| Evidence::new(known.source(), at, known.statement())).into_iter().collect();
    if !pod.reason.is_empty() {
        evidence.push(Evidence::new(file.reporter(), at, status(reason, &pod.message)));
    }
    Some(Removal { cause, by, at, headline, explanation, evidence })
}

/// The condition `DisruptionTarget`, where it holds.
fn disruption(pod: &Pod) -> Option<&Condition> {
    pod.condition("DisruptionTarget").filter(|condition| condition.status == Some(true))
}

/// The reason of a pod's status, as evidence.
fn status(reason: &str, message: &str) -> String {
    format!("status.reason {reason}: {message}")
}

/// Who ended a pod, with the texts about it.
struct Ended {
    cause: Cause,
    by: StopRequester,
    headline: Message,
    explanation: Vec<Message>,
}

/// The condition `DisruptionTarget` names who is about to end the pod (`pkg/apis/core/types.go`).
fn disrupted(node: &NodeFile, file: &PodFile, pod: &Pod) -> Option<Removal> {
    let condition = disruption(pod)?;
    let message = condition.message.as_str();
    let Ended { cause, by, headline, explanation } = match condition.reason.as_str() {
        "EvictionByEvictionAPI" => evicted_by_api(node),
        // The latter in 1.25.
        "PreemptionByScheduler" | "PreemptionByKubeScheduler" => preempted(file, pod),
        "DeletionByTaintManager" => tainted(node),
        "DeletionByDeviceTaintManager" => Ended {
            cause: Cause::EvictedByDeviceTaint,
            by: StopRequester::Taint,
            headline: texts::removal_device_tainted(),
            explanation: vec![texts::removal_device_tainted_why()],
        },
        "DeletionByPodGC" => Ended {
            cause: Cause::RemovedWithNode,
            by: StopRequester::Deletion,
            headline: lost::lost_collected(),
            explanation: vec![lost::lost_collected_why(&node.node.name)],
        },
        "TerminationByKubelet" if message == PREEMPTED_BY_KUBELET => preempted_by_kubelet(),
        "TerminationByKubelet" if message == SHUT_DOWN => shut_down(),
        _ => return None,
    };
    let at = condition.since.or_else(|| since(file, pod))?;
    let evidence = vec![Evidence::new(file.reporter(), at, condition.statement())];
    Some(Removal { cause, by, at, headline, explanation, evidence })
}

/// `pkg/kubelet/preemption/preemption.go`.
const PREEMPTED_BY_KUBELET: &str = "Pod was preempted by Kubelet to accommodate a critical pod.";
/// `pkg/kubelet/nodeshutdown/nodeshutdown_manager.go`.
const SHUT_DOWN: &str = "Pod was terminated in response to imminent node shutdown.";

/// Before 1.26 a pod that is deleted had no such condition: what deletes it only reported an event, the scheduler
/// `Preempted`, the taint manager `TaintManagerEviction`, programs that evict pods their own.
fn by_event(node: &NodeFile, file: &PodFile, pod: &Pod) -> Option<Removal> {
    file.deletion?;
    let reported = |holds: fn(&Event) -> bool| {
        file.events_that(&holds).next_back().and_then(|known| Some((known, known.first()?)))
    };
    let marked = || Some((reported(is_of_taint_manager)?, tainted(node)));
    let evicted = || Some((reported(is_of_evictor)?, evicted_by_api(node)));
    let ((known, at), ended) =
        reported(is_of_preemption).map(|event| (event, preempted(file, pod))).or_else(marked).or_else(evicted)?;
    let Ended { cause, by, headline, explanation } = ended;
    let evidence = vec![Evidence::new(known.source(), at, known.statement())];
    Some(Removal { cause, by, at, headline, explanation, evidence })
}

/// The schedulers'; Volcano's names the action (`pkg/scheduler/cache/cache.go`).
fn is_of_preemption(event: &Event) -> bool {
    let by_volcano = ["Pod is evicted, because of preempt", "Pod is evicted, because of reclaim"];
    event.reason == "Preempted" || event.reason == "Evict" && by_volcano.contains(&event.message.as_str())
}

fn is_of_taint_manager(event: &Event) -> bool {
    event.reason == "TaintManagerEviction" && event.message.starts_with("Marking for deletion Pod ")
}

/// Cluster Autoscaler's (`core/scaledown/actuation/drain.go`), the Vertical Pod Autoscaler's (`pkg/updater/main.go`),
/// Karpenter's (`pkg/controllers/node/termination/terminator`), and the descheduler's, whose reasons are the names of
/// its strategies (`pkg/descheduler/evictions`).
fn is_of_evictor(event: &Event) -> bool {
    match event.by.as_str() {
        "cluster-autoscaler" => event.reason == "ScaleDown",
        "vpa-updater" => event.reason == "EvictedByVPA",
        "karpenter" => event.reason == "Evicted",
        by => matches!(by, "sigs.k8s.io/descheduler" | "sigs.k8s.io.descheduler"),
    }
}

fn evicted_by_api(node: &NodeFile) -> Ended {
    Ended {
        cause: Cause::EvictedByApi,
        by: StopRequester::Drain,
        headline: texts::removal_api(),
        explanation: vec![cordoned(node)],
    }
}

fn preempted(file: &PodFile, pod: &Pod) -> Ended {
    let reported = file.events("Preempted").next_back();
    let reported = reported.map(|known| texts::removal_scheduler_reported(&known.event.message));
    Ended {
        cause: Cause::Preempted,
        by: StopRequester::Preemption,
        headline: texts::removal_preempted(),
        explanation: [texts::removal_priority(pod.priority)].into_iter().chain(reported).collect(),
    }
}

fn preempted_by_kubelet() -> Ended {
    Ended {
        cause: Cause::Preempted,
        by: StopRequester::Preemption,
        headline: texts::removal_preempted_critical(),
        explanation: vec![texts::removal_critical()],
    }
}

fn shut_down() -> Ended {
    Ended {
        cause: Cause::NodeShutdown,
        by: StopRequester::NodeShutdown,
        headline: texts::removal_shutdown(),
        explanation: vec![texts::removal_shutdown_why()],
    }
}

fn tainted(node: &NodeFile) -> Ended {
    let taints = node.objects.node.iter().flat_map(|object| &object.taints).filter(|taint| taint.effect == "NoExecute");
    let keys: Vec<_> = taints.map(|taint| &taint.key).collect();
    let which = if keys.is_empty() { texts::removal_taint_unknown() } else { texts::removal_taints(keys) };
    Ended {
        cause: Cause::EvictedByTaint,
        by: StopRequester::Taint,
        headline: texts::removal_tainted(),
        explanation: vec![which],
    }
}

fn cordoned(node: &NodeFile) -> Message {
    match &node.objects.node {
        Some(object) if object.cordoned => texts::removal_cordoned(),
        _ => texts::removal_requested(),
    }
}

/// When the pod was ended, where only its status shows it.
pub(in crate::rules) fn since(file: &PodFile, pod: &Pod) -> Option<Timestamp> {
    let condition = |kind| pod.condition(kind).filter(|condition| condition.status != Some(true))?.since;
    let disrupted = pod.condition("DisruptionTarget").and_then(|condition| condition.since);
    // The kubelet reports the end when all containers are gone.
    let grace = SignedDuration::from_secs(pod.grace_seconds.unwrap_or(30).clamp(0, 86_400));
    let unready = || condition("ContainersReady").or_else(|| condition("Ready")).map(|at| at - grace);
    let deleted = || file.deletion.map(|deletion| deletion.asked());
    disrupted.or_else(unready).or_else(deleted).or(Some(file.last_report))
}
