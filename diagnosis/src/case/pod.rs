//! The case file of one pod.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::{samples::Samples, sandbox::SandboxFile, statements::Statement};
use crate::observation::{
    Source, cgroup,
    cri::{ContainerId, Pod},
    kube::{self, Condition, Deletion, Event, Kind},
    kubelet::PodStats,
    log::Tail,
};

/// Events about a pod that are remembered; repetitions are one.
const EVENTS: usize = 64;
/// Times of one event that are remembered.
const TIMES: usize = 64;
/// An event that arrives so soon after its time arrives as it happens.
const EVENT_DELAY: SignedDuration = SignedDuration::from_secs(3);
/// Kills for memory that are remembered.
const KILLS: usize = 16;
/// Restarts of all containers that are remembered.
const RESTARTS: usize = 8;
/// Ends of logs that are remembered.
const LOGS: usize = 8;
/// Ended containers that are remembered after their files were closed: more than runtime and kubelet list of one pod.
const CLOSED: usize = 32;

/// An event, and each time at which it was reported.
#[derive(Debug, Default)]
pub struct Occurrences {
    /// The event, as last reported.
    pub event: Event,
    /// When, as far as known, and what its count was then, where it was observed.
    times: BTreeMap<Timestamp, Option<i32>>,
}

impl Occurrences {
    /// When it was first reported, as far as known.
    pub fn first(&self) -> Option<Timestamp> {
        self.times.keys().next().copied()
    }

    /// When it was last reported, as far as known.
    pub fn last(&self) -> Option<Timestamp> {
        self.times.keys().next_back().copied()
    }

    /// When it was last reported between two moments, both included.
    pub fn last_between(&self, from: Timestamp, to: Timestamp) -> Option<Timestamp> {
        if from > to { None } else { self.times.range(from..=to).next_back().map(|(at, _)| *at) }
    }

    /// When, between two moments, both included, as far as known.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = Timestamp> {
        let times = if from > to { None } else { Some(self.times.range(from..=to)) };
        times.into_iter().flatten().map(|(at, _)| *at)
    }

    /// How often between two moments, as far as known.
    pub fn count_between(&self, from: Timestamp, to: Timestamp) -> usize {
        if from > to { 0 } else { self.times.range(from..=to).count() }
    }

    /// How often since a moment, by the event's count, which goes on over restarts of a container: without what it was
    /// before. Where that was not observed, as far as known.
    pub fn count_since(&self, from: Timestamp, to: Timestamp) -> i32 {
        let before = self.times.range(..from).rev().find_map(|(_, count)| *count);
        match before {
            Some(before) if before < self.event.count => self.event.count - before,
            // Who does not count on counts each series by itself.
            Some(_) => self.event.count,
            None if self.event.first.is_some_and(|first| first >= from) => self.event.count,
            None => i32::try_from(self.count_between(from, to)).unwrap_or(i32::MAX),
        }
    }
}

/// What is known of one pod.
#[derive(Debug, Default)]
pub struct PodFile {
    /// The namespace, name and uid of the pod.
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
    /// The pod's sandboxes, by their ids.
    pub sandboxes: BTreeMap<ContainerId, Box<SandboxFile>>,
    /// The path of the pod's cgroup.
    pub cgroup: Option<cgroup::Path>,
    /// What was sampled of its cgroup.
    pub samples: Samples,
    /// The object, as the API server last reported it.
    pub api: Option<Arc<kube::Pod>>,
    /// When the API server reported that it is gone.
    pub gone: Option<Timestamp>,
    /// The object, as the kubelet last reported it; of its specification nothing once the API server has reported it,
    /// and nothing at all where it reports the same.
    pub kubelet: Option<Box<kube::Pod>>,
    /// The first request to delete it: the kubelet's last step is another, without grace, once its containers have
    /// ended.
    pub deletion: Option<Deletion>,
    /// Restarts of all its containers by a rule, the newest last: the condition, which holds for seconds only.
    restarts: VecDeque<Condition>,
    /// When the kernel refused a fork in its cgroup, by its own log.
    pub forks_refused: BTreeSet<Timestamp>,
    /// Processes in its cgroups that the kernel was reported to have killed for memory.
    kills: BTreeSet<(Timestamp, i32)>,
    /// Events about it, by their uid.
    events: BTreeMap<String, Occurrences>,
    /// Ends of its containers' logs, by container and attempt.
    logs: BTreeMap<(String, u32), Tail>,
    /// Its usage, as the kubelet last measured it, and before.
    pub stats: Option<Statement<PodStats>>,
    /// The highest use of local storage that the kubelet measured, in bytes.
    pub storage_peak: Option<u64>,
}

impl PodFile {
    /// The object, by the API server, else by the kubelet.
    pub fn object(&self) -> Option<&kube::Pod> {
        self.api.as_deref().or(self.kubelet.as_deref())
    }

