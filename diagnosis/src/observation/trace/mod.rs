//! tracefs: the text lines of `signal:signal_generate` and `oom:mark_victim`, as `trace_pipe` gives them.
//!
//! Mirrors `include/trace/events/signal.h` and `include/trace/events/oom.h`.

mod line;

pub use line::parse_line;

/// The signals that the source watches: those that end a process and tell something by their sender. About any other
/// signal, its silence means nothing.
pub const WATCHED_SIGNALS: [i32; 10] = [2, 3, 4, 6, 7, 8, 9, 11, 15, 31];

/// si_code of a signal that the kernel itself generated (`include/uapi/asm-generic/siginfo.h`).
pub const SI_KERNEL: i32 = 0x80;

/// One line of trace_pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceLine {
    /// An event.
    Event(TraceEvent),
    /// Events of a CPU were overwritten before they were read.
    LostEvents {
        /// Of which CPU.
        cpu: u32,
        /// How many, where the kernel can tell.
        lost: Option<u64>,
    },
}

/// An event, with what ftrace tells of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEvent {
    /// The CPU that it happened on.
    pub cpu: u32,
    /// Microseconds by the trace's clock; with `trace_clock` set to `mono`, since boot.
    pub boot_micros: u64,
    /// The thread that ran.
    pub thread: Thread,
    /// What happened.
    pub kind: TraceEventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceEventKind {
    /// `signal:signal_generate`.
    Signal(Signal),
    /// `oom:mark_victim`.
    OomVictim(OomVictim),
    /// Anything else.
    Other,
}

/// A signal was generated for a process (`signal:signal_generate`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Number, 1 to 64.
    pub signal: i32,
    /// si_code: 0 kill(2), -6 tgkill(2), 0x80 the kernel, small positive numbers a fault of the thread itself.
    pub code: i32,
    /// What became of it: 0 delivered, 1 ignored, 2 already pending, 3 and 4 overflow.
    pub result: i32,
    /// The thread that ran when it was generated: the sender, or the faulting thread itself.
    pub sender: Thread,
    /// The thread it is for (the whole process if [`group`](Self::group)).
    pub target: Thread,
    /// Sent to the whole process.
    pub group: bool,
    /// More about the sender, read from /proc by the source where the sender still lived: its process id and cgroup.
    pub sender_process: Option<SenderProcess>,
}

/// A thread by its id in the node's pid namespace and its name at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Thread id.
    pub tid: i32,
    /// `comm`: at most 15 bytes, chosen by the program.
    pub comm: String,
}

/// What /proc said about a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderProcess {
    /// Thread group id.
    pub pid: i32,
    /// The program's path (/proc/PID/exe), where it could be read.
    pub exe: Option<String>,
    /// Its cgroup path (memory controller or v2).
    pub cgroup: Option<String>,
}

/// The OOM killer chose a victim (`oom:mark_victim`); fires also where the kernel log stays silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OomVictim {
    /// Process id of the victim.
    pub pid: i32,
    /// Its name, where the kernel tells it (since 6.9, backported).
    pub comm: Option<String>,
    /// The thread that was allocating, in whose context the kill happened.
    pub allocator: Thread,
}
