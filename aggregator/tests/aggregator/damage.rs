//! A disk that changes bits: no record is served that is not the one that was stored, and what cannot be served is
//! reported as lost.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use coroner_aggregator::{
    filter::{Filter, Selection},
    ledger::{self, Body, Entry, Identity, Ledger, Limits, Offset, Position, Push, Query, Retention, Store},
};
use coroner_proto::v1::{Diagnosis, Gap};
use prost::Message;
use uuid::Uuid;

use crate::support::{diagnosis, gap};

const RETENTION: Retention = Retention { age: Duration::from_secs(86_400 * 36_500), bytes: 1 << 30 };
const RECORDS: u64 = 300;
const COPIES: u64 = 240;

fn push(from: u64, to: u64) -> Push {
    let entry = |n: u64| {
        let sequence = i64::try_from(n).unwrap();
        if n.is_multiple_of(10) {
            return Entry { sequence, identity: None, body: gap(n).encode_to_vec() };
        }
        let received = Diagnosis { explanation: "x".repeat(usize::try_from(n % 700).unwrap()), ..diagnosis(n) };
        let identity = Identity { uid: received.uid.parse().unwrap(), revision: received.revision };
        Entry { sequence, identity: Some(identity), body: received.encode_to_vec() }
    };
    let entries = (from..=to).map(entry).collect();
    let acknowledge = i64::try_from(to).unwrap();
    Push { node: "n1".into(), stream_id: "o".into(), entries, acknowledge, ..Push::default() }
}

/// All that a reader gets: records by offset, and how many are reported as lost.
fn read(ledger: &Path) -> Result<(BTreeMap<Offset, Body>, u64), rusqlite::Error> {
    let connection = rusqlite::Connection::open(ledger)?;
    let limits = Limits { scan: 70, records: 50, bytes: 1 << 20 };
    let (mut position, mut found, mut lost) = (Position::default(), BTreeMap::new(), 0);
    loop {
        let chunk = ledger::read(&connection, position, None, &Selection::default(), limits)?;
        lost += chunk.lost.map_or(0, |lost| lost.count);
        lost += chunk.missing.iter().map(Gap::lost_count).sum::<u64>();
        for item in chunk.items {
            match &item.body {
                Body::Gap(body) => match Gap::decode(&**body).unwrap() {
                    Gap { source, lost_count, .. } if source == "ledger" => lost += lost_count.unwrap_or(0),
                    _ => drop(found.insert(item.position.offset, item.body)),
                },
                Body::Diagnosis(_) => drop(found.insert(item.position.offset, item.body)),
            }
        }
        position = chunk.position;
        if chunk.at_end {
            return Ok((found, lost));
        }
    }
}

/// The diagnoses of a list by time, of one by name, and of one by uid.
fn look_up(ledger: &Path) -> Result<Vec<Vec<u8>>, rusqlite::Error> {
    let connection = rusqlite::Connection::open(ledger)?;
    let query = |filter| Query {
        filter,
        except: Default::default(),
        start_time: None,
        end_time: None,
        after: None,
        limit: 1_000,
        bytes: 1 << 20,
        scan: 1_000,
    };
    let named = coroner_proto::v1::DiagnosisFilter { names: vec!["web-7".into()], ..Default::default() };
    let mut found = ledger::list(&connection, &query(Filter::default()))?.bodies;
    found.extend(ledger::list(&connection, &query(Filter::new(named).unwrap()))?.bodies);
    for n in [1, 77, 299] {
        found.extend(ledger::revisions(&connection, Uuid::from_u128(n), 10, 1 << 20)?);
    }
    Ok(found)
}

/// Numbers that are the same in each run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 24) % most
    }
}

/// A ledger with records that are indexed and some that wait, in one file.
fn sound(path: &Path) -> BTreeMap<Offset, Body> {
    let mut store = Store::open(path).unwrap();
    for first in (1..=RECORDS).step_by(50) {
        store.append(vec![push(first, first + 49)], 1_700_000_000_000_000_000).unwrap();
    }
    drop(store);
    let (all, lost) = read(path).unwrap();
    assert_eq!((all.len() as u64, lost), (RECORDS, 0));
    all
}

