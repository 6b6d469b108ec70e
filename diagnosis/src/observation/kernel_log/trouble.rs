//! Faults and full tables of the node that the kernel reports: `kernel/hung_task.c`, `kernel/watchdog.c`,
//! `kernel/rcu/tree_stall.h`, `arch/*/mm/fault.c`, `lib/bug.c`, `fs/ext4/super.c`, `fs/xfs/xfs_fsops.c`,
//! `fs/btrfs/messages.c`, `fs/buffer.c`, `block/blk-core.c`, `net/netfilter/nf_conntrack_core.c`,
//! `net/core/neighbour.c`, `fs/file_table.c`, `net/sunrpc/clnt.c`, and NVIDIA's driver.

use std::fmt;

use crate::parse::{decimal, hexadecimal, is_comm};

/// A fault of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of fault it was.
    pub kind: TroubleKind,
    /// The device, server, limit or task that it is about, as the kernel names it; empty where it names none.
    pub about: String,
}

/// The kinds of faults of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TroubleKind {
    /// A task has been in uninterruptible sleep for `kernel.hung_task_timeout_secs`.
    HungTask,
    /// A processor has been in the kernel for too long without scheduling.
    SoftLockup,
    /// A processor takes no interrupts.
    HardLockup,
    /// A processor did not pass through a quiescent state.
    RcuStall,
    /// Deferred work of the kernel does not get on.
    WorkqueueLockup,
    /// The kernel found its records of memory damaged.
    BadPage,
    /// A bug in the kernel ended a task.
    Oops,
    /// The kernel panicked.
    Panic,
    /// A file system was made read-only, or shut down, after an error.
    FileSystemReadOnly,
    /// A file system found an error in its structures.
    FileSystemError,
    /// A block device failed to read or write.
    IoError,
    /// A network link went down.
    LinkDown,
    /// The connection tracking table is full.
    ConntrackFull,
    /// The neighbour table is full.
    NeighbourTableFull,
    /// As many files are open as `fs.file-max` allows.
    FilesExhausted,
    /// An NFS server does not respond.
    NfsNotResponding,
    /// An NFS server responds again.
    NfsOk,
    /// A GPU reported an error after which it, or what runs on it, is lost.
    GpuXid,
}

impl TroubleKind {
    /// Its name on the wire (`KernelFault.kind`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::HungTask => "HUNG_TASK",
            Self::SoftLockup => "SOFT_LOCKUP",
            Self::HardLockup => "HARD_LOCKUP",
            Self::RcuStall => "RCU_STALL",
            Self::WorkqueueLockup => "WORKQUEUE_LOCKUP",
            Self::BadPage => "BAD_PAGE",
            Self::Oops => "OOPS",
            Self::Panic => "PANIC",
            Self::FileSystemReadOnly => "FILE_SYSTEM_READ_ONLY",
            Self::FileSystemError => "FILE_SYSTEM_ERROR",
            Self::IoError => "IO_ERROR",
            Self::LinkDown => "LINK_DOWN",
            Self::ConntrackFull => "CONNTRACK_FULL",
            Self::NeighbourTableFull => "NEIGHBOUR_TABLE_FULL",
            Self::FilesExhausted => "FILES_EXHAUSTED",
            Self::NfsNotResponding => "NFS_NOT_RESPONDING",
            Self::NfsOk => "NFS_OK",
            Self::GpuXid => "GPU_XID",
        }
    }

    /// The kind of fault that this is the end of; `None` of what is a fault itself.
    pub const fn ends(self) -> Option<Self> {
        match self {
            Self::NfsOk => Some(Self::NfsNotResponding),
            _ => None,
        }
    }
}

impl fmt::Display for TroubleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the text of a record reports of the node, compared from its first character on. Only names of tasks are chosen
/// by programs.
pub(super) fn parse(text: &str) -> Option<Trouble> {
    let found = hung_task(text)
        .or_else(|| lockup(text))
        .or_else(|| oops(text))
        .or_else(|| bad_page(text))
        .or_else(|| file_system(text))
        .or_else(|| io_error(text))
        .or_else(|| table(text))
        .or_else(|| nfs(text))
        .or_else(|| xid(text))
        .or_else(|| lost_gpu(text))
        .or_else(|| link(text));
    found.map(|(kind, about)| Trouble { kind, about: about.to_owned() })
}

