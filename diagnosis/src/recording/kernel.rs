//! What the kernel told: `kmsg`, `trace`, `cgroups`, `procfs`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Context, Problem, Told};
use crate::observation::cgroup::Sample;
use crate::observation::disk::{FileSystem, Pids, Role};
use crate::observation::kernel_log::Record;
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
pub(super) fn kmsg(context: &Context<'_>, row: Kmsg) -> Result<Told, Problem> {
    let mut told = Told::new();
    if row.lost {
        told.push((None, overrun(context, Source::KernelLog, None)));
    }
    if let Some(record) = row.record {
        let record = Record::parse(record.as_bytes())?;
        told.push((Some(context.since_boot(record.boot_micros)?), Fact::KernelLog(record)));
    }
    Ok(told)
}

#[derive(Deserialize)]
pub(super) struct Trace {
    line: String,
}

/// `{"line": <one line of trace_pipe>}`.
pub(super) fn trace(context: &Context<'_>, row: Trace) -> Result<Told, Problem> {
    let event = match parse_line(&row.line)? {
        TraceLine::LostEvents { lost, .. } => return Ok(vec![(None, overrun(context, Source::Signals, lost))]),
        TraceLine::Event(event) => event,
    };
    let fact = match event.kind {
        TraceEventKind::Signal(signal) => Fact::Signal(signal),
        TraceEventKind::OomVictim(victim) => Fact::OomVictim(victim),
        TraceEventKind::Other => return Ok(Told::new()),
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
pub(super) fn cgroups(_: &Context<'_>, row: Cgroup) -> Result<Told, Problem> {
    let files = row.files.into_iter().filter_map(|(name, contents)| Some((name, contents?)));
    Ok(vec![(None, Fact::Cgroup(Sample::from_files(row.path, files)))])
}

#[derive(Deserialize)]
pub(super) struct Procfs {
    files: ProcfsFiles,
    #[serde(default)]
    statvfs: BTreeMap<String, Statvfs>,
}

#[derive(Deserialize)]
struct ProcfsFiles {
    meminfo: Option<String>,
    loadavg: Option<String>,
    #[serde(rename = "sys/kernel/pid_max")]
    pid_max: Option<String>,
    #[serde(rename = "sys/kernel/threads-max")]
    threads_max: Option<String>,
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

/// `{"files": {"meminfo": …}, "statvfs": {"/var/lib": …}}`.
pub(super) fn procfs(_: &Context<'_>, row: Procfs) -> Result<Told, Problem> {
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
    Ok(memory.into_iter().chain(pids).chain(disk).map(|fact| (None, fact)).collect())
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
