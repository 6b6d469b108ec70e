//! What a process costs.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};

/// Resident memory in bytes: now, and the most ever.
pub(crate) fn memory(pid: u32) -> Result<(u64, u64)> {
    Ok((status(pid, "VmRSS:")?, status(pid, "VmHWM:")?))
}

/// Of the resident memory in bytes, what is the process' own: not pages of the program and its libraries, which the
/// kernel takes back when it needs them.
pub(crate) fn anonymous(pid: u32) -> Result<u64> {
    status(pid, "RssAnon:")
}

/// A field of /proc/PID/status that is given in kB, in bytes.
fn status(pid: u32, name: &str) -> Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("reading the status of {pid}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).with_context(|| format!("{name} is no number"))
}

/// Processor time used so far, by user and kernel.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("reading the stat of {pid}"))?;
    // Fields 14 and 15 are the 12th and 13th after the name.
    let fields = stat.rsplit_once(')').context("stat without a name")?.1.split_whitespace().skip(11).take(2);
    let ticks = fields.map(str::parse::<u64>).sum::<Result<u64, _>>().context("processor time is a number")?;
    let hertz = sysconf(SysconfVar::CLK_TCK).context("asking for CLK_TCK")?.context("no CLK_TCK")?;
    Ok(Duration::from_secs_f64(ticks as f64 / hertz as f64))
}
