//! The outbox against a model, against damage, against a full disk and against SIGKILL.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use coroner_agent::{
    outbox::{Batch, Limit, OpenError, Outbox, Record},
    status::{Board, OUTBOX},
};
use coroner_proto::v1::{Diagnosis, Gap, GapReason, Severity, SourceHealth, outbox_record};
use nix::{
    mount::{MsFlags, mount, umount},
    sched::{CloneFlags, unshare},
};
use proptest::prelude::*;

const ALL: Limit = Limit { records: usize::MAX, bytes: usize::MAX };
const LARGE: u64 = 64 << 20;

fn diagnosis(uid: u64, severity: Severity, bytes: usize) -> Record {
    Record::diagnosis(Diagnosis {
        uid: uid.to_string(),
        severity: severity.into(),
        explanation: "x".repeat(bytes),
        ..Diagnosis::default()
    })
}

fn errors(uids: std::ops::Range<u64>) -> Vec<Record> {
    uids.map(|uid| diagnosis(uid, Severity::Error, 300)).collect()
}

fn open(path: &Path) -> Outbox {
    open_within(path, LARGE)
}

/// A process that another test starts at this moment has every open file, so also the lock, until it executes its
/// program.
fn open_within(path: &Path, max_bytes: u64) -> Outbox {
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        match Outbox::open(path, max_bytes, "node", Board::default()) {
            Err(OpenError::Locked(_)) if Instant::now() < limit => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Uid by sequence.
fn diagnoses(batch: &Batch) -> Vec<(u64, u64)> {
    let uid = |record: &_| match record {
        Some(outbox_record::Record::Diagnosis(diagnosis)) => Some(diagnosis.uid.parse().unwrap()),
        _ => None,
    };
    batch.records.iter().filter_map(|record| Some((record.sequence, uid(&record.record)?))).collect()
}

fn uids(batch: &Batch) -> Vec<u64> {
    diagnoses(batch).into_iter().map(|(_, uid)| uid).collect()
}

fn gaps(batch: &Batch) -> Vec<Gap> {
    let gap = |record: &_| match record {
        Some(outbox_record::Record::Gap(gap)) => Some(Gap::clone(gap)),
        _ => None,
    };
    batch.records.iter().filter_map(|record| gap(&record.record)).collect()
}

fn health(board: &Board) -> (SourceHealth, String) {
    let status = board.sources().into_iter().find(|status| status.source == OUTBOX).unwrap();
    (status.health(), status.reason)
}

fn set_aside(path: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.to_str().unwrap().contains(".corrupt-")).collect()
}

#[derive(Clone, Debug)]
enum Act {
    Append(Vec<(Severity, usize)>),
    /// So many of what waits.
    Acknowledge(usize),
    /// The process ends, with or without having written everything to the file.
    Reopen {
        flushed: bool,
    },
    /// The aggregator comes with an empty ledger.
    Forget,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let severity = prop::sample::select(vec![Severity::Info, Severity::Warning, Severity::Error, Severity::Critical]);
    let act = prop_oneof![
        6 => prop::collection::vec((severity, 0..6000_usize), 1..20).prop_map(Act::Append),
        2 => (1..40_usize).prop_map(Act::Acknowledge),
        1 => any::<bool>().prop_map(|flushed| Act::Reopen { flushed }),
        1 => Just(Act::Forget),
    ];
    prop::collection::vec(act, 1..40)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Waits,
    Acknowledged,
    Discarded,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn keeps_what_the_model_keeps(acts in acts()) {
        const MAX_BYTES: u64 = 128 << 10;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("outbox.db");
        let open = || open_within(&path, MAX_BYTES);
        let mut outbox = open();
        // By uid, which goes up with each append: severity and what has become of it.
        let mut model: BTreeMap<u64, (Severity, Fate)> = BTreeMap::new();
        let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
        let mut stored: BTreeMap<u64, u64> = BTreeMap::new();
        let mut acknowledged = 0;
        let mut next = 0;
        let mut exact = true;
        let stream_id = outbox.batch(ALL).stream_id;

        for act in acts {
            let mut forgot = false;
            match act {
                Act::Append(records) => {
                    let records = records.into_iter().map(|(severity, bytes)| {
                        next += 1;
                        model.insert(next, (severity, Fate::Waits));
                        diagnosis(next, severity, bytes)
                    });
                    outbox.append(records.collect());
                }
                Act::Acknowledge(count) => {
                    let batch = outbox.batch(Limit { records: count, bytes: usize::MAX });
                    if let Some(last) = batch.records.last() {
                        acknowledged = last.sequence;
                        outbox.acknowledge(&batch.stream_id, acknowledged);
                    }
                    for uid in uids(&batch) {
                        model.get_mut(&uid).unwrap().1 = Fate::Acknowledged;
                    }
                }
                Act::Reopen { flushed } => {
                    if flushed {
                        outbox.flush();
                    }
                    drop(outbox);
                    outbox = open();
                    outbox.synchronize(&stream_id, acknowledged);
                }
                Act::Forget => {
                    forgot = true;
                    exact = false;
                    acknowledged = 0;
                    outbox.synchronize(&stream_id, 0);
                }
            }

            let batch = outbox.batch(ALL);
            prop_assert_eq!(&batch.stream_id, &stream_id);
            prop_assert!(batch.records.is_sorted_by(|a, b| a.sequence < b.sequence));
            for (sequence, uid) in diagnoses(&batch) {
                prop_assert_eq!(*seen.entry(sequence).or_insert(uid), uid, "sequence {} was used twice", sequence);
            }
            for record in &batch.records {
                if let Some(outbox_record::Record::Gap(gap)) = &record.record {
                    prop_assert!(!seen.contains_key(&record.sequence));
                    stored.insert(record.sequence, gap.lost_count.unwrap());
                }
            }

            let waiting: BTreeSet<u64> = uids(&batch).into_iter().collect();
            prop_assert!(uids(&batch).is_sorted());
            let mut discarded = Vec::new();
            for (uid, (severity, fate)) in &mut model {
                match (*fate, waiting.contains(uid)) {
                    (Fate::Waits, true) | (Fate::Acknowledged | Fate::Discarded, false) => {}
                    (Fate::Acknowledged, true) if forgot => *fate = Fate::Waits,
                    (Fate::Waits, false) => {
                        *fate = Fate::Discarded;
                        discarded.push((*severity, *uid));
                    }
                    odd => prop_assert!(false, "record {} is {:?}", uid, odd),
                }
            }
            if let Some(most_severe_discarded) = discarded.iter().max() {
                let least_severe_kept = waiting.iter().map(|uid| (model[uid].0, *uid)).min();
                prop_assert!(least_severe_kept.is_none_or(|kept| *most_severe_discarded < kept), "{:?} {:?}", discarded, least_severe_kept);
            }
            let lost = model.values().filter(|(_, fate)| *fate == Fate::Discarded).count() as u64;
            let stored: u64 = stored.values().sum();
            prop_assert!(if exact { stored == lost } else { stored >= lost }, "{} lost, {} stored", lost, stored);
        }
        drop(outbox);
        let size = fs::metadata(&path).unwrap().len();
        prop_assert!(size <= MAX_BYTES + 20 * 8192, "{} bytes", size);
    }
}

#[test]
fn a_long_outage_is_one_gap_with_all_that_was_shed() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(&directory.path().join("outbox.db"), 128 << 10, "node", Board::default()).unwrap();
    for uid in 0..1000 {
        outbox.append(vec![diagnosis(uid, Severity::Warning, 1000)]);
    }
    let batch = outbox.batch(ALL);
    let [gap] = gaps(&batch).try_into().unwrap();
    assert_eq!((gap.reason(), gap.node.as_str(), gap.source.as_str()), (GapReason::OutboxFull, "node", OUTBOX));
    assert_eq!(gap.lost_count.unwrap() + uids(&batch).len() as u64, 1000);
    assert_eq!(uids(&batch).last(), Some(&999));
}

