//! A gRPC receiver behind a proxy, which answers in HTTP where it refuses by itself. Without this, tonic would take its
//! page for a message, and report only a broken one.

use std::task::{Context, Poll};

use tonic::{
    Code, Status,
    body::Body,
    codegen::{
        BoxFuture, Service,
        http::{Request, Response, StatusCode},
    },
};

/// A connection whose every answer is one of gRPC.
#[derive(Clone, Debug)]
pub(super) struct Proxied<S>(pub(super) S);

impl<S> Service<Request<Body>> for Proxied<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move { answer.await.map(in_grpc) })
    }
}

/// By gRPC's own table for HTTP (doc/http-grpc-status-mapping.md), except for what is too large: the same as servers of
/// tonic.
fn in_grpc(response: Response<Body>) -> Response<Body> {
    let status = response.status();
    if status == StatusCode::OK || response.headers().contains_key("grpc-status") {
        return response;
    }
    let code = match status {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::PAYLOAD_TOO_LARGE => Code::OutOfRange,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(code, format!("HTTP {status}")).into_http()
}
