//! Statements about processes, by pid and time: kills, faults, audit records, signals, ends.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{
    oom_kill::{Line, OomKill},
    statements::ByPid,
};
use crate::observation::{
    cri::ContainerId,
    kernel_log::{CgroupMemory, DaemonKill, Fault, KillScope, Killed, OomSummary, Xid},
    process::WaitStatus,
    trace,
};

/// Statements that are kept, of each kind: a minute of the worst storm known (4,500 OOM kills).
const STATEMENTS: usize = 4608;
/// Lines that belong to the kill beside them and name no pid, of each kind.
const BESIDE: usize = 256;
/// How long a statement is kept at least: longer than a container may take to obey a request to stop, all but the
/// longest grace periods. That none is on file from before shows nothing.
pub const KEPT_FOR: SignedDuration = SignedDuration::from_hours(6);
/// The kernel logs all lines of one kill within this time of one another.
const SAME_KILL: SignedDuration = SignedDuration::from_secs(1);
/// The kernel marks a victim within microseconds of its SIGKILL (mm/oom_kill.c, `__oom_kill_process`). More time
/// between the two tracepoints is that of a clock that was adjusted, or the SIGKILL was for another reason.
const SAME_MOMENT: SignedDuration = SignedDuration::from_millis(1);

/// The kernel's audit reported the end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditedEnd {
    /// The signal that ended it; 0 where seccomp only refused a call.
    pub signal: i32,
    /// The number of the system call that seccomp refused.
    pub syscall: Option<i64>,
}

/// Statements about processes, by pid and time.
#[derive(Debug)]
pub struct Processes {
    kills: ByPid<Line<Killed>>,
    summaries: ByPid<Line<OomSummary>>,
    victims: ByPid<trace::OomVictim>,
    /// Before Linux 5.0 the summary names no pid: (victim's cgroup, limit's cgroup) by time.
    legacy_summaries: BTreeMap<Timestamp, (String, String)>,
    /// Before Linux 5.1 a separate line states whether a cgroup or the node ran out, by time.
    legacy_scopes: BTreeMap<Timestamp, KillScope>,
    /// Usage and limit of the cgroup that ran out, by time.
    limit_usages: BTreeMap<Timestamp, (u64, Option<u64>)>,
    /// What the memory of the cgroup that ran out consisted of, by time.
    cgroup_memories: BTreeMap<Timestamp, CgroupMemory>,
    /// What OOM daemons report to have killed, by time.
    daemon_kills: BTreeMap<Timestamp, Line<DaemonKill>>,
    /// Containers that were killed as a group, by time.
    group_kills: BTreeSet<(Timestamp, ContainerId)>,
    /// Fatal faults, by thread id.
    pub faults: ByPid<Line<Fault>>,
    /// Ends that audit reported, by pid.
    pub audits: ByPid<Line<AuditedEnd>>,
    /// Errors of devices, by the pid of the process that used one.
    pub device_errors: ByPid<Line<Xid>>,
    /// Broken memory that the kernel reports to a process, by its pid.
    pub memory_errors: ByPid<Line<()>>,
    /// Generated signals, by the id of the target thread.
    pub signals: ByPid<trace::Signal>,
    /// Wait statuses that the process connector reported, by pid.
    pub exits: ByPid<WaitStatus>,
    /// When they age next.
    ages_at: Timestamp,
}

impl Default for Processes {
    fn default() -> Self {
        Self {
            kills: ByPid::new(STATEMENTS),
            summaries: ByPid::new(STATEMENTS),
            victims: ByPid::new(STATEMENTS),
            legacy_summaries: BTreeMap::new(),
            legacy_scopes: BTreeMap::new(),
            limit_usages: BTreeMap::new(),
            cgroup_memories: BTreeMap::new(),
            daemon_kills: BTreeMap::new(),
            group_kills: BTreeSet::new(),
            faults: ByPid::new(STATEMENTS),
            audits: ByPid::new(STATEMENTS),
            device_errors: ByPid::new(BESIDE),
            memory_errors: ByPid::new(STATEMENTS),
            signals: ByPid::new(STATEMENTS),
            exits: ByPid::new(STATEMENTS),
            ages_at: Timestamp::MIN,
        }
    }
}

