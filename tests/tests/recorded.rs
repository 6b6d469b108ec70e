//! Recorded cases, replayed: the verdicts, and that neither the order of witnesses, nor their repetition, nor the absence of
//! one ever turns a right verdict into a wrong one.

use anyhow::{Result, ensure};
use coroner_diagnosis::observation::Observation;
use coroner_proto::v1::{Cause, Confidence, Diagnosis};
use coroner_tests::case::Case;
use jiff::SignedDuration;

/// Cases whose truth a node alone can tell.
const NODE_ALONE: &[&str] = &[
    "command-no-exec-bit",
    "command-not-found",
    "command-not-in-path",
    "crash-abort-child",
    "crash-abort-pid1",
    "crash-bus",
    "crash-fpe",
    "crash-ill",
    "crash-segv",
    "crash-segv-child",
    "crash-stack",
    "crash-sys",
    "delete-grace-exceeded",
    "delete-graceful",
    "exit-1",
    "exit-137-self",
    "exit-143-self",
    "false-oomkilled-143",
    "healthy",
    "job-ttl",
    "kill-external",
    "mount-on-proc",
    "oom-child",
    "oom-child-then-exit",
    "oom-exec",
    "oom-limit",
    "oom-pod-level",
    "oom-storm",
    "oom-tmpfs",
    "oom-two-pods",
    "rollout",
    "scale-down",
    "shim-killed",
    "static-pod-oom",
    "term-external",
    "v2-crash-segv",
    "v2-delete-grace-exceeded",
    "v2-exit-137-self",
    "v2-healthy",
    "v2-oom-group",
    "v2-oom-limit",
    "v2-oom-node",
    "v2-oom-pod-level",
    "v2-oom-two-pods",
    "workdir-on-file",
];

/// Files whose source may be missing.
const SOURCES: &[&str] =
    &["kmsg", "trace", "cgroups", "procfs", "containerd_events", "cri_events", "cri_containers", "cri_sandboxes"];

/// How far apart two witnesses of the same moment may be heard.
const CLOCK_ERROR: SignedDuration = SignedDuration::from_millis(250);

fn node_alone() -> Result<Vec<Case>> {
    let mut cases = Case::all()?;
    cases.retain(|case| NODE_ALONE.contains(&case.name.as_str()));
    ensure!(cases.len() == NODE_ALONE.len(), "{} of {} cases are there", cases.len(), NODE_ALONE.len());
    Ok(cases)
}

/// Fails with all complaints at once.
fn none(complaints: Vec<String>) -> Result<()> {
    ensure!(complaints.is_empty(), "{} complaints\n{}", complaints.len(), complaints.join("\n"));
    Ok(())
}

#[test]
fn what_a_node_alone_can_tell_is_told_and_nobody_is_accused() -> Result<()> {
    let mut complaints = vec![];
    for case in node_alone()? {
        let diagnoses = case.diagnoses(case.observations()?);
        complaints.extend(case.missed(&diagnoses).into_iter().map(|truth| format!("{}: missed {truth}", case.name)));
        complaints.extend(case.accused(&diagnoses).into_iter().map(|d| format!("{}: accused {d}", case.name)));
    }
    none(complaints)
}

#[test]
fn no_case_at_all_is_told_wrongly_with_or_without_any_one_source() -> Result<()> {
    let mut complaints = vec![];
    for case in Case::all()? {
        for missing in [""].iter().chain(SOURCES) {
            let diagnoses = case.diagnoses(case.observations_without(missing)?);
            let wrong = case.wrong(&diagnoses);
            complaints.extend(wrong.into_iter().map(|d| format!("{} without {missing:?}: wrong {d}", case.name)));
        }
    }
    none(complaints)
}

#[test]
fn saying_everything_twice_changes_nothing() -> Result<()> {
    let mut complaints = vec![];
    for case in node_alone()? {
        let once = case.observations()?;
        let twice = once.iter().flat_map(|o| [o.clone(), o.clone()]).collect();
        let (once, twice) = (case.diagnoses(once), case.diagnoses(twice));
        let essence = |diagnoses: &[Diagnosis]| diagnoses.iter().map(essence).collect::<Vec<_>>();
        if essence(&once) != essence(&twice) {
            complaints.push(format!("{}: {:?} became {:?}", case.name, essence(&once), essence(&twice)));
        }
    }
    none(complaints)
}

#[test]
fn the_order_of_witnesses_within_the_clock_error_never_makes_a_right_verdict_wrong() -> Result<()> {
    let mut complaints = vec![];
    for case in node_alone()? {
        let straight = case.diagnoses(case.observations()?);
        for seed in 1..=6 {
            let shaken = case.diagnoses(shake(case.observations()?, seed));
            let wrong = case.wrong(&shaken).into_iter().chain(case.accused(&shaken));
            complaints.extend(wrong.map(|d| format!("{}, shaken by {seed}: wrong {d}", case.name)));
            for diagnosis in &straight {
                let told = shaken.iter().find(|other| other.uid == diagnosis.uid);
                if !told.is_some_and(|told| same_or_less_certain(diagnosis, told)) {
                    let told = told.map(essence);
                    complaints.push(format!(
                        "{}, shaken by {seed}: {:?} became {told:?}",
                        case.name,
                        essence(diagnosis)
                    ));
                }
            }
        }
    }
    none(complaints)
}

/// What must not change.
fn essence(d: &Diagnosis) -> (String, &'static str, bool, Option<(i32, i32)>) {
    let exit = d.exit.as_ref().map(|exit| (exit.code, exit.signal));
    (d.uid.clone(), d.cause().as_str_name(), d.fatal, exit)
}

fn same_or_less_certain(before: &Diagnosis, after: &Diagnosis) -> bool {
    let same = before.cause() == after.cause() && before.fatal == after.fatal;
    same || after.cause() == Cause::Unattributed
        || after.confidence() < Confidence::Certain && before.fatal == after.fatal
}

/// The observations as they come when every witness is heard late by up to the clock error, each time differently.
fn shake(mut observations: Vec<Observation>, seed: u64) -> Vec<Observation> {
    // xorshift64: the same seed, the same shaking.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for observation in &mut observations {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let late = CLOCK_ERROR * i32::try_from(state % 1000).unwrap_or(0) / 1000;
        observation.seen_at += late;
    }
    observations.sort_by_key(|observation| observation.seen_at);
    observations
}
