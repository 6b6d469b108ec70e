//! Logging never fails or blocks because of stderr: child processes of this test log to a stderr that is broken, that
//! is not read, or that is read.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    io::{Read as _, pipe},
    process::{Command, Stdio},
};

use coroner_runtime::logging::{self, Format};
use tracing::{error, info, warn};

/// What a process prints on stdout when it got past its log.
const DONE: &str = "all was logged";

/// Not a test by itself: logs more than a pipe holds (64 KiB), in lines longer than a pipe takes at once.
#[test]
#[ignore = "run by the others, in a process of its own"]
fn logs() {
    logging::start(if std::env::var_os("JSON").is_some() { Format::Json } else { Format::Text });
    let long = "x".repeat(5000);
    for n in 0..1000 {
        warn!(target: "coroner", n, long, "Repeated");
    }
    error!(target: "coroner", "Last");
    info!(target: "hyper", "Foreign");
    println!("{DONE}");
}

fn logging_process(stderr: impl Into<Stdio>, json: bool) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "logs", "--ignored", "--nocapture"]).stdout(Stdio::piped()).stderr(stderr);
    command.env_remove("RUST_LOG");
    if json {
        command.env("JSON", "");
    }
    command.spawn().unwrap()
}

fn assert_done(process: std::process::Child) {
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(DONE), "{output:?}");
}

#[test]
fn a_stderr_whose_reader_is_gone_does_no_harm() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    assert_done(logging_process(writer, false));
}

#[test]
fn a_stderr_without_a_reader_blocks_nothing() {
    let (reader, writer) = pipe().unwrap();
    assert_done(logging_process(writer, false));
    drop(reader);
}

#[test]
fn a_full_device_does_no_harm() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    assert_done(logging_process(full, true));
}

#[test]
fn what_repeats_is_limited_and_what_is_foreign_left_out() {
    for json in [false, true] {
        let (mut reader, writer) = pipe().unwrap();
        let process = logging_process(writer, json);
        let mut log = String::new();
        reader.read_to_string(&mut log).unwrap();
        assert_done(process);
        let lines = |part: &str| log.lines().filter(|line| line.contains(part)).count();
        assert_eq!((lines("Repeated"), lines("Last"), lines("Foreign")), (30, 1, 0), "{log}");
        if json {
            assert!(log.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{log}");
        }
    }
}
