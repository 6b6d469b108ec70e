//! The way to the API server.

use std::{path::Path, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use thiserror::Error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no client of the API server.
#[derive(Debug, Error)]
pub enum NoCluster {
    /// The process runs in no pod with a ServiceAccount, and was given no kubeconfig.
    #[error("not in a cluster, and no kubeconfig was given: {0}")]
    NotInside(#[from] kube::config::InClusterError),
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig {path} cannot be used: {error}")]
    Kubeconfig {
        /// Its file.
        path: String,
        /// Why.
        error: KubeconfigError,
    },
    /// The configuration makes no client, as for a certificate that cannot be read.
    #[error("no client for the API server: {0}")]
    Client(#[from] kube::Error),
}

/// How the API server is reached: by the kubeconfig, if one is given, else as in a pod.
///
/// # Errors
/// If there is neither, or what there is cannot be used.
pub async fn config(kubeconfig: Option<&Path>) -> Result<Config, NoCluster> {
    let mut config = match kubeconfig {
        None => Config::incluster()?,
        Some(path) => {
            let bad = |error| NoCluster::Kubeconfig { path: path.display().to_string(), error };
            let file = Kubeconfig::read_from(path).map_err(bad)?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(bad)?
        }
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    Ok(config)
}

/// A client of the API server.
///
/// # Errors
/// As [`config`].
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client, NoCluster> {
    Ok(Client::try_from(config(kubeconfig).await?)?)
}
