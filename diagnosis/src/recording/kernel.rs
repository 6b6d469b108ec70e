//! What the kernel reported: `kmsg`, `trace`, `cgroups`, `procfs`.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Deserialize;

use super::{Context, Facts, Problem};
use crate::observation::cgroup::Sample;
use crate::observation::disk::{FileSystem, Pids, Role};
use crate::observation::kernel_log::Record;
use crate::observation::node::{Daemon, Pressure, Process, Reading, Reference};
use crate::observation::process::NodeMemory;
use crate::observation::trace::{TraceEventKind, TraceLine, parse_line};
use crate::observation::{Fact, Gap, GapReason, Source};
use crate::parse::decimal;

#[derive(Deserialize)]
pub(super) struct Kmsg {
    record: Option<String>,
    #[serde(default)]
    lost: bool,
}

/// `{"record": <one read of /dev/kmsg>}` or `{"lost": true}`.
pub(super) fn kmsg(context: &Context<'_>, row: Kmsg) -> Result<Facts, Problem> {
    let mut facts = Facts::new();
    if row.lost {
        facts.push((None, overrun(context, Source::KernelLog, None)));
    }
    if let Some(record) = row.record {
        let record = Record::parse(record.as_bytes())?;
        facts.push((Some(context.since_boot(record.boot_micros)?), Fact::KernelLog(record)));
    }
    Ok(facts)
}

#[derive(Deserialize)]
pub(super) struct Trace {
    line: String,
}

/// `{"line": <one line of trace_pipe>}`.
pub(super) fn trace(context: &Context<'_>, row: Trace) -> Result<Facts, Problem> {
    let event = match parse_line(&row.line)? {
        TraceLine::LostEvents { lost, .. } => return Ok(vec![(None, overrun(context, Source::Signals, lost))]),
        TraceLine::Event(event) => event,
    };
    let fact = match event.kind {
        TraceEventKind::Signal(signal) => Fact::Signal(signal),
        TraceEventKind::OomVictim(victim) => Fact::OomVictim(victim),
        TraceEventKind::Other => return Ok(Facts::new()),
    };
    Ok(vec![(Some(context.since_boot(event.boot_micros)?), fact)])
}

fn overrun(context: &Context<'_>, source: Source, lost: Option<u64>) -> Fact {
    Fact::Gap(Gap { source, reason: GapReason::Overrun, from: context.previous, to: context.seen_at, lost })
}

#[derive(Deserialize)]
pub(super) struct Cgroup {
    path: String,
    files: BTreeMap<String, Option<String>>,
}

/// `{"path": …, "files": {<name>: <contents>}}`.
pub(super) fn cgroups(_: &Context<'_>, row: Cgroup) -> Result<Facts, Problem> {
    let files = row.files.into_iter().filter_map(|(name, contents)| Some((name, contents?)));
    Ok(vec![(None, Fact::Cgroup(Sample::from_files(row.path, files)))])
}

#[derive(Deserialize)]
pub(super) struct Hello {
    t: i64,
    boot_offset_ns: i64,
}

/// `{"boot_offset_ns": …}`: the recorder runs in another boot from here on.
pub(super) fn hello(_: &Context<'_>, row: Hello) -> Result<Facts, Problem> {
    let uptime = SignedDuration::from_nanos(row.t.saturating_sub(row.boot_offset_ns));
    Ok(vec![(None, Fact::Node(Reading::Uptime(uptime)))])
}

#[derive(Deserialize)]
pub(super) struct Procfs {
    /// By a clock that is not set while the recorder runs.
    t: i64,
    /// The node's clock.
    wall: Option<i64>,
    files: ProcfsFiles,
    #[serde(default)]
    statvfs: BTreeMap<String, Statvfs>,
    daemons: Option<BTreeMap<String, Vec<RecordedProcess>>>,
}

/// A process by its name.
#[derive(Deserialize)]
struct RecordedProcess {
    pid: i32,
    /// That of /proc/PID/stat.
    state: String,
}

