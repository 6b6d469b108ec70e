//! An HTTP server for the stand-ins of API server and kubelet: HTTP/1.1 and HTTP/2, with TLS where the real one has it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::Stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A body that may go on for ever.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A server on a port of its own on loopback, until it is dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Answers each request with what `handle` makes of it.
    pub async fn start<H, F>(tls: Option<TlsAcceptor>, handle: H) -> Result<Self>
    where
        H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::start_at(0, tls, handle).await
    }

    /// The same on this port; 0 for one that is free.
    pub async fn start_at<H, F>(port: u16, tls: Option<TlsAcceptor>, handle: H) -> Result<Self>
    where
        H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.context("listening on loopback")?;
        let address = listener.local_addr()?;
        let handle = Arc::new(handle);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (handle, tls) = (handle.clone(), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let answer = handle(request);
                        async move { Ok::<_, Infallible>(answer.await) }
                    });
                    let http = auto::Builder::new(TokioExecutor::new());
                    // A client that goes away is its own business.
                    let _ended = match tls {
                        None => http.serve_connection_with_upgrades(TokioIo::new(stream), service).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => http.serve_connection_with_upgrades(TokioIo::new(stream), service).await,
                            Err(_) => return,
                        },
                    };
                });
            }
        });
        Ok(Self { address, accepting })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A certificate for loopback that is valid until this day, and the TLS of a server with it and its key.
///
/// # Errors
/// That it cannot be made.
pub fn certified(key: &KeyPair, until: (i32, u8, u8), protocols: &[&[u8]]) -> Result<(String, TlsAcceptor)> {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()])?;
    params.not_after = date_time_ymd(until.0, until.1, until.2);
    let certificate = params.self_signed(key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok((certificate.pem(), TlsAcceptor::from(Arc::new(config))))
}

/// A whole answer.
pub fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
}

/// An answer that comes piece by piece.
pub fn stream(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    use futures::StreamExt as _;
    let body = StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece))));
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
}
