//! `coroner replay` on a small made-up case: what comes out, and what a broken case leads to.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

const ID: &str = "6f1e6f1e6f1e6f1e6f1e6f1e6f1e6f1e6f1e6f1e6f1e6f1e6f1e6f1e6f1e6f1e";
const POD: &str = "1d5c0a52-9d0c-4c0e-8f58-6d8a3c1b7e11";
/// Unix time of the case's start, which is also the machine's boot.
const START: i64 = 1_795_168_000_000_000_000;

/// A line of a source, so many milliseconds after the start.
fn line(millis: i64, rest: &str) -> String {
    format!("{{\"t\": {}, {rest}}}\n", START + millis * 1_000_000)
}

fn record(millis: i64, sequence: u32, text: &str) -> String {
    line(millis, &format!(r#""record": "6,{sequence},{},-;{text}""#, millis * 1000))
}

fn container(millis: i64, state: &str, rest: &str) -> String {
    let labels = format!(
        r#""io.kubernetes.container.name": "app", "io.kubernetes.pod.name": "web", "io.kubernetes.pod.namespace": "shop",
           "io.kubernetes.pod.uid": "{POD}""#
    );
    let status = format!(
        r#""container": {{"status": {{"id": "{ID}", "metadata": {{"name": "app", "attempt": 0}}, "state": "{state}",
           "labels": {{{labels}}}, "annotations": {{}}, "createdAt": "{START}", "startedAt": "{START}" {rest}}}, "info": {{}}}}"#
    );
    line(millis, &status.replace('\n', " "))
}

/// A container that is killed at its own limit of 64 MiB.
fn case() -> TempDir {
    let cgroup = format!("/kubepods/burstable/pod{POD}/{ID}");
    let oom = format!(
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={ID},mems_allowed=0,oom_memcg={cgroup},task_memcg={cgroup},task=eater,pid=4242,uid=0"
    );
    let killed = "Memory cgroup out of memory: Killed process 4242 (eater) total-vm:70000kB, anon-rss:65000kB, file-rss:400kB, shmem-rss:0kB, UID:0 pgtables:200kB oom_score_adj:900";
    let kmsg = [record(2000, 1, &oom), record(2000, 2, killed)].concat();
    let ended = format!(r#", "finishedAt": "{}", "exitCode": 137, "reason": "OOMKilled""#, START + 2_010_000_000);
    let cri = [container(500, "CONTAINER_RUNNING", ""), container(2300, "CONTAINER_EXITED", &ended)].concat();
    let directory = tempfile::tempdir().unwrap();
    let end = START + 30_000_000_000;
    let case = format!(
        r#"{{"start": {START}, "end": {end}, "boot_offset_ns": {START}, "namespace": "shop", "node": {{"node_name": "worker-3"}}}}"#
    );
    for (name, text) in [("case.json", case), ("kmsg.ndjson", kmsg), ("cri_containers.ndjson", cri)] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn replay(case: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_coroner")).arg("replay").arg(case).args(args).output().unwrap()
}

#[track_caller]
fn assert_unreadable(case: &Path, names: &str) {
    let output = replay(case, &["-o", "json"]);
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(65), "{printed}");
    assert!(output.stdout.is_empty());
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert!(printed.contains(names), "{printed}");
}

#[test]
fn a_case_leads_to_its_verdict_in_every_format() {
    let case = case();
    let output = replay(case.path(), &["--output", "json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{lines}");
    let diagnoses: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fatal: Vec<&Value> = diagnoses.iter().filter(|diagnosis| diagnosis["fatal"] == true).collect();
    let [diagnosis] = fatal.as_slice() else { panic!("{lines}") };
    assert_eq!(diagnosis["cause"], "CAUSE_OOM_CONTAINER_LIMIT");
    assert_eq!(diagnosis["subject"]["name"], "web");
    assert_eq!(diagnosis["subject"]["node"], "worker-3");
    assert_eq!(diagnosis["eventTime"].as_str().unwrap().get(..19), Some("2026-11-20T09:46:42"));

    let text = |args: &[&str]| String::from_utf8(replay(case.path(), args).stdout).unwrap();
    let page = text(&[]);
    assert!(page.starts_with("shop/web  container app  "), "{page}");
    assert!(page.contains("\n  Evidence   "), "{page}");
    let table = text(&["-o", "table"]);
    assert!(table.starts_with("AGE "), "{table}");
    assert!(table.contains(" OOM_CONTAINER_LIMIT "), "{table}");
    let documents = text(&["-o", "yaml"]).lines().filter(|line| *line == "---").count();
    assert_eq!(documents, diagnoses.len());
}

#[test]
fn the_same_case_always_gives_the_same_output() {
    let case = case();
    let first = replay(case.path(), &["-o", "json"]).stdout;
    assert!(!first.is_empty());
    assert_eq!(first, replay(case.path(), &["-o", "json"]).stdout);
}

#[test]
fn a_case_without_deaths_is_an_answer_without_data() {
    let case = case();
    for file in ["kmsg.ndjson", "cri_containers.ndjson"] {
        fs::write(case.path().join(file), "").unwrap();
    }
    let output = replay(case.path(), &["-o", "json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
}

#[test]
fn an_unreadable_case_is_reported_with_file_and_line() {
    let case = case();
    let kmsg = case.path().join("kmsg.ndjson");
    let good = fs::read_to_string(&kmsg).unwrap();
    fs::write(&kmsg, format!("{good}{{\"t\": 17\n")).unwrap();
    assert_unreadable(case.path(), "kmsg.ndjson, line 3");
    fs::write(&kmsg, [0xff, 0xfe]).unwrap();
    assert_unreadable(case.path(), "kmsg.ndjson");
    assert_unreadable(&case.path().join("nowhere"), "nowhere");
    assert_unreadable(&kmsg, "kmsg.ndjson");
    fs::write(&kmsg, good).unwrap();
    fs::write(case.path().join("case.json"), "{}").unwrap();
    assert_unreadable(case.path(), "case.json");
}

#[test]
fn a_hostile_case_cannot_drive_the_terminal() {
    let case = case();
    fs::write(case.path().join("kmsg.ndjson"), "\u{1b}]52;c;eA==\u{7}\n").unwrap();
    let output = replay(case.path(), &[]);
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(65), "{printed}");
    assert!(!printed.contains(['\u{1b}', '\u{7}']), "{printed:?}");
}
