//! The objects of a cluster, as they were last told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Subject;
use crate::observation::{
    Health, Source,
    kube::{Change, Claim, EndpointSlice, Event, Ingress, Kind, Meta, Node, Object, Pod, Service, Workload},
};

/// Objects that are kept, of each kind. More than Kubernetes supports in one cluster (150,000 pods) is not watched here.
const OBJECTS: usize = 200_000;
/// Events about workloads and claims that are kept: one for each object.
const EVENTS: usize = 16_384;

/// Namespace and name.
pub(super) type Key = (String, String);

/// An object, and when it was first and last told.
#[derive(Clone, Debug)]
pub(super) struct Known<T> {
    pub(super) object: T,
    pub(super) since: Timestamp,
    pub(super) changed: Timestamp,
}

/// Everything that is known of a cluster.
#[derive(Debug, Default)]
pub(super) struct ClusterFile {
    pub(super) pods: BTreeMap<Key, Known<Pod>>,
    pub(super) nodes: BTreeMap<Key, Known<Node>>,
    pub(super) services: BTreeMap<Key, Known<Service>>,
    pub(super) slices: BTreeMap<Key, Known<EndpointSlice>>,
    pub(super) ingresses: BTreeMap<Key, Known<Ingress>>,
    pub(super) claims: BTreeMap<Key, Known<Claim>>,
    /// By uid.
    pub(super) workloads: BTreeMap<String, Known<Workload>>,
    /// The last failure that was told of a workload or a claim, by the uid of what it is about.
    pub(super) failures: BTreeMap<String, Known<Event>>,
    /// Kinds that are watched without loss, and since when.
    watched: BTreeMap<Kind, Timestamp>,
}

impl ClusterFile {
    /// Whether the silence of this kind means something.
    pub(super) fn watched(&self, kind: Kind) -> bool {
        self.watched.contains_key(&kind)
    }

    /// Files how well a kind is watched.
    pub(super) fn hear_health(&mut self, at: Timestamp, source: Source, health: &Health) -> BTreeSet<Subject> {
        if let Source::Api(kind) = source {
            if *health == Health::Ok {
                self.watched.entry(kind).or_insert(at);
            } else {
                self.watched.remove(&kind);
            }
        }
        BTreeSet::new()
    }

    /// Files what was told of an object. Gives what it may concern.
    pub(super) fn hear(&mut self, at: Timestamp, change: Change, object: Object) -> BTreeSet<Subject> {
        let mut concerned = BTreeSet::new();
        match object {
            Object::Pod(pod) => {
                let key = key(&pod.meta);
                concerned.insert(Subject::Pod { namespace: key.0.clone(), name: key.1.clone() });
                concerned.extend(self.services_of(&key.0));
                file(&mut self.pods, at, change, key, *pod);
            }
            Object::Node(node) => {
                // What keeps pods out may have changed with it.
                let unscheduled = self.pods.iter().filter(|(_, known)| known.object.node.is_empty());
                let unscheduled = unscheduled.map(|((namespace, name), _)| (namespace.clone(), name.clone()));
                concerned.extend(unscheduled.map(|(namespace, name)| Subject::Pod { namespace, name }));
                file(&mut self.nodes, at, change, key(&node.meta), *node);
            }
            Object::Workload(workload) => {
                concerned.insert(Subject::Workload(workload.meta.uid.clone()));
                concerned.extend(self.services_of(&workload.meta.namespace));
                file(&mut self.workloads, at, change, workload.meta.uid.clone(), *workload);
            }
            Object::Event(event) => {
                if matches!(event.reason.as_str(), "FailedCreate" | "ProvisioningFailed" | "FailedBinding")
                    && change == Change::Applied
                {
                    if event.reason == "FailedCreate" {
                        concerned.insert(Subject::Workload(event.about.uid.clone()));
                    }
                    let uid = event.about.uid.clone();
                    file(&mut self.failures, at, change, uid, *event);
                    while self.failures.len() > EVENTS {
                        let oldest = self.failures.iter().min_by_key(|(uid, known)| (known.changed, *uid));
                        let oldest = oldest.map(|(uid, _)| uid.clone());
                        oldest.and_then(|uid| self.failures.remove(&uid));
                    }
                }
            }
            Object::Service(service) => {
                let key = key(&service.meta);
                concerned.insert(Subject::Service { namespace: key.0.clone(), name: key.1.clone() });
                let leads = |known: &Known<Ingress>| known.object.backends.iter().any(|b| b.service == key.1);
                let ingresses = self.ingresses.iter().filter(|(of, known)| of.0 == key.0 && leads(known));
                let ingresses = ingresses.map(|(of, _)| of.clone());
                concerned.extend(ingresses.map(|(namespace, name)| Subject::Ingress { namespace, name }));
                file(&mut self.services, at, change, key, *service);
            }
            Object::EndpointSlice(slice) => {
                let (namespace, name) = (slice.meta.namespace.clone(), slice.service.clone());
                concerned.insert(Subject::Service { namespace, name });
                file(&mut self.slices, at, change, key(&slice.meta), *slice);
            }
            Object::Ingress(ingress) => {
                let key = key(&ingress.meta);
                concerned.insert(Subject::Ingress { namespace: key.0.clone(), name: key.1.clone() });
                file(&mut self.ingresses, at, change, key, *ingress);
            }
            Object::Claim(claim) => file(&mut self.claims, at, change, key(&claim.meta), *claim),
            // What they forbid is told by who was forbidden it.
            Object::ResourceQuota(_) | Object::LimitRange(_) => {}
        }
        concerned
    }

    /// Whether the object is still there.
    pub(super) fn knows(&self, subject: &Subject) -> bool {
        let has = |namespace: &String, name: &String| (namespace.clone(), name.clone());
        match subject {
            Subject::Pod { namespace, name } => self.pods.contains_key(&has(namespace, name)),
            Subject::Workload(uid) => self.workloads.contains_key(uid),
            Subject::Service { namespace, name } => self.services.contains_key(&has(namespace, name)),
            Subject::Ingress { namespace, name } => self.ingresses.contains_key(&has(namespace, name)),
        }
    }

    /// What is in a namespace.
    pub(super) fn in_namespace<'a, T>(
        objects: &'a BTreeMap<Key, Known<T>>,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Known<T>> {
        let from = (namespace.to_owned(), String::new());
        objects.range(from..).take_while(move |(key, _)| key.0 == namespace).map(|(_, known)| known)
    }

    fn services_of(&self, namespace: &str) -> Vec<Subject> {
        Self::in_namespace(&self.services, namespace)
            .map(|known| {
                let (namespace, name) = key(&known.object.meta);
                Subject::Service { namespace, name }
            })
            .collect()
    }
}

fn key(meta: &Meta) -> Key {
    (meta.namespace.clone(), meta.name.clone())
}

fn file<K: Ord, T: PartialEq>(objects: &mut BTreeMap<K, Known<T>>, at: Timestamp, change: Change, key: K, object: T) {
    let room = objects.len() < OBJECTS;
    match change {
        Change::Deleted => {
            objects.remove(&key);
        }
        Change::Applied => match objects.get_mut(&key) {
            Some(known) if known.object == object => {}
            Some(known) => {
                known.object = object;
                known.changed = at;
            }
            None if room => {
                objects.insert(key, Known { object, since: at, changed: at });
            }
            None => {}
        },
    }
}