type Found<'t> = (TroubleKind, &'t str);

/// `INFO: task %s:%d blocked[ in I/O wait] for more than %ld seconds.`
fn hung_task(text: &str) -> Option<Found<'_>> {
    let rest = text.strip_prefix("INFO: task ")?;
    let phrases = [" blocked for more than ", " blocked in I/O wait for more than "];
    let (task, seconds) = phrases.iter().find_map(|phrase| rest.rsplit_once(phrase))?;
    decimal::<u64>(seconds.strip_suffix('.').unwrap_or(seconds).strip_suffix(" seconds")?)?;
    let (comm, pid) = task.rsplit_once(':')?;
    decimal::<i32>(pid)?;
    is_comm(comm).then_some((TroubleKind::HungTask, task))
}

/// Older kernels write `NMI watchdog: ` or nothing before it, and no `rcu: `; since 6.5 the processor stands before a
/// hard lockup, too.
fn lockup(text: &str) -> Option<Found<'_>> {
    let rest = text.strip_prefix("watchdog: ").or_else(|| text.strip_prefix("NMI watchdog: ")).unwrap_or(text);
    if let Some(rest) = rest.strip_prefix("BUG: soft lockup - CPU#") {
        let (cpu, stuck) = rest.split_once(" stuck for ")?;
        decimal::<u32>(cpu)?;
        let (seconds, _) = stuck.split_once("s!")?;
        return decimal::<u64>(seconds).map(|_| (TroubleKind::SoftLockup, cpu));
    }
    if let Some(pool) = text.strip_prefix("BUG: workqueue lockup - pool ") {
        let (pool, seconds) = pool.rsplit_once(" stuck for ")?;
        return decimal::<u64>(seconds.strip_suffix("s!")?).map(|_| (TroubleKind::WorkqueueLockup, pool));
    }
    let hard = rest.strip_prefix("CPU").and_then(|rest| rest.split_once(": ")).map_or(rest, |(_, hard)| hard);
    if let Some(cpu) = hard.strip_prefix("Watchdog detected hard LOCKUP on cpu ") {
        return Some((TroubleKind::HardLockup, cpu.split(' ').next().unwrap_or_default()));
    }
    if let Some(cpu) = hard_lockup_of_powerpc(text) {
        return Some((TroubleKind::HardLockup, cpu));
    }
    let (flavour, rest) = text.strip_prefix("rcu: ").unwrap_or(text).strip_prefix("INFO: ")?.split_once(' ')?;
    let stalled =
        ["self-detected stall on CPU", "detected stalls on CPUs/tasks:", "detected expedited stalls on CPUs/tasks:"];
    let is_rcu = flavour.starts_with("rcu_") && stalled.iter().any(|phrase| rest.starts_with(phrase));
    is_rcu.then_some((TroubleKind::RcuStall, flavour))
}

/// `watchdog: CPU %d self-detected hard LOCKUP @ %pS`, `watchdog: CPU %d detected hard LOCKUP on other CPUs %*pbl`
/// (`arch/powerpc/kernel/watchdog.c`).
fn hard_lockup_of_powerpc(text: &str) -> Option<&str> {
    let (cpu, rest) = text.strip_prefix("watchdog: CPU ")?.split_once(' ')?;
    decimal::<u32>(cpu)?;
    match rest.strip_prefix("detected hard LOCKUP on other CPUs ") {
        Some(others) => Some(others),
        None => rest.starts_with("self-detected hard LOCKUP @ ").then_some(cpu),
    }
}

