//! Outbox and ledger, step by step in any order: append, push, an answer that is lost, index, either end restarted, the
//! ledger lost or restored from a backup, with and without the agent noticing. In the end the ledger has all diagnoses,
//! each once, in order.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};

use coroner_agent::outbox::{Limit, Outbox, Record};
use coroner_agent::status::Board;
use coroner_aggregator::filter::Selection;
use coroner_aggregator::intake::{Origin, check};
use coroner_aggregator::ledger::{self, Body, Limits, Position, Push, Store};
use coroner_proto::v1::Diagnosis;
use coroner_tests::flow::{diagnosis, name, number_of};
use proptest::prelude::*;
use prost::Message;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

const NODE: u16 = 1;

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    /// As an uplink does it; the answer may be lost.
    Push {
        records: usize,
        is_answered: bool,
    },
    /// The ledger files so many records of what it has acknowledged, push by push.
    File(i64),
    RestartAgent,
    /// An agent whose connection comes back by itself does not notice.
    RestartAggregator,
    LoseLedger,
    Backup,
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..9_u64).prop_map(Step::Append),
        8 => (1..7_usize, any::<bool>()).prop_map(|(records, is_answered)| Step::Push { records, is_answered }),
        4 => (1..9_i64).prop_map(Step::File),
        1 => Just(Step::RestartAgent),
        1 => Just(Step::RestartAggregator),
        1 => Just(Step::LoseLedger),
        1 => Just(Step::Backup),
        1 => Just(Step::Restore),
    ]
}

struct Road {
    directory: TempDir,
    outbox: Option<Outbox>,
    store: Option<Store>,
    /// What the agent believes to be acknowledged of which stream.
    synchronized: Option<(String, i64)>,
    found_out: u64,
    now: i64,
}

impl Road {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut road = Self { directory, outbox: None, store: None, synchronized: None, found_out: 0, now: 0 };
        road.start_agent();
        road.start_aggregator();
        road
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start_agent(&mut self) {
        drop(self.outbox.take());
        self.synchronized = None;
        let opened = Outbox::open(&self.path("outbox.db"), 64 << 20, &name(NODE), Board::default());
        self.outbox = Some(opened.unwrap());
    }

    fn start_aggregator(&mut self) {
        drop(self.store.take());
        self.store = Some(Store::open(&self.path("ledger.db")).unwrap());
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Append(count) => {
                let numbers = self.found_out + 1..=self.found_out + count;
                let records = numbers.map(|number| Record::diagnosis(diagnosis(NODE, number))).collect();
                self.outbox.as_mut().unwrap().append(records);
                self.found_out += count;
            }
            Step::Push { records, is_answered } => {
                self.push(*records, *is_answered);
            }
            Step::File(records) => self.store.as_mut().unwrap().file(*records, || false).unwrap(),
            Step::RestartAgent => self.start_agent(),
            Step::RestartAggregator => self.start_aggregator(),
            Step::LoseLedger => {
                drop(self.store.take());
                std::fs::remove_file(self.path("ledger.db")).unwrap();
                self.start_aggregator();
            }
            Step::Backup => {
                ledger::backup(&self.path("ledger.db"), &self.path("backup.db"), true).unwrap();
            }
            Step::Restore if self.path("backup.db").exists() => {
                drop(self.store.take());
                ledger::restore(&self.path("backup.db"), &self.path("ledger.db")).unwrap();
                self.start_aggregator();
            }
            Step::Restore => {}
        }
    }

    /// One call of the uplink; whether there was nothing to be done.
    fn push(&mut self, records: usize, is_answered: bool) -> bool {
        self.now += 1;
        let (outbox, store) = (self.outbox.as_mut().unwrap(), self.store.as_mut().unwrap());
        let batch = outbox.batch(Limit { records, bytes: usize::MAX });
        let mut push = Push { node: name(NODE), stream_id: batch.stream_id.clone(), ..Push::default() };
        let known = self.synchronized.as_ref().filter(|(stream, _)| *stream == batch.stream_id);
        let Some((_, after)) = known else {
            let acknowledged = store.receive(vec![push], self.now).unwrap()[0];
            if is_answered {
                outbox.synchronize(&batch.stream_id, acknowledged.unsigned_abs());
                self.synchronized = Some((batch.stream_id, acknowledged));
            }
            return false;
        };
        let Some(last) = batch.records.last().map(|record| record.sequence) else { return true };
        push.after = *after;
        push.acknowledge = i64::try_from(last).unwrap();
        let node = name(NODE);
        let entry = |record| check::entry(record, Origin::Node(&node), i64::MAX).unwrap();
        push.entries = batch.records.into_iter().map(entry).collect();
        let acknowledged = store.receive(vec![push], self.now).unwrap()[0];
        if acknowledged < *after || !is_answered {
            self.synchronized = None;
        } else {
            outbox.acknowledge(&batch.stream_id, acknowledged.unsigned_abs().min(last));
            self.synchronized = Some((batch.stream_id, acknowledged));
        }
        false
    }

    /// The numbers that the ledger holds, in its order.
    fn stored(&self) -> Vec<u64> {
        stored(&self.path("ledger.db"))
    }
}

fn stored(ledger: &Path) -> Vec<u64> {
    let connection = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let limits = Limits { scan: usize::MAX, records: usize::MAX, bytes: usize::MAX };
    let chunk = ledger::read(&connection, Position::default(), None, &Selection::default(), limits).unwrap();
    assert_eq!(chunk.lost, None);
    let number = |item: ledger::Item| match item.body {
        Body::Diagnosis(body) => {
            let reported = Diagnosis::decode(&*body).unwrap();
            let (node, number) = number_of(&reported.uid).unwrap();
            assert_eq!(reported, diagnosis(node, number), "not as it was found out");
            number
        }
        Body::Gap(gap) => panic!("nothing was lost: {gap:?}"),
    };
    chunk.items.into_iter().map(number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_on_the_way_all_arrives_once_and_in_order(steps in prop::collection::vec(step(), 1..40)) {
        let mut road = Road::new();
        for step in &steps {
            road.take(step);
            let stored = road.stored();
            let expected: Vec<_> = (1..=stored.len() as u64).collect();
            prop_assert_eq!(stored, expected, "a hole, or another order, behind {:?}", step);
        }
        // The heartbeat queries again how far the aggregator is, so also what was lost behind the last push is noticed.
        road.synchronized = None;
        while !road.push(7, true) {}
        road.take(&Step::File(i64::MAX));
        prop_assert_eq!(road.stored(), (1..=road.found_out).collect::<Vec<_>>());
    }
}
