//! Serves browsers on a listener: HTTP/1.1 and HTTP/2, with bounds on headers, and on the age of connections.

use std::{convert::Infallible, io, pin::pin, time::Duration};

use axum::Router;
use futures::TryFutureExt as _;
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    select,
    sync::mpsc,
    time::{sleep, timeout},
    try_join,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{codegen::Service as _, transport::server::Connected as _};

use super::{acceptor::Acceptor, connection::Connection, listener::Listener, serve::ServeError};

/// Requests under way on one connection.
const MAX_CONNECTION_STREAMS: u32 = 32;
/// Bytes of a request's headers. A ServiceAccount's token has a little more than 1 KiB; a proxy adds headers of its
/// own.
const MAX_HEADER_BYTES: usize = 16 << 10;
/// How long the headers of a request may take to come over HTTP/1.1.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// A peer that is idle for so long is pinged,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// and has so long to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection is closed after so long; its client makes another, by the certificates of then.
const MAX_CONNECTION_AGE: Duration = Duration::from_mins(30);
/// What is under way has so long to end. Streams are resumed where they were.
const GRACE: Duration = Duration::from_secs(3);

/// The page and what it needs to be served.
#[derive(Clone, Debug)]
pub struct Web {
    /// The routes, which authenticate for themselves: each request has the [`Peer`](crate::auth::Peer) in its
    /// extensions.
    pub routes: Router,
    /// Bytes that a peer may send of one connection's requests before they are read.
    pub window: u32,
    /// Accepts connections, with TLS and their bounds.
    pub acceptor: Acceptor,
}

/// Serves on a listener until `stop` is cancelled. Handshakes and connections run as `tasks`, and end by themselves.
///
/// # Errors
/// If the listener cannot be used any more; a new one may be bound in its place.
pub async fn serve(
    listener: Listener,
    web: Web,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), ServeError> {
    let acceptor = web.acceptor.for_web();
    match listener {
        Listener::Tcp(listener, _) => {
            let (sender, connections) = mpsc::channel(1);
            try_join!(
                acceptor.accept_tcp(&listener, sender, tasks, stop).map_err(ServeError::Accept),
                serve_all(connections, &web, tasks, stop)
            )?;
        }
        Listener::Unix(listener, _file) => {
            let (sender, connections) = mpsc::channel(1);
            try_join!(
                acceptor.accept_unix(&listener, sender, stop).map_err(ServeError::Accept),
                serve_all(connections, &web, tasks, stop)
            )?;
        }
    }
    Ok(())
}

async fn serve_all<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    mut connections: mpsc::Receiver<io::Result<Connection<S>>>,
    web: &Web,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), ServeError> {
    while let Some(connection) = connections.recv().await {
        // Whatever is wrong with one connection was counted by the acceptor.
        let Ok(connection) = connection else { continue };
        tasks.spawn(serve_one(connection, web.clone(), stop.clone()));
    }
    Ok(())
}

async fn serve_one<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    connection: Connection<S>,
    web: Web,
    stop: CancellationToken,
) {
    let Web { routes, window, acceptor } = web;
    let peer = connection.connect_info();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let mut routes = routes.clone();
        async move { Ok::<_, Infallible>(routes.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(MAX_HEADER_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_CONNECTION_STREAMS)
        .initial_stream_window_size(window)
        .initial_connection_window_size(window);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(connection), service));
    let age = async {
        match acceptor.is_tls() {
            true => sleep(MAX_CONNECTION_AGE).await,
            false => std::future::pending().await,
        }
    };
    select! {
        // What a connection ends with is its client's doing, and of no use in the log.
        _ended = &mut serving => return,
        () = age => {}
        () = stop.cancelled() => {}
    }
    serving.as_mut().graceful_shutdown();
    let _late = timeout(GRACE, serving).await;
}
