//! Cases of others: rebuilt from public reports, single messages of many versions and runtimes, and cases
//! of causes without a recording, rebuilt from documented texts.

use anyhow::{Result, ensure};
use coroner_proto::v1::Diagnosis;
use coroner_tests::case::Case;

#[test]
fn every_case_gets_its_true_cause_and_nothing_else() -> Result<()> {
    let mut complaints = vec![];
    let cases = Case::rebuilt()?;
    ensure!(cases.len() == 740, "{} cases", cases.len());
    for case in cases {
        let diagnoses = case.diagnoses(case.observations()?);
        let missed = case.missed(&diagnoses).into_iter().map(|truth| format!("missed {truth}"));
        let accused = case.accused(&diagnoses).into_iter().map(|d| format!("accused {d}"));
        let extra = case.unaccounted(&diagnoses).into_iter().map(|d| format!("extra {d}"));
        let wrong: Vec<_> = missed.chain(accused).chain(extra).collect();
        if !wrong.is_empty() {
            complaints.push(format!("{}: {}", case.name, wrong.join("; ")));
        }
    }
    ensure!(complaints.is_empty(), "{} complaints\n{}", complaints.len(), complaints.join("\n"));
    Ok(())
}

/// Names that hold what rules look for, as far as names may be chosen.
const NAMES: &[&str] = &[
    "not-found",
    "secret-not-found",
    "configmap-x-not-found",
    "denied",
    "unauthorized",
    "no-such-host",
    "x509",
    "tls",
    "eof",
    "dial-tcp",
    "429",
    "manifest-unknown",
    "no-space-left-on-device",
    "exec-format-error",
    "permission-denied",
    "oom-killed",
    "unschedulable",
    "insufficient-cpu",
    "untolerated-taint",
    "node-affinity",
    "persistentvolumeclaim",
    "exceeded-quota",
    "forbidden",
    "failed-calling-webhook",
    "etcdserver",
    "failed-to-setup-network",
    "low-on-resource-memory",
    "failed-liveness-probe",
    "timed-out-waiting",
];

#[test]
fn the_names_of_objects_decide_nothing() -> Result<()> {
    let mut complaints = vec![];
    for case in Case::rebuilt()? {
        let before = essence(&case.diagnoses(case.observations()?));
        for name in NAMES {
            let (image, volume) = (format!("{name}/{name}"), format!("{name}-1"));
            let names = [("web-0", *name), ("ns1", name), ("team/app", &image), ("pvc-1", &volume), ("web-tls", name)];
            let after = essence(&case.diagnoses_renamed(&names)?);
            if before != after {
                complaints.push(format!("{} with {name}: {before:?} became {after:?}", case.name));
            }
        }
    }
    ensure!(complaints.is_empty(), "{} complaints\n{}", complaints.len(), complaints.join("\n"));
    Ok(())
}

/// What must not change.
fn essence(diagnoses: &[Diagnosis]) -> Vec<(&'static str, &'static str, bool)> {
    let mut essence: Vec<_> =
        diagnoses.iter().map(|d| (d.cause().as_str_name(), d.confidence().as_str_name(), d.fatal)).collect();
    essence.sort_unstable();
    essence
}
