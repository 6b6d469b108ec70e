//! What the exporter writes as OCSF, against the schema of OCSF: everything that the recorded cases lead to, and every
//! cause.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::outbox_record::Record;
use coroner_proto::v1::{Cause, Confidence, Diagnosis, Gap, GapReason, Severity, SubjectKind};
use coroner_tests::case::Case;
use coroner_tests::until;
use serde_json::json;

use crate::aggregator::{Aggregator, NODE, diagnosis, json_lines};
use crate::python;

/// Every revision of what the recorded cases lead to, but for what only the watch of the cluster may report; as of the
/// node that reports it.
fn recorded() -> Result<Vec<Diagnosis>> {
    let mut all = Vec::new();
    for case in Case::all()? {
        all.extend(case.diagnoses(case.observations()?));
    }
    all.retain_mut(|diagnosis| {
        let Some(subject) = &mut diagnosis.subject else { return true };
        match subject.kind() {
            SubjectKind::Workload | SubjectKind::Service | SubjectKind::Ingress => return false,
            SubjectKind::Node => NODE.clone_into(&mut subject.name),
            _ => {}
        }
        NODE.clone_into(&mut subject.node);
        diagnosis.node.get_or_insert_default().name = NODE.to_owned();
        true
    });
    // The cases of one node share the uids of its states.
    let mut known = BTreeSet::new();
    all.retain(|diagnosis| known.insert((diagnosis.uid.clone(), diagnosis.revision)));
    Ok(all)
}

/// One of each cause, of every severity and confidence in turn.
fn of_each_cause() -> impl Iterator<Item = Diagnosis> {
    let causes = (1..256).filter_map(|number| Cause::try_from(number).ok());
    causes.zip(1..).map(|(cause, n)| {
        let mut made = diagnosis(n);
        made.cause = cause.into();
        made.severity =
            [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical][cause as usize % 4].into();
        made.confidence = [Confidence::Possible, Confidence::Likely, Confidence::Certain][cause as usize % 3].into();
        made
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_of_ocsf_is_valid_by_its_schema() -> Result<()> {
    let mut aggregator = Aggregator::start(&["file://{}/ocsf.jsonl?format=ocsf".to_owned()]).await?;
    let gaps = (0..8).filter_map(|n| GapReason::try_from(n).ok()).map(|reason| {
        Record::Gap(Gap { node: NODE.into(), source: "outbox".into(), reason: reason.into(), ..Gap::default() })
    });
    let records: Vec<Record> =
        recorded()?.into_iter().chain(of_each_cause()).map(Record::Diagnosis).chain(gaps).collect();
    let count = records.len();
    aggregator.push_records(records).await?;
    let file = aggregator.directory().join("ocsf.jsonl");
    let written = until("all of it is written", async || {
        let lines = json_lines(&file)?;
        Ok((lines.len() >= count).then_some(lines))
    });
    let written = written.await.with_context(|| aggregator.log().unwrap_or_default())?;
    let causes: BTreeSet<&str> = written.iter().filter_map(|line| line["finding_info"]["types"][0].as_str()).collect();
    ensure!(causes.len() == of_each_cause().count(), "{causes:?}");

    let path = file.to_str().context("a path")?;
    let output = python::run("ocsf.py", &[path])?;
    ensure!(String::from_utf8(output.stdout)?.trim() == format!("{count} are valid"));

    // The schema would have refused it.
    let wrong =
        [("severity_id", json!(42)), ("class_uid", json!("2004")), ("mood", json!("good")), ("time", json!(null))];
    for (field, value) in wrong {
        let mut record = written[0].clone();
        record[field] = value;
        let file = aggregator.directory().join("wrong.jsonl");
        fs::write(&file, format!("{record}\n"))?;
        let refused = python::run("ocsf.py", &[file.to_str().context("a path")?]);
        ensure!(refused.as_ref().is_err_and(|error| error.to_string().contains(field)), "{field}: {refused:?}");
    }
    Ok(())
}
