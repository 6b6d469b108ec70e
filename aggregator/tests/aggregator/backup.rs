//! Backup and restore by the program itself: the contents of a copy, which readers learn that the ledger is another
//! one, and what is refused.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use coroner_aggregator::feed::Timing;
use coroner_proto::v1::{WatchDiagnosesResponse, outbox_record::Record};
use tempfile::TempDir;

use crate::{
    process::{Program, files, made_ledger},
    support::{Aggregator, Ingest, channel, diagnosis, feed, from_oldest, items, push, push_numbers, replay, resume},
};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coroner-aggregator")).args(arguments).output().unwrap()
}

fn backup(ledger: &Path, to: &Path, flags: &[&str]) -> Output {
    let paths = ["backup", "--ledger", ledger.to_str().unwrap(), "--to", to.to_str().unwrap()];
    run(&[&paths, flags].concat())
}

fn restore(from: &Path, ledger: &Path) -> Output {
    run(&["restore", "--from", from.to_str().unwrap(), "--ledger", ledger.to_str().unwrap()])
}

fn assert_done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// It reports the reason in one line, and leaves everything as it was.
fn assert_refused(directory: &Path, code: i32, expected: &str, attempt: impl FnOnce() -> Output) {
    let before = files(directory);
    assert_fails(code, expected, &attempt());
    assert!(files(directory) == before, "it changed something");
}

fn assert_fails(code: i32, expected: &str, output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.lines().count() == 1 && stderr.contains(expected), "{stderr}");
}

fn numbers(numbers: impl Iterator<Item = u64>) -> Vec<String> {
    numbers.map(|n| format!("number {n}")).collect()
}

/// What the ledger holds, from the oldest record on.
async fn held(directory: TempDir) -> (Aggregator, Vec<WatchDiagnosesResponse>) {
    let aggregator = Aggregator::start_in(directory, &[], Timing::default()).await;
    let frames = replay(&mut aggregator.feed().await, from_oldest()).await;
    (aggregator, frames)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_way_holds_all_that_was_acknowledged_before_and_nothing_by_halves() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    let program = Program::start_with(&ledger, &[]);
    let mut ingest = Ingest::new(channel(&program.url).await);
    let before = push_numbers(&mut ingest, 1..=500).await.acknowledged_sequence;
    let pushing = tokio::spawn(async move {
        for first in (501..).step_by(50) {
            let records = (first..first + 50).map(|n| Record::Diagnosis(diagnosis(n)));
            if ingest.push_diagnoses(push(first, records)).await.is_err() {
                break;
            }
        }
    });
    let place = tempfile::tempdir().unwrap();
    for flags in [&[][..], &["--force"]] {
        let to = place.path().join("ledger.db");
        let output = tokio::task::spawn_blocking({
            let (ledger, to, flags) = (ledger.clone(), to.clone(), flags.to_vec());
            move || backup(&ledger, &to, &flags)
        });
        assert_done(&output.await.unwrap());
        assert_eq!(files(place.path()).len(), 1, "a backup is one file");
    }
    assert!(!pushing.is_finished(), "pushes went on meanwhile");
    drop(program);
    pushing.await.unwrap();
    let (aggregator, frames) = held(place).await;
    let acknowledged = aggregator.ingest().await.push_diagnoses(push(1, [])).await.unwrap().into_inner();
    let last = acknowledged.acknowledged_sequence;
    assert!(last >= before && last % 50 == 0, "{last}");
    assert_eq!(items(&frames), numbers(1..=last));
}

#[tokio::test]
async fn a_reader_ahead_of_the_backup_gets_a_gap_and_misses_nothing_that_agents_push_again() {
    let (directory, ledger) = made_ledger().await;
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy.db");
    assert_done(&backup(&ledger, &copy, &[]));
    let aggregator = Aggregator::start_in(directory, &[], Timing::default()).await;
    push_numbers(&mut aggregator.ingest().await, 1001..=1100).await;
    let token = replay(&mut aggregator.feed().await, from_oldest()).await.pop().unwrap().resume_token;
    aggregator.app.stop().await.unwrap();

    assert_done(&restore(&copy, &ledger));
    let aggregator = Aggregator::start_in(aggregator.directory, &[], Timing::default()).await;
    // As an agent does: it asks how far the aggregator is, and goes on from there with what its outbox still keeps.
    let mut ingest = aggregator.ingest().await;
    let acknowledged = ingest.push_diagnoses(push(1, [])).await.unwrap().into_inner().acknowledged_sequence;
    assert_eq!(acknowledged, 1000);
    push_numbers(&mut ingest, acknowledged + 1..=1150).await;

    let mut feed = aggregator.feed().await;
    let frames = replay(&mut feed, resume(&token)).await;
    let received = items(&frames);
    assert!(received[0].starts_with("gap ledger"), "{received:?}");
    assert_eq!(received[1..], numbers(1..=1150));
    let token = &frames.last().unwrap().resume_token;
    push_numbers(&mut ingest, 1151..=1151).await;
    assert_eq!(items(&replay(&mut feed, resume(token)).await), ["number 1151"]);
}