#[test]
fn critical_records_stay_as_long_as_they_alone_fit() {
    const MAX_BYTES: u64 = 1 << 20;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let mut outbox = Outbox::open(&path, MAX_BYTES, "node", Board::default()).unwrap();
    // A page holds three: in order of arrival, two critical ones would stay behind in each when the third is discarded.
    let of = |uid: u64| if uid.is_multiple_of(3) { Severity::Info } else { Severity::Critical };
    let critical: Vec<u64> = (0..960).filter(|uid| of(*uid) == Severity::Critical).collect();
    for first in (0..960).step_by(20) {
        outbox.append((first..first + 20).map(|uid| diagnosis(uid, of(uid), 1_200)).collect());
    }
    let kept: Vec<u64> = uids(&outbox.batch(ALL)).into_iter().filter(|uid| of(*uid) == Severity::Critical).collect();
    assert_eq!(kept, critical, "{} of {} bytes would be enough for them", critical.len() * 1_250, MAX_BYTES);
}

#[test]
fn acknowledged_records_stay_for_an_aggregator_that_forgot_them_until_space_is_needed() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(&directory.path().join("outbox.db"), 128 << 10, "node", Board::default()).unwrap();
    outbox.append(errors(0..100));
    let stream_id = outbox.batch(ALL).stream_id;
    outbox.acknowledge(&stream_id, 100);
    assert!(outbox.batch(ALL).records.is_empty());
    outbox.synchronize(&stream_id, 0);
    assert_eq!(uids(&outbox.batch(ALL)), (0..100).collect::<Vec<_>>());

    outbox.acknowledge(&stream_id, 100);
    outbox.append((100..190).map(|uid| diagnosis(uid, Severity::Info, 900)).collect());
    outbox.synchronize(&stream_id, 0);
    let batch = outbox.batch(ALL);
    assert_eq!(gaps(&batch), [], "nothing unsent was discarded while acknowledged records were there");
    assert_eq!(uids(&batch).last(), Some(&189));
    assert!((91..190).contains(&uids(&batch).len()), "{}", uids(&batch).len());
}

