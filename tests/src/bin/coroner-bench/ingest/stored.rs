//! How long `coroner why POD` has to wait for the aggregator when there is much in its ledger.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::{DiagnosisFilter, ListDiagnosesRequest};

use super::Aggregator;
use super::load;
use crate::{process, table};

const QUESTIONS: u64 = 1_000;
/// The small ledger beside it.
const PART: u64 = 100;
/// More than one pod has.
const PAGE: i32 = 50;

pub(super) async fn measure(stored: u64) -> Result<String> {
    let small = (stored / PART).max(1);
    let (few, _) = ask(small).await?;
    let (many, memory) = ask(stored).await?;
    let names = [small, stored].map(|count| format!("{count} diagnoses stored"));
    let spans = table::spans("the diagnoses of one pod, by name", &[(&names[0], few, 0), (&names[1], many, 0)]);
    let memory = table::values(&names[1], &[("aggregator's memory after it, most ever", memory)]);
    Ok(format!("{spans}\n{memory}"))
}

/// What each question took, and what the aggregator holds then.
async fn ask(stored: u64) -> Result<(Vec<Duration>, String)> {
    let aggregator = Aggregator::start().await?;
    // In parts: pushes are prepared before, and all of them at once do not fit into memory.
    load::fill(&aggregator, stored).await?;
    let mut client = aggregator.feed().await?;
    let mut spans = Vec::new();
    for question in 0..QUESTIONS {
        let pod = load::scatter(question) % load::pods(stored);
        let filter = DiagnosisFilter { names: vec![load::pod(pod)], ..Default::default() };
        let request = ListDiagnosesRequest { filter: Some(filter), page_size: PAGE, ..Default::default() };
        let asked = Instant::now();
        let page = client.list_diagnoses(request).await.context("ListDiagnoses")?.into_inner();
        spans.push(asked.elapsed());
        ensure!(!page.diagnoses.is_empty(), "nothing is known of {}", load::pod(pod));
    }
    let (now, most) = process::memory(aggregator.pid())?;
    Ok((spans, format!("{}, {}", table::mebibytes(now), table::mebibytes(most))))
}
