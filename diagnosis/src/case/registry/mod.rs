//! The files of containers and pods: when they are opened and closed, and every index over them.
//!
//! Held here, whatever callers do:
//! - A container's file is closed [`KEEP`] after its end, or after it was last recorded if no source reports any more
//!   that it is running. The file of a running container is never closed for inactivity, and never to free space.
//! - A sandbox is no container: it is kept in its pod's file and goes with it.
//! - A pod's file is closed [`KEEP`] after nothing of it is left: no container's file, no sandbox that lives, no
//!   object.
//! - Of too many files, the one of what ended longest ago is closed. If all are running, a new one is refused and
//!   counted.
//!
//! A user that keeps anything by container or pod learns from [`take_closed`](Registry::take_closed) what to forget.

mod closing;

pub use closing::Closing;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    container::{ContainerFile, ProcessFile},
    pod::PodFile,
    sandbox::SandboxFile,
    subject::Subject,
};
use crate::{
    due::DueQueue,
    observation::{cri::ContainerId, kube},
};

/// How long a file is kept after the end of what it is about.
pub const KEEP: SignedDuration = SignedDuration::from_mins(10);
/// Files of containers. The kubelet's own limit is 110 pods by default and 500 in practice.
const CONTAINERS: usize = 4096;
/// Files of pods.
const PODS: usize = 4096;
/// Sandboxes of one pod.
const SANDBOXES: usize = 8;

/// Who reports a pod's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reporter {
    Kubelet,
    Api,
    /// The API server: it is deleted, and this is how it was.
    ApiLast,
}

/// The files of a node's containers and pods. They are large, and half of the places in a B-tree's nodes are empty: so
/// they lie outside.
#[derive(Debug)]
pub struct Registry {
    containers: BTreeMap<ContainerId, Box<ContainerFile>>,
    /// By uid as the node knows it.
    pods: BTreeMap<String, Box<PodFile>>,
    /// The container or sandbox of each process, as last known.
    owners: BTreeMap<i32, ContainerId>,
    /// The pod of each sandbox.
    sandboxes: BTreeMap<ContainerId, String>,
    /// The node's uid of each static pod, by that of its mirror in the API.
    mirrors: BTreeMap<String, String>,
    /// The pods of each controller, by its uid.
    controlled: BTreeMap<String, BTreeSet<String>>,
    /// What has ended, by when it did.
    ended: BTreeSet<(Timestamp, ContainerId)>,
    /// Pods of which nothing is left, by since when.
    ended_pods: BTreeSet<(Timestamp, String)>,
    /// When to see whether a file can be closed. Every file waits here.
    reviews: DueQueue<Subject>,
    closed: Vec<(Subject, Closing)>,
    refused: u64,
    now: Timestamp,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            containers: BTreeMap::new(),
            pods: BTreeMap::new(),
            owners: BTreeMap::new(),
            sandboxes: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            controlled: BTreeMap::new(),
            ended: BTreeSet::new(),
            ended_pods: BTreeSet::new(),
            reviews: DueQueue::default(),
            closed: Vec::new(),
            refused: 0,
            now: Timestamp::MIN,
        }
    }
}

// What is on file.
impl Registry {
    /// The file of the container with this id, if one is kept.
    pub fn container(&self, id: &ContainerId) -> Option<&ContainerFile> {
        self.containers.get(id).map(Box::as_ref)
    }

    /// The files of all containers that are kept, running or ended.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerFile> {
        self.containers.values().map(Box::as_ref)
    }

    /// The file of a pod, by uid as the node knows it.
    pub fn pod(&self, uid: &str) -> Option<&PodFile> {
        self.pods.get(uid).map(Box::as_ref)
    }

    /// The files of the instances of a pod's containers.
    pub fn instances<'a>(&'a self, pod: &'a PodFile) -> impl Iterator<Item = &'a ContainerFile> {
        pod.containers.iter().filter_map(|id| self.container(id))
    }

    /// The container or sandbox that a process belongs to, as last known.
    pub fn owner(&self, pid: i32) -> Option<&ContainerId> {
        self.owners.get(&pid)
    }

    /// The pod of a sandbox, if this is one.
    pub fn sandbox(&self, id: &ContainerId) -> Option<&str> {
        self.sandboxes.get(id).map(String::as_str)
    }

    /// The uid that the node knows a pod by, from the API's.
    pub(super) fn node_uid(&self, uid: &str) -> String {
        if self.pods.contains_key(uid) {
            return uid.to_owned();
        }
        self.mirrors.get(uid).map_or(uid, String::as_str).to_owned()
    }

    /// The pods that the workload of this uid controls.
    pub(super) fn controlled_by(&self, uid: &str) -> impl Iterator<Item = &String> {
        self.controlled.get(uid).into_iter().flatten()
    }

    /// Whether there was a file of a container of this pod, which has ended. A source that lists the container again,
    /// as the runtime does until it is removed and the kubelet as long as the pod is there, reports nothing new.
    pub(super) fn was_closed(&self, id: &ContainerId, pod: &str) -> bool {
        !self.containers.contains_key(id) && self.pods.get(pod).is_some_and(|pod| pod.closed.contains(id))
    }

    /// How many files of containers and of pods there are, and how many were refused because all others live.
    pub fn counts(&self) -> (usize, usize, u64) {
        (self.containers.len(), self.pods.len(), self.refused)
    }
}

