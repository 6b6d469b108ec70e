//! Serves gRPC on listeners: keepalive, and the age of connections.

use std::{io, time::Duration};

use coroner_runtime::problem::Problem;
use futures::TryFutureExt as _;
use tokio::{sync::mpsc, try_join};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{service::Routes, transport::Server};

use super::{acceptor::Acceptor, listener::Listener};
use crate::{auth::Authentication, traffic::Traffic};

/// Requests under way on one connection: streams of a client that opens many, pushes of one that does not wait.
const MAX_CONNECTION_STREAMS: u32 = 64;
/// A peer that is idle for so long is pinged,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// and has so long to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes of a request's headers: a ServiceAccount's token has a little more than 1 KiB.
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// A connection is closed gracefully after so long; its client opens another, with the certificates of that time,
const MAX_CONNECTION_AGE: Duration = Duration::from_mins(30);
/// and its streams have so long to end. They are resumed where they were.
const CONNECTION_GRACE: Duration = Duration::from_mins(1);

/// Why a listener is no longer served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot be bound.
    #[error(transparent)]
    Listen(#[from] Problem),
    /// It accepts no more.
    #[error("cannot accept connections")]
    Accept(#[source] io::Error),
    /// The server has failed.
    #[error("cannot serve")]
    Server(#[source] tonic::transport::Error),
}

/// What is served on every listener.
#[derive(Clone, Debug)]
pub struct Served {
    /// The gRPC services that are served.
    pub routes: Routes,
    /// The authentication of callers.
    pub authentication: Authentication,
    /// The bounds of requests and answers.
    pub traffic: Traffic,
    /// Bytes that a peer may send of one connection's requests before they are read.
    pub window: u32,
    /// Accepts connections, with TLS and their bounds.
    pub acceptor: Acceptor,
}

/// Serves on a listener until `stop` is cancelled, then lets what is under way finish. Every request is authenticated.
/// Handshakes run as `tasks`.
///
/// # Errors
/// If the listener cannot be used any more; a new one may be bound in its place.
pub async fn serve(
    listener: Listener,
    served: Served,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), ServeError> {
    let Served { routes, authentication, traffic, window, acceptor } = served;
    let stopped = stop.clone().cancelled_owned();
    let mut server = builder(window).layer(authentication).layer(traffic);
    match listener {
        Listener::Tcp(listener, _) => {
            // What encrypts may be renewed or revoked: no connection outlives that for long.
            if acceptor.is_tls() {
                server = server.max_connection_age(MAX_CONNECTION_AGE).max_connection_age_grace(CONNECTION_GRACE);
            }
            let (sender, connections) = mpsc::channel(1);
            let incoming = ReceiverStream::new(connections);
            let serving = server.add_routes(routes).serve_with_incoming_shutdown(incoming, stopped);
            // If one of them fails, the connections that are open are asked to go; their clients make others.
            try_join!(
                acceptor.accept_tcp(&listener, sender, tasks, stop).map_err(ServeError::Accept),
                serving.map_err(ServeError::Server)
            )?;
        }
        Listener::Unix(listener, _file) => {
            let (sender, connections) = mpsc::channel(1);
            let incoming = ReceiverStream::new(connections);
            let serving = server.add_routes(routes).serve_with_incoming_shutdown(incoming, stopped);
            try_join!(
                acceptor.accept_unix(&listener, sender, stop).map_err(ServeError::Accept),
                serving.map_err(ServeError::Server)
            )?;
        }
    }
    Ok(())
}

fn builder(window: u32) -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(MAX_CONNECTION_STREAMS)
        .initial_stream_window_size(window)
        .initial_connection_window_size(window)
}
