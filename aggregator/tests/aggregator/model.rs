//! The ledger against a model of it: whatever is appended, again appended, and expired, readers see what the model
//! predicts.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    time::Duration,
};

use coroner_aggregator::{
    filter::{Filter, Selection},
    key::Key,
    ledger::{self, Body, Entry, Identity, Limits, Position, Push, Query, Retention, Store, Waiting},
    time::timestamp,
};
use coroner_proto::v1::{Diagnosis, Gap, Subject};
use proptest::prelude::*;
use prost::Message;
use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

#[derive(Clone, Debug)]
enum Step {
    /// Records of one of two outboxes; some are the same as before.
    Push {
        stream: u8,
        after: i64,
        records: Vec<(i64, Made)>,
    },
    /// The same, but to be filed later.
    Receive {
        stream: u8,
        after: i64,
        records: Vec<(i64, Made)>,
    },
    /// File so many records of what waits, if they end a push.
    File(i64),
    /// Expire what is older than so many steps, at most so many records.
    Expire {
        age: u64,
        limit: u32,
    },
    Reopen,
}

#[derive(Clone, Copy, Debug)]
enum Made {
    Diagnosis { uid: u8, revision: u32, event_time: i64, namespace: u8 },
    Gap,
}

/// A record as the model keeps it.
#[derive(Clone, Debug)]
struct Record {
    offset: i64,
    time: i64,
    stream: u64,
    sequence: i64,
    identity: Option<Identity>,
    key: Key,
    body: Vec<u8>,
}

fn step() -> impl Strategy<Value = Step> {
    let made = prop_oneof![
        4 => (0..6_u8, 1..4_u32, 0..5_i64, 0..3_u8)
            .prop_map(|(uid, revision, event_time, namespace)| Made::Diagnosis { uid, revision, event_time, namespace }),
        1 => Just(Made::Gap),
    ];
    let records = prop::collection::vec((1..20_i64, made), 0..6);
    let push = (0..2_u8, prop_oneof![3 => Just(0), 1 => 1..20_i64], records);
    prop_oneof![
        4 => push.clone().prop_map(|(stream, after, records)| Step::Push { stream, after, records }),
        4 => push.prop_map(|(stream, after, records)| Step::Receive { stream, after, records }),
        2 => (1..9_i64).prop_map(Step::File),
        2 => (0..6_u64, 1..8_u32).prop_map(|(age, limit)| Step::Expire { age, limit }),
        1 => Just(Step::Reopen),
    ]
}

fn entry((sequence, made): (i64, Made), now: i64, serial: usize) -> Entry {
    let text = format!("{now} {serial}");
    match made {
        Made::Gap => Entry { sequence, identity: None, body: Gap { text, ..Gap::default() }.encode_to_vec() },
        Made::Diagnosis { uid, revision, event_time, namespace } => {
            let name = format!("pod-{}", uid % 3);
            let diagnosis = Diagnosis {
                subject: Some(Subject { namespace: namespace.to_string(), name, ..Subject::default() }),
                event_time: Some(timestamp(event_time)),
                fatal: uid % 2 == 0,
                severity: i32::from(uid),
                cause: i32::from(uid % 3),
                summary: text,
                ..Diagnosis::default()
            };
            let identity = Some(Identity { uid: Uuid::from_u128(uid.into()), revision });
            Entry { sequence, identity, body: diagnosis.encode_to_vec() }
        }
    }
}

#[derive(Default)]
struct Model {
    records: Vec<Record>,
    last: i64,
    streams: BTreeMap<u8, Stream>,
    last_stream: u64,
    /// What is to be filed, as it came: time, stream, entries.
    waiting: VecDeque<(i64, u64, Vec<Entry>)>,
}

/// A life of an outbox, until the ledger forgets it.
#[derive(Default)]
struct Stream {
    id: u64,
    acknowledged: i64,
    seen_at: i64,
}

impl Model {
    /// What is acknowledged.
    fn receive(&mut self, stream: u8, after: i64, entries: &[Entry], now: i64) -> i64 {
        let before = self.streams.get(&stream).map_or(0, |stream| stream.acknowledged);
        let Some(highest) = entries.iter().map(|entry| entry.sequence).max().filter(|_| before >= after) else {
            return before;
        };
        let last_stream = &mut self.last_stream;
        let stream = self.streams.entry(stream).or_insert_with(|| {
            *last_stream += 1;
            Stream { id: *last_stream, ..Stream::default() }
        });
        stream.acknowledged = stream.acknowledged.max(highest);
        stream.seen_at = now;
        self.waiting.push_back((now, stream.id, entries.to_vec()));
        stream.acknowledged
    }

