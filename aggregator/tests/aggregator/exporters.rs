//! Exporters against receivers that fail in every way: nothing is lost or reordered, what comes twice has the same id,
//! and what is refused for good is kept apart.

pub(crate) mod daemon;
mod others;
mod otlp;
mod support;

use std::{fs, time::Duration};

use coroner_proto::v1::{GapReason, OutboxRecord, outbox_record::Record};
use coroner_runtime::backoff::Pace;
use tonic::{Code, Status};

use self::{
    otlp::Receiver,
    support::{Exporting, lines, numbers},
};
use crate::{
    process::Program,
    support::{Ingest, channel, push, push_numbers, uid},
};

const QUICK: Pace =
    Pace { first: Duration::from_millis(10), longest: Duration::from_millis(20), hold: Duration::from_millis(30) };

#[tokio::test]
async fn what_is_no_records_fault_is_sent_again_whatever_the_status() {
    let receiver = Receiver::start().await;
    let exporting = Exporting::start(&[&receiver.url()], QUICK).await;
    let codes = [
        Code::Cancelled,
        Code::Unknown,
        Code::DeadlineExceeded,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
        Code::Unauthenticated,
    ];
    for (n, code) in (1..).zip(codes) {
        receiver.refuse_next(Status::new(code, "not now"));
        exporting.append(n..=n).await;
        receiver.until(|records| records.len() as u64 == n).await;
    }
    let sent: Vec<_> = (1..=12).map(|n| format!("{}:1", uid(n))).collect();
    assert_eq!(receiver.ids(), sent);
    assert!(exporting.dead_letters().is_empty());
}

#[tokio::test]
async fn a_record_that_is_refused_for_good_becomes_a_dead_letter_and_holds_up_no_other() {
    for code in [Code::InvalidArgument, Code::OutOfRange, Code::DataLoss] {
        let receiver = Receiver::start().await;
        receiver.refuse_always("number 5", Status::new(code, "never\nthat"));
        let exporting = Exporting::start_behind(&[&receiver.url()], QUICK, 1..=9).await;
        receiver.until(|records| records.len() == 8).await;
        assert_eq!(receiver.bodies(), numbers([1, 2, 3, 4, 6, 7, 8, 9]), "{code:?}");
        let letters = exporting.dead_letters();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0]["record"]["diagnosis"]["summary"], "number 5");
        let reason = letters[0]["reason"].as_str().unwrap();
        assert!(reason.contains("never\\nthat"), "{reason}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_cut_until_it_fits() {
    let receiver = Receiver::start().await;
    receiver.take_at_most(3, Status::resource_exhausted("message larger than max"));
    let _exporting = Exporting::start_behind(&[&receiver.url()], QUICK, 1..=20).await;
    receiver.until(|records| records.len() == 20).await;
    assert_eq!(receiver.bodies(), numbers(1..=20));
}

#[tokio::test]
async fn a_receiver_that_asks_for_patience_is_given_it() {
    let receiver = Receiver::start().await;
    let wish = Duration::from_millis(400);
    receiver.refuse_next(otlp::throttle(Code::ResourceExhausted, wish));
    receiver.refuse_next(otlp::throttle(Code::Unavailable, wish));
    let _exporting = Exporting::start_behind(&[&receiver.url()], QUICK, 1..=3).await;
    receiver.until(|records| records.len() == 3).await;
    let calls = receiver.calls();
    assert_eq!(calls.len(), 3);
    for pair in calls.windows(2) {
        assert!(pair[1] - pair[0] >= wish, "{calls:?}");
    }
}

