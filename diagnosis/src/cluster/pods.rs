//! Pods: of one that runs, what Services and the free resources of its node depend on; of one that no node accepts, the
//! reason.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{groups::Shape, lost::Leaving};
use crate::observation::kube::{self, ContainerKind, Controller, Meta, Resources, Toleration};

/// A pod that has not ended.
#[derive(Debug, PartialEq)]
pub(super) struct Pod {
    pub(super) namespace: Arc<str>,
    pub(super) name: Box<str>,
    /// Empty while there is none.
    pub(super) node: Arc<str>,
    pub(super) shape: Arc<Shape>,
    pub(super) requests: Arc<Resources>,
    /// It takes no more traffic: its deletion was asked for.
    pub(super) deleting: bool,
    pub(super) unscheduled: Option<Box<Unscheduled>>,
    /// It is deleted, and a kubelet is to end it.
    pub(super) leaving: Option<Box<Leaving>>,
}

impl Pod {
    /// Its names, with this uid.
    pub(super) fn meta(&self, uid: &str) -> Meta {
        let (namespace, name) = (self.namespace.to_string(), self.name.to_string());
        Meta { namespace, name, uid: uid.to_owned(), ..Meta::default() }
    }
}

/// What holds a pod back from all nodes.
#[derive(Debug, PartialEq)]
pub(super) struct Unscheduled {
    pub(super) controller: Option<Arc<Controller>>,
    pub(super) node_selector: Arc<BTreeMap<String, String>>,
    pub(super) node_affinity: bool,
    pub(super) tolerations: Arc<[Toleration]>,
    /// Names of the claims that it mounts.
    pub(super) claims: Box<[Arc<str>]>,
    /// Whether the scheduler has chosen a node for it, on which others have to end first.
    pub(super) nominated: bool,
    /// Its `schedulingGates`.
    pub(super) gates: Arc<[String]>,
    /// The condition's reason, as `Unschedulable`, `SchedulerError` or `SchedulingGated`; `None` while no scheduler has
    /// set the condition.
    pub(super) reason: Option<Arc<str>>,
    /// The scheduler's explanation; of an unseen pod, the scheduler's name.
    pub(super) message: Arc<str>,
    pub(super) since: Timestamp,
}

/// All of them, by uid.
#[derive(Debug, Default)]
pub(super) struct Pods {
    held: BTreeMap<Arc<str>, Pod>,
    unscheduled: BTreeSet<Arc<str>>,
    /// Those that are deleted, by node and uid.
    leaving: BTreeSet<(Arc<str>, Arc<str>)>,
    /// What the pods of each node request together.
    used: BTreeMap<Arc<str>, Used>,
}

#[derive(Debug, Default)]
struct Used {
    pods: usize,
    sum: BTreeMap<String, i128>,
}

impl Pods {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn get(&self, uid: &str) -> Option<&Pod> {
        self.held.get(uid)
    }

    /// The shared form of a uid.
    pub(super) fn uid(&self, uid: &str) -> Arc<str> {
        self.held.get_key_value(uid).map_or_else(|| uid.into(), |(uid, _)| Arc::clone(uid))
    }

    pub(super) fn uids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.held.keys()
    }

    /// Uids of those that no node takes.
    pub(super) fn unscheduled(&self) -> impl Iterator<Item = &Arc<str>> {
        self.unscheduled.iter()
    }

    /// Uids of those that are deleted and that a kubelet is to end.
    pub(super) fn leaving(&self) -> impl Iterator<Item = &Arc<str>> {
        self.leaving.iter().map(|(_, uid)| uid)
    }

    /// The same of one node.
    pub(super) fn leaving_node(&self, node: &Arc<str>) -> impl Iterator<Item = &Arc<str>> {
        let of_node = self.leaving.range((Arc::clone(node), Arc::from(""))..);
        of_node.take_while(move |(of, _)| of == node).map(|(_, uid)| uid)
    }

    /// What the pods of a node request of a resource, in thousandths.
    pub(super) fn used(&self, node: &str, resource: &str) -> i128 {
        self.used.get(node).and_then(|used| used.sum.get(resource)).copied().unwrap_or_default()
    }

    /// Puts a pod in the place of the one of this uid, or nothing. Gives what was there.
    pub(super) fn replace(&mut self, uid: &Arc<str>, pod: Option<Pod>) -> Option<Pod> {
        match pod.as_ref().is_some_and(|pod| pod.unscheduled.is_some()) {
            true => self.unscheduled.insert(Arc::clone(uid)),
            false => self.unscheduled.remove(uid),
        };
        if let Some(pod) = pod.as_ref().filter(|pod| pod.leaving.is_some()) {
            self.leaving.insert((Arc::clone(&pod.node), Arc::clone(uid)));
        } else if let Some(known) = self.held.get(uid).filter(|known| known.leaving.is_some()) {
            self.leaving.remove(&(Arc::clone(&known.node), Arc::clone(uid)));
        }
        if let Some(pod) = pod.as_ref().filter(|pod| !pod.node.is_empty()) {
            let used = self.used.entry(Arc::clone(&pod.node)).or_default();
            used.pods += 1;
            for (resource, amount) in pod.requests.iter() {
                match used.sum.get_mut(resource) {
                    Some(sum) => *sum += amount,
                    None => drop(used.sum.insert(resource.to_owned(), amount)),
                }
            }
        }
        let before = match pod {
            Some(pod) => self.held.insert(Arc::clone(uid), pod),
            None => self.held.remove(uid),
        };
        if let Some(pod) = &before
            && let Some(used) = self.used.get_mut(&pod.node)
        {
            used.pods -= 1;
            for (resource, amount) in pod.requests.iter() {
                used.sum.get_mut(resource).into_iter().for_each(|sum| *sum -= amount);
            }
            if used.pods == 0 {
                self.used.remove(&pod.node);
            }
        }
        before
    }
}

/// What a pod requests: its containers and sidecars together, or the largest of its init containers if that is more.
pub(super) fn requests(pod: &kube::Pod) -> Resources {
    let mut sum = BTreeMap::<_, i128>::new();
    for container in &pod.containers {
        if matches!(container.kind, ContainerKind::Main | ContainerKind::Sidecar) {
            for (name, amount) in container.requests.iter() {
                *sum.entry(name).or_default() += amount;
            }
        }
    }
    for container in pod.containers.iter().filter(|container| container.kind == ContainerKind::Init) {
        for (name, amount) in container.requests.iter() {
            let most = sum.entry(name).or_default();
            *most = (*most).max(amount);
        }
    }
    sum.into_iter().map(|(name, amount)| (name.to_owned(), amount)).collect()
}
