//! The way to the API server: HTTP/2, as its other clients use it, so that a PING shows whether it is alive. With
//! HTTP/1.1 (a proxy, plain text) the kernel's keepalive shows a connection that is cut, and not a process that hangs.

use std::{path::Path, sync::Arc, time::Duration};

use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector, ResolveServerName};
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{
    Client, Config,
    client::{ConfigExt as _, RustlsTlsError, retry::RetryPolicy},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use thiserror::Error;
use tower::{BoxError, ServiceBuilder, retry::RetryLayer};

use crate::{server_clock::ServerClock, timer::PatientTimer};

/// How long a connection may take, with its TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two keepalive probes of the kernel on a quiet connection.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// How long the other end may acknowledge nothing before the kernel ends the connection: a watch whose packets are
/// dropped fails after this time. Without it, only the end of the watch shows it, after 290 s.
const LOST: Duration = Duration::from_secs(15);
/// A connection with open watches that has brought nothing for so long is asked for a sign of life: a PING of HTTP/2,
/// 17 bytes that the server's process answers without a request. The kernel acknowledges packets also for a process
/// that hangs, and watches are quiet for a minute on end.
const PING: Duration = Duration::from_secs(10);
/// How long the server may take to answer it before the connection, and all watches over it, fail; not while this
/// process gets no processor to read the answer.
const UNANSWERED: Duration = Duration::from_secs(10);
/// Bytes of one answer that may arrive before they are read, and of all of them: a reader that is late holds up no
/// other until there are 64 of them.
const WINDOWS: (u32, u32) = (256 << 10, 16 << 20);
/// Bytes of an answer that are read at once over HTTP/1.1, of which each connection keeps as many.
const BUFFER: usize = 64 << 10;
/// What TLS offers (RFC 7301): the API server takes the first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

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

/// A client of the API server, whose answers show `clock`; behind a proxy they do not.
///
/// # Errors
/// As [`config`].
pub async fn client(kubeconfig: Option<&Path>, clock: &ServerClock) -> Result<Client, NoCluster> {
    let config = config(kubeconfig).await?;
    if config.proxy_url.is_some() {
        return Ok(Client::try_from(config)?);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_tcp_user_timeout(Some(LOST));
    let mut connector = TimeoutConnector::new(with_tls(&config, tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    let mut connections = HttpClient::builder(TokioExecutor::new());
    connections
        .timer(PatientTimer)
        .http1_max_buf_size(BUFFER)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(UNANSWERED)
        .http2_initial_stream_window_size(WINDOWS.0)
        .http2_initial_connection_window_size(WINDOWS.1);
    let clock = clock.clone();
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(RetryLayer::new(RetryPolicy::server_retry()))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .map_response(move |answer: http::Response<_>| clock.read(answer))
        .service(connections.build(connector));
    Ok(Client::new(service, config.default_namespace))
}

/// As [`kube::client::ConfigExt::rustls_https_connector_with_connector`], which offers HTTP/1.1 only.
fn with_tls(config: &Config, tcp: HttpConnector) -> Result<HttpsConnector<HttpConnector>, kube::Error> {
    let mut tls = config.rustls_client_config()?;
    tls.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    let names: Arc<dyn ResolveServerName + Send + Sync> = match &config.tls_server_name {
        Some(name) => {
            let name = name.clone().try_into();
            let bad = |error| kube::Error::RustlsTls(RustlsTlsError::InvalidServerName(error));
            Arc::new(FixedServerNameResolver::new(name.map_err(bad)?))
        }
        None => Arc::new(DefaultServerNameResolver::default()),
    };
    Ok(HttpsConnector::new(tcp, tls, false, names))
}
