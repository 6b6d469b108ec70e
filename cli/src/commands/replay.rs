//! `coroner replay`: the verdicts that a recorded case leads to, by this version.

use coroner_diagnosis::{recording::Recording, replay::replay};
use coroner_proto::v1::Node;

use super::present::{in_full, present};
use crate::{
    args::ReplayArgs,
    case_dir::CaseDir,
    exit::{Failure, Outcome},
    out::Out,
};

pub(crate) fn run(args: &ReplayArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let unreadable = |error: anyhow::Error| Failure::unreadable(format!("{error:#}"));
    let CaseDir { case_json, files } = CaseDir::read(&args.case).map_err(unreadable)?;
    let in_case = |error: anyhow::Error| unreadable(error.context(args.case.display().to_string()));
    let recording = Recording::new(&case_json).map_err(|error| in_case(error.into()))?;
    let observations = recording.observations(files).map_err(|error| in_case(error.into()))?;
    let diagnoses = replay(Node::from(&recording.node), observations, recording.end);
    if diagnoses.is_empty() {
        out.tell("Nothing to diagnose.");
        return Ok(Outcome::Answered);
    }
    present(&diagnoses, out, in_full)?;
    Ok(Outcome::Answered)
}
