//! Listeners and connections: TCP and unix sockets, TLS, keepalive, and the plain-text health service.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use coroner_proto::v1::{diagnosis_service_server::DiagnosisServiceServer, ingest_service_server::IngestServiceServer};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    service::Routes,
    transport::{
        Certificate, Identity, Server, ServerTlsConfig,
        server::{Router, TcpIncoming},
    },
};

use crate::{
    config::{Config, Endpoint},
    feed::Feed,
    gate::{Gate, MAX_PUSH_BYTES},
    intake::Intake,
};

/// Requests under way on one connection: streams of a client that opens many, pushes of one that does not wait.
const MAX_CONNECTION_STREAMS: u32 = 128;
/// Bytes of a question to the feed: filters and masks.
const MAX_QUESTION_BYTES: usize = 256 << 10;
/// A peer that says nothing for so long is asked whether it is there,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// and has so long to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// What keeps a listener from listening.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Other machines could read along.
    #[error(
        "{0} is reachable from other machines, and without TLS anyone between could read and forge: give --tls-cert and \
         --tls-key, or --insecure if the network is protected otherwise"
    )]
    Insecure(SocketAddr),
    /// The address is taken, not this machine's, or not allowed.
    #[error("cannot listen on {endpoint}")]
    Listen {
        /// Where.
        endpoint: Endpoint,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A certificate or key could not be read.
    #[error("cannot read {}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A certificate or key is not usable.
    #[error("cannot use the certificate, key or client CA given for TLS")]
    Tls(#[source] tonic::transport::Error),
}

/// A bound listener.
#[derive(Debug)]
pub enum Listener {
    /// With TLS where that is configured.
    Tcp(TcpIncoming, SocketAddr),
    /// Without; the file system says who may connect.
    Unix(UnixListener, SocketFile),
}

/// A socket's file, removed with it.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone with its directory.
        let _gone = fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds a listener. A socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub fn bind(endpoint: &Endpoint) -> Result<Self, Error> {
        let bound = match endpoint {
            Endpoint::Tcp(address) => bind_tcp(*address),
            Endpoint::Unix(path) => bind_unix(path),
        };
        bound.map_err(|source| Error::Listen { endpoint: endpoint.clone(), source })
    }

    /// Where it listens; the real port where port 0 was asked for.
    pub fn endpoint(&self) -> Endpoint {
        match self {
            Self::Tcp(_, address) => Endpoint::Tcp(*address),
            Self::Unix(_, SocketFile(path)) => Endpoint::Unix(path.clone()),
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Listener> {
    let incoming = TcpIncoming::bind(address)?.with_nodelay(Some(true));
    let address = incoming.local_addr()?;
    Ok(Listener::Tcp(incoming, address))
}

fn bind_unix(path: &Path) -> io::Result<Listener> {
    let stale = UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
    if stale {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(Listener::Unix(listener, SocketFile(path.into())))
}

/// Refuses plain text beyond this machine unless it is asked for.
///
/// # Errors
/// [`Error::Insecure`].
pub fn check_exposure(config: &Config) -> Result<(), Error> {
    let is_exposed = |endpoint: &Endpoint| match endpoint {
        Endpoint::Tcp(address) if !address.ip().to_canonical().is_loopback() => Some(*address),
        Endpoint::Tcp(_) | Endpoint::Unix(_) => None,
    };
    match config.listen.iter().find_map(is_exposed) {
        Some(address) if config.tls_cert.is_none() && !config.insecure => Err(Error::Insecure(address)),
        _ => Ok(()),
    }
}

/// Reads what TLS needs; none if it is not configured.
///
/// # Errors
/// [`Error::Certificate`].
pub fn tls(config: &Config) -> Result<Option<ServerTlsConfig>, Error> {
    let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(None) };
    let read = |path: &PathBuf| fs::read(path).map_err(|source| Error::Certificate { path: path.clone(), source });
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(read(cert)?, read(key)?));
    Ok(Some(match &config.tls_client_ca {
        Some(ca) => tls.client_ca_root(Certificate::from_pem(read(ca)?)),
        None => tls,
    }))
}

/// The services as every listener offers them.
pub fn routes(intake: Intake, feed: Feed) -> Routes {
    let intake = IngestServiceServer::new(intake).max_decoding_message_size(MAX_PUSH_BYTES);
    let feed = DiagnosisServiceServer::new(feed).max_decoding_message_size(MAX_QUESTION_BYTES);
    Routes::new(Gate::new(intake)).add_service(feed)
}

/// Serves on a listener until `stop` is cancelled, then lets what is under way finish.
///
/// # Errors
/// [`Error::Tls`].
pub fn serve(
    listener: Listener,
    routes: Routes,
    tls: Option<&ServerTlsConfig>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let server = || {
        Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_concurrent_streams(MAX_CONNECTION_STREAMS)
    };
    let stopped = stop.clone().cancelled_owned();
    let endpoint = listener.endpoint();
    match listener {
        Listener::Tcp(incoming, _) => {
            let mut server = match tls {
                Some(tls) => server().tls_config(tls.clone()).map_err(Error::Tls)?,
                None => server(),
            };
            let serving = server.add_routes(routes).serve_with_incoming_shutdown(incoming, stopped);
            tasks.spawn(async move { report(&endpoint, serving.await) });
        }
        Listener::Unix(listener, file) => {
            let router: Router = server().add_routes(routes);
            let serving = router.serve_with_incoming_shutdown(UnixListenerStream::new(listener), stopped);
            tasks.spawn(async move {
                report(&endpoint, serving.await);
                drop(file);
            });
        }
    }
    Ok(())
}

fn report(endpoint: &Endpoint, result: Result<(), tonic::transport::Error>) {
    if let Err(error) = result {
        tracing::error!(%endpoint, %error, "Listener has failed");
    }
}
