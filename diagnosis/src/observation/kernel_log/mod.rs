//! The kernel log: records of /dev/kmsg, and the lines in them that tell of deaths.
//!
//! Mirrors `kernel/printk/printk.c` (record format), `mm/oom_kill.c` and `mm/memcontrol.c` (OOM lines, 4.19 to 6.18),
//! `arch/x86/mm/fault.c` and `arch/x86/kernel/traps.c` (segfaults and traps), `arch/arm64/kernel/traps.c`, and
//! `kernel/auditsc.c` (`type=1326` seccomp, `type=1701` abnormal end).

mod audit;
mod event;
mod fault;
mod oom;
mod record;

pub(crate) use record::micros;

/// One record of the kernel log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its sequence number since boot; `None` where it was read by syslog(2), which tells none.
    pub sequence: Option<u64>,
    /// Time since boot by the kernel's local clock, in microseconds.
    pub boot_micros: u64,
    /// syslog facility; 0 is the kernel itself. Anyone who may open the device can write records, but never with 0.
    pub facility: u32,
    /// syslog level, 0 (emergency) to 7 (debug).
    pub level: u8,
    /// The text, without its line end and without the `KEY=value` lines that may follow; non-UTF-8 bytes replaced.
    pub text: String,
}

/// What a record of the kernel tells, if it tells of a death or of what led to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `<comm> invoked oom-killer: …`: the allocating task, not the victim.
    OomInvoked {
        /// The allocating task.
        comm: String,
    },
    /// `memory: usage …kB, limit …kB, failcnt …`: the cgroup whose limit was reached (memcg OOM only).
    LimitUsage {
        /// Bytes.
        usage: u64,
        /// Bytes; `None` if unlimited.
        limit: Option<u64>,
    },
    /// `oom-kill:constraint=…`: who is chosen and why (since 5.0). Rate-limited: may be missing.
    OomSummary(OomSummary),
    /// `Task in <victim> killed as a result of limit of <limit>` (before 5.0); the next `Killed process` is the victim.
    LegacySummary {
        /// Cgroup of the victim.
        victim_cgroup: String,
        /// Cgroup whose limit was reached.
        limit_cgroup: String,
    },
    /// `Killed process …`: the kill itself. Never rate-limited.
    Killed(Killed),
    /// `Tasks in <cgroup> are going to be killed due to memory.oom.group set`.
    GroupKill {
        /// The cgroup.
        cgroup: String,
    },
    /// A fatal fault of a thread: `segfault at`, `traps: … trap …`, `general protection fault`, arm64's `unhandled exception`.
    Fault(Fault),
    /// audit `type=1326`: seccomp stopped a system call.
    Seccomp {
        /// Process id.
        pid: i32,
        /// Its name.
        comm: String,
        /// The signal it got; 0 where seccomp only logged or failed the call.
        signal: i32,
        /// Number of the system call.
        syscall: i64,
    },
    /// audit `type=1701`: a process ended by a core-dumping signal.
    AbnormalEnd {
        /// Process id.
        pid: i32,
        /// Its name.
        comm: String,
        /// The signal.
        signal: i32,
    },
    /// `cgroup: fork rejected by pids controller in <path>`.
    ForkRejected {
        /// The cgroup; not necessarily the one whose limit it is.
        cgroup: String,
    },
    /// `Memory failure: …: Killing <comm>:<pid> due to hardware memory corruption`.
    HardwareMemoryError {
        /// Process id.
        pid: i32,
        /// Its name.
        comm: String,
    },
}

/// The `oom-kill:` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OomSummary {
    /// Process id of the victim.
    pub pid: i32,
    /// Its name.
    pub comm: String,
    /// User id of the victim in the initial namespace.
    pub uid: u32,
    /// The cgroup whose limit was reached; `None` for an OOM of the whole node, or without memory cgroups.
    pub limit_cgroup: Option<String>,
    /// The line says `global_oom`. (The constraint alone does not decide: 5.0 and early 5.1 print it wrong.)
    pub global: bool,
    /// The victim's cgroup.
    pub victim_cgroup: Option<String>,
    /// `CONSTRAINT_NONE`, `_CPUSET`, `_MEMORY_POLICY`, `_MEMCG`.
    pub constraint: String,
}

/// The `Killed process` line. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed {
    /// Process id.
    pub pid: i32,
    /// Its name.
    pub comm: String,
    /// What the kernel says before `Killed process`.
    pub scope: KillScope,
    /// Virtual size.
    pub total_vm: u64,
    /// Resident anonymous memory.
    pub anon_rss: u64,
    /// Resident file pages.
    pub file_rss: u64,
    /// Resident shared memory; before 4.5 not told.
    pub shmem_rss: Option<u64>,
    /// User id; since 5.4.
    pub uid: Option<u32>,
    /// oom_score_adj; since 5.4.
    pub oom_score_adj: Option<i32>,
}

/// What the kernel says before `Killed process`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillScope {
    /// `Memory cgroup out of memory`.
    Memcg,
    /// `Out of memory` (also `oom_kill_allocating_task`).
    Global,
    /// Nothing (before 5.1).
    Unsaid,
}

/// A fatal fault of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Thread id, not necessarily the process id.
    pub tid: i32,
    /// Name of the thread.
    pub comm: String,
    /// What kind.
    pub kind: FaultKind,
    /// The address that could not be reached, as the kernel prints it (hexadecimal), for a segfault.
    pub address: Option<String>,
    /// The mapped file in which the instruction stands and the offset in it, as `libfoo.so+0x1966`, where told. Kernels
    /// before 6.7 tell only the offset in the mapping: `libfoo.so[401000+8c000]+0x966`.
    pub object: Option<String>,
    /// x86 page fault error bits: 1 protection, 2 write, 4 user, 16 instruction fetch.
    pub error: Option<u64>,
}

/// Kinds of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// `segfault at` (SIGSEGV).
    Segfault,
    /// `general protection fault` (SIGSEGV). Also what glibc's abort() ends in where SIGABRT is ignored, as for PID 1.
    GeneralProtection,
    /// `invalid opcode` (SIGILL).
    InvalidOpcode,
    /// `divide error` (SIGFPE).
    DivideError,
    /// Any other trap or exception, by the kernel's name for it.
    Other(String),
}
