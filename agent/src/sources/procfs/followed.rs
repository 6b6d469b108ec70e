//! One process, looked at several times a second for as long as it lives.
//!
//! Its file `stat` is kept open: a pid that is used again meanwhile is never mistaken for it, as reading then fails
//! with ESRCH. The file is that of its first thread (`/proc/PID/task/PID/stat`): that of the process has the same
//! state, but adds up the times of all threads (`do_task_stat()` of `fs/proc/array.c`).

use std::{fs::File, os::unix::fs::FileExt, path::Path};

/// More than the kernel writes: a name of at most 64 bytes, and 51 numbers.
const STAT_MAX: usize = 2048;

/// A process that is followed.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) pid: i32,
    /// When it started, in clock ticks since boot.
    pub(crate) start_ticks: u64,
    stat: File,
}

impl Followed {
    /// The process with this pid below `proc`, unless it has ended.
    pub(super) fn open(proc: &Path, pid: i32) -> Option<Self> {
        let stat = File::open(proc.join(format!("{pid}/task/{pid}/stat"))).ok()?;
        let start_ticks = Look::at(&stat)?.start_ticks;
        Some(Self { pid, start_ticks, stat })
    }

    /// Whether a signal has stopped it; `None` if it has ended.
    pub(crate) fn is_stopped(&self) -> Option<bool> {
        Look::at(&self.stat).map(|look| look.is_stopped)
    }
}

/// What one look at a process that has not ended shows.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    is_stopped: bool,
    start_ticks: u64,
}

impl Look {
    fn at(stat: &File) -> Option<Self> {
        let mut buffer = [0; STAT_MAX];
        let length = stat.read_at(&mut buffer, 0).ok()?;
        Self::parse(buffer.get(..length)?)
    }

    /// `pid (name) state …`, where the name may contain anything but a NUL. `None` also for a process of which only its
    /// zombie is left, and no other thread.
    fn parse(stat: &[u8]) -> Option<Self> {
        let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
        let mut fields = std::str::from_utf8(stat.get(after_name..)?).ok()?.split_ascii_whitespace();
        // The 3rd, 20th and 22nd of all fields, as proc_pid_stat(5) counts them.
        let state = fields.next()?;
        let threads: u64 = fields.nth(16)?.parse().ok()?;
        let start_ticks = fields.nth(1)?.parse().ok()?;
        let has_ended = matches!(state, "Z" | "X" | "x") && threads <= 1;
        (!has_ended).then_some(Self { is_stopped: state == "T", start_ticks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read_whatever_the_name() {
        let line = |name: &str, state: char, threads: u32| {
            format!("7 ({name}) {state} 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 {threads} 0 4711 2 3 4\n")
        };
        let look = |name, state, threads| Look::parse(line(name, state, threads).as_bytes());
        let lives = |is_stopped| Some(Look { is_stopped, start_ticks: 4711 });
        assert_eq!(look("kubelet", 'S', 9), lives(false));
        assert_eq!(look(") T 1 (x", 'S', 9), lives(false));
        assert_eq!(look("kubelet", 'T', 9), lives(true));
        assert_eq!(look("kubelet", 'Z', 9), lives(false), "its first thread alone has ended");
        assert_eq!(look("kubelet", 'Z', 1), None);
        assert_eq!(Look::parse(b"7 (kubelet) S 1"), None);
    }

    #[test]
    fn this_process_is_found_and_one_that_was_waited_for_is_not() {
        let proc = Path::new("/proc");
        let own = Followed::open(proc, std::process::id().cast_signed()).unwrap();
        assert_eq!(own.is_stopped(), Some(false));
        let mut child = std::process::Command::new("/bin/sleep").arg("600").spawn().unwrap();
        let followed = Followed::open(proc, child.id().cast_signed()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(followed.is_stopped(), None);
        assert!(followed.start_ticks >= own.start_ticks);
    }
}
