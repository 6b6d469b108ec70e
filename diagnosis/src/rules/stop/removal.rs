//! What ended a pod as a whole, and so asked its containers to stop.

use coroner_proto::v1::{Cause, StopRequester};
use jiff::{SignedDuration, Timestamp};

use super::Request;
use crate::{
    case::{NodeFile, PodFile},
    observation::{Source, kube::Pod},
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
    evicted_by_kubelet(node, file, pod).or_else(|| out_of_time(file, pod)).or_else(|| disrupted(node, file, pod))
}

/// The kubelet's eviction manager (`pkg/kubelet/eviction/eviction_manager.go`): reason `Evicted`.
fn evicted_by_kubelet(node: &NodeFile, file: &PodFile, pod: &Pod) -> Option<Removal> {
    let event = file.events("Evicted").next_back();
    let by_status = (pod.reason == "Evicted").then_some(pod.message.as_str());
    let message = by_status.or_else(|| event.map(|known| known.event.message.as_str()))?;
    let at = event.and_then(|known| known.times.first().copied()).or_else(|| since(file, pod))?;
    let eviction = eviction::of(node, file, pod, message)?;
    let mut said = Vec::new();
    said.extend(by_status.map(|message| (file.teller(), at, format!("status.reason Evicted: {message}"))));
    said.extend(event.map(|known| (known.source(), at, known.said())));
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

/// The condition `DisruptionTarget` names who is about to end the pod (`pkg/apis/core/types.go`).
fn disrupted(node: &NodeFile, file: &PodFile, pod: &Pod) -> Option<Removal> {
    let condition = pod.condition("DisruptionTarget").filter(|condition| condition.status == Some(true))?;
    let message = text::clean(&condition.message, 512);
    let (cause, by, summary, explanation) = match condition.reason.as_str() {
        "EvictionByEvictionAPI" => (
            Cause::EvictedByApi,
            StopRequester::Drain,
            "Evicted through the eviction API, as a drain or an autoscaler does".to_owned(),
            cordoned(node),
        ),
        "PreemptionByScheduler" => {
            let preemptor = file.events("Preempted").next_back();
            let who =
                preemptor.map_or_else(String::new, |known| format!(" {}.", text::clean(&known.event.message, 256)));
            (
                Cause::Preempted,
                StopRequester::Preemption,
                "Preempted: a pod of higher priority needed the room".to_owned(),
                format!("The scheduler removed it to make room; its priority is {}.{who}", pod.priority),
            )
        }
        "DeletionByTaintManager" => {
            let taints: Vec<_> = node
                .objects
                .node
                .iter()
                .flat_map(|object| &object.taints)
                .filter(|taint| taint.effect == "NoExecute")
                .map(|taint| text::clean(&taint.key, 253))
                .collect();
            let which = if taints.is_empty() { String::new() } else { format!(": {}", taints.join(", ")) };
            (
                Cause::EvictedByTaint,
                StopRequester::Taint,
                "Evicted by a NoExecute taint of its node".to_owned(),
                format!("The node has a NoExecute taint that the pod does not tolerate, or not that long{which}."),
            )
        }
        "TerminationByKubelet" if pod.reason == "Preempting" => (
            Cause::Preempted,
            StopRequester::Preemption,
            "Preempted on its node: a critical pod needed the room".to_owned(),
            "The kubelet removed it to admit a critical pod.".to_owned(),
        ),
        // `pkg/kubelet/nodeshutdown`: reason `Terminated`.
        "TerminationByKubelet" if pod.reason == "Terminated" || message.contains("node shutdown") => (
            Cause::NodeShutdown,
            StopRequester::NodeShutdown,
            "Ended because its node was shutting down".to_owned(),
            "The kubelet ended the node's pods in an orderly shutdown.".to_owned(),
        ),
        _ => return None,
    };
    let at = condition.since.or_else(|| since(file, pod))?;
    let said = format!("condition DisruptionTarget, reason {}: {message}", condition.reason);
    Some(Removal { cause, by, at, summary, explanation, said: vec![(file.teller(), at, said)] })
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
    disrupted.or_else(told).or_else(deleted).or(Some(file.heard))
}
