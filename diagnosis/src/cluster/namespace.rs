//! What leads to the pods of a namespace: Services with their endpoints, Ingresses; and the claims that its pods mount.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::groups::{Groups, Labels};
use crate::observation::kube::{Backend, ServicePort};

/// A Service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) uid: Box<str>,
    /// Empty where something else than its selector determines its endpoints.
    pub(super) selector: Labels,
    pub(super) headless: bool,
    pub(super) ports: Box<[ServicePort]>,
    pub(super) since: Timestamp,
    pub(super) changed: Timestamp,
}

impl Service {
    fn is_like(&self, other: &Self) -> bool {
        (&self.uid, &self.selector, self.headless, &self.ports)
            == (&other.uid, &other.selector, other.headless, &other.ports)
    }
}

/// An Ingress.
#[derive(Debug)]
pub(super) struct Ingress {
    pub(super) uid: Box<str>,
    pub(super) backends: Box<[Backend]>,
    pub(super) since: Timestamp,
    pub(super) changed: Timestamp,
}

/// Some of the endpoints of a Service.
#[derive(Debug, PartialEq)]
pub(super) struct Slice {
    /// The Service's name.
    pub(super) service: Arc<str>,
    pub(super) has_endpoints: bool,
}

/// A PersistentVolumeClaim.
#[derive(Debug, PartialEq)]
pub(super) struct Claim {
    pub(super) uid: Box<str>,
    /// `Pending`, `Bound` or `Lost`.
    pub(super) phase: Arc<str>,
    /// Its storage class; `None` if it leaves that to the cluster.
    pub(super) class: Option<Arc<str>>,
}

type ByName<T> = BTreeMap<Arc<str>, T>;

/// A namespace.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    pub(super) groups: Groups,
    pub(super) services: ByName<Service>,
    pub(super) slices: ByName<Slice>,
    pub(super) ingresses: ByName<Ingress>,
    pub(super) claims: ByName<Claim>,
    /// Services by one label of their selector, the one that the fewest others have.
    by_label: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// How many slices of each Service have endpoints.
    filled: ByName<usize>,
    /// Ingresses by the Services that they lead to.
    by_service: ByName<BTreeSet<Arc<str>>>,
}

impl Namespace {
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
            && self.services.is_empty()
            && self.slices.is_empty()
            && self.ingresses.is_empty()
            && self.claims.is_empty()
    }

    /// Services whose selector takes pods with these labels.
    pub(super) fn selecting<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = &'a Arc<str>> {
        let named = labels.iter().filter_map(|label| self.by_label.get(label)).flatten();
        named.filter(|name| self.services.get(*name).is_some_and(|service| labels.meet(&service.selector)))
    }

    /// Ingresses that lead to a Service.
    pub(super) fn leading_to(&self, service: &str) -> impl Iterator<Item = &Arc<str>> {
        self.by_service.get(service).into_iter().flatten()
    }

    /// Whether a slice of the Service has endpoints.
    pub(super) fn has_endpoints(&self, service: &str) -> bool {
        self.filled.contains_key(service)
    }

    /// True if that changes something.
    pub(super) fn put_service(&mut self, name: &Arc<str>, service: Option<Service>) -> bool {
        let before = self.services.remove(name);
        if let Some(before) = &before {
            for label in before.selector.iter() {
                remove_from(&mut self.by_label, label, name);
            }
        }
        let Some(mut service) = service else { return before.is_some() };
        let others = |label: &&Arc<str>| self.by_label.get(*label).map_or(0, BTreeSet::len);
        if let Some(label) = service.selector.iter().min_by_key(others) {
            self.by_label.entry(Arc::clone(label)).or_default().insert(Arc::clone(name));
        }
        let mut is_news = true;
        if let Some(before) = before {
            service.since = before.since;
            if before.is_like(&service) {
                service.changed = before.changed;
                is_news = false;
            }
        }
        self.services.insert(Arc::clone(name), service);
        is_news
    }

    /// Gives the Services that have got their first endpoints, or lost the last.
    pub(super) fn put_slice(&mut self, name: &Arc<str>, slice: Option<Slice>) -> BTreeSet<Arc<str>> {
        let mut changed = BTreeSet::new();
        if self.slices.get(name) == slice.as_ref() {
            return changed;
        }
        if let Some(slice) = slice.as_ref().filter(|slice| slice.has_endpoints) {
            let filled = self.filled.entry(Arc::clone(&slice.service)).or_default();
            *filled += 1;
            if *filled == 1 {
                changed.insert(Arc::clone(&slice.service));
            }
        }
        let before = match slice {
            Some(slice) => self.slices.insert(Arc::clone(name), slice),
            None => self.slices.remove(name),
        };
        if let Some(slice) = before.filter(|slice| slice.has_endpoints)
            && let Some(filled) = self.filled.get_mut(&slice.service)
        {
            *filled -= 1;
            if *filled == 0 {
                self.filled.remove(&slice.service);
                changed.insert(slice.service);
            }
        }
        changed
    }

    /// True if that changes something.
    pub(super) fn put_ingress(&mut self, name: &Arc<str>, ingress: Option<Ingress>) -> bool {
        let before = self.ingresses.remove(name);
        for backend in before.iter().flat_map(|before| &before.backends) {
            remove_from(&mut self.by_service, &backend.service, name);
        }
        let Some(mut ingress) = ingress else { return before.is_some() };
        for backend in &ingress.backends {
            self.by_service.entry(backend.service.as_str().into()).or_default().insert(Arc::clone(name));
        }
        let mut is_news = true;
        if let Some(before) = before {
            ingress.since = before.since;
            if (&before.uid, &before.backends) == (&ingress.uid, &ingress.backends) {
                ingress.changed = before.changed;
                is_news = false;
            }
        }
        self.ingresses.insert(Arc::clone(name), ingress);
        is_news
    }
}

fn remove_from(index: &mut BTreeMap<Arc<str>, BTreeSet<Arc<str>>>, key: &str, name: &Arc<str>) {
    if let Some(names) = index.get_mut(key) {
        names.remove(name);
        if names.is_empty() {
            index.remove(key);
        }
    }
}
