//! The second node of a recorded case, with an agent that starts again with each of its boots.

use std::{collections::BTreeMap, sync::Arc};

use coroner_proto::v1::{Diagnosis, Node};
use jiff::{SignedDuration, Timestamp};

use crate::{
    continuation::Continuation,
    examiner::Examiner,
    observation::{
        Fact, Health, Observation, Source,
        kube::{self, Change, Object},
        node::Reading,
    },
};

/// The examiner of the second node.
pub(super) struct Guest {
    node: Node,
    examiner: Examiner,
    /// What earlier boots reported; `None` in the first.
    continuation: Option<Continuation>,
    /// The health of each source, which the next agent reports again.
    health: BTreeMap<Source, Health>,
    /// Its Node object, which the next agent reads again.
    object: Option<Object>,
    /// At its last observation.
    uptime: SignedDuration,
}

impl Guest {
    pub(super) fn new(node: Node, at: Timestamp, booted: Timestamp) -> Self {
        let mut examiner = Examiner::new(node.clone());
        let fact = Fact::Node(Reading::Uptime(at.duration_since(booted)));
        let _none = examiner.observe(Observation { seen_at: at, happened_at: at, fact });
        Self { node, examiner, continuation: None, health: BTreeMap::new(), object: None, uptime: SignedDuration::ZERO }
    }

    /// Whether this was observed in another boot than what was observed before.
    pub(super) fn boots_with(&self, observation: &Observation) -> bool {
        matches!(observation.fact, Fact::Node(Reading::Uptime(uptime)) if uptime < self.uptime)
    }

    /// Keeps the node's own object, even while its agent does not run.
    pub(super) fn keep_node(&mut self, fact: &Fact) {
        if let Fact::Object(Change::Applied, Object::Node(node)) = fact
            && node.meta.name == self.node.name
        {
            self.object = Some(Object::Node(node.clone()));
        }
    }

    /// Starts an examiner that knows when it was `booted`, what was `reported`, and the `pods` that the API server
    /// lists.
    pub(super) fn reboot<'a>(
        &mut self,
        booted: &Observation,
        reported: impl Iterator<Item = &'a Diagnosis>,
        pods: impl Iterator<Item = &'a Arc<kube::Pod>>,
    ) -> Vec<Diagnosis> {
        let mut continuation = self.continuation.take().unwrap_or_default();
        let is_own = |diagnosis: &&Diagnosis| diagnosis.node.as_ref().is_some_and(|node| node.name == self.node.name);
        for diagnosis in reported.filter(is_own) {
            continuation.remember(diagnosis);
        }
        self.continuation = Some(continuation);
        self.examiner = Examiner::new(self.node.clone());
        let health = self.health.iter().map(|(source, health)| Fact::Health(*source, health.clone()));
        let node = self.object.iter().cloned();
        let objects = node.chain(pods.map(|pod| Object::Pod(Arc::clone(pod))));
        let objects = objects.map(|object| Fact::Object(Change::Applied, object));
        let facts: Vec<_> = [booted.fact.clone()].into_iter().chain(health).chain(objects).collect();
        let (seen_at, happened_at) = (booted.seen_at, booted.happened_at);
        let observations = facts.into_iter().map(|fact| Observation { seen_at, happened_at, fact });
        observations.flat_map(|observation| self.observe(observation)).collect()
    }

    pub(super) fn observe(&mut self, observation: Observation) -> Vec<Diagnosis> {
        if let Fact::Health(source, health) = &observation.fact {
            self.health.insert(*source, health.clone());
        }
        if let Fact::Node(Reading::Uptime(uptime)) = observation.fact {
            self.uptime = uptime;
        }
        let diagnoses = self.examiner.observe(observation);
        self.continued(diagnoses)
    }

    pub(super) fn tick(&mut self, now: Timestamp) -> Vec<Diagnosis> {
        let diagnoses = self.examiner.tick(now);
        self.continued(diagnoses)
    }

    pub(super) fn next_tick(&self) -> Option<Timestamp> {
        self.examiner.next_tick()
    }

    fn continued(&mut self, diagnoses: Vec<Diagnosis>) -> Vec<Diagnosis> {
        match &mut self.continuation {
            Some(continuation) => {
                diagnoses.into_iter().filter_map(|diagnosis| continuation.follow(diagnosis)).collect()
            }
            None => diagnoses,
        }
    }
}
