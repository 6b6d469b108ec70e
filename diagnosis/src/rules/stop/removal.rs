//! What ended a pod as a whole, and so asked its containers to stop.

use coroner_proto::v1::{Cause, StopRequester};
use jiff::{SignedDuration, Timestamp};

use super::Request;
use crate::{
    case::{NodeFile, PodFile},
    observation::{
        Source,
        kube::{Condition, Pod},
    },
    rules::eviction,
    text,
};

/// What ended a pod.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::rules) struct Removal {
    pub(in crate::rules) cause: Cause,
    pub(in crate::rules) by: StopRequester,
    pub(in crate::rules) at: Timestamp,
    pub(in crate::rules) summary: String,
    pub(in crate::rules) explanation: String,
    pub(in crate::rules) said: Vec<(Source, Timestamp, String)>,
}

impl Removal {
    /// As a request to its containers to stop.
    pub(in crate::rules) fn request(self) -> Request {
        let Self { cause, by, at, summary, explanation, said } = self;
        Request { cause: Some(cause), by, at, summary, explanation, said, contributing: None }
    }
}

/// What ended the pod, or is about to, where the API tells.
pub(in crate::rules) fn removal(node: &NodeFile, file: &PodFile) -> Option<Removal> {
    let pod = file.object()?;
    evicted_by_kubelet(node, file, pod)
        .or_else(|| out_of_time(file, pod))
        .or_else(|| by_reason(file, pod))
        .or_else(|| disrupted(node, file, pod))
        .or_else(|| by_event(node, file, pod))
}

/// The kubelet's eviction manager (`pkg/kubelet/eviction/eviction_manager.go`): reason `Evicted`; its words are also
/// those of the condition.
fn evicted_by_kubelet(node: &NodeFile, file: &PodFile, pod: &Pod) -> Option<Removal> {
    let event = file.events("Evicted").next_back();
    let by_status = (pod.reason == "Evicted").then_some(pod.message.as_str());
    let condition = disruption(pod).filter(|condition| condition.reason == "TerminationByKubelet");
    let by_condition = condition.map(|condition| condition.message.as_str());
    let by_event = event.map(|known| known.event.message.as_str());
    let messages = [by_status, by_event, by_condition].into_iter().flatten();
    let eviction = messages.filter_map(|message| eviction::of(node, file, pod, message)).next()?;
    let at = event.and_then(|known| known.times.first().copied()).or_else(|| since(file, pod))?;
    let mut said = Vec::new();
    said.extend(by_status.map(|message| (file.teller(), at, format!("status.reason Evicted: {message}"))));
    said.extend(event.map(|known| (known.source(), at, known.said())));
    if said.is_empty() {
        let message = by_condition.unwrap_or_default();
        said.push((file.teller(), at, format!("condition DisruptionTarget, reason TerminationByKubelet: {message}")));
    }
    said.extend(eviction.said);
    Some(Removal {
        cause: eviction.cause,
        by: StopRequester::Eviction,
        at,
        summary: eviction.summary,
        explanation: eviction.explanation,
        said,
    })
}

