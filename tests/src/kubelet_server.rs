//! A stand-in for the kubelet's HTTPS endpoints: `/healthz`, `/configz`, `/pods` and `/stats/summary`, behind a
//! certificate of its own and a bearer token (`pkg/kubelet/server/server.go`).

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use hyper::{Request, StatusCode};
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::http::{self, Server, answer};

/// An end of a certificate that no test reaches.
pub const VALID: (i32, u8, u8) = (4096, 1, 1);

/// The server.
#[derive(Debug)]
pub struct KubeletServer {
    server: Server,
    script: Arc<Mutex<Script>>,
    certificate: String,
}

/// What it answers, and was asked.
#[derive(Clone, Debug)]
pub struct Script {
    /// The answer of `/healthz`; with `None` nothing is ever answered.
    pub healthz: Option<String>,
    /// Tokens are reviewed; if not, requests that bear one are never answered.
    pub reviews: bool,
    /// The answer of `/configz`.
    pub configz: Value,
    /// The answer of `/pods`.
    pub pods: Value,
    /// The answer of `/stats/summary`, byte by byte.
    pub summary: String,
    /// The paths that were asked for.
    pub asked: Vec<String>,
}

impl KubeletServer {
    /// Starts one that is healthy and has no pods. It accepts the token of [`crate::api_server::ApiServer`]'s
    /// kubeconfig.
    ///
    /// # Errors
    /// What the machine refused.
    pub async fn start() -> Result<Self> {
        let key = KeyPair::generate().context("making the kubelet's key")?;
        Self::start_at(0, &key, VALID).await
    }

    /// The same on this port, with a certificate for this key that expires then.
    ///
    /// # Errors
    /// What the machine refused.
    pub async fn start_at(port: u16, key: &KeyPair, until: (i32, u8, u8)) -> Result<Self> {
        let script = Arc::new(Mutex::new(Script {
            healthz: Some("ok".to_owned()),
            reviews: true,
            configz: json!({"kubeletconfig": {}}),
            pods: json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []}),
            summary: json!({"node": {"nodeName": crate::coroner::NODE_NAME}, "pods": []}).to_string(),
            asked: Vec::new(),
        }));
        let (certificate, tls) = http::certified(key, until, &[])?;
        let of_handler = script.clone();
        let server = Server::start_at(port, Some(tls), move |request| {
            let answered = respond(&of_handler, &request);
            async move {
                match answered {
                    Some((status, body)) => answer(status, body),
                    None => std::future::pending().await,
                }
            }
        });
        Ok(Self { server: server.await?, script, certificate })
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.server.address)
    }

    /// Writes the certificate that it is known by.
    ///
    /// # Errors
    /// What the file system refused.
    pub fn write_ca(&self, path: &Path) -> Result<()> {
        fs::write(path, &self.certificate).with_context(|| format!("writing {path:?}"))
    }

    /// What it answers, to read and to change.
    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` for no answer at all.
fn respond<B>(script: &Mutex<Script>, request: &Request<B>) -> Option<(StatusCode, String)> {
    let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
    let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if script.healthz.is_none() || authorization.is_some() && !script.reviews {
        return None;
    }
    let bearer = format!("Bearer {}", crate::api_server::TOKEN);
    if authorization.is_none_or(|shown| !shown.starts_with(&bearer)) {
        return Some((StatusCode::UNAUTHORIZED, "Unauthorized".to_owned()));
    }
    script.asked.push(request.uri().path().to_owned());
    let health = script.healthz.clone()?;
    Some(match request.uri().path() {
        "/healthz" if health == "ok" => (StatusCode::OK, health),
        "/healthz" => (StatusCode::INTERNAL_SERVER_ERROR, health),
        "/configz" => (StatusCode::OK, script.configz.to_string()),
        "/pods" => (StatusCode::OK, script.pods.to_string()),
        "/stats/summary" => (StatusCode::OK, script.summary.clone()),
        _ => (StatusCode::NOT_FOUND, "404 page not found".to_owned()),
    })
}
