//! The kernel log: records of /dev/kmsg, and the lines in them about deaths.
//!
//! Mirrors `kernel/printk/printk.c` (record format), `mm/oom_kill.c` and `mm/memcontrol.c` (OOM lines, 4.19 to 6.18),
//! `arch/x86/mm/fault.c` and `arch/*/kernel/traps.c` (segfaults and traps), and `kernel/auditsc.c` (`type=1326`
//! seccomp, `type=1701` abnormal end).

use serde::{Deserialize, Serialize};

mod audit;
mod daemon;
mod event;
mod fault;
mod oom;
mod record;
mod syslog;
mod trouble;
mod xid;

pub use daemon::{DAEMONS, DaemonKill, Target};
pub(crate) use record::micros;
pub use trouble::{Trouble, TroubleKind};
pub use xid::Xid;

/// One record of the kernel log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its sequence number since boot; `None` where it was read by syslog(2), which has none.
    pub sequence: Option<u64>,
    /// Time since boot by the kernel's local clock, in microseconds.
    pub boot_micros: u64,
    /// syslog facility; 0 is the kernel itself. Anyone who may open the device can write records, but never with 0.
    pub facility: u32,
    /// The syslog level, 0 (emergency) to 7 (debug).
    pub level: u8,
    /// The text, without its line end and without the `KEY=value` lines that may follow; non-UTF-8 bytes replaced.
    pub text: String,
}

/// The contents of a record of the kernel about a death or about what led to one.
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
    /// Lines of the statistics of the cgroup whose limit was reached (memcg OOM only).
    CgroupMemory(CgroupMemory),
    /// `oom-kill:constraint=…`: who is chosen and why (since 5.0). Rate-limited: may be missing.
    OomSummary(OomSummary),
    /// `Task in <victim> killed as a result of limit of <limit>` (before 5.0); the next `Killed process` is the victim.
    LegacySummary {
        /// Cgroup of the victim.
        victim_cgroup: String,
        /// Cgroup whose limit was reached.
        limit_cgroup: String,
    },
    /// `<why>: Kill process …` (before 5.1): what the next `Killed process`, which does not repeat it, is due to.
    LegacyChoice {
        /// The shortage.
        scope: KillScope,
    },
    /// `Killed process …`: the kill itself. Never rate-limited.
    Killed(Killed),
    /// `Tasks in <cgroup> are going to be killed due to memory.oom.group set`.
    GroupKill {
        /// The cgroup.
        cgroup: String,
    },
    /// A fatal fault of a thread: `segfault at`, `traps: … trap …`, `general protection fault`, and those of
    /// other architectures.
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
    /// A fault of the node itself.
    Trouble(Trouble),
    /// `Memory failure: …: Killing <comm>:<pid> due to hardware memory corruption`.
    HardwareMemoryError {
        /// Process id.
        pid: i32,
        /// Its name.
        comm: String,
    },
}

/// What the memory of a cgroup consists of, in bytes, by the kernel's report on it. A record may hold one of the values
/// or all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CgroupMemory {
    /// Anonymous memory, in bytes.
    pub anon: Option<u64>,
    /// Page cache in bytes, `shmem` included.
    pub file: Option<u64>,
    /// tmpfs and shared memory, in bytes.
    pub shmem: Option<u64>,
}

impl CgroupMemory {
    /// The values of both; where both have one, that of `newer`.
    #[must_use]
    pub fn and(self, newer: Self) -> Self {
        Self { anon: newer.anon.or(self.anon), file: newer.file.or(self.file), shmem: newer.shmem.or(self.shmem) }
    }
}

/// The line that begins with `oom-kill:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OomSummary {
    /// The process id of the victim, in the node's pid namespace.
    pub pid: i32,
    /// The victim's `comm`, at most 15 bytes.
    pub comm: String,
    /// User id of the victim in the initial namespace.
    pub uid: u32,
    /// The cgroup whose limit was reached; `None` for an OOM of the whole node, or without memory cgroups.
    pub limit_cgroup: Option<String>,
    /// The line contains `global_oom`. (The constraint alone does not decide: 5.0 and early 5.1 print it wrong.)
    pub global: bool,
    /// The path of the victim's cgroup (`task_memcg`); `None` where the line has none.
    pub victim_cgroup: Option<String>,
    /// The constraint: `CONSTRAINT_NONE`, `_CPUSET`, `_MEMORY_POLICY` or `_MEMCG`.
    pub constraint: String,
}

/// The `Killed process` line. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Killed {
    /// The process id, in the node's pid namespace.
    pub pid: i32,
    /// The process' `comm`, at most 15 bytes.
    pub comm: String,
    /// Whose memory ran out, by the words before `Killed process`.
    pub scope: KillScope,
    /// Its virtual size, in bytes.
    pub total_vm: u64,
    /// Anonymous memory in RAM, in bytes.
    pub anon_rss: u64,
    /// File pages in RAM, in bytes.
    pub file_rss: u64,
    /// Resident shared memory in bytes; printed since Linux 4.5.
    pub shmem_rss: Option<u64>,
    /// The user id of the process; printed since Linux 5.4.
    pub uid: Option<u32>,
    /// Its oom_score_adj; printed since Linux 5.4.
    pub oom_score_adj: Option<i32>,
}

/// Whose memory ran out, by the words before `Killed process`.
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
    /// The thread's `comm`, at most 15 bytes.
    pub comm: String,
    /// What kind of fault it was.
    pub kind: FaultKind,
    /// The address that could not be reached, as the kernel prints it (hexadecimal), for a segfault.
    pub address: Option<String>,
    /// The mapped file that contains the instruction and the offset in it, as `libfoo.so+0x1966`, if printed. Kernels
    /// before 6.7 print only the offset in the mapping: `libfoo.so[401000+8c000]+0x966`.
    pub object: Option<String>,
    /// x86 page fault error bits: 1 protection, 2 write, 4 user, 16 instruction fetch.
    pub error: Option<u64>,
}

/// The kinds of faults of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// `segfault at` (SIGSEGV).
    Segfault,
    /// `general protection fault` (SIGSEGV). Also what glibc's abort() ends in where SIGABRT is ignored, as for PID 1.
    GeneralProtection,
    /// `invalid opcode` (SIGILL).
    InvalidOpcode,
    /// `control protection` (SIGSEGV): a return or a branch to where it must not go.
    ControlProtection,
    /// `divide error`, or another one of arithmetic (SIGFPE).
    DivideError,
    /// An access that the hardware refuses (SIGBUS).
    BusError,
    /// Any other trap or exception, by the kernel's name for it.
    Other(String),
}
