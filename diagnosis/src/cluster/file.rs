//! The objects of a cluster, as they were reported last: each held once, and of it only what the rules read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    Scope, Subject,
    failures::{Failure, Failures},
    groups::{Labels, Shape},
    intern::Pool,
    namespace::{Claim, Ingress, Namespace, Service, Slice},
    pods::{self, Pod, Pods, Unscheduled},
};
use crate::observation::{
    Health, Source,
    kube::{
        self, Change, Condition, Controller, Kind, Meta, Object, Port, Resources, Taint, Toleration, VolumeKind,
        WorkloadKind,
    },
};

/// Objects that are held of each kind; Kubernetes supports 150,000 pods in a cluster. A running pod costs about 300 bytes
/// (docs/benchmarks.md).
const OBJECTS: usize = 200_000;
/// What changes around a subject is examined together: a rollout changes hundreds of pods within seconds.
pub(super) const TOGETHER: SignedDuration = SignedDuration::from_secs(1);
/// The same for nodes, each of which concerns every pod that waits for one.
const NODES_TOGETHER: SignedDuration = SignedDuration::from_secs(5);

/// What must be examined, and when.
pub(super) type Concerned = BTreeMap<Subject, Timestamp>;

/// A Node.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    pub(super) cordoned: bool,
    pub(super) taints: Box<[Taint]>,
    pub(super) allocatable: Arc<Resources>,
}

/// What makes pods.
#[derive(Debug, PartialEq)]
pub(super) struct Workload {
    pub(super) kind: WorkloadKind,
    pub(super) namespace: Arc<str>,
    pub(super) name: Box<str>,
    pub(super) controller: Option<Arc<Controller>>,
    pub(super) wanted: Option<i32>,
    pub(super) there: i32,
    /// Of its pods.
    shape: Arc<Shape>,
    /// That it cannot create them.
    pub(super) failed: Option<Box<Condition>>,
}

/// Everything that is known of a cluster.
#[derive(Debug)]
pub(super) struct ClusterFile {
    pub(super) scope: Scope,
    pub(super) pods: Pods,
    pub(super) nodes: BTreeMap<Arc<str>, Node>,
    pub(super) namespaces: BTreeMap<Arc<str>, Namespace>,
    /// By uid.
    pub(super) workloads: BTreeMap<Arc<str>, Workload>,
    /// Newest failures of workloads and claims.
    pub(super) failures: Failures,
    /// The newest report.
    pub(super) now: Timestamp,
    /// Objects that are held of each kind.
    most: usize,
    /// Kinds that are watched without loss.
    watched: BTreeSet<Kind>,
    /// Kinds of which there are more objects than are held.
    overfull: BTreeSet<Kind>,
    /// How many are held of the kinds that are in namespaces.
    counts: BTreeMap<Kind, usize>,
    /// What the list that is being read has named so far, by kind, and reason of events.
    listing: BTreeMap<(Kind, Box<str>), BTreeSet<Arc<str>>>,
    shared: Shared,
}

/// Values that many objects have in common.
#[derive(Debug, Default)]
struct Shared {
    texts: Pool<str>,
    shapes: Pool<Shape>,
    ports: Pool<[Port]>,
    amounts: Pool<Resources>,
    controllers: Pool<Controller>,
    selectors: Pool<BTreeMap<String, String>>,
    tolerations: Pool<[Toleration]>,
}

