//! Which pods and workloads of a namespace a selector takes.
//!
//! Pods of one template have the same labels and ports: selectors are matched with such groups, not with pods, and only
//! a group that appears or ends can change what a selector finds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::intern::Pool;
use crate::observation::kube::Port;

/// Labels as `key=value`, sorted. A key holds no `=`.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels(Box<[Arc<str>]>);

impl Labels {
    pub(super) fn new(labels: &BTreeMap<String, String>, texts: &mut Pool<str>) -> Self {
        let mut all: Vec<_> =
            labels.iter().map(|(key, value)| texts.share(format!("{key}={value}").as_str())).collect();
        all.sort_unstable();
        Self(all.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter()
    }

    /// Whether they meet a selector.
    pub(super) fn meet(&self, selector: &Self) -> bool {
        selector.iter().all(|label| self.0.binary_search(label).is_ok())
    }

    /// The value of a label.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.iter().find_map(|label| label.strip_prefix(key)?.strip_prefix('='))
    }

    /// Whether they share a key or a value with others.
    pub(super) fn resemble(&self, others: &Self) -> bool {
        let parts = |label| str::split_once(label, '=');
        let all: Vec<_> = others.iter().filter_map(|label| parts(label)).collect();
        self.iter()
            .filter_map(|label| parts(label))
            .any(|(key, value)| all.iter().any(|(other, of)| *other == key || *of == value))
    }
}

/// What pods of one template have in common.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub(super) labels: Labels,
    /// Ports of all containers; those of workloads are not known.
    pub(super) ports: Arc<[Port]>,
    /// Whether each container declares ports, and each that a probe asks is declared.
    pub(super) declares_all: bool,
}

/// Pods and workloads of one shape.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Uids of pods that can take traffic, or will.
    pub(super) pods: BTreeSet<Arc<str>>,
    /// How many workloads make such pods.
    pub(super) workloads: usize,
}

/// The groups of a namespace.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<Arc<Shape>, Group>,
    /// Shapes by each of their labels.
    by_label: BTreeMap<Arc<str>, Vec<Arc<Shape>>>,
}

impl Groups {
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Adds a pod. True if it is the first of its shape.
    pub(super) fn add_pod(&mut self, shape: &Arc<Shape>, uid: &Arc<str>) -> bool {
        let pods = &mut self.group(shape).pods;
        pods.insert(Arc::clone(uid)) && pods.len() == 1
    }

    /// Removes a pod. True if it was the last of its shape.
    pub(super) fn remove_pod(&mut self, shape: &Arc<Shape>, uid: &str) -> bool {
        let Some(group) = self.groups.get_mut(shape) else { return false };
        let last = group.pods.remove(uid) && group.pods.is_empty();
        self.close(shape);
        last
    }

    /// Adds a workload. True if it is the first of its shape.
    pub(super) fn add_workload(&mut self, shape: &Arc<Shape>) -> bool {
        let group = self.group(shape);
        group.workloads += 1;
        group.workloads == 1
    }

    /// Removes a workload. True if it was the last of its shape.
    pub(super) fn remove_workload(&mut self, shape: &Arc<Shape>) -> bool {
        let Some(group) = self.groups.get_mut(shape) else { return false };
        group.workloads -= 1;
        let last = group.workloads == 0;
        self.close(shape);
        last
    }

    /// The groups that a selector takes.
    pub(super) fn selected<'a>(&'a self, selector: &'a Labels) -> impl Iterator<Item = (&'a Shape, &'a Group)> {
        let with = |label: &Arc<str>| self.by_label.get(label).map_or(&[][..], Vec::as_slice);
        let fewest = selector.iter().map(with).min_by_key(|shapes| shapes.len()).unwrap_or_default();
        let met = fewest.iter().filter(|shape| shape.labels.meet(selector));
        met.filter_map(|shape| Some((&**shape, self.groups.get(shape)?)))
    }

    /// A pod whose labels share a key or a value with a selector.
    pub(super) fn near(&self, selector: &Labels) -> Option<(&Shape, &Arc<str>)> {
        let mut near = self.groups.iter().filter(|(shape, _)| shape.labels.resemble(selector));
        near.find_map(|(shape, group)| Some((&**shape, group.pods.first()?)))
    }

    fn group(&mut self, shape: &Arc<Shape>) -> &mut Group {
        if !self.groups.contains_key(shape) {
            for label in shape.labels.iter() {
                self.by_label.entry(Arc::clone(label)).or_default().push(Arc::clone(shape));
            }
        }
        self.groups.entry(Arc::clone(shape)).or_default()
    }

    /// Removes a group without members.
    fn close(&mut self, shape: &Arc<Shape>) {
        if self.groups.get(shape).is_none_or(|group| group.workloads > 0 || !group.pods.is_empty()) {
            return;
        }
        self.groups.remove(shape);
        for label in shape.labels.iter() {
            let Some(shapes) = self.by_label.get_mut(label) else { continue };
            shapes.retain(|other| !Arc::ptr_eq(other, shape));
            if shapes.is_empty() {
                self.by_label.remove(label);
            }
        }
    }
}