#[test]
fn a_file_put_back_to_an_earlier_state_continues_behind_what_the_aggregator_has() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let mut outbox = open(&path);
    outbox.append(errors(0..5));
    drop(outbox);
    let earlier = fs::read(&path).unwrap();
    let mut outbox = open(&path);
    outbox.append(errors(5..9));
    drop(outbox);
    fs::write(&path, earlier).unwrap();

    let mut outbox = open(&path);
    outbox.append(errors(20..23));
    let stream_id = outbox.batch(ALL).stream_id;
    outbox.synchronize(&stream_id, 9);
    assert_eq!(diagnoses(&outbox.batch(ALL)), [(10, 20), (11, 21), (12, 22)]);
    outbox.append(errors(23..24));
    assert_eq!(diagnoses(&outbox.batch(ALL)).last(), Some(&(13, 23)));
}

#[test]
fn an_aggregator_that_claims_to_have_more_than_there_can_be_harms_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for claimed in [(1 << 59) - 1, 1 << 59, (1 << 60) - 1, 1 << 60, u64::MAX] {
        let path = directory.path().join(claimed.to_string());
        drop(open(&path));
        let mut outbox = open(&path);
        outbox.append(errors(0..5));
        let stream_id = outbox.batch(ALL).stream_id;
        outbox.synchronize(&stream_id, claimed);
        outbox.append(errors(5..50));
        let batch = outbox.batch(ALL);
        assert_eq!((&batch.stream_id, uids(&batch)), (&stream_id, (0..50).collect()), "{claimed}");
        assert!(set_aside(&path).is_empty(), "{claimed}");
    }
}

