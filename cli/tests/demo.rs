//! `coroner demo` on this machine, for real: what it explains, and that nothing of it stays. Needs root, as the demo
//! does.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

/// A running demo whose traces can be distinguished from those of others.
struct Demo {
    process: Child,
    directory: TempDir,
    mark: String,
}

impl Demo {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mark = format!("DEMO_TEST={}", directory.path().display());
        let (name, value) = mark.split_once('=').unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_coroner"));
        command.args(["demo", "-o", "json"]).env("TMPDIR", directory.path()).env(name, value);
        let process = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        Self { process, directory, mark }
    }

    /// Pids of the demo and of all that it has started.
    fn processes(&self) -> BTreeSet<u32> {
        let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        pids.filter(|pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == self.mark.as_bytes())
        })
        .collect()
    }

    /// Fails if anything of it is left. `seen` are its processes while it ran.
    fn assert_gone(self, seen: &BTreeSet<u32>) {
        assert!(seen.len() > 3, "aggregator, agent and victims should have been seen: {seen:?}");
        assert_eq!(self.processes(), BTreeSet::new());
        assert_eq!(fs::read_dir(self.directory.path()).unwrap().count(), 0, "files are left");
        let cgroup = format!("coroner-demo-{}", self.process.id());
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"] {
            assert!(!Path::new(root).join(&cgroup).exists(), "{root}/{cgroup} is left");
        }
        for tracefs in ["/sys/kernel/tracing/instances", "/sys/kernel/debug/tracing/instances"] {
            for instance in fs::read_dir(tracefs).into_iter().flatten() {
                let name = instance.unwrap().file_name().into_string().unwrap();
                assert!(
                    !seen.iter().any(|pid| name.starts_with(&format!("coroner-{pid}-"))),
                    "{tracefs}/{name} is left"
                );
            }
        }
    }
}

#[test]
fn five_deaths_are_explained_and_nothing_stays() {
    let mut demo = Demo::start();
    let stdout = BufReader::new(demo.process.stdout.take().unwrap());
    let mut seen = BTreeSet::new();
    let mut printed = Vec::new();
    for line in stdout.lines() {
        let diagnosis: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        printed.push((text(&diagnosis["subject"]["name"]), text(&diagnosis["cause"]), diagnosis["fatal"] == true));
        seen.extend(demo.processes());
    }
    let status = demo.process.wait().unwrap();
    let wanted = [
        ("oom-main", "CAUSE_OOM_CONTAINER_LIMIT", true),
        ("oom-child", "CAUSE_OOM_CONTAINER_LIMIT", false),
        ("segfault", "CAUSE_CRASH_SEGFAULT", true),
        ("exit-137", "CAUSE_APPLICATION_EXIT", true),
        ("kill-9", "CAUSE_KILLED_EXTERNALLY", true),
    ];
    let wanted = wanted.map(|(pod, cause, fatal)| (pod.to_owned(), cause.to_owned(), fatal));
    assert_eq!(printed, wanted, "{status}");
    assert_eq!(status.code(), Some(0));
    demo.assert_gone(&seen);
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let mut demo = Demo::start();
    let stdout = BufReader::new(demo.process.stdout.take().unwrap());
    // The second container keeps running after the report about it.
    assert_eq!(stdout.lines().take(2).map(Result::unwrap).count(), 2, "nothing was explained");
    let seen = demo.processes();
    kill(Pid::from_raw(i32::try_from(demo.process.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(demo.process.wait().unwrap().code(), Some(1));
    demo.assert_gone(&seen);
}

#[test]
fn a_killed_demo_leaves_no_process_behind() {
    let mut demo = Demo::start();
    let mut line = String::new();
    BufReader::new(demo.process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let top = Path::new("/sys/fs/cgroup/memory").join(format!("coroner-demo-{}", demo.process.id()));
    demo.process.kill().unwrap();
    demo.process.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !demo.processes().is_empty() {
        assert!(Instant::now() < deadline, "still there: {:?}", demo.processes());
        thread::sleep(Duration::from_millis(10));
    }
    // What only a demo can remove, the next one does.
    let tops = [top.clone(), Path::new("/sys/fs/cgroup").join(top.file_name().unwrap())];
    assert!(tops.iter().any(|top| top.exists()));
    let mut next = Demo::start();
    let mut line = String::new();
    BufReader::new(next.process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(tops.iter().all(|top| !top.exists()), "{tops:?}");
    // Its reader has gone now, which ends it without a complaint.
    let status = next.process.wait().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn what_begins_after_the_demo_is_gone_ends_at_once() {
    let (stdin, demos_end) = std::io::pipe().unwrap();
    drop(demos_end);
    let status =
        Command::new(env!("CARGO_BIN_EXE_coroner")).args(["demo-victim", "stay"]).stdin(stdin).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn without_root_it_fails_with_one_line() {
    // A place that every user may read.
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("coroner");
    fs::copy(env!("CARGO_BIN_EXE_coroner"), &program).unwrap();
    fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = Command::new(program).arg("demo").uid(65534).gid(65534).output().unwrap();
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{printed}");
    assert!(output.stdout.is_empty());
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert!(printed.contains("root"), "{printed}");
}