// Recording.
impl Registry {
    /// Time passes.
    pub(super) fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// Records something in a container's file, which is opened if need be. `None` if it was refused.
    pub(super) fn record<R>(
        &mut self,
        id: &ContainerId,
        at: Timestamp,
        change: impl FnOnce(&mut ContainerFile) -> R,
    ) -> Option<R> {
        let is_new = !self.containers.contains_key(id);
        let file = self.containers.entry(id.clone()).or_insert_with(|| ContainerFile::new(id.clone(), at).into());
        let before = if is_new { None } else { file.retired() };
        file.first_seen = file.first_seen.min(at);
        file.last_seen = file.last_seen.max(at);
        file.recorded = file.recorded.max(self.now);
        let result = change(file);
        let after = file.retired();
        if before != after {
            before.map(|before| self.ended.remove(&(before, id.clone())));
            after.map(|after| self.ended.insert((after, id.clone())));
        }
        let refile = file.pod_uid() != file.filed_under.as_deref();
        if is_new {
            self.reviews.wait(&Subject::Container(id.clone()), self.now + KEEP);
            self.free_a_file(id);
        }
        if refile {
            self.file_under_pod(id, at);
        }
        self.containers.contains_key(id).then_some(result)
    }

    /// Lists a container in the file of its pod.
    fn file_under_pod(&mut self, id: &ContainerId, at: Timestamp) {
        let Some(file) = self.containers.get_mut(id) else { return };
        let Some(uid) = file.pod_uid().map(str::to_owned) else { return };
        let before = file.filed_under.take();
        if let Some(pod) = before.as_ref().and_then(|before| self.pods.get_mut(before)) {
            pod.containers.remove(id);
        }
        before.inspect(|before| self.index_pod(before));
        let filed = self.record_pod(&uid, at, |pod| pod.containers.insert(id.clone())).is_some();
        if let Some(file) = self.containers.get_mut(id).filter(|_| filed) {
            file.filed_under = Some(uid);
        }
    }

    /// Of too many files, closes that of the container that ended longest ago; the new one, if all others live.
    fn free_a_file(&mut self, new: &ContainerId) {
        while self.containers.len() > CONTAINERS {
            match self.ended.first() {
                Some((_, oldest)) => {
                    let oldest = oldest.clone();
                    self.close_container(&oldest, Closing::Full);
                }
                None => {
                    self.refused += 1;
                    self.close_container(new, Closing::Refused);
                }
            }
        }
    }

    /// Records a process of a container or sandbox. Whether it is new there.
    pub(super) fn record_process(&mut self, id: &ContainerId, pid: i32, process: &ProcessFile) -> bool {
        let forgotten = if let Some(sandbox) = self.sandbox_file(id) {
            if !sandbox.record_process(pid) {
                return false;
            }
            None
        } else if let Some(file) = self.containers.get_mut(id) {
            file.record_process(pid, process)
        } else {
            return false;
        };
        let is_new = self.owners.get(&pid) != Some(id);
        if is_new {
            self.owners.insert(pid, id.clone());
        }
        if let Some(pid) = forgotten {
            self.disown(pid, id);
        }
        is_new
    }

    fn disown(&mut self, pid: i32, id: &ContainerId) {
        if self.owners.get(&pid) == Some(id) {
            self.owners.remove(&pid);
        }
    }

    /// Records that an id is that of a sandbox of this pod. What was filed of it as of a container is taken over.
    pub(super) fn record_sandbox(&mut self, id: &ContainerId, uid: &str, at: Timestamp) -> Option<&mut SandboxFile> {
        if self.sandbox(id).is_none_or(|known| known != uid) {
            let sandbox = match self.sandboxes.get(id).cloned() {
                Some(before) => self.pods.get_mut(&before).and_then(|pod| pod.sandboxes.remove(id)),
                None => self.container(id).map(as_sandbox).map(Box::new),
            };
            let sandbox = sandbox.unwrap_or_else(|| SandboxFile::new(at).into());
            self.close_container(id, Closing::Sandbox);
            let pids = sandbox.pids.clone();
            self.record_pod(uid, at, |pod| pod.sandboxes.insert(id.clone(), sandbox))?;
            self.sandboxes.insert(id.clone(), uid.to_owned());
            self.owners.extend(pids.into_iter().map(|pid| (pid, id.clone())));
            self.free_a_sandbox(uid, id);
        }
        self.sandbox_file(id)
    }