    fn file(&mut self, mut limit: i64) {
        while limit > 0
            && let Some((time, stream, entries)) = self.waiting.pop_front()
        {
            limit = limit.saturating_sub(i64::try_from(entries.len()).unwrap());
            for entry in entries {
                let is_known = self.records.iter().any(|r| match entry.identity {
                    Some(_) => r.identity == entry.identity,
                    None => r.identity.is_none() && (r.stream, r.sequence) == (stream, entry.sequence),
                });
                if !is_known {
                    self.last += 1;
                    let key = entry.key(time).unwrap();
                    let Entry { sequence, identity, body } = entry;
                    self.records.push(Record { offset: self.last, time, stream, sequence, identity, key, body });
                }
            }
        }
    }

    fn expire(&mut self, older_than: i64, limit: u32) {
        let limit = usize::try_from(limit).unwrap();
        let count = self.records.iter().take(limit).take_while(|r| r.time < older_than).count();
        self.records.drain(..count);
        self.streams.retain(|_, stream| stream.seen_at >= older_than);
    }

    /// The highest kept revision of each uid, the newest first.
    fn list(&self, filter: &Filter) -> Vec<Vec<u8>> {
        let mut latest = BTreeMap::<Uuid, &Record>::new();
        for record in &self.records {
            let Some(identity) = record.identity else { continue };
            let kept = latest.entry(identity.uid).or_insert(record);
            if kept.identity.unwrap().revision < identity.revision {
                *kept = record;
            }
        }
        let mut matching: Vec<_> = latest.into_iter().filter(|(_, r)| filter.matches(&r.key)).collect();
        matching.sort_by_key(|(uid, r)| std::cmp::Reverse((r.key.event_time, *uid)));
        matching.into_iter().map(|(_, r)| r.body.clone()).collect()
    }
}

fn check(model: &Model, path: &Path, handled: Position) -> Result<(), TestCaseError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let limits = Limits { scan: 3, records: 2, bytes: 1 << 20 };
    let (mut position, mut bodies, mut lost) = (handled, Vec::new(), 0);
    loop {
        let chunk = ledger::read(&connection, position, None, &Selection::default(), limits).unwrap();
        lost += chunk.lost.map_or(0, |l| l.count);
        bodies.extend(chunk.items.into_iter().map(|item| match item.body {
            Body::Diagnosis(body) | Body::Gap(body) => body,
        }));
        position = chunk.position;
        if chunk.at_end {
            break;
        }
    }
    let expected: Vec<_> = model.records.iter().filter(|r| r.offset > handled.offset).map(|r| r.body.clone()).collect();
    prop_assert_eq!(&bodies, &expected);
    prop_assert_eq!(lost + bodies.len() as u64, u64::try_from(model.last - handled.offset).unwrap());
    prop_assert_eq!(position.offset, model.last);

    let named = |name: &str| coroner_proto::v1::DiagnosisFilter { names: vec![name.into()], ..Default::default() };
    let spaces = coroner_proto::v1::DiagnosisFilter {
        namespaces: vec!["0".into(), "2".into()],
        fatal_only: true,
        ..Default::default()
    };
    let severe = coroner_proto::v1::DiagnosisFilter { min_severity: 3, ..Default::default() };
    let severe_of_causes = coroner_proto::v1::DiagnosisFilter { causes: vec![1, 2], ..severe.clone() };
    for filter in [coroner_proto::v1::DiagnosisFilter::default(), named("pod-1"), spaces, severe, severe_of_causes] {
        let filter = Filter::new(filter).unwrap();
        let mut query = Query {
            filter,
            except: Default::default(),
            start_time: None,
            end_time: None,
            after: None,
            limit: 2,
            bytes: 1 << 20,
            scan: 2,
        };
        let mut listed = Vec::new();
        loop {
            let page = ledger::list(&connection, &query).unwrap();
            listed.extend(page.bodies);
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        prop_assert_eq!(listed, model.list(&query.filter));
    }
    let extent = ledger::extent(&connection).unwrap();
    prop_assert_eq!(extent.record_count, model.records.len() as u64);
    let waiting: usize = model.waiting.iter().map(|(.., entries)| entries.len()).sum();
    prop_assert_eq!(extent.waiting_count, waiting as u64);
    prop_assert_eq!(extent.oldest_time, model.records.first().map(|r| r.time));
    for time in 0..=model.records.last().map_or(0, |r| r.time + 1) {
        let found = ledger::seek(&connection, time).unwrap().offset + 1;
        let first = model.records.iter().find(|r| r.time >= time).map_or(model.last + 1, |r| r.offset);
        prop_assert_eq!(found, first, "first record at or after {}", time);
    }
    Ok(())
}

