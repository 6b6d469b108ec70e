//! The watch of the whole cluster: what only the API server knows becomes diagnoses like those of the agents.
//!
//! It reports to the intake as an agent does, under a name that no node can have, so that readers, retention and status
//! treat it as one. One aggregator of a cluster watches; it holds nothing that another could not read again. So it is
//! reduced first when memory approaches its limit: ledger and feed continue, less of the cluster is watched, and the
//! status shows it.

mod earlier;
mod extent;
mod objects;
mod reporter;
mod uid;
mod watcher;

use coroner_diagnosis::{
    messages::{Message, health},
    observation::Health,
};
use coroner_proto::v1::SubjectKind;
use coroner_runtime::{
    error::chain,
    tasks::{Panicked, caught},
};
use kube::Client;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub(crate) use self::{earlier::Earlier, reporter::Reporter, uid::find as find_uid};
use self::{
    extent::Extent,
    watcher::{End, LOOK, Watcher},
};
use crate::{
    intake::{CLUSTER_WATCH, Intake},
    ledger,
    memory::Limits,
};

/// What this watch reports on.
const KINDS: [SubjectKind; 4] = [SubjectKind::Pod, SubjectKind::Workload, SubjectKind::Service, SubjectKind::Ingress];

/// Why a watch has ended.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Nothing is watched any more.
    #[error("all watches have ended")]
    Ended,
    /// It cannot go on.
    #[error("{0}")]
    Error(String),
    /// It has panicked.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl Failed {
    /// By the outcome of the task.
    pub(crate) fn of(ended: Result<Result<(), ledger::Error>, Panicked>) -> Self {
        match ended {
            Ok(Ok(())) => Self::Ended,
            Ok(Err(error)) => Self::Error(chain(&error)),
            Err(panicked) => Self::Panicked(panicked),
        }
    }

    /// The same for the sources that are degraded by it.
    pub(crate) fn message(&self) -> Message {
        match self {
            Self::Ended => health::health_watch_restarted_ended(),
            Self::Error(error) => health::health_watch_restarted(error),
            Self::Panicked(panicked) => health::health_watch_restarted_panicked(panicked.message()),
        }
    }
}

/// Watches until stopped.
///
/// # Errors
/// If it cannot go on; its sources count as degraded then, until it runs again.
pub async fn run(intake: Intake, client: Client, stop: CancellationToken) -> Result<(), Failed> {
    let mut reporter = Reporter::new(intake.clone(), CLUSTER_WATCH);
    let watching = caught(watch(intake, client, &mut reporter));
    let failed = match stop.run_until_cancelled(watching).await {
        None => return Ok(()),
        Some(ended) => Failed::of(ended),
    };
    reporter.degrade(failed.message());
    let _stopped = stop.run_until_cancelled(reporter.push()).await;
    Err(failed)
}

/// Watches as much as memory allows, until all watches have ended.
async fn watch(intake: Intake, client: Client, reporter: &mut Reporter) -> Result<(), ledger::Error> {
    let limits = Limits::find();
    let mut extent = Extent::ALL;
    loop {
        let earlier = Earlier::read(intake.ledger(), &KINDS).await?;
        let uid = uid::find(&client, earlier.cluster_uid(), reporter).await;
        let end = match extent.scope {
            Some(scope) => {
                let mut watcher = Watcher::new(&uid, scope, earlier, reporter, extent);
                watcher.watch(objects::all(&client, scope), &limits).await
            }
            None => nothing(reporter, extent, &limits).await,
        };
        coroner_sys::release_free_memory();
        extent = match end {
            End::Streams => return Ok(()),
            End::Capacity => {
                tracing::info!("All of the cluster is watched again");
                Extent::ALL
            }
            End::Memory(memory) => {
                let narrower = extent.narrower(memory);
                tracing::error!(%memory, watched = ?narrower.scope, "Memory is near its limit: less of the cluster is watched");
                narrower
            }
        };
    }
}

/// Watches nothing until there may be memory for it.
async fn nothing(reporter: &mut Reporter, extent: Extent, limits: &Limits) -> End {
    for kind in objects::WATCHED {
        if let Some(limitation) = extent.limitation(kind) {
            reporter.set_status(kind.name(), &Health::Degraded(limitation.into()));
        }
    }
    reporter.push().await;
    while !extent.may_widen(limits) {
        sleep(LOOK).await;
    }
    End::Capacity
}
