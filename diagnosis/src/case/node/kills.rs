//! Whether other sources confirm or refute a kill that the kernel log reports.
//!
//! The text of the kernel log is one source. It holds names that programs choose, so what it reports of a process is
//! compared with what programs cannot influence: tracepoints, how the process ended, /proc, and the counters of its
//! cgroup.

use jiff::{SignedDuration, Timestamp};

use super::{CLOCKS, NodeFile};
use crate::{
    case::{ContainerFile, OomKill, ProcessFile, Samples},
    observation::{
        cgroup::Level,
        cri::ContainerId,
        process::WaitStatus,
        trace::{SI_KERNEL, Signal},
    },
};

/// A process that was killed has ended within this time: it may have to wait for a device.
const SLOW_END: SignedDuration = SignedDuration::from_mins(1);
/// The unit of a process' start time (`USER_HZ`), in microseconds.
const TICK: u64 = 10_000;

impl NodeFile {
    /// Whether, and how, the kernel last killed a process of this pid for memory between two moments, unless another
    /// source refutes it.
    pub fn oom_kill(&self, pid: i32, from: Timestamp, to: Timestamp) -> Option<OomKill<'_>> {
        let mut kill = self.processes.oom_kill(pid, from, to)?;
        let file = self.container_of(&kill);
        kill.confirmed = kill.confirmed || self.is_confirmed(&kill, file);
        (kill.confirmed || !self.is_refuted(&kill, file)).then_some(kill)
    }

    /// The container of the victim: by the cgroup that the kernel names, else by its pid.
    fn container_of(&self, kill: &OomKill<'_>) -> Option<&ContainerFile> {
        match kill.level() {
            Some(Level::Container { container_id, .. }) => self.registry.container(&ContainerId(container_id)),
            _ => self.registry.container(self.owner(kill.pid)?),
        }
    }

    fn is_confirmed(&self, kill: &OomKill<'_>, file: Option<&ContainerFile>) -> bool {
        let by_kernel = |signal: &Signal| signal.signal == 9 && signal.code == SI_KERNEL;
        let mut signals = self.processes.signals.of(kill.pid, kill.at - CLOCKS, kill.at + CLOCKS);
        if signals.any(|(_, signal)| by_kernel(signal)) || self.wait_status(kill) == Some(WaitStatus::Signaled(9)) {
            return true;
        }
        let Some(file) = file else { return false };
        let seen_ending = file.processes.get(&kill.pid).and_then(|process| process.ending);
        if seen_ending.is_some_and(|at| at >= kill.at - CLOCKS) {
            return true;
        }
        let ended = file.reported_exit().filter(|_| self.main_pid(file) == Some(kill.pid));
        if ended.is_some_and(|end| end.what == 137 && end.at >= kill.at - CLOCKS && end.at <= kill.at + SLOW_END) {
            return true;
        }
        let counted = |samples: &Samples| {
            let counters = [&samples.oom_kills, &samples.oom_kills_below];
            counters.into_iter().any(|counter| counter.grew_at(kill.at, CLOCKS, file.first_seen))
        };
        counted(&file.samples)
    }

    /// Only the counters of v2 count what is killed in cgroups that the container itself has made.
    fn is_refuted(&self, kill: &OomKill<'_>, file: Option<&ContainerFile>) -> bool {
        let process = file.and_then(|file| file.processes.get(&kill.pid));
        self.wait_status(kill).is_some()
            || process.is_some_and(|process| survived(process, kill))
            || file.is_some_and(|file| self.main_pid(file) == Some(kill.pid) && exited_by_itself(file, kill))
            || file.is_some_and(|file| file.samples.oom_kills_below.stood_still_at(kill.at, CLOCKS))
    }

    /// How the kernel reports that the victim ended.
    fn wait_status(&self, kill: &OomKill<'_>) -> Option<WaitStatus> {
        let mut ends = self.processes.exits.of(kill.pid, kill.at - CLOCKS, kill.at + SLOW_END);
        ends.next().map(|(_, status)| *status)
    }
}

/// Whether the container, which had started, is reported to have ended by an exit of its main process, at the kill or
/// after it.
fn exited_by_itself(file: &ContainerFile, kill: &OomKill<'_>) -> bool {
    let started = file.task_started.is_some() || file.status.as_ref().is_some_and(|status| status.started_at.is_some());
    started && file.reported_exit().is_some_and(|end| (0..128).contains(&end.what) && end.at >= kill.at - CLOCKS)
}

/// Whether /proc shows, after the kill was read, that a process which is older than it lives on.
fn survived(process: &ProcessFile, kill: &OomKill<'_>) -> bool {
    let (Some(alive), Some(started), Some(line)) = (process.alive, process.start_ticks, kill.killed) else {
        return false;
    };
    alive > line.read && started.saturating_mul(TICK) < line.boot_micros
}
