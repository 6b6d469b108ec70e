//! What an aggregator does within its memory limit: a thousand browsers are live at that of the manifests; near it,
//! less of the cluster is watched, which is reported.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use coroner_proto::v1::outbox_record::Record;
use coroner_proto::v1::{
    Diagnosis, GetStatusRequest, OutboxRecord, PushDiagnosesRequest, Severity, SourceHealth, SourceStatus,
};
use coroner_tests::api_server::ApiServer;
use coroner_tests::coroner::{aggregator, listening_address};
use coroner_tests::flow;
use coroner_tests::large_cluster::{LargeCluster, Size};
use coroner_tests::secured::Secured;
use coroner_tests::{Daemon, MIB, Scratch, until};
use futures::{StreamExt, TryStreamExt, stream};
use h2::RecvStream;
use h2::client::SendRequest;
use prost::bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::timeout;
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

/// The limit of deploy/base/aggregator.yaml.
const LIMIT: u64 = 512 * MIB;
const USERS: usize = 125;
const BROWSERS: usize = 1_000;
const DEATHS: u64 = 20;
/// What a browser may cost: a connection and a stream, as the aggregator's budget has them, and a tenth for the
/// allocator.
const OF_A_BROWSER: u64 = ((29 + 44) << 10) * 11 / 10;

/// A browser's connection, and its stream of events.
struct Browser {
    /// The connection ends with it.
    _requests: SendRequest<Bytes>,
    events: RecvStream,
}

impl Browser {
    /// Opens the overview, and its stream.
    async fn open(secured: &Secured, page: SocketAddr, token: &str) -> Result<Self> {
        let stream = secured.handshake_on(TcpStream::connect(page).await?, None).await?;
        let (requests, connection) = h2::client::handshake(stream).await?;
        // It ends with the last request.
        tokio::spawn(async move { drop(connection.await) });
        let mut requests = requests.ready().await?;
        let (overview, _) = requests.send_request(request("/", token)?, true)?;
        let overview = overview.await?;
        ensure!(overview.status() == 200, "{}", overview.status());
        drop(text(overview.into_body()).await?);
        let mut requests = requests.ready().await?;
        let (events, _) = requests.send_request(request("/events?since=1h", token)?, true)?;
        let events = events.await?;
        ensure!(events.status() == 200, "{}", events.status());
        Ok(Self { _requests: requests, events: events.into_body() })
    }

    /// Waits until all of these have come.
    async fn receive(&mut self, uids: &BTreeSet<String>) -> Result<()> {
        let mut seen = String::new();
        while !uids.iter().all(|uid| seen.contains(uid)) {
            let data = self.events.data().await.context("the stream has ended")??;
            self.events.flow_control().release_capacity(data.len())?;
            seen.push_str(&String::from_utf8_lossy(&data));
        }
        Ok(())
    }
}

fn request(path: &str, token: &str) -> Result<http::Request<()>> {
    let request = http::Request::get(format!("https://localhost{path}"));
    Ok(request.header("authorization", format!("Bearer {token}")).body(())?)
}

async fn text(mut body: RecvStream) -> Result<String> {
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        text.extend(data);
    }
    Ok(String::from_utf8(text)?)
}

/// A death of now, which the page of the last hour shows.
fn death(n: u64) -> Diagnosis {
    let now = Some(SystemTime::now().into());
    Diagnosis { severity: Severity::Error.into(), event_time: now, ..flow::diagnosis(1, n) }
}

#[ignore = "a thousand TLS handshakes take minutes beside other tests: make soak"]
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_browsers_are_live_at_the_limit_of_the_manifests() -> Result<()> {
    let api = ApiServer::start().await?;
    for n in 0..USERS {
        api.issue(&format!("token-{n}"), &format!("user-{n}"), "coroner", None);
        api.allow(&format!("user-{n}"), "pods", "shop");
    }
    let mut secured = Secured::start_within(Some(LIMIT), Some(&api), &["--http-listen", "127.0.0.1:0"]).await?;
    let log = secured.log();
    let page = log.split("serving the page on ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let page: SocketAddr = page.context("no page")?.parse().context("an address")?;
    let before = secured.anonymous_memory()?;
    let opened = (0..BROWSERS).map(async |n| Browser::open(&secured, page, &format!("token-{}", n % USERS)).await);
    let mut browsers: Vec<Browser> = stream::iter(opened).buffer_unordered(8).try_collect().await?;

    let node = secured.authority.client("spiffe://coroner/node/node-1")?;
    let records = (1..=DEATHS).map(|n| OutboxRecord { sequence: n, record: Some(Record::Diagnosis(death(n))) });
    let push = PushDiagnosesRequest {
        node: flow::name(1),
        stream_id: "o".into(),
        records: records.collect(),
        ..Default::default()
    };
    let answer = secured.ingest(Some(&node))?.push_diagnoses(push).await?.into_inner();
    ensure!(answer.rejected.is_empty(), "{answer:?}");
    let uids: BTreeSet<String> = (1..=DEATHS).map(|n| death(n).uid).collect();
    for browser in &mut browsers {
        timeout(Duration::from_secs(120), browser.receive(&uids)).await.context("not all have come")??;
    }
    let of_each = secured.anonymous_memory()?.saturating_sub(before) / BROWSERS as u64;
    println!("{BROWSERS} browsers: {} KiB each, {} MiB in all", of_each >> 10, secured.most_memory()? / MIB);
    ensure!(of_each <= OF_A_BROWSER, "a browser costs {of_each} bytes");
    secured.check()
}
