//! A recorded case through the examiners: time passes as for live ones.

mod guest;

use std::{collections::BTreeMap, iter, sync::Arc};

use coroner_proto::v1::{Diagnosis, Node};
use jiff::Timestamp;

use self::guest::Guest;
use crate::{
    cluster::ClusterExaminer,
    examiner::Examiner,
    explanation::Step,
    observation::{
        Fact, Observation, Source,
        kube::{self, Change, Kind, Object},
    },
    triage::{self, Request, Triage},
};

/// What a recorded case leads to, and how.
#[derive(Debug)]
pub struct Replayed {
    /// The last revision of every diagnosis, on the node and in its cluster, in order of time.
    pub diagnoses: Vec<Diagnosis>,
    /// How those of the case's own node came about, in order.
    pub steps: Vec<Step>,
}

/// The last revision of every diagnosis that these observations lead to, on the node and in its cluster, in order of
/// time. Time runs on to `end` after the last of them, so that a verdict that waits is given.
pub fn replay(node: Node, observations: impl IntoIterator<Item = Observation>, end: Timestamp) -> Vec<Diagnosis> {
    let examiner = Examiner::new(node.clone());
    run(node, examiner, observations.into_iter(), Timestamp::MIN, None::<iter::Empty<Observation>>, end).diagnoses
}

/// The same of a case that was recorded on two nodes: `guest` is what the sources of the second one observed, which had
/// been `booted` before. What the API server reports is in the first. The second node is the first that the API server
/// names beside the node of the case.
pub fn replay_with_guest(
    node: Node,
    observations: impl IntoIterator<Item = Observation>,
    booted: Timestamp,
    guest: impl IntoIterator<Item = Observation>,
    end: Timestamp,
) -> Vec<Diagnosis> {
    let examiner = Examiner::new(node.clone());
    run(node, examiner, observations.into_iter(), booted, Some(guest.into_iter()), end).diagnoses
}

/// The same as either, with how the diagnoses came about.
pub fn replay_explained(
    node: Node,
    observations: impl IntoIterator<Item = Observation>,
    booted: Timestamp,
    guest: Option<impl IntoIterator<Item = Observation>>,
    end: Timestamp,
) -> Replayed {
    let examiner = Examiner::new(node.clone()).explaining();
    run(node, examiner, observations.into_iter(), booted, guest.map(IntoIterator::into_iter), end)
}