/// `activeDeadlineSeconds` ran out, of the pod (`pkg/kubelet/active_deadline.go`).
fn out_of_time(file: &PodFile, pod: &Pod) -> Option<Removal> {
    let event = file.events("DeadlineExceeded").next_back();
    if pod.reason != "DeadlineExceeded" && event.is_none() {
        return None;
    }
    let at = event.and_then(|known| known.times.first().copied()).or_else(|| since(file, pod))?;
    let allowed = pod.deadline_seconds.map_or_else(String::new, |seconds| format!(" of {seconds} s"));
    let mut said: Vec<_> = event.map(|known| (known.source(), at, known.said())).into_iter().collect();
    if pod.reason == "DeadlineExceeded" {
        said.push((file.teller(), at, format!("status.reason DeadlineExceeded: {}", pod.message)));
    }
    Some(Removal {
        cause: Cause::DeadlineExceeded,
        by: StopRequester::Deadline,
        at,
        summary: "Ended because its activeDeadlineSeconds ran out".to_owned(),
        explanation: format!(
            "The pod ran longer than its deadline{allowed}, counted from when the kubelet took it on."
        ),
        said,
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
    let Ended { cause, by, summary, explanation } = match reason {
        "Preempting" => preempted_by_kubelet(),
        "Terminated" | "Shutdown" => shut_down(),
        _ => return None,
    };
    let at = event.and_then(|known| known.times.first().copied()).or_else(|| since(file, pod))?;
    let mut said: Vec<_> = event.map(|known| (known.source(), at, known.said())).into_iter().collect();
    if !pod.reason.is_empty() {
        said.push((file.teller(), at, format!("status.reason {reason}: {}", text::clean(&pod.message, 512))));
    }
    Some(Removal { cause, by, at, summary, explanation, said })
}

/// The condition `DisruptionTarget`, where it holds.
fn disruption(pod: &Pod) -> Option<&Condition> {
    pod.condition("DisruptionTarget").filter(|condition| condition.status == Some(true))
}

/// Who ended a pod, and in words.
struct Ended {
    cause: Cause,
    by: StopRequester,
    summary: String,
    explanation: String,
}

/// The condition `DisruptionTarget` names who is about to end the pod (`pkg/apis/core/types.go`).
fn disrupted(node: &NodeFile, file: &PodFile, pod: &Pod) -> Option<Removal> {
    let condition = disruption(pod)?;
    let message = text::clean(&condition.message, 512);
    let Ended { cause, by, summary, explanation } = match condition.reason.as_str() {
        "EvictionByEvictionAPI" => Ended {
            cause: Cause::EvictedByApi,
            by: StopRequester::Drain,
            summary: "Evicted through the eviction API, as a drain or an autoscaler does".to_owned(),
            explanation: cordoned(node),
        },
        // The latter in 1.25.
        "PreemptionByScheduler" | "PreemptionByKubeScheduler" => preempted(file, pod),
        "DeletionByTaintManager" => tainted(node),
        "DeletionByDeviceTaintManager" => Ended {
            cause: Cause::EvictedByDeviceTaint,
            by: StopRequester::Taint,
            summary: "Evicted by a taint of a device that it used".to_owned(),
            explanation:
                "A device of the pod's resource claims has a NoExecute taint that the claim does not tolerate."
                    .to_owned(),
        },
        "TerminationByKubelet" if message == PREEMPTED_BY_KUBELET => preempted_by_kubelet(),
        "TerminationByKubelet" if message == SHUT_DOWN => shut_down(),
        _ => return None,
    };
    let at = condition.since.or_else(|| since(file, pod))?;
    let said = format!("condition DisruptionTarget, reason {}: {message}", condition.reason);
    Some(Removal { cause, by, at, summary, explanation, said: vec![(file.teller(), at, said)] })
}

/// `pkg/kubelet/preemption/preemption.go`.
const PREEMPTED_BY_KUBELET: &str = "Pod was preempted by Kubelet to accommodate a critical pod.";
/// `pkg/kubelet/nodeshutdown/nodeshutdown_manager.go`.
const SHUT_DOWN: &str = "Pod was terminated in response to imminent node shutdown.";

/// Before 1.26 a pod that is deleted had no such condition: what deletes it only reported an event, the scheduler
/// `Preempted`, the taint manager `TaintManagerEviction`.
fn by_event(node: &NodeFile, file: &PodFile, pod: &Pod) -> Option<Removal> {
    pod.deletion.as_ref()?;
    let reported = |reason| file.events(reason).next_back().and_then(|known| Some((known, *known.times.first()?)));
    let marked = reported("TaintManagerEviction")
        .filter(|(known, _)| known.event.message.starts_with("Marking for deletion Pod "))
        .map(|event| (event, tainted(node)));
    let ((known, at), ended) = reported("Preempted").map(|event| (event, preempted(file, pod))).or(marked)?;
    let Ended { cause, by, summary, explanation } = ended;
    Some(Removal { cause, by, at, summary, explanation, said: vec![(known.source(), at, known.said())] })
}

fn preempted(file: &PodFile, pod: &Pod) -> Ended {
    let preemptor = file.events("Preempted").next_back();
    let who = preemptor.map_or_else(String::new, |known| format!(" {}.", text::clean(&known.event.message, 256)));
    Ended {
        cause: Cause::Preempted,
        by: StopRequester::Preemption,
        summary: "Preempted: a pod of higher priority needed the room".to_owned(),
        explanation: format!("The scheduler removed it to make room; its priority is {}.{who}", pod.priority),
    }
}

fn preempted_by_kubelet() -> Ended {
    Ended {
        cause: Cause::Preempted,
        by: StopRequester::Preemption,
        summary: "Preempted on its node: a critical pod needed the room".to_owned(),
        explanation: "The kubelet removed it to admit a critical pod.".to_owned(),
    }
}

fn shut_down() -> Ended {
    Ended {
        cause: Cause::NodeShutdown,
        by: StopRequester::NodeShutdown,
        summary: "Ended because its node was shutting down".to_owned(),
        explanation: "The kubelet ended the node's pods in an orderly shutdown.".to_owned(),
    }
}

fn tainted(node: &NodeFile) -> Ended {
    let taints = node.objects.node.iter().flat_map(|object| &object.taints).filter(|taint| taint.effect == "NoExecute");
    let keys: Vec<_> = taints.map(|taint| text::clean(&taint.key, 253)).collect();
    let which = if keys.is_empty() { String::new() } else { format!(": {}", keys.join(", ")) };
    Ended {
        cause: Cause::EvictedByTaint,
        by: StopRequester::Taint,
        summary: "Evicted by a NoExecute taint of its node".to_owned(),
        explanation: format!("The node has a NoExecute taint that the pod does not tolerate, or not that long{which}."),
    }
}

fn cordoned(node: &NodeFile) -> String {
    match &node.objects.node {
        Some(object) if object.cordoned => "Its node is cordoned: this looks like a drain.",
        _ => "Somebody asked the API server to evict it, within what its PodDisruptionBudget allows.",
    }
    .to_owned()
}

/// When the pod was ended, where only its status tells.
fn since(file: &PodFile, pod: &Pod) -> Option<Timestamp> {
    let condition = |kind| pod.condition(kind).filter(|condition| condition.status != Some(true))?.since;
    let disrupted = pod.condition("DisruptionTarget").and_then(|condition| condition.since);
    // The kubelet tells of the end when all containers are gone.
    let grace = SignedDuration::from_secs(pod.grace_seconds.unwrap_or(30).clamp(0, 86_400));
    let told = || condition("ContainersReady").or_else(|| condition("Ready")).map(|at| at - grace);
    let deleted = || pod.deletion.map(|deletion| deletion.asked());
    disrupted.or_else(told).or_else(deleted).or(Some(file.last_report))
}