fn push(stream: u8, after: i64, entries: Vec<Entry>) -> Push {
    let acknowledge = entries.iter().map(|e| e.sequence).max().unwrap_or(0);
    Push { node: "n".into(), stream_id: stream.to_string(), acknowledge, after, entries, status: None }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn readers_see_what_the_model_predicts(steps in prop::collection::vec(step(), 1..12), handled in 0..6_i64) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.db");
        let mut store = Some(Store::open(&path).unwrap());
        let mut model = Model::default();
        let mut serial = 0;
        for (now, step) in (1..).zip(steps) {
            let open = store.as_mut().unwrap();
            match step {
                Step::Push { stream, after, records } => {
                    let entries: Vec<_> = records.into_iter().map(|r| { serial += 1; entry(r, now, serial) }).collect();
                    let acknowledged = open.append(vec![push(stream, after, entries.clone())], now).unwrap();
                    model.file(i64::MAX);
                    prop_assert_eq!(acknowledged, [model.receive(stream, after, &entries, now)]);
                    model.file(i64::MAX);
                }
                Step::Receive { stream, after, records } => {
                    let entries: Vec<_> = records.into_iter().map(|r| { serial += 1; entry(r, now, serial) }).collect();
                    let acknowledged = open.receive(vec![push(stream, after, entries.clone())], now).unwrap();
                    prop_assert_eq!(acknowledged, [model.receive(stream, after, &entries, now)]);
                }
                Step::File(records) => {
                    open.file(records, || false).unwrap();
                    model.file(records);
                }
                Step::Expire { age, limit } => {
                    let retention = Retention { age: Duration::from_nanos(age), bytes: u64::MAX };
                    open.expire(retention, now, limit).unwrap();
                    model.expire(now - i64::try_from(age).unwrap(), limit);
                }
                Step::Reopen => {
                    drop(store.take());
                    store = Some(Store::open(&path).unwrap());
                }
            }
            check(&model, &path, Position::default())?;
            let handled = Position { offset: handled.min(model.last), time: 0 };
            check(&model, &path, handled)?;
        }
    }
}

#[test]
fn waiting_entries_that_cannot_be_decoded_are_reported_as_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let mut store = Store::open(&path).unwrap();
    let unsound = Entry { body: b"\xff".into(), ..entry((4, Made::Gap), 1, 4) };
    let pushes = [
        vec![entry((1, Made::Gap), 1, 1), entry((2, Made::Gap), 1, 2)],
        vec![entry((3, Made::Gap), 1, 3), unsound],
        vec![entry((5, Made::Gap), 1, 5)],
    ];
    assert_eq!(store.receive(pushes.map(|entries| push(1, 0, entries)).into(), 1).unwrap(), [2, 4, 5]);
    Connection::open(&path).unwrap().execute("UPDATE inbox SET parcel = x'ff' WHERE id = 1", ()).unwrap();
    store.file(i64::MAX, || false).unwrap();
    assert_eq!(store.waiting(), Waiting::default());
    let connection = Connection::open(&path).unwrap();
    let limits = Limits { scan: 9, records: 9, bytes: 1 << 20 };
    let chunk = ledger::read(&connection, Position::default(), None, &Selection::default(), limits).unwrap();
    let received = chunk.items.into_iter().map(|item| match item.body {
        Body::Gap(gap) => Gap::decode(&*gap).unwrap(),
        Body::Diagnosis(_) => panic!("there was none"),
    });
    let received: Vec<_> = received.map(|gap| (gap.node, gap.lost_count)).collect();
    assert_eq!(received, [("n".into(), Some(2)), (String::new(), None), ("n".into(), Some(1)), (String::new(), None)]);
}

#[test]
fn an_active_outbox_is_not_forgotten_though_all_its_records_have_expired() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(&directory.path().join("ledger.db")).unwrap();
    let handshake = |status| Push { node: "n".into(), stream_id: "o".into(), status, ..Push::default() };
    let received = Push { acknowledge: 7, entries: vec![entry((7, Made::Gap), 1, 1)], ..handshake(None) };
    assert_eq!(store.append(vec![received], 1).unwrap(), [7]);
    // It reports that it is running, and nothing else.
    assert_eq!(store.append(vec![handshake(Some((vec![], 100)))], 100).unwrap(), [7]);
    let retention = Retention { age: Duration::from_nanos(50), bytes: u64::MAX };
    store.expire(retention, 120, 10).unwrap();
    assert_eq!(store.append(vec![handshake(None)], 120).unwrap(), [7], "it would push all again that it keeps");
    store.expire(retention, 200, 10).unwrap();
    assert_eq!(store.append(vec![handshake(None)], 200).unwrap(), [0], "it has gone");
}
