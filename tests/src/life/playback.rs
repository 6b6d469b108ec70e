//! Every revision that observations lead to, as an agent and an aggregator would send them.

use coroner_diagnosis::{cluster::ClusterExaminer, examiner::Examiner, observation::Observation};
use coroner_proto::v1::{Diagnosis, Node};
use jiff::Timestamp;

/// The examiners of one node and its cluster, and the time that has passed for them.
#[derive(Debug)]
pub struct Playback {
    /// That of the node.
    pub examiner: Examiner,
    cluster: Option<ClusterExaminer>,
}

impl Playback {
    /// A node in its cluster.
    pub fn of_cluster(node: Node) -> Self {
        Self { cluster: Some(ClusterExaminer::new(node.cluster_uid.clone())), examiner: Examiner::new(node) }
    }

    /// A node by itself.
    pub fn of_node(node: Node) -> Self {
        Self { cluster: None, examiner: Examiner::new(node) }
    }

    /// All revisions that observations, in the order in which they were seen, lead to until `end`.
    pub fn all(node: Node, observations: impl IntoIterator<Item = Observation>, end: Timestamp) -> Vec<Diagnosis> {
        let mut playback = Self::of_cluster(node);
        let mut revisions = Vec::new();
        for observation in observations {
            revisions.extend(playback.observe(observation));
        }
        revisions.extend(playback.pass(end));
        revisions
    }

    /// Lets time pass until the observation was seen, and takes it in.
    pub fn observe(&mut self, observation: Observation) -> Vec<Diagnosis> {
        let mut revisions = self.pass(observation.seen_at);
        if let Some(cluster) = &mut self.cluster {
            revisions.extend(cluster.observe(observation.clone()));
        }
        revisions.extend(self.examiner.observe(observation));
        revisions
    }

    /// Lets time pass: both are woken at each moment for which they ask.
    pub fn pass(&mut self, until: Timestamp) -> Vec<Diagnosis> {
        let mut revisions = Vec::new();
        let mut ticked = None;
        loop {
            let of_cluster = self.cluster.as_ref().and_then(ClusterExaminer::next_tick);
            let due = [self.examiner.next_tick(), of_cluster].into_iter().flatten().min();
            // A moment that is asked for again has been given: what is asked for then can only be had later.
            let Some(due) = due.filter(|due| *due <= until && ticked.is_none_or(|last| *due > last)) else { break };
            revisions.extend(self.examiner.tick(due));
            if let Some(cluster) = &mut self.cluster {
                revisions.extend(cluster.tick(due));
            }
            ticked = Some(due);
        }
        revisions
    }
}