#[tokio::test]
async fn the_ledger_that_is_replaced_is_kept_with_its_journal() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, copy) = (directory.path().join("ledger.db"), directory.path().join("copy.db"));
    let mut program = Program::start_with(&ledger, &[]);
    assert_done(&backup(&ledger, &copy, &[]));
    push_numbers(&mut Ingest::new(channel(&program.url).await), 1..=10).await;
    program.kill();
    assert!(directory.path().join("ledger.db-wal").exists());
    assert_done(&restore(&copy, &ledger));

    let program = Program::start_with(&ledger, &[]);
    assert!(items(&replay(&mut feed(&program.url).await, from_oldest()).await).is_empty());
    let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let is_aside = |path: &PathBuf| {
        let name = path.to_str().unwrap();
        name.contains(".replaced-") && !name.ends_with("-wal")
    };
    let aside = names.filter(is_aside).collect::<Vec<_>>();
    let [aside] = aside.as_slice() else { panic!("{aside:?}") };
    let program = Program::start_with(aside, &[]);
    assert_eq!(items(&replay(&mut feed(&program.url).await, from_oldest()).await), numbers(1..=10));
}

#[tokio::test]
async fn a_ledger_is_restored_where_there_is_none() {
    let (directory, ledger) = made_ledger().await;
    let copy = directory.path().join("copy.db");
    assert_done(&backup(&ledger, &copy, &[]));
    fs::remove_file(&ledger).unwrap();
    // What is left when only the ledger's own file was taken away.
    fs::write(directory.path().join("ledger.db-wal"), "of another ledger").unwrap();
    assert_done(&restore(&copy, &ledger));
    assert_eq!(files(directory.path()).len(), 2);
    let (_aggregator, frames) = held(directory).await;
    assert_eq!(items(&frames), numbers(1..=1000));
}

#[tokio::test]
async fn no_backup_replaces_a_file_without_being_asked_to() {
    let (directory, ledger) = made_ledger().await;
    let other = directory.path().join("other.db");
    fs::write(&other, "a file of another kind").unwrap();
    let place = directory.path();
    assert_refused(place, 1, "exists already", || backup(&ledger, &other, &[]));
    assert_refused(place, 1, "the ledger itself", || backup(&ledger, &ledger, &["--force"]));
    assert_refused(place, 1, "the ledger itself", || restore(&ledger, &ledger));
    assert_refused(place, 65, "not a ledger", || backup(&other, &place.join("copy.db"), &[]));
    assert_refused(place, 1, "No such file", || backup(&place.join("none.db"), &place.join("copy.db"), &[]));
    assert_refused(place, 1, "No such file", || backup(&ledger, &place.join("nowhere/copy.db"), &[]));
}

#[tokio::test]
async fn nothing_but_a_sound_backup_is_restored() {
    let (directory, ledger) = made_ledger().await;
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy.db");
    assert_done(&backup(&ledger, &copy, &[]));
    let sound = fs::read(&copy).unwrap();
    let mut damaged = sound.clone();
    let middle = damaged.len() / 2 / 4096 * 4096;
    damaged[middle..middle + 4096].fill(0xa5);
    let mut newer = sound.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    for (bytes, expected) in [
        (&damaged[..], "damaged"),
        (&sound[..sound.len() / 2], "damaged"),
        (&newer, "version 99"),
        (b"a file of another kind", "not a ledger"),
        (b"", "not a ledger"),
    ] {
        fs::write(&copy, bytes).unwrap();
        assert_refused(directory.path(), 65, expected, || restore(&copy, &ledger));
    }
    fs::remove_file(&copy).unwrap();
    assert_refused(directory.path(), 1, "No such file", || restore(&copy, &ledger));
}

#[tokio::test]
async fn a_ledger_in_use_is_not_replaced() {
    let (directory, ledger) = made_ledger().await;
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy.db");
    assert_done(&backup(&ledger, &copy, &[]));
    let aggregator = Aggregator::start_in(directory, &[], Timing::default()).await;
    // The aggregator may write to its files meanwhile, but they stay the same files.
    let paths = || files(aggregator.directory.path()).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    let state = || (paths(), fs::metadata(&ledger).unwrap().ino());
    let before = state();
    assert_fails(69, "in use", &restore(&copy, &ledger));
    assert_fails(69, "in use", &backup(&copy, &ledger, &["--force"]));
    assert_eq!(state(), before, "it was replaced");
    push_numbers(&mut aggregator.ingest().await, 1001..=1001).await;
    assert_eq!(items(&replay(&mut aggregator.feed().await, from_oldest()).await), numbers(1..=1001));
}
