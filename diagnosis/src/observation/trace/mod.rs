//! The tracepoints `signal:signal_generate` and `oom:mark_victim`, as perf_event_open(2) gives them, and as the text of
//! `trace_pipe`.
//!
//! Mirrors `include/trace/events/signal.h` and `include/trace/events/oom.h`.

use serde::{Deserialize, Serialize};

mod format;
mod line;

pub use format::Format;
pub use line::parse_line;

/// The signals that the source watches: those that end a process and whose sender is significant. About any other
/// signal, its silence means nothing.
pub const WATCHED_SIGNALS: [i32; 10] = [2, 3, 4, 6, 7, 8, 9, 11, 15, 31];

/// si_code of a signal that the kernel itself generated (`include/uapi/asm-generic/siginfo.h`).
pub const SI_KERNEL: i32 = 0x80;

/// As ftrace calls a thread whose name it does not know.
pub const NAMELESS: &str = "<...>";

/// What one line of `trace_pipe` reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceLine {
    /// An event.
    Event(TraceEvent),
    /// Events of a CPU were overwritten before they were read.
    LostEvents {
        /// Of which CPU.
        cpu: u32,
        /// How many, if the kernel reports it.
        lost: Option<u64>,
    },
}

/// An event, with the header of ftrace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceEvent {
    /// The number of the CPU that it happened on.
    pub cpu: u32,
    /// Microseconds by the trace's clock; with `trace_clock` set to `mono`, since boot.
    pub boot_micros: u64,
    /// The thread that ran.
    pub thread: Thread,
    /// What the event reports.
    pub kind: TraceEventKind,
}

/// What an event can report.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The number of the signal, 1 to 64.
    pub signal: i32,
    /// si_code: 0 kill(2), -6 tgkill(2), 0x80 the kernel, small positive numbers a fault of the thread itself.
    pub code: i32,
    /// What became of it: 0 delivered, 1 ignored, 2 already pending, 3 and 4 overflow.
    pub result: i32,
    /// The thread that ran when it was generated: the sender, or the faulting thread itself.
    pub sender: Thread,
    /// The thread it is for (the whole process if [`group`](Self::group)).
    pub target: Thread,
    /// Whether it was sent to the whole process, not to one thread.
    pub group: bool,
    /// More about the sender, read from /proc by the source where the sender still lived: its process id and cgroup.
    pub sender_process: Option<SenderProcess>,
}

impl Signal {
    /// Whether anything but the sender's thread id is known: it may have ended before it could be inspected.
    pub fn sender_is_known(&self) -> bool {
        self.sender.comm != NAMELESS || self.sender_process.is_some()
    }

    /// The sender's process id; its thread id where /proc was not read in time.
    pub fn sender_pid(&self) -> i32 {
        self.sender_process.as_ref().map_or(self.sender.tid, |process| process.pid)
    }

    /// The name of the sender's program: that of its file where it was read, else the thread's, which the program
    /// chooses.
    pub fn sender_program(&self) -> &str {
        let file = self.sender_process.as_ref().and_then(|process| process.exe.as_deref());
        file.and_then(|file| file.rsplit('/').next()).unwrap_or(&self.sender.comm)
    }
}

/// A thread by its id in the node's pid namespace and its name at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// The thread id, in the node's pid namespace.
    pub tid: i32,
    /// `comm`: at most 15 bytes, chosen by the program.
    pub comm: String,
}

/// What /proc showed about a sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SenderProcess {
    /// The process id: the id of the thread group.
    pub pid: i32,
    /// The program's path (/proc/PID/exe), where it could be read.
    pub exe: Option<String>,
    /// Its cgroup path (memory controller or v2).
    pub cgroup: Option<String>,
}

/// The OOM killer chose a victim (`oom:mark_victim`); fires also where the kernel log stays silent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OomVictim {
    /// Process id of the victim.
    pub pid: i32,
    /// Its name, if the kernel reports it (since 6.9, backported).
    pub comm: Option<String>,
    /// The thread that was allocating, in whose context the kill happened.
    pub allocator: Thread,
}
