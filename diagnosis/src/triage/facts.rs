//! What triage is given. Every fact comes with the moment at which it was observed, by a clock that is never set.

use std::sync::Arc;

use coroner_proto::v1::{Cause, DaemonState, Diagnosis, NodeReport, PreviousEnd, ProbeOutcome, SubjectKind};
use jiff::{SignedDuration, Timestamp};

use crate::{
    observation::{
        Health,
        kube::{self, Change},
    },
    text,
};

/// A kernel fault that is older than this when a report is made does not explain why the next one is missing.
const LAST_WORDS: SignedDuration = SignedDuration::from_mins(2);
/// Share of time in which all tasks waited for memory, in percent, from which a node counts as stalled.
const STALLED: f64 = 40.0;

/// A fact about a node or its pods that triage concludes from.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Its agent reported.
    Report {
        /// The node.
        node: Arc<str>,
        /// What it reported.
        report: Report,
    },
    /// A watch reported its Node object.
    Node(Change, Box<kube::Node>),
    /// A watch reported its Lease in `kube-node-lease`.
    Lease {
        /// The node, which the Lease is named after.
        node: Arc<str>,
        /// `spec.renewTime`: the node's own clock, compared only with its earlier values. `None` once the Lease is
        /// gone.
        renewal: Option<Timestamp>,
    },
    /// What the node recorded of its kubelet while it may have been cut off; it arrives late and is no sign of life.
    Recorded {
        /// The node.
        node: Arc<str>,
        /// The state of its kubelet then.
        kubelet: DaemonState,
    },
    /// A probe has ended.
    Probe(Probe),
    /// The pods of a node, as [`Request::Pods`](super::Request::Pods) asked for.
    Pods {
        /// The node.
        node: Arc<str>,
        /// Its pods.
        pods: Vec<Pod>,
    },
    /// How well the API server's Nodes and Leases are watched.
    Watch(Health),
}

impl Fact {
    /// What a diagnosis of an agent shows of the kubelet of its node.
    pub fn recorded(diagnosis: &Diagnosis) -> Option<Self> {
        let subject = diagnosis.subject.as_ref().filter(|subject| subject.kind() == SubjectKind::Node)?;
        let kubelet = match (diagnosis.cause(), &diagnosis.resolve_time) {
            (Cause::KubeletDown | Cause::KubeletMisconfigured, None) => DaemonState::Down,
            (Cause::KubeletHung, None) => DaemonState::Hung,
            (Cause::KubeletDown | Cause::KubeletHung | Cause::KubeletMisconfigured, Some(_)) => DaemonState::Running,
            _ => return None,
        };
        Some(Self::Recorded { node: subject.name.as_str().into(), kubelet })
    }
}

/// The part of a node report that triage keeps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The id of the boot; empty if the node does not report it.
    pub boot_id: Box<str>,
    /// The time since the boot, at the time of the report.
    pub uptime: SignedDuration,
    /// How the boot before ended; unspecified where that is not known.
    pub previous_end: PreviousEnd,
    /// The announcement that the agent or the host is being stopped.
    pub stopping: Option<Stopping>,
    /// The state of the kubelet, as the agent last observed it.
    pub kubelet: DaemonState,
    /// The kernel's newest fault, if it is recent, in the kernel's words.
    pub fault: Option<Box<str>>,
    /// Whether all tasks waited for memory most of the time.
    pub stalled: bool,
}

/// What an announcement of an end is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// The agent alone.
    Agent,
    /// The whole host.
    Host,
}

impl From<&NodeReport> for Report {
    fn from(report: &NodeReport) -> Self {
        let time = |time: &prost_types::Timestamp| Timestamp::new(time.seconds, time.nanos).ok();
        let now = report.time.as_ref().and_then(time);
        let recent = |at: Timestamp| now.is_some_and(|now| now.duration_since(at).abs() <= LAST_WORDS);
        let newest = report.kernel_faults.first();
        let newest = newest.filter(|fault| fault.time.as_ref().and_then(time).is_some_and(recent));
        let uptime = report.uptime.unwrap_or_default();
        let memory = report.pressure.as_ref().and_then(|pressure| pressure.memory_full_percent);
        Self {
            boot_id: text::clean(&report.boot_id, 64).into(),
            uptime: SignedDuration::new(uptime.seconds.clamp(0, 1 << 40), uptime.nanos.clamp(0, 999_999_999)),
            previous_end: report.previous_end(),
            stopping: report.stopping.map(|stopping| if stopping.host { Stopping::Host } else { Stopping::Agent }),
            kubelet: report.kubelet.as_ref().map_or(DaemonState::Unspecified, |kubelet| kubelet.state()),
            fault: newest.map(|fault| text::clean(&fault.line, 256).into()),
            stalled: memory.is_some_and(|percent| percent >= STALLED),
        }
    }
}

/// The sender of a probe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Prober {
    /// The aggregator itself.
    Aggregator,
    /// The agent of this node.
    Node(Arc<str>),
}

/// The outcome of a probe of a node's two ports.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The node that was probed.
    pub target: Arc<str>,
    /// The sender of the probe.
    pub by: Prober,
    /// How the kubelet's port (10250) responded.
    pub kubelet: ProbeOutcome,
    /// How the agent's health port responded.
    pub agent: ProbeOutcome,
    /// When the probe ended.
    pub at: Timestamp,
}

/// A pod that is bound to a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// The pod, as `NAMESPACE/NAME`.
    pub name: String,
    /// How long it stays when its node is unreachable; `None`: for ever.
    pub tolerated: Option<SignedDuration>,
    /// It belongs to a DaemonSet, or is a static pod: a drain leaves it.
    pub of_node: bool,
    /// Whether it is the agent of the node.
    pub agent: bool,
    /// Whether its deletion was requested.
    pub deleting: bool,
    /// Whether its phase is `Succeeded` or `Failed`.
    pub ended: bool,
    /// When the API server created it.
    pub created: Option<Timestamp>,
}

impl From<&kube::Pod> for Pod {
    fn from(pod: &kube::Pod) -> Self {
        let of_node = pod.meta.controller.as_ref().is_some_and(|c| matches!(c.kind.as_str(), "DaemonSet" | "Node"));
        let label = |key: &str| pod.labels.get(key).map(String::as_str);
        let agent =
            label("app.kubernetes.io/name") == Some("coroner") && label("app.kubernetes.io/component") == Some("agent");
        Self {
            name: text::clean(&format!("{}/{}", pod.meta.namespace, pod.meta.name), 317),
            tolerated: pod.tolerates_unreachable(),
            of_node,
            agent,
            deleting: pod.deletion.is_some(),
            ended: matches!(pod.phase.as_str(), "Failed" | "Succeeded"),
            created: pod.meta.created,
        }
    }
}
