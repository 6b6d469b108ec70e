//! Against the real kernel log.

use std::{
    fs,
    fs::OpenOptions,
    io::Write,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::Command,
};

use coroner_diagnosis::{examiner::Examiner, observation::Source};
use coroner_proto::v1::Node;
use nix::mount::{MsFlags, mount};
use uuid::Uuid;

use super::*;
use crate::sources::{
    procfs,
    testing::{ContainerCgroup, Running, elsewhere, line_from, node, pid_of, reap, shown},
};

/// Writes a record into the kernel log, as any program may that has the device.
fn write(text: &str) {
    // The line end closes the record: without it, the kernel waits for more and does not show it.
    OpenOptions::new().write(true).open("/dev/kmsg").unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
}

async fn start(running: &mut Running, host: HostRoot, lookback: Duration) -> Health {
    running.start(Source::KernelLog, |site| spawn(site, host, lookback, NodeState::default())).await
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
    assert!(
        matches!(&health, Health::Degraded(reason) if reason.text().contains("kmsg") && reason.text().contains("syslog(2)"))
    );
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
    println!("{}", shown(&start(&mut running, host, LOOKBACK).await));
    running.stop().await;
}

#[test]
fn without_device_and_capability_it_is_absent_with_a_reason() {
    let wrapper = ["setpriv", "--bounding-set=-syslog,-sys_admin"];
    let output = elsewhere(&wrapper, "sources::kernel_log::tests::probe");
    assert!(output.contains("Absent(") && output.contains("syslog(2) failed: Operation not permitted"), "{output}");
}

/// A program that writes to address 0, as an ELF file of 64 bits: file header, one segment of the whole file at
/// 0x400000, and at 0x78 `xor %eax,%eax; mov %eax,(%rax)`.
#[cfg(target_arch = "x86_64")]
fn crashing_program() -> Vec<u8> {
    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.resize(16, 0);
    program.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    program.extend([0x40_0078_u64, 64, 0].iter().flat_map(|number| number.to_le_bytes()));
    program.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    program.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    program.extend([0, 0x40_0000_u64, 0x40_0000, 0x7c, 0x7c, 0x1000].iter().flat_map(|number| number.to_le_bytes()));
    program.extend([0x31, 0xc0, 0x89, 0x00]);
    program
}

/// What a tenant would make the kernel report about a process that is not its own.
fn forged_lines(pid: i32) -> String {
    format!(
        "\nMemory cgroup out of memory: Killed process {pid} (sh) total-vm:8kB, anon-rss:4kB, file-rss:2kB\n\
         sh[{pid}]: segfault at 0 ip 1 sp 2 error 4\n"
    )
}

/// A file of a forged name that crashes, and a mount with a forged option, in a user namespace.
#[cfg(target_arch = "x86_64")]
async fn attack(dev: &Path) {
    let mut running = Running::new();
    let host = HostRoot { dev: dev.to_owned(), ..node() };
    let cgroup = ContainerCgroup::new();
    let mut victim = cgroup.run("echo ready; read line");
    line_from(&mut victim);
    let pid = pid_of(&victim);
    running.start(Source::Procfs, |site| procfs::spawn(site, node(), procfs::Connector::default())).await;
    start(&mut running, host, Duration::ZERO).await;

    let mark = Uuid::now_v7().simple().to_string();
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join(format!("{mark}{}{mark}", forged_lines(pid)));
    fs::write(&program, crashing_program()).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    // The kernel prints at most ten faults in five seconds, of all processes together.
    let crashed = loop {
        assert_eq!(Command::new(&program).status().unwrap().signal(), Some(11));
        let found = running.until(|seen| match &seen.fact {
            Fact::KernelLog(record) if record.text.contains(&mark) => Some(record.clone()),
            _ => None,
        });
        if let Ok(record) = tokio::time::timeout(Duration::from_secs(6), found).await {
            break record;
        }
    };
    assert!(crashed.facility == 0 && crashed.text.matches(&mark).count() == 2, "one record: {crashed:?}");
    let Some(Event::Fault(fault)) = Event::parse(&crashed.text) else { panic!("{crashed:?}") };
    assert_ne!(fault.tid, pid);

    let unknown = ["unshare", "--user", "--map-root-user", "--mount", "env"];
    let output = elsewhere(&[&unknown[..], &[&format!("MARK={mark}"), &format!("VICTIM={pid}")]].concat(), MOUNT_PROBE);
    assert!(output.contains("EINVAL"), "{output}");
    let is_mount = |record: &Record| record.text.starts_with("tmpfs: ") && record.text.contains(&mark);
    let mounted = running.until(|seen| match &seen.fact {
        Fact::KernelLog(record) if is_mount(record) => Some(record.clone()),
        _ => None,
    });
    let mounted = mounted.await;
    assert!(mounted.facility == 0 && mounted.text.contains("]: segfault at 0"), "one record: {mounted:?}");
    assert_eq!(Event::parse(&mounted.text), None);

    let mut examiner = Examiner::new(Node::default());
    let mut diagnoses = Vec::new();
    for seen in running.seen.drain(..) {
        diagnoses.extend(examiner.observe(seen));
    }
    diagnoses.extend(examiner.tick(Timestamp::now() + Duration::from_mins(1)));
    assert_eq!(diagnoses, []);
    running.stop().await;
    victim.stdin.take();
    assert_eq!(reap(victim), 1);
}

const MOUNT_PROBE: &str = "sources::kernel_log::tests::mount_probe";

#[test]
#[ignore = "run in other circumstances by the tests of attacks"]
fn mount_probe() {
    let environment = |name| std::env::var(name).unwrap();
    // Options end at commas.
    let lines = forged_lines(environment("VICTIM").parse().unwrap()).replace(',', ";");
    let option = format!("{}{lines}", environment("MARK"));
    println!("{:?}", mount(Some("none"), "/mnt", Some("tmpfs"), MsFlags::empty(), Some(option.as_str())));
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn a_tenants_names_are_no_records_of_the_device() {
    attack(Path::new("/dev")).await;
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn a_tenants_names_are_no_records_of_syslog() {
    let dev = tempfile::tempdir().unwrap();
    attack(dev.path()).await;
}
