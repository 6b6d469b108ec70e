//! A recorded case through the examiners: time passes as for live ones.

use std::collections::BTreeMap;

use coroner_proto::v1::{Diagnosis, Node};
use jiff::Timestamp;

use crate::{
    cluster::ClusterExaminer,
    examiner::Examiner,
    observation::{Fact, Observation},
};

/// The last revision of every diagnosis that these observations lead to, on the node and in its cluster, in order of what they
/// are about. Time runs on to `end` after the last of them, so that a verdict that waits is given.
pub fn replay(node: Node, observations: impl IntoIterator<Item = Observation>, end: Timestamp) -> Vec<Diagnosis> {
    let mut cluster = ClusterExaminer::new(node.cluster_uid.clone());
    let mut examiner = Examiner::new(node);
    let mut last = BTreeMap::new();
    let mut keep = |diagnoses: Vec<Diagnosis>| {
        for diagnosis in diagnoses {
            last.insert(diagnosis.uid.clone(), diagnosis);
        }
    };
    for observation in observations {
        pass_time(&mut examiner, &mut cluster, observation.seen_at, &mut keep);
        // Nothing else concerns the cluster.
        if matches!(observation.fact, Fact::Object(..) | Fact::Health(..)) {
            keep(cluster.observe(observation.clone()));
        }
        keep(examiner.observe(observation));
    }
    pass_time(&mut examiner, &mut cluster, end, &mut keep);
    keep(examiner.tick(end));
    keep(cluster.tick(end));
    let mut diagnoses: Vec<_> = last.into_values().collect();
    diagnoses.sort_by_key(|diagnosis| diagnosis.event_time.map(|time| (time.seconds, time.nanos)));
    diagnoses
}

/// Ticks at each moment that one of them waits for, up to `until`.
fn pass_time(
    examiner: &mut Examiner,
    cluster: &mut ClusterExaminer,
    until: Timestamp,
    keep: &mut impl FnMut(Vec<Diagnosis>),
) {
    let mut ticked = None;
    loop {
        let due = [examiner.next_tick(), cluster.next_tick()].into_iter().flatten().min();
        let Some(due) = due.filter(|due| *due <= until && ticked.is_none_or(|last| *due > last)) else { return };
        keep(examiner.tick(due));
        keep(cluster.tick(due));
        ticked = Some(due);
    }
}
