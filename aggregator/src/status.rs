//! What the aggregator says of itself, beside what is in its ledger.

use std::sync::Arc;

use coroner_proto::v1::{ExporterState, ExporterStatus, GetStatusResponse, TaskStatus};
use coroner_runtime::tasks::{Supervisor, TaskState};

use crate::{
    auth::Refusals,
    export::{Exporter, task_name},
    ledger::{self, Ledger},
    nodes::Nodes,
    time::timestamp,
};

/// Where the parts of the status are.
#[derive(Clone, Debug)]
pub struct Status {
    /// What is stored.
    pub ledger: Arc<Ledger>,
    /// All agents.
    pub nodes: Arc<Nodes>,
    /// What was refused.
    pub refusals: Arc<Refusals>,
    /// All exporters.
    pub exporters: Vec<Exporter>,
    /// All tasks.
    pub supervisor: Supervisor,
}

impl Status {
    /// All of it, or what anyone may know who may read at all.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub async fn get(&self, sees_nodes: bool) -> Result<GetStatusResponse, ledger::Error> {
        let extent = self.ledger.query(ledger::extent).await?;
        let status = GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").into(),
            oldest_time: extent.oldest_time.map(timestamp),
            record_count: extent.record_count,
            waiting_count: extent.waiting_count,
            ..GetStatusResponse::default()
        };
        if !sees_nodes {
            return Ok(status);
        }
        let tasks = self.tasks();
        Ok(GetStatusResponse {
            nodes: self.nodes.all(),
            exporters: self.exporters(&tasks),
            refusals: self.refusals.all(),
            tasks,
            ..status
        })
    }

    fn tasks(&self) -> Vec<TaskStatus> {
        let tasks = self.supervisor.tasks().into_iter().map(|task| {
            let (is_running, reason) = match task.state {
                TaskState::Running => (true, String::new()),
                TaskState::Down { reason } => (false, reason),
            };
            TaskStatus { name: task.name, is_running, reason, restart_count: task.restarts }
        });
        tasks.collect()
    }

    fn exporters(&self, tasks: &[TaskStatus]) -> Vec<ExporterStatus> {
        let committed = *self.ledger.committed().borrow();
        let exporters = self.exporters.iter().map(|Exporter { target, counters }| {
            let status = counters.status(target, committed);
            let name = task_name(target);
            match tasks.iter().find(|task| task.name == name && !task.is_running) {
                None => status,
                Some(task) => ExporterStatus {
                    state: ExporterState::Failed.into(),
                    reason: format!("it is started again: {}", task.reason),
                    ..status
                },
            }
        });
        exporters.collect()
    }
}
