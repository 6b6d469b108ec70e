//! The kubelet's HTTP endpoints, each under a permission of its own (`pkg/kubelet/server/auth.go`): `/pods`, `/stats/summary`,
//! `/configz` and `/healthz`. `nodes/proxy`, which would let the agent run commands in every pod, is never needed.
//!
//! The kubelet cannot notify, so it is asked now and then; each question has a deadline, and answers are bounded.

use std::{fmt, path::PathBuf, time::Duration};

use ::kube::{Client, client::Body};
use coroner_diagnosis::{
    observation::{
        Fact, Health, kube,
        kubelet::{Answer, Configz, Summary},
    },
    text,
};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::api::core::v1::Pod;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, SeqAccess, Visitor},
};
use thiserror::Error;
use tokio::{
    select,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use super::outlet::Outlet;

/// Whether it is well.
const HEALTH: Duration = Duration::from_secs(5);
/// Usage; the kubelet measures every ten seconds.
const SUMMARY: Duration = Duration::from_secs(15);
/// Its pods: the API server's watch is the main road to them.
const PODS: Duration = Duration::from_secs(30);
/// Its configuration, which changes only with a restart.
const CONFIG: Duration = Duration::from_mins(10);
/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(4);
/// The most that an answer may hold: 500 pods of 30 KiB.
const ANSWER_MAX: usize = 16 << 20;

/// How the kubelet is reached.
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://NODE:10250`; `None` where the node's address is not known.
    pub url: Option<String>,
    /// Its certificate authority, PEM; without one, that of the cluster.
    pub ca: Option<PathBuf>,
    /// Its certificate is not checked.
    pub insecure: bool,
    /// A kubeconfig with the credentials, for agents outside of pods.
    pub kubeconfig: Option<PathBuf>,
}

/// Why a question got no answer that can be used.
#[derive(Debug, Error)]
enum Failure {
    #[error("no answer within {DEADLINE:?}")]
    Timeout,
    #[error("{0}")]
    Client(#[from] ::kube::Error),
    #[error("status {0}")]
    Status(StatusCode),
    #[error("the answer cannot be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer is not what it should be: {0}")]
    Json(#[from] serde_json::Error),
}

/// Starts the source.
pub fn spawn(tracker: &TaskTracker, cancel: CancellationToken, outlet: Outlet, config: Config) {
    tracker.spawn(async move {
        select! {
            () = cancel.cancelled() => {}
            () = run(outlet, config) => {}
        }
    });
}

async fn run(outlet: Outlet, config: Config) {
    match client(&config).await {
        Ok(client) => Kubelet { client, outlet, health: None, answer: None }.watch().await,
        Err(reason) => outlet.health(Health::Absent(reason)).await,
    }
}

async fn client(config: &Config) -> Result<Client, String> {
    let url = config.url.as_ref().ok_or("the node's address is not known: set --kubelet-url or NODE_IP")?;
    let bad = |error: &dyn std::fmt::Display| format!("{url}: {error}");
    let mut reached = coroner_watch::config(config.kubeconfig.as_deref()).await.map_err(|error| bad(&error))?;
    reached.cluster_url = url.parse::<Uri>().map_err(|error| bad(&error))?;
    // The name in its certificate is the node's, not the API server's.
    reached.tls_server_name = None;
    if let Some(ca) = &config.ca {
        let read = tokio::fs::read(ca).await.map_err(|error| format!("{}: {error}", ca.display()))?;
        reached.root_cert = Some(certificates(&read).map_err(|error| format!("{}: {error}", ca.display()))?);
    }
    if config.insecure {
        warn!(url, "The kubelet's certificate is not checked");
        reached.accept_invalid_certs = true;
    }
    Client::try_from(reached).map_err(|error| bad(&error))
}

/// The certificates of a PEM file, as DER.
fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};
    let read =
        CertificateDer::pem_slice_iter(pem).map(|one| one.map(|der| der.to_vec())).collect::<Result<Vec<_>, _>>();
    let read = read.map_err(|error| error.to_string())?;
    if read.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(read) }
}

/// The answer of `/pods`.
#[derive(Deserialize)]
struct PodList {
    #[serde(default)]
    items: Pruned,
}

/// Pods of which nothing else is kept as soon as each has been read: all of them as they come take tens of MiB.
#[derive(Default)]
struct Pruned(Vec<kube::Pod>);