impl ClusterFile {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            pods: Pods::default(),
            nodes: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            workloads: BTreeMap::new(),
            failures: Failures::default(),
            now: Timestamp::MIN,
            most: OBJECTS,
            watched: BTreeSet::new(),
            overfull: BTreeSet::new(),
            counts: BTreeMap::new(),
            listing: BTreeMap::new(),
            shared: Shared::default(),
        }
    }

    /// Whether the absence of objects of this kind means something.
    pub(super) fn watched(&self, kind: Kind) -> bool {
        self.watched.contains(&kind) && !self.overfull.contains(&kind)
    }

    /// Kinds of which there are more objects than are held.
    pub(super) fn overfull(&self) -> impl Iterator<Item = Kind> {
        self.overfull.iter().copied()
    }

    /// Records how well a kind is watched. Once it is, gives what rests on the absence of objects.
    pub(super) fn record_health(&mut self, at: Timestamp, source: Source, health: &Health) -> Option<Concerned> {
        let Source::Api(kind) = source else { return None };
        if *health != Health::Ok {
            self.watched.remove(&kind);
            return None;
        }
        if !self.watched.insert(kind) {
            return None;
        }
        let mut subjects: Vec<Subject> = self.pods.unscheduled().cloned().map(Subject::Pod).collect();
        for (namespace, objects) in &self.namespaces {
            subjects.extend(objects.services.keys().map(|name| service(namespace, name)));
            subjects.extend(objects.ingresses.keys().map(|name| ingress(namespace, name)));
        }
        Some(subjects.into_iter().map(|subject| (subject, at + TOGETHER)).collect())
    }

    /// All objects of a kind are about to be listed; of events, those of this reason.
    pub(super) fn begin_list(&mut self, kind: Kind, reason: &str) {
        self.overfull.remove(&kind);
        self.listing.insert((kind, reason.into()), BTreeSet::new());
    }

    /// All were listed: what was not among them is gone.
    pub(super) fn end_list(&mut self, at: Timestamp, kind: Kind, reason: &str) -> Concerned {
        let mut concerned = Concerned::new();
        let Some(listed) = self.listing.remove(&(kind, reason.into())) else { return concerned };
        match kind {
            Kind::Pods => {
                let gone: Vec<_> = self.pods.uids().filter(|uid| !listed.contains(*uid)).cloned().collect();
                gone.iter().for_each(|uid| concerned.extend(self.put_pod(at, uid, None)));
            }
            Kind::Nodes => {
                let gone: Vec<_> = self.nodes.keys().filter(|name| !listed.contains(*name)).cloned().collect();
                gone.iter().for_each(|name| concerned.extend(self.put_node(at, name, None)));
            }
            Kind::Events => {
                let gone = self.failures.of_reason(reason).filter(|(_, event)| !listed.contains(*event));
                for about in gone.map(|(about, _)| Arc::clone(about)).collect::<Vec<_>>() {
                    self.failures.remove(&about);
                    concerned.insert(Subject::Workload(about), at + TOGETHER);
                }
            }
            Kind::Deployments | Kind::ReplicaSets | Kind::StatefulSets | Kind::DaemonSets | Kind::Jobs => {
                let of_kind = self.workloads.iter().filter(|(_, workload)| Kind::from(workload.kind) == kind);
                let gone = of_kind.map(|(uid, _)| uid).filter(|uid| !listed.contains(*uid));
                for uid in gone.cloned().collect::<Vec<_>>() {
                    concerned.extend(self.put_workload(at, &uid, None));
                }
            }
            Kind::Services | Kind::EndpointSlices | Kind::Ingresses | Kind::Claims => {
                let mut gone = Vec::new();
                for (namespace, objects) in &self.namespaces {
                    let names: Vec<_> = match kind {
                        Kind::Services => objects.services.keys().cloned().collect(),
                        Kind::EndpointSlices => objects.slices.keys().cloned().collect(),
                        Kind::Ingresses => objects.ingresses.keys().cloned().collect(),
                        _ => objects.claims.keys().cloned().collect(),
                    };
                    let names = names.into_iter().filter(|name| !listed.contains(&*path(namespace, name)));
                    gone.extend(names.map(|name| (Arc::clone(namespace), name)));
                }
                for (namespace, name) in gone {
                    let none = match kind {
                        Kind::Services => Named::Service(None),
                        Kind::EndpointSlices => Named::Slice(None),
                        Kind::Ingresses => Named::Ingress(None),
                        _ => Named::Claim(None),
                    };
                    concerned.extend(self.put_named(at, &namespace, &name, none));
                }
            }
            Kind::ResourceQuotas | Kind::LimitRanges => {}
        }
        concerned
    }

    /// Records what was reported of an object. Gives what it may concern.
    pub(super) fn record(&mut self, at: Timestamp, change: Change, object: Object) -> Concerned {
        self.now = self.now.max(at);
        let is_there = change == Change::Applied;
        match object {
            Object::Pod(pod) => {
                let uid = self.pods.uid(&pod.meta.uid);
                self.list(Kind::Pods, "", || Arc::clone(&uid));
                let known = self.pods.get(&uid);
                if known.is_none() && is_there && self.pods.len() >= self.most {
                    self.overfull.insert(Kind::Pods);
                    return Concerned::new();
                }
                let since = known.and_then(|pod| pod.unscheduled.as_ref()).map_or(at, |unscheduled| unscheduled.since);
                let pod = is_there.then(|| self.shared.pod(&pod, since)).flatten();
                self.put_pod(at, &uid, pod)
            }
            Object::Node(node) => {
                let name = self.shared.texts.share(node.meta.name.as_str());
                self.list(Kind::Nodes, "", || Arc::clone(&name));
                if is_there && self.nodes.len() >= self.most && !self.nodes.contains_key(&name) {
                    self.overfull.insert(Kind::Nodes);
                    return Concerned::new();
                }
                let held = is_there.then(|| Node {
                    cordoned: node.cordoned,
                    taints: node.taints.into(),
                    allocatable: self.shared.amounts.share(node.allocatable),
                });
                self.put_node(at, &name, held)
            }
            Object::Workload(workload) => {
                let uid: Arc<str> = workload.meta.uid.as_str().into();
                let kind = workload.kind.into();
                self.list(kind, "", || Arc::clone(&uid));
                if is_there && self.workloads.len() >= self.most && !self.workloads.contains_key(&uid) {
                    self.overfull.insert(kind);
                    return Concerned::new();
                }
                let workload = is_there.then(|| self.shared.workload(*workload));
                self.put_workload(at, &uid, workload)
            }
            Object::Event(event) => self.record_event(at, is_there, &event),
            Object::Service(service) => {
                let kube::Service { meta: Meta { namespace, name, uid, .. }, kind, mut selector, headless, ports } =
                    *service;
                if kind == "ExternalName" {
                    selector.clear();
                }
                let held = is_there.then(|| Service {
                    uid: uid.into(),
                    selector: Labels::new(&selector, &mut self.shared.texts),
                    headless,
                    ports: ports.into(),
                    since: at,
                    changed: at,
                });
                self.put_named(at, &namespace, &name, Named::Service(held))
            }
            Object::EndpointSlice(slice) => {
                let held = is_there.then(|| Slice {
                    service: self.shared.texts.share(slice.service.as_str()),
                    has_endpoints: !slice.endpoints.is_empty(),
                });
                self.put_named(at, &slice.meta.namespace, &slice.meta.name, Named::Slice(held))
            }
            Object::Ingress(ingress) => {
                let Meta { namespace, name, uid, .. } = ingress.meta;
                let backends = ingress.backends.into();
                let held = is_there.then(|| Ingress { uid: uid.into(), backends, since: at, changed: at });
                self.put_named(at, &namespace, &name, Named::Ingress(held))
            }
            Object::Claim(claim) => {
                let held = is_there.then(|| Claim {
                    uid: claim.meta.uid.as_str().into(),
                    phase: self.shared.texts.share(claim.phase.as_str()),
                    class: claim.class.as_deref().map(|class| self.shared.texts.share(class)),
                });
                if !is_there {
                    self.failures.remove(&claim.meta.uid);
                }
                self.put_named(at, &claim.meta.namespace, &claim.meta.name, Named::Claim(held))
            }
            // What they forbid is in the events of those whom they refuse.
            Object::ResourceQuota(_) | Object::LimitRange(_) => Concerned::new(),
        }
    }

    /// Whether it is known that nothing holds of a subject, when no rule finds anything.
    pub(super) fn decides(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Pod(_) | Subject::Workload(_) => true,
            Subject::Service { .. } => !self.knows(subject) || self.watched(Kind::Pods),
            Subject::Ingress { .. } => !self.knows(subject) || self.watched(Kind::Services),
        }
    }

    /// Whether the object is still there.
    pub(super) fn knows(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Pod(uid) => self.pods.get(uid).is_some(),
            Subject::Workload(uid) => self.workloads.contains_key(uid),
            Subject::Service { namespace, name } => {
                self.namespaces.get(namespace).is_some_and(|objects| objects.services.contains_key(name))
            }
            Subject::Ingress { namespace, name } => {
                self.namespaces.get(namespace).is_some_and(|objects| objects.ingresses.contains_key(name))
            }
        }
    }

    fn list(&mut self, kind: Kind, reason: &str, id: impl FnOnce() -> Arc<str>) {
        // Few lists are under way at a time, and mostly none.
        if !self.listing.is_empty()
            && let Some(listed) = self.listing.get_mut(&(kind, reason.into()))
        {
            listed.insert(id());
        }
    }

    fn put_pod(&mut self, at: Timestamp, uid: &Arc<str>, pod: Option<Pod>) -> Concerned {
        let mut concerned = Concerned::new();
        let known = self.pods.get(uid);
        if known == pod.as_ref() {
            return concerned;
        }
        let waits = |pod: Option<&Pod>| pod.and_then(|pod| pod.unscheduled.as_ref()).is_some();
        if waits(known) || waits(pod.as_ref()) {
            concerned.insert(Subject::Pod(Arc::clone(uid)), at + TOGETHER);
        }
        let place = |pod: &Pod| (!pod.deleting).then(|| (Arc::clone(&pod.namespace), Arc::clone(&pod.shape)));
        let (before, after) = (known.and_then(place), pod.as_ref().and_then(place));
        self.pods.replace(uid, pod);
        if before != after {
            if let Some((namespace, shape)) = after
                && self.namespace(&namespace).groups.add_pod(&shape, uid)
            {
                self.concern_services(at, &namespace, &shape.labels, &mut concerned);
            }
            if let Some((namespace, shape)) = before {
                if self.namespace(&namespace).groups.remove_pod(&shape, uid) {
                    self.concern_services(at, &namespace, &shape.labels, &mut concerned);
                }
                self.close(&namespace);
            }
        }
        concerned
    }

    fn put_node(&mut self, at: Timestamp, name: &Arc<str>, node: Option<Node>) -> Concerned {
        if self.nodes.get(name) == node.as_ref() {
            return Concerned::new();
        }
        match node {
            Some(node) => self.nodes.insert(Arc::clone(name), node),
            None => self.nodes.remove(name),
        };
        // What keeps pods out may have changed with it.
        self.pods.unscheduled().map(|uid| (Subject::Pod(Arc::clone(uid)), at + NODES_TOGETHER)).collect()
    }

    fn put_workload(&mut self, at: Timestamp, uid: &Arc<str>, workload: Option<Workload>) -> Concerned {
        let mut concerned = Concerned::new();
        let known = self.workloads.get(uid);
        if known == workload.as_ref() {
            return concerned;
        }
        let fails = |workload: Option<&Workload>| workload.is_some_and(|workload| workload.failed.is_some());
        if fails(known) || fails(workload.as_ref()) || self.failures.get(uid).is_some() {
            concerned.insert(Subject::Workload(Arc::clone(uid)), at + TOGETHER);
        }
        let place = |workload: &Workload| (Arc::clone(&workload.namespace), Arc::clone(&workload.shape));
        let (before, after) = (known.map(place), workload.as_ref().map(place));
        match workload {
            Some(workload) => self.workloads.insert(Arc::clone(uid), workload),
            None => {
                self.failures.remove(uid);
                self.workloads.remove(uid)
            }
        };
        if before != after {
            if let Some((namespace, shape)) = after
                && self.namespace(&namespace).groups.add_workload(&shape)
            {
                self.concern_services(at, &namespace, &shape.labels, &mut concerned);
            }
            if let Some((namespace, shape)) = before {
                if self.namespace(&namespace).groups.remove_workload(&shape) {
                    self.concern_services(at, &namespace, &shape.labels, &mut concerned);
                }
                self.close(&namespace);
            }
        }
        concerned
    }

    fn record_event(&mut self, at: Timestamp, is_there: bool, event: &kube::Event) -> Concerned {
        if !matches!(event.reason.as_str(), "FailedCreate" | "ProvisioningFailed" | "FailedBinding") {
            return Concerned::new();
        }
        self.list(Kind::Events, &event.reason, || event.meta.uid.as_str().into());
        let is_news = if is_there {
            let texts = &mut self.shared.texts;
            let (reason, message) = (texts.share(event.reason.as_str()), texts.share(event.message.as_str()));
            self.failures.add(Failure::new(event, at, reason, message))
        } else {
            self.failures.end(&event.about.uid, &event.meta.uid)
        };
        let concerns = is_news && event.reason == "FailedCreate";
        let subject = concerns.then(|| Subject::Workload(event.about.uid.as_str().into()));
        subject.into_iter().map(|subject| (subject, at + TOGETHER)).collect()
    }

    /// Puts an object of a namespace in its place, or nothing.
    fn put_named(&mut self, at: Timestamp, namespace: &str, name: &str, object: Named) -> Concerned {
        let mut concerned = Concerned::new();
        let namespace = self.shared.texts.share(namespace);
        let name = self.shared.texts.share(name);
        let (kind, is_there) = object.kind();
        self.list(kind, "", || path(&namespace, &name).into());
        let objects = self.namespace(&namespace);
        let was_there = match kind {
            Kind::Services => objects.services.contains_key(&name),
            Kind::EndpointSlices => objects.slices.contains_key(&name),
            Kind::Ingresses => objects.ingresses.contains_key(&name),
            _ => objects.claims.contains_key(&name),
        };
        let count = self.counts.entry(kind).or_default();
        match (was_there, is_there) {
            (false, true) if *count >= self.most => {
                self.overfull.insert(kind);
                self.close(&namespace);
                return concerned;
            }
            (false, true) => *count += 1,
            (true, false) => *count -= 1,
            _ => {}
        }
        let objects = self.namespace(&namespace);
        match object {
            Named::Service(held) => {
                if objects.put_service(&name, held) {
                    let ingresses = objects.leading_to(&name).map(|of| ingress(&namespace, of));
                    concerned.extend(ingresses.map(|subject| (subject, at + TOGETHER)));
                    concerned.insert(service(&namespace, &name), at + TOGETHER);
                }
            }
            Named::Slice(held) => {
                let services = objects.put_slice(&name, held);
                concerned.extend(services.iter().map(|name| (service(&namespace, name), at + TOGETHER)));
            }
            Named::Ingress(held) => {
                if objects.put_ingress(&name, held) {
                    concerned.insert(ingress(&namespace, &name), at + TOGETHER);
                }
            }
            Named::Claim(Some(held)) => drop(objects.claims.insert(name, held)),
            Named::Claim(None) => drop(objects.claims.remove(&name)),
        }
        self.close(&namespace);
        concerned
    }

    fn namespace(&mut self, name: &Arc<str>) -> &mut Namespace {
        self.namespaces.entry(Arc::clone(name)).or_default()
    }

    /// Forgets a namespace without objects.
    fn close(&mut self, name: &str) {
        if self.namespaces.get(name).is_some_and(Namespace::is_empty) {
            self.namespaces.remove(name);
        }
    }

    /// Services that select these labels.
    fn concern_services(&self, at: Timestamp, namespace: &Arc<str>, labels: &Labels, concerned: &mut Concerned) {
        let Some(objects) = self.namespaces.get(namespace) else { return };
        concerned.extend(objects.selecting(labels).map(|name| (service(namespace, name), at + TOGETHER)));
    }
}

