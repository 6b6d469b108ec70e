//! The health port: `grpc.health.v1` for Kubernetes' probes, and the metrics as `GET /metrics`, in plain text on one
//! listener.
//!
//! Every client could open connections without end, so it is bounded ([`limiter`]): so many connections in all
//! and from one address, each for so long.

mod limiter;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    select,
    sync::Mutex,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;
use tonic_health::{ServingStatus, server::HealthReporter};
use tracing::debug;

use self::limiter::Limiter;
use crate::{
    messages,
    metrics::{MEDIA_TYPE, Metrics},
    problem::Problem,
};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 64;
/// A connection lasts so long at most: a probe takes milliseconds, and who watches comes again.
const CONNECTION_AGE: Duration = Duration::from_mins(2);
/// A request's head has to be there within this time.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Requests at once on one connection.
const STREAMS: u32 = 8;
/// Bytes of a request's headers.
const MAX_HEAD: u32 = 8 << 10;
/// How often those who watch the health learn of a change. Who asks gets the present answer.
const REFRESH: Duration = Duration::from_secs(5);
/// How long to wait after the system had no connection to give, as when there are no descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The health of the program, for its probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its loops go on; otherwise Kubernetes should end it.
    pub alive: bool,
    /// Whether all required tasks run.
    pub ready: bool,
}

/// A listener for probes that is bound to its address.
#[derive(Debug)]
pub struct HealthPort {
    listener: TcpListener,
    address: SocketAddr,
}

impl HealthPort {
    /// Binds the address. Connections wait until [`serve`](Self::serve) runs.
    ///
    /// # Errors
    /// If the address is taken, not this machine's, or not allowed.
    pub fn bind(address: SocketAddr) -> Result<Self, Problem> {
        let refused =
            |error: io::Error| messages::problem(messages::cannot_serve_health(address.to_string(), error.to_string()));
        Self::bound(address).map_err(refused)
    }

    fn bound(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The bound address, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until stopped: `liveness` (and the empty name) and `readiness`, as returned by `standing` for each
    /// request; and the metrics.
    pub async fn serve(
        &self,
        standing: impl Fn() -> Standing + Send + Sync + 'static,
        metrics: Metrics,
        stop: CancellationToken,
    ) {
        let (reporter, health) = tonic_health::server::health_reporter();
        let service = Arc::new(Service {
            health: TowerToHyperService::new(health),
            reporter,
            metrics,
            last: Mutex::new(None),
            standing,
        });
        service.refresh().await;
        let limiter = Limiter::default();
        let connections = TaskTracker::new();
        let server = server();
        loop {
            let (connection, peer) = select! {
                () = stop.cancelled() => break,
                () = sleep(REFRESH) => {
                    service.refresh().await;
                    continue;
                }
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        debug!(%error, "Cannot accept a connection to the health port");
                        sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            // Who has enough of them is closed.
            let Some(pass) = limiter.enter(peer.ip()) else { continue };
            let (service, server, stop) = (Arc::clone(&service), server.clone(), stop.clone());
            connections.spawn(async move {
                let _until_its_end = pass;
                let service = service_fn(move |request| Arc::clone(&service).answer(request));
                let serving = server.serve_connection(TokioIo::new(connection), service);
                // A peer that breaks off is no trouble of ours.
                let _ended = stop.run_until_cancelled(timeout(CONNECTION_AGE, serving)).await;
            });
        }
        connections.close();
        connections.wait().await;
    }
}

fn server() -> Builder<TokioExecutor> {
    let mut server = Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE).max_buf_size(MAX_HEAD as usize);
    server.http2().max_concurrent_streams(STREAMS).max_header_list_size(MAX_HEAD);
    server
}

/// What answers on the health port.
struct Service<H, S> {
    health: TowerToHyperService<H>,
    reporter: HealthReporter,
    metrics: Metrics,
    standing: S,
    /// As it was last reported.
    last: Mutex<Option<Standing>>,
}

impl<H, S> Service<H, S>
where
    H: tower_service::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone,
    S: Fn() -> Standing,
{
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        if request.uri().path() != "/metrics" {
            self.refresh().await;
            return self.health.call(request).await;
        }
        if request.method() != Method::GET {
            return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, String::new()));
        }
        Ok(plain(StatusCode::OK, self.metrics.text()))
    }

    /// Brings the health up to date. Only a change is reported, since each report wakes all who watch.
    async fn refresh(&self) {
        let mut last = self.last.lock().await;
        let standing = (self.standing)();
        if last.replace(standing) == Some(standing) {
            return;
        }
        let Standing { alive, ready } = standing;
        for (service, serves) in [("", alive), ("liveness", alive), ("readiness", ready)] {
            let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.reporter.set_service_status(service, status).await;
        }
    }
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

#[cfg(test)]
mod tests;
