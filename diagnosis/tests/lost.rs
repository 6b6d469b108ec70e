//! Pods of nodes that are gone or do not respond: the watch of the cluster, and the node's own agent.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, sync::Arc};

use coroner_diagnosis::{
    cluster::ClusterExaminer,
    examiner::Examiner,
    observation::{
        Fact, Health, Observation, Source,
        cri::{Container, ContainerId, State},
        kube::{self, Change, Condition, ContainerStatus, Controller, Deletion, Kind, Meta, Object},
        node::Reading,
        process::NodeMemory,
    },
};
use coroner_proto::v1::{Cause, Confidence, Diagnosis, Node, SubjectKind};
use jiff::{SignedDuration, Timestamp};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

struct Cluster {
    examiner: ClusterExaminer,
    second: i64,
    last: BTreeMap<String, Diagnosis>,
}

impl Cluster {
    fn new() -> Self {
        let mut new = Self { examiner: ClusterExaminer::new("c"), second: 0, last: BTreeMap::new() };
        for kind in [Kind::Pods, Kind::Nodes] {
            new.fact(Fact::Health(Source::Api(kind), Health::Ok));
        }
        new.put(Change::Applied, node(Some(true)));
        new
    }

    fn fact(&mut self, fact: Fact) {
        let now = at(self.second);
        let found = self.examiner.observe(Observation { seen_at: now, happened_at: now, fact });
        self.keep(found);
    }

    fn put(&mut self, change: Change, object: Object) {
        self.fact(Fact::Object(change, object));
    }

    fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.second += 1;
            let found = self.examiner.tick(at(self.second));
            self.keep(found);
        }
    }

    fn keep(&mut self, found: Vec<Diagnosis>) {
        self.last.extend(found.into_iter().map(|diagnosis| (diagnosis.uid.clone(), diagnosis)));
    }

    /// Cause, confidence and whether it is over of all that was reported.
    fn causes(&self) -> Vec<(Cause, Confidence, bool)> {
        let mut all: Vec<_> = self.last.values().collect();
        all.sort_by_key(|diagnosis| diagnosis.cause().as_str_name());
        all.into_iter().map(|d| (d.cause(), d.confidence(), d.resolve_time.is_some())).collect()
    }
}

fn node(ready: Option<bool>) -> Object {
    let ready = Condition {
        kind: "Ready".to_owned(),
        status: ready,
        reason: "NodeStatusUnknown".to_owned(),
        since: Some(at(0)),
        ..Condition::default()
    };
    let meta = Meta { name: "worker-3".to_owned(), uid: "node".to_owned(), ..Meta::default() };
    Object::Node(Box::new(kube::Node { meta, conditions: vec![ready], ..kube::Node::default() }))
}

/// A running pod of a StatefulSet.
fn pod() -> kube::Pod {
    let controller = Controller { kind: "StatefulSet".to_owned(), name: "db".to_owned(), uid: "set".to_owned() };
    let meta = Meta {
        namespace: "shop".to_owned(),
        name: "db-0".to_owned(),
        uid: "pod".to_owned(),
        controller: Some(controller),
        ..Meta::default()
    };
    let running = ContainerStatus {
        name: "db".to_owned(),
        state: kube::State::Running { since: Some(at(-100)) },
        ..ContainerStatus::default()
    };
    kube::Pod {
        meta,
        node_uid: "pod".to_owned(),
        node: "worker-3".to_owned(),
        phase: "Running".to_owned(),
        statuses: vec![running],
        ..kube::Pod::default()
    }
}

fn deleted(second: i64) -> kube::Pod {
    kube::Pod { deletion: Some(Deletion { due: at(second + 30), grace_seconds: 30 }), ..pod() }
}

fn object(pod: kube::Pod) -> Object {
    Object::Pod(Arc::new(pod))
}

#[test]
fn a_pod_that_is_deleted_on_a_node_without_an_answer_is_stuck_until_the_node_is_back() {
    let mut cluster = Cluster::new();
    cluster.put(Change::Applied, object(pod()));
    cluster.put(Change::Applied, node(None));
    cluster.put(Change::Applied, object(deleted(0)));
    cluster.pass(39);
    assert_eq!(cluster.causes(), [], "its grace period is not over for long enough");
    cluster.pass(2);
    assert_eq!(cluster.causes(), [(Cause::StuckOnLostNode, Confidence::Certain, false)]);
    let diagnosis = cluster.last.values().next().unwrap();
    let subject = diagnosis.subject.as_ref().unwrap();
    assert_eq!((subject.kind(), &*subject.name, &*subject.node), (SubjectKind::Pod, "db-0", "worker-3"));
    assert!(!diagnosis.fatal && diagnosis.workloads[0].name == "db");
    assert!(diagnosis.explanation.contains("StatefulSet"), "{}", diagnosis.explanation);
    cluster.put(Change::Applied, node(Some(true)));
    cluster.pass(10);
    assert_eq!(cluster.causes(), [(Cause::StuckOnLostNode, Confidence::Certain, true)]);
}

#[test]
fn a_pod_that_is_deleted_on_a_node_that_works_is_none_of_the_clusters_business() {
    let mut cluster = Cluster::new();
    cluster.put(Change::Applied, object(deleted(0)));
    cluster.pass(300);
    cluster.put(Change::Deleted, object(deleted(0)));
    cluster.pass(10);
    assert_eq!(cluster.causes(), []);
}