/// An object of a namespace that is known by its name; none for one that is gone.
enum Named {
    Service(Option<Service>),
    Slice(Option<Slice>),
    Ingress(Option<Ingress>),
    Claim(Option<Claim>),
}

impl Named {
    /// Its kind, and whether it is there.
    fn kind(&self) -> (Kind, bool) {
        match self {
            Self::Service(held) => (Kind::Services, held.is_some()),
            Self::Slice(held) => (Kind::EndpointSlices, held.is_some()),
            Self::Ingress(held) => (Kind::Ingresses, held.is_some()),
            Self::Claim(held) => (Kind::Claims, held.is_some()),
        }
    }
}

impl Shared {
    /// What is held of a pod; nothing of one that has ended.
    fn pod(&mut self, pod: &kube::Pod, since: Timestamp) -> Option<Pod> {
        if matches!(pod.phase.as_str(), "Failed" | "Succeeded") {
            return None;
        }
        let ports: Vec<Port> = pod.containers.iter().flat_map(|container| &container.ports).cloned().collect();
        let shape = Shape { labels: Labels::new(&pod.labels, &mut self.texts), ports: self.ports.share(ports) };
        Some(Pod {
            namespace: self.texts.share(pod.meta.namespace.as_str()),
            name: pod.meta.name.as_str().into(),
            node: self.texts.share(pod.node.as_str()),
            shape: self.shapes.share(shape),
            requests: self.amounts.share(pods::requests(pod)),
            deleting: pod.deletion.is_some(),
            unscheduled: self.unscheduled(pod, since).map(Box::new),
        })
    }

