//! The demo's subscription to the aggregator's feed.

use anyhow::{Context, Result};
use coroner_proto::v1::{
    Diagnosis, DiagnosisFilter, GetStatusRequest, SourceHealth, SourceStatus, WatchDiagnosesRequest,
    watch_diagnoses_request::Start, watch_diagnoses_response::Frame,
};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::pods::NAMESPACE;
use crate::{
    args::AggregatorArgs,
    client::{self, Client},
};

/// The sources that see deaths where there is no container runtime.
const SOURCES: [&str; 5] = ["kernel_log", "cgroups", "signals", "procfs", "process_events"];
/// The demo has five pods with a few revisions each.
const WAITING: usize = 100;

/// A diagnosis, and when it came out of the feed.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) diagnosis: Diagnosis,
    pub(crate) at: Timestamp,
}

/// An open subscription.
#[derive(Debug)]
pub(crate) struct Feed {
    client: Client,
    arrivals: mpsc::Receiver<Arrival>,
}

impl Feed {
    /// Subscribes to what is said about these pods.
    pub(crate) async fn open(url: &str, pods: [&str; 5]) -> Result<Self> {
        let aggregator =
            AggregatorArgs { url: url.to_owned(), tls_ca: None, tls_cert: None, tls_key: None, insecure: false };
        let mut client = client::connect(&aggregator).await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let filter = DiagnosisFilter {
            namespaces: vec![NAMESPACE.to_owned()],
            names: pods.map(str::to_owned).to_vec(),
            ..DiagnosisFilter::default()
        };
        let request = WatchDiagnosesRequest {
            start: Some(Start::FromOldest(true)),
            include: vec![filter],
            ..WatchDiagnosesRequest::default()
        };
        let mut stream = client.watch_diagnoses(request).await.context("subscribing to the feed")?.into_inner();
        let (sender, arrivals) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            while let Ok(Some(response)) = stream.message().await {
                let at = Timestamp::now();
                let Some(Frame::Batch(batch)) = response.frame else { continue };
                for diagnosis in batch.diagnoses {
                    if sender.send(Arrival { diagnosis, at }).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Self { client, arrivals })
    }

    /// The next diagnosis.
    pub(crate) async fn next(&mut self) -> Result<Arrival> {
        self.arrivals.recv().await.context("the feed has ended")
    }

    /// The agent's sources, once each of those that matter here has told how well it sees.
    pub(crate) async fn known_sources(&mut self, node: &str) -> Result<Option<Vec<SourceStatus>>> {
        let answer = self.client.get_status(client::request(GetStatusRequest {})).await;
        let status = answer.context("asking the aggregator for its nodes")?.into_inner();
        let sources = status.nodes.into_iter().find(|known| known.node == node).map(|known| known.sources);
        Ok(sources.filter(|sources| {
            let known = |name: &&str| {
                let mut sources = sources.iter().filter(|source| source.source == *name);
                sources.any(|source| source.health() != SourceHealth::Unspecified && source.reason != NOT_STARTED)
            };
            SOURCES.iter().all(known)
        }))
    }
}

/// What an agent says of a source that has not told anything yet.
const NOT_STARTED: &str = "not started yet";