#[test]
fn the_garbage_collectors_condition_shows_that_a_pod_went_with_its_node() {
    let mut cluster = Cluster::new();
    cluster.put(Change::Applied, object(pod()));
    cluster.put(Change::Deleted, node(Some(true)));
    cluster.pass(60);
    let condition = Condition {
        kind: "DisruptionTarget".to_owned(),
        status: Some(true),
        reason: "DeletionByPodGC".to_owned(),
        message: "PodGC: node no longer exists".to_owned(),
        since: Some(at(60)),
    };
    let collected = kube::Pod { phase: "Failed".to_owned(), conditions: vec![condition], ..pod() };
    cluster.put(Change::Applied, object(collected.clone()));
    cluster.pass(2);
    cluster.put(Change::Deleted, object(collected));
    cluster.pass(5);
    assert_eq!(cluster.causes(), [(Cause::RemovedWithNode, Confidence::Certain, false)]);
    assert!(cluster.last.values().all(|diagnosis| diagnosis.fatal && diagnosis.revision == 1));
}

#[test]
fn a_pod_that_the_control_plane_has_given_up_with_its_node_is_reported_once() {
    let mut cluster = Cluster::new();
    cluster.put(Change::Applied, node(None));
    let lost = |phase: &str| kube::Pod {
        phase: phase.to_owned(),
        reason: "NodeLost".to_owned(),
        message: "Node worker-3 which was running pod db-0 is unresponsive".to_owned(),
        ..pod()
    };
    // Not before it has failed: its node may come back.
    cluster.put(Change::Applied, object(lost("Unknown")));
    cluster.pass(60);
    assert_eq!(cluster.causes(), []);
    cluster.put(Change::Applied, object(lost("Failed")));
    cluster.pass(5);
    cluster.put(Change::Deleted, object(lost("Failed")));
    cluster.pass(5);
    assert_eq!(cluster.causes(), [(Cause::RemovedWithNode, Confidence::Certain, false)]);
    assert!(cluster.last.values().all(|diagnosis| diagnosis.fatal && diagnosis.revision == 1));
}

#[test]
fn a_pod_that_is_removed_by_force_is_reported_behind_the_end_of_its_waiting() {
    let mut cluster = Cluster::new();
    cluster.put(Change::Applied, node(None));
    cluster.put(Change::Applied, object(deleted(0)));
    cluster.pass(60);
    cluster.put(Change::Deleted, object(deleted(0)));
    cluster.pass(5);
    let expected =
        [(Cause::RemovedWithNode, Confidence::Likely, false), (Cause::StuckOnLostNode, Confidence::Certain, true)];
    assert_eq!(cluster.causes(), expected);
}

#[test]
fn pods_that_go_with_their_node_by_design_are_not_reported() {
    for kind in ["DaemonSet", "Node"] {
        let mut cluster = Cluster::new();
        cluster.put(Change::Deleted, node(Some(true)));
        let mut pod = pod();
        pod.meta.controller.as_mut().unwrap().kind = kind.to_owned();
        cluster.put(Change::Applied, object(pod.clone()));
        cluster.put(Change::Deleted, object(pod));
        cluster.pass(10);
        assert_eq!(cluster.causes(), [], "{kind}");
    }
}

/// What the runtime lists of containers after a restart of the node.
fn listed(booted: i64, container: Container) -> Vec<(Cause, Confidence)> {
    let node = Node { name: "worker-3".to_owned(), machine_id: "m".to_owned(), ..Node::default() };
    let mut examiner = Examiner::new(node);
    let observation = |second, fact| Observation { seen_at: at(second), happened_at: at(second), fact };
    let uptime = Fact::Node(Reading::Uptime(SignedDuration::from_secs(-booted)));
    let health = Fact::Health(Source::Cri, Health::Ok);
    let roomy = Fact::NodeMemory(NodeMemory { total: 8 << 30, available: 4 << 30 });
    let facts = [uptime, health, roomy, Fact::Container(container)];
    let mut found: Vec<_> = facts.into_iter().flat_map(|fact| examiner.observe(observation(0, fact))).collect();
    found.extend(examiner.tick(at(10)));
    found.into_iter().map(|diagnosis| (diagnosis.cause(), diagnosis.confidence())).collect()
}

fn container(exit_code: i32, reason: &str, finished: i64) -> Container {
    let pod = coroner_diagnosis::observation::cri::Pod {
        namespace: "shop".to_owned(),
        name: "web-1".to_owned(),
        uid: "4242".to_owned(),
    };
    Container {
        id: ContainerId("c1".to_owned()),
        pod,
        name: "web".to_owned(),
        state: State::Exited,
        created_at: Some(at(-501)),
        started_at: Some(at(-500)),
        finished_at: Some(at(finished)),
        exit_code,
        reason: reason.to_owned(),
        pid: Some(667),
        attempt: 0,
        message: String::new(),
        image: String::new(),
        cgroups_path: None,
        limits_known: true,
        memory_limit: Some(64 << 20),
        sandbox_id: None,
        grace_period_seconds: None,
    }
}

#[test]
fn a_container_that_ended_with_its_boot_has_no_diagnosis_beside_the_nodes() {
    assert_eq!(listed(-60, container(255, "Unknown", -40)), []);
    assert_eq!(listed(-60, container(143, "Error", -200)), [], "the agent of that boot has reported it");
    assert_eq!(listed(-600, container(255, "Unknown", -40)), [(Cause::StatusFabricated, Confidence::Certain)]);
    let killed = listed(-60, container(137, "OOMKilled", -200));
    assert!(matches!(killed.as_slice(), [(Cause::OomContainerLimit, _)]), "{killed:?}");
}
