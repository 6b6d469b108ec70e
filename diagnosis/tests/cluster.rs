//! The cluster's examiner, held against a model that looks at every object each time.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use coroner_diagnosis::{
    cluster::ClusterExaminer,
    observation::{
        Fact, Health, Observation, Reason, Source,
        kube::{
            Change, Condition, Container, Controller, Deletion, Endpoint, EndpointSlice, Event, Kind, Meta, Node,
            Object, Pod, Port, Reference, Resources, Service, ServicePort, TargetPort, Workload,
        },
    },
};
use coroner_proto::v1::{Cause, Diagnosis};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::ReplicaSet;
use proptest::prelude::*;

type Labels = BTreeMap<String, String>;

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// An examiner with a clock, and the last revisions of what it reported.
struct Examiner {
    examiner: ClusterExaminer,
    now: Timestamp,
    reported: BTreeMap<String, Diagnosis>,
}

impl Examiner {
    fn new() -> Self {
        let mut new = Self { examiner: ClusterExaminer::new("c1"), now: start(), reported: BTreeMap::new() };
        for kind in [Kind::Pods, Kind::Services, Kind::EndpointSlices, Kind::ReplicaSets, Kind::Nodes, Kind::Events] {
            new.observe(Fact::Health(Source::Api(kind), Health::Ok));
        }
        new
    }

    fn observe(&mut self, fact: Fact) {
        let diagnoses = self.examiner.observe(Observation { seen_at: self.now, happened_at: self.now, fact });
        self.keep(diagnoses);
    }

    fn put(&mut self, object: Object) {
        self.observe(Fact::Object(Change::Applied, object));
    }

    fn pass(&mut self, millis: i64) {
        let until = self.now + SignedDuration::from_millis(millis);
        while let Some(due) = self.examiner.next_tick().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let diagnoses = self.examiner.tick(self.now);
            self.keep(diagnoses);
        }
        self.now = until;
    }

    fn keep(&mut self, diagnoses: Vec<Diagnosis>) {
        self.reported.extend(diagnoses.into_iter().map(|diagnosis| (diagnosis.uid.clone(), diagnosis)));
    }

    /// Causes of what is not over, by the name of the subject.
    fn open(&self) -> BTreeMap<String, Cause> {
        let open = self.reported.values().filter(|diagnosis| diagnosis.resolve_time.is_none());
        let name = |diagnosis: &Diagnosis| diagnosis.subject.as_ref().map(|s| format!("{}/{}", s.namespace, s.name));
        open.map(|diagnosis| (name(diagnosis).unwrap(), diagnosis.cause())).collect()
    }
}

fn meta(namespace: u8, prefix: &str, number: u8) -> Meta {
    let name = format!("{prefix}-{number}");
    Meta { namespace: format!("ns-{namespace}"), uid: format!("uid-of-{namespace}-{name}"), name, ..Meta::default() }
}

/// What there is, by kind and uid.
type Model = BTreeMap<(Kind, String), Object>;

#[derive(Clone, Debug)]
enum Step {
    Apply(Object),
    Delete(Object),
    /// The watch has missed how these ended, and lists again.
    List(Kind, BTreeSet<u8>),
    Pass(i64),
}

fn key(object: &Object) -> (Kind, String) {
    let meta = match object {
        Object::Pod(pod) => &pod.meta,
        Object::Service(service) => &service.meta,
        Object::EndpointSlice(slice) => &slice.meta,
        Object::Workload(workload) => &workload.meta,
        Object::Node(node) => &node.meta,
        other => panic!("{other:?} is not in the model"),
    };
    (object.kind(), meta.uid.clone())
}

fn labels() -> impl Strategy<Value = Labels> {
    prop::collection::btree_map("[abc]", "[xy]", 0..4)
}