#[tokio::test]
async fn a_changed_bit_anywhere_never_changes_a_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let all = sound(&path);
    let bytes = fs::read(&path).unwrap();
    let originals: Vec<&Vec<u8>> = all
        .values()
        .map(|body| match body {
            Body::Diagnosis(body) | Body::Gap(body) => body,
        })
        .collect();
    let (mut draw, mut served, mut refused) = (Draw(7), 0, 0);
    for copy in 0..COPIES {
        let place = directory.path().join(format!("{copy}"));
        fs::create_dir(&place).unwrap();
        let damaged = place.join("ledger.db");
        let mut changed = bytes.clone();
        let bit = draw.below(bytes.len() as u64 * 8);
        changed[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
        fs::write(&damaged, changed).unwrap();
        // As the aggregator does, which repairs what it finds; and as a reader does while the disk fails under it.
        let before = read(&damaged).ok().into_iter().chain([Ok(damaged.clone())].into_iter().filter_map(
            |opened: Result<_, ()>| {
                let opened = opened.ok()?;
                let (ledger, writer) = Ledger::open(&opened, RETENTION).ok()?;
                drop(ledger);
                writer.join().ok()?;
                read(&opened).ok()
            },
        ));
        let mut any = false;
        for (found, lost) in before {
            any = true;
            for (offset, body) in &found {
                assert_eq!(all.get(offset), Some(body), "bit {bit}: the record at {offset} is another one");
            }
            assert!(found.len() as u64 + lost >= RECORDS, "bit {bit}: {} served, {lost} lost", found.len());
        }
        for body in look_up(&damaged).unwrap_or_default() {
            assert!(originals.contains(&&body), "bit {bit}: a diagnosis that was never stored");
        }
        if any {
            served += 1
        } else {
            refused += 1
        }
        fs::remove_dir_all(place).unwrap();
    }
    assert!(served > COPIES * 9 / 10, "{served} served and {refused} refused");
}

#[tokio::test]
async fn of_a_ledger_with_a_torn_page_all_else_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let all = sound(&path);
    let (ledger, writer) = Ledger::open(&path, RETENTION).unwrap();
    let epoch = ledger.epoch();
    drop(ledger);
    writer.join().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    // A page of records: it holds the explanation of one.
    let page = bytes.len() / 2 / 4096 * 4096;
    bytes[page..page + 4096].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let (ledger, writer) = Ledger::open(&path, RETENTION).unwrap();
    assert_eq!(ledger.epoch(), epoch, "readers go on where they were");
    drop(ledger);
    writer.join().unwrap();
    let (found, lost) = read(&path).unwrap();
    assert!(found.iter().all(|(offset, body)| all.get(offset) == Some(body)));
    assert_eq!(found.len() as u64 + lost, RECORDS);
    assert!(lost < 60, "{lost} lost");
    let aside = fs::read_dir(directory.path())
        .unwrap()
        .any(|file| file.unwrap().file_name().to_string_lossy().starts_with("ledger.db.damaged-"));
    assert!(aside, "the damaged one is kept");
}

/// Where the pages of a file begin that hold this.
fn pages(file: &[u8], is_wanted: impl Fn(&[u8]) -> bool) -> Vec<usize> {
    let pages: Vec<_> = (0..file.len()).step_by(4096).filter(|start| is_wanted(&file[*start..*start + 4096])).collect();
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// Puts a ledger with one torn page into its place, and has all that waits there indexed.
fn index_with_torn_page(path: &Path, sound: &[u8], page: usize) {
    let mut damaged = sound.to_owned();
    damaged[page..page + 4096].fill(0xA5);
    fs::write(path, damaged).unwrap();
    let mut store = Store::open(path).unwrap();
    store.file(i64::MAX, || false).unwrap();
}

/// Acknowledged, and not indexed yet: each push lies in pages of its own.
#[test]
fn a_push_that_waits_and_cannot_be_read_is_reported_as_lost_and_the_others_are_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let mut store = Store::open(&path).unwrap();
    for first in (1..=RECORDS).step_by(100) {
        store.receive(vec![push(first, first + 99)], 1_700_000_000_000_000_000).unwrap();
    }
    drop(store);
    let sound = fs::read(&path).unwrap();
    // Most of each are the explanations.
    let is_of_push = |page: &[u8]| page.iter().filter(|byte| **byte == b'x').count() > 2_000;
    let pages = pages(&sound, is_of_push);
    for page in pages {
        index_with_torn_page(&path, &sound, page);
        let (found, lost) = read(&path).unwrap();
        assert_eq!((found.len() as u64, lost), (RECORDS - 100, 100), "page at {page}");
    }
}

