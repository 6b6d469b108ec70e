//! `coroner replay`: the verdicts that a recorded case leads to, by this version.

use std::collections::BTreeMap;

use coroner_diagnosis::{examiner::Examiner, observation::Observation, recording::Recording};
use coroner_proto::v1::{Diagnosis, Node};
use jiff::Timestamp;

use super::present::{in_full, present};
use crate::{
    args::ReplayArgs,
    case_dir::CaseDir,
    exit::{Failure, Outcome},
    out::Out,
    words,
};

pub(crate) fn run(args: &ReplayArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let unreadable = |error: anyhow::Error| Failure::unreadable(format!("{error:#}"));
    let CaseDir { case_json, files } = CaseDir::read(&args.case).map_err(unreadable)?;
    let in_case = |error: anyhow::Error| unreadable(error.context(args.case.display().to_string()));
    let recording = Recording::new(&case_json).map_err(|error| in_case(error.into()))?;
    let observations = recording.observations(files).map_err(|error| in_case(error.into()))?;
    let diagnoses = examine(Node::from(&recording.node), observations, recording.end);
    if diagnoses.is_empty() {
        out.tell("Nothing to diagnose.");
        return Ok(Outcome::Answered);
    }
    present(&diagnoses, out, in_full)?;
    Ok(Outcome::Answered)
}

/// The last revision of every diagnosis, in the order of what they are about. Time passes as for a live agent: to every
/// moment that the examiner waits for, and on to `end`.
fn examine(node: Node, observations: Vec<Observation>, end: Timestamp) -> Vec<Diagnosis> {
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
    diagnoses.sort_by_key(|diagnosis| words::time(diagnosis.event_time.as_ref()));
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
