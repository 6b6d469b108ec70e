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
    let case = CaseDir::read(&args.case).map_err(unreadable)?;
    let in_case = |error: anyhow::Error| unreadable(error.context(args.case.display().to_string()));
    let recording = Recording::new(&case.case_json).map_err(|error| in_case(error.into()))?;
    let mut unusable = None;
    let observations =
        recording.stream(case.files()).map_while(|read| read.map_err(|error| unusable = Some(error)).ok());
    let diagnoses = replay(Node::from(&recording.node), observations, recording.end);
    if let Some(error) = unusable {
        return Err(in_case(error.into()));
    }
    if diagnoses.is_empty() {
        out.tell("Nothing to diagnose.");
        return Ok(Outcome::Answered);
    }
    present(&diagnoses, out, in_full)?;
    Ok(Outcome::Answered)
}
