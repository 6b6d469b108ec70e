//! A connection with its peer, closed when no known caller sends a request on it in time.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

use crate::auth::{Address, ConnectionPlace, Credentials, Peer, Reason, Refusals};

/// Why a connection is closed on which no known caller has sent a request.
pub(super) const GAVE_WAY: &str = "it gave way: there are as many connections as there may be";

/// A connection with its peer.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    peer: Peer,
    /// Runs until a known caller has sent a request.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Waits until the connection has to be closed for another reason; none where it never has to.
    closed: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    refusals: Arc<Refusals>,
}

impl<S> Connection<S> {
    /// A connection that is closed when its place is, and at `deadline` unless a known caller has sent a request by
    /// then.
    pub(super) fn of_tcp(
        stream: S,
        peer: Peer,
        deadline: Instant,
        refusals: Arc<Refusals>,
        place: &ConnectionPlace,
    ) -> Self {
        let closed = Some(Box::pin(place.closed().clone().cancelled_owned()));
        Self { stream, peer, deadline: Some(Box::pin(sleep_until(deadline))), closed, refusals }
    }

    /// A connection that is bounded by the permissions of a file.
    pub(crate) fn local(stream: S, refusals: Arc<Refusals>) -> Self {
        let peer = Peer::new(Address::Unix, Credentials::NotAsked, None);
        Self { stream, peer, deadline: None, closed: None, refusals }
    }
}

impl<S> Connected for Connection<S> {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(closed) = &mut self.closed
            && closed.as_mut().poll(context).is_ready()
        {
            if !self.peer.is_known() {
                self.refusals.count(Reason::Connections, &self.peer.address, GAVE_WAY);
            }
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.peer.is_known() {
            self.deadline = None;
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            self.refusals.count(Reason::Idle, &self.peer.address, "no known caller has sent a request in time");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
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
