//! The way to a container runtime's socket, shared by [`cri`](super::cri), [`containerd`](super::containerd) and
//! [`docker`](super::docker): deadlines on everything, delays between attempts.
//!
//! No HTTP/2 keepalive: grpc-go's servers (containerd, CRI-O) take pings more often than every five minutes for an
//! abuse and close the connection (`keepalive.EnforcementPolicy`), which would break every quiet event stream. That the
//! runtime still answers is learned by asking it.

use std::{error::Error, io, time::Duration};

use coroner_diagnosis::{
    messages::health,
    observation::{GapReason, Health, Reason},
};
use coroner_runtime::{
    backoff::{Backoff, jittered},
    error::chain,
};
use jiff::Timestamp;
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint},
};

use super::outlet::Outlet;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(2);

/// How long a call may take.
const CALL: Duration = Duration::from_secs(5);

/// The first delay before another attempt,
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// the longest,
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// and that after an answer which will hardly change.
const LASTING_DELAY: Duration = Duration::from_mins(1);

/// The largest message taken from a runtime, as the kubelet does: lists of busy nodes pass gRPC's usual 4 MiB.
pub const MAX_MESSAGE: usize = 16 << 20;

/// What went wrong between the agent and a runtime.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The socket is not there, refuses, or its address is malformed.
    #[error("cannot connect to {endpoint}")]
    Connect {
        /// Where to.
        endpoint: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// There is nothing to connect to.
    #[error("this node has no {0} socket")]
    NoSocket(&'static str),
    /// Whether there is a socket may not be known, for example in a directory that this process may not search.
    #[error("{socket} cannot be looked at")]
    Hidden {
        /// The path.
        socket: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not to be asked.
    #[error("{0} is switched off")]
    Off(&'static str),
    /// It is another runtime.
    #[error("the container runtime is not {0}")]
    Another(&'static str),
    /// No connection or answer in time.
    #[error("{call} was not answered within {} s", .limit.as_secs())]
    Deadline {
        /// What was asked.
        call: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The call failed.
    #[error("{call} failed: {}: {}", .status.code().description(), .status.message())]
    Call {
        /// What was asked.
        call: &'static str,
        /// The answer.
        status: Box<Status>,
    },
    /// Docker refused, or what it answered is none.
    #[error("{call} failed: {reason}")]
    Docker {
        /// What was asked.
        call: &'static str,
        /// Why, with its causes.
        reason: String,
    },
    /// A stream that never ends by itself ended.
    #[error("the runtime ended the stream of {0}")]
    Ended(&'static str),
    /// The task that read a stream failed.
    #[error("the reader of {0} failed")]
    Reader(&'static str),
}

impl RuntimeError {
    /// The gRPC code of a failed call; `None` if there was no connection.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Call { status, .. } => Some(status.code()),
            Self::Connect { .. }
            | Self::NoSocket(_)
            | Self::Hidden { .. }
            | Self::Off(_)
            | Self::Another(_)
            | Self::Deadline { .. }
            | Self::Docker { .. }
            | Self::Ended(_)
            | Self::Reader(_) => None,
        }
    }

    /// The same for people, in each language.
    pub(super) fn reason(&self) -> Reason {
        Reason::from(match self {
            Self::Connect { endpoint, source } => health::health_cannot_connect(endpoint, chain(source)),
            Self::NoSocket(daemon) => health::health_no_socket(daemon),
            Self::Hidden { socket, source } => health::health_socket_hidden(socket, source.to_string()),
            Self::Off(daemon) => health::health_switched_off(daemon),
            Self::Another(daemon) => health::health_another_runtime(daemon),
            Self::Deadline { call, limit } => health::health_no_answer(call, *limit),
            Self::Call { call, status } => {
                let error = format!("{}: {}", status.code().description(), status.message());
                health::health_call_failed(call, error)
            }
            Self::Docker { call, reason } => health::health_call_failed(call, reason),
            Self::Ended(stream) => health::health_stream_ended(stream),
            Self::Reader(stream) => health::health_reader_failed(stream),
        })
    }

    /// Whether this process was refused, and not by the daemon: by the permissions of its socket, or a security module.
    pub(super) fn is_ours(&self) -> bool {
        match self {
            Self::Hidden { .. } => true,
            Self::Connect { source, .. } => {
                let mut cause: Option<&(dyn Error + 'static)> = Some(source);
                while let Some(error) = cause {
                    if error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::PermissionDenied)
                    {
                        return true;
                    }
                    cause = error.source();
                }
                false
            }
            _ => false,
        }
    }

    /// Whether asking again soon is of no use: it is not that kind of runtime, or not for us.
    fn is_lasting(&self) -> bool {
        matches!(self, Self::Off(_) | Self::Another(_))
            || matches!(self.code(), Some(Code::Unimplemented | Code::PermissionDenied | Code::Unauthenticated))
    }
}

/// Connects to an endpoint such as `unix:PATH`.
///
/// # Errors
/// The endpoint is malformed or refuses, or there is no connection within the deadline.
pub async fn connect(endpoint: &str) -> Result<Channel, RuntimeError> {
    let failed = |source| RuntimeError::Connect { endpoint: endpoint.to_owned(), source };
    let parsed = Endpoint::from_shared(endpoint.to_owned()).map_err(failed)?;
    match tokio::time::timeout(CONNECT, parsed.connect()).await {
        Ok(connected) => connected.map_err(failed),
        Err(_) => Err(RuntimeError::Deadline { call: "connect", limit: CONNECT }),
    }
}

/// Awaits the answer to one call, within the deadline.
///
/// # Errors
/// The call was answered with an error, or not in time.
pub async fn answer<T>(
    call: &'static str,
    asked: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, RuntimeError> {
    match tokio::time::timeout(CALL, asked).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(RuntimeError::Call { call, status: Box::new(status) }),
        Err(_) => Err(RuntimeError::Deadline { call, limit: CALL }),
    }
}

/// Where the connection of one source stands: reports its health at each change, and what a broken connection may have
/// lost.
#[derive(Debug)]
pub struct Connection {
    outlet: Outlet,
    /// Whether there was a connection ever.
    stood: bool,
    /// Up to when nothing was missed, while there is no connection any more.
    lost_since: Option<Timestamp>,
    delays: Backoff,
}

impl Connection {
    /// A client that is not connected yet.
    pub fn new(outlet: Outlet) -> Self {
        Self { outlet, stood: false, lost_since: None, delays: Backoff::new(FIRST_DELAY, LONGEST_DELAY) }
    }

    /// The runtime has just answered: nothing was missed up to now.
    pub fn answered(&mut self) {
        self.outlet.touch_now();
    }

    /// The connection stands and will miss nothing from now on: reports the gap since it was lost, if it was, and the
    /// health.
    pub async fn stands(&mut self, health: Health) {
        let now = Timestamp::now();
        if let Some(from) = self.lost_since.take() {
            let gap = self.outlet.gap(GapReason::Disconnected, from.min(now), now, None);
            let _closed = self.outlet.send(gap).await;
        }
        self.stood = true;
        self.outlet.touch_now();
        self.delays.reset();
        self.outlet.health(health).await;
    }

    /// The connection broke or could not be had; waits until it is time for another attempt.
    pub async fn broke(&mut self, error: &RuntimeError) {
        if self.stood {
            self.lost_since.get_or_insert_with(|| self.outlet.contact());
        }
        self.outlet.health(Health::Absent(error.reason())).await;
        let delay = if error.is_lasting() { jittered(LASTING_DELAY) } else { self.delays.next() };
        tokio::time::sleep(delay).await;
    }
}

/// A string of a runtime, cut to a size that may be kept.
pub fn cut(mut text: String, max_bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}