impl Processes {
    /// Lets time pass: forgets statements that were recorded [`KEPT_FOR`] to twice as long ago.
    pub(super) fn expire(&mut self, now: Timestamp) {
        if now < self.ages_at {
            return;
        }
        self.ages_at = now.saturating_add(KEPT_FOR).unwrap_or(now);
        self.kills.age();
        self.summaries.age();
        self.victims.age();
        self.faults.age();
        self.audits.age();
        self.device_errors.age();
        self.memory_errors.age();
        self.signals.age();
        self.exits.age();
    }

    pub(super) fn record_kill(&mut self, pid: i32, at: Timestamp, line: Line<Killed>) {
        self.kills.add(pid, at, line);
    }

    pub(super) fn record_summary(&mut self, pid: i32, at: Timestamp, line: Line<OomSummary>) {
        self.summaries.add(pid, at, line);
    }

    pub(super) fn record_victim(&mut self, at: Timestamp, victim: trace::OomVictim) {
        self.victims.add(victim.pid, at, victim);
    }

    /// Victim's and limit's cgroup of the kill whose line follows.
    pub(super) fn record_legacy_summary(&mut self, at: Timestamp, cgroups: (String, String)) {
        self.legacy_summaries.insert(at, cgroups);
        while self.legacy_summaries.len() > BESIDE {
            self.legacy_summaries.pop_first();
        }
    }

    /// Whether a cgroup or the node ran out, for the kill whose line follows.
    pub(super) fn record_legacy_scope(&mut self, at: Timestamp, scope: KillScope) {
        self.legacy_scopes.insert(at, scope);
        while self.legacy_scopes.len() > BESIDE {
            self.legacy_scopes.pop_first();
        }
    }

    /// Usage and limit of the cgroup that ran out, in the report of the kill whose line follows.
    pub(super) fn record_limit_usage(&mut self, at: Timestamp, usage: (u64, Option<u64>)) {
        self.limit_usages.insert(at, usage);
        while self.limit_usages.len() > BESIDE {
            self.limit_usages.pop_first();
        }
    }

    /// What the memory of the cgroup that ran out consisted of, in the report of the kill whose line follows.
    pub(super) fn record_cgroup_memory(&mut self, at: Timestamp, memory: CgroupMemory) {
        let known = self.cgroup_memories.entry(at).or_default();
        *known = known.and(memory);
        while self.cgroup_memories.len() > BESIDE {
            self.cgroup_memories.pop_first();
        }
    }

    /// An OOM daemon reports a kill.
    pub(super) fn record_daemon_kill(&mut self, at: Timestamp, line: Line<DaemonKill>) {
        self.daemon_kills.insert(at, line);
        while self.daemon_kills.len() > BESIDE {
            self.daemon_kills.pop_first();
        }
    }

