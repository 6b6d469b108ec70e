//! The program as scripts meet it: exit codes, and what goes to stdout and to stderr.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    net::TcpListener,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Output, Stdio},
};

fn coroner(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coroner"));
    command.args(args).env("LC_ALL", "C").env_remove("CORONER_AGGREGATOR").env_remove("COLUMNS").stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    coroner(args).output().unwrap()
}

/// One line on stderr, nothing on stdout, and this exit code.
#[track_caller]
fn assert_refused(output: &Output, code: i32) -> String {
    let printed = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{printed}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert_eq!(printed.lines().count(), 1, "{printed}");
    printed
}

#[test]
fn a_wrong_command_line_is_usage() {
    let wrong: &[&[&str]] = &[
        &[],
        &["autopsy"],
        &["why"],
        &["get"],
        &["get", "some-uid"],
        &["list", "--cause", "OLD_AGE"],
        &["list", "--severity", "high"],
        &["list", "--since", "yesteryear"],
        &["list", "--since", "1h", "--until", "2h"],
        &["why", "cm/settings"],
        &["why", "shop", "web"],
        &["list", "-A", "-n", "shop"],
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
    let version = String::from_utf8(run(&["--version"]).stdout).unwrap();
    assert!(version.starts_with(concat!("coroner ", env!("CARGO_PKG_VERSION"))), "{version}");
}

#[test]
fn completions_contain_the_causes_and_other_values() {
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(run(&["completion", shell]).stdout).unwrap();
        assert!(script.contains("OOM_NODE") && script.contains("critical"), "{shell}");
    }
    let output = run(&["__complete", "list", "--cause", "OOM_NOD"]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"OOM_NODE\n:4\n"[..]));
}

#[test]
fn a_variable_of_the_environment_is_not_shown_as_required() {
    let output = coroner(&["why"]).env("CORONER_AGGREGATOR", "http://127.0.0.1:7070").output().unwrap();
    let printed = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && printed.contains("Usage: coroner why <"), "{printed}");
}

/// The commands that help shows, except help itself.
const COMMANDS: [&str; 10] = ["why", "list", "watch", "get", "status", "causes", "replay", "demo", "completion", "man"];

#[test]
fn every_command_has_examples_and_options_in_groups() {
    for command in COMMANDS {
        let help = String::from_utf8(run(&[command, "--help"]).stdout).unwrap();
        for part in ["\nUsage: coroner ", "\nOutput:\n", "\nAggregator:\n", "\nExamples:\n  "] {
            assert!(help.contains(part), "{command} lacks {part:?}: {help}");
        }
    }
}

#[test]
fn without_a_command_help_is_shown_and_nothing_hidden() {
    let output = run(&[]);
    let help = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
    }
    assert!(!help.contains("demo-victim"), "{help}");
    assert!(help.starts_with("Explains why containers, pods and nodes died on Kubernetes\n"), "{help}");
    // A variable of the environment is no argument.
    let output = coroner(&[]).env("CORONER_AGGREGATOR", "http://[::1]:1").output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), help);
}

#[test]
fn the_manual_of_a_command_is_asked_for_by_its_name() {
    let output = run(&["man", "why"]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && page.contains(".TH why"), "{page}");
    assert!(!Path::new("why").exists());
}

#[test]
fn completions_and_manual_name_every_command_and_nothing_hidden() {
    let mut texts = Vec::new();
    for args in [&["completion", "bash"][..], &["completion", "zsh"], &["completion", "fish"], &["man"]] {
        let output = run(args);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
        texts.push(String::from_utf8(output.stdout).unwrap());
    }
    for text in texts {
        assert!(COMMANDS.iter().all(|command| text.contains(command)) && !text.contains("demo-victim"), "{text}");
    }
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(run(&["man", &directory.path().display().to_string()]).status.code(), Some(0));
    for command in COMMANDS {
        let page = directory.path().join(format!("coroner-{command}.1"));
        assert!(std::fs::read_to_string(&page).unwrap().contains("Examples:"), "{}", page.display());
    }
    assert!(directory.path().join("coroner.1").exists() && !directory.path().join("coroner-demo-victim.1").exists());
}

#[test]
fn causes_have_one_spelling_and_all_are_listed() {
    let names = String::from_utf8(run(&["causes", "-o", "name"]).stdout).unwrap();
    assert!(names.lines().any(|name| name == "OOM_NODE"), "{names}");
    assert!(names.lines().all(|name| !name.starts_with("CAUSE_")), "{names}");
    for row in coroner_diagnosis::catalogue::rows() {
        let name = row.cause.as_str_name().trim_start_matches("CAUSE_");
        assert!(names.lines().any(|listed| listed == name), "{name}");
    }
    let one = String::from_utf8(run(&["causes", "KubeletDown"]).stdout).unwrap();
    assert!(one.contains("KUBELET_DOWN"), "{one}");
}

#[test]
fn every_cause_is_given_by_a_rule() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../diagnosis/src");
    let mut rules = String::new();
    for part in ["rules", "rules.rs", "cluster", "cluster.rs", "triage", "case", "report", "report.rs", "verdict.rs"] {
        read_all(&sources.join(part), &mut rules);
    }
    for row in coroner_diagnosis::catalogue::rows() {
        let name = format!("{:?}", row.cause);
        let is_named = rules.split(|c: char| !c.is_alphanumeric()).any(|token| token == name);
        assert!(is_named, "{name}");
    }
}

fn read_all(path: &std::path::Path, text: &mut String) {
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| read_all(&entry.unwrap().path(), text));
    } else {
        text.push_str(&std::fs::read_to_string(path).unwrap());
    }
}

#[test]
fn without_an_aggregator_it_fails_with_one_line() {
    // A port that was free a moment ago, and a socket that never was.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for url in [format!("http://127.0.0.1:{port}"), "unix:///nonexistent/coroner.sock".to_owned()] {
        for args in [&["why", "web"][..], &["list"], &["watch"], &["get", "5b0c3a5e"], &["status"]] {
            let printed = assert_refused(&run(&[args, &["--aggregator", &url]].concat()), 69);
            assert!(printed.starts_with(&format!("coroner: no aggregator at {url}: ")), "{printed}");
            for way in ["--aggregator", "CORONER_AGGREGATOR", "kubectl -n coroner exec"] {
                assert!(printed.contains(way), "{printed}");
            }
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
    let printed = assert_refused(&output, 2);
    assert!(!printed.contains(['\u{1b}', '\u{7}']), "{printed:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = coroner(&["causes"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{output:?}");
}