fn pod() -> impl Strategy<Value = Object> {
    let place = (0..2_u8, 0..6_u8, prop_oneof![Just(""), Just("n-0"), Just("n-1")]);
    let state = (prop_oneof![4 => Just("Running"), 1 => Just("Succeeded"), 1 => Just("Pending")], any::<bool>());
    let template = (labels(), prop::sample::subsequence(vec![80, 8080, 9090], 0..3), 1..4_i128);
    (place, state, template).prop_map(|((namespace, number, node), (phase, deleted), (labels, ports, cpu))| {
        let ports =
            ports.into_iter().map(|number| Port { name: format!("port-{number}"), number, protocol: "TCP".to_owned() });
        let requests = Resources::from_iter([("cpu".to_owned(), cpu * 1000)]);
        Object::Pod(Arc::new(Pod {
            meta: meta(namespace, "pod", number),
            labels,
            node: node.to_owned(),
            phase: phase.to_owned(),
            deletion: deleted.then(|| Deletion { due: start(), grace_seconds: 30 }),
            containers: vec![Container { ports: ports.collect(), requests, ..Container::default() }],
            ..Pod::default()
        }))
    })
}

fn service() -> impl Strategy<Value = Object> {
    let target = prop_oneof![Just(TargetPort::Number(80)), Just(TargetPort::Name("port-8080".to_owned()))];
    let kind = prop_oneof![6 => Just("ClusterIP"), 1 => Just("ExternalName")];
    (0..2_u8, 0..3_u8, kind, labels(), any::<bool>(), target).prop_map(
        |(namespace, number, kind, selector, headless, target)| {
            let port = ServicePort { name: String::new(), number: 80, protocol: "TCP".to_owned(), target };
            let meta = meta(namespace, "svc", number);
            Object::Service(Box::new(Service { meta, kind: kind.to_owned(), selector, headless, ports: vec![port] }))
        },
    )
}

fn slice() -> impl Strategy<Value = Object> {
    (0..2_u8, 0..3_u8, 0..3_u8, any::<bool>()).prop_map(|(namespace, number, service, filled)| {
        let endpoints = if filled { vec![Endpoint::default()] } else { Vec::new() };
        let service = format!("svc-{service}");
        let meta = meta(namespace, "slice", number);
        Object::EndpointSlice(Box::new(EndpointSlice { meta, service, endpoints, ports: Vec::new() }))
    })
}

fn workload() -> impl Strategy<Value = Object> {
    (0..2_u8, 0..2_u8, labels()).prop_map(|(namespace, number, labels)| {
        let meta = meta(namespace, "rs", number);
        Object::Workload(Box::new(Workload { meta, labels, ..Workload::from(&ReplicaSet::default()) }))
    })
}

fn node() -> impl Strategy<Value = Object> {
    (0..3_u8, 1..64_i128, any::<bool>()).prop_map(|(number, cpu, cordoned)| {
        let name = format!("n-{number}");
        let meta = Meta { uid: format!("uid-of-{name}"), name, ..Meta::default() };
        let allocatable = Resources::from_iter([("cpu".to_owned(), cpu * 1000)]);
        Object::Node(Box::new(Node { meta, allocatable, cordoned, ..Node::default() }))
    })
}

fn step() -> impl Strategy<Value = Step> {
    let object = || prop_oneof![4 => pod(), 3 => service(), 1 => slice(), 1 => workload(), 1 => node()];
    let listed =
        prop::sample::select(vec![Kind::Pods, Kind::Services, Kind::EndpointSlices, Kind::ReplicaSets, Kind::Nodes]);
    prop_oneof![
        12 => object().prop_map(Step::Apply),
        4 => object().prop_map(Step::Delete),
        1 => (listed, prop::collection::btree_set(0..4_u8, 0..3)).prop_map(|(kind, gone)| Step::List(kind, gone)),
        3 => (0..4_000_i64).prop_map(Step::Pass),
    ]
}

