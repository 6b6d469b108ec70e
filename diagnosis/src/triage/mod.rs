//! Nodes that fall silent: verdicts that no agent can give, from the reports of all of them, Leases, Node objects and
//! probes.
//!
//! A node that reports is not judged here: its own daemons are subject of the agent's verdicts. One whose reports stop
//! is probed, by the aggregator and by agents of other nodes, and a missing answer counts as evidence only where the
//! same prober reaches others. No node is accused while many are silent, or while the aggregator itself does not see
//! the API server.
//!
//! Time is given with each fact and tick, from a clock that is never set; no clock of a node is compared with it.

mod boot;
mod facts;
mod node;
mod path;
mod removal;
mod silence;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use coroner_proto::v1::{Diagnosis, Node, Subject as Named, SubjectKind};
use jiff::{SignedDuration, Timestamp};

pub use self::facts::{Fact, Pod, Probe, Prober, Report, Stopping};
use self::{
    node::{Lease, NodeCase, Object, SUSPECT, Silence},
    path::Path,
};
use crate::{
    aspect::Aspect,
    due::DueQueue,
    observation::{
        Health, Reason,
        kube::{self, Change},
    },
    report::{self, Revision},
    revisions::{Content, Outcome, Reported, Revisions},
    text,
    verdict::Verdict,
};

/// How often an agent sends its node report.
pub const INTERVAL: SignedDuration = SignedDuration::from_secs(5);
/// The most nodes that are kept: twice the largest clusters that Kubernetes supports.
pub const NODES: usize = 10_000;
/// Agents that are asked to probe one silent node.
const PROBERS: usize = 3;
/// Nodes that one agent is asked to probe at once, beside one that is known to answer.
const TARGETS: usize = 2;
/// Time is given at least when it is asked for. If it comes so much later, the aggregator itself was stopped: what it
/// has not taken in meanwhile is no silence of a node.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// A node without a Node object that has given no sign for so long is forgotten.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(1);

/// What a verdict is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// The way to the nodes, or the control plane.
    Cluster,
    Node(Arc<str>),
}

/// What holds of a subject, or has happened to it.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    /// Uid of the Node object; the name where that is not known.
    uid: Box<str>,
    /// Its name; empty for the cluster.
    name: Arc<str>,
    /// The boot that it is about.
    boot_id: Box<str>,
    verdict: Verdict,
}

impl Content for Finding {
    fn supersedes(&self, reported: &Self) -> bool {
        let (now, before) = (&self.verdict, &reported.verdict);
        now.differs_from(before)
            || now.headline.id != before.headline.id
            || now.related.is_empty() != before.related.is_empty()
    }

    fn at(&self) -> Timestamp {
        self.verdict.at
    }
}

/// What triage asks the aggregator to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Whether this node answers the aggregator itself.
    Probe(Arc<str>),
    /// The pods that are bound to this node.
    Pods(Arc<str>),
}

/// Whether Leases and Nodes are watched.
#[derive(Debug)]
enum Watch {
    /// They are, since then.
    Well(Timestamp),
    /// They were, and the watch is broken since then, with the reason.
    Broken(Timestamp, Reason),
    /// They cannot be.
    Absent,
}

/// Keeps what is known of every node, and decides. Memory: some 500 bytes a node, 100 KiB more at most while it is
/// silent.
#[derive(Debug)]
pub struct Triage {
    cluster_uid: String,
    nodes: BTreeMap<Arc<str>, NodeCase>,
    revisions: Revisions<Subject, Finding>,
    /// Which node to examine, and when.
    waiting: DueQueue<Arc<str>>,
    /// Nodes that are silent.
    silent: BTreeSet<Arc<str>>,
    /// Silent nodes that more agents are to probe.
    wanted: BTreeSet<Arc<str>>,
    /// The nodes that reported last, the newest first: they answer probes.
    reporters: [Option<Arc<str>>; 2],
    /// When the aggregator's own probes last reached a kubelet, and an agent.
    reaches: [Timestamp; 2],
    watch: Watch,
    path: Path,
    requests: Vec<Request>,
    now: Timestamp,
}

impl Triage {
    /// Knows nothing yet of the cluster of this uid: that of its namespace `kube-system`.
    pub fn new(cluster_uid: impl Into<String>) -> Self {
        Self {
            cluster_uid: cluster_uid.into(),
            nodes: BTreeMap::new(),
            revisions: Revisions::new(None),
            waiting: DueQueue::default(),
            silent: BTreeSet::new(),
            wanted: BTreeSet::new(),
            reporters: [None, None],
            reaches: [Timestamp::MIN; 2],
            watch: Watch::Absent,
            path: Path::default(),
            requests: Vec::new(),
            now: Timestamp::MIN,
        }
    }