    /// What OOM daemons report to have killed between two moments.
    pub fn daemon_kills(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (Timestamp, &Line<DaemonKill>)> {
        let range = if from <= to { Some(self.daemon_kills.range(from..=to)) } else { None };
        range.into_iter().flatten().map(|(at, line)| (*at, line))
    }

    /// A container's cgroup was killed as a group.
    pub(super) fn record_group_kill(&mut self, at: Timestamp, id: ContainerId) {
        self.group_kills.insert((at, id));
        while self.group_kills.len() > BESIDE {
            self.group_kills.pop_first();
        }
    }

    /// The victim's cgroup of a kill at this moment, where the kernel is older than 5.0.
    pub(super) fn legacy_victim(&self, at: Timestamp) -> Option<&str> {
        self.legacy_summaries.range(at - SAME_KILL..=at).next_back().map(|(_, (victim, _))| victim.as_str())
    }

    /// The container that was killed as a group around this moment; `None` if there are several.
    pub(super) fn group_killed_near(&self, at: Timestamp) -> Option<&ContainerId> {
        let from = (at - SAME_KILL, ContainerId(String::new()));
        let mut near = self.group_kills.range(from..).take_while(|(killed, _)| *killed <= at).map(|(_, id)| id);
        let first = near.next()?;
        near.all(|other| other == first).then_some(first)
    }

    /// When the OOM killer was reported to have chosen a process of this pid, from a moment on.
    pub(super) fn kill_times(&self, pid: i32, from: Timestamp) -> impl Iterator<Item = Timestamp> {
        let lines = self.kills.of(pid, from, Timestamp::MAX).map(|(at, _)| at);
        lines.chain(self.victims.of(pid, from, Timestamp::MAX).map(|(at, _)| at))
    }

    /// Whether, and how, the kernel last killed a process of this pid for memory between two moments.
    pub fn oom_kill(&self, pid: i32, from: Timestamp, to: Timestamp) -> Option<OomKill<'_>> {
        let last_line = self.kills.of(pid, from, to).next_back().map(|(at, _)| at);
        let last = last_line.max(self.victims.of(pid, from, to).next_back().map(|(at, _)| at))?;
        // In a group kill the kernel writes the line of its first victim twice.
        let from = from.max(last - SAME_KILL);
        let killed = self.kills.of(pid, from, to).next();
        let summary = self.summaries.of(pid, from, to).next();
        let victim = self.victims.of(pid, from, to).next();
        let at = killed.map(|(at, _)| at).or_else(|| summary.map(|(at, _)| at)).or_else(|| victim.map(|(at, _)| at))?;
        let around = at - SAME_KILL..=at;
        let unsummed = killed.is_some() && summary.is_none();
        let legacy = if unsummed { self.legacy_summaries.range(around.clone()).next_back() } else { None };
        let scope = match killed.map_or(KillScope::Unsaid, |(_, line)| line.event.scope) {
            KillScope::Unsaid => self.legacy_scopes.range(around.clone()).next_back().map(|(_, scope)| *scope),
            scope => Some(scope),
        };
        // The usage stands before the rest of the report.
        let usage = if summary.is_some() || legacy.is_some() {
            self.limit_usages.range(around).next_back().map(|(reported, usage)| (*reported, *usage))
        } else {
            None
        };
        let parts = usage.into_iter().flat_map(|(reported, _)| self.cgroup_memories.range(reported..=at));
        let cgroup_memory = parts.map(|(_, parts)| *parts).reduce(CgroupMemory::and);
        Some(OomKill {
            pid,
            at,
            killed: killed.map(|(_, line)| line),
            summary: summary.map(|(_, line)| line),
            legacy: legacy.map(|(_, cgroups)| cgroups),
            scope,
            victim: victim.map(|(_, victim)| victim),
            signalled: victim.is_some_and(|(at, _)| self.is_killed_by_kernel(pid, at)),
            limit_usage: usage.map(|(_, usage)| usage),
            cgroup_memory,
            confirmed: victim.is_some(),
        })
    }

    /// Whether the kernel itself sent a process SIGKILL at this moment.
    fn is_killed_by_kernel(&self, pid: i32, at: Timestamp) -> bool {
        let mut signals = self.signals.of(pid, at - SAME_MOMENT, at + SAME_MOMENT).map(|(_, signal)| signal);
        signals.any(|signal| signal.signal == 9 && signal.code == trace::SI_KERNEL && signal.result == 0)
    }

    /// Processes that the OOM killer chose between two moments, by the tracepoint.
    pub(super) fn victims(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = i32> {
        self.victims.between(from, to).map(|(pid, _, _)| pid)
    }

    /// How many statements are kept in all.
    pub fn count(&self) -> usize {
        let of_kernel = self.kills.count() + self.summaries.count() + self.faults.count() + self.audits.count();
        of_kernel
            + self.device_errors.count()
            + self.memory_errors.count()
            + self.victims.count()
            + self.signals.count()
            + self.exits.count()
    }
}