#[test]
fn a_sequence_is_not_used_again_after_all_records_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let mut outbox = open(&path);
    outbox.append(errors(0..3));
    let stream_id = outbox.batch(ALL).stream_id;
    outbox.acknowledge(&stream_id, 3);
    outbox.flush();
    drop(outbox);
    let mut outbox = open(&path);
    outbox.append(errors(3..4));
    let batch = outbox.batch(ALL);
    assert_eq!((batch.stream_id.as_str(), diagnoses(&batch)), (stream_id.as_str(), vec![(4, 3)]));
}

#[test]
fn a_refused_record_gives_its_place_to_a_gap() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory.path().join("outbox.db"));
    outbox.append(errors(0..3));
    let stream_id = outbox.batch(ALL).stream_id;
    outbox.replace(&stream_id, 2, Gap { text: "refused".into(), ..Gap::default() });
    let batch = outbox.batch(ALL);
    assert_eq!(diagnoses(&batch), [(1, 0), (3, 2)]);
    assert_eq!((batch.records[1].sequence, gaps(&batch)[0].text.as_str()), (2, "refused"));
}

#[test]
fn only_its_owner_may_read_it_also_if_others_could_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let modes = || ["", "-wal"].map(|end| fs::metadata(format!("{}{end}", path.display())).unwrap().mode() & 0o777);
    drop(open(&path));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut outbox = open(&path);
    outbox.append(errors(0..1));
    assert_eq!(modes(), [0o600, 0o600]);
}

#[test]
fn a_second_agent_on_the_same_outbox_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let first = open(&path);
    let second = Outbox::open(&path, LARGE, "node", Board::default());
    assert!(matches!(second, Err(OpenError::Locked(_))), "{second:?}");
    drop(first);
    open(&path);
}

#[test]
fn another_programs_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let theirs = rusqlite::Connection::open(&path).unwrap();
    theirs.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    drop(theirs);
    let before = fs::read(&path).unwrap();
    let refused = Outbox::open(&path, LARGE, "node", Board::default());
    assert!(matches!(refused, Err(OpenError::Foreign { .. })), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_set_aside_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    fs::write(&path, "not a database at all, but other notes ".repeat(50)).unwrap();
    let board = Board::default();
    let mut outbox = Outbox::open(&path, LARGE, "node", board.clone()).unwrap();
    outbox.append(errors(0..2));
    let batch = outbox.batch(ALL);
    assert_eq!(uids(&batch), [0, 1]);
    assert_eq!(gaps(&batch)[0].reason(), GapReason::Corrupt);
    assert_eq!(health(&board).0, SourceHealth::Ok);
    let [aside] = set_aside(&path).try_into().unwrap();
    assert!(fs::read_to_string(aside).unwrap().starts_with("not a database"));
}

#[test]
fn a_file_of_an_earlier_version_is_set_aside_and_a_new_stream_begins() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let mut outbox = open(&path);
    outbox.append(errors(0..2));
    let old_stream = outbox.batch(ALL).stream_id;
    drop(outbox);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 1).unwrap();

    let batch = open(&path).batch(ALL);
    assert_ne!(batch.stream_id, old_stream);
    assert!(gaps(&batch)[0].text.contains("version 1"), "{:?}", gaps(&batch));
    assert_eq!(set_aside(&path).len(), 1);
}

#[test]
fn what_is_left_of_a_damaged_file_moves_into_a_new_stream() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let mut outbox = open(&path);
    outbox.append(errors(0..200));
    let old = outbox.batch(ALL);
    outbox.acknowledge(&old.stream_id, 20);
    outbox.flush();
    drop(outbox);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    file.write_all_at(&[0xa5; 4096], pages / 2 * 4096).unwrap();

    let mut outbox = open(&path);
    let batch = outbox.batch(ALL);
    assert_ne!(batch.stream_id, old.stream_id);
    let saved = uids(&batch);
    assert!(saved.is_sorted() && saved[0] == 20 && saved.last() == Some(&199), "{saved:?}");
    assert!((150..180).contains(&saved.len()), "{} of 180 were saved", saved.len());
    assert_eq!(gaps(&batch)[0].reason(), GapReason::Corrupt);
    assert_eq!(set_aside(&path).len(), 1);
}