    fn unscheduled(&mut self, pod: &kube::Pod, since: Timestamp) -> Option<Unscheduled> {
        if !pod.node.is_empty() || pod.deletion.is_some() || pod.phase != "Pending" || !pod.nominated_node.is_empty() {
            return None;
        }
        let condition = pod.condition("PodScheduled").filter(|condition| condition.status == Some(false))?;
        // Volcano also says `Undetermined` and `Schedulable` of pods that wait for their group.
        if !matches!(condition.reason.as_str(), "Unschedulable" | "SchedulerError" | "SchedulingGated") {
            return None;
        }
        let claims = pod.volumes.iter().filter_map(|volume| match &volume.kind {
            VolumeKind::Claim(name) => Some(self.texts.share(name.as_str())),
            _ => None,
        });
        Some(Unscheduled {
            claims: claims.collect(),
            controller: pod.meta.controller.clone().map(|controller| self.controllers.share(controller)),
            node_selector: self.selectors.share(pod.node_selector.clone()),
            node_affinity: pod.node_affinity,
            tolerations: self.tolerations.share(pod.tolerations.clone()),
            gates: pod.gates.clone().into(),
            reason: self.texts.share(condition.reason.as_str()),
            message: self.texts.share(condition.message.as_str()),
            since: condition.since.unwrap_or(since),
        })
    }

