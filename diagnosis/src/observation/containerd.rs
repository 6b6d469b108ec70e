//! containerd's own event stream: the topics `/tasks/*` of a namespace.
//!
//! Mirrors `containerd/api/events/task.proto`. Known inaccuracies: a sandbox gets `/tasks/oom` too; on cgroup v1 an OOM
//! of a pod's cgroup is reported for each of its containers; the exit status is 128 + n for a signal n as for a status
//! of that value.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::observation::cri::ContainerId;

/// An event of the topic `/tasks/…` of containerd; a task is the running part of a container or sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEvent {
    /// The container, or sandbox, that the task is of.
    pub container: ContainerId,
    /// What happened to the task.
    pub kind: TaskEventKind,
}

impl TaskEvent {
    /// Whether the main process has ended: another than that is an exec's.
    pub fn is_end(&self) -> bool {
        matches!(&self.kind, TaskEventKind::Exit { process_id, .. } if *process_id == self.container.0)
    }
}

/// What happened to a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskEventKind {
    /// `/tasks/start`: its main process runs.
    Start {
        /// Pid of the main process.
        pid: i32,
    },
    /// `/tasks/exec-started`: another process was started inside.
    ExecStarted {
        /// Its id.
        exec_id: String,
        /// Its pid.
        pid: i32,
    },
    /// `/tasks/oom`: some cgroup that it belongs to ran out of memory (v1), or a process of it was killed for memory
    /// (v2).
    Oom,
    /// `/tasks/exit`: a process ended.
    Exit {
        /// The id of the process: that of the container for the main process, else of an exec.
        process_id: String,
        /// Pid.
        pid: i32,
        /// Exit status, or 128 + signal.
        status: u32,
        /// When.
        exited_at: Option<Timestamp>,
    },
    /// `/tasks/delete`: the main process' remains are gone.
    Delete {
        /// Exit status, or 128 + signal.
        status: u32,
        /// When it had exited.
        exited_at: Option<Timestamp>,
    },
}
