//! The watch of the whole cluster: what only the API server knows becomes diagnoses like those of the agents.
//!
//! It reports to the intake as an agent does, under a name that no node can have, so that readers, retention and status treat it as
//! one. One aggregator of a cluster watches; it holds nothing that another could not read anew. So it is what gives way when memory
//! comes near its limit: ledger and feed go on, less of the cluster is watched, and the status says so.

mod earlier;
mod extent;
mod objects;
mod reporter;
mod uid;
mod watcher;

use coroner_proto::v1::SourceHealth;
use coroner_runtime::{error::chain, tasks::caught};
use kube::Client;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::{
    earlier::Earlier,
    extent::Extent,
    reporter::Reporter,
    watcher::{End, LOOK, Watcher},
};
use crate::{intake::Intake, ledger, memory::Limits};

/// Why the watch has ended.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

/// Watches until stopped.
///
/// # Errors
/// If it cannot go on; its sources count as degraded then, until it runs again.
pub async fn run(intake: Intake, client: Client, stop: CancellationToken) -> Result<(), Failed> {
    let mut reporter = Reporter::new(intake.clone());
    let watching = caught(watch(intake, client, &mut reporter));
    let reason = match stop.run_until_cancelled(watching).await {
        None => return Ok(()),
        Some(Ok(Ok(()))) => "all watches have ended".to_owned(),
        Some(Ok(Err(error))) => chain(&error),
        Some(Err(panicked)) => panicked.to_string(),
    };
    reporter.degrade(&format!("the watch is started again: {reason}"));
    let _stopped = stop.run_until_cancelled(reporter.push()).await;
    Err(Failed(reason))
}

/// Watches as much as memory allows, until all watches have ended.
async fn watch(intake: Intake, client: Client, reporter: &mut Reporter) -> Result<(), ledger::Error> {
    let limits = Limits::find();
    let mut extent = Extent::ALL;
    loop {
        let earlier = Earlier::read(intake.ledger()).await?;
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
            End::Room => {
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
        let reason = extent.limitation(kind).unwrap_or_default();
        reporter.set_status(kind.name(), SourceHealth::Degraded, &reason);
    }
    reporter.push().await;
    while !extent.may_widen(limits) {
        sleep(LOOK).await;
    }
    End::Room
}
