//! Sources that come and go.

use std::collections::{BTreeMap, BTreeSet};

use coroner_diagnosis::observation::{
    Fact, Gap, GapReason, Health, Observation, Reason, Source, kube::Kind, kube::Object,
};
use jiff::Timestamp;

/// The sources of a node on which everything that can be had is there.
pub(super) const SOURCES: [Source; 9] = [
    Source::KernelLog,
    Source::Cgroups,
    Source::Cri,
    Source::Containerd,
    Source::Signals,
    Source::Procfs,
    Source::ProcessEvents,
    Source::Kubelet,
    Source::Api(Kind::Pods),
];

/// Which sources are away, and what they missed.
#[derive(Debug, Default)]
pub(super) struct Sources {
    away: BTreeMap<Source, Away>,
}

#[derive(Debug)]
struct Away {
    since: Timestamp,
    /// The newest statement about each thing that is listed when the source is back.
    missed: BTreeMap<String, Fact>,
}

impl Sources {
    /// All of them are there.
    pub(super) fn arrive(at: Timestamp) -> Vec<Observation> {
        SOURCES.map(|source| seen(at, Fact::Health(source, Health::Ok))).into()
    }

    /// Those that are away.
    pub(super) fn away(&self) -> BTreeSet<Source> {
        self.away.keys().copied().collect()
    }

    /// The observation, if its source is there. That it is not is reported all the same.
    pub(super) fn pass(&mut self, observation: Observation) -> Option<Observation> {
        if matches!(observation.fact, Fact::Health(..)) {
            return Some(observation);
        }
        let Some(away) = self.away.get_mut(&observation.fact.source()) else { return Some(observation) };
        if let Some(name) = listed_as(&observation.fact) {
            away.missed.insert(name, observation.fact);
        }
        None
    }

    /// A source goes away.
    pub(super) fn leave(&mut self, at: Timestamp, source: Source) -> Option<Observation> {
        if self.away.contains_key(&source) {
            return None;
        }
        self.away.insert(source, Away { since: at, missed: BTreeMap::new() });
        Some(seen(at, Fact::Health(source, Health::Absent(Reason::quote("it went away")))))
    }

    /// A source is back: it lists what exists, and reports what it cannot know.
    pub(super) fn come_back(&mut self, at: Timestamp, source: Source) -> Vec<Observation> {
        let Some(Away { since, missed }) = self.away.remove(&source) else { return Vec::new() };
        let mut observations: Vec<_> = missed.into_values().map(|fact| seen(at, fact)).collect();
        if !matches!(source, Source::Cri | Source::Api(_)) {
            let gap = Gap { source, reason: GapReason::Disconnected, from: since, to: at, lost: None };
            observations.push(seen(at, Fact::Gap(gap)));
        }
        observations.push(seen(at, Fact::Health(source, Health::Ok)));
        observations
    }
}

/// What the fact is about, if its source lists such things when it comes back.
fn listed_as(fact: &Fact) -> Option<String> {
    match fact {
        Fact::Container(container) => Some(container.id.0.clone()),
        Fact::ContainerRemoved(id) | Fact::SandboxRemoved(id) => Some(id.0.clone()),
        Fact::Sandbox(sandbox) => Some(sandbox.id.0.clone()),
        Fact::Object(_, Object::Pod(pod)) => Some(pod.meta.uid.clone()),
        _ => None,
    }
}

fn seen(at: Timestamp, fact: Fact) -> Observation {
    Observation { seen_at: at, happened_at: at, fact }
}
