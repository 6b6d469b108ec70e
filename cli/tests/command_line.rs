//! The program as scripts meet it: exit codes, and what goes to stdout and to stderr.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    net::TcpListener,
    os::unix::process::CommandExt,
    process::{Command, Output, Stdio},
};

fn coroner(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coroner"));
    command.args(args).env_remove("CORONER_AGGREGATOR").env_remove("COLUMNS").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    coroner(args).output().unwrap()
}

/// One line on stderr, nothing on stdout, and this exit code.
#[track_caller]
fn assert_refused(output: &Output, code: i32) -> String {
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

#[test]
fn a_wrong_command_line_is_usage() {
    let wrong: &[&[&str]] = &[
        &[],
        &["autopsy"],
        &["why"],
        &["get"],
        &["list", "--cause", "OLD_AGE"],
        &["list", "--severity", "loud"],
        &["list", "--since", "yesteryear"],
        &["list", "-o", "xml"],
        &["watch", "--since", "1h", "--from-oldest"],
    ];
    for args in wrong {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn help_and_version_are_answers() {
    for args in [["--help"], ["--version"]] {
        let output = run(&args);
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn without_an_aggregator_one_line_says_so() {
    // A port that was free a moment ago, and a socket that never was.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for url in [format!("http://127.0.0.1:{port}"), "unix:///nonexistent/coroner.sock".to_owned()] {
        for args in [&["why", "web"][..], &["list"], &["watch"], &["get", "some-uid"], &["status"]] {
            let told = assert_refused(&run(&[args, &["--aggregator", &url]].concat()), 69);
            assert!(told.starts_with(&format!("coroner: no aggregator at {url}: ")), "{told}");
        }
    }
}

#[test]
fn an_aggregator_that_cannot_be_asked_safely_is_usage() {
    let unsafe_or_wrong: &[&[&str]] = &[
        &["--aggregator", "http://192.0.2.1:7070"],
        &["--aggregator", "https://192.0.2.1:7070"],
        &["--aggregator", "https://192.0.2.1:7070", "--tls-ca", "/nonexistent/ca.pem"],
        &["--aggregator", "not a url"],
    ];
    for args in unsafe_or_wrong {
        assert_refused(&run(&[&["list"][..], args].concat()), 2);
    }
}

#[test]
fn a_pod_with_two_namespaces_is_usage() {
    assert_refused(&run(&["why", "shop/web", "-n", "other"]), 2);
    assert_refused(&run(&["why", "a/b/c"]), 2);
}

#[test]
fn as_a_plugin_of_kubectl_it_calls_itself_so() {
    let output = coroner(&["why", "--help"]).arg0("/usr/local/bin/kubectl-coroner").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("Usage: kubectl coroner why "), "{help}");
}

#[test]
fn a_hostile_argument_is_not_echoed_to_the_terminal() {
    let output = run(&["why", "web/\u{1b}]52;c;eA==\u{7}/x"]);
    let told = assert_refused(&output, 2);
    assert!(!told.contains(['\u{1b}', '\u{7}']), "{told:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = coroner(&["causes"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{output:?}");
}
