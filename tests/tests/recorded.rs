//! Recorded cases, replayed: the verdicts, and that neither the order of witnesses, nor their repetition, nor the absence of
//! one ever turns a right verdict into a wrong one.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use coroner_diagnosis::observation::{Observation, Source};
use coroner_proto::v1::{Cause, Confidence, Diagnosis};
use coroner_tests::case::Case;
use jiff::SignedDuration;

/// Cases whose truth needs a witness that is not there yet: the daemons of the node.
const LATER: &[&str] = &["kubelet-killed", "kubelet-stopped", "runtime-killed", "runtime-stopped"];
/// Most diagnoses of the whole corpus that neither a truth nor what is fine beside it accounts for.
const EXTRA: usize = 10;

/// Files whose source may be missing.
const SOURCES: &[&str] = &[
    "cgroups",
    "containerd_events",
    "cri_containers",
    "cri_events",
    "cri_sandboxes",
    "deployments",
    "endpointslices",
    "events",
    "ingresses",
    "jobs",
    "kmsg",
    "kubelet_configz",
    "kubelet_healthz",
    "kubelet_pods",
    "kubelet_summary",
    "leases",
    "limitranges",
    "node_events",
    "nodes",
    "pod_logs",
    "pods",
    "procfs",
    "pvcs",
    "replicasets",
    "resourcequotas",
    "services",
    "trace",
];

/// How far apart two witnesses of the same moment may be heard.
const CLOCK_ERROR: SignedDuration = SignedDuration::from_millis(250);

fn cases() -> Result<Vec<Case>> {
    let mut cases = Case::all()?;
    let all = cases.len();
    cases.retain(|case| !LATER.contains(&case.name.as_str()));
    ensure!(cases.len() + LATER.len() == all && cases.len() > 100, "{} of {all} cases are there", cases.len());
    Ok(cases)
}

/// Fails with all complaints at once.
fn none(complaints: Vec<String>) -> Result<()> {
    ensure!(complaints.is_empty(), "{} complaints\n{}", complaints.len(), complaints.join("\n"));
    Ok(())
}

#[test]
fn every_case_gets_its_true_cause_and_nobody_is_accused() -> Result<()> {
    let mut complaints = vec![];
    let mut extra = vec![];
    for case in cases()? {
        let diagnoses = case.diagnoses(case.observations()?);
        complaints.extend(case.missed(&diagnoses).into_iter().map(|truth| format!("{}: missed {truth}", case.name)));
        complaints.extend(case.accused(&diagnoses).into_iter().map(|d| format!("{}: accused {d}", case.name)));
        extra.extend(case.unaccounted(&diagnoses).into_iter().map(|d| format!("{}: extra {d}", case.name)));
    }
    if extra.len() > EXTRA {
        complaints.extend(extra);
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
    for case in cases()? {
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
    for case in cases()? {
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

/// The observations as they come when every witness is heard late by up to the clock error, each time differently. Of an
/// object of the API, a watch never tells an older state after a newer one.
fn shake(mut observations: Vec<Observation>, seed: u64) -> Vec<Observation> {
    // xorshift64: the same seed, the same shaking.
    let mut newest = BTreeMap::new();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for observation in &mut observations {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let late = CLOCK_ERROR * i32::try_from(state % 1000).unwrap_or(0) / 1000;
        observation.seen_at += late;
        let source = observation.fact.source();
        if matches!(source, Source::Api(_) | Source::Kubelet) {
            let last = newest.entry(source).or_insert(observation.seen_at);
            observation.seen_at = observation.seen_at.max(*last);
            *last = observation.seen_at;
        }
    }
    observations.sort_by_key(|observation| observation.seen_at);
    observations
}
