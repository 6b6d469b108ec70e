//! The client of the API server.

use std::path::Path;

use coroner_watch::{NoCluster, ServerClock};
use kube::Client;

/// A client by the kubeconfig, if one is given, else as in a pod; `None` where there is neither.
///
/// # Errors
/// If what there is cannot be used.
pub(crate) async fn client(kubeconfig: Option<&Path>) -> Result<Option<Client>, NoCluster> {
    match coroner_watch::client(kubeconfig, &ServerClock::default()).await {
        Ok(client) => Ok(Some(client)),
        Err(NoCluster::NotInside(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
