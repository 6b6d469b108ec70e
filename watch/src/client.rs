//! The way to the API server.

use std::{path::Path, time::Duration};

use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{ConfigExt as _, retry::RetryPolicy},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use thiserror::Error;
use tower::{BoxError, ServiceBuilder, retry::RetryLayer};

/// How long a connection may take, with its TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two keepalive probes of the kernel on a quiet connection.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// How long the other end may acknowledge nothing before the kernel ends the connection: a watch whose packets are
/// dropped fails after this time. Without it, only the end of the watch shows it, after 290 s.
const LOST: Duration = Duration::from_secs(15);

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
    let config = config(kubeconfig).await?;
    if config.proxy_url.is_some() {
        return Ok(Client::try_from(config)?);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_tcp_user_timeout(Some(LOST));
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(RetryLayer::new(RetryPolicy::server_retry()))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(HttpClient::builder(TokioExecutor::new()).build(connector));
    Ok(Client::new(service, config.default_namespace))
}
