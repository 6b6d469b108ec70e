//! A recorded case through the examiner: time passes as for a live agent.

use std::collections::BTreeMap;

use coroner_proto::v1::{Diagnosis, Node};
use jiff::Timestamp;

use crate::{examiner::Examiner, observation::Observation};

/// The last revision of every diagnosis that these observations lead to, in order of what they are about. Time runs on to
/// `end` after the last of them, so that a verdict that waits is given.
pub fn replay(node: Node, observations: impl IntoIterator<Item = Observation>, end: Timestamp) -> Vec<Diagnosis> {
    let mut examiner = Examiner::new(node);
    let mut last = BTreeMap::new();
    let mut keep = |diagnoses: Vec<Diagnosis>| {
        for diagnosis in diagnoses {
            last.insert(diagnosis.uid.clone(), diagnosis);
        }
    };
    for observation in observations {
        pass_time(&mut examiner, observation.seen_at, &mut keep);
        keep(examiner.observe(observation));
    }
    pass_time(&mut examiner, end, &mut keep);
    keep(examiner.tick(end));
    let mut diagnoses: Vec<_> = last.into_values().collect();
    diagnoses.sort_by_key(|diagnosis| diagnosis.event_time.map(|time| (time.seconds, time.nanos)));
    diagnoses
}

/// Ticks at each moment that the examiner waits for, up to `until`.
fn pass_time(examiner: &mut Examiner, until: Timestamp, keep: &mut impl FnMut(Vec<Diagnosis>)) {
    let mut ticked = None;
    while let Some(due) = examiner.next_tick().filter(|due| *due <= until && ticked.is_none_or(|last| *due > last)) {
        keep(examiner.tick(due));
        ticked = Some(due);
    }
}