/// Applies a step to both.
fn take(step: Step, model: &mut Model, examiner: &mut Examiner) {
    match step {
        Step::Apply(object) => {
            model.insert(key(&object), object.clone());
            examiner.put(object);
        }
        Step::Delete(object) => {
            if let Some(object) = model.remove(&key(&object)) {
                examiner.observe(Fact::Object(Change::Deleted, object));
            }
        }
        Step::List(kind, gone) => {
            let of_kind: Vec<_> = model.keys().filter(|(of, _)| *of == kind).cloned().collect();
            for (number, key) in of_kind.iter().enumerate() {
                if u8::try_from(number).is_ok_and(|number| gone.contains(&number)) {
                    model.remove(key);
                }
            }
            examiner.examiner.begin_list(kind, "");
            for (_, object) in model.iter().filter(|((of, _), _)| *of == kind) {
                examiner.put(object.clone());
            }
            examiner.examiner.end_list(examiner.now, kind, "");
        }
        Step::Pass(millis) => examiner.pass(millis),
    }
}

fn pods(model: &Model) -> impl Iterator<Item = &Pod> {
    let living = |pod: &&Pod| !matches!(pod.phase.as_str(), "Failed" | "Succeeded");
    let pods = model.values().filter_map(|object| if let Object::Pod(pod) = object { Some(&**pod) } else { None });
    pods.filter(living)
}

/// What is wrong with a Service, by all objects of the model.
fn expected(model: &Model, service: &Service) -> Option<Cause> {
    if service.kind == "ExternalName" || service.selector.is_empty() {
        return None;
    }
    let has = |labels: &Labels| service.selector.iter().all(|(key, value)| labels.get(key) == Some(value));
    let namespace = &service.meta.namespace;
    let pods: Vec<_> = pods(model)
        .filter(|pod| pod.meta.namespace == *namespace && pod.deletion.is_none() && has(&pod.labels))
        .collect();
    if pods.is_empty() {
        let leads = |object: &Object| match object {
            Object::EndpointSlice(slice) => {
                slice.meta.namespace == *namespace && slice.service == service.meta.name && !slice.endpoints.is_empty()
            }
            Object::Workload(workload) => workload.meta.namespace == *namespace && has(&workload.labels),
            _ => false,
        };
        return (!model.values().any(leads)).then_some(Cause::ServiceWithoutEndpoints);
    }
    let containers = || pods.iter().flat_map(|pod| &pod.containers);
    let ports: Vec<_> = containers().flat_map(|container| &container.ports).collect();
    let each_declares = containers().all(|container| !container.ports.is_empty());
    let mismatched = match &service.ports[0].target {
        TargetPort::Number(number) => each_declares && ports.iter().all(|port| port.number != *number),
        TargetPort::Name(name) => ports.iter().all(|port| port.name != *name),
    };
    (mismatched && !service.headless).then_some(Cause::ServicePortMismatch)
}

