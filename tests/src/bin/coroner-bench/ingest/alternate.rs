//! Another build of the aggregator beside this one, in turns on the same machine: what a change costs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::load::{self, Load};
use super::{AGENTS, Aggregator, READERS, readers};
use crate::table;

/// Odd, so that a median was measured.
const ROUNDS: usize = 7;
/// Pushes of one diagnosis each, one after the other, in each round.
const PUSHES: u64 = 1_000;

pub(super) async fn measure(other: &Path, records: u64) -> Result<String> {
    let mut text = String::new();
    for agents in AGENTS {
        let load = Load::new(agents, records);
        let rates = in_turns(other, async |aggregator| Ok(load.push(aggregator).await?.acknowledged)).await?;
        text += &beside(&format!("acknowledged, {}", load.describe("agents")), &rates);
    }
    for count in READERS {
        let read = async |aggregator: &Aggregator| {
            Load::new(1, records / 10).push(aggregator).await?;
            Ok(readers::measure(aggregator, count, records / 10).await?.diagnoses)
        };
        text += &beside(&format!("read by {count}"), &in_turns(other, read).await?);
    }
    let [before, now] = in_turns(other, one_by_one).await?;
    let spans = [("the other build", before.concat(), 0), ("this build", now.concat(), 0)];
    text += &table::spans("from a push of one diagnosis to its acknowledgement, in the same turns", &spans);
    Ok(text)
}

/// The rates of the other build, and those of this one, each in ascending order.
fn beside(what: &str, rates: &[Vec<f64>; 2]) -> String {
    let row = |name: &str, rates: &[f64]| {
        let (least, median, most) = (rates[0], rates[ROUNDS / 2], rates[ROUNDS - 1]);
        (format!("{name}, {least:.0} to {most:.0}"), Ok(median))
    };
    let rows = [row("the other build", &rates[0]), row("this build", &rates[1])];
    table::rates(&format!("{what}: median of {ROUNDS} rounds in turns"), "diagnoses/s", &rows) + "\n"
}

/// What `measured` gives for either build, in ascending order. Each round begins with the other one.
async fn in_turns<T: PartialOrd>(
    other: &Path,
    measured: impl AsyncFn(&Aggregator) -> Result<T>,
) -> Result<[Vec<T>; 2]> {
    let mut results = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for build in [round % 2, 1 - round % 2] {
            let aggregator =
                if build == 0 { Aggregator::start_build(other).await? } else { Aggregator::start().await? };
            results[build].push(measured(&aggregator).await?);
        }
    }
    for of_build in &mut results {
        of_build.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    }
    Ok(results)
}

async fn one_by_one(aggregator: &Aggregator) -> Result<Vec<Duration>> {
    let mut client = aggregator.ingest().await?;
    let mut spans = Vec::new();
    for n in 0..PUSHES {
        let push = load::push(0, 0, n..n + 1);
        let pushed = Instant::now();
        load::deliver(&mut client, push).await?;
        spans.push(pushed.elapsed());
    }
    Ok(spans)
}
