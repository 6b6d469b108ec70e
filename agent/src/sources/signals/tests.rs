//! Against the real tracefs.

use std::process::Command;

use coroner_diagnosis::observation::{Health, Source};
use nix::{
    sys::signal::{self, Signal as Number},
    unistd::Pid,
};

use super::*;
use crate::sources::testing::{ContainerCgroup, Running, elsewhere, line_from, node, pid_of, reap, shown};

/// By each of the two ways.
async fn started() -> [Running; 2] {
    let mut all = [Running::new(), Running::new()];
    let [by_perf, by_tracefs] = &mut all;
    let by_perf = by_perf.start(Source::Signals, |site| {
        site.thread(&site.outlet(Source::Signals), |worker| perf::Watch::open(&node())?.run(worker, &node()));
    });
    let by_tracefs = by_tracefs.start(Source::Signals, |site| {
        site.thread(&site.outlet(Source::Signals), |worker| tracefs::run(worker, &node()));
    });
    assert_eq!([by_perf.await, by_tracefs.await], [Health::Ok, Health::Ok]);
    all
}

async fn find(running: &mut Running, number: i32, target: i32) -> Signal {
    running
        .until(|seen| match &seen.fact {
            Fact::Signal(signal) if signal.signal == number && signal.target.tid == target => Some(signal.clone()),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_kill_is_seen_with_its_sender_and_its_target() {
    for mut running in started().await {
        let cgroup = ContainerCgroup::new();
        let child = cgroup.run("read line");
        let pid = pid_of(&child);
        signal::kill(Pid::from_raw(pid), Number::SIGKILL).unwrap();
        assert_eq!(reap(child), -9);
        let signal = find(&mut running, 9, pid).await;
        assert_eq!((signal.code, signal.group), (0, true));
        let sender = signal.sender_process.unwrap();
        assert_eq!(sender.pid.cast_unsigned(), std::process::id());
        assert_eq!(sender.exe.unwrap(), std::env::current_exe().unwrap().to_str().unwrap());
        running.stop().await;
    }
}

#[tokio::test]
async fn a_target_in_a_container_is_reported_before_it_ends() {
    for mut running in started().await {
        let cgroup = ContainerCgroup::new();
        let mut child = cgroup.run("trap : TERM; echo ready; while :; do read line; done");
        let pid = pid_of(&child);
        line_from(&mut child);
        signal::kill(Pid::from_raw(pid), Number::SIGTERM).unwrap();
        let process = running
            .until(|seen| match &seen.fact {
                Fact::Process(process) if process.pid == pid => Some(process.clone()),
                _ => None,
            })
            .await;
        assert_eq!(process.cgroup, cgroup.path);
        child.kill().unwrap();
        reap(child);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_sender_that_is_gone_at_once_is_known_by_its_thread() {
    for mut running in started().await {
        let victim = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = pid_of(&victim);
        let kill = Command::new("sh").args(["-c", &format!("exec kill -TERM {pid}")]).spawn().unwrap();
        let sender = pid_of(&kill);
        assert_eq!((reap(kill), reap(victim)), (0, -15));
        let signal = find(&mut running, 15, pid).await;
        assert_eq!(signal.sender.tid, sender);
        assert!(["kill", "<...>"].contains(&signal.sender.comm.as_str()), "{signal:?}");
        running.stop().await;
    }
}

#[tokio::test]
#[ignore = "run in other circumstances by the tests below"]
async fn probe() {
    let mut running = Running::new();
    let health = running.start(Source::Signals, |site| spawn(site, node())).await;
    println!("{}", shown(&health));
    running.stop().await;
}

const PROBE: &str = "sources::signals::tests::probe";
/// Without CAP_PERFMON, nor what includes it.
const NO_PERF: [&str; 2] = ["setpriv", "--bounding-set=-cap_38,-sys_admin"];

#[test]
fn tracefs_that_can_only_be_read_is_enough() {
    let read_only = "mount --make-rprivate / && mount -o remount,ro,bind /sys/kernel/tracing && exec \"$@\"";
    let output = elsewhere(&["unshare", "-m", "sh", "-c", read_only, "sh"], PROBE);
    assert!(output.contains("Ok"), "{output}");
}

#[test]
fn without_the_capability_an_instance_stands_in() {
    let output = elsewhere(&NO_PERF, PROBE);
    assert!(output.contains("Ok"), "{output}");
}

#[test]
fn where_neither_can_be_had_it_is_absent_with_both_reasons() {
    let read_only = "mount --make-rprivate / && mount -o remount,ro,bind /sys/kernel/tracing && exec \"$@\"";
    let output = elsewhere(&[&["unshare", "-m", "sh", "-c", read_only, "sh"][..], &NO_PERF].concat(), PROBE);
    assert!(output.contains("Absent(") && output.contains("CAP_PERFMON") && output.contains("Read-only"), "{output}");
}

#[test]
fn tracefs_is_mounted_where_it_is_not() {
    let unmounted = "mount --make-rprivate / && umount -l /sys/kernel/tracing && exec \"$@\"";
    let output = elsewhere(&["unshare", "-m", "sh", "-c", unmounted, "sh"], PROBE);
    assert!(output.contains("Ok"), "{output}");
}