fn oops(text: &str) -> Option<Found<'_>> {
    if let Some(reason) = text.strip_prefix("Kernel panic - not syncing: ") {
        return Some((TroubleKind::Panic, reason));
    }
    if let Some(place) = text.strip_prefix("kernel BUG at ").and_then(|rest| rest.strip_suffix('!')) {
        return Some((TroubleKind::Oops, place));
    }
    let starts = [
        "BUG: kernel NULL pointer dereference, address: ",
        "BUG: unable to handle kernel ",
        "BUG: unable to handle page fault for address: ",
        "BUG: Unable to handle kernel ",
        "BUG: Kernel NULL pointer dereference ",
        "Unable to handle kernel ",
    ];
    (starts.iter().any(|start| text.starts_with(start)) || died(text)).then_some((TroubleKind::Oops, ""))
}

/// `die()`: `%s: %04lx[ ilc:%d] [#%d]…`, with `Oops: ` in front on x86 since 6.10, or with flags behind; that of riscv
/// has no code. A name of a process in the kernel's lines is too short to imitate all of that at their beginning.
fn died(text: &str) -> bool {
    let Some((what, rest)) = text.split_once(" [#") else { return false };
    let Some((number, flags)) = rest.split_once(']') else { return false };
    let is_flag = |word: &str| word.starts_with(|c: char| c.is_ascii_uppercase());
    let are_flags = flags.is_empty() || flags.starts_with(' ');
    if decimal::<u32>(number).is_none() || !are_flags || !flags.split_ascii_whitespace().all(is_flag) {
        return false;
    }
    let what = what.split_once(" ilc:").map_or(what, |(what, _)| what);
    let by_code = || {
        let Some((name, code)) = what.rsplit_once(": ") else { return false };
        let is_known = name.starts_with("Internal error: ") || TRAPS.contains(&name.split(',').next().unwrap_or(name));
        is_known && code.len() >= 4 && hexadecimal(code).is_some()
    };
    what == "Oops" || ["Oops: ", "Oops - "].iter().any(|start| what.starts_with(start)) || by_code()
}

/// What `die()` calls the traps of x86 (`arch/x86/kernel/traps.c`) and s390 (`arch/s390/kernel/traps.c`).
const TRAPS: [&str; 18] = [
    "alignment check",
    "bounds",
    "control protection fault",
    "divide error",
    "double fault",
    "general protection",
    "general protection fault",
    "invalid TSS",
    "invalid opcode",
    "overflow",
    "segment not present",
    "stack segment",
    "addressing exception",
    "data exception",
    "illegal operation",
    "operand exception",
    "privileged operation",
    "specification exception",
];

/// `BUG: Bad page state in process %s  pfn:%05lx` (`mm/page_alloc.c`), `BUG: Bad page map in process %s  pte:…`
/// (`mm/memory.c`).
fn bad_page(text: &str) -> Option<Found<'_>> {
    let state = text.strip_prefix("BUG: Bad page state in process ").and_then(|rest| rest.rsplit_once("  pfn:"));
    let map = text.strip_prefix("BUG: Bad page map in process ").and_then(|rest| rest.rsplit_once("  pte:"));
    let (comm, number) = state.or(map)?;
    hexadecimal(number.split(' ').next()?)?;
    is_comm(comm).then_some((TroubleKind::BadPage, comm))
}

fn file_system(text: &str) -> Option<Found<'_>> {
    if let Some((device, rest)) = text.strip_prefix("EXT4-fs (").and_then(|rest| rest.split_once("): ")) {
        // What was to be written when it had become read-only failed with EROFS.
        let written = rest.strip_prefix("ext4_writepages: ").or_else(|| rest.strip_prefix("ext4_do_writepages: "));
        let unwritten = written.is_some_and(|rest| rest.starts_with("jbd2_start: ") && rest.ends_with("; err -30"));
        let read_only = rest == "Remounting filesystem read-only" || unwritten;
        return read_only.then_some((TroubleKind::FileSystemReadOnly, device));
    }
    if let Some(rest) = text.strip_prefix("EXT4-fs error (device ") {
        return rest.split_once(')').map(|(device, _)| (TroubleKind::FileSystemError, device));
    }
    if let Some((device, rest)) = text.strip_prefix("XFS (").and_then(|rest| rest.split_once("): ")) {
        let shut =
            rest.contains("Shutting down filesystem") || rest.starts_with("Filesystem has been shut down due to ");
        let corrupt = rest.starts_with("Metadata corruption detected") || rest.starts_with("Corruption detected");
        return match (shut, corrupt) {
            (true, _) => Some((TroubleKind::FileSystemReadOnly, device)),
            (false, true) => Some((TroubleKind::FileSystemError, device)),
            (false, false) => None,
        };
    }
    let (head, rest) = text.strip_prefix("BTRFS ")?.split_once("): ")?;
    let device = head.split_once("(device ")?.1.split(" state ").next()?.trim_end_matches(':');
    (rest == "forced readonly").then_some((TroubleKind::FileSystemReadOnly, device))
}