    /// Records the object as the API server reports it: what the kubelet repeats of it is forgotten.
    pub(super) fn record_api(&mut self, object: Arc<kube::Pod>) {
        self.api = Some(object);
        if let Some(kubelet) = &mut self.kubelet {
            kubelet.forget_spec();
        }
    }

    /// Records a request to delete it. The first counts, whichever is reported first.
    pub(super) fn record_deletion(&mut self, deletion: Deletion) {
        if self.deletion.is_none_or(|known| deletion.asked() < known.asked()) {
            self.deletion = Some(deletion);
        }
    }

    /// Records that a rule restarts all its containers, if the object reports it (1.35 on).
    pub(super) fn record_restarting(&mut self, object: &kube::Pod) {
        let condition = object.condition("AllContainersRestarting");
        let Some(condition) = condition.filter(|condition| condition.status == Some(true)) else { return };
        if self.restarts.back().is_some_and(|last| last.since == condition.since) {
            return;
        }
        self.restarts.push_back(condition.clone());
        if self.restarts.len() > RESTARTS {
            self.restarts.pop_front();
        }
    }

    /// Restarts of all its containers by a rule, the newest first: since when, and the condition.
    pub fn restarts(&self) -> impl Iterator<Item = (Timestamp, &Condition)> {
        self.restarts.iter().rev().filter_map(|condition| Some((condition.since?, condition)))
    }

    /// Whether its phase is `Failed` or `Succeeded`.
    pub fn has_ended(&self) -> bool {
        self.object().is_some_and(|pod| matches!(pod.phase.as_str(), "Failed" | "Succeeded"))
    }

    /// The source of the object: the API server, or else the kubelet.
    pub fn reporter(&self) -> Source {
        if self.api.is_some() { Source::Api(Kind::Pods) } else { Source::Kubelet }
    }

    /// Records an event, or its repetition.
    pub(super) fn record_event(&mut self, at: Timestamp, event: Event) {
        // Events have whole seconds; a watch reports them at once, a list long after.
        let precise = |reported: Timestamp| if at.duration_since(reported) < EVENT_DELAY { at } else { reported };
        let known = self.events.entry(event.meta.uid.clone()).or_default();
        if let Some(last) = event.last {
            known.times.insert(precise(last), Some(event.count));
        }
        if let Some(first) = event.first.filter(|_| known.times.len() == 1 && event.count > 1) {
            known.times.entry(first).or_insert(None);
        }
        while known.times.len() > TIMES {
            known.times.pop_first();
        }
        known.event = event;
        while self.events.len() > EVENTS {
            let oldest = self.events.iter().min_by_key(|(uid, known)| (known.last(), *uid));
            let oldest = oldest.map(|(uid, _)| uid.clone());
            oldest.and_then(|uid| self.events.remove(&uid));
        }
    }

    /// Its events with this reason, ordered by their last report, the oldest first.
    pub fn events(&self, reason: &str) -> impl DoubleEndedIterator<Item = &Occurrences> {
        self.events_that(&|event| event.reason == reason)
    }

    /// Its events for which this holds, in the same order.
    pub fn events_that<'a>(
        &'a self,
        holds: &dyn Fn(&Event) -> bool,
    ) -> impl DoubleEndedIterator<Item = &'a Occurrences> + use<'a> {
        let mut events: Vec<_> = self.events.values().filter(|known| holds(&known.event)).collect();
        events.sort_by_key(|known| known.last());
        events.into_iter()
    }

    /// Records that the kernel refused a fork in its cgroup.
    pub(super) fn record_refused_fork(&mut self, at: Timestamp) {
        self.forks_refused.insert(at);
        while self.forks_refused.len() > TIMES {
            self.forks_refused.pop_first();
        }
    }

    /// Records that a process in its cgroups was killed for memory.
    pub(super) fn record_kill(&mut self, at: Timestamp, pid: i32) {
        self.kills.insert((at, pid));
        while self.kills.len() > KILLS {
            self.kills.pop_first();
        }
    }

    /// When which processes in its cgroups were reported to have been killed for memory, the oldest first.
    pub fn kills(&self) -> impl Iterator<Item = (Timestamp, i32)> {
        self.kills.iter().copied()
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
        self.stats = Some(Statement { at, what: stats });
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
        self.api.as_deref().into_iter().chain(self.kubelet.as_deref()).flat_map(|pod| &pod.statuses)
    }

    /// Whether anything of it runs, as far as is known here.
    pub(super) fn runs(&self) -> bool {
        !self.containers.is_empty() || self.sandboxes.values().any(|sandbox| sandbox.lives())
    }

    /// Since when nothing of it is left; `None` while a container's file is kept, a sandbox lives, or its object is
    /// there and has not ended.
    pub(super) fn retired(&self) -> Option<Timestamp> {
        let is_there = self.gone.is_none() && self.object().is_some() && !self.has_ended();
        (!self.runs() && !is_there).then(|| self.gone.unwrap_or(self.last_seen))
    }
}
