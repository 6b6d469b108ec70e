//! What is known of one node.

use std::{collections::BTreeMap, sync::Arc};

use coroner_proto::v1::{DaemonState, ProbeOutcome};
use jiff::{SignedDuration, Timestamp};

use super::{
    INTERVAL,
    facts::{Pod, Probe, Prober, Report, Stopping},
};
use crate::observation::kube;

/// A kubelet renews its Lease every 10 s; one that has missed three renewals is silent (`leaseDurationSeconds`).
pub(super) const LEASE: SignedDuration = SignedDuration::from_secs(40);
/// A report that is so late is worth a probe.
pub(super) const SUSPECT: SignedDuration = SignedDuration::from_secs(INTERVAL.as_secs() + 1);
/// A kubelet that works has given a sign within so long: two renewals.
pub(super) const RECENT: SignedDuration = SignedDuration::from_secs(25);
/// A report that took its time is not later than this. One that is was sent by a machine that was set back to a
/// snapshot of this boot.
const LATE: SignedDuration = SignedDuration::from_mins(1);
/// Pods of a node that are kept, while it is silent.
const PODS: usize = 512;
/// Results of probes that are kept of a node.
const PROBES: usize = 4;

/// Taints that announce the end of a node, by the beginning of their keys, and who sets them.
const PLANNED: [(&str, Plan); 9] = [
    ("ToBeDeletedByClusterAutoscaler", Plan::Autoscaler),
    ("karpenter.sh/disrupted", Plan::Karpenter),
    ("karpenter.sh/disruption", Plan::Karpenter),
    ("node.cloudprovider.kubernetes.io/shutdown", Plan::Cloud),
    ("aws-node-termination-handler/", Plan::Cloud),
    ("cloud.google.com/impending-node-termination", Plan::Cloud),
    ("cloud.google.com/active-node-maintenance", Plan::Cloud),
    ("kubernetes.azure.com/scheduledevent", Plan::Cloud),
    ("remediator.aks.microsoft.com/unschedulable", Plan::Maintenance),
];
/// Conditions that announce the same (KEP-4212, KEP-4563).
const PLANNED_CONDITIONS: [&str; 3] = ["Drained", "MaintenanceInProgress", "GracefulNodeShutdownInProgress"];

/// Why a node goes on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Plan {
    /// The cluster autoscaler removes it.
    Autoscaler,
    /// Karpenter replaces it.
    Karpenter,
    /// The cloud takes the machine: spot, maintenance, shut down.
    Cloud,
    /// It is under maintenance.
    Maintenance,
    /// It was drained: it is cordoned, and only pods of the node itself are left.
    Drained,
    /// Its Node object was deleted, for a reason that is not known.
    Deleted,
}

/// The Node object, as far as triage reads it.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) uid: Box<str>,
    pub(super) boot_id: Box<str>,
    pub(super) cordoned: bool,
    /// The condition `Ready`: `None` for `Unknown`, or if there is none.
    pub(super) ready: Option<bool>,
    /// The condition as evidence.
    pub(super) ready_text: Box<str>,
    /// What announces its end, with the taint or condition.
    pub(super) plan: Option<(Plan, Box<str>)>,
}

impl From<&kube::Node> for Object {
    fn from(node: &kube::Node) -> Self {
        let ready = node.condition("Ready");
        let text = ready.map(|ready| {
            let status = match ready.status {
                Some(true) => "True",
                Some(false) => "False",
                None => "Unknown",
            };
            format!("Ready={status} ({}): {}", ready.reason, ready.message)
        });
        let by_taint = node.taints.iter().find_map(|taint| {
            let (_, plan) = PLANNED.iter().find(|(key, _)| taint.key.starts_with(key))?;
            Some((*plan, format!("taint {}:{}", taint.key, taint.effect).into()))
        });
        let by_condition = || {
            let set = |kind: &&&str| node.condition(kind).is_some_and(|condition| condition.status == Some(true));
            let kind = PLANNED_CONDITIONS.iter().find(set)?;
            Some((Plan::Maintenance, format!("condition {kind}").into()))
        };
        Self {
            uid: node.meta.uid.as_str().into(),
            boot_id: node.boot_id.as_str().into(),
            cordoned: node.cordoned,
            ready: ready.and_then(|ready| ready.status),
            ready_text: text.unwrap_or_default().into(),
            plan: by_taint.or_else(by_condition),
        }
    }
}