/// `[<function>: ]%s error, dev %s, sector %llu[ op 0x%x:(%s) …]`, and `Buffer I/O error on dev[ice] %s, …`. Floppy and
/// optical drives fail whenever they hold no medium; what a device does not do, or another host has reserved, is no
/// failure of it, and a request to discard or zero blocks loses nothing.
fn io_error(text: &str) -> Option<Found<'_>> {
    let buffer = ["Buffer I/O error on dev ", "Buffer I/O error on device "];
    let rest = buffer.iter().find_map(|start| text.strip_prefix(start)).or_else(|| {
        let functions = ["blk_update_request: ", "print_req_error: ", "end_request: "];
        let plain = functions.iter().find_map(|function| text.strip_prefix(function)).unwrap_or(text);
        let (kind, rest) = plain.split_once(" error, dev ")?;
        FAILURES.contains(&kind).then_some(rest)
    })?;
    if SPARED.iter().any(|operation| rest.contains(operation)) {
        return None;
    }
    let device = rest.split([',', ' ']).next().filter(|device| !device.is_empty())?;
    (!device.starts_with("fd") && !device.starts_with("sr")).then_some((TroubleKind::IoError, device))
}

/// The names of `blk_errors` (`block/blk-core.c`) for a device that did not do what it can.
const FAILURES: [&str; 7] = [
    "I/O",
    "critical medium",
    "critical target",
    "critical space allocation",
    "device offline",
    "protection",
    "timeout",
];

/// Requests of which nothing is lost.
const SPARED: [&str; 3] = [":(DISCARD) ", ":(SECURE_ERASE) ", ":(WRITE_ZEROES) "];

fn table(text: &str) -> Option<Found<'_>> {
    let conntrack = text.strip_prefix("nf_conntrack: ");
    let conntrack = conntrack.map(|rest| rest.strip_prefix("nf_conntrack: ").unwrap_or(rest));
    // That of a pod's own namespace is worded `table full in netns …`.
    if conntrack == Some("table full, dropping packet") || conntrack == Some("table full, dropping packet.") {
        return Some((TroubleKind::ConntrackFull, ""));
    }
    if let Some(name) =
        text.strip_prefix("neighbour: ").and_then(|rest| rest.strip_suffix(": neighbor table overflow!"))
    {
        return (!name.contains(' ')).then_some((TroubleKind::NeighbourTableFull, name));
    }
    let limit = text.strip_prefix("VFS: file-max limit ")?.strip_suffix(" reached")?;
    decimal::<u64>(limit).map(|_| (TroubleKind::FilesExhausted, limit))
}

fn nfs(text: &str) -> Option<Found<'_>> {
    let rest = text.strip_prefix("nfs: server ")?;
    let silent =
        [" not responding, still trying", " not responding, timed out"].iter().find_map(|end| rest.strip_suffix(end));
    silent
        .map(|server| (TroubleKind::NfsNotResponding, server))
        .or_else(|| rest.strip_suffix(" OK").map(|server| (TroubleKind::NfsOk, server)))
}

/// Errors that prove the hardware or its link lost (NVIDIA's catalogue of Xid errors); others may be the program's
/// fault.
const FATAL_XIDS: [u32; 21] =
    [46, 48, 54, 62, 63, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 142, 143, 151, 155, 156, 158];

