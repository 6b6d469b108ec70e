//! Against the real kernel log.

use std::{fs::OpenOptions, io::Write};

use coroner_diagnosis::observation::Source;
use uuid::Uuid;

use super::*;
use crate::sources::testing::{Running, elsewhere, node};

/// Writes a record into the kernel log, as any program may that has the device.
fn write(text: &str) {
    // The line end closes the record: without it, the kernel waits for more and shows it to nobody.
    OpenOptions::new().write(true).open("/dev/kmsg").unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
}

async fn start(running: &mut Running, host: HostRoot, lookback: Duration) -> Health {
    running.start(Source::KernelLog, |site| spawn(site, host, lookback)).await
}

async fn find(running: &mut Running, text: &str) -> (Observation, Record) {
    running
        .until(|seen| match &seen.fact {
            Fact::KernelLog(record) if record.text == text => Some((seen.clone(), record.clone())),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_record_of_a_program_is_seen_and_never_passes_for_the_kernels_own() {
    let mut running = Running::new();
    assert_eq!(start(&mut running, node(), Duration::ZERO).await, Health::Ok);
    let mark = Uuid::now_v7();
    for (prefix, facility) in [("", 1), ("<3>", 1), ("<0>", 1), ("<30>", 3)] {
        let text = format!("{mark} {prefix}");
        let before = Timestamp::now();
        write(&format!("{prefix}{text}"));
        let (seen, record) = find(&mut running, &text).await;
        assert_eq!(record.facility, facility, "{text}");
        assert!(record.sequence.is_some());
        let second = Duration::from_secs(1);
        assert!(seen.happened_at >= before - second && seen.happened_at <= seen.seen_at, "{seen:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn the_backlog_is_handed_on_with_its_true_time_as_far_as_asked_for() {
    let old = Uuid::now_v7().to_string();
    write(&old);
    let written = Timestamp::now();
    let mut running = Running::new();
    start(&mut running, node(), LOOKBACK).await;
    let (seen, _) = find(&mut running, &old).await;
    // The lag of the log's clock is not known yet. On a machine that was suspended as a whole it may be some seconds.
    let lag = jiff::SignedDuration::from_mins(1);
    assert!(written.duration_since(seen.happened_at).abs() < lag, "{seen:?}");
    running.stop().await;

    // By the log's clock, what is written now may be older than the start; it is no backlog all the same.
    let since = Timestamp::now();
    let mut running = Running::new();
    start(&mut running, node(), Duration::ZERO).await;
    let new = Uuid::now_v7().to_string();
    write(&new);
    find(&mut running, &new).await;
    assert_eq!(running.seen.iter().find(|seen| seen.happened_at < since - lag), None);
    running.stop().await;
}

#[tokio::test]
async fn without_the_device_it_is_read_by_syslog() {
    let dev = tempfile::tempdir().unwrap();
    let host = HostRoot { dev: dev.path().to_owned(), ..node() };
    let old = Uuid::now_v7().to_string();
    write(&old);
    let mut running = Running::new();
    let health = start(&mut running, host, LOOKBACK).await;
    assert!(matches!(&health, Health::Degraded(reason) if reason.contains("kmsg") && reason.contains("syslog(2)")));
    find(&mut running, &old).await;

    let new = Uuid::now_v7().to_string();
    for text in [format!("{new} a"), format!("<3>{new} b")] {
        write(&text);
    }
    for text in [format!("{new} a"), format!("{new} b")] {
        let (seen, record) = find(&mut running, &text).await;
        assert_eq!((record.sequence, record.facility), (None, 1));
        assert!(seen.happened_at <= seen.seen_at);
    }
    let times = |text: &str| {
        running.seen.iter().filter(|seen| matches!(&seen.fact, Fact::KernelLog(r) if r.text == text)).count()
    };
    assert_eq!(times(&old), 1, "nothing is handed on twice");
    running.stop().await;
}

#[tokio::test]
#[ignore = "run in other circumstances by the test below"]
async fn probe() {
    let dev = tempfile::tempdir().unwrap();
    let mut running = Running::new();
    let host = HostRoot { dev: dev.path().to_owned(), ..node() };
    println!("{:?}", start(&mut running, host, LOOKBACK).await);
    running.stop().await;
}

#[test]
fn without_device_and_capability_it_is_absent_with_a_reason() {
    let wrapper = ["setpriv", "--bounding-set=-syslog,-sys_admin"];
    let said = elsewhere(&wrapper, "sources::kernel_log::tests::probe");
    assert!(said.contains("Absent(") && said.contains("syslog(2): Operation not permitted"), "{said}");
}
