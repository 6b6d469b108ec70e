//! Faults of a whole node, recorded on a second node and by the control plane beside it: which verdict they lead to,
//! and that neither the node nor a pod on it is accused of anything else, before, during or after.

use anyhow::{Result, ensure};
use coroner_proto::v1::{Cause, Confidence, SubjectKind};
use coroner_tests::case::Case;

#[test]
fn every_fault_of_a_node_gets_its_true_cause_and_nothing_is_accused() -> Result<()> {
    let mut complaints = Vec::new();
    let cases = Case::of_nodes()?;
    ensure!(cases.len() == 10, "{} cases", cases.len());
    for case in &cases {
        let diagnoses = case.diagnoses_of_nodes()?;
        complaints.extend(case.missed(&diagnoses).into_iter().map(|truth| format!("{}: missed {truth}", case.name)));
        complaints.extend(case.accused(&diagnoses).into_iter().map(|d| format!("{}: accused {d}", case.name)));
        complaints.extend(case.unaccounted(&diagnoses).into_iter().map(|d| format!("{}: {d}", case.name)));
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

#[test]
fn what_the_return_of_a_node_shows_is_in_the_last_revision() -> Result<()> {
    for (name, text) in [("node-netcut", "same boot ID"), ("node-poweroff", "another boot ID")] {
        let case = Case::of_nodes()?.into_iter().find(|case| case.name == name);
        let diagnoses = case.map(|case| case.diagnoses_of_nodes()).transpose()?.unwrap_or_default();
        let of_node = diagnoses.iter().find(|diagnosis| diagnosis.cause() == Cause::NodeUnreachable);
        let Some(diagnosis) = of_node else { anyhow::bail!("{name}: not reported") };
        let subject = diagnosis.subject.clone().unwrap_or_default();
        ensure!(subject.kind() == SubjectKind::Node && subject.name == "node2", "{subject:?}");
        ensure!(diagnosis.resolve_time.is_some(), "{name}: it is over: {diagnosis:?}");
        // It was not probed.
        ensure!(diagnosis.confidence() == Confidence::Likely, "{name}: {diagnosis:?}");
        ensure!(diagnosis.explanation.contains(text), "{name}: {}", diagnosis.explanation);
        let pods = diagnosis.related.iter().filter(|related| related.namespace == "v2-nodes");
        ensure!(pods.count() > 0, "{name} lists pods: {:?}", diagnosis.related);
    }
    Ok(())
}
