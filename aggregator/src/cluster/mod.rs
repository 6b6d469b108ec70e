//! The watch of the whole cluster: what only the API server knows becomes diagnoses like those of the agents.
//!
//! It reports to the intake as an agent does, under a name that no node can have, so that readers, retention and status treat it as
//! one. One aggregator of a cluster watches; it holds nothing that another could not read anew.

mod earlier;
mod objects;
mod reporter;
mod uid;
mod watcher;

use coroner_runtime::{error::chain, tasks::caught};
use kube::Client;
use tokio_util::sync::CancellationToken;

use self::{earlier::Earlier, reporter::Reporter, watcher::Watcher};
use crate::{intake::Intake, ledger};

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

async fn watch(intake: Intake, client: Client, reporter: &mut Reporter) -> Result<(), ledger::Error> {
    let earlier = Earlier::read(intake.ledger()).await?;
    let uid = uid::find(&client, earlier.cluster_uid(), reporter).await;
    Watcher::new(uid, earlier, reporter).watch(objects::all(&client)).await;
    Ok(())
}
