//! What the watch of a large cluster costs, beside a stand-in for its API server.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::{GetStatusRequest, SourceHealth};
use coroner_tests::large_cluster::{LargeCluster, Size};

use crate::aggregator::Aggregator;
use crate::{process, table};

/// As large as Kubernetes supports.
const LARGEST: Size = Size { nodes: 5_000, namespaces: 500, services: 10_000, pods: 15 };
/// Namespaces of each run.
const NAMESPACES: [u64; 2] = [500, 10];
/// Kinds that are watched.
const SOURCES: usize = 12;
const MINUTE: Duration = Duration::from_secs(60);

pub(crate) async fn measure() -> Result<String> {
    let empty = Size { nodes: 0, namespaces: 1, services: 0, pods: 0 };
    let base = Watched::start(empty).await?.memory()?.0;
    let mut rows = vec![("aggregator's memory beside an empty cluster".to_owned(), table::mebibytes(base))];
    let mut bytes = 0;
    for namespaces in NAMESPACES {
        let size = Size { namespaces, ..LARGEST };
        let watched = Watched::start(size).await?;
        bytes = watched.cluster.pod_bytes();
        let name = |what: &str| format!("{namespaces} namespaces: {what}");
        let (resident, most) = watched.memory()?;
        let each = resident.saturating_sub(base) as f64 / (size.services * size.pods) as f64;
        rows.push((name("all listed after, and processor time till then"), watched.listing()));
        rows.push((name("memory when all is listed, most ever"), both(resident, most)));
        rows.push((name("of each pod, with all that belongs to it"), format!("{each:.0} bytes")));
        let (events, share) = watched.minute().await?;
        rows.push((name("pod events a second, over a minute"), format!("{:.0}", events as f64 / MINUTE.as_secs_f64())));
        rows.push((name("processor time meanwhile"), format!("{:.1} % of a core", share * 100.0)));
        let (resident, most) = watched.memory()?;
        rows.push((name("memory after it, most ever"), both(resident, most)));
    }
    let Size { nodes, services, pods, .. } = LARGEST;
    let title =
        format!("a cluster of {nodes} nodes, {} pods ({bytes} bytes each), {services} Services", services * pods);
    let rows: Vec<(&str, String)> = rows.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    Ok(table::values(&title, &rows))
}

fn both(resident: u64, most: u64) -> String {
    format!("{}, {}", table::mebibytes(resident), table::mebibytes(most))
}

/// An aggregator that watches a cluster.
struct Watched {
    aggregator: Aggregator,
    cluster: LargeCluster,
    listed_after: Duration,
    processor: Duration,
    _directory: tempfile::TempDir,
}

impl Watched {
    /// Returns when all is listed.
    async fn start(size: Size) -> Result<Self> {
        let cluster = LargeCluster::start(size).await?;
        let directory = tempfile::tempdir().context("making a directory for the kubeconfig")?;
        let kubeconfig = directory.path().join("kubeconfig");
        cluster.write_kubeconfig(&kubeconfig)?;
        let started = Instant::now();
        let aggregator = Aggregator::start_with(&["--kubeconfig", &kubeconfig.display().to_string()]).await?;
        let mut client = aggregator.feed().await?;
        coroner_tests::until("all is listed", async || {
            let status = client.get_status(GetStatusRequest {}).await.context("GetStatus")?.into_inner();
            let sources = status.nodes.iter().filter(|node| node.node == "_cluster").flat_map(|node| &node.sources);
            let listed = sources.filter(|source| source.health() == SourceHealth::Ok && source.source != "namespaces");
            Ok((listed.count() == SOURCES).then_some(()))
        })
        .await?;
        let listed_after = started.elapsed();
        let processor = process::cpu(aggregator.pid())?;
        Ok(Self { aggregator, cluster, listed_after, processor, _directory: directory })
    }

    fn listing(&self) -> String {
        format!("{:.1} s, {:.1} s", self.listed_after.as_secs_f64(), self.processor.as_secs_f64())
    }

    /// In bytes: resident, and the most ever.
    fn memory(&self) -> Result<(u64, u64)> {
        process::memory(self.aggregator.pid())
    }

    /// While pods are replaced: events, and the share of a core.
    async fn minute(&self) -> Result<(u64, f64)> {
        // What was listed last is still to be examined.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let before = (self.cluster.events(), process::cpu(self.aggregator.pid())?);
        self.cluster.set_busy(true);
        tokio::time::sleep(MINUTE).await;
        self.cluster.set_busy(false);
        let after = (self.cluster.events(), process::cpu(self.aggregator.pid())?);
        let events = after.0 - before.0;
        ensure!(events > 0, "no pod was replaced");
        Ok((events, (after.1 - before.1).as_secs_f64() / MINUTE.as_secs_f64()))
    }
}