    /// Of a pod's sandboxes, removes the one that ended longest ago.
    fn free_a_sandbox(&mut self, uid: &str, new: &ContainerId) {
        let Some(pod) = self.pods.get_mut(uid).filter(|pod| pod.sandboxes.len() > SANDBOXES) else { return };
        let others = pod.sandboxes.iter().filter(|(id, _)| *id != new);
        let oldest = others.min_by_key(|(_, sandbox)| (sandbox.lives(), sandbox.ended_at(), sandbox.first_seen));
        if let Some(oldest) = oldest.map(|(id, _)| id.clone())
            && let Some(sandbox) = pod.sandboxes.remove(&oldest)
        {
            self.forget_sandbox(&oldest, &sandbox);
        }
    }

    /// Records something of a sandbox; nothing happens if this is none.
    pub(super) fn with_sandbox(&mut self, id: &ContainerId, change: impl FnOnce(&mut SandboxFile)) {
        if let Some(sandbox) = self.sandbox_file(id) {
            change(sandbox);
        }
        if let Some(uid) = self.sandboxes.get(id).cloned() {
            if let Some(pod) = self.pods.get_mut(&uid) {
                pod.recorded = pod.recorded.max(self.now);
            }
            self.index_pod(&uid);
        }
    }

    fn sandbox_file(&mut self, id: &ContainerId) -> Option<&mut SandboxFile> {
        self.pods.get_mut(self.sandboxes.get(id)?)?.sandboxes.get_mut(id).map(Box::as_mut)
    }

    /// Records something in a pod's file, which is opened if need be. `None` if it was refused.
    pub(super) fn record_pod<R>(
        &mut self,
        uid: &str,
        at: Timestamp,
        change: impl FnOnce(&mut PodFile) -> R,
    ) -> Option<R> {
        if uid.is_empty() {
            return None;
        }
        if !self.pods.contains_key(uid) {
            if !self.free_a_pod_file() {
                self.refused += 1;
                return None;
            }
            self.pods.insert(uid.to_owned(), Box::default());
            self.reviews.wait(&Subject::Pod(uid.to_owned()), self.now + KEEP);
        }
        let pod = self.pods.get_mut(uid)?;
        pod.last_seen = pod.last_seen.max(at);
        pod.recorded = pod.recorded.max(self.now);
        let result = change(pod);
        self.index_pod(uid);
        Some(result)
    }

    /// Of too many pods, closes that of which nothing has been left for longest, if need be with files of containers
    /// that have ended. False if all live.
    fn free_a_pod_file(&mut self) -> bool {
        while self.pods.len() >= PODS {
            if let Some((_, oldest)) = self.ended_pods.first().cloned() {
                self.close_pod(&oldest, Closing::Full);
            } else if let Some((_, oldest)) = self.ended.first().cloned() {
                self.close_container(&oldest, Closing::Full);
            } else {
                return false;
            }
        }
        true
    }

    /// Records a pod's object.
    pub(super) fn record_object(&mut self, uid: &str, at: Timestamp, by: Reporter, object: Arc<kube::Pod>) {
        self.unindex_object(uid);
        if let Some(deletion) = object.deletion {
            self.record_pod(uid, at, |pod| pod.record_deletion(deletion));
        }
        let set = |pod: &mut PodFile| {
            pod.record_restarting(&object);
            match by {
                Reporter::Kubelet => pod.kubelet = Some(Arc::unwrap_or_clone(object).into()),
                Reporter::Api => pod.record_api(object),
                Reporter::ApiLast => {
                    pod.record_api(object);
                    pod.gone = Some(at);
                }
            }
        };
        self.record_pod(uid, at, set);
        self.index_object(uid);
    }

    fn index_object(&mut self, uid: &str) {
        let Some(pod) = self.pods.get(uid) else { return };
        let Some(object) = pod.object() else { return };
        if let Some(controller) = &object.meta.controller {
            self.controlled.entry(controller.uid.clone()).or_default().insert(uid.to_owned());
        }
        if let Some(api) = pod.api.as_ref().filter(|api| api.meta.uid != uid) {
            self.mirrors.insert(api.meta.uid.clone(), uid.to_owned());
        }
    }

    fn unindex_object(&mut self, uid: &str) {
        let Some(pod) = self.pods.get(uid) else { return };
        let Some(object) = pod.object() else { return };
        if let Some(controller) = &object.meta.controller
            && let Some(pods) = self.controlled.get_mut(&controller.uid)
        {
            pods.remove(uid);
            if pods.is_empty() {
                self.controlled.remove(&controller.uid);
            }
        }
        if let Some(api) = &pod.api {
            self.mirrors.remove(&api.meta.uid);
        }
    }

