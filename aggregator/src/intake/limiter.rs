//! The limiter before intake: bounds how many pushes are under way, and sees to the codes of refusals.
//!
//! Senders decide by the code what to do. `UNAVAILABLE` with `RetryInfo` has them try again; `INVALID_ARGUMENT` has
//! them cut the batch. `OUT_OF_RANGE`, which tonic gives for a message that is too large, and `INTERNAL`, which it
//! gives for one that cannot be decoded, mean other things to other clients, so neither leaves this service.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{sync::Semaphore, time::timeout};
use tonic::{
    Code,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::NamedService,
};

use crate::{ledger::MAX_PUSHES, unavailable::unavailable};

/// Bytes of one push. Agents keep to 1 MiB, and cut a batch that is refused in two.
pub const MAX_PUSH_BYTES: usize = 2 << 20;
/// How long a push may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a push may take, once it is read.
const DEADLINE: Duration = Duration::from_secs(30);

/// A service behind the limiter.
#[derive(Clone, Debug)]
pub struct Limiter<S> {
    inner: S,
    permits: Arc<Semaphore>,
}

impl<S> Limiter<S> {
    /// Puts a service behind the limiter.
    pub fn new(inner: S) -> Self {
        Self { inner, permits: Arc::new(Semaphore::new(MAX_PUSHES)) }
    }
}

impl<S: NamedService> NamedService for Limiter<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Limiter<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let permits = Arc::clone(&self.permits);
        // The service that was polled ready is the one to call; its clone takes its place.
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let Ok(Ok(_permit)) = timeout(PATIENCE, permits.acquire_owned()).await else {
                return Ok(unavailable("too many pushes at once").into_http());
            };
            match timeout(DEADLINE, ready.call(request)).await {
                Ok(response) => response.map(with_plain_code),
                Err(_elapsed) => Ok(unavailable("the push took too long").into_http()),
            }
        })
    }
}

/// Gives what is wrong with the request itself the code for that.
fn with_plain_code(mut response: http::Response<Body>) -> http::Response<Body> {
    let status = response.headers().get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()));
    if matches!(status, Some(Code::OutOfRange | Code::Internal)) {
        response.headers_mut().insert("grpc-status", (Code::InvalidArgument as i32).into());
    }
    response
}
