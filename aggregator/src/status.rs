//! The status of the aggregator, beside what is in its ledger.

use std::{collections::BTreeMap, sync::Arc};

use coroner_diagnosis::{messages::operation, observation::Reason};
use coroner_proto::v1::{CertificateStatus, ExporterState, ExporterStatus, GetStatusResponse, NodeStatus, TaskStatus};
use coroner_runtime::tasks::{End, Supervisor, TaskState};
use prost_types::Timestamp;

use crate::{
    auth::Refusals,
    export::{Exporter, task_name},
    ledger::{self, Holder, Ledger},
    net::{Expiry, Tls},
    nodes::Nodes,
    time::timestamp,
};

/// Where `GetStatus` gets its parts from.
#[derive(Clone, Debug)]
pub struct Status {
    /// The store of all records.
    pub ledger: Arc<Ledger>,
    /// The status of each node.
    pub nodes: Arc<Nodes>,
    /// The counts of refusals, by reason.
    pub refusals: Arc<Refusals>,
    /// The TLS of the listeners; `None` without TLS.
    pub tls: Option<Arc<Tls>>,
    /// All exporters that were configured.
    pub exporters: Vec<Exporter>,
    /// The supervisor of all tasks.
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
            nodes: self.nodes().await?,
            exporters: self.exporters(&tasks),
            refusals: self.refusals.all(),
            certificates: self.certificates(),
            tasks,
            ..status
        })
    }

    /// All nodes, with what the ledger holds of each.
    async fn nodes(&self) -> Result<Vec<NodeStatus>, ledger::Error> {
        let mut holders: BTreeMap<_, _> =
            self.ledger.query(ledger::holders).await?.into_iter().map(|holder| (holder.name.clone(), holder)).collect();
        let mut nodes = self.nodes.all();
        for node in &mut nodes {
            if let Some(Holder { records, bytes, taken, .. }) = holders.remove(&node.node) {
                let count = |count: i64| u64::try_from(count).unwrap_or(0);
                (node.record_count, node.record_bytes) = (count(records), count(bytes));
                node.removed_count = count(taken);
            }
        }
        Ok(nodes)
    }

    fn certificates(&self) -> Vec<CertificateStatus> {
        let expiries = self.tls.iter().flat_map(|tls| tls.expiries());
        let status = |Expiry { purpose, time }| {
            let expire_time = Some(Timestamp { seconds: time, nanos: 0 });
            CertificateStatus { purpose: purpose.into(), expire_time }
        };
        expiries.map(status).collect()
    }

    fn tasks(&self) -> Vec<TaskStatus> {
        let tasks = self.supervisor.tasks().into_iter().map(|task| {
            let message = match &task.state {
                TaskState::Running => None,
                TaskState::Down { end: End::Ended } => Some(operation::task_ended()),
                TaskState::Down { end: End::Failed(error) } => Some(operation::task_failed(error)),
                TaskState::Down { end: End::Panicked(fault) } => Some(operation::task_panicked(fault)),
            };
            let is_running = message.is_none();
            let (reason, reason_message) =
                message.map(|message| Reason::from(message).on_the_wire()).unwrap_or_default();
            TaskStatus { name: task.name, is_running, reason, restart_count: task.restarts, reason_message }
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
                Some(TaskStatus { reason, reason_message, .. }) => ExporterStatus {
                    state: ExporterState::Failed.into(),
                    reason: reason.clone(),
                    reason_message: reason_message.clone(),
                    ..status
                },
            }
        });
        exporters.collect()
    }
}
