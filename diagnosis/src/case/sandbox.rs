//! What is kept of a pod's sandbox.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::statements::Statement;
use crate::observation::cgroup;

/// Processes of one sandbox that are remembered: its pause process, or a virtual machine's.
const PIDS: usize = 16;

/// A sandbox, in its pod's file: no diagnosis is ever about it.
#[derive(Debug, Default)]
pub struct SandboxFile {
    /// When the first happened that is known of it.
    pub(super) first_seen: Timestamp,
    /// Its cgroup.
    pub(super) cgroup: Option<cgroup::Path>,
    /// Its processes.
    pub(super) pids: BTreeSet<i32>,
    /// Whether the runtime last reported that it is ready, or that its task was started.
    pub(super) ready: bool,
    /// Exit status of its main process, by the runtime's events.
    pub end: Option<Statement<u32>>,
    /// When its cgroup was removed or the runtime forgot it.
    pub(super) gone: Option<Timestamp>,
}

impl SandboxFile {
    pub(super) fn new(at: Timestamp) -> Self {
        Self { first_seen: at, ..Self::default() }
    }

    /// Records a process. False if there are too many.
    pub(super) fn record_process(&mut self, pid: i32) -> bool {
        if self.pids.len() < PIDS {
            self.pids.insert(pid);
        }
        self.pids.contains(&pid)
    }

    /// When it ended; `None` while it lives or nothing is known.
    pub(super) fn ended_at(&self) -> Option<Timestamp> {
        let exit = self.end.as_ref().map(|end| end.at);
        [exit, self.gone].into_iter().flatten().min()
    }

    pub(super) fn lives(&self) -> bool {
        self.ready && self.ended_at().is_none()
    }
}