#[tokio::test]
async fn what_is_rejected_in_part_is_not_sent_again_but_kept() {
    let receiver = Receiver::start().await;
    receiver.reject_part_of_next(1, "too old");
    let exporting = Exporting::start_behind(&[&receiver.url()], QUICK, 1..=2).await;
    support::until(|| exporting.dead_letters().len() == 2).await;
    assert_eq!(exporting.dead_letters()[0]["reason"], "the receiver rejected 1 of 2 records: too old");
    exporting.append(3..=3).await;
    receiver.until(|records| records.len() == 3).await;
    assert_eq!(receiver.bodies(), numbers(1..=3));
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_up_neither_another_exporter_nor_the_end() {
    let receiver = Receiver::start().await;
    receiver.never_answer();
    let exporting = Exporting::start_behind(&[&receiver.url(), "file://{}/out.jsonl"], QUICK, 1..=700).await;
    let out = exporting.directory().join("out.jsonl");
    support::until(|| lines(&out).len() == 700).await;
    exporting.stop().await;
}

#[tokio::test]
async fn what_retention_removed_before_it_was_sent_is_replaced_by_a_gap() {
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let port = receiver.stop().await;
    let exporting = Exporting::start_forgetful(&[&url], QUICK, 1..=700).await;
    // The first batch has been read, and is not lost.
    exporting.expire_all().await;
    exporting.append(701..=702).await;
    let receiver = Receiver::start_at(port).await;
    receiver.until(|records| records.len() == 503).await;
    let records = receiver.records();
    assert_eq!(receiver.bodies()[..500], numbers(1..=500));
    assert_eq!(records[500].event_name, "coroner.gap");
    assert_eq!(support::attribute(&records[500], "coroner.gap.lost_count"), Some("200".into()));
    assert_eq!(support::attribute(&records[500], "coroner.gap.reason"), Some("retention".into()));
    assert_eq!(receiver.bodies()[501..], numbers(701..=702));
}

#[tokio::test]
async fn an_exporter_that_is_new_begins_with_the_oldest_record_and_misses_nothing_before_it() {
    let exporting = Exporting::start_forgetful(&[], QUICK, 1..=5).await;
    exporting.expire_all().await;
    exporting.append(6..=7).await;
    let out = exporting.directory().join("out.jsonl");
    exporting.add("file://{}/out.jsonl").await;
    support::until(|| lines(&out).len() == 2).await;
    assert_eq!(lines(&out)[0]["diagnosis"]["summary"], "number 6");
}

#[tokio::test]
async fn a_damaged_cursor_has_everything_sent_again() {
    let exporting = Exporting::start_behind(&["file://{}/out.jsonl?name=siem"], QUICK, 1..=3).await;
    let (out, directory) = (exporting.directory().join("out.jsonl"), exporting.directory().join("ledger.db.export"));
    support::until(|| lines(&out).len() == 3).await;
    let _exporting = exporting.restart_after(|| fs::write(directory.join("siem.cursor"), "01ab").unwrap()).await;
    support::until(|| lines(&out).len() == 6).await;
    let written = lines(&out);
    assert_eq!(written[..3], written[3..]);
}

#[tokio::test]
async fn otlp_over_tls_shows_the_secret_to_the_right_receiver_only() {
    let place = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(place.path().join("ca.crt"), made.cert.pem()).unwrap();
    fs::write(place.path().join("other.crt"), other.cert.pem()).unwrap();
    fs::write(place.path().join("headers"), "Authorization: Bearer hunter2\n").unwrap();
    let receiver = Receiver::start_with_tls(&made.cert.pem(), &made.signing_key.serialize_pem()).await;
    let port = receiver.url().rsplit_once(':').unwrap().1.to_owned();
    let place = place.path().display();
    let target =
        |ca: &str| format!("otlp+https://localhost:{port}?ca={place}/{ca}&header-file={place}/headers&name={ca}");
    let _exporting = Exporting::start_behind(&[&target("other.crt"), &target("ca.crt")], QUICK, 1..=3).await;
    receiver.until(|records| records.len() == 3).await;
    assert_eq!(receiver.bodies(), numbers(1..=3));
    assert_eq!(receiver.secrets(), ["Bearer hunter2"]);
}

#[tokio::test]
async fn another_ledger_is_reported_and_then_exported_from_its_beginning() {
    let receiver = Receiver::start().await;
    let exporting = Exporting::start_behind(&[&receiver.url()], QUICK, 1..=5).await;
    receiver.until(|records| records.len() == 5).await;
    let exporting = exporting.restart_with_another_ledger(11..=12).await;
    receiver.until(|records| records.len() == 8).await;
    assert_eq!(receiver.records()[5].event_name, "coroner.gap");
    assert_eq!(receiver.bodies()[6..], numbers(11..=12));
    // Once.
    let exporting = exporting.restart().await;
    exporting.append(13..=13).await;
    receiver.until(|records| records.len() == 9).await;
    assert_eq!(receiver.bodies()[8..], numbers([13]));
}

#[tokio::test]
async fn only_what_the_filter_lets_through_is_exported_and_gaps_always() {
    let exporting = Exporting::start(
        &[
            "file://{}/other.jsonl?namespaces=other",
            "file://{}/severe.jsonl?min-severity=critical",
            "file://{}/all.jsonl",
        ],
        QUICK,
    )
    .await;
    exporting.append(1..=3).await;
    exporting.append_gap(9).await;
    for (name, count) in [("other", 1), ("severe", 1), ("all", 4)] {
        let path = exporting.directory().join(format!("{name}.jsonl"));
        support::until(|| lines(&path).len() == count).await;
        assert_eq!(lines(&path)[count - 1]["gap"]["lostCount"], "9");
    }
}

#[tokio::test]
async fn everything_arrives_in_order_though_aggregator_and_receiver_are_killed() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, out) = (directory.path().join("ledger.db"), directory.path().join("out.jsonl"));
    let mut receiver = Receiver::start().await;
    let exports = [receiver.url(), format!("file://{}", out.display())];
    let flags: Vec<&str> = exports.iter().flat_map(|export| ["--export", export]).collect();
    let (rounds, size) = (8, 400);
    let mut program = Program::start_with(&ledger, &flags);
    for round in 0..rounds {
        let mut ingest = Ingest::new(channel(&program.url).await);
        let first = round * size + 1;
        push_numbers(&mut ingest, first..=first + size - 1).await;
        // At another point of the work each time.
        let seen = first + round * size / rounds;
        match round % 3 {
            0 => receiver.until(|records| records.len() as u64 >= seen).await,
            1 => support::until(|| lines(&out).len() as u64 >= seen).await,
            _ => receiver = receiver.restart().await,
        }
        program.kill();
        program = Program::start_with(&ledger, &flags);
    }
    let last = rounds * size;
    let is_last = |record: &support::LogRecord| support::body(record) == format!("number {last}");
    receiver.until(|records| records.last().is_some_and(is_last)).await;
    support::until(|| lines(&out).last().is_some_and(|line| line["id"] == format!("{}:1", uid(last)))).await;
    let written = lines(&out).iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect();
    for (way, ids) in [("OTLP", receiver.ids()), ("file", written)] {
        support::assert_in_order(way, &ids, (1..=last).map(|n| format!("{}:1", uid(n))));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_waited_for() {
    let exporting = Exporting::start(&["file://{}/later/out.jsonl"], QUICK).await;
    exporting.append(1..=3).await;
    let directory = exporting.directory().join("later");
    fs::create_dir(&directory).unwrap();
    support::until(|| lines(&directory.join("out.jsonl")).len() == 3).await;
}

#[tokio::test]
async fn exporters_that_would_share_a_cursor_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--export", "file:///a?name=x", "--export", "file:///b?name=x"];
    let (code, output) = crate::process::refusal(&directory.path().join("ledger.db"), &flags);
    assert_ne!(code, 0);
    assert!(output.contains("two exporters are called x"), "{output}");
    let (code, output) = crate::process::refusal(&directory.path().join("ledger.db"), &["--export", "gopher://h"]);
    assert!(code == 2 && output.contains("is none of"), "{output}");
}

/// Appended through intake, as an agent would.
#[tokio::test]
async fn gaps_of_agents_go_the_same_way() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, out) = (directory.path().join("ledger.db"), directory.path().join("out.jsonl"));
    let export = format!("file://{}", out.display());
    let program = Program::start_with(&ledger, &["--export", &export]);
    let mut ingest = Ingest::new(channel(&program.url).await);
    let mut request = push(1, [Record::Diagnosis(crate::support::diagnosis(1))]);
    request.records.push(OutboxRecord { sequence: 2, record: Some(Record::Gap(crate::support::gap(3))) });
    ingest.push_diagnoses(request).await.unwrap();
    support::until(|| lines(&out).len() == 2).await;
    assert_eq!(lines(&out)[1]["gap"]["reason"], GapReason::Overrun.as_str_name());
}
