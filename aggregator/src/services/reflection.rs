//! grpc.reflection, for tools that ask what is served here. It is authenticated as all services are, and not offered
//! where probes are answered: an unknown caller learns nothing. Its streams would last for as long as their callers
//! please, so each is one of its caller's share, and is ended after a while.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use coroner_proto::DESCRIPTORS;
use futures::StreamExt as _;
use http_body_util::{BodyStream, StreamBody};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::NamedService,
    service::Routes,
};
use tonic_reflection::server::{Builder, Error};

use crate::auth::Caller;

/// How long a caller may go on to ask on one stream.
const LIFETIME: Duration = Duration::from_mins(1);
/// Bytes of a question: a name.
const MAX_QUESTION_BYTES: usize = 4 << 10;

/// Adds it to these services, by its name of today and by that of yesterday, which many tools still use.
///
/// # Errors
/// That the descriptors of this program's own protocol cannot be used.
pub(super) fn add(routes: Routes, stop: &CancellationToken) -> Result<Routes, Error> {
    add_for(LIFETIME, routes, stop)
}

fn add_for(lifetime: Duration, routes: Routes, stop: &CancellationToken) -> Result<Routes, Error> {
    let builder = || Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
    let v1 = builder().build_v1()?.max_decoding_message_size(MAX_QUESTION_BYTES);
    let v1alpha = builder().build_v1alpha()?.max_decoding_message_size(MAX_QUESTION_BYTES);
    let v1 = Brief { inner: v1, lifetime, stop: stop.clone() };
    let v1alpha = Brief { inner: v1alpha, lifetime, stop: stop.clone() };
    Ok(routes.add_service(v1).add_service(v1alpha))
}

/// A service whose streams end.
#[derive(Clone, Debug)]
struct Brief<S> {
    inner: S,
    lifetime: Duration,
    stop: CancellationToken,
}

impl<S: NamedService> NamedService for Brief<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Brief<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let slot = match Caller::of(request.extensions()).and_then(|caller| caller.stream_slot()) {
            Ok(slot) => slot,
            Err(status) => return Box::pin(async { Ok(status.into_http()) }),
        };
        let (stop, lifetime) = (self.stop.clone(), self.lifetime);
        let time_is_up = async move {
            let _stopped = stop.run_until_cancelled(sleep(lifetime)).await;
        };
        // The service ends a stream well once it has no more questions; then it lets go of them, and of the slot.
        let questions = |body| {
            StreamBody::new(BodyStream::new(body).take_until(time_is_up).map(move |frame| {
                let _held = &slot;
                frame
            }))
        };
        Box::pin(self.inner.call(request.map(|body| Body::new(questions(body)))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt as _;
    use hyper::body::{Bytes, Frame};
    use tonic::Status;
    use tower_layer::Layer as _;

    use super::*;
    use crate::{
        auth::{Accounts, Address, Authentication, Authority, Credentials, Peer},
        budget::Budget,
    };

    #[tokio::test]
    async fn a_stream_on_which_nothing_is_asked_ends_well() {
        let routes = add_for(Duration::from_millis(1), Routes::default(), &CancellationToken::new()).unwrap();
        let accounts = Accounts { audience: String::new(), agent: String::new() };
        let mut service =
            Authentication::new(Arc::new(Authority::new(None, accounts, Arc::default(), Budget::of(256 << 20))))
                .layer(routes.prepare());
        for version in ["v1", "v1alpha"] {
            let nothing = futures::stream::pending::<Result<Frame<Bytes>, Status>>();
            let mut request = http::Request::new(Body::new(StreamBody::new(nothing)));
            *request.uri_mut() =
                format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo").parse().unwrap();
            request.extensions_mut().insert(Peer::new(Address::Unix, Credentials::NotAsked, None));
            let answer = service.call(request).await.unwrap().into_body().collect().await.unwrap();
            assert_eq!(answer.trailers().unwrap()["grpc-status"], "0", "{version}");
        }
    }
}
