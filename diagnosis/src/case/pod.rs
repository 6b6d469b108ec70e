//! The case file of one pod.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{container::Samples, statements::Said};
use crate::{
    cgroup,
    cri::{ContainerId, Pod},
    kube::{self, Event, VolumeKind},
    kubelet::PodStats,
    log::Tail,
};

/// Events about a pod that are remembered; repetitions are one.
const EVENTS: usize = 64;
/// Ends of logs that are remembered.
const LOGS: usize = 8;

/// What is known of one pod.
#[derive(Debug, Default)]
pub struct PodFile {
    /// Its names.
    pub pod: Option<Pod>,
    /// When anybody last spoke of it as a whole.
    pub heard: Timestamp,
    /// Its containers, sandboxes excluded.
    pub containers: BTreeSet<ContainerId>,
    /// Its sandboxes.
    pub sandboxes: BTreeSet<ContainerId>,
    /// Its cgroup.
    pub cgroup: Option<cgroup::Path>,
    /// What its cgroup's files said.
    pub samples: Samples,
    /// The object, as the API server last told it.
    pub api: Option<kube::Pod>,
    /// When the API server told that it is gone.
    pub gone: Option<Timestamp>,
    /// The object, as the kubelet last told it.
    pub kubelet: Option<kube::Pod>,
    /// Events about it, by their uid.
    events: BTreeMap<String, Event>,
    /// Ends of its containers' logs, by container and attempt.
    logs: BTreeMap<(String, u32), Tail>,
    /// Its usage, as the kubelet last measured it, and before.
    pub stats: Option<Said<PodStats>>,
    /// The highest use of local storage that the kubelet measured, in bytes.
    pub storage_peak: Option<u64>,
}

impl PodFile {
    /// The object, by whoever told it: the API server, else the kubelet.
    pub fn object(&self) -> Option<&kube::Pod> {
        self.api.as_ref().or(self.kubelet.as_ref())
    }

    /// Takes an event, or its repetition.
    pub fn hear_event(&mut self, event: Event) {
        self.events.insert(event.meta.uid.clone(), event);
        while self.events.len() > EVENTS {
            let oldest = self.events.iter().min_by_key(|(uid, event)| (event.last, *uid)).map(|(uid, _)| uid.clone());
            oldest.and_then(|uid| self.events.remove(&uid));
        }
    }

    /// Events with this reason, the oldest first.
    pub fn events<'a>(&'a self, reason: &'a str) -> impl Iterator<Item = &'a Event> {
        let mut events: Vec<_> = self.events.values().filter(|event| event.reason == reason).collect();
        events.sort_by_key(|event| (event.last, event.first));
        events.into_iter()
    }

    /// Takes the end of a log.
    pub fn hear_log(&mut self, tail: Tail) {
        self.logs.insert((tail.container.clone(), tail.attempt), tail);
        while self.logs.len() > LOGS {
            let oldest = self.logs.iter().min_by_key(|(key, tail)| (tail.lines.last().map(|line| line.at), *key));
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|key| self.logs.remove(&key));
        }
    }

    /// The end of the log of one instance.
    pub fn log(&self, container: &str, attempt: u32) -> Option<&Tail> {
        self.logs.get(&(container.to_owned(), attempt))
    }

    /// Takes a measurement.
    pub fn hear_stats(&mut self, at: Timestamp, stats: PodStats) {
        let used = stats.ephemeral_storage.and_then(|storage| storage.used_bytes);
        self.storage_peak = self.storage_peak.max(used);
        self.stats = Some(Said { at, what: stats });
    }

    /// Names of the claims that its volumes need, where it is of this namespace.
    pub fn claims<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a str> {
        let object = self.object().filter(move |pod| pod.meta.namespace == namespace);
        object.into_iter().flat_map(|pod| &pod.volumes).filter_map(|volume| match &volume.kind {
            VolumeKind::Claim(name) => Some(name.as_str()),
            _ => None,
        })
    }
}
