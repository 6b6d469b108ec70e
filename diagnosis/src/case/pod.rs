//! The case file of one pod.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::{samples::Samples, sandbox::SandboxFile, statements::Said};
use crate::observation::{
    Source, cgroup,
    cri::{ContainerId, Pod},
    kube::{self, Event, Kind},
    kubelet::PodStats,
    log::Tail,
};

/// Events about a pod that are remembered; repetitions are one.
const EVENTS: usize = 64;
/// Times of one event that are remembered.
const TIMES: usize = 64;
/// An event that arrives so soon after its time arrives as it happens.
const EVENT_DELAY: SignedDuration = SignedDuration::from_secs(3);
/// Ends of logs that are remembered.
const LOGS: usize = 8;
/// Ended containers that are remembered after their files were closed: more than runtime and kubelet list of one pod.
const CLOSED: usize = 32;

/// An event, and when it was said each time.
#[derive(Debug, Default)]
pub struct Occurrences {
    /// What was said last.
    pub event: Event,
    /// When, as far as known.
    pub times: BTreeSet<Timestamp>,
}

impl Occurrences {
    /// The last time between two moments, both included.
    pub fn last_between(&self, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        if from > to { None } else { self.times.range(from..=to).next_back().copied() }
    }

    /// How often between two moments, as far as known.
    pub fn count_between(&self, from: Timestamp, to: Timestamp) -> usize {
        if from > to { 0 } else { self.times.range(from..=to).count() }
    }
}

/// What is known of one pod.
#[derive(Debug, Default)]
pub struct PodFile {
    /// Its names.
    pub pod: Option<Pod>,
    /// When something was last reported of it as a whole.
    pub last_report: Timestamp,
    /// When the last happened that is known of it or of anything in it.
    pub(super) last_seen: Timestamp,
    /// When something was last recorded of it.
    pub(super) recorded: Timestamp,
    /// Since when nothing of it is left, as the registry has it in its order.
    pub(super) indexed: Option<Timestamp>,
    /// Its containers whose files are kept.
    pub containers: BTreeSet<ContainerId>,
    /// Its containers that have ended and whose files were closed, the newest last.
    pub(super) closed: VecDeque<ContainerId>,
    /// Its sandboxes.
    pub sandboxes: BTreeMap<ContainerId, SandboxFile>,
    /// Its cgroup.
    pub cgroup: Option<cgroup::Path>,
    /// What its cgroup's files said.
    pub samples: Samples,
    /// The object, as the API server last reported it.
    pub api: Option<kube::Pod>,
    /// When the API server reported that it is gone.
    pub gone: Option<Timestamp>,
    /// The object, as the kubelet last reported it.
    pub kubelet: Option<kube::Pod>,
    /// Events about it, by their uid.
    events: BTreeMap<String, Occurrences>,
    /// Ends of its containers' logs, by container and attempt.
    logs: BTreeMap<(String, u32), Tail>,
    /// Its usage, as the kubelet last measured it, and before.
    pub stats: Option<Said<PodStats>>,
    /// The highest use of local storage that the kubelet measured, in bytes.
    pub storage_peak: Option<u64>,
}

impl PodFile {
    /// The object, by the API server, else by the kubelet.
    pub fn object(&self) -> Option<&kube::Pod> {
        self.api.as_ref().or(self.kubelet.as_ref())
    }

    /// Whether it runs no more, by its phase.
    pub fn has_ended(&self) -> bool {
        self.object().is_some_and(|pod| matches!(pod.phase.as_str(), "Failed" | "Succeeded"))
    }

    /// Who reported the object.
    pub fn teller(&self) -> Source {
        if self.api.is_some() { Source::Api(Kind::Pods) } else { Source::Kubelet }
    }

    /// Records an event, or its repetition.
    pub(super) fn record_event(&mut self, at: Timestamp, event: Event) {
        // Events carry whole seconds; a watch tells of them at once, a list long after.
        let precise = |said: Timestamp| if at.duration_since(said) < EVENT_DELAY { at } else { said };
        let known = self.events.entry(event.meta.uid.clone()).or_default();
        if let Some(last) = event.last {
            known.times.insert(precise(last));
        }
        if let Some(first) = event.first.filter(|_| known.times.len() == 1 && event.count > 1) {
            known.times.insert(first);
        }
        while known.times.len() > TIMES {
            known.times.pop_first();
        }
        known.event = event;
        while self.events.len() > EVENTS {
            let oldest = self.events.iter().min_by_key(|(uid, known)| (known.times.last(), *uid));
            let oldest = oldest.map(|(uid, _)| uid.clone());
            oldest.and_then(|uid| self.events.remove(&uid));
        }
    }

    /// Events with this reason, the oldest first.
    pub fn events(&self, reason: &str) -> impl DoubleEndedIterator<Item = &Occurrences> {
        let mut events: Vec<_> = self.events.values().filter(|known| known.event.reason == reason).collect();
        events.sort_by_key(|known| known.times.last());
        events.into_iter()
    }

    /// Records the end of a log.
    pub(super) fn record_log(&mut self, tail: Tail) {
        self.logs.insert((tail.container.clone(), tail.attempt), tail);
        while self.logs.len() > LOGS {
            let oldest = self.logs.iter().min_by_key(|(key, tail)| (tail.lines.last().map(|line| line.at), *key));
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|key| self.logs.remove(&key));
        }
    }

    /// The ends of the logs of a container's instances, the first instance first.
    pub fn logs<'a>(&'a self, container: &str) -> impl DoubleEndedIterator<Item = &'a Tail> {
        self.logs.range((container.to_owned(), 0)..=(container.to_owned(), u32::MAX)).map(|(_, tail)| tail)
    }

    /// Records a measurement.
    pub(super) fn record_stats(&mut self, at: Timestamp, stats: PodStats) {
        let used = stats.ephemeral_storage.and_then(|storage| storage.used_bytes);
        self.storage_peak = self.storage_peak.max(used);
        self.stats = Some(Said { at, what: stats });
    }

    /// Records that the file of a container that has ended is closed.
    pub(super) fn record_closed(&mut self, id: ContainerId) {
        self.closed.push_back(id);
        if self.closed.len() > CLOSED {
            self.closed.pop_front();
        }
    }

    /// Whether a container is in the object's status, alive or not.
    pub(super) fn lists(&self, id: &str) -> bool {
        let now =
            |status: &kube::ContainerStatus| matches!(&status.state, kube::State::Terminated(ended) if ended.id == id);
        let before = |status: &kube::ContainerStatus| status.last.as_ref().is_some_and(|last| last.id == id);
        self.statuses().any(|status| status.id == id || now(status) || before(status))
    }

    fn statuses(&self) -> impl Iterator<Item = &kube::ContainerStatus> {
        self.api.iter().chain(&self.kubelet).flat_map(|pod| &pod.statuses)
    }

    /// Whether anything of it runs, as far as is known here.
    pub(super) fn runs(&self) -> bool {
        !self.containers.is_empty() || self.sandboxes.values().any(SandboxFile::lives)
    }

    /// Since when nothing of it is left; `None` while a container's file is kept, a sandbox lives, or its object is there
    /// and has not ended.
    pub(super) fn retired(&self) -> Option<Timestamp> {
        let is_there = self.gone.is_none() && self.object().is_some() && !self.has_ended();
        (!self.runs() && !is_there).then(|| self.gone.unwrap_or(self.last_seen))
    }
}
