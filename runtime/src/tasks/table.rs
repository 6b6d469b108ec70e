//! The state of every supervised task.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::metrics::{Counters, Gauges, Metrics};

/// How much the program depends on a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Without it the program is not ready.
    Ready,
    /// The program works without it, with restrictions, and reports that elsewhere.
    Optional,
}

/// Whether a task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It runs.
    Running,
    /// It has ended, and runs again soon if it is one that restarts.
    Down {
        /// How it ended.
        end: End,
    },
}

/// How a run of a task ended before it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Without an error.
    Ended,
    /// With this error, in one line.
    Failed(String),
    /// It panicked, with this message.
    Panicked(String),
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => formatter.write_str("it ended"),
            Self::Failed(error) => formatter.write_str(error),
            Self::Panicked(fault) => write!(formatter, "it panicked: {fault}"),
        }
    }
}

/// A task and its present state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStatus {
    /// The name by which it was started, as in logs and metrics.
    pub name: String,
    /// How much the program depends on it.
    pub need: Need,
    /// Whether the task is running.
    pub state: TaskState,
    /// How often it was restarted.
    pub restarts: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Table {
    rows: Arc<Mutex<Rows>>,
    up: Gauges,
    restarts: Counters,
}

#[derive(Debug, Default)]
struct Rows {
    next: u64,
    tasks: BTreeMap<u64, TaskStatus>,
}

impl Table {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            rows: Arc::default(),
            up: metrics.gauges("task_up", "task", "Whether a task of the program runs"),
            restarts: metrics.counters("task_restarts", "task", "How often a task was started again after it ended"),
        }
    }

    /// A row for a task that begins to run; it leaves the table when the row is dropped.
    pub(super) fn enter(&self, name: String, need: Need) -> Row {
        self.up.set(&name, 1);
        let _shown_as_zero = self.restarts.of(&name);
        let status = TaskStatus { name: name.clone(), need, state: TaskState::Running, restarts: 0 };
        let id = self.with(|rows| {
            rows.next += 1;
            rows.tasks.insert(rows.next, status);
            rows.next
        });
        Row { table: self.clone(), id, name }
    }

    pub(super) fn all(&self) -> Vec<TaskStatus> {
        self.with(|rows| rows.tasks.values().cloned().collect())
    }

    pub(super) fn is_ready(&self) -> bool {
        let is_down = |task: &TaskStatus| task.need == Need::Ready && task.state != TaskState::Running;
        self.with(|rows| !rows.tasks.values().any(is_down))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Rows) -> T) -> T {
        act(&mut self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A task's own row.
#[derive(Debug)]
pub(super) struct Row {
    table: Table,
    id: u64,
    name: String,
}

impl Row {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn fell(&self, end: End) {
        self.table.up.set(&self.name, 0);
        self.update(|task| task.state = TaskState::Down { end });
    }

    pub(super) fn restarted(&self) {
        self.table.up.set(&self.name, 1);
        self.table.restarts.of(&self.name).inc();
        self.update(|task| {
            task.state = TaskState::Running;
            task.restarts += 1;
        });
    }

    fn update(&self, act: impl FnOnce(&mut TaskStatus)) {
        self.table.with(|rows| rows.tasks.get_mut(&self.id).map(act));
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        self.table.up.remove(&self.name);
        self.table.with(|rows| rows.tasks.remove(&self.id));
    }
}