proptest! {
    #[test]
    fn services_are_judged_as_if_every_object_was_looked_at(steps in prop::collection::vec(step(), 0..60)) {
        let (mut model, mut examiner) = (Model::new(), Examiner::new());
        for step in steps {
            take(step, &mut model, &mut examiner);
        }
        examiner.pass(60_000);
        let services = model.values().filter_map(|object| if let Object::Service(service) = object { Some(service) } else { None });
        let wrong = services.filter_map(|service| {
            let cause = expected(&model, service)?;
            Some((format!("{}/{}", service.meta.namespace, service.meta.name), cause))
        });
        let mut open = examiner.open();
        open.retain(|_, cause| matches!(cause, Cause::ServiceWithoutEndpoints | Cause::ServicePortMismatch));
        prop_assert_eq!(open, wrong.collect::<BTreeMap<_, _>>());
    }

    #[test]
    fn free_resources_are_what_the_pods_of_each_node_leave(steps in prop::collection::vec(step(), 0..60)) {
        let (mut model, mut examiner) = (Model::new(), Examiner::new());
        for step in steps {
            take(step, &mut model, &mut examiner);
        }
        examiner.put(unschedulable());
        examiner.pass(10_000);
        let nodes = model.values().filter_map(|object| if let Object::Node(node) = object { Some(node) } else { None });
        let free: Vec<i128> = nodes
            .filter(|node| !node.cordoned)
            .map(|node| {
                let here = pods(&model).filter(|pod| pod.node == node.meta.name);
                let requests = here.map(|pod| pod.containers[0].requests.get("cpu").unwrap());
                node.allocatable.get("cpu").unwrap() - requests.sum::<i128>()
            })
            .collect();
        let reported = examiner.reported.values().find(|d| d.cause() == Cause::UnschedulableResources).unwrap();
        let sum = free.iter().filter(|free| **free > 0).sum::<i128>() / 1000;
        match free.iter().max() {
            Some(most) => {
                let most = (*most).max(0) / 1000;
                let free_resources = match free.len() {
                    1 => format!("the only schedulable node has {most} free."),
                    nodes => format!(
                        "of {nodes} schedulable nodes, the one with the most has {most} free; together they have {sum}."
                    ),
                };
                prop_assert!(reported.explanation.contains(&free_resources), "{free_resources}\n{}", reported.explanation);
            }
            None => prop_assert!(!reported.explanation.contains("free")),
        }
    }
}

/// A pod that wants more than any node has.
fn unschedulable() -> Object {
    refused_by_scheduler("0/3 nodes are available: 3 Insufficient cpu.")
}

fn refused_by_scheduler(message: &str) -> Object {
    let condition = Condition {
        kind: "PodScheduled".to_owned(),
        status: Some(false),
        reason: "Unschedulable".to_owned(),
        message: message.to_owned(),
        since: None,
    };
    Object::Pod(Arc::new(Pod {
        meta: meta(9, "large", 0),
        phase: "Pending".to_owned(),
        conditions: vec![condition],
        containers: vec![Container {
            requests: Resources::from_iter([("cpu".to_owned(), 999_000)]),
            ..Container::default()
        }],
        ..Pod::default()
    }))
}

fn refused(at: Timestamp) -> Object {
    Object::Event(Box::new(Event {
        meta: meta(0, "event", 0),
        about: Reference {
            kind: "ReplicaSet".to_owned(),
            namespace: "ns-0".to_owned(),
            name: "web-5d9c".to_owned(),
            uid: "uid-of-web-5d9c".to_owned(),
            field: String::new(),
        },
        reason: "FailedCreate".to_owned(),
        message: "pods \"web-5d9c-\" is forbidden: exceeded quota: q".to_owned(),
        first: Some(at),
        last: Some(at),
        ..Event::default()
    }))
}

fn replica_set() -> Object {
    let mut workload = Workload::from(&ReplicaSet::default());
    workload.meta = Meta {
        namespace: "ns-0".to_owned(),
        name: "web-5d9c".to_owned(),
        uid: "uid-of-web-5d9c".to_owned(),
        created: None,
        controller: Some(Controller {
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
            uid: "uid-of-web".to_owned(),
        }),
    };
    workload.wanted = Some(3);
    workload.conditions = vec![Condition {
        kind: "ReplicaFailure".to_owned(),
        status: Some(true),
        reason: "FailedCreate".to_owned(),
        message: "pods \"web-5d9c-\" is forbidden: exceeded quota: q".to_owned(),
        since: Some(start()),
    }];
    Object::Workload(Box::new(workload))
}

#[test]
fn a_refusal_is_about_the_deployment_whether_event_or_replica_set_came_first() {
    for order in [[refused(start()), replica_set()], [replica_set(), refused(start())]] {
        let mut examiner = Examiner::new();
        for object in order {
            examiner.put(object);
            examiner.pass(5_000);
        }
        assert_eq!(examiner.open(), [("ns-0/web".to_owned(), Cause::QuotaExceeded)].into());
        let diagnosis = examiner.reported.values().next().unwrap();
        let workloads: Vec<_> = diagnosis.workloads.iter().map(|workload| workload.name.as_str()).collect();
        assert_eq!(workloads, ["web-5d9c", "web"]);
    }
}