#[test]
fn a_flipped_bit_in_a_record_is_noticed_and_costs_only_that_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let mut outbox = open(&path);
    outbox.append((0..5).map(|uid| diagnosis(uid, Severity::Error, if uid == 3 { 20_000 } else { 10 })).collect());
    drop(outbox);
    let mut bytes = fs::read(&path).unwrap();
    let inside = bytes.windows(200).rposition(|window| window.iter().all(|byte| *byte == b'x')).unwrap();
    bytes[inside] = b'y';
    fs::write(&path, bytes).unwrap();

    let mut outbox = open(&path);
    assert_eq!(uids(&outbox.batch(ALL)), [0, 1, 2, 4]);
    assert_eq!(set_aside(&path).len(), 1);
    outbox.append(errors(9..10));
    assert_eq!(uids(&outbox.batch(ALL)), [0, 1, 2, 4, 9]);
}

#[test]
fn of_a_log_with_a_torn_tail_all_before_the_tear_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let mut outbox = open(&path);
    for uid in 0..40 {
        outbox.append(errors(uid..uid + 1));
    }
    // What a power cut leaves: the file as it is, and of the log a part, its last page half written.
    let [file, log] = ["outbox.db", "outbox.db-wal"].map(|name| fs::read(directory.path().join(name)).unwrap());
    assert!(log.len() > 40 * 4096, "every append has reached the log");
    let mut most = 0;
    for tear in (0..=97).map(|part| log.len() * part / 97) {
        let torn = tempfile::tempdir().unwrap();
        let path = torn.path().join("outbox.db");
        fs::write(&path, &file).unwrap();
        let garbage = vec![0xa5; (log.len() - tear).min(1000)];
        fs::write(torn.path().join("outbox.db-wal"), [&log[..tear], &garbage].concat()).unwrap();

        let mut outbox = open(&path);
        let kept = outbox.batch(ALL);
        assert_eq!(set_aside(&path), [] as [PathBuf; 0], "torn at {tear}");
        assert_eq!(uids(&kept), (0..kept.records.len() as u64).collect::<Vec<_>>(), "torn at {tear}");
        assert!(kept.records.len() >= most, "torn at {tear}, later than before, and less is left");
        most = kept.records.len();
        outbox.append(errors(100..101));
        assert_eq!(uids(&outbox.batch(ALL)).last(), Some(&100));
    }
    assert_eq!(most, 40);
}

#[test]
fn a_salvage_that_was_cut_short_is_taken_up_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let mut outbox = open(&path);
    outbox.append(errors(0..50));
    drop(outbox);
    fs::rename(&path, directory.path().join("outbox.db.salvage")).unwrap();
    assert_eq!(uids(&open(&path).batch(ALL)).len(), 50);
    assert_eq!(set_aside(&path).len(), 1);
}

/// A file system of a few hundred KiB that only this test's thread sees, so that it ends with it in any case.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(options: &str) -> Self {
        const NEEDS_ROOT: &str = "mounting a small disk to fill needs root";
        let none = None::<&str>;
        unshare(CloneFlags::CLONE_NEWNS).expect(NEEDS_ROOT);
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect(NEEDS_ROOT);
        let directory = tempfile::tempdir().unwrap();
        mount(Some("small"), directory.path(), Some("tmpfs"), MsFlags::empty(), Some(options)).expect(NEEDS_ROOT);
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        umount(self.0.path()).unwrap();
    }
}

