//! The objects of a cluster, as they were reported last: each held once, and of it only what the rules read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    Scope, Subject,
    failures::{Failure, Failures},
    groups::Labels,
    held::{Node, Shared, Workload},
    lost::{Lost, Removed},
    namespace::{Claim, Ingress, Namespace, Service, Slice},
    pods::{Pod, Pods},
};
use crate::observation::{
    Health, Source,
    kube::{self, Change, Kind, Meta, Object},
};

/// Objects that are held of each kind; Kubernetes supports 150,000 pods in a cluster. A running pod costs about 300
/// bytes (docs/benchmarks.md).
const OBJECTS: usize = 200_000;
/// What changes around a subject is examined together: a rollout changes hundreds of pods within seconds.
pub(super) const TOGETHER: SignedDuration = SignedDuration::from_secs(1);
/// The same for nodes, each of which concerns every pod that waits for one.
const NODES_TOGETHER: SignedDuration = SignedDuration::from_secs(5);

/// What must be examined, and when.
pub(super) type Concerned = BTreeMap<Subject, Timestamp>;

/// Everything that is known of a cluster.
#[derive(Debug)]
pub(super) struct ClusterFile {
    pub(super) scope: Scope,
    pub(super) pods: Pods,
    pub(super) nodes: BTreeMap<Arc<str>, Node>,
    /// Pods that were removed without their node's part, by uid, until their objects are gone.
    pub(super) removed: BTreeMap<Arc<str>, Removed>,
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
    pub(super) overfull: BTreeSet<Kind>,
    /// How many are held of the kinds that are in namespaces.
    counts: BTreeMap<Kind, usize>,
    /// What each list that is being read has named so far, by kind, and reason of events.
    pub(super) listing: BTreeMap<(Kind, Box<str>), BTreeSet<Arc<str>>>,
    shared: Shared,
}

impl ClusterFile {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            pods: Pods::default(),
            nodes: BTreeMap::new(),
            removed: BTreeMap::new(),
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
        let waiting = self.pods.unscheduled().chain(self.pods.leaving());
        let mut subjects: Vec<Subject> = waiting.cloned().map(Subject::Pod).collect();
        for (namespace, objects) in &self.namespaces {
            subjects.extend(objects.services.keys().map(|name| service(namespace, name)));
            subjects.extend(objects.ingresses.keys().map(|name| ingress(namespace, name)));
        }
        Some(subjects.into_iter().map(|subject| (subject, at + TOGETHER)).collect())
    }

    /// Records what was reported of an object. Gives what it may concern.
    pub(super) fn record(&mut self, at: Timestamp, change: Change, object: Object) -> Concerned {
        self.now = self.now.max(at);
        let is_there = change == Change::Applied;
        match object {
            Object::Pod(pod) => {
                let uid = self.pods.uid(&pod.meta.uid);
                self.list(Kind::Pods, "", || Arc::clone(&uid));
                let mut concerned = self.record_removal(at, change, &uid, &pod);
                let known = self.pods.get(&uid);
                if known.is_none() && is_there && self.pods.len() >= self.most {
                    self.overfull.insert(Kind::Pods);
                    return concerned;
                }
                let since = known.and_then(|pod| pod.unscheduled.as_ref()).map_or(at, |unscheduled| unscheduled.since);
                let pod = is_there.then(|| self.shared.pod(&pod, since)).flatten();
                concerned.extend(self.put_pod(at, &uid, pod));
                concerned
            }
            Object::Node(node) => {
                let name = self.shared.texts.share(node.meta.name.as_str());
                self.list(Kind::Nodes, "", || Arc::clone(&name));
                if is_there && self.nodes.len() >= self.most && !self.nodes.contains_key(&name) {
                    self.overfull.insert(Kind::Nodes);
                    return Concerned::new();
                }
                let held = is_there.then(|| Node {
                    labels: Labels::new(&node.labels, &mut self.shared.texts),
                    cordoned: node.cordoned,
                    lost: Lost::of(&node),
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

    pub(super) fn put_pod(&mut self, at: Timestamp, uid: &Arc<str>, pod: Option<Pod>) -> Concerned {
        let mut concerned = Concerned::new();
        let known = self.pods.get(uid);
        if known == pod.as_ref() {
            return concerned;
        }
        let waits = |pod: Option<&Pod>| pod.and_then(|pod| pod.unscheduled.as_ref()).is_some();
        let leaves = |pod: Option<&Pod>| pod.and_then(|pod| pod.leaving.as_ref()).is_some();
        if waits(known) || waits(pod.as_ref()) || leaves(known) || leaves(pod.as_ref()) {
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

    /// Takes from what is reported of a pod whether it is removed without its node's part.
    fn record_removal(&mut self, at: Timestamp, change: Change, uid: &Arc<str>, pod: &kube::Pod) -> Concerned {
        if !self.removed.contains_key(uid)
            && let Some(removed) = Removed::by(self, at, change, pod)
        {
            self.removed.insert(Arc::clone(uid), removed);
        }
        let Some(removed) = self.removed.get_mut(uid) else { return Concerned::new() };
        removed.is_gone |= change == Change::Deleted;
        [(Subject::Pod(Arc::clone(uid)), at + TOGETHER)].into()
    }

    /// Forgets a pod that was removed, if its object is gone.
    pub(super) fn take_gone(&mut self, uid: &str) -> bool {
        let is_gone = self.removed.get(uid).is_some_and(|removed| removed.is_gone);
        is_gone && self.removed.remove(uid).is_some()
    }

    pub(super) fn put_node(&mut self, at: Timestamp, name: &Arc<str>, node: Option<Node>) -> Concerned {
        if self.nodes.get(name) == node.as_ref() {
            return Concerned::new();
        }
        match node {
            Some(node) => self.nodes.insert(Arc::clone(name), node),
            None => self.nodes.remove(name),
        };
        // What keeps pods out, or from ending, may have changed with it.
        let pods = self.pods.unscheduled().chain(self.pods.leaving_node(name));
        pods.map(|uid| (Subject::Pod(Arc::clone(uid)), at + NODES_TOGETHER)).collect()
    }

    pub(super) fn put_workload(&mut self, at: Timestamp, uid: &Arc<str>, workload: Option<Workload>) -> Concerned {
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
    pub(super) fn put_named(&mut self, at: Timestamp, namespace: &str, name: &str, object: Named) -> Concerned {
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
pub(super) enum Named {
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

fn service(namespace: &Arc<str>, name: &Arc<str>) -> Subject {
    Subject::Service { namespace: Arc::clone(namespace), name: Arc::clone(name) }
}

fn ingress(namespace: &Arc<str>, name: &Arc<str>) -> Subject {
    Subject::Ingress { namespace: Arc::clone(namespace), name: Arc::clone(name) }
}

/// Neither namespaces nor names hold a slash.
pub(super) fn path(namespace: &str, name: &str) -> String {
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
        file.record(Timestamp::UNIX_EPOCH, change, Object::Pod(Arc::new(pod))).into_keys().collect()
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
        // Only the next list shows whether all fit.
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