impl Object {
    /// As it would be listed: with its names, and what announces its end is known already.
    pub(super) fn as_node(&self, name: &str) -> kube::Node {
        let meta = kube::Meta { name: name.to_owned(), uid: self.uid.to_string(), ..kube::Meta::default() };
        kube::Node { meta, cordoned: self.cordoned, boot_id: self.boot_id.to_string(), ..kube::Node::default() }
    }
}

/// The Lease of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    /// As the node wrote it.
    pub(super) renewal: Timestamp,
    /// When this renewal was observed, or the Lease was first listed.
    pub(super) seen: Timestamp,
    /// Renewals that were observed since the node's last report.
    pub(super) renewals: u32,
}

/// The time in which a node gives no report.
#[derive(Clone, Debug, Default)]
pub(super) struct Silence {
    /// The newest result of each prober that was asked.
    pub(super) probes: BTreeMap<Prober, Probe>,
    /// The agents that were asked to probe, and when.
    pub(super) asked: Vec<(Arc<str>, Timestamp)>,
    /// When probes were asked for last.
    pub(super) probed: Option<Timestamp>,
    /// When its pods were asked for last.
    pub(super) listed: Option<Timestamp>,
    /// Its pods; `None` before they were listed.
    pub(super) pods: Option<Vec<Pod>>,
    /// The control plane has noticed it: `Ready` was `Unknown`.
    pub(super) unknown: bool,
}

/// A node.
#[derive(Debug)]
pub(super) struct NodeCase {
    pub(super) object: Option<Object>,
    pub(super) lease: Option<Lease>,
    /// The last report, and when it arrived.
    pub(super) report: Option<(Report, Timestamp)>,
    /// When the last report was sent, at the latest.
    pub(super) sent: Timestamp,
    /// The boot before the present one, by reports and the Node object, or the last boot of the machine that had this
    /// name before: what still arrives from it is late.
    pub(super) boot_before: Box<str>,
    /// The last sign that its host is there, from whatever gave it.
    pub(super) host_sign: Timestamp,
    /// The last sign of its kubelet: a renewal, or an answer.
    pub(super) kubelet_sign: Timestamp,
    /// Since when signs of its kubelet have come without a break.
    pub(super) kubelet_since: Timestamp,
    /// Since when anything is known of it.
    pub(super) since: Timestamp,
    pub(super) silence: Option<Box<Silence>>,
    /// A restart that was reported, whose pods are being listed: the id of the boot, and when it began.
    pub(super) rebooted: Option<(Box<str>, Timestamp)>,
    /// What it recorded of its kubelet, and when: known late, and no sign of life.
    pub(super) recorded: Option<(DaemonState, Timestamp)>,
    /// When its own probes last reached the kubelet of another node, and the agent of another node.
    pub(super) reaches: [Timestamp; 2],
}

