//! Nothing is lost, reordered or invented between an agent's outbox and a reader of the aggregator, though
//! every process on the way is killed with SIGKILL again and again, each time where chance has it. The exporter dies
//! with its aggregator.

mod flow;
mod journal;
mod nats;
mod victim;

use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coroner_tests::PATIENCE;

use crate::flow::{EXPORTED, READ};
use crate::journal::Journal;
use crate::victim::{Role, Victim};

const NODES: u16 = 4;
/// Between two deaths, at most.
const RESPITE: Duration = Duration::from_millis(200);

/// Names the seed of the chances, to have a run's deaths again.
const SEED: &str = "CORONER_TEST_SEED";
/// The role that a child of this program has to play until it is killed.
const ROLE: &str = "CORONER_TEST_LOSS_ROLE";

/// Not a test of its own: what the children of the others do.
#[test]
fn child_that_does_its_part_until_it_is_killed() -> Result<()> {
    std::env::var(ROLE).map_or(Ok(()), |role| flow::play(&role))
}

#[test]
fn a_hundred_thousand_diagnoses_all_arrive_in_order_though_everything_is_killed_hundreds_of_times() -> Result<()> {
    with_seed(|chance| {
        let directory = tempfile::tempdir().context("making a directory")?;
        flow_among_deaths(directory.path(), &[None], 25_000, 320, chance)
    })
}

/// Agents push to one of two aggregators each, the reader uses both in turn.
#[test]
fn aggregators_that_share_a_ledger_lose_nothing_either() -> Result<()> {
    with_seed(|chance| {
        let directory = tempfile::tempdir().context("making a directory")?;
        let server = nats::Server::start(directory.path())?;
        flow_among_deaths(directory.path(), &[Some(server.port); 2], 5_000, 100, chance)
    })
}

fn with_seed(test: impl FnOnce(Chance) -> Result<()>) -> Result<()> {
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().with_context(|| format!("{SEED} is a number"))?,
        Err(_) => std::hash::RandomState::new().build_hasher().finish(),
    };
    test(Chance(seed)).with_context(|| format!("{SEED}={seed}"))
}

/// Lets so many diagnoses flow from each node to aggregators, each with the port of its nats-server if it has one,
/// while there are so many deaths.
fn flow_among_deaths(
    directory: &Path,
    aggregators: &[Option<u16>],
    per_node: u64,
    deaths: u64,
    mut chance: Chance,
) -> Result<()> {
    let count = u16::try_from(aggregators.len()).context("so many aggregators")?;
    // So the flow outlasts the killing: an agent finds out no more than its share before it has died once more. A
    // quarter more lives than are to be expected: chance may choose it more often.
    let lives = deaths / u64::from(NODES + 1 + count) * 5 / 4;
    let per_life = per_node / lives;
    let agents = (1..=NODES).map(|node| Role::Agent { node, per_life, all: per_node, aggregator: node % count });
    let aggregators = (0..).zip(aggregators).map(|(number, nats)| Role::Aggregator { number, nats: *nats });
    let roles = aggregators.chain([Role::Reader { aggregators: count }]).chain(agents);
    let mut victims = roles.map(|role| Victim::start(role, directory)).collect::<Result<Vec<_>>>()?;
    let mut journals = [
        Journal::new(directory.join(EXPORTED), NODES, per_node, journal::of_exporter()?),
        Journal::new(directory.join(READ), NODES, per_node, Box::new(journal::of_reader)),
    ];
    let mut run = || -> Result<()> {
        for _ in 0..deaths {
            let next = Instant::now() + RESPITE.mul_f64(chance.fraction());
            while Instant::now() < next {
                check(&mut journals)?;
            }
            let doomed = chance.below(victims.len());
            victims[doomed].die_and_rise()?;
        }
        ensure!(!journals.iter().all(Journal::is_complete), "the flow has ended before the killing");
        for victim in &mut victims {
            victim.live_on()?;
        }
        let mut last_arrival = Instant::now();
        while !journals.iter().all(Journal::is_complete) {
            if check(&mut journals)? {
                last_arrival = Instant::now();
            }
            ensure!(last_arrival.elapsed() < PATIENCE, "nothing more arrives");
            victims.iter_mut().try_for_each(Victim::check)?;
        }
        victims.iter_mut().try_for_each(Victim::die)?;
        while check(&mut journals)? {}
        Ok(())
    };
    let done = run();
    let [exported, read] = &journals;
    println!("{deaths} deaths\nexporter: {exported}\nreader: {read}");
    done.with_context(|| victims.iter().map(Victim::last_lines).collect::<String>())
}

/// Looks at some of what has newly arrived; whether there was anything. Rests a moment if not.
fn check(journals: &mut [Journal]) -> Result<bool> {
    let mut any = false;
    for journal in journals {
        any |= journal.advance()?;
    }
    if !any {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(any)
}

/// Numbers that look random and are the same again from the same seed: SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or_default()
    }
}
