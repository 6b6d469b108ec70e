//! The OTLP exporter against grpcio as an independent receiver that gives every possible answer: the reaction that
//! docs/exporters.md documents for each is what happens to the records.

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::ExporterState;
use coroner_tests::until;
use serde_json::Value;

use crate::aggregator::{Aggregator, diagnoses, large, uid};
use crate::receiver::{Receiver, name, strings, summaries};

/// The documented reaction to an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reaction {
    /// Moves on.
    Takes,
    /// Tries the whole batch again, so many times, not before so many seconds.
    Retries(u64, f64),
    /// Cuts the batch until it fits.
    Cuts,
    /// Cuts the batch until the refused record stands alone, and tries that again, so many times.
    CutsAndRetries(u64),
    /// Cuts the batch until the refused record stands alone, and buries that.
    Buries,
    /// Buries the whole batch, without ever sending it again.
    BuriesAll,
    /// Holds until an operator has acted.
    Holds,
}
use Reaction::*;

/// What the receiver does, and what is done about it. An exporter's name is its script's, in letters.
const CASES: &[(&str, Reaction)] = &[
    ("take", Takes),
    ("first UNAVAILABLE", Retries(1, 0.5)),
    ("first DEADLINE_EXCEEDED", Retries(1, 0.5)),
    ("first ABORTED", Retries(1, 0.5)),
    ("first CANCELLED", Retries(1, 0.5)),
    ("first INTERNAL", Retries(1, 0.5)),
    ("first UNKNOWN", Retries(1, 0.5)),
    ("first UNAVAILABLE 3", Retries(1, 3.0)),
    ("first RESOURCE_EXHAUSTED 3", Retries(1, 3.0)),
    ("poison INVALID_ARGUMENT", Buries),
    ("poison OUT_OF_RANGE", Buries),
    ("poison DATA_LOSS", Buries),
    ("most 3 INVALID_ARGUMENT", Cuts),
    ("most 3 OUT_OF_RANGE", Cuts),
    ("most 3 RESOURCE_EXHAUSTED", Cuts),
    ("quota RESOURCE_EXHAUSTED", CutsAndRetries(2)),
    ("first UNAUTHENTICATED", Holds),
    ("first PERMISSION_DENIED", Holds),
    ("first UNIMPLEMENTED", Holds),
    ("first NOT_FOUND", Holds),
    ("first FAILED_PRECONDITION", Holds),
    ("first ALREADY_EXISTS", Holds),
    ("partial 2", BuriesAll),
    ("warning", Takes),
];

const POISON: u64 = 5;
/// Records of the first batch, and of all.
const FIRST: u64 = 9;
const ALL: u64 = 18;

impl Reaction {
    /// What of the first batch the receiver has in the end.
    fn delivered(self) -> Vec<u64> {
        (1..=FIRST).filter(|n| *n != POISON || self != Buries).collect()
    }

    /// The state of its exporter then: records sent, attempts that were followed by another, and dead letters.
    fn status(self) -> (ExporterState, [u64; 3]) {
        match self {
            Takes | Cuts => (ExporterState::Delivering, [FIRST, 0, 0]),
            Retries(times, _) | CutsAndRetries(times) => (ExporterState::Delivering, [FIRST, times, 0]),
            Buries => (ExporterState::Delivering, [FIRST - 1, 0, 1]),
            BuriesAll => (ExporterState::Delivering, [FIRST - 2, 0, FIRST]),
            Holds => (ExporterState::Holding, [0, 1, 0]),
        }
    }

    /// The records that are kept as dead letters, and why.
    fn buried(self) -> (Vec<u64>, &'static str) {
        match self {
            Buries => (vec![POISON], "not this"),
            BuriesAll => ((1..=FIRST).collect(), "the receiver rejected 2 of 9 records: too old"),
            _ => (vec![], ""),
        }
    }
}

/// Waits until an exporter has handled all but so many records, and checks the state that it reports.
async fn ensure_state(
    aggregator: &Aggregator,
    script: &str,
    lag: u64,
    wanted: (ExporterState, [u64; 3]),
) -> Result<()> {
    let is_it = async || {
        let status = aggregator.exporter(&name(script), lag).await?;
        let counts = (status.state(), [status.sent_count, status.retry_count, status.dead_letter_count]);
        // An exporter that holds has as much before it as one that has not begun.
        Ok((status.state() != ExporterState::Unspecified).then_some(counts))
    };
    let counts = until(&format!("{script} leads to {wanted:?}"), is_it).await?;
    ensure!(counts == wanted, "{script} led to {counts:?}, not {wanted:?}\n{}", aggregator.log()?);
    Ok(())
}

