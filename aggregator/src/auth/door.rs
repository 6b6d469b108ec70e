//! The door through which every request comes, whatever service it is for: finds out who sends it, refuses those whom nobody
//! knows before a byte of their message is read, and bounds what one caller has under way.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::timeout;
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
};
use tower_layer::Layer;

use super::{Authority, Caller, Reason};
use crate::{gate::busy, wire::Peer};

/// How long an answer may take to begin, the request's upload included. Longer than the deadlines of the services.
const DEADLINE: Duration = Duration::from_secs(45);

/// Puts services behind the door.
#[derive(Clone, Debug)]
pub struct Door {
    authority: Arc<Authority>,
}

impl Door {
    /// The door that this authority keeps.
    pub fn new(authority: Arc<Authority>) -> Self {
        Self { authority }
    }
}

impl<S> Layer<S> for Door {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, authority: Arc::clone(&self.authority) }
    }
}

/// Services behind the door.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    authority: Arc<Authority>,
}

impl<S> Service<http::Request<Body>> for Guarded<S>
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
            let _turn = match Arc::clone(&caller.share).request() {
                Ok(turn) => turn,
                Err(status) => {
                    return Ok(caller.authority.refuse(Reason::Share, &caller.identity, status).into_http());
                }
            };
            // No service needs the token, and what is not there is not told by mistake.
            head.headers.remove(http::header::AUTHORIZATION);
            head.extensions.insert(caller);
            match timeout(DEADLINE, ready.call(http::Request::from_parts(head, body))).await {
                Ok(response) => response,
                Err(_elapsed) => Ok(busy("the request took too long").into_http()),
            }
        })
    }
}

async fn admit(authority: Arc<Authority>, head: &http::request::Parts) -> Result<Caller, Status> {
    let peer: &Peer = head.extensions.get().ok_or_else(|| Status::internal("a connection without a peer"))?;
    let identity = authority.identify(peer, &head.headers).await?;
    peer.welcome();
    let share = authority.shares.of(&identity);
    Ok(Caller { identity, authority, share })
}