    /// Keeps the order of pods of which nothing is left.
    fn index_pod(&mut self, uid: &str) {
        let Some(pod) = self.pods.get_mut(uid) else { return };
        let after = pod.retired();
        if pod.indexed != after {
            pod.indexed.map(|before| self.ended_pods.remove(&(before, uid.to_owned())));
            after.map(|after| self.ended_pods.insert((after, uid.to_owned())));
            pod.indexed = after;
        }
    }
}

/// What of a container's file is of a sandbox.
fn as_sandbox(file: &ContainerFile) -> SandboxFile {
    let mut sandbox = SandboxFile::new(file.first_seen);
    sandbox.cgroup.clone_from(&file.cgroup);
    sandbox.ready = file.task_started.is_some();
    sandbox.end.clone_from(&file.task_exit);
    sandbox.gone = [file.cgroup_removed, file.removed].into_iter().flatten().min();
    for pid in file.processes.keys() {
        sandbox.record_process(*pid);
    }
    sandbox
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{case::statements::Statement, observation::cgroup::Sample};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn id(number: usize) -> ContainerId {
        ContainerId(format!("{number:08}"))
    }

    fn end(registry: &mut Registry, number: usize, second: i64) {
        registry.record(&id(number), at(second), |file| file.task_exit = Some(Statement { at: at(second), what: 0 }));
    }

    #[test]
    fn what_is_kept_of_too_many_does_not_depend_on_the_order_of_arrival() {
        // Their ends, in an order that is none.
        let ends: Vec<(usize, i64)> = (0..CONTAINERS + 300).map(|n| (n, (n as i64 * 7919) % 100_003)).collect();
        let kept = |ends: &mut dyn Iterator<Item = &(usize, i64)>| {
            let mut registry = Registry::default();
            registry.record(&id(999_999), at(-9), |file| file.samples.record(at(-9), Sample::default()));
            ends.for_each(|(number, second)| end(&mut registry, *number, *second));
            registry.containers().map(|file| file.id.clone()).collect::<Vec<_>>()
        };
        let once = kept(&mut ends.iter());
        assert_eq!(once, kept(&mut ends.iter().rev()));
        assert_eq!(once, kept(&mut ends.iter().skip(2000).chain(ends.iter().take(2000))));
        let mut latest = ends.clone();
        latest.sort_by_key(|(_, second)| std::cmp::Reverse(*second));
        let mut expected: Vec<_> = latest.iter().take(CONTAINERS - 1).map(|(number, _)| id(*number)).collect();
        expected.push(id(999_999));
        expected.sort();
        assert_eq!(once, expected, "the one that lives, and those that ended last");
    }

    #[test]
    fn a_sandbox_is_no_container_whichever_is_reported_first() {
        for sandbox_first in [true, false] {
            let mut registry = Registry::default();
            if sandbox_first {
                registry.record_sandbox(&id(1), "uid", at(0)).unwrap().ready = true;
            }
            let process = ProcessFile { seen: at(1), ..ProcessFile::default() };
            if registry.sandbox(&id(1)).is_none() {
                registry.record(&id(1), at(1), |file| file.pod_uid = Some("uid".to_owned()));
            }
            assert!(registry.record_process(&id(1), 77, &process));
            registry.record_sandbox(&id(1), "uid", at(2)).unwrap().ready = true;
            assert_eq!(registry.counts(), (0, 1, 0));
            assert_eq!(registry.owner(77), Some(&id(1)));
            assert!(registry.pod("uid").unwrap().containers.is_empty());
            registry.with_sandbox(&id(1), |sandbox| sandbox.gone = Some(at(3)));
            registry.advance(at(3) + KEEP + KEEP);
            registry.expire(&crate::case::coverage::Coverage::default());
            assert_eq!((registry.counts(), registry.owner(77), registry.sandbox(&id(1))), ((0, 0, 0), None, None));
        }
    }

    #[test]
    fn a_pod_keeps_few_sandboxes_and_always_the_one_that_lives() {
        let mut registry = Registry::default();
        registry.record_sandbox(&id(0), "uid", at(0)).unwrap().ready = true;
        for number in 1..100 {
            let second = i64::try_from(number).unwrap();
            registry.record_sandbox(&id(number), "uid", at(second)).unwrap().gone = Some(at(second));
        }
        let kept: Vec<_> = registry.pod("uid").unwrap().sandboxes.keys().cloned().collect();
        assert_eq!(kept.len(), SANDBOXES);
        assert!(kept.contains(&id(0)) && kept.contains(&id(99)) && registry.sandbox(&id(1)).is_none());
    }
}
