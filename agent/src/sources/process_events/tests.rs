//! Against the real process connector.

use std::{io::Write, process::Child};

use coroner_diagnosis::observation::{
    Source,
    process::{Process, WaitStatus},
};

use super::*;
use crate::sources::testing::{ContainerCgroup, Running, elsewhere, line_from, node, pid_of, reap, shown};

async fn started(running: &mut Running, host: HostRoot) -> Health {
    running
        .start(Source::ProcessEvents, |site| {
            spawn(site, host, Connector::default(), Hints::default(), NodeState::default())
        })
        .await
}

async fn end_of(running: &mut Running, pid: i32) -> WaitStatus {
    running
        .until(|seen| match &seen.fact {
            Fact::ProcessExit(exit) if exit.pid == pid => Some(exit.status),
            _ => None,
        })
        .await
}

async fn beginning_of(running: &mut Running, mut is: impl FnMut(&Process) -> bool) -> Process {
    running
        .until(|seen| match &seen.fact {
            Fact::Process(process) if is(process) => Some(process.clone()),
            _ => None,
        })
        .await
}

fn write(child: &mut Child, line: &str) {
    child.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
}

#[tokio::test]
async fn exit_137_is_distinguished_from_a_kill_and_processes_are_known_before_they_end() {
    let mut running = Running::new();
    assert_eq!(started(&mut running, node()).await, Health::Ok);
    let cgroup = ContainerCgroup::new();
    for (line, code, status) in [
        ("exit 137\n", 137, WaitStatus::Exited(137)),
        ("kill -9 $$\n", -9, WaitStatus::Signaled(9)),
        ("kill -11 $$\n", -11, WaitStatus::Signaled(11)),
        ("exit 0\n", 0, WaitStatus::Exited(0)),
    ] {
        let mut child = cgroup.run("read line; eval $line");
        let pid = pid_of(&child);
        let process = beginning_of(&mut running, |process| process.pid == pid).await;
        assert_eq!(process.cgroup, cgroup.path);
        assert_eq!((process.name.as_str(), process.parent), ("sh", i32::try_from(std::process::id()).unwrap()));
        assert_eq!(process.namespaced_pid, Some(pid));
        write(&mut child, line);
        assert_eq!(reap(child), code);
        assert_eq!(end_of(&mut running, pid).await, status);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_forked_process_is_reported_whether_it_settles_or_ends_at_once() {
    let mut running = Running::new();
    started(&mut running, node()).await;
    let cgroup = ContainerCgroup::new();
    // A subshell that waits, and one that ends.
    let mut child = cgroup.run("exec 3<&0; (read line <&3; exit 3) & (exit 4); wait $!; exit 5");
    let pid = pid_of(&child);
    let settled = beginning_of(&mut running, |process| process.parent == pid).await;
    assert_eq!(settled.cgroup, cgroup.path);
    write(&mut child, "go\n");
    assert_eq!(reap(child), 5);
    assert_eq!(end_of(&mut running, settled.pid).await, WaitStatus::Exited(3));
    assert_eq!(end_of(&mut running, pid).await, WaitStatus::Exited(5));
    let ends =
        |status| running.seen.iter().any(|seen| matches!(&seen.fact, Fact::ProcessExit(exit) if exit.status == status));
    assert!(ends(WaitStatus::Exited(4)));
    running.stop().await;
}

#[tokio::test]
async fn what_ran_before_the_start_is_known_too() {
    let cgroup = ContainerCgroup::new();
    let mut child = cgroup.run("echo ready; read line; exit 7");
    let pid = pid_of(&child);
    line_from(&mut child);
    let mut running = Running::new();
    started(&mut running, node()).await;
    beginning_of(&mut running, |process| process.pid == pid && process.cgroup == cgroup.path).await;
    write(&mut child, "go\n");
    reap(child);
    assert_eq!(end_of(&mut running, pid).await, WaitStatus::Exited(7));
    running.stop().await;
}

#[tokio::test]
async fn without_proc_it_is_absent_with_a_reason() {
    let root = tempfile::tempdir().unwrap();
    let mut running = Running::new();
    let health = started(&mut running, HostRoot::at(root.path())).await;
    assert!(matches!(&health, Health::Absent(reason) if reason.text().contains("proc")), "{health:?}");
    running.stop().await;
}

#[tokio::test]
#[ignore = "run in other circumstances by the tests below"]
async fn probe() {
    let mut running = Running::new();
    println!("{}", shown(&started(&mut running, node()).await));
    running.stop().await;
}

#[test]
fn where_the_connector_cannot_be_reached_it_is_absent_with_a_reason() {
    for (wrapper, reason) in
        [(&["unshare", "--net"][..], "network namespace"), (&["unshare", "--pid", "--fork"], "pid and user namespace")]
    {
        let output = elsewhere(wrapper, "sources::process_events::tests::probe");
        assert!(output.contains("Absent(") && output.contains(reason), "{output}");
    }
}
