//! The layer behind the authentication and before all services.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use tokio::time::timeout;
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
};
use tower_layer::Layer;

use super::{
    answer::{Answer, Answers, Held},
    method::{Method, Methods, Request},
    pool::{Pool, Reserved},
    upload::{Upload, Uploads},
};
use crate::{
    auth::{Caller, Peer, Right},
    budget::Budget,
    unavailable::unavailable,
};

/// How long an answer may take to begin, once the request is read.
const DEADLINE: Duration = Duration::from_secs(45);
/// How long an answer may wait for memory.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer lies in memory as it was stored, decoded (twice its bytes), and encoded.
const COPIES: u64 = 4;

/// Puts services behind the bounds of requests and answers.
#[derive(Clone, Debug)]
pub struct Traffic {
    methods: Methods,
    uploads: Uploads,
    /// For the answers to those who are named by a certificate, or not asked who they are.
    known: Pool,
    /// For the answers to users, of whom there may be any number.
    users: Pool,
    one_answer: u64,
    answers: Answers,
}

impl Traffic {
    /// Bounds for the services that serve these methods.
    pub fn new(methods: Methods, budget: Budget) -> Self {
        let half = || Pool::new(budget.answer_bytes() / 2);
        let one_answer = COPIES * budget.one_answer_bytes() as u64;
        Self {
            methods,
            uploads: Uploads::new(budget),
            known: half(),
            users: half(),
            one_answer,
            answers: Answers::default(),
        }
    }

    /// The same bounds, shared with services of other methods.
    pub fn of(&self, methods: Methods) -> Self {
        Self { methods, ..self.clone() }
    }

    /// Cuts connections on which an answer is not read, until it is dropped.
    pub async fn cut_stalled(&self) -> Infallible {
        self.answers.cut_stalled().await
    }

    /// The request, if it may be answered, and what it and its answer hold.
    async fn admit(&self, request: http::Request<Body>) -> Result<Admitted, Status> {
        let (head, body) = request.into_parts();
        let caller = Caller::of(&head.extensions)?;
        let path = head.uri.path();
        let method = (self.methods)(path).ok_or_else(|| Status::unimplemented("there is no such method"))?;
        let Method { right, request, streams } = method;
        caller.may(right)?;
        let slot = caller.slot()?;
        let (body, upload) = match request {
            Request::Nothing => (Body::empty(), None),
            Request::Stream => (body, None),
            Request::One { message, bytes } => {
                let Upload { body, reserved } = self.uploads.read(body, message, bytes).await?;
                (Body::new(Full::new(body).map_err(|never| match never {})), Some(reserved))
            }
        };
        let reserved = if streams || right == Right::Push { None } else { Some(self.reserved(&caller).await?) };
        let held = Held { is_stream: streams, _slot: (!streams).then_some(slot), reserved };
        Ok(Admitted { request: http::Request::from_parts(head, body), upload, held })
    }

    async fn reserved(&self, caller: &Caller) -> Result<Reserved, Status> {
        let pool = if caller.is_user() { &self.users } else { &self.known };
        let reserved = pool.take(self.one_answer, PATIENCE).await;
        reserved.ok_or_else(|| unavailable("no memory is free for the answer at present"))
    }
}

/// A request that may be answered.
struct Admitted {
    request: http::Request<Body>,
    /// What it holds itself.
    upload: Option<Reserved>,
    /// What its answer holds.
    held: Held,
}

impl<S> Layer<S> for Traffic {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded { inner, traffic: self.clone() }
    }
}

/// Services behind the bounds.
#[derive(Clone, Debug)]
pub struct Bounded<S> {
    inner: S,
    traffic: Traffic,
}

impl<S> Service<http::Request<Body>> for Bounded<S>
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
        let traffic = self.traffic.clone();
        // The service that was polled ready is the one to call; its clone takes its place.
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let Some(peer) = request.extensions().get::<Peer>().cloned() else {
                return Ok(Status::internal("a connection without a peer").into_http());
            };
            let Admitted { request, upload, held } = match traffic.admit(request).await {
                Ok(admitted) => admitted,
                Err(status) => return Ok(status.into_http()),
            };
            let answer = match timeout(DEADLINE, ready.call(request)).await {
                Ok(answer) => answer?,
                Err(_elapsed) => unavailable("the request took too long").into_http(),
            };
            drop(upload);
            Ok(answer.map(|body| Body::new(Answer::new(body, held, peer, &traffic.answers))))
        })
    }
}