/// `NVRM: Xid (PCI:0000:3b:00): 79, pid=…`
fn xid(text: &str) -> Option<Found<'_>> {
    let (device, rest) = text.strip_prefix("NVRM: Xid (")?.split_once("): ")?;
    let number = rest.split(',').next().and_then(decimal::<u32>)?;
    let is_pci = device.strip_prefix("PCI:").is_some_and(is_address);
    (is_pci && FATAL_XIDS.contains(&number)).then_some((TroubleKind::GpuXid, device))
}

/// Of a GPU that is gone before it can report an Xid: `NVRM: GPU at 0000:3b:00.0 has fallen off the bus.`, and over
/// several lines `NVRM: The NVIDIA GPU 0000:3b:00.0 … installed in this system has … fallen off the bus …`.
fn lost_gpu(text: &str) -> Option<Found<'_>> {
    if let Some(rest) = text.strip_prefix("NVRM: GPU at ") {
        let address = rest.strip_suffix(" has fallen off the bus.")?;
        return is_address(address).then_some((TroubleKind::GpuXid, address));
    }
    let (first, lines) = text.strip_prefix("NVRM: The NVIDIA GPU ")?.split_once('\n')?;
    let address = first.split(' ').next()?;
    let gone = lines.lines().any(|line| line.starts_with("NVRM: ") && line.contains("fallen off the bus"));
    (gone && is_address(address)).then_some((TroubleKind::GpuXid, address))
}

/// An address on the PCI bus, as `0000:3b:00.0`.
fn is_address(text: &str) -> bool {
    text.split([':', '.']).all(|part| hexadecimal(part).is_some())
}

/// `<driver> <bus address> <interface>: [NIC ]Link is Down`, as most drivers word it.
fn link(text: &str) -> Option<Found<'_>> {
    let head = [
        ": NIC Link is Down",
        ": Link is Down",
        ": NIC Link is down",
        ": Link is down",
        ": Link down",
        " NIC Link is Down",
    ]
    .iter()
    .find_map(|end| text.strip_suffix(end))?;
    let interface = head.rsplit(' ').next().filter(|name| !name.is_empty() && name.len() <= 15)?;
    Some((TroubleKind::LinkDown, interface))
}

#[cfg(test)]
mod tests {
    use super::{super::Event, TroubleKind::*, *};

