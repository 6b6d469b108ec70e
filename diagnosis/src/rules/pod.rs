//! The rules about pods and about containers without an instance: what does not start, is not ready, does not end, and
//! what ended a pod as a whole.

mod admission;
mod config;
mod device;
mod ended;
mod fabricated;
mod hook;
mod image;
pub(super) mod memory;
mod readiness;
mod removal;
mod resize;
mod restart_rule;
mod sandbox;
mod stuck;
mod volume;

use coroner_proto::v1::{Cause, Exit};
use jiff::Timestamp;

use super::Needs;
use crate::{
    aspect::Aspect,
    case::{ContainerFile, NodeFile, Occurrences, PodFile},
    explanation::{self, Considered},
    messages::explain,
    observation::kube::{self, ContainerStatus, State, Terminated},
    text,
    verdict::Verdict,
};

/// The verdict of a rule on one aspect of a pod or node.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What of the pod it is about.
    pub aspect: Aspect,
    /// What the rule concludes of the aspect.
    pub verdict: Verdict,
    /// Before this moment it may still pass: it is not reported.
    pub ripe: Timestamp,
}

/// A pod, as the rules look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PodCase<'a> {
    /// The node's file.
    pub(super) node: &'a NodeFile,
    /// The pod's file.
    pub(super) file: &'a PodFile,
    /// The object.
    pub(super) pod: &'a kube::Pod,
    /// Now.
    pub(super) now: Timestamp,
}

/// A rule about pods: it looks at a pod and gives what holds now, or has happened.
type Rule = fn(PodCase<'_>) -> Vec<Finding>;

/// The rules. Of several findings about one aspect, the first stands.
const RULES: [(&str, Rule, Needs); 14] = [
    ("removal", removal::findings, explain::pod_removal),
    ("admission", admission::findings, explain::pod_admission),
    ("sandbox", sandbox::findings, explain::pod_sandbox),
    ("volume", volume::findings, explain::pod_volume),
    ("image", image::findings, explain::pod_image),
    ("config", config::findings, explain::pod_config),
    ("hook", hook::findings, explain::pod_hook),
    ("readiness", readiness::findings, explain::pod_readiness),
    ("device", device::findings, explain::pod_device),
    ("resize", resize::findings, explain::pod_resize),
    ("stuck", stuck::findings, explain::pod_stuck),
    ("restart rule", restart_rule::findings, explain::pod_restart_rule),
    ("fabricated", fabricated::findings, explain::pod_fabricated),
    ("ended", ended::findings, explain::pod_ended),
];

/// What holds of a pod now, or has happened to it. `None` if the object is not known: then nothing can be known to be
/// over.
pub fn pod(node: &NodeFile, file: &PodFile, now: Timestamp) -> Option<Vec<Finding>> {
    let case = PodCase { node, file, pod: file.object()?, now };
    let mut findings: Vec<Finding> = Vec::new();
    for finding in RULES.iter().flat_map(|(_, rule, _)| rule(case)) {
        if findings.iter().all(|known| known.aspect != finding.aspect) {
            findings.push(finding);
        }
    }
    Some(findings)
}

/// What each rule concludes of one aspect of a pod.
pub(crate) fn considered(node: &NodeFile, file: &PodFile, now: Timestamp, aspect: &Aspect) -> Vec<Considered> {
    let Some(pod) = file.object() else { return Vec::new() };
    let case = PodCase { node, file, pod, now };
    explanation::considered(RULES, |rule| cause_of(rule(case), aspect))
}

/// The cause of what was found of this aspect.
pub(super) fn cause_of(findings: Vec<Finding>, aspect: &Aspect) -> Option<Cause> {
    findings.into_iter().find(|finding| finding.aspect == *aspect).map(|finding| finding.verdict.cause)
}

impl<'a> PodCase<'a> {
    /// Whether the pod waits for its sandbox, or for what it needs before that, which failed at this time: it has none,
    /// and no container has run since.
    fn waits_for_sandbox(&self, failed: Timestamp) -> bool {
        // 1.29 on, and what it was called in 1.25.
        let has_one = ["PodReadyToStartContainers", "PodHasNetwork"]
            .into_iter()
            .filter_map(|kind| self.pod.condition(kind))
            .any(|condition| condition.status == Some(true));
        let before = |ended: &Terminated| ended.finished.is_none_or(|finished| finished <= failed);
        let waits = |status: &ContainerStatus| match &status.state {
            State::Waiting { reason, .. } => is_start(reason) && status.last.as_ref().is_none_or(before),
            State::Running { .. } => false,
            State::Terminated(ended) => before(ended),
        };
        !has_one && !self.file.has_ended() && self.pod.deletion.is_none() && self.pod.statuses.iter().all(waits)
    }

    /// Events with this reason about a container, the oldest first.
    fn events(&self, reason: &str, container: &'a str) -> impl Iterator<Item = &'a Occurrences> {
        self.file.events(reason).filter(move |known| known.event.about.container() == Some(container))
    }

    /// The instances of a container that are known.
    fn instances_of(&self, container: &str) -> impl Iterator<Item = &'a ContainerFile> {
        self.node.registry.instances(self.file).filter(move |file| file.name() == Some(container))
    }

    /// How many instances of a container are known.
    fn instances(&self, container: &str) -> usize {
        self.instances_of(container).count()
    }

    /// The newest instance of a container.
    fn instance(&self, container: &str) -> Option<&'a ContainerFile> {
        self.instances_of(container).max_by_key(|file| (file.first_seen, &file.id))
    }

    /// Since when a container waits, as far as known: the first failure that was reported of it, else since the pod is
    /// there.
    fn since(&self, container: &'a str) -> Timestamp {
        let reasons = ["Failed", "InspectFailed", "ErrImageNeverPull"].into_iter();
        let first = reasons.flat_map(|reason| self.events(reason, container)).filter_map(|known| known.first()).min();
        first.or(self.pod.started).or(self.pod.meta.created).unwrap_or(self.file.last_report)
    }
}

/// Whether a container waits for the pod's start, and not for its own.
fn is_start(reason: &str) -> bool {
    matches!(reason, "" | "ContainerCreating" | "PodInitializing")
}

/// The end in a container's status that the kubelet reports for this reason: the present one, else the last.
fn end_with_reason<'a>(status: &'a ContainerStatus, reason: &str) -> Option<&'a Terminated> {
    let now = match &status.state {
        State::Terminated(ended) => Some(ended),
        State::Waiting { .. } | State::Running { .. } => None,
    };
    now.into_iter().chain(&status.last).find(|ended| ended.reason == reason)
}

impl Terminated {
    /// The end, as evidence: reason, exit code and message.
    fn statement(&self) -> String {
        format!("{} ({}): {}", self.reason, self.code, self.message)
    }
}

/// The exit of an end whose code the kubelet made up.
fn fabricated_exit(ended: &Terminated) -> Exit {
    Exit { code: ended.code, signal: 0, fabricated: true, reported_reason: text::clean(&ended.reason, 63) }
}

/// Containers that wait with a reason and a message.
fn waiting(case: PodCase<'_>) -> impl Iterator<Item = (&ContainerStatus, &str, &str)> {
    case.pod.statuses.iter().filter_map(|status| match &status.state {
        State::Waiting { reason, message } => Some((status, reason.as_str(), message.as_str())),
        State::Running { .. } | State::Terminated(_) => None,
    })
}