#[test]
fn a_full_disk_loses_nothing_while_memory_lasts_and_records_move_to_disk_later() {
    let disk = SmallDisk::mount("size=1m");
    let path = disk.0.path().join("outbox.db");
    let board = Board::default();
    let mut outbox = Outbox::open(&path, LARGE, "node", board.clone()).unwrap();
    outbox.append(errors(0..10));
    let on_disk = outbox.batch(ALL).stream_id;
    let ballast = disk.0.path().join("ballast");
    let mut file = File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);

    let mut next = 10;
    while health(&board).0 == SourceHealth::Ok {
        outbox.append(errors(next..next + 1));
        next += 1;
        assert!(next < 5000, "the disk never got full");
    }
    assert!(health(&board).1.contains("memory"), "{}", health(&board).1);
    outbox.append(errors(next..next + 5));

    let first = outbox.batch(ALL);
    assert_eq!((&first.stream_id, uids(&first)), (&on_disk, (0..next - 1).collect::<Vec<_>>()));
    outbox.acknowledge(&on_disk, first.records.last().unwrap().sequence);
    let second = outbox.batch(ALL);
    assert_ne!(second.stream_id, on_disk);
    assert_eq!(uids(&second), (next - 1..next + 5).collect::<Vec<_>>());

    fs::remove_file(ballast).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let moved = loop {
        let batch = outbox.batch(ALL);
        if batch.stream_id == on_disk {
            break batch;
        }
        assert!(Instant::now() < deadline, "still {:?}", health(&board));
        std::thread::yield_now();
    };
    assert_eq!(uids(&moved), (next - 1..next + 5).collect::<Vec<_>>());
    assert_eq!(health(&board).0, SourceHealth::Ok);
    drop(outbox);
    assert_eq!(uids(&open(&path).batch(ALL)).last(), Some(&(next + 4)));
}

#[test]
fn a_read_only_disk_is_reported_and_records_wait_in_memory() {
    let disk = SmallDisk::mount("size=1m,ro");
    let board = Board::default();
    let mut outbox = Outbox::open(&disk.0.path().join("outbox.db"), LARGE, "node", board.clone()).unwrap();
    assert_eq!(health(&board).0, SourceHealth::Degraded);
    outbox.append(errors(0..3));
    let batch = outbox.batch(ALL);
    assert_eq!(uids(&batch), [0, 1, 2]);
    outbox.acknowledge(&batch.stream_id, 2);
    assert_eq!(uids(&outbox.batch(ALL)), [2]);
}

/// Names the outbox to a child of this test that is to be killed.
const CHILD: &str = "CORONER_TEST_OUTBOX";

/// Not a test of its own: the work of the next one's child. Appends without end, and prints what it has appended.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let mut outbox = open(Path::new(&path));
    let batch = outbox.batch(ALL);
    // As the aggregator would, of half of it.
    if let Some(middle) = batch.records.get(batch.records.len() / 2) {
        outbox.acknowledge(&batch.stream_id, middle.sequence);
    }
    let first = diagnoses(&batch).last().map_or(0, |(_, uid)| uid + 1);
    for uid in (first..).step_by(3) {
        outbox.append(errors(uid..uid + 3));
        println!("appended {}", uid + 2);
    }
}

#[test]
fn nothing_that_was_appended_is_lost_to_sigkill_and_no_sequence_is_used_twice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outbox.db");
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let mut stream_id = None;
    for life in 0_u32..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_appends_until_it_is_killed", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut appended =
            lines.filter_map(|line| line.strip_prefix("appended ").map(|uid| uid.parse::<u64>().unwrap()));
        // The line was written after an append, so that the kill falls anywhere into a later one.
        let mut last = appended.by_ref().nth((life * 7 % 23) as usize).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        last = appended.last().unwrap_or(last);

        let mut outbox = open(&path);
        let stream = outbox.batch(ALL).stream_id;
        assert_eq!(stream_id.get_or_insert_with(|| stream.clone()), &stream, "the file was set aside");
        outbox.synchronize(&stream, 0);
        let batch = outbox.batch(ALL);
        assert_eq!(gaps(&batch), []);
        assert_eq!(uids(&batch), (0..uids(&batch).len() as u64).collect::<Vec<_>>(), "something in between is missing");
        assert!(uids(&batch).last() >= Some(&last), "{last} was appended");
        for (sequence, uid) in diagnoses(&batch) {
            assert_eq!(*seen.entry(sequence).or_insert(uid), uid);
        }
    }
}
