//! The OTLP exporter against a receiver of another making, grpcio's, that gives every answer there is: what docs/exporters.md says
//! of each is what becomes of the records.

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::ExporterState;
use coroner_tests::until;
use serde_json::Value;

use crate::aggregator::{Aggregator, diagnoses, large, uid};
use crate::receiver::{Receiver, name, summaries, words};

/// What the page says is done about an answer.
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

    /// How its exporter fares then: what it tells of records sent, attempts that were followed by another, and dead letters.
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
            BuriesAll => ((1..=FIRST).collect(), "2 of 9 were rejected: too old"),
            _ => (vec![], ""),
        }
    }
}

/// Waits until an exporter has handled all but so many records, and checks how it says it fares.
async fn ensure_told(aggregator: &Aggregator, script: &str, lag: u64, wanted: (ExporterState, [u64; 3])) -> Result<()> {
    let is_it = async || {
        let told = aggregator.exporter(&name(script), lag).await?;
        let fares = (told.state(), [told.sent_count, told.retry_count, told.dead_letter_count]);
        // An exporter that holds has as much before it as one that has not begun.
        Ok((told.state() != ExporterState::Unspecified).then_some(fares))
    };
    let fares = until(&format!("{script} leads to {wanted:?}"), is_it).await?;
    ensure!(fares == wanted, "{script} led to {fares:?}, not {wanted:?}\n{}", aggregator.log()?);
    Ok(())
}

/// The calls of the first batch are as the reaction says.
fn check_calls(script: &str, reaction: Reaction, calls: &[Value]) -> Result<()> {
    let told = || format!("{script}: {calls:#?}");
    let bodies: Vec<Vec<String>> = calls.iter().map(|call| words(&call["bodies"])).collect();
    let all = summaries(1..=FIRST);
    ensure!(bodies[0] == all, "{}", told());
    match reaction {
        Takes | BuriesAll | Holds => ensure!(bodies.len() == 1, "{}", told()),
        Retries(times, seconds) => {
            ensure!(bodies.len() as u64 == 1 + times && bodies.iter().all(|bodies| *bodies == all), "{}", told());
            let at = |n: usize| calls[n]["at"].as_f64().context("a time");
            ensure!(at(1)? - at(0)? >= seconds, "{}", told());
        }
        Cuts => ensure!(bodies.iter().skip(1).any(|bodies| bodies.len() == 2), "{}", told()),
        Buries | CutsAndRetries(_) => ensure!(bodies.contains(&summaries([POISON])), "{}", told()),
    }
    for call in calls {
        let numbers = words(&call["bodies"]);
        for ((body, uid_and_revision), pod) in numbers.iter().zip(words(&call["uids"])).zip(words(&call["pods"])) {
            let n: u64 = body.rsplit_once(' ').context("number N")?.1.parse()?;
            ensure!(uid_and_revision == format!("{}:1", uid(n)) && pod == format!("web-{n}"), "{}", told());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_a_receiver_leads_to_what_the_page_says() -> Result<()> {
    let mut receiver = Receiver::start(None).await?;
    let exports: Vec<String> = CASES.iter().map(|(script, _)| receiver.export(script)).collect::<Result<_>>()?;
    let mut aggregator = Aggregator::start(&exports).await?;
    aggregator.push(diagnoses(1..=FIRST)).await?;

    // All but those that hold get through with it.
    for (script, reaction) in CASES {
        let lag = if *reaction == Holds { FIRST } else { 0 };
        ensure_told(&aggregator, script, lag, reaction.status()).await?;
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

    // Whoever held has lost nothing: now that the operator has acted, all of it arrives. And a receiver that dies holds nobody up
    // for longer than it is away.
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
    ensure_told(&aggregator, "take", 0, (ExporterState::Delivering, [40, 0, 0])).await?;
    let calls = receiver.calls("take")?;
    ensure!(calls.iter().all(|call| words(&call["bodies"]).len() <= 3), "{calls:#?}");
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
        ensure_told(&aggregator, "each 1", 0, (ExporterState::Delivering, [last / 2, 0, last])).await?;
    }
    ensure!(receiver.taken("each 1")? == summaries(1..=2 * batches));
    Ok(())
}
