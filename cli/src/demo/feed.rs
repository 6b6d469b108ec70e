//! The demo's subscription to the aggregator's feed.

use coroner_diagnosis::{localized, messages::Language, observation::Source};
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
    exit::Failure,
    messages::{self, demo},
};

/// The sources that see deaths where there is no container runtime.
const SOURCES: [Source; 6] =
    [Source::KernelLog, Source::Cgroups, Source::ContainerLogs, Source::Signals, Source::Procfs, Source::ProcessEvents];
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
    aggregator: AggregatorArgs,
    client: Client,
    arrivals: mpsc::Receiver<Arrival>,
}

impl Feed {
    /// Subscribes to diagnoses of these pods.
    ///
    /// # Errors
    /// The aggregator cannot be reached, or refuses the subscription.
    pub(crate) async fn open(url: &str, pods: [&str; 5]) -> Result<Self, Failure> {
        let aggregator = AggregatorArgs {
            url: url.to_owned(),
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            token_file: None,
            insecure: false,
        };
        let mut client = client::connect(&aggregator).await?;
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
        let stream = client.watch_diagnoses(request).await;
        let mut stream = stream.map_err(|status| client::refused(&aggregator, &status))?.into_inner();
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
        Ok(Self { aggregator, client, arrivals })
    }

    /// The next diagnosis.
    ///
    /// # Errors
    /// The feed has ended.
    pub(crate) async fn next(&mut self) -> Result<Arrival, Failure> {
        self.arrivals.recv().await.ok_or_else(|| Failure::error(demo::failed_feed()))
    }

    /// The sources of this node's agent that matter here, and whether each has reported its health.
    ///
    /// # Errors
    /// The aggregator does not answer.
    pub(crate) async fn sources(&mut self, node: &str) -> Result<(Vec<SourceStatus>, bool), Failure> {
        let answer = self.client.get_status(client::request(GetStatusRequest {})).await;
        let status = answer.map_err(|status| client::refused(&self.aggregator, &status))?.into_inner();
        let agent = status.nodes.into_iter().find(|known| known.node == node).unwrap_or_default();
        let matters = |status: &SourceStatus| SOURCES.iter().any(|source| source.name() == status.source);
        let sources: Vec<SourceStatus> = agent.sources.into_iter().filter(matters).collect();
        let unknown = sources.iter().any(|source| source.health() == SourceHealth::Unspecified);
        let known = sources.len() == SOURCES.len() && !unknown;
        Ok((sources, known))
    }
}

/// The sources that do not see everything, and why.
pub(crate) fn blind(sources: &[SourceStatus], language: Language) -> String {
    let blind = sources.iter().filter(|source| source.health() != SourceHealth::Ok);
    let worded = |source: &SourceStatus| format!("{} ({})", source.source, localized::source_reason(source, language));
    let blind_sources: Vec<String> = blind.map(worded).collect();
    match blind_sources.is_empty() {
        true => messages::text(&demo::demo_no_source(), language),
        false => messages::listed(&blind_sources, language),
    }
}
