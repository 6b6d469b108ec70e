//! Accepts connections: bounded in number, their TLS handshakes off the accepting task and under a deadline.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use nix::errno::Errno;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    select,
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};
use tokio_rustls::server::TlsStream;
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};

use super::{
    connection::{Connection, GAVE_WAY},
    tls::Tls,
};
use crate::{
    auth::{Address, Connections, Credentials, Peer, Reason, Refusals},
    budget::Budget,
};

/// How long a TLS handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// By when a known caller must have sent a request on a connection, its handshake included.
const FIRST_REQUEST: Duration = Duration::from_secs(30);
/// Before accepting again, where there are too few descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection over TCP, with TLS or without.
pub(super) type TcpConnection = Connection<Either<TcpStream, TlsStream<TcpStream>>>;

/// Accepts connections on listeners, with TLS and bounds.
#[derive(Clone, Debug)]
pub struct Acceptor {
    /// With TLS, by these files.
    tls: Option<Arc<Tls>>,
    /// Whether a peer has to show who it is.
    asks: bool,
    /// Whether HTTP/1.1 is served too.
    is_web: bool,
    refusals: Arc<Refusals>,
    connections: Arc<Connections>,
}

impl Acceptor {
    /// Connections for all listeners together. With `asks`, those over TLS have to show credentials.
    pub fn new(tls: Option<Arc<Tls>>, asks: bool, refusals: Arc<Refusals>, budget: Budget) -> Self {
        let connections = Arc::new(Connections::new(budget.connections()));
        Self { tls, asks, is_web: false, refusals, connections }
    }

    /// The same for browsers, with the same places for connections.
    pub fn for_web(&self) -> Self {
        Self { is_web: true, ..self.clone() }
    }

    /// Whether a peer has to show who it is.
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// Whether connections over TCP are encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The number of open connections over TCP.
    pub fn open_count(&self) -> usize {
        self.connections.count()
    }

    /// Hands the connections of a listener to the server until `stop` is cancelled or the server is gone. Handshakes
    /// run as `tasks`.
    ///
    /// # Errors
    /// If the listener can accept no more.
    pub(super) async fn accept_tcp(
        &self,
        listener: &TcpListener,
        sender: mpsc::Sender<io::Result<TcpConnection>>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        select! {
            error = self.accept_over_tcp(listener, &sender, tasks, stop) => Err(error),
            () = sender.closed() => Ok(()),
            () = stop.cancelled() => Ok(()),
        }
    }

    /// The same of a listener in the file system.
    ///
    /// # Errors
    /// If the listener can accept no more.
    pub(super) async fn accept_unix(
        &self,
        listener: &UnixListener,
        sender: mpsc::Sender<io::Result<Connection<UnixStream>>>,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        let accepting = async {
            loop {
                let (stream, _) = self.next(|| listener.accept()).await?;
                // The server is gone only when all stops.
                let _stopping = sender.send(Ok(Connection::local(stream, Arc::clone(&self.refusals)))).await;
            }
        };
        select! {
            error = accepting => error,
            () = sender.closed() => Ok(()),
            () = stop.cancelled() => Ok(()),
        }
    }

    /// The next connection; waits where there is a lack of something that comes back.
    async fn next<T, F: Future<Output = io::Result<T>>>(&self, accept: impl Fn() -> F) -> io::Result<T> {
        loop {
            match accept().await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) if !is_lasting(&error) => {
                    self.refusals.count(Reason::Connections, &"listener", &error.to_string());
                    sleep(PAUSE).await;
                }
                accepted => return accepted,
            }
        }
    }

    async fn accept_over_tcp(
        &self,
        listener: &TcpListener,
        sender: &mpsc::Sender<io::Result<TcpConnection>>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> io::Error {
        loop {
            let (stream, address) = match self.next(|| listener.accept()).await {
                Ok(accepted) => accepted,
                Err(error) => return error,
            };
            let ip = address.ip().to_canonical();
            let place = if self.asks { self.connections.enter(ip) } else { self.connections.enter_local(ip) };
            let Some(place) = place.map(Arc::new) else {
                self.refusals.count(Reason::Connections, &address, "there are as many connections as there may be");
                continue;
            };
            let (acceptor, sender, stop) = (self.clone(), sender.clone(), stop.clone());
            tasks.spawn(async move {
                let deadline = Instant::now() + FIRST_REQUEST;
                let gave_way = place.closed().clone();
                select! {
                    opened = acceptor.open(stream, address) => {
                        let Some((stream, credentials)) = opened else { return };
                        let peer = Peer::new(Address::Tcp(address), credentials, Some(Arc::clone(&place)));
                        let connection = Connection::of_tcp(stream, peer, deadline, acceptor.refusals, &place);
                        // The server is gone only when all stops.
                        let _stopping = sender.send(Ok(connection)).await;
                    }
                    () = gave_way.cancelled() => acceptor.refusals.count(Reason::Connections, &address, GAVE_WAY),
                    () = stop.cancelled() => {}
                }
            });
        }
    }

    /// The handshake.
    async fn open(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> Option<(Either<TcpStream, TlsStream<TcpStream>>, Credentials)> {
        let deadline = Instant::now() + HANDSHAKE_DEADLINE;
        // Answers are small and awaited. It fails only on a connection that is gone.
        let _gone = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return Some((Either::Left(stream), Credentials::NotAsked)) };
        // Who closes before the first byte has only looked whether the port is open.
        if let Ok(Ok(0)) = timeout_at(deadline, stream.peek(&mut [0])).await {
            return None;
        }
        let acceptor = if self.is_web { tls.web_acceptor() } else { tls.acceptor() };
        let handshake = timeout_at(deadline, acceptor.accept(stream)).await;
        let refusal = match handshake {
            Ok(Ok(stream)) => {
                let certificates = stream.get_ref().1.peer_certificates();
                let credentials = match certificates.and_then(<[_]>::first) {
                    _ if !self.asks => Credentials::NotAsked,
                    Some(certificate) => Credentials::of(certificate),
                    None => Credentials::None,
                };
                return Some((Either::Right(stream), credentials));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "the handshake took too long".to_owned(),
        };
        self.refusals.count(Reason::Handshake, &address, &refusal);
        None
    }
}

/// Whether the listener itself is of no more use; otherwise there was a lack of something that comes back.
fn is_lasting(error: &io::Error) -> bool {
    let of_listener = [Errno::EBADF, Errno::EINVAL, Errno::ENOTSOCK, Errno::EOPNOTSUPP];
    error.raw_os_error().map(Errno::from_raw).is_some_and(|errno| of_listener.contains(&errno))
}
