//! A process that the kernel's OOM killer really kills, observed by each of the kernel's interfaces.

use std::io::Write;

use coroner_diagnosis::observation::{Fact, Source, kernel_log::Event, process::WaitStatus};

use crate::report::NodeState;

use super::{
    cri, kernel_log, process_events, procfs, signals,
    testing::{ContainerCgroup, Running, node, pid_of, reap},
};

#[tokio::test]
async fn an_oom_kill_is_reported_by_the_log_the_trace_and_the_process_connector() {
    let mut running = Running::new();
    running
        .start(Source::KernelLog, |site| kernel_log::spawn(site, node(), kernel_log::LOOKBACK, NodeState::default()))
        .await;
    running.start(Source::Signals, |site| signals::spawn(site, node())).await;
    running
        .start(Source::ProcessEvents, |site| {
            process_events::spawn(
                site,
                node(),
                procfs::Connector::default(),
                cri::Hints::default(),
                NodeState::default(),
            )
        })
        .await;

    let cgroup = ContainerCgroup::new();
    cgroup.limit_memory(16 << 20);
    // `tail` keeps the last line, and /dev/zero never ends one.
    let mut child = cgroup.run("read line; exec tail /dev/zero");
    let pid = pid_of(&child);
    let known = running
        .until(|seen| match &seen.fact {
            Fact::Process(process) if process.pid == pid => Some(process.cgroup.clone()),
            _ => None,
        })
        .await;
    assert_eq!(known, cgroup.path, "its container is known before it dies");
    child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    assert_eq!(reap(child), -9);

    let killed = running
        .until(|seen| match &seen.fact {
            Fact::KernelLog(record) if record.facility == 0 => match Event::parse(&record.text) {
                Some(Event::Killed(killed)) if killed.pid == pid => Some((seen.clone(), killed)),
                _ => None,
            },
            _ => None,
        })
        .await;
    assert!(killed.1.anon_rss > 8 << 20, "{killed:?}");
    let victim = running
        .until(|seen| match &seen.fact {
            Fact::OomVictim(victim) if victim.pid == pid => Some((seen.clone(), victim.clone())),
            _ => None,
        })
        .await;
    assert_eq!(victim.1.allocator.tid, pid, "the victim itself was allocating");
    let apart = killed.0.happened_at.duration_since(victim.0.happened_at).abs();
    assert!(apart < jiff::SignedDuration::from_millis(500), "two clocks, one moment: {apart}");
    let signal = running
        .until(|seen| match &seen.fact {
            Fact::Signal(signal) if signal.signal == 9 && signal.target.tid == pid => Some(signal.clone()),
            _ => None,
        })
        .await;
    assert_eq!(signal.code, 0x80, "the kernel sent it");
    let status = running
        .until(|seen| match &seen.fact {
            Fact::ProcessExit(exit) if exit.pid == pid => Some(exit.status),
            _ => None,
        })
        .await;
    assert_eq!(status, WaitStatus::Signaled(9));
    running.stop().await;
}