fn run(
    node: Node,
    examiner: Examiner,
    observations: impl Iterator<Item = Observation>,
    booted: Timestamp,
    guest: Option<impl Iterator<Item = Observation>>,
    end: Timestamp,
) -> Replayed {
    let mut cluster = Cluster::new(node, examiner, booted);
    let has_guest = guest.is_some();
    let (mut own, mut other) = (observations.peekable(), guest.into_iter().flatten().peekable());
    loop {
        // What the API server reports of a moment is known before what the second node does.
        let own_is_next = match (own.peek(), other.peek()) {
            (Some(own), Some(other)) => own.seen_at <= other.seen_at,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let next = if own_is_next { own.next() } else { other.next() };
        let Some(observation) = next else { break };
        let guest_next = if own_is_next { other.peek() } else { Some(&observation) };
        cluster.is_guest_off =
            cluster.guest.as_ref().zip(guest_next).is_some_and(|(guest, next)| guest.boots_with(next));
        cluster.pass_time(observation.seen_at);
        match own_is_next {
            true => cluster.observe(observation, has_guest),
            false => cluster.observe_guest(observation),
        }
    }
    cluster.pass_time(end);
    cluster.tick(end);
    let mut diagnoses: Vec<_> = cluster.last.into_values().collect();
    diagnoses.sort_by_key(|diagnosis| diagnosis.event_time.map(|time| (time.seconds, time.nanos)));
    Replayed { diagnoses, steps: cluster.examiner.into_steps() }
}

/// All that decides in a cluster: an examiner for each recorded node, one for the cluster, and triage.
struct Cluster {
    node: Node,
    examiner: Examiner,
    /// That of the second node, once it has a name.
    guest: Option<Guest>,
    /// When it was booted, before the case.
    booted: Timestamp,
    /// What it observes next is of another boot: until then it decides nothing.
    is_guest_off: bool,
    cluster: ClusterExaminer,
    triage: Triage,
    /// Pods by uid, as triage asks for them.
    pods: BTreeMap<String, Arc<kube::Pod>>,
    last: BTreeMap<String, Diagnosis>,
}

impl Cluster {
    fn new(node: Node, examiner: Examiner, booted: Timestamp) -> Self {
        Self {
            examiner,
            guest: None,
            booted,
            is_guest_off: false,
            cluster: ClusterExaminer::new(node.cluster_uid.clone()),
            triage: Triage::new(node.cluster_uid.clone()),
            pods: BTreeMap::new(),
            last: BTreeMap::new(),
            node,
        }
    }

    fn keep(&mut self, diagnoses: Vec<Diagnosis>) {
        self.last.extend(diagnoses.into_iter().map(|diagnosis| (diagnosis.uid.clone(), diagnosis)));
    }

    /// Takes in what the API server and the sources of the case's own node reported.
    fn observe(&mut self, observation: Observation, has_guest: bool) {
        let at = observation.seen_at;
        if let Fact::Object(_, Object::Node(node)) = &observation.fact
            && has_guest
            && self.guest.is_none()
            && node.meta.name != self.node.name
        {
            let node = Node { name: node.meta.name.clone(), boot_id: node.boot_id.clone(), ..self.node.clone() };
            self.guest = Some(Guest::new(node, at, self.booted));
        }
        let for_triage = match &observation.fact {
            Fact::Object(change, Object::Node(node)) => Some(triage::Fact::Node(*change, node.clone())),
            Fact::Object(change, Object::Pod(pod)) => {
                match change {
                    Change::Applied => self.pods.insert(pod.meta.uid.clone(), Arc::clone(pod)),
                    Change::Deleted => self.pods.remove(&pod.meta.uid),
                };
                None
            }
            // The case's own node is where it was recorded: it was not silent, even while its kubelet did not renew.
            Fact::Lease(lease) if lease.node != self.node.name => {
                Some(triage::Fact::Lease { node: lease.node.as_str().into(), renewal: lease.renewal })
            }
            Fact::Health(Source::Api(Kind::Nodes), health) => Some(triage::Fact::Watch(health.clone())),
            _ => None,
        };
        if let Some(fact) = for_triage {
            let diagnoses = self.triage.observe(at, fact);
            self.keep(diagnoses);
            self.answer(at);
        }
        // Nothing else concerns the cluster.
        let of_api = matches!(observation.fact, Fact::Object(..) | Fact::Health(Source::Api(_), _));
        if of_api || matches!(observation.fact, Fact::Health(..)) {
            let diagnoses = self.cluster.observe(observation.clone());
            self.keep(diagnoses);
        }
        if let Some(guest) = self.guest.as_mut().filter(|_| of_api) {
            guest.keep_node(&observation.fact);
        }
        if let Some(guest) = self.guest.as_mut().filter(|_| of_api && !self.is_guest_off) {
            let diagnoses = guest.observe(observation.clone());
            self.keep(diagnoses);
        }
        let diagnoses = self.examiner.observe(observation);
        self.record(at, &diagnoses);
        self.keep(diagnoses);
    }

    /// Takes in what the sources of the second node reported.
    fn observe_guest(&mut self, observation: Observation) {
        let Some(guest) = self.guest.as_mut() else { return };
        let at = observation.seen_at;
        if matches!(observation.fact, Fact::Health(Source::Api(_), _)) {
            return;
        }
        let mut diagnoses = Vec::new();
        if guest.boots_with(&observation) {
            self.is_guest_off = false;
            diagnoses = guest.reboot(&observation, self.last.values(), self.pods.values());
        }
        diagnoses.extend(guest.observe(observation));
        self.record(at, &diagnoses);
        self.keep(diagnoses);
    }

    /// What agents conclude of their kubelets explains why their Leases are not renewed.
    fn record(&mut self, at: Timestamp, diagnoses: &[Diagnosis]) {
        for fact in diagnoses.iter().filter_map(triage::Fact::recorded) {
            let diagnoses = self.triage.observe(at, fact);
            self.keep(diagnoses);
        }
    }

    /// Gives triage the pods that it asks for. Nothing was probed.
    fn answer(&mut self, at: Timestamp) {
        for request in self.triage.take_requests() {
            let Request::Pods(node) = request else { continue };
            let of_node = self.pods.values().filter(|pod| *pod.node == *node);
            let pods = of_node.map(|pod| triage::Pod::from(&**pod)).collect();
            let diagnoses = self.triage.observe(at, triage::Fact::Pods { node, pods });
            self.keep(diagnoses);
        }
    }

    /// Ticks at each moment that one of them waits for, up to `until`.
    fn pass_time(&mut self, until: Timestamp) {
        let mut ticked = None;
        loop {
            let guest = self.guest.as_ref().filter(|_| !self.is_guest_off).and_then(Guest::next_tick);
            let due = [self.examiner.next_tick(), self.cluster.next_tick(), self.triage.next_tick(), guest];
            let due = due.into_iter().flatten().min();
            let Some(due) = due.filter(|due| *due <= until && ticked.is_none_or(|last| *due > last)) else { return };
            self.tick(due);
            ticked = Some(due);
        }
    }

    fn tick(&mut self, now: Timestamp) {
        let diagnoses = self.examiner.tick(now);
        self.record(now, &diagnoses);
        self.keep(diagnoses);
        if let Some(guest) = self.guest.as_mut().filter(|_| !self.is_guest_off) {
            let diagnoses = guest.tick(now);
            self.record(now, &diagnoses);
            self.keep(diagnoses);
        }
        let diagnoses = self.cluster.tick(now);
        self.keep(diagnoses);
        let diagnoses = self.triage.tick(now);
        self.keep(diagnoses);
        self.answer(now);
    }
}
