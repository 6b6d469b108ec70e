//! Recorded cases, replayed: the verdicts, and that neither the order of sources, nor their repetition, nor the absence
//! of one ever turns a right verdict into a wrong one.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use coroner_diagnosis::{
    observation::{Observation, Source},
    recording::row,
};
use coroner_proto::v1::{Cause, Confidence, Diagnosis};
use coroner_tests::case::Case;
use jiff::SignedDuration;

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

/// What redaction leaves in the place of a secret.
const MARK: &str = "[redacted:";

/// How far apart two reports of the same moment may be observed.
const CLOCK_ERROR: SignedDuration = SignedDuration::from_millis(250);

fn cases() -> Result<Vec<Case>> {
    let cases = Case::all()?;
    ensure!(cases.len() > 100, "only {} cases are there", cases.len());
    Ok(cases)
}

/// Fails with all complaints at once.
fn none(complaints: Vec<String>) -> Result<()> {
    ensure!(complaints.is_empty(), "{} complaints\n{}", complaints.len(), complaints.join("\n"));
    Ok(())
}

#[test]
fn every_case_gets_its_true_cause_and_no_false_one() -> Result<()> {
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
fn no_case_gets_a_wrong_verdict_with_or_without_any_one_source() -> Result<()> {
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

/// `coroner record` writes what sources observe, without secrets.
#[test]
fn what_is_recorded_of_a_case_leads_to_the_same_diagnoses() -> Result<()> {
    let mut complaints = vec![];
    for case in Case::all()?.into_iter().chain(Case::rebuilt()?) {
        let observed = case.observations()?;
        let rows = observed.iter().map(|observation| row(observation).context("a time out of range"));
        let rows = rows.collect::<Result<Vec<_>>>()?.join("\n");
        let replayed = case.recording.observations([("observed.ndjson", &rows)])?;
        let different = observed.iter().zip(&replayed).find(|(before, after)| before != after && !rows.contains(MARK));
        complaints.extend(different.map(|(before, after)| format!("{}: {before:?} became {after:?}", case.name)));
        let (before, after) = (case.diagnoses(observed), case.diagnoses(replayed));
        let differs = |(before, after): &(&Diagnosis, &Diagnosis)| essence(before) != essence(after);
        let changed = before.iter().zip(&after).filter(differs);
        complaints.extend(changed.map(|(b, a)| format!("{}: {:?} became {:?}", case.name, essence(b), essence(a))));
        ensure!(before.len() == after.len(), "{}: {} diagnoses became {}", case.name, before.len(), after.len());
    }
    none(complaints)
}

#[test]
fn duplicated_observations_change_nothing() -> Result<()> {
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
fn the_order_of_sources_within_the_clock_error_never_makes_a_right_verdict_wrong() -> Result<()> {
    let mut complaints = vec![];
    for case in cases()? {
        let straight = case.diagnoses(case.observations()?);
        for seed in 1..=6 {
            let shaken = case.diagnoses(shake(case.observations()?, seed));
            let wrong = case.wrong(&shaken).into_iter().chain(case.accused(&shaken));
            complaints.extend(wrong.map(|d| format!("{}, shaken by {seed}: wrong {d}", case.name)));
            for diagnosis in &straight {
                let found = shaken.iter().find(|other| other.uid == diagnosis.uid);
                if !found.is_some_and(|found| same_or_less_certain(diagnosis, found)) {
                    let found = found.map(essence);
                    complaints.push(format!(
                        "{}, shaken by {seed}: {:?} became {found:?}",
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

/// The observations as they come when every source is late by up to the clock error, each time differently. Of an
/// object of the API, a watch never reports an older state after a newer one.
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