/// The calls of the first batch are as the reaction requires.
fn check_calls(script: &str, reaction: Reaction, calls: &[Value]) -> Result<()> {
    let context = || format!("{script}: {calls:#?}");
    let bodies: Vec<Vec<String>> = calls.iter().map(|call| strings(&call["bodies"])).collect();
    let all = summaries(1..=FIRST);
    ensure!(bodies[0] == all, "{}", context());
    match reaction {
        Takes | BuriesAll | Holds => ensure!(bodies.len() == 1, "{}", context()),
        Retries(times, seconds) => {
            ensure!(bodies.len() as u64 == 1 + times && bodies.iter().all(|bodies| *bodies == all), "{}", context());
            let at = |n: usize| calls[n]["at"].as_f64().context("a time");
            ensure!(at(1)? - at(0)? >= seconds, "{}", context());
        }
        Cuts => ensure!(bodies.iter().skip(1).any(|bodies| bodies.len() == 2), "{}", context()),
        Buries | CutsAndRetries(_) => ensure!(bodies.contains(&summaries([POISON])), "{}", context()),
    }
    for call in calls {
        let numbers = strings(&call["bodies"]);
        for ((body, uid_and_revision), pod) in numbers.iter().zip(strings(&call["uids"])).zip(strings(&call["pods"])) {
            let n: u64 = body.rsplit_once(' ').context("number N")?.1.parse()?;
            ensure!(uid_and_revision == format!("{}:1", uid(n)) && pod == format!("web-{n}"), "{}", context());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_a_receiver_leads_to_the_documented_reaction() -> Result<()> {
    let mut receiver = Receiver::start(None).await?;
    let exports: Vec<String> = CASES.iter().map(|(script, _)| receiver.export(script)).collect::<Result<_>>()?;
    let mut aggregator = Aggregator::start(&exports).await?;
    aggregator.push(diagnoses(1..=FIRST)).await?;

    // All but those that hold get through with it.
    for (script, reaction) in CASES {
        let lag = if *reaction == Holds { FIRST } else { 0 };
        ensure_state(&aggregator, script, lag, reaction.status()).await?;
        if *reaction != Holds {
            ensure!(
                receiver.taken(script)? == summaries(reaction.delivered()),
                "{script}: {:#?}",
                receiver.calls(script)?
            );
        }
        check_calls(script, *reaction, &receiver.calls(script)?)?;
        let (buried, why) = reaction.buried();
        let letters = aggregator.dead_letters(&name(script))?;
        let summaries_of = letters.iter().map(|letter| letter["record"]["diagnosis"]["summary"].clone());
        ensure!(summaries_of.eq(summaries(buried).into_iter().map(Value::String)), "{script}: {letters:#?}");
        let reasons = letters.iter().all(|letter| letter["reason"].as_str().is_some_and(|text| text.contains(why)));
        ensure!(reasons, "{script}: {letters:#?}");
    }
    aggregator.stop().await?;

    // Exporters that held have lost nothing: now that the operator has acted, all of it arrives. And a receiver that
    // dies delays no other for longer than it is down.
    aggregator.rise().await?;
    for (script, _) in CASES.iter().filter(|(_, reaction)| *reaction == Holds) {
        let arrived = until(script, async || Ok((receiver.taken(script)? == summaries(1..=FIRST)).then_some(())));
        arrived.await.with_context(|| aggregator.log().unwrap_or_default())?;
    }
    receiver.kill()?;
    aggregator.push(diagnoses(FIRST + 1..=ALL)).await?;
    receiver.rise().await?;
    for (script, reaction) in CASES {
        let wanted = summaries(reaction.delivered().into_iter().chain(FIRST + 1..=ALL));
        let arrived = until(script, async || Ok((receiver.taken(script)?.len() >= wanted.len()).then_some(())));
        arrived.await.with_context(|| aggregator.log().unwrap_or_default())?;
        ensure!(receiver.taken(script)? == wanted, "{script}: {:#?}", receiver.calls(script)?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_grpcio_finds_too_large_is_cut_until_it_fits() -> Result<()> {
    let receiver = Receiver::start(Some("8192")).await?;
    let mut aggregator = Aggregator::start(&[receiver.export("take")?]).await?;
    // Three of them are too many.
    aggregator.push((1..=40).map(large)).await?;
    let arrived = until("all of it arrives", async || Ok((receiver.taken("take")?.len() >= 40).then_some(())));
    arrived.await.with_context(|| aggregator.log().unwrap_or_default())?;
    ensure!(receiver.taken("take")? == summaries(1..=40), "{:#?}", receiver.calls("take")?);
    ensure_state(&aggregator, "take", 0, (ExporterState::Delivering, [40, 0, 0])).await?;
    let calls = receiver.calls("take")?;
    ensure!(calls.iter().all(|call| strings(&call["bodies"]).len() <= 3), "{calls:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_rejects_some_of_every_batch_gets_the_next_at_once() -> Result<()> {
    let receiver = Receiver::start(None).await?;
    let mut aggregator = Aggregator::start(&[receiver.export("each 1")?]).await?;
    // More in a row than a receiver may refuse that takes nothing.
    let batches = 20;
    for last in (1..=batches).map(|batch| 2 * batch) {
        aggregator.push(diagnoses(last - 1..=last)).await?;
        ensure_state(&aggregator, "each 1", 0, (ExporterState::Delivering, [last / 2, 0, last])).await?;
    }
    ensure!(receiver.taken("each 1")? == summaries(1..=2 * batches));
    Ok(())
}
