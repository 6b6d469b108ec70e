//! An aggregator whose memory comes near its limit watches less of the cluster, says so, and goes on.

use std::fs;

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use coroner_proto::v1::{GetStatusRequest, SourceHealth, SourceStatus};
use coroner_tests::coroner::{aggregator, listening_address};
use coroner_tests::large_cluster::{LargeCluster, Size};
use coroner_tests::{Daemon, Scratch, until};
use tonic::transport::Channel;

/// Enough that to watch less frees some memory.
const SIZE: Size = Size { nodes: 20, namespaces: 5, services: 1_000, pods: 15 };
const GIB: u64 = 1 << 30;

/// How well each kind is watched.
async fn sources(client: &mut DiagnosisServiceClient<Channel>) -> Result<Vec<SourceStatus>> {
    let status = client.get_status(GetStatusRequest {}).await.context("GetStatus")?.into_inner();
    let watch = status.nodes.into_iter().find(|node| node.node == "_cluster");
    Ok(watch.map(|watch| watch.sources).unwrap_or_default())
}

async fn until_all_is_watched(client: &mut DiagnosisServiceClient<Channel>) -> Result<()> {
    until("all kinds are watched", async || {
        let sources = sources(client).await?;
        Ok((sources.len() > 1 && sources.iter().all(|source| source.health() == SourceHealth::Ok)).then_some(()))
    })
    .await
}

/// Anonymous memory of a process, in bytes.
fn anonymous(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading the aggregator's status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}

#[tokio::test(flavor = "multi_thread")]
async fn near_the_memory_limit_less_is_watched_until_the_limit_is_raised() -> Result<()> {
    let scratch = Scratch::new()?;
    let cgroup = scratch.daemons().child("aggregator");
    cgroup.create()?;
    let cluster = LargeCluster::start(SIZE).await?;
    let path = |name: &str| scratch.directory().join(name);
    cluster.write_kubeconfig(&path("kubeconfig"))?;
    let (ledger, kubeconfig) = (path("ledger.db").display().to_string(), path("kubeconfig").display().to_string());
    let arguments = ["--listen", "127.0.0.1:0", "--ledger", &ledger, "--kubeconfig", &kubeconfig];
    let mut daemon = Daemon::start(&aggregator()?, &arguments.map(str::to_owned), &cgroup, path("aggregator.log"))?;
    let address = until("the aggregator listens", async || {
        daemon.check()?;
        Ok(listening_address(&daemon.output()))
    })
    .await?;
    let mut client = DiagnosisServiceClient::connect(format!("http://{address}")).await?;
    until_all_is_watched(&mut client).await?;

    let used = anonymous(daemon.pid())?;
    cgroup.set_memory_limit(used / 90 * 100)?;
    until("less is watched", async || {
        daemon.check()?;
        let sources = sources(&mut client).await?;
        let is = |name: &str, what: &str| {
            let source = sources.iter().find(|source| source.source == name);
            source.is_some_and(|s| s.health() == SourceHealth::Degraded && s.reason.starts_with(what))
        };
        let pods = is("pods", "only pods without a node are watched: the aggregator used ");
        Ok((pods && is("services", "not watched: the aggregator used ")).then_some(()))
    })
    .await
    .with_context(|| daemon.tail())?;
    ensure!(daemon.output().contains("Memory is near its limit"), "{}", daemon.tail());
    let nodes = |source: &SourceStatus| source.source == "nodes" && source.health() == SourceHealth::Ok;
    until("nodes are still watched", async || Ok(sources(&mut client).await?.iter().any(nodes).then_some(())))
        .await
        .with_context(|| daemon.tail())?;

    cgroup.set_memory_limit(GIB)?;
    until_all_is_watched(&mut client).await.with_context(|| daemon.tail())?;
    daemon.check()
}
