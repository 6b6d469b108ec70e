//! The watch of the whole cluster: what only the API server knows becomes diagnoses like those of the agents.
//!
//! It reports to the intake as an agent does, under a name that no node can have, so that readers, retention and status treat it as
//! one. One aggregator of a cluster watches; it holds nothing that another could not read anew.

mod earlier;
mod objects;
mod reporter;
mod uid;
mod watcher;

use kube::Client;

use self::{earlier::Earlier, reporter::Reporter, watcher::Watcher};
use crate::{intake::Intake, ledger};

/// Watches until it is dropped.
///
/// # Errors
/// If the ledger cannot say what was reported before.
pub async fn run(intake: Intake, client: Client) -> Result<(), ledger::Error> {
    let earlier = Earlier::read(intake.ledger()).await?;
    let mut reporter = Reporter::new(intake);
    let uid = uid::find(&client, earlier.cluster_uid(), &mut reporter).await;
    Watcher::new(uid, earlier, reporter).watch(objects::all(&client)).await;
    Ok(())
}
