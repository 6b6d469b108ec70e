//! Many nodes that fall silent at once, or an API server that the aggregator does not see: one verdict, and no node is
//! accused.

use std::sync::Arc;

use coroner_proto::v1::{Cause, Confidence, Diagnosis};
use jiff::{SignedDuration, Timestamp};

use super::{Finding, Subject, Triage, Watch, node::NodeCase, silence::TOGETHER};
use crate::{
    aspect::Aspect,
    messages::triage as texts,
    observation::{Source, kube::Kind},
    verdict::Verdict,
};

/// The watch of the API server may be broken for so long.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15);
/// How often the silent nodes are counted, while there are any.
const COUNT: SignedDuration = SignedDuration::from_secs(1);
/// After many were silent, none is accused for so long: they return one by one.
const RETURN: SignedDuration = SignedDuration::from_secs(30);
/// How often all nodes are counted.
const RECOUNT: SignedDuration = SignedDuration::from_secs(30);
/// Names of nodes that a verdict gives.
const NAMES: usize = 10;
/// The share of all nodes, in percent, from which silent ones are many.
const SHARE: usize = 5;
/// The least number of nodes of which two can show that the third is silent.
const SOURCES: usize = 3;
/// The least number of silent ones that are many.
const LEAST: usize = 3;

/// Whether nodes can be judged one by one.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// Many are silent.
    many: bool,
    /// Those that were among many may take so long to return one by one.
    until: Option<Timestamp>,
    counted: Option<Timestamp>,
    /// Nodes of which signs are known, and when they were counted.
    known: Option<(usize, Timestamp)>,
}

impl Path {
    /// Whether no single node may be accused.
    pub(super) fn holds(&self, now: Timestamp) -> bool {
        self.many || self.until.is_some_and(|until| now < until)
    }
}

/// Whether so many silent nodes of so many have a cause in common: more than chance has fail together.
fn are_many(silent: usize, known: usize) -> bool {
    silent >= 2 && silent * 2 >= known.max(3) || silent >= LEAST && silent * 100 >= known * SHARE
}

impl Triage {
    /// When [`examine_path`](Self::examine_path) has something to do.
    pub(super) fn path_due(&self) -> Option<Timestamp> {
        let broken = match &self.watch {
            Watch::Broken(since, _) if self.now < *since + PATIENCE => Some(*since + PATIENCE),
            Watch::Broken(..) | Watch::Well(_) | Watch::Absent => None,
        };
        let counting = !self.silent.is_empty() || self.path.many || self.path_is_reported();
        let count = counting.then(|| self.path.counted.map_or(self.now, |counted| counted + COUNT));
        [broken, count].into_iter().flatten().min()
    }

    fn path_is_reported(&self) -> bool {
        self.unresolved(&Subject::Cluster, &Aspect::Path).is_some()
    }

    /// Counts the silent nodes, and reports what they have in common.
    pub(super) fn examine_path(&mut self, diagnoses: &mut Vec<Diagnosis>) {
        let now = self.now;
        let due = self.path_due().is_some_and(|due| due <= now);
        if !due {
            return;
        }
        self.path.counted = Some(now);
        let known = self.known();
        let doubtful: Vec<&Arc<str>> = self.silent.iter().filter(|name| self.counts_as_doubtful(name)).collect();
        let agents: Vec<&Arc<str>> = self.silent.iter().filter(|name| self.counts_as_mute(name)).collect();
        let were_many = self.path.many;
        let enough = |count: usize| are_many(count, known) || were_many && are_many(count.saturating_mul(2), known);
        let verdict = match &self.watch {
            Watch::Broken(since, reason) if *since + PATIENCE <= now => Some(
                Verdict::new(Cause::ControlPlaneUnreachable, Confidence::Certain, *since)
                    .headed(texts::triage_path_api())
                    .explained(texts::triage_path_api_why())
                    .supported_by(Source::Api(Kind::Nodes), *since, reason),
            ),
            _ if enough(doubtful.len()) => {
                let since = self.first_of(&doubtful);
                let names: Vec<&str> = doubtful.iter().map(|name| &***name).take(NAMES).collect();
                Some(
                    Verdict::new(Cause::ControlPlaneUnreachable, Confidence::Likely, since)
                        .headed(texts::triage_path_nodes(doubtful.len(), known))
                        .explained(texts::triage_path_nodes_why())
                        .supported_by(Source::NodeReports, since, texts::triage_path_names(names)),
                )
            }
            _ if enough(agents.len()) => {
                let since = self.first_of(&agents);
                let names: Vec<&str> = agents.iter().map(|name| &***name).take(NAMES).collect();
                Some(
                    Verdict::new(Cause::ControlPlaneUnreachable, Confidence::Likely, since)
                        .headed(texts::triage_path_agents(agents.len(), known))
                        .explained(texts::triage_path_agents_why())
                        .supported_by(Source::NodeReports, since, texts::triage_path_names(names)),
                )
            }
            _ => None,
        };
        self.path.many = enough(doubtful.len()) || enough(agents.len());
        if self.path.many {
            self.path.until = Some(now + RETURN);
        }
        match verdict {
            Some(verdict) => {
                let uid = format!("{}/path", self.cluster_uid).into();
                let verdict = verdict.not_fatal();
                let finding = Finding { uid, name: Arc::from(""), boot_id: Box::default(), verdict };
                self.report(&Subject::Cluster, &Aspect::Path, finding, diagnoses);
            }
            None if !self.path.many && !matches!(self.watch, Watch::Broken(..)) => {
                self.resolve(&Subject::Cluster, &Aspect::Path, diagnoses);
            }
            None => {}
        }
    }

    /// How many nodes have given a sign.
    fn known(&mut self) -> usize {
        match self.path.known {
            Some((known, at)) if self.now.duration_since(at) < RECOUNT => known,
            _ => {
                let gave_sign =
                    |case: &&NodeCase| self.is_of_cluster(case) && (case.report.is_some() || case.lease.is_some());
                let known = self.nodes.values().filter(gave_sign).count();
                self.path.known = Some((known, self.now));
                known
            }
        }
    }

    /// Whether there are nodes enough, beside a silent one, for two sources on different hosts: the aggregator and the
    /// API server may be on one.
    pub(super) fn has_two_sources(&self) -> bool {
        self.path.known.is_some_and(|(known, _)| known >= SOURCES)
    }

    /// Since when the first of these is silent.
    fn first_of(&self, names: &[&Arc<str>]) -> Timestamp {
        let signs = names.iter().filter_map(|name| self.nodes.get(*name));
        signs.map(|case| case.reported().unwrap_or_else(|| case.last_sign())).min().unwrap_or(self.now)
    }

    /// Whether a node counts among those that fell silent together.
    fn counts_as_doubtful(&self, name: &Arc<str>) -> bool {
        let Some(case) = self.nodes.get(name) else { return false };
        let recent = self.path.many || self.now.duration_since(case.last_sign()) <= TOGETHER;
        recent && self.is_doubtful(name, case)
    }

    /// Whether a node counts among those whose agents alone are silent.
    fn counts_as_mute(&self, name: &Arc<str>) -> bool {
        let Some(case) = self.nodes.get(name) else { return false };
        self.agent_silent(case, SignedDuration::ZERO) && !self.holds(name, &Aspect::Silence)
    }
}
