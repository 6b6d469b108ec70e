//! How long `coroner why POD` and a browser have to wait for the aggregator when there is much in its ledger.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::{DiagnosisFilter, ListDiagnosesRequest};

use super::Aggregator;
use super::{load, page};
use crate::{process, table};

const QUESTIONS: u64 = 1_000;
/// The small ledger beside it.
const PART: u64 = 100;
/// More than one pod has.
const PAGE: i32 = 50;

pub(super) async fn measure(stored: u64) -> Result<String> {
    let small = (stored / PART).max(1);
    let few = ask(small).await?;
    let many = ask(stored).await?;
    let names = [small, stored].map(|count| format!("{count} diagnoses stored"));
    let by_name = [(names[0].as_str(), few.by_name, 0), (&names[1], many.by_name, 0)];
    let by_name = table::spans("the diagnoses of one pod, by name", &by_name);
    let views = [(&names[0], few.views), (&names[1], many.views)];
    let views = views.map(|(of, views)| views.map(|(view, spans)| (format!("{view}; {of}"), spans)));
    let views: Vec<_> = views.as_flattened().iter().map(|(name, spans)| (name.as_str(), spans.clone(), 0)).collect();
    let views = table::spans("a view of the page, without the network", &views);
    let memory = table::values(&names[1], &[("aggregator's memory after it, most ever", many.memory)]);
    Ok(format!("{by_name}\n{views}\n{memory}"))
}

/// What each question took, and the memory that the aggregator uses then.
struct Answers {
    by_name: Vec<Duration>,
    views: [(&'static str, Vec<Duration>); 4],
    memory: String,
}

async fn ask(stored: u64) -> Result<Answers> {
    let aggregator = Aggregator::start().await?;
    // In parts: pushes are prepared before, and all of them at once do not fit into memory.
    load::fill(&aggregator, stored).await?;
    let mut client = aggregator.feed().await?;
    let mut by_name = Vec::new();
    for question in 0..QUESTIONS {
        let pod = load::scatter(question) % load::pods(stored);
        let filter = DiagnosisFilter { names: vec![load::pod(pod)], ..Default::default() };
        let request = ListDiagnosesRequest { filter: Some(filter), page_size: PAGE, ..Default::default() };
        let asked = Instant::now();
        let page = client.list_diagnoses(request).await.context("ListDiagnoses")?.into_inner();
        by_name.push(asked.elapsed());
        ensure!(!page.diagnoses.is_empty(), "nothing is known of {}", load::pod(pod));
    }
    let views = page::views(&aggregator).await.context("viewing the page")?;
    let (now, most) = process::memory(aggregator.pid())?;
    Ok(Answers { by_name, views, memory: format!("{}, {}", table::mebibytes(now), table::mebibytes(most)) })
}
