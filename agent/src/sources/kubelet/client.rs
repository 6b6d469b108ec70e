//! The way to the kubelet's HTTPS endpoints: authentication, deadlines and bounds.

use std::{error::Error, fmt::Display, io, path::PathBuf, pin::pin, time::Duration};

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{Reason, node::Answer},
    text,
};
use coroner_runtime::error::chain;
use http::{Request, StatusCode, Uri, header::CONNECTION, request};
use http_body_util::{BodyExt as _, Limited};
use jiff::Timestamp;
use kube::{client::Body, config::AuthInfo};
use rustls_pki_types::{
    CertificateDer, UnixTime,
    pem::{self, PemObject as _},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use tokio_rustls::rustls::{self, CertificateError};
use tracing::warn;

/// How long an answer may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(4);
/// How long that of /healthz may take.
pub(in crate::sources) const HEALTH_DEADLINE: Duration = Duration::from_secs(3);
/// What it has not answered for so long, it is also asked without credentials.
const SLOW: Duration = Duration::from_secs(1);
/// The most that an answer may hold: 500 pods of 30 KiB.
const ANSWER_MAX: usize = 16 << 20;
/// Bytes of a reason that are kept.
const REASON_MAX: usize = 256;

/// How the kubelet is reached.
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://NODE:10250`; `None` where the node's address is not known.
    pub url: Option<String>,
    /// Its certificate authority, PEM; without one, that of the cluster.
    pub ca: Option<PathBuf>,
    /// Whether its certificate is accepted without verification.
    pub insecure: bool,
    /// A kubeconfig with the credentials, for agents outside of pods.
    pub kubeconfig: Option<PathBuf>,
}

/// Why a question got no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no answer within {DEADLINE:?}")]
    Timeout,
    #[error("{0}")]
    Client(#[from] kube::Error),
    #[error("status {0}")]
    Status(StatusCode, String),
    #[error("the answer cannot be read: {0}")]
    Body(Box<dyn Error + Send + Sync>),
    #[error("the answer is not what it should be: {0}")]
    Json(#[from] serde_json::Error),
}

impl Failure {
    /// The failure with its causes, for people in each language.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Timeout => health::health_silent(DEADLINE).into(),
            Self::Client(error) => Reason::quote(text::clean(&chain(error), REASON_MAX)),
            // The checks that failed are in the body.
            Self::Status(status, body) if status.is_server_error() && !body.is_empty() => {
                health::health_status_body(status.to_string(), body).into()
            }
            Self::Status(status, _) => health::health_status(status.to_string()).into(),
            Self::Body(error) => health::health_answer_unreadable(error.to_string()).into(),
            Self::Json(error) => health::health_answer_unexpected(error.to_string()).into(),
        }
    }

    /// The failure of this endpoint, for people in each language.
    pub(super) fn at(&self, path: &str) -> Message {
        match self {
            Self::Timeout => health::health_endpoint_silent(path, DEADLINE),
            Self::Client(error) => health::health_endpoint_failed(path, chain(error)),
            Self::Status(status, _) => health::health_endpoint_status(path, status.to_string()),
            Self::Body(error) => health::health_endpoint_unreadable(path, error.to_string()),
            Self::Json(error) => health::health_endpoint_unexpected(path, error.to_string()),
        }
    }

    /// What is wrong with the kubelet's certificate, if that is what failed.
    pub(super) fn certificate_error(&self) -> Option<String> {
        let mut next: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = next {
            // An io::Error shows the cause of what it wraps as its own, and not what it wraps.
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            let wrapped = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
            if let Some(rustls::Error::InvalidCertificate(why)) = wrapped.or_else(|| error.downcast_ref()) {
                return Some(described(why));
            }
            next = inner.map_or_else(|| error.source(), |inner| Some(inner));
        }
        None
    }
}

/// What is wrong with a certificate. For how long it has been, which rustls states, would be another text each second.
fn described(why: &CertificateError) -> String {
    let time = |at: &UnixTime| {
        let at = i64::try_from(at.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        at.unwrap_or(Timestamp::MAX)
    };
    match why {
        CertificateError::ExpiredContext { not_after, .. } => format!("certificate expired at {}", time(not_after)),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("certificate not valid before {}", time(not_before))
        }
        _ => why.to_string(),
    }
}

/// A client of the kubelet's HTTPS port.
pub(in crate::sources) struct Client {
    known: kube::Client,
    /// The same without credentials.
    nameless: kube::Client,
}

