//! One kill by the kernel's OOM killer, joined from all statements about it.

use jiff::Timestamp;

use crate::observation::{
    cgroup::{self, Level},
    cri::ContainerId,
    kernel_log::{CgroupMemory, KillScope, Killed, OomSummary},
    trace,
};

/// A line of the kernel log, read and as it stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<T> {
    /// Microseconds since boot, by the kernel's own clock: unlike its wall time, the same after a restart of the agent.
    pub boot_micros: u64,
    /// When the agent read it, by the clock of the node.
    pub read: Timestamp,
    /// What the line means, parsed.
    pub event: T,
    /// The line as the kernel log holds it.
    pub text: String,
}

/// The kernel killed a process for memory: all statements about it.
#[derive(Clone, Debug)]
pub struct OomKill<'a> {
    /// The process ID of the victim, in the initial pid namespace.
    pub pid: i32,
    /// When the kernel killed it.
    pub at: Timestamp,
    /// The `Killed process` line, where it was read.
    pub killed: Option<&'a Line<Killed>>,
    /// The line that begins with `oom-kill:`, where it was read.
    pub summary: Option<&'a Line<OomSummary>>,
    /// Victim's and limit's cgroup where the kernel is older than 5.0.
    pub legacy: Option<&'a (String, String)>,
    /// Whether the kernel reports that a cgroup or that the node ran out.
    pub scope: Option<KillScope>,
    /// The event of the tracepoint `oom:mark_victim`, where it was read.
    pub victim: Option<&'a trace::OomVictim>,
    /// The kernel sent SIGKILL along with that tracepoint: a victim that was ending already gets none
    /// (mm/oom_kill.c, `oom_kill_process`).
    pub signalled: bool,
    /// Usage of the cgroup that ran out, and its limit, in bytes.
    pub limit_usage: Option<(u64, Option<u64>)>,
    /// The kinds of memory that the usage of that cgroup consisted of.
    pub cgroup_memory: Option<CgroupMemory>,
    /// Whether another source than the kernel log reports it too.
    pub confirmed: bool,
}

impl OomKill<'_> {
    /// The cgroup whose limit was reached, as the kernel names it.
    pub fn limit_cgroup(&self) -> Option<&str> {
        let by_summary = self.summary.and_then(|line| line.event.limit_cgroup.as_deref());
        by_summary.or_else(|| self.legacy.map(|(_, limit)| limit.as_str()))
    }

    /// Where the victim was, as the kernel names its cgroup; `None` where it names none.
    pub(super) fn level(&self) -> Option<Level> {
        self.victim_cgroup().map(|path| path.level())
    }

    /// The victim's cgroup, as the kernel names it.
    pub fn victim_cgroup(&self) -> Option<cgroup::Path> {
        let by_summary = self.summary.and_then(|line| line.event.victim_cgroup.as_deref());
        let path = by_summary.or_else(|| self.legacy.map(|(victim, _)| victim.as_str()))?;
        Some(cgroup::Path(path.to_owned()))
    }

    /// Whether the victim was in this container, as the kernel names its cgroup; `None` where it names none.
    pub fn is_in(&self, id: &ContainerId) -> Option<bool> {
        self.level().map(|level| matches!(level, Level::Container { container_id, .. } if container_id == id.0))
    }

    /// The victim's `comm`, where any source reported it.
    pub fn name(&self) -> Option<&str> {
        let by_line = self.killed.map(|line| line.event.comm.as_str());
        by_line
            .or_else(|| self.summary.map(|line| line.event.comm.as_str()))
            .or_else(|| self.victim.and_then(|victim| victim.comm.as_deref()))
    }
}