    fn workload(&mut self, workload: kube::Workload) -> Workload {
        let failed = |condition: &Condition| {
            matches!(condition.kind.as_str(), "ReplicaFailure" | "FailureTarget")
                && condition.status == Some(true)
                && condition.reason == "FailedCreate"
        };
        let labels = Labels::new(&workload.labels, &mut self.texts);
        Workload {
            kind: workload.kind,
            namespace: self.texts.share(workload.meta.namespace.as_str()),
            name: workload.meta.name.into(),
            controller: workload.meta.controller.map(|controller| self.controllers.share(controller)),
            wanted: workload.wanted,
            there: workload.there,
            shape: self.shapes.share(Shape { labels, ports: Arc::default() }),
            failed: workload.conditions.into_iter().find(failed).map(Box::new),
        }
    }
}

fn service(namespace: &Arc<str>, name: &Arc<str>) -> Subject {
    Subject::Service { namespace: Arc::clone(namespace), name: Arc::clone(name) }
}

fn ingress(namespace: &Arc<str>, name: &Arc<str>) -> Subject {
    Subject::Ingress { namespace: Arc::clone(namespace), name: Arc::clone(name) }
}

/// Neither namespaces nor names hold a slash.
fn path(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(name: &str) -> Meta {
        Meta { namespace: "shop".to_owned(), name: name.to_owned(), uid: format!("uid-of-{name}"), ..Meta::default() }
    }

    fn labels(app: usize) -> BTreeMap<String, String> {
        [("app".to_owned(), format!("app-{app}")), ("tier".to_owned(), "web".to_owned())].into()
    }

    fn pod(name: &str, app: usize) -> kube::Pod {
        kube::Pod { meta: meta(name), labels: labels(app), phase: "Running".to_owned(), ..kube::Pod::default() }
    }

    /// A namespace with a hundred Services.
    fn file() -> ClusterFile {
        let mut file = ClusterFile::new(Scope::All);
        for app in 0..100 {
            let service =
                kube::Service { meta: meta(&format!("svc-{app}")), selector: labels(app), ..kube::Service::default() };
            file.record(Timestamp::UNIX_EPOCH, Change::Applied, Object::Service(Box::new(service)));
        }
        file
    }

    fn record(file: &mut ClusterFile, change: Change, pod: kube::Pod) -> Vec<Subject> {
        file.record(Timestamp::UNIX_EPOCH, change, Object::Pod(Box::new(pod))).into_keys().collect()
    }

    #[test]
    fn a_pod_concerns_only_services_that_select_it_and_only_as_first_or_last_of_its_kind() {
        let mut file = file();
        let selecting = vec![service(&"shop".into(), &"svc-7".into())];
        assert_eq!(record(&mut file, Change::Applied, pod("a", 7)), selecting);
        assert_eq!(record(&mut file, Change::Applied, pod("b", 7)), []);
        let other_status = kube::Pod { reason: "NotRead".to_owned(), ..pod("b", 7) };
        assert_eq!(record(&mut file, Change::Applied, other_status), []);
        assert_eq!(record(&mut file, Change::Deleted, pod("a", 7)), []);
        assert_eq!(record(&mut file, Change::Deleted, pod("b", 7)), selecting);
        assert_eq!(record(&mut file, Change::Applied, pod("c", 100)), [], "no Service selects it");
    }

    #[test]
    fn nothing_is_left_of_what_is_gone() {
        let mut file = file();
        for number in 0..50 {
            record(&mut file, Change::Applied, pod(&number.to_string(), number));
        }
        for number in 0..49 {
            record(&mut file, Change::Deleted, pod(&number.to_string(), number));
        }
        record(&mut file, Change::Applied, kube::Pod { phase: "Succeeded".to_owned(), ..pod("49", 49) });
        for app in 0..100 {
            let service = kube::Service { meta: meta(&format!("svc-{app}")), ..kube::Service::default() };
            file.record(Timestamp::UNIX_EPOCH, Change::Deleted, Object::Service(Box::new(service)));
        }
        assert!(file.namespaces.is_empty() && file.pods.len() == 0);
    }

    #[test]
    fn absence_means_nothing_where_more_pods_live_than_are_held() {
        let mut file = ClusterFile { most: 100, ..ClusterFile::new(Scope::All) };
        file.record_health(Timestamp::UNIX_EPOCH, Source::Api(Kind::Pods), &Health::Ok);
        for number in 0..100 {
            record(&mut file, Change::Applied, pod(&number.to_string(), 1));
        }
        assert!(file.watched(Kind::Pods));
        record(&mut file, Change::Applied, pod("one-more", 1));
        assert_eq!((file.pods.len(), file.watched(Kind::Pods)), (100, false));
        assert_eq!(file.overfull().collect::<Vec<_>>(), [Kind::Pods]);
        record(&mut file, Change::Applied, pod("7", 2));
        assert!(file.pods.get("uid-of-7").is_some_and(|pod| pod.shape.labels.value("app") == Some("app-2")));
        // Only the next list shows whether there is room for all.
        file.begin_list(Kind::Pods, "");
        record(&mut file, Change::Applied, pod("one-more", 1));
        file.end_list(Timestamp::UNIX_EPOCH, Kind::Pods, "");
        assert_eq!(file.overfull().collect::<Vec<_>>(), [Kind::Pods], "it came before the others had gone");
        file.begin_list(Kind::Pods, "");
        record(&mut file, Change::Applied, pod("one-more", 1));
        file.end_list(Timestamp::UNIX_EPOCH, Kind::Pods, "");
        assert!(file.watched(Kind::Pods) && file.pods.len() == 1);
    }
}