/// Small pushes share pages, and so the heads of some go with one.
#[test]
fn waiting_pushes_behind_a_torn_page_are_taken_over_and_a_gap_reports_that_some_may_be_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let mut store = Store::open(&path).unwrap();
    let pushes: Vec<Push> = (1..=RECORDS).filter(|n| n % 10 != 0).map(|n| push(n, n)).collect();
    let all = pushes.len() as u64;
    for push in pushes {
        store.receive(vec![push], 1_700_000_000_000_000_000).unwrap();
    }
    drop(store);
    let sound = fs::read(&path).unwrap();
    let holds_push = |page: &[u8]| page.windows(7).any(|bytes| bytes == b"number ");
    let pages = pages(&sound, holds_push);
    let mut unreachable = 0;
    for page in pages {
        index_with_torn_page(&path, &sound, page);
        let (found, _) = read(&path).unwrap();
        let missing = all - found.len() as u64;
        assert!((1..40).contains(&missing) || missing == all, "page at {page}: {missing} of {all} are missing");
        unreachable += u32::from(missing == all);
        let connection = rusqlite::Connection::open(&path).unwrap();
        let limits = Limits { scan: 1_000, records: 1_000, bytes: 1 << 20 };
        let chunk = ledger::read(&connection, Position::default(), None, &Selection::default(), limits).unwrap();
        let Some(Body::Gap(first)) = chunk.items.into_iter().map(|item| item.body).next() else {
            panic!("page at {page}: nothing reports that anything may be missing")
        };
        let first = Gap::decode(&*first).unwrap();
        assert_eq!((first.source.as_str(), first.lost_count), ("ledger", None), "page at {page}");
    }
    assert!(unreachable <= 1, "only the page that refers to the others takes all with it");
}

#[tokio::test]
async fn a_ledger_of_the_version_before_is_brought_up_with_all_that_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.db");
    let all = sound(&path);
    Store::open(&path).unwrap().receive(vec![push(1, 301)], 1_700_000_000_000_000_000).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "DROP INDEX latest_by_severity;
             DROP TABLE hole;
             DROP TABLE holder;
             ALTER TABLE record DROP COLUMN owner;
             ALTER TABLE record DROP COLUMN checksum;
             ALTER TABLE inbox DROP COLUMN checksum;
             ALTER TABLE stream DROP COLUMN checksum;
             ALTER TABLE stream RENAME COLUMN push_time TO heard_time;
             ALTER TABLE node RENAME COLUMN push_time TO heard_time;
             PRAGMA user_version = 2; PRAGMA wal_checkpoint(TRUNCATE);",
        )
        .unwrap();
    connection.close().unwrap();
    let copy = directory.path().join("copy.db");
    ledger::backup(&path, &copy, false).unwrap();
    assert_eq!(read(&copy).unwrap(), (all.clone(), 0), "a copy is brought up too");

    let mut store = Store::open(&path).unwrap();
    let handshake = Push { entries: vec![], acknowledge: 0, ..push(1, 1) };
    assert_eq!(store.append(vec![handshake], 1).unwrap(), [301], "what is acknowledged stays so");
    drop(store);
    let (found, lost) = read(&path).unwrap();
    assert_eq!((found.len(), lost), (301, 0), "what waited is stored behind the others");
    assert!(all.iter().all(|record| found.get(record.0) == Some(record.1)));
    let holders = ledger::holders(&rusqlite::Connection::open(&path).unwrap()).unwrap();
    assert_eq!((holders.len(), holders[0].name.as_str(), holders[0].records), (1, "n1", 301));
}