    #[test]
    fn each_fault_is_known_in_every_wording() {
        for (text, kind, about) in [
            ("INFO: task jbd2/vda1-8:231 blocked for more than 120 seconds.", HungTask, "jbd2/vda1-8:231"),
            ("INFO: task a:b c:7 blocked for more than 241 seconds.", HungTask, "a:b c:7"),
            (
                "INFO: task jbd2/dm-1-8:1132 blocked in I/O wait for more than 122 seconds.",
                HungTask,
                "jbd2/dm-1-8:1132",
            ),
            ("watchdog: BUG: soft lockup - CPU#3 stuck for 23s! [kworker/3:1:812]", SoftLockup, "3"),
            ("NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [a:1]", SoftLockup, "0"),
            ("watchdog: Watchdog detected hard LOCKUP on cpu 5", HardLockup, "5"),
            ("watchdog: CPU2: Watchdog detected hard LOCKUP on cpu 2", HardLockup, "2"),
            ("watchdog: CPU 19 self-detected hard LOCKUP @ _raw_spin_lock_irq+0x60/0x100", HardLockup, "19"),
            ("watchdog: CPU 6 detected hard LOCKUP on other CPUs 2-3", HardLockup, "2-3"),
            (
                "BUG: workqueue lockup - pool cpus=3 node=0 flags=0x0 nice=0 stuck for 47s!",
                WorkqueueLockup,
                "cpus=3 node=0 flags=0x0 nice=0",
            ),
            ("BUG: Bad page state in process a  pfn:b c  pfn:1a2b3c", BadPage, "a  pfn:b c"),
            ("BUG: Bad page map in process java  pte:8000000123 pmd:1a2b3c067", BadPage, "java"),
            ("rcu: INFO: rcu_preempt self-detected stall on CPU", RcuStall, "rcu_preempt"),
            ("INFO: rcu_sched detected stalls on CPUs/tasks:", RcuStall, "rcu_sched"),
            ("BUG: kernel NULL pointer dereference, address: 0000000000000008", Oops, ""),
            ("Oops: 0002 [#1] PREEMPT SMP PTI", Oops, ""),
            ("general protection fault: 0000 [#1] SMP ", Oops, ""),
            (
                "general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP PTI",
                Oops,
                "",
            ),
            ("divide error: 0000 [#1] SMP NOPTI", Oops, ""),
            ("addressing exception: 0005 ilc:2 [#1] SMP ", Oops, ""),
            ("Internal error: synchronous external abort: 0000000096000210 [#1] SMP", Oops, ""),
            ("Oops - illegal instruction [#1]", Oops, ""),
            ("Oops: general protection fault, probably for non-canonical address 0xd: 0000 [#1] SMP NOPTI", Oops, ""),
            ("Oops: 0000 [#7] PREEMPT(full) SMP NOPTI", Oops, ""),
            ("Oops: Kernel access of bad area, sig: 11 [#1]", Oops, ""),
            ("Oops: 003b ilc:3 [#1] SMP ", Oops, ""),
            ("BUG: Kernel NULL pointer dereference on read at 0x00000008", Oops, ""),
            ("BUG: Unable to handle kernel data access on write at 0xc008000000000000", Oops, ""),
            ("kernel BUG at fs/ext4/inode.c:2721!", Oops, "fs/ext4/inode.c:2721"),
            ("Kernel panic - not syncing: sysrq triggered crash", Panic, "sysrq triggered crash"),
            ("EXT4-fs (vda1): Remounting filesystem read-only", FileSystemReadOnly, "vda1"),
            ("EXT4-fs (vda): ext4_writepages: jbd2_start: 1024 pages, ino 11080; err -30", FileSystemReadOnly, "vda"),
            (
                "EXT4-fs (sda): ext4_do_writepages: jbd2_start: 9223372036854775807 pages, ino 13; err -30",
                FileSystemReadOnly,
                "sda",
            ),
            ("XFS (dm-3): Filesystem has been shut down due to log error (0x2).", FileSystemReadOnly, "dm-3"),
            ("BTRFS info (device sdb state E): forced readonly", FileSystemReadOnly, "sdb"),
            ("BTRFS info (device sdb: state EA): forced readonly", FileSystemReadOnly, "sdb"),
            (
                "EXT4-fs error (device sda2): ext4_find_entry:1455: inode #2: comm ls: reading lblock 0",
                FileSystemError,
                "sda2",
            ),
            ("I/O error, dev sda, sector 1234 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2", IoError, "sda"),
            ("blk_update_request: I/O error, dev nvme0n1, sector 12", IoError, "nvme0n1"),
            (
                "critical medium error, dev sdb, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
                IoError,
                "sdb",
            ),
            ("Buffer I/O error on dev dm-1, logical block 0, async page read", IoError, "dm-1"),
            ("Buffer I/O error on device dm-1, logical block 0", IoError, "dm-1"),
            ("end_request: I/O error, dev sdh, sector 1996791104", IoError, "sdh"),
            ("print_req_error: critical medium error, dev sdf, sector 1811939592", IoError, "sdf"),
            (
                "device offline error, dev sdf, sector 1005856 op 0x1:(WRITE) flags 0x0 phys_seg 67 prio class 0",
                IoError,
                "sdf",
            ),
            (
                "timeout error, dev nvme1n1, sector 34359 op 0x1:(WRITE) flags 0x8800 phys_seg 1 prio class 2",
                IoError,
                "nvme1n1",
            ),
            (
                "critical target error, dev sdb, sector 8 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2",
                IoError,
                "sdb",
            ),
            ("nf_conntrack: nf_conntrack: table full, dropping packet", ConntrackFull, ""),
            ("neighbour: arp_cache: neighbor table overflow!", NeighbourTableFull, "arp_cache"),
            ("VFS: file-max limit 9223 reached", FilesExhausted, "9223"),
            ("nfs: server nas-1 not responding, still trying", NfsNotResponding, "nas-1"),
            ("nfs: server nas-1 OK", NfsOk, "nas-1"),
            (
                "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
                GpuXid,
                "PCI:0000:3b:00",
            ),
            ("NVRM: GPU at 0000:3b:00.0 has fallen off the bus.", GpuXid, "0000:3b:00.0"),
            (
                "NVRM: The NVIDIA GPU 0000:3b:00.0\nNVRM: (PCI ID: 10de:26b5) installed in this system has\nNVRM: fallen \
                 off the bus and is not responding to commands.",
                GpuXid,
                "0000:3b:00.0",
            ),
            ("e1000e 0000:00:1f.6 eth0: NIC Link is Down", LinkDown, "eth0"),
            ("igb 0000:01:00.0 eth0: igb: eth0 NIC Link is Down", LinkDown, "eth0"),
            ("tg3 0000:02:00.0 eth0: Link is down", LinkDown, "eth0"),
        ] {
            let trouble = Trouble { kind, about: about.to_owned() };
            assert_eq!(Event::parse(text), Some(Event::Trouble(trouble)), "{text}");
        }
    }

