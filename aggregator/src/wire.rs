//! Connections: accepted, bounded in number, their TLS handshakes off the accepting task and under a deadline, and closed when
//! nobody known speaks on them in time.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    select,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, Sleep, sleep, sleep_until, timeout_at},
};
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};
use tonic::transport::server::Connected;

use crate::{
    auth::{Credentials, Reason, Refusals},
    tls::Tls,
};

/// Connections over TCP at once: the agents of the largest clusters, and readers.
const MAX_CONNECTIONS: usize = 8192;
/// Of these, those on which nobody known has spoken yet.
const MAX_STRANGERS: usize = 1024;
/// How long a TLS handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// When somebody known must have spoken on a connection, its handshake included.
const FIRST_WORD: Duration = Duration::from_secs(30);
/// Before listening on, where there are too few descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it is.
    pub address: Address,
    /// What it has shown.
    pub credentials: Credentials,
    welcome: Arc<Welcome>,
}

/// Where a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// On the network.
    Tcp(SocketAddr),
    /// On this machine, with access to the socket's file.
    Unix,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// Whether somebody known has spoken.
#[derive(Debug, Default)]
struct Welcome {
    known: AtomicBool,
    /// Its place among the strangers.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Peer {
    /// A peer of whom nobody known has spoken.
    pub(crate) fn new(address: Address, credentials: Credentials) -> Self {
        Self { address, credentials, welcome: Arc::default() }
    }

    /// Somebody known has spoken: it is no stranger any more.
    pub(crate) fn welcome(&self) {
        if !self.welcome.known.swap(true, Ordering::Relaxed) {
            drop(self.welcome.place.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    fn is_known(&self) -> bool {
        self.welcome.known.load(Ordering::Relaxed)
    }
}

/// A connection with its peer.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    peer: Peer,
    /// Runs until somebody known has spoken.
    deadline: Option<Pin<Box<Sleep>>>,
    refusals: Arc<Refusals>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<S> Wire<S> {
    /// A connection that is bounded by the permissions of a file.
    pub(crate) fn local(stream: S, refusals: Arc<Refusals>) -> Self {
        let peer = Peer::new(Address::Unix, Credentials::NotAsked);
        Self { stream, peer, deadline: None, refusals, _place: None }
    }
}

impl<S> Connected for Wire<S> {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.peer.is_known() {
            self.deadline = None;
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            self.refusals.count(Reason::Silent, &self.peer.address, "nobody known has spoken in time");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A connection over TCP, with TLS or without.
pub type TcpWire = Wire<Either<TcpStream, TlsStream<TcpStream>>>;

/// What becomes of what a listener accepts.
#[derive(Clone, Debug)]
pub struct Acceptor {
    /// With TLS, by these files.
    tls: Option<Arc<Tls>>,
    /// Whether a peer has to show who it is.
    asks: bool,
    refusals: Arc<Refusals>,
    connections: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl Acceptor {
    /// Connections for all listeners together. With `asks`, those over TLS have to show credentials.
    pub fn new(tls: Option<Arc<Tls>>, asks: bool, refusals: Arc<Refusals>) -> Self {
        let (connections, strangers) = (Semaphore::new(MAX_CONNECTIONS), Semaphore::new(MAX_STRANGERS));
        Self { tls, asks, refusals, connections: Arc::new(connections), strangers: Arc::new(strangers) }
    }

    /// The refusals that it counts.
    pub(crate) fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    /// Whether connections over TCP are encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The connections of a listener, until `stop` is cancelled.
    pub fn accept(
        self,
        listener: TcpListener,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> impl Stream<Item = io::Result<TcpWire>> + use<> {
        let (sender, receiver) = mpsc::channel(1);
        let (of_loop, stop) = (tasks.clone(), stop.clone());
        tasks.spawn(async move { stop.run_until_cancelled(self.run(listener, sender, &of_loop, &stop)).await });
        ReceiverStream::new(receiver)
    }

    async fn run(
        &self,
        listener: TcpListener,
        sender: mpsc::Sender<io::Result<TcpWire>>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    self.refusals.count(Reason::Connections, &"listener", &error.to_string());
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let place = (self.connections.clone().try_acquire_owned(), self.strangers.clone().try_acquire_owned());
            let (Ok(place), Ok(stranger)) = place else {
                self.refusals.count(Reason::Connections, &address, "there are as many connections as there may be");
                continue;
            };
            let (acceptor, sender, stop) = (self.clone(), sender.clone(), stop.clone());
            tasks.spawn(async move {
                let deadline = Instant::now() + FIRST_WORD;
                select! {
                    opened = acceptor.open(stream, address) => {
                        let Some((stream, credentials)) = opened else { return };
                        let peer = Peer::new(Address::Tcp(address), credentials);
                        *peer.welcome.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(stranger);
                        let deadline = Some(Box::pin(sleep_until(deadline)));
                        let wire = Wire { stream, peer, deadline, refusals: acceptor.refusals, _place: Some(place) };
                        // The server is gone only when all stops.
                        let _stopping = sender.send(Ok(wire)).await;
                    }
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
        let handshake = timeout_at(deadline, tls.acceptor().accept(stream)).await;
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
