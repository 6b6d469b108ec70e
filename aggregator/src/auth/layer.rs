//! The layer before all services: identifies who sends a request, and refuses unknown callers before a byte of their
//! message is read.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
};
use tower_layer::Layer;

use super::{authority::Authority, caller::Caller, peer::Peer, refusals::Reason};
use crate::unavailable::{RETRY_AFTER, busy};

/// Puts services behind the authentication.
#[derive(Clone, Debug)]
pub struct Authentication {
    authority: Arc<Authority>,
}

impl Authentication {
    /// Authentication by this authority.
    pub fn new(authority: Arc<Authority>) -> Self {
        Self { authority }
    }

    /// Whether callers can authenticate with a token.
    pub fn takes_tokens(&self) -> bool {
        self.authority.reviews_tokens()
    }

    /// Who sends a request.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` or `PERMISSION_DENIED` for an unknown caller, `RESOURCE_EXHAUSTED` for one with too many
    /// connections, `UNAVAILABLE` if the API server does not answer who it is.
    pub async fn admit(&self, head: &http::request::Parts) -> Result<Caller, Status> {
        admit(Arc::clone(&self.authority), head).await
    }
}

impl<S> Layer<S> for Authentication {
    type Service = Authenticated<S>;

    fn layer(&self, inner: S) -> Authenticated<S> {
        Authenticated { inner, authority: Arc::clone(&self.authority) }
    }
}

/// Services behind the authentication.
#[derive(Clone, Debug)]
pub struct Authenticated<S> {
    inner: S,
    authority: Arc<Authority>,
}

impl<S> Service<http::Request<Body>> for Authenticated<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Self::Response, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let authority = Arc::clone(&self.authority);
        // The service that was polled ready is the one to call; its clone takes its place.
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let caller = match admit(authority, &head).await {
                Ok(caller) => caller,
                Err(status) => return Ok(status.into_http()),
            };
            // No service needs the token, and what is not there cannot leak.
            head.headers.remove(http::header::AUTHORIZATION);
            head.extensions.insert(caller);
            ready.call(http::Request::from_parts(head, body)).await
        })
    }
}

async fn admit(authority: Arc<Authority>, head: &http::request::Parts) -> Result<Caller, Status> {
    let peer: &Peer = head.extensions.get().ok_or_else(|| Status::internal("a connection without a peer"))?;
    let identity = authority.identify(peer, &head.headers).await?;
    if !peer.admit(&identity) {
        let many = "there are as many connections of this caller, or of its kind, as there may be";
        let status = busy(many, RETRY_AFTER);
        return Err(authority.refuse(Reason::Connections, &identity, status));
    }
    let share = authority.shares.of(&identity);
    Ok(Caller { identity, authority, share })
}