#[test]
fn a_refusal_is_dated_by_its_event_and_over_with_it() {
    let mut examiner = Examiner::new();
    let at = start() - SignedDuration::from_mins(10);
    examiner.put(refused(at));
    examiner.pass(5_000);
    let diagnosis = examiner.reported.values().next().unwrap();
    assert_eq!(diagnosis.event_time.unwrap().seconds, at.as_second());
    assert_eq!(diagnosis.evidence[0].time.unwrap().seconds, at.as_second());
    examiner.observe(Fact::Object(Change::Deleted, refused(at)));
    examiner.pass(5_000);
    assert_eq!(examiner.open(), BTreeMap::new());
}

#[test]
fn a_claim_that_another_pod_uses_has_a_step_of_its_own() {
    let in_use = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
    for (reason, headline, step) in [
        (in_use, "a PersistentVolumeClaim is in use by another pod", "Delete the pod that uses the claim"),
        ("node(s) exceed max volume count", "a volume ties the pod to nodes", "Compare the zone"),
    ] {
        let mut examiner = Examiner::new();
        examiner.put(refused_by_scheduler(&format!("0/3 nodes are available: 3 {reason}.")));
        examiner.pass(60_000);
        let diagnosis = examiner.reported.values().next().unwrap();
        assert_eq!(diagnosis.cause(), Cause::UnschedulableVolume);
        assert!(diagnosis.summary.contains(headline), "{}", diagnosis.summary);
        assert!(diagnosis.suggestions.len() == 1 && diagnosis.suggestions[0].starts_with(step), "{diagnosis:?}");
    }
}

#[test]
fn evidence_of_services_and_pods_is_dated_when_it_was_so() {
    let mut examiner = Examiner::new();
    let service = Service {
        meta: meta(0, "svc", 0),
        selector: [("app".to_owned(), "web".to_owned())].into(),
        ..Service::default()
    };
    examiner.put(Object::Service(Box::new(service)));
    examiner.pass(60_000);
    let diagnosis = examiner.reported.values().next().unwrap();
    assert_eq!(diagnosis.cause(), Cause::ServiceWithoutEndpoints);
    assert_eq!(diagnosis.evidence.len(), 2);
    assert!(diagnosis.evidence.iter().all(|evidence| evidence.time.unwrap().seconds >= start().as_second()));
}

#[test]
fn what_cannot_be_decided_while_pods_are_not_watched_stays_as_it_was() {
    let mut examiner = Examiner::new();
    let service = Service {
        meta: meta(0, "svc", 0),
        selector: [("app".to_owned(), "web".to_owned())].into(),
        ..Service::default()
    };
    examiner.put(Object::Service(Box::new(service.clone())));
    examiner.pass(60_000);
    let wrong: BTreeMap<_, _> = [("ns-0/svc-0".to_owned(), Cause::ServiceWithoutEndpoints)].into();
    assert_eq!(examiner.open(), wrong);
    examiner.observe(Fact::Health(Source::Api(Kind::Pods), Health::Degraded(Reason::quote("broken"))));
    let changed = Service { headless: true, ..service };
    examiner.put(Object::Service(Box::new(changed)));
    examiner.pass(60_000);
    assert_eq!(examiner.open(), wrong, "nothing is known of pods");
    let labels = [("app".to_owned(), "web".to_owned())].into();
    let meta = meta(0, "pod", 0);
    examiner.put(Object::Pod(Arc::new(Pod { meta, labels, phase: "Running".to_owned(), ..Pod::default() })));
    examiner.observe(Fact::Health(Source::Api(Kind::Pods), Health::Ok));
    examiner.pass(60_000);
    assert_eq!(examiner.open(), BTreeMap::new());
}