impl Client {
    /// A client by this configuration. Its files are read now, and no connection is made.
    pub(in crate::sources) async fn new(url: &str, config: &Config) -> Result<Self, Message> {
        let bad = |error: &dyn Display| health::health_kubelet_no_client(url, error.to_string());
        let mut reached =
            coroner_watch::config(config.kubeconfig.as_deref()).await.map_err(|error| bad(&chain(&error)))?;
        reached.cluster_url = url.parse::<Uri>().map_err(|error| bad(&error))?;
        // The name in its certificate is the node's, not the API server's.
        reached.tls_server_name = None;
        if let Some(ca) = &config.ca {
            let path = ca.display().to_string();
            let unreadable = |error: String| health::health_unreadable(&path, error);
            let read = tokio::fs::read(ca).await.map_err(|error| unreadable(error.to_string()))?;
            let certificates = certificates(&read).map_err(|error| unreadable(error.to_string()))?;
            if certificates.is_empty() {
                return Err(health::health_kubelet_no_certificate(&path));
            }
            reached.root_cert = Some(certificates);
        }
        if config.insecure {
            warn!(url, "The kubelet's certificate is not checked");
            reached.accept_invalid_certs = true;
        }
        let mut nameless = reached.clone();
        nameless.auth_info = AuthInfo::default();
        let client = |config| kube::Client::try_from(config).map_err(|error| bad(&chain(&error)));
        Ok(Self { known: client(reached)?, nameless: client(nameless)? })
    }

    /// What /healthz comes to.
    ///
    /// # Errors
    /// What is wrong with the certificate of who answered: then it is not known who that is.
    pub(in crate::sources) async fn health(&self) -> Result<Answer, String> {
        let mut asked = pin!(self.answer(HEALTH_DEADLINE, Request::get("/healthz")));
        let (answer, answers) = match timeout(SLOW, &mut asked).await {
            Ok(answer) => (answer, false),
            Err(_) => tokio::join!(asked, self.answers()),
        };
        match answer {
            // It has the API server review the token, and waits for that.
            Err(Failure::Timeout) if answers => {
                Ok(Answer::Unwell(health::health_kubelet_token_slow(HEALTH_DEADLINE).into()))
            }
            Ok(body) if body.trim_ascii() == b"ok" => Ok(Answer::Ok),
            Ok(body) => Ok(Answer::Unwell(Reason::quote(text::clean(&String::from_utf8_lossy(&body), REASON_MAX)))),
            Err(Failure::Timeout) => Ok(Answer::Timeout),
            Err(failure) => match failure.certificate_error() {
                Some(why) => Err(why),
                None if matches!(failure, Failure::Client(kube::Error::HyperError(_) | kube::Error::Service(_))) => {
                    Ok(Answer::Refused(failure.reason()))
                }
                None if matches!(failure, Failure::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _)) => {
                    Ok(Answer::Denied(failure.reason()))
                }
                None => Ok(Answer::Unwell(failure.reason())),
            },
        }
    }

    /// Whether it answers anything to who shows no credentials, as 401: that it does without the API server.
    async fn answers(&self) -> bool {
        let Ok(request) = Request::get("/healthz").body(Body::empty()) else { return false };
        matches!(timeout(HEALTH_DEADLINE - SLOW, self.nameless.send(request)).await, Ok(Ok(_)))
    }

    /// The answer at this path, decoded from JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        Ok(serde_json::from_slice(&self.bytes(path).await?)?)
    }

    /// The answer at this path, as bytes. Its connection is closed after it: one that is kept keeps as much memory as
    /// the answer took to read.
    pub(super) async fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.answer(DEADLINE, Request::get(path).header(CONNECTION, "close")).await
    }

    async fn answer(&self, deadline: Duration, request: request::Builder) -> Result<Vec<u8>, Failure> {
        let asked = async {
            let request = request.body(Body::empty()).map_err(|error| Failure::Body(error.into()))?;
            let response = self.known.send(request).await?;
            let status = response.status();
            // Frame by frame, so that a long answer is in memory once.
            let mut body = Limited::new(response.into_body(), ANSWER_MAX);
            let mut bytes = Vec::new();
            while let Some(frame) = body.frame().await {
                bytes.extend(frame.map_err(Failure::Body)?.into_data().unwrap_or_default());
            }
            if status.is_success() {
                return Ok(bytes);
            }
            Err(Failure::Status(status, text::clean(String::from_utf8_lossy(&bytes).trim(), REASON_MAX)))
        };
        timeout(deadline, asked).await.map_err(|_| Failure::Timeout)?
    }
}

/// The certificates of a PEM file, as DER.
fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, pem::Error> {
    CertificateDer::pem_slice_iter(pem).map(|one| one.map(|der| der.to_vec())).collect()
}