impl<'de> Deserialize<'de> for Pruned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;

        impl<'de> Visitor<'de> for Items {
            type Value = Pruned;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of pods")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Pruned, A::Error> {
                let mut pods = Vec::new();
                while let Some(pod) = items.next_element::<Pod>()? {
                    pods.push((&pod).into());
                }
                Ok(Pruned(pods))
            }

            fn visit_unit<E>(self) -> Result<Pruned, E> {
                Ok(Pruned::default())
            }
        }

        // `null` is Go's empty list.
        deserializer.deserialize_any(Items)
    }
}

struct Kubelet {
    client: Client,
    outlet: Outlet,
    health: Option<Health>,
    answer: Option<Answer>,
}

impl Kubelet {
    async fn watch(mut self) {
        let start = Instant::now();
        let (mut healthz, mut summary, mut pods, mut configz) = (start, start, start, start);
        loop {
            let now = Instant::now();
            if healthz <= now {
                healthz = now + HEALTH;
                let came_back = self.ask_health().await;
                if came_back {
                    configz = now;
                    pods = now;
                }
            }
            // Who does not answer is not asked for more.
            if self.answer == Some(Answer::Ok) {
                if configz <= now {
                    configz = now + CONFIG;
                    let told = self.get::<Configz>("/configz").await;
                    self.tell(told.map(|configz| vec![Fact::KubeletConfig(configz.kubeletconfig)])).await;
                }
                if pods <= now {
                    pods = now + PODS;
                    let told = self.get::<PodList>("/pods").await;
                    let facts =
                        |list: PodList| list.items.0.into_iter().map(|pod| Fact::KubeletPod(Box::new(pod))).collect();
                    self.tell(told.map(facts)).await;
                }
                if summary <= now {
                    summary = now + SUMMARY;
                    let told = self.get::<Summary>("/stats/summary").await;
                    self.tell(told.map(|summary| vec![Fact::KubeletSummary(Box::new(summary))])).await;
                }
            }
            sleep_until(healthz).await;
        }
    }

    /// Whether it answers again after it had not.
    async fn ask_health(&mut self) -> bool {
        let answer = match self.text("/healthz").await {
            Ok(said) if said.trim_ascii() == b"ok" => Answer::Ok,
            Ok(said) => Answer::Unwell(text::clean(&String::from_utf8_lossy(&said), 256)),
            Err(Failure::Timeout) => Answer::Timeout,
            Err(Failure::Client(::kube::Error::HyperError(_) | ::kube::Error::Service(_))) => Answer::Refused,
            Err(failure) => Answer::Unwell(text::clean(&failure.to_string(), 256)),
        };
        if self.answer.as_ref() == Some(&answer) {
            return false;
        }
        let came_back = answer == Answer::Ok;
        let health = match &answer {
            Answer::Ok => Health::Ok,
            Answer::Unwell(reason) => Health::Degraded(format!("/healthz: {reason}")),
            Answer::Refused => Health::Degraded("it refuses connections".to_owned()),
            Answer::Timeout => Health::Degraded(Failure::Timeout.to_string()),
        };
        self.answer = Some(answer.clone());
        let _sent = self.outlet.send(self.outlet.now(Fact::KubeletHealth(answer))).await;
        self.health(health).await;
        came_back
    }

    async fn tell(&mut self, told: Result<Vec<Fact>, Failure>) {
        match told {
            Ok(facts) => {
                for fact in facts {
                    let _sent = self.outlet.send(self.outlet.now(fact)).await;
                }
            }
            Err(failure) => {
                let reason = text::clean(&failure.to_string(), 256);
                self.health(Health::Degraded(reason)).await;
            }
        }
    }

    async fn health(&mut self, health: Health) {
        if self.health.as_ref() != Some(&health) {
            self.health = Some(health.clone());
            self.outlet.health(health).await;
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        Ok(serde_json::from_slice(&self.text(path).await?)?)
    }

    async fn text(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let asked = async {
            let request = Request::get(path).body(Body::empty()).map_err(|error| Failure::Body(error.into()))?;
            let response = self.client.send(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await.map_err(Failure::Body)?;
            if status.is_success() { Ok(body.to_bytes().to_vec()) } else { Err(Failure::Status(status)) }
        };
        timeout(DEADLINE, asked).await.map_err(|_| Failure::Timeout)?
    }
}