#[derive(Deserialize)]
struct ProcfsFiles {
    meminfo: Option<String>,
    loadavg: Option<String>,
    #[serde(rename = "pressure/cpu")]
    cpu_pressure: Option<String>,
    #[serde(rename = "pressure/memory")]
    memory_pressure: Option<String>,
    #[serde(rename = "pressure/io")]
    io_pressure: Option<String>,
    #[serde(rename = "sys/kernel/pid_max")]
    pid_max: Option<String>,
    #[serde(rename = "sys/kernel/threads-max")]
    threads_max: Option<String>,
    uptime: Option<String>,
}

/// statvfs(2): counts of blocks of `bsize` bytes, and of inodes.
#[derive(Deserialize)]
struct Statvfs {
    bsize: u64,
    blocks: u64,
    bavail: u64,
    files: u64,
    favail: u64,
}

/// `<seconds since boot> <seconds that the processors were idle>`.
fn uptime(file: &str) -> Option<SignedDuration> {
    let seconds = file.split_whitespace().next()?.parse().ok()?;
    SignedDuration::try_from_secs_f64(seconds).ok()
}

/// `{"files": {"meminfo": …}, "statvfs": {"/var/lib": …}}`.
pub(super) fn procfs(_: &Context<'_>, row: Procfs) -> Result<Facts, Problem> {
    let memory = row.files.meminfo.as_deref().and_then(node_memory).map(Fact::NodeMemory);
    let pids = pids(&row.files).map(Fact::Pids);
    // The kubelet's and the runtime's directories lie below /var/lib.
    let disk = row.statvfs.into_iter().filter(|(path, _)| path.starts_with("/var/lib")).map(|(path, fs)| {
        Fact::FileSystem(FileSystem {
            role: if path.contains("containerd") { Role::Image } else { Role::Node },
            path,
            bytes: fs.blocks.saturating_mul(fs.bsize),
            bytes_available: fs.bavail.saturating_mul(fs.bsize),
            inodes: fs.files,
            inodes_available: fs.favail,
        })
    });
    let files = &row.files;
    let [cpu, io] = [&files.cpu_pressure, &files.io_pressure].map(|file| file.as_deref());
    let pressure = Pressure::parse(cpu, files.memory_pressure.as_deref(), io).map(Reading::Pressure);
    // The recorder's clock stands for that of another machine.
    let offset = row.wall.map(|wall| SignedDuration::from_nanos(wall.saturating_sub(row.t)));
    let clock = offset.map(|offset| Reading::Clock(Reference::Aggregator, offset));
    let daemons = row.daemons.map(daemons).into_iter().flatten().chain(pressure).chain(clock).map(Fact::Node);
    // First: what else the row shows is of this boot.
    let uptime = row.files.uptime.as_deref().and_then(uptime).map(|uptime| Fact::Node(Reading::Uptime(uptime)));
    Ok(uptime.into_iter().chain(memory).chain(pids).chain(disk).chain(daemons).map(|fact| (None, fact)).collect())
}

/// A zombie is a process no more.
fn daemons(found: BTreeMap<String, Vec<RecordedProcess>>) -> impl Iterator<Item = Reading> {
    [(Daemon::Kubelet, "kubelet"), (Daemon::Runtime, "containerd")].into_iter().map(move |(daemon, name)| {
        let mut alive = found.get(name).into_iter().flatten().filter(|process| process.state != "Z");
        let process = alive.next().map(|process| Process { pid: process.pid, stopped: process.state == "T" });
        Reading::Process(daemon, process)
    })
}

fn pids(files: &ProcfsFiles) -> Option<Pids> {
    let number = |file: &Option<String>| decimal::<u64>(file.as_deref()?.trim_ascii());
    let current = files.loadavg.as_deref()?.split_ascii_whitespace().nth(3)?.split_once('/')?.1;
    Some(Pids { max: number(&files.pid_max)?.min(number(&files.threads_max)?), current: decimal(current)? })
}

fn node_memory(meminfo: &str) -> Option<NodeMemory> {
    let bytes = |name: &str| {
        let value = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        decimal::<u64>(value.strip_suffix(" kB")?.trim_ascii_start())?.checked_mul(1024)
    };
    Some(NodeMemory { total: bytes("MemTotal")?, available: bytes("MemAvailable")? })
}
