//! Debian's Prometheus scrapes the real agent and aggregator: every metric is documented, and every query of the alerts
//! and of the dashboard finds what it asks for.

use anyhow::Result;
use coroner_tests::machine::target_directory;
use coroner_tests::stand_ins::Cluster;
use serde_json::json;

use crate::aggregator::free_port;
use crate::python::{REPOSITORY, run};

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented_and_every_query_is_answered() -> Result<()> {
    let cluster = Cluster::start().await?;
    cluster.api.apply("nodes", json!({"metadata": {"name": "node-1", "uid": "uid-of-node-1"}}));
    let mut surroundings = cluster.surroundings()?;
    let ports = [free_port()?, free_port()?];
    for (arguments, port) in [&mut surroundings.agent, &mut surroundings.aggregator].into_iter().zip(ports) {
        arguments.extend(["--health-listen".to_owned(), format!("127.0.0.1:{port}")]);
    }
    let export = format!("file://{}/exported.jsonl?name=file", cluster.directory().display());
    surroundings.aggregator.extend(["--export".to_owned(), export]);
    let _coroner = cluster.coroner_in(surroundings).await?;

    let tools = target_directory()?.join("tools/prometheus/usr/bin");
    let scratch = tempfile::tempdir()?;
    let [agent, aggregator] = ports.map(|port| format!("127.0.0.1:{port}"));
    let own = format!("127.0.0.1:{}", free_port()?);
    let (tools, scratch) = (tools.display().to_string(), scratch.path().display().to_string());
    // It waits for Prometheus, which must not keep the servers of this process from answering.
    tokio::task::block_in_place(|| run("prometheus.py", &[REPOSITORY, &tools, &scratch, &own, &agent, &aggregator]))?;
    Ok(())
}