impl NodeCase {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            object: None,
            lease: None,
            report: None,
            sent: Timestamp::MIN,
            boot_before: Box::default(),
            host_sign: Timestamp::MIN,
            kubelet_sign: Timestamp::MIN,
            kubelet_since: now,
            since: now,
            silence: None,
            rebooted: None,
            recorded: None,
            reaches: [Timestamp::MIN; 2],
        }
    }

    /// The last report, renewal or answer; when it became known, if there was none.
    pub(super) fn last_sign(&self) -> Timestamp {
        self.host_sign.max(self.since)
    }

    /// When its agent last reported.
    pub(super) fn reported(&self) -> Option<Timestamp> {
        self.report.as_ref().map(|(_, at)| *at)
    }

    /// Whether a report was sent before the last one that arrived: it shows nothing new.
    pub(super) fn is_late(&self, report: &Report) -> bool {
        let Some((last, _)) = &self.report else {
            // It may come from the machine that had this name before.
            let is_current = self.object.as_ref().is_some_and(|object| object.boot_id == report.boot_id);
            return !self.boot_before.is_empty() && report.boot_id == self.boot_before && !is_current;
        };
        let same_boot = last.boot_id == report.boot_id;
        let behind = last.uptime - report.uptime;
        same_boot && behind.is_positive() && behind < LATE || !same_boot && report.boot_id == self.boot_before
    }

    /// When a report that arrives `now` was sent, at the latest: its uptime shows how long after the last one.
    pub(super) fn sent(&self, report: &Report, now: Timestamp) -> Timestamp {
        let Some((last, _)) = self.report.as_ref().filter(|(last, _)| last.boot_id == report.boot_id) else {
            return now;
        };
        let between = report.uptime - last.uptime;
        // A clock that is slow, by far less than a hundredth, must not add up.
        let sent = self.sent.checked_add(between + between / 100).unwrap_or(now).min(now);
        // A machine that was paused has not counted that time.
        if now.duration_since(sent) < LATE { sent } else { now }
    }

    /// Keeps a report that arrives when it is known that the node has been silent since it was sent: it is no sign.
    pub(super) fn record_belated(&mut self, report: Report, sent: Timestamp) {
        let at = self.reported().unwrap_or(sent);
        (self.report, self.sent) = (Some((report, at)), sent);
    }

    /// Keeps a report that has arrived `now`.
    pub(super) fn record_report(&mut self, report: Report, sent: Timestamp, now: Timestamp) {
        self.sent = sent;
        if let Some((last, _)) = self.report.take().filter(|(last, _)| last.boot_id != report.boot_id) {
            self.boot_before = last.boot_id;
        }
        self.host_sign = self.host_sign.max(now);
        self.report = Some((report, now));
        if let Some(lease) = &mut self.lease {
            lease.renewals = 0;
        }
    }

    /// How long no renewal of its Lease has been observed, by someone who could observe one since `watched`.
    pub(super) fn lease_age(&self, now: Timestamp, watched: Timestamp) -> Option<SignedDuration> {
        self.lease.map(|lease| now.duration_since(lease.seen.max(watched)))
    }

    /// What was announced of its end in its last report.
    pub(super) fn stopping(&self) -> Option<Stopping> {
        self.report.as_ref().and_then(|(report, _)| report.stopping)
    }

    /// Why it goes on purpose, and by what that is known.
    pub(super) fn plan(&self) -> Option<(Plan, &str)> {
        let object = self.object.as_ref()?;
        if let Some((plan, why)) = &object.plan {
            return Some((*plan, why));
        }
        let pods = self.silence.as_ref()?.pods.as_ref()?;
        let drained = object.cordoned && pods.iter().all(|pod| pod.of_node || pod.ended);
        drained.then_some((Plan::Drained, "spec.unschedulable"))
    }

    /// Whether its agent's pod is there to stay and has been for a while, so that its silence is no replacement. Where
    /// its pods are not known: `None`.
    pub(super) fn agent_is_settled(&self, now: Timestamp, patience: SignedDuration) -> Option<bool> {
        let pods = self.silence.as_ref()?.pods.as_ref()?;
        let settled = |pod: &Pod| {
            !pod.deleting && !pod.ended && pod.created.is_none_or(|created| now.duration_since(created) >= patience)
        };
        Some(pods.iter().any(|pod| pod.agent && settled(pod)))
    }

    /// Its kubelet gave a sign.
    pub(super) fn record_kubelet(&mut self, at: Timestamp) {
        if self.kubelet_sign == Timestamp::MIN || at.duration_since(self.kubelet_sign) > RECENT {
            self.kubelet_since = at;
        }
        self.kubelet_sign = self.kubelet_sign.max(at);
        self.host_sign = self.host_sign.max(at);
    }

    /// Keeps the result of a probe. True if it shows that the host is there.
    pub(super) fn record_probe(&mut self, probe: Probe) -> bool {
        let signs = [probe.kubelet, probe.agent].map(shows_host);
        if signs.contains(&true) {
            self.host_sign = self.host_sign.max(probe.at);
        }
        if probe.kubelet == ProbeOutcome::Answered {
            self.record_kubelet(probe.at);
        }
        if let Some(silence) = &mut self.silence
            && (silence.probes.len() < PROBES || silence.probes.contains_key(&probe.by))
        {
            silence.probes.insert(probe.by.clone(), probe);
        }
        signs.contains(&true)
    }

    /// Keeps its pods, those with a name to show first.
    pub(super) fn record_pods(&mut self, mut pods: Vec<Pod>) {
        let Some(silence) = &mut self.silence else { return };
        pods.sort_by_key(|pod| (pod.ended, pod.of_node && !pod.agent));
        pods.truncate(PODS);
        silence.pods = Some(pods);
    }
}

/// Whether the host answered a connection attempt in whatever way: its network stack is up.
pub(super) fn shows_host(outcome: ProbeOutcome) -> bool {
    matches!(outcome, ProbeOutcome::Answered | ProbeOutcome::Refused | ProbeOutcome::Silent)
}

/// Whether nothing came back.
pub(super) fn shows_nothing(outcome: ProbeOutcome) -> bool {
    matches!(outcome, ProbeOutcome::TimedOut | ProbeOutcome::Unreachable)
}