    /// Takes in what was observed. Gives the diagnoses that are new or better because of it.
    pub fn observe(&mut self, now: Timestamp, fact: Fact) -> Vec<Diagnosis> {
        self.advance(now);
        let mut diagnoses = Vec::new();
        match fact {
            Fact::Report { node, report } => self.record_report(&node, report, &mut diagnoses),
            Fact::Node(Change::Applied, node) => self.record_node(&node, &mut diagnoses),
            Fact::Node(Change::Deleted, node) => self.record_deleted(&node, &mut diagnoses),
            Fact::Lease { node, renewal } => self.record_lease(&node, renewal, &mut diagnoses),
            Fact::Recorded { node, kubelet } => {
                if let Some(case) = self.nodes.get_mut(&node) {
                    case.recorded = Some((kubelet, self.now));
                }
            }
            Fact::Probe(probe) => self.record_probe(probe),
            Fact::Pods { node, pods } => {
                self.relate_boot(&node, &pods, &mut diagnoses);
                if let Some(case) = self.nodes.get_mut(&node) {
                    case.record_pods(pods);
                    self.waiting.wait(&node, self.now);
                }
            }
            Fact::Watch(health) => self.record_watch(health),
        }
        diagnoses
    }

    /// Lets time pass to `now`. Gives the diagnoses that are due.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Diagnosis> {
        self.advance(now);
        let mut diagnoses = Vec::new();
        self.examine_path(&mut diagnoses);
        for name in self.waiting.take_due(self.now) {
            self.examine(&name, &mut diagnoses);
        }
        diagnoses
    }

    fn advance(&mut self, now: Timestamp) {
        let was_stopped = self.next_tick().is_some_and(|due| now.duration_since(due.max(self.now)) > PAUSE);
        self.now = self.now.max(now);
        if !was_stopped {
            return;
        }
        // What was reported of a silence stands, and so does its beginning.
        let is_reported = |name: &&Arc<str>| self.holds(name, &Aspect::Silence) || self.is_gone(name);
        let reported: BTreeSet<_> = self.silent.iter().filter(is_reported).collect();
        for (_, case) in self.nodes.iter_mut().filter(|(name, _)| !reported.contains(name)) {
            case.since = self.now;
            case.kubelet_since = self.now;
        }
    }

    /// When [`tick`](Self::tick) should be called next.
    pub fn next_tick(&self) -> Option<Timestamp> {
        [self.waiting.next(), self.path_due()].into_iter().flatten().min()
    }

    /// Takes out what it wants to know since this was last asked.
    pub fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }

    /// The nodes that the agent of this one is to probe now: silent ones, and one that is known to answer, by which it
    /// shows what its own probes are worth.
    pub fn targets(&mut self, prober: &Arc<str>) -> Vec<Arc<str>> {
        let mut targets: Vec<Arc<str>> = Vec::new();
        let mut served = Vec::new();
        for target in self.wanted.iter().filter(|target| *target != prober) {
            let Some(silence) = self.nodes.get_mut(target).and_then(|case| case.silence.as_mut()) else { continue };
            let since = silence.probed.unwrap_or(self.now);
            let of_round = silence.asked.iter().filter(|(_, at)| *at >= since);
            if of_round.clone().any(|(asked, _)| asked == prober) {
                continue;
            }
            if of_round.count() + 1 >= PROBERS {
                served.push(Arc::clone(target));
            }
            silence.asked.push((Arc::clone(prober), self.now));
            targets.push(Arc::clone(target));
            if targets.len() == TARGETS {
                break;
            }
        }
        for target in &served {
            self.wanted.remove(target);
        }
        if !targets.is_empty() {
            targets.extend(self.control(prober).cloned());
        }
        targets
    }

    /// The Node objects that are known and not among these.
    pub fn missing(&self, listed: &BTreeSet<Arc<str>>) -> Vec<Box<kube::Node>> {
        let known = self.nodes.iter().filter(|(name, case)| case.object.is_some() && !listed.contains(*name));
        known.filter_map(|(name, case)| Some(Box::new(case.object.as_ref()?.as_node(name)))).collect()
    }

    /// How long no renewal of a node's Lease has been observed at `now`; `None` where Leases are not watched, or it has
    /// none.
    pub fn lease_age(&self, node: &str, now: Timestamp) -> Option<SignedDuration> {
        self.nodes.get(node)?.lease_age(now, self.watched_since()?)
    }

    /// Whether something is asked for that was not taken yet.
    pub fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    /// How many nodes are known, and how many of them are silent.
    pub fn counts(&self) -> (usize, usize) {
        (self.nodes.len(), self.silent.len())
    }

    /// A node other than this one that is known to answer: a prober that reaches it can show that another does not.
    pub fn control(&self, other_than: &str) -> Option<&Arc<str>> {
        self.reporters.iter().flatten().find(|reporter| &***reporter != other_than)
    }

    fn case(&mut self, name: &Arc<str>) -> Option<&mut NodeCase> {
        if self.nodes.len() >= NODES && !self.nodes.contains_key(name) {
            return None;
        }
        let now = self.now;
        Some(self.nodes.entry(Arc::clone(name)).or_insert_with(|| NodeCase::new(now)))
    }

    fn record_report(&mut self, name: &Arc<str>, report: Report, diagnoses: &mut Vec<Diagnosis>) {
        let now = self.now;
        let Some(case) = self.case(name) else { return };
        if case.is_late(&report) {
            return;
        }
        let (sent, is_silent) = (case.sent(&report, now), case.silence.is_some());
        if is_silent && self.is_judged_after(name, sent) {
            if let Some(case) = self.nodes.get_mut(name) {
                case.record_belated(report, sent);
            }
            return;
        }
        let Some(case) = self.nodes.get_mut(name) else { return };
        let reboot = boot::by_report(case, &report, now);
        let is_first = case.report.is_none();
        case.record_report(report, sent, now);
        if self.reporters[0].as_ref() != Some(name) {
            let last = self.reporters[0].replace(Arc::clone(name));
            self.reporters[1] = last;
        }
        // From then on it waits for the next look at it.
        if is_first {
            self.waiting.wait(name, now + SUSPECT);
        }
        self.report_boot(name, reboot, diagnoses);
        if self.silent.contains(name) {
            self.end_silence(name, diagnoses);
        }
    }

    fn record_node(&mut self, node: &kube::Node, diagnoses: &mut Vec<Diagnosis>) {
        let name: Arc<str> = text::clean(&node.meta.name, 253).into();
        let now = self.now;
        let Some(case) = self.case(&name) else { return };
        let mut object = Object::from(node);
        // Another machine of the same name.
        if case.object.as_ref().is_some_and(|known| known.uid != object.uid) {
            self.bury(&name, diagnoses);
            return self.record_node(node, diagnoses);
        }
        let known_boot = case.object.as_ref().map(|known| known.boot_id.clone()).filter(|id| !id.is_empty());
        if let Some(known) = known_boot.filter(|known| *known != object.boot_id) {
            // A list from a cache that lags behind shows the boot before again.
            if object.boot_id == case.boot_before {
                object.boot_id = known;
            } else {
                case.boot_before = known;
            }
        }
        let reboot = boot::by_object(case, &object, now);
        if let Some(silence) = &mut case.silence {
            silence.unknown |= object.ready.is_none();
        }
        case.object = Some(object);
        self.report_boot(&name, reboot, diagnoses);
        self.return_by_lease(&name, diagnoses);
    }

    fn record_lease(&mut self, name: &Arc<str>, renewal: Option<Timestamp>, diagnoses: &mut Vec<Diagnosis>) {
        let now = self.now;
        let Some(renewal) = renewal else {
            if let Some(case) = self.nodes.get_mut(name) {
                case.lease = None;
            }
            return;
        };
        let Some(case) = self.case(name) else { return };
        match &mut case.lease {
            Some(lease) if lease.renewal == renewal => {}
            Some(lease) => {
                *lease = Lease { renewal, seen: now, renewals: lease.renewals.saturating_add(1) };
                case.record_kubelet(now);
                self.return_by_lease(name, diagnoses);
            }
            // When it was renewed last is not known, so it counts from now.
            lease @ None => {
                *lease = Some(Lease { renewal, seen: now, renewals: 0 });
                self.waiting.wait(name, now + node::LEASE);
            }
        }
    }

    fn record_probe(&mut self, mut probe: Probe) {
        probe.at = probe.at.min(self.now);
        let reached = [probe.kubelet, probe.agent].map(node::shows_host);
        let reaches = match &probe.by {
            Prober::Aggregator => Some(&mut self.reaches),
            Prober::Node(prober) => self.nodes.get_mut(prober).map(|prober| &mut prober.reaches),
        };
        let Some(reaches) = reaches else { return };
        for (reaches, reached) in reaches.iter_mut().zip(reached) {
            if reached {
                *reaches = (*reaches).max(probe.at);
            }
        }
        let Some(case) = self.nodes.get_mut(&probe.target) else { return };
        let asked = |silence: &Silence| match &probe.by {
            Prober::Aggregator => true,
            Prober::Node(prober) => silence.asked.iter().any(|(asked, _)| asked == prober),
        };
        // An agent reports on nodes that it was asked about.
        if case.silence.as_deref().is_some_and(asked) {
            let target = Arc::clone(&probe.target);
            case.record_probe(probe);
            self.waiting.wait(&target, self.now);
        }
    }

    fn record_watch(&mut self, health: Health) {
        self.watch = match (health, &self.watch) {
            (Health::Ok, Watch::Well(since)) => Watch::Well(*since),
            (Health::Ok, _) => Watch::Well(self.now),
            (Health::Degraded(reason), Watch::Broken(since, _)) => Watch::Broken(*since, reason),
            (Health::Degraded(reason), _) => Watch::Broken(self.now, reason),
            (Health::Absent(_), _) => Watch::Absent,
        };
    }

    /// Since when Leases have been watched without a break.
    fn watched_since(&self) -> Option<Timestamp> {
        match &self.watch {
            Watch::Well(since) => Some(*since),
            Watch::Broken(..) | Watch::Absent => None,
        }
    }

    /// Reports what holds of a subject.
    fn report(&mut self, subject: &Subject, aspect: &Aspect, finding: Finding, diagnoses: &mut Vec<Diagnosis>) {
        if self.revisions.report(self.now, subject, aspect, finding, 1) != Outcome::Known {
            self.revise(subject, aspect, diagnoses);
        }
    }

    fn revise(&mut self, subject: &Subject, aspect: &Aspect, diagnoses: &mut Vec<Diagnosis>) {
        if let Some((finding, revision)) = self.revisions.revise(self.now, subject, aspect) {
            diagnoses.push(diagnosis(&self.cluster_uid, aspect, finding, revision));
        }
    }

    /// A state of a subject is over.
    fn resolve(&mut self, subject: &Subject, aspect: &Aspect, diagnoses: &mut Vec<Diagnosis>) {
        for over in self.revisions.resolve(self.now, subject, |of| of == aspect) {
            self.revise(subject, &over, diagnoses);
        }
    }

    /// Whether a state of a node was reported and is not over.
    fn holds(&self, name: &Arc<str>, aspect: &Aspect) -> bool {
        self.unresolved(&Subject::Node(Arc::clone(name)), aspect).is_some()
    }

    /// What was reported of a subject and is not over.
    fn unresolved(&self, subject: &Subject, aspect: &Aspect) -> Option<&Reported<Finding>> {
        self.revisions.get(subject, aspect).filter(|known| !known.is_resolved())
    }

    /// Closes what is known of a machine that has gone, but for its boot: another one of its name may come, and the
    /// last report of this one after it.
    fn bury(&mut self, name: &Arc<str>, diagnoses: &mut Vec<Diagnosis>) {
        let boot_before = self.nodes.get(name).map(|case| boot::of(case).into()).unwrap_or_default();
        self.close(name, diagnoses);
        self.nodes.insert(Arc::clone(name), NodeCase { boot_before, ..NodeCase::new(self.now) });
        self.waiting.wait(name, self.now + FORGOTTEN);
    }

    /// Forgets a node, whose states are over with it.
    fn close(&mut self, name: &Arc<str>, diagnoses: &mut Vec<Diagnosis>) {
        let subject = Subject::Node(Arc::clone(name));
        self.resolve(&subject, &Aspect::Silence, diagnoses);
        self.revisions.forget(&subject);
        self.nodes.remove(name);
        self.waiting.remove(name);
        self.silent.remove(name);
        self.wanted.remove(name);
    }
}

fn diagnosis(cluster: &str, aspect: &Aspect, finding: &Finding, revision: Revision) -> Diagnosis {
    let Finding { uid, name, boot_id, verdict } = finding;
    let kind = if name.is_empty() { SubjectKind::Cluster } else { SubjectKind::Node };
    let subject = Named { kind: kind.into(), name: name.to_string(), ..Named::default() };
    Diagnosis {
        uid: report::object_uid(cluster, uid, aspect),
        // `name` is left out: what an agent reports names it, and what the aggregator reports does not.
        node: Some(Node { cluster_uid: cluster.to_owned(), boot_id: boot_id.to_string(), ..Node::default() }),
        ..report::diagnosis(subject, verdict, revision)
    }
}

#[cfg(test)]
mod tests;