    #[test]
    fn what_merely_resembles_a_fault_is_none() {
        for text in [
            "EXT4-fs (vda): re-mounted. Quota mode: none.",
            "EXT4-fs (vda): mounted filesystem with ordered data mode",
            "I/O error, dev fd0, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            "Buffer I/O error on dev sr0, logical block 0",
            "end_request: I/O error, dev fd0, sector 0",
            "critical target error, dev sdb, sector 8 op 0x3:(DISCARD) flags 0x800 phys_seg 1 prio class 0",
            "I/O error, dev sdb, sector 8 op 0x9:(WRITE_ZEROES) flags 0x800 phys_seg 0 prio class 0",
            "operation not supported error, dev sdb, sector 0 op 0x9:(WRITE_ZEROES) flags 0x800 phys_seg 0 prio class 0",
            "reservation conflict error, dev sdc, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            "blk_update_request: critical nexus error, dev sdc, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0",
            "recoverable transport error, dev dm-3, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0",
            "watchdog: CPU 2 Hard LOCKUP",
            "watchdog: CPU#0 Utilization every 4s during lockup:",
            "INFO: task app:4242 is blocked on a mutex likely owned by task b:17.",
            "EXT4-fs (sda1): re-mounted. Opts: errors=remount-ro",
            // Names of processes, where the kernel writes them.
            "Oops: 0002 [#1]: page allocation failure: order:4, mode:0x40dc0(GFP_KERNEL)",
            "Oops [#1]: page allocation failure: order:4, mode:0x40dc0(GFP_KERNEL)",
            "CPU: 3 PID: 4242 Comm: x: dead [#1] Not tainted 6.8.0 #1",
            "[   4242]     0  4242   226026    29603  1314816        0           999 x: dead [#1]",
            "NVRM: Xid (PCI:0000:3b:00): 31, pid=1, name=train, Ch 00000008",
            "nf_conntrack: nf_conntrack: table full in netns 4026532511, dropping packet",
            "xINFO: task a:1 blocked for more than 120 seconds.",
            "INFO: task a_name_that_is_too_long:1 blocked for more than 120 seconds.",
            "INFO: rcu_preempt is fine",
            "watchdog: BUG: soft lockup - CPU#x stuck for 23s! [a:1]",
            "BUG: workqueue lockup - pool cpus=3 stuck for long",
            "BUG: Bad page state in process a_name_that_is_too_long  pfn:1a2b3c",
            "NVRM: The NVIDIA GPU 0000:3b:00.0\nNVRM: (PCI ID: 10de:26b5) installed in this system is fine",
            "NVRM: GPU at PCI:0000:b3:00: GPU-979426f2",
            "VFS: file-max limit many reached",
        ] {
            assert_eq!(Event::parse(text), None, "{text}");
        }
    }
}
