//! The way to a container runtime's socket, shared by [`cri`](super::cri), [`containerd`](super::containerd) and
//! [`docker`](super::docker): deadlines on everything, patience between attempts.
//!
//! No HTTP/2 keepalive: grpc-go's servers (containerd, CRI-O) take pings more often than every five minutes for an abuse and
//! close the connection (`keepalive.EnforcementPolicy`), which would break every quiet event stream. That the runtime still
//! answers is learned by asking it.

use std::{error::Error, fmt::Write, time::Duration};

use coroner_diagnosis::observation::{Fact, Gap, GapReason, Health};
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
    /// The code of a failed call.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Call { status, .. } => Some(status.code()),
            Self::Connect { .. } | Self::Deadline { .. } | Self::Docker { .. } | Self::Ended(_) | Self::Reader(_) => {
                None
            }
        }
    }

    /// The error with its causes, in one line.
    pub fn chain(&self) -> String {
        chain(self)
    }

    /// Whether asking again soon is of no use: it is not that kind of runtime, or not for us.
    fn is_lasting(&self) -> bool {
        matches!(self.code(), Some(Code::Unimplemented | Code::PermissionDenied | Code::Unauthenticated))
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            let _infallible = write!(line, ": {text}");
        }
        cause = error.source();
    }
    line
}

/// Connects to `unix:///path`.
pub async fn connect(endpoint: &str) -> Result<Channel, RuntimeError> {
    let failed = |source| RuntimeError::Connect { endpoint: endpoint.to_owned(), source };
    let parsed = Endpoint::from_shared(endpoint.to_owned()).map_err(failed)?;
    match tokio::time::timeout(CONNECT, parsed.connect()).await {
        Ok(connected) => connected.map_err(failed),
        Err(_) => Err(RuntimeError::Deadline { call: "connect", limit: CONNECT }),
    }
}

/// Awaits the answer to one call, within the deadline.
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

/// Where the connection of one source stands: tells its health at each change, and what a broken connection may have lost.
#[derive(Debug)]
pub struct Connection {
    outlet: Outlet,
    health: Option<Health>,
    /// The last moment at which nothing could have been missed; `None` before the first connection.
    contact: Option<Timestamp>,
    attempts: u32,
}

impl Connection {
    /// Not connected yet.
    pub fn new(outlet: Outlet) -> Self {
        Self { outlet, health: None, contact: None, attempts: 0 }
    }

    /// The runtime has just been heard.
    pub fn heard(&mut self) {
        self.contact = Some(Timestamp::now());
    }

    /// The connection stands and will miss nothing from now on: tells the gap since it was lost, if it was, and the health.
    pub async fn stands(&mut self, health: Health) {
        let now = Timestamp::now();
        if let (Some(from), Some(Health::Absent(_))) = (self.contact, &self.health) {
            let gap = Gap {
                source: self.outlet.source(),
                reason: GapReason::Disconnected,
                from: from.min(now),
                to: now,
                lost: None,
            };
            let _closed = self.outlet.send(self.outlet.now(Fact::Gap(gap))).await;
        }
        self.contact = Some(now);
        self.attempts = 0;
        self.tell(health).await;
    }

    /// The connection broke or could not be had; waits until it is time for another attempt.
    pub async fn broke(&mut self, error: &RuntimeError) {
        self.tell(Health::Absent(error.chain())).await;
        let patience = if error.is_lasting() {
            Duration::from_secs(60)
        } else {
            Duration::from_millis(100 << self.attempts).min(Duration::from_secs(5))
        };
        self.attempts = (self.attempts + 1).min(6);
        tokio::time::sleep(patience).await;
    }

    /// Tells the health if it is news.
    pub async fn tell(&mut self, health: Health) {
        if self.health.as_ref() != Some(&health) {
            self.health = Some(health.clone());
            self.outlet.health(health).await;
        }
    }
}

/// A string of a runtime, cut to a size that may be kept.
pub fn cut(mut text: String, max_bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}
