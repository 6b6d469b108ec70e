//! The way to Docker's API: no answer is waited for longer, or taken larger, than it may be.
//!
//! bollard collects an answer, and a line of a stream, however long it gets. So its bytes come through a connection of
//! our own, which breaks when the peer sends more than is allowed.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bollard::{
    API_DEFAULT_VERSION, BollardRequest, Docker,
    errors::Error,
    models::{ContainerInspectResponse, ContainerSummary, EventMessage},
    query_parameters::{EventsOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder},
};
use coroner_diagnosis::{observation::cri::ContainerId, text};
use coroner_runtime::error::chain;
use futures::{Stream, TryStreamExt};
use http::{HeaderValue, Uri, header::HOST};
use hyper::{Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::{UnixStream, unix::OwnedReadHalf},
};

use super::{
    super::connection::{self, RuntimeError},
    CAPACITY,
};

/// How long Docker may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest event. Its attributes are the container's labels, which Docker does not bound; Kubernetes' annotations
/// end at 256 KiB.
const MAX_EVENT: usize = 1 << 20;
/// Without this label it is no container of the kubelet's.
pub(super) const TYPE_LABEL: &str = "io.kubernetes.docker.type";

/// Asks Docker. One question at a time: its bound is that of one connection.
pub(super) struct Client {
    docker: Docker,
    allowance: Arc<AtomicUsize>,
    limit: usize,
}

impl Client {
    /// A client for requests that are answered once, with a deadline.
    pub(super) fn for_questions(endpoint: &str) -> Result<Self, RuntimeError> {
        Self::new(endpoint, connection::MAX_MESSAGE)
    }

    /// A client for [`events`](Self::events), without a deadline.
    pub(super) fn for_events(endpoint: &str) -> Result<Self, RuntimeError> {
        Self::new(endpoint, MAX_EVENT)
    }

    fn new(endpoint: &str, limit: usize) -> Result<Self, RuntimeError> {
        let allowance = Arc::<AtomicUsize>::default();
        let path: Arc<str> = endpoint.strip_prefix("unix://").unwrap_or(endpoint).into();
        let transport = {
            let allowance = allowance.clone();
            move |request| {
                allowance.store(limit, Ordering::Relaxed);
                send(path.clone(), allowance.clone(), request)
            }
        };
        let docker = Docker::connect_with_custom_transport(
            transport,
            Some("http://docker"),
            PATIENCE.as_secs(),
            API_DEFAULT_VERSION,
        )
        .map_err(|error| failed("connect", &error))?;
        Ok(Self { docker, allowance, limit })
    }

    /// The kubelet's containers and sandboxes, the newest first, and no more than [`CAPACITY`] and one of them.
    pub(super) async fn list(&self) -> Result<Vec<ContainerSummary>, RuntimeError> {
        let filters = HashMap::from([("label", vec![TYPE_LABEL])]);
        let limit = i32::try_from(CAPACITY + 1).unwrap_or(i32::MAX);
        let options = ListContainersOptionsBuilder::new().all(true).limit(limit).filters(&filters).build();
        answer("list containers", self.docker.list_containers(Some(options))).await
    }

    /// A container or sandbox; `None` if there is none of this id.
    pub(super) async fn inspect(&self, id: &ContainerId) -> Result<Option<ContainerInspectResponse>, RuntimeError> {
        let inspected = self.docker.inspect_container(&id.0, None::<InspectContainerOptions>);
        let gone = |error| match error {
            Error::DockerResponseServerError { status_code: 404, .. } => Ok(None),
            error => Err(error),
        };
        answer("inspect", async { inspected.await.map(Some).or_else(gone) }).await
    }

    /// Events of the kubelet's containers and sandboxes. Docker still has the last 256 events of any kind, and begins
    /// with those of them since then.
    pub(super) fn events(&self, since: Timestamp) -> impl Stream<Item = Result<EventMessage, RuntimeError>> {
        let filters = HashMap::from([("type", vec!["container"]), ("label", vec![TYPE_LABEL])]);
        let since = format!("{}.{:09}", since.as_second(), since.subsec_nanosecond());
        let options = EventsOptionsBuilder::new().since(&since).filters(&filters).build();
        let events = self.docker.events(Some(options)).map_err(|error| failed("events", &error));
        events.inspect_ok(|_event| self.allowance.store(self.limit, Ordering::Relaxed))
    }
}

async fn answer<T>(call: &'static str, asked: impl Future<Output = Result<T, Error>>) -> Result<T, RuntimeError> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answered) => answered.map_err(|error| failed(call, &error)),
        Err(_) => Err(RuntimeError::Deadline { call, limit: PATIENCE }),
    }
}

fn failed(call: &'static str, error: &Error) -> RuntimeError {
    RuntimeError::Docker { call, reason: text::clean(&chain(error), 256) }
}

/// One request over a connection of its own.
async fn send(
    path: Arc<str>,
    allowance: Arc<AtomicUsize>,
    mut request: BollardRequest,
) -> Result<Response<Incoming>, Error> {
    // To a server, not a proxy: what is asked for stands without scheme and host.
    if let Some(asked) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(asked);
    }
    request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
    let (reader, writer) = UnixStream::connect(&*path).await?.into_split();
    let stream = TokioIo::new(tokio::io::join(Bounded { reader, allowance }, writer));
    let (mut sender, connection) = http1::handshake(stream).await?;
    // Ends with the answer, and when it is not read any more. Its error is that of the answer's body.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// Breaks when more arrives than is allowed.
struct Bounded {
    reader: OwnedReadHalf,
    allowance: Arc<AtomicUsize>,
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.reader).poll_read(context, buffer))?;
        let came = buffer.filled().len() - before;
        let fits = |allowance: usize| allowance.checked_sub(came);
        match self.allowance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Poll::Ready(Ok(())),
            Err(_) => Poll::Ready(Err(io::Error::other("the answer is too large"))),
        }
    }
}
