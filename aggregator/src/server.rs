//! Listeners and connections: TCP and unix sockets, TLS, keepalive, and the plain-text health service.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use coroner_proto::v1::{diagnosis_service_server::DiagnosisServiceServer, ingest_service_server::IngestServiceServer};
use futures::TryStreamExt as _;
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use crate::{
    auth::Door,
    config::{Config, Endpoint},
    feed::Feed,
    gate::{Gate, MAX_PUSH_BYTES},
    intake::Intake,
    tls,
    wire::{Acceptor, Wire},
};

/// Requests under way on one connection: streams of a client that opens many, pushes of one that does not wait.
const MAX_CONNECTION_STREAMS: u32 = 128;
/// Bytes of a question to the feed: filters and masks.
const MAX_QUESTION_BYTES: usize = 256 << 10;
/// A peer that says nothing for so long is asked whether it is there,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// and has so long to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes of a request's headers: a ServiceAccount's token has a little more than 1 KiB.
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// A connection is told to go after so long; its client makes another, by the certificates of then,
const MAX_CONNECTION_AGE: Duration = Duration::from_mins(30);
/// and its streams have so long to end. They are resumed where they were.
const CONNECTION_GRACE: Duration = Duration::from_mins(1);

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
    /// Whoever gets through to it could push and read.
    #[error(
        "{0} is reachable from other machines, and nobody there could be told apart: give --tls-client-ca, run where there is \
         an API server to review tokens, or give --insecure if the network is protected otherwise"
    )]
    Anonymous(SocketAddr),
}

/// A bound listener.
#[derive(Debug)]
pub enum Listener {
    /// With TLS where that is configured.
    Tcp(TcpListener, SocketAddr),
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
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    Ok(Listener::Tcp(listener, address))
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
    match exposed(config) {
        Some(address) if config.tls_cert.is_none() => Err(Error::Insecure(address)),
        _ => Ok(()),
    }
}

/// Refuses to serve anybody beyond this machine unless it is asked for.
///
/// # Errors
/// [`Error::Anonymous`].
pub fn check_credentials(config: &Config, asks: bool) -> Result<(), Error> {
    match exposed(config) {
        Some(address) if !asks => Err(Error::Anonymous(address)),
        _ => Ok(()),
    }
}

/// An address that other machines reach, unless that is wanted without protection.
fn exposed(config: &Config) -> Option<SocketAddr> {
    let is_exposed = |endpoint: &Endpoint| match endpoint {
        Endpoint::Tcp(address) if !address.ip().to_canonical().is_loopback() => Some(*address),
        Endpoint::Tcp(_) | Endpoint::Unix(_) => None,
    };
    config.listen.iter().find_map(is_exposed).filter(|_| !config.insecure)
}

/// The files for TLS; none if it is not configured.
pub fn tls_files(config: &Config) -> Option<tls::Files> {
    let (Some(certificate), Some(key)) = (config.tls_cert.clone(), config.tls_key.clone()) else { return None };
    let (client_ca, client_crl) = (config.tls_client_ca.clone(), config.tls_client_crl.clone());
    Some(tls::Files { certificate, key, client_ca, client_crl })
}

/// The services as every listener offers them.
pub fn routes(intake: Intake, feed: Feed) -> Routes {
    let intake = IngestServiceServer::new(intake).max_decoding_message_size(MAX_PUSH_BYTES);
    let feed = DiagnosisServiceServer::new(feed).max_decoding_message_size(MAX_QUESTION_BYTES);
    Routes::new(Gate::new(intake)).add_service(feed)
}

/// Serves on a listener until `stop` is cancelled, then lets what is under way finish. Everything comes through the door.
pub fn serve(
    listener: Listener,
    routes: Routes,
    door: Door,
    acceptor: Acceptor,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let endpoint = listener.endpoint();
    let stopped = stop.clone().cancelled_owned();
    let server = builder().layer(door);
    match listener {
        Listener::Tcp(listener, _) => {
            // What encrypts may be renewed or revoked: no connection outlives that for long.
            let mut server = match acceptor.is_tls() {
                true => server.max_connection_age(MAX_CONNECTION_AGE).max_connection_age_grace(CONNECTION_GRACE),
                false => server,
            };
            let incoming = acceptor.accept(listener, tasks, stop);
            let serving = server.add_routes(routes).serve_with_incoming_shutdown(incoming, stopped);
            tasks.spawn(async move { report(&endpoint, serving.await) });
        }
        Listener::Unix(listener, file) => {
            let refusals = Arc::clone(acceptor.refusals());
            let incoming =
                UnixListenerStream::new(listener).map_ok(move |stream| Wire::local(stream, Arc::clone(&refusals)));
            let mut server = server;
            let serving = server.add_routes(routes).serve_with_incoming_shutdown(incoming, stopped);
            tasks.spawn(async move {
                report(&endpoint, serving.await);
                drop(file);
            });
        }
    }
}

/// Serves probes in plain text, to whoever asks.
///
/// # Errors
/// [`Error::Listen`].
pub fn serve_health(
    address: SocketAddr,
    routes: Routes,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Endpoint, Error> {
    let asked = Endpoint::Tcp(address);
    let incoming = TcpIncoming::bind(address).map_err(|source| Error::Listen { endpoint: asked.clone(), source })?;
    let address = incoming.local_addr().map_err(|source| Error::Listen { endpoint: asked, source })?;
    let endpoint = Endpoint::Tcp(address);
    let serving = builder().add_routes(routes).serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    tasks.spawn(async move { report(&endpoint, serving.await) });
    Ok(Endpoint::Tcp(address))
}

fn builder() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(MAX_CONNECTION_STREAMS)
}

fn report(endpoint: &Endpoint, result: Result<(), tonic::transport::Error>) {
    if let Err(error) = result {
        tracing::error!(%endpoint, %error, "Listener has failed");
    }
}
