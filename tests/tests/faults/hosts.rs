//! Hosts that fall silent, each a network namespace with a real agent in it, beside a real aggregator and a stand-in
//! for the API server: one that is cut off, one that is restarted, one that only the API server does not reach, and
//! the aggregator itself cut off from all of them.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use coroner_proto::v1::{
    Cause, Confidence, Diagnosis, GetStatusRequest, WatchDiagnosesRequest, watch_diagnoses_request::Start,
    watch_diagnoses_response::Frame,
};
use coroner_tests::{
    Daemon,
    api_server::ApiServer,
    coroner::{agent, aggregator},
    until,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    network::Network,
    stage::{Stage, listens},
};

/// Hosts with an agent.
const HOSTS: u8 = 4;
/// Time between two renewals of a Lease, so that none is missed on a slow machine.
const RENEWAL: Duration = Duration::from_secs(2);
pub(crate) const API: &str = "192.0.2.10:6443";
pub(crate) const AGGREGATOR: &str = "192.0.2.9:7070";

/// A host.
struct Host {
    network: Network,
    agent: Option<Daemon>,
    /// Its kubelet renews its Lease.
    renews: Arc<AtomicBool>,
    /// Its kubelet's port.
    port: JoinHandle<()>,
}

/// All of them.
struct Hosts {
    stage: Stage,
    switch: Network,
    aggregators: Network,
    aggregator: Daemon,
    hosts: BTreeMap<u8, Host>,
    tasks: Vec<JoinHandle<()>>,
}

fn name(n: u8) -> String {
    format!("host-{n}")
}

fn node(n: u8, ready: &str) -> Value {
    json!({
        "metadata": {"name": name(n), "uid": format!("uid-of-{n}")},
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": format!("192.0.2.{n}")}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "conditions": [{"type": "Ready", "status": ready, "reason": "Tests", "message": "by the tests"}],
            "nodeInfo": {"bootID": format!("boot-of-{n}")},
        },
    })
}

fn pod(n: u8) -> Value {
    json!({
        "metadata": {"name": format!("web-{n}"), "namespace": "shop", "uid": format!("uid-of-web-{n}"),
                     "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": name(n), "containers": []},
        "status": {"phase": "Running"},
    })
}

impl Hosts {
    async fn start() -> Result<Self> {
        let stage = Stage::new()?;
        let switch = Network::start(&stage, "switch").await?;
        switch.run("ip link add br0 type bridge")?;
        switch.run("ip address add 192.0.2.10/24 dev br0")?;
        switch.run("ip link set br0 up")?;
        let api = Arc::new(ApiServer::start().await?);
        let mut tasks = vec![tokio::spawn(forward(switch.listener(API)?, kubeconfig(&stage, &api)?))];

        let aggregators = join(&stage, &switch, 9).await?;
        let kubeconfig = stage.path("kubeconfig").display().to_string();
        let ledger = stage.path("ledger.db").display().to_string();
        let command = [&aggregator()?.display().to_string(), "--listen", &stage.url(), "--listen", AGGREGATOR];
        let command = command.into_iter().chain(["--insecure", "--ledger", &ledger, "--kubeconfig", &kubeconfig]);
        let command = command.map(str::to_owned).collect();
        let mut aggregator = stage.start("aggregator", &aggregators.command(command))?;
        listens(&mut aggregator).await?;

        let mut hosts = BTreeMap::new();
        for n in 1..=HOSTS {
            let network = join(&stage, &switch, n).await?;
            let port = tokio::spawn(kubelet(network.listener(&format!("192.0.2.{n}:10250"))?));
            let renews = Arc::new(AtomicBool::new(true));
            api.apply("nodes", node(n, "True"));
            api.apply("pods", pod(n));
            tasks.push(tokio::spawn(renew(Arc::clone(&api), name(n), Arc::clone(&renews))));
            hosts.insert(n, Host { network, agent: None, renews, port });
        }
        let mut all = Self { stage, switch, aggregators, aggregator, hosts, tasks };
        for n in 1..=HOSTS {
            all.start_agent(n, &format!("boot-of-{n}"))?;
        }
        until("all agents report their nodes", async || {
            all.aggregator.check()?;
            let nodes = all.stage.feed()?.get_status(GetStatusRequest {}).await?.into_inner().nodes;
            Ok((nodes.iter().filter(|node| node.report.is_some()).count() == usize::from(HOSTS)).then_some(()))
        })
        .await
        .with_context(|| all.aggregator.tail())?;
        Ok(all)
    }

    /// Starts the agent of a host in this boot of it.
    fn start_agent(&mut self, n: u8, boot_id: &str) -> Result<()> {
        let root = self.stage.path(&format!("root-{n}"));
        let random = root.join("proc/sys/kernel/random");
        fs::create_dir_all(&random)?;
        fs::write(random.join("boot_id"), boot_id)?;
        let (program, name, url) = (agent()?.display().to_string(), name(n), format!("http://{AGGREGATOR}"));
        let (root, outbox) =
            (root.display().to_string(), self.stage.path(&format!("outbox-{n}.db")).display().to_string());
        let (ip, health) = (format!("192.0.2.{n}"), format!("192.0.2.{n}:7071"));
        let kubeconfig = self.stage.path("kubeconfig").display().to_string();
        let command = [
            [program.as_str(), "--insecure"],
            ["--node-name", &name],
            ["--host-root", &root],
            ["--outbox", &outbox],
            ["--aggregator", &url],
            ["--kubeconfig", &kubeconfig],
            ["--kubelet-url", "none"],
            ["--cri-endpoint", "none"],
            ["--containerd-endpoint", "none"],
            ["--pod-ip", &ip],
            ["--health-listen", &health],
        ];
        let command = command.concat().into_iter().map(str::to_owned).collect();
        let host = self.hosts.get_mut(&n).context("no such host")?;
        host.agent = Some(self.stage.start(&format!("agent-{n}"), &host.network.command(command))?);
        Ok(())
    }

    fn host(&self, n: u8) -> Result<&Host> {
        self.hosts.get(&n).context("no such host")
    }

    /// Sets the port of the switch that leads to a host.
    fn link(&self, n: u8, state: &str) -> Result<()> {
        self.switch.run(&format!("ip link set p{n} {state}"))
    }

    /// The last revision of all diagnoses about nodes and the cluster.
    async fn diagnoses(&self) -> Result<Vec<Diagnosis>> {
        let request =
            WatchDiagnosesRequest { start: Some(Start::FromOldest(true)), stop_at_end: true, ..Default::default() };
        let mut frames = self.stage.feed()?.watch_diagnoses(request).await?.into_inner();
        let mut last = BTreeMap::new();
        while let Some(response) = frames.message().await? {
            if let Some(Frame::Batch(batch)) = response.frame {
                last.extend(batch.diagnoses.into_iter().map(|diagnosis| (diagnosis.uid.clone(), diagnosis)));
            }
        }
        Ok(last.into_values().collect())
    }

    /// Waits until a state of this cause about this subject is there, over or not.
    async fn until(&mut self, cause: Cause, subject: &str, is_over: bool) -> Result<Diagnosis> {
        let what = format!("{} of {subject:?}, over: {is_over}", cause.as_str_name());
        let found = until(&what, async || {
            self.aggregator.check()?;
            let mut diagnoses = self.diagnoses().await?.into_iter();
            Ok(diagnoses.find(|diagnosis| {
                let named = diagnosis.subject.as_ref().map_or("", |subject| subject.name.as_str());
                diagnosis.cause() == cause && named == subject && diagnosis.resolve_time.is_some() == is_over
            }))
        })
        .await;
        let found = found.with_context(|| self.aggregator.tail());
        match found {
            Ok(found) => Ok(found),
            Err(error) => {
                let all: Vec<String> = self.diagnoses().await?.iter().map(described).collect();
                Err(error.context(all.join("\n")))
            }
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.tasks.iter().chain(self.hosts.values().map(|host| &host.port)).for_each(JoinHandle::abort);
    }
}

fn described(diagnosis: &Diagnosis) -> String {
    let subject = diagnosis.subject.as_ref().map_or("", |subject| subject.name.as_str());
    format!("{} {subject}: {} {}", diagnosis.cause().as_str_name(), diagnosis.summary, diagnosis.explanation)
}

/// A namespace behind a port of the switch.
async fn join(stage: &Stage, switch: &Network, n: u8) -> Result<Network> {
    let network = Network::start(stage, &format!("network-{n}")).await?;
    switch.run(&format!("ip link add p{n} type veth peer name net0 netns {}", network.pid()))?;
    switch.run(&format!("ip link set p{n} master br0"))?;
    switch.run(&format!("ip link set p{n} up"))?;
    network.run(&format!("ip address add 192.0.2.{n}/24 dev net0"))?;
    network.run("ip link set net0 up")?;
    network.run("ip link set lo up")?;
    Ok(network)
}

/// Writes how the API server is reached from the hosts; gives how it is reached from here.
pub(crate) fn kubeconfig(stage: &Stage, api: &ApiServer) -> Result<String> {
    let path = stage.path("kubeconfig");
    api.write_kubeconfig(&path)?;
    let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
    let server = config["clusters"][0]["cluster"]["server"].take();
    config["clusters"][0]["cluster"]["server"] = format!("http://{API}").into();
    fs::write(&path, config.to_string())?;
    Ok(server.as_str().and_then(|url| url.strip_prefix("http://")).context("no address")?.to_owned())
}

/// Passes each connection on to this address.
pub(crate) async fn forward(listener: TcpListener, to: String) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let to = to.clone();
        tokio::spawn(async move {
            if let Ok(mut server) = TcpStream::connect(&to).await {
                let _ended = copy_bidirectional(&mut stream, &mut server).await;
            }
        });
    }
}

/// Answers as a kubelet does that is asked without TLS.
async fn kubelet(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let _ended = stream.read(&mut [0; 256]).await;
            let _ended = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").await;
        });
    }
}

/// Renews the Lease of a host while its kubelet does.
pub(crate) async fn renew(api: Arc<ApiServer>, name: String, renews: Arc<AtomicBool>) {
    loop {
        if renews.load(Ordering::Relaxed) {
            let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
            let metadata = json!({"name": name, "namespace": "kube-node-lease", "uid": format!("lease-of-{name}")});
            let spec = json!({"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now});
            api.apply("leases", json!({"metadata": metadata, "spec": spec}));
        }
        tokio::time::sleep(RENEWAL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_cut_off_or_restarted_is_named_and_no_other() -> Result<()> {
    let mut hosts = Hosts::start().await?;

    // Cut off: it lives on.
    hosts.host(4)?.renews.store(false, Ordering::Relaxed);
    hosts.link(4, "down")?;
    let cut = Instant::now();
    let found = hosts.until(Cause::NodeUnreachable, &name(4), false).await?;
    println!("cut off: NODE_UNREACHABLE after {:.1} s", cut.elapsed().as_secs_f64());
    ensure!(found.confidence() == Confidence::Certain, "two sources: {found:?}");
    let probes = found.evidence.iter().filter(|evidence| evidence.source == "probes").count();
    ensure!(probes >= 2, "{:?}", found.evidence);
    ensure!(found.related.iter().any(|pod| pod.pod == "web-4"), "{:?}", found.related);
    hosts.link(4, "up")?;
    hosts.host(4)?.renews.store(true, Ordering::Relaxed);
    let over = hosts.until(Cause::NodeUnreachable, &name(4), true).await?;
    ensure!(over.explanation.contains("same boot ID"), "{}", over.explanation);

    // Restarted without notice: agent and network are gone at once, and another boot returns.
    hosts.host(3)?.renews.store(false, Ordering::Relaxed);
    hosts.link(3, "down")?;
    let halted = Instant::now();
    hosts.hosts.get_mut(&3).and_then(|host| host.agent.take()).context("no agent")?.kill()?;
    let found = hosts.until(Cause::NodeUnreachable, &name(3), false).await?;
    println!("halted: NODE_UNREACHABLE after {:.1} s", halted.elapsed().as_secs_f64());
    ensure!(found.confidence() == Confidence::Certain, "{found:?}");
    hosts.link(3, "up")?;
    hosts.start_agent(3, "another-boot")?;
    hosts.host(3)?.renews.store(true, Ordering::Relaxed);
    let rebooted = hosts.until(Cause::NodeRebooted, &name(3), false).await?;
    ensure!(rebooted.summary.contains("without a shutdown"), "{}", rebooted.summary);
    let over = hosts.until(Cause::NodeUnreachable, &name(3), true).await?;
    ensure!(over.explanation.contains("another boot ID"), "{}", over.explanation);

    // Cut off from the API server alone: what one sends to the other goes to an address that no host has.
    let nowhere = "lladdr 02:00:00:00:00:01 nud permanent";
    hosts.host(2)?.renews.store(false, Ordering::Relaxed);
    hosts.host(2)?.network.run(&format!("ip neighbour replace 192.0.2.10 dev net0 {nowhere}"))?;
    hosts.switch.run(&format!("ip neighbour replace 192.0.2.2 dev br0 {nowhere}"))?;
    let cut = Instant::now();
    let found = hosts.until(Cause::ApiServerUnreachable, &name(2), false).await?;
    println!("cut off from the API server: API_SERVER_UNREACHABLE after {:.1} s", cut.elapsed().as_secs_f64());
    ensure!(found.evidence.iter().any(|evidence| evidence.text.contains("tcp")), "{:?}", found.evidence);
    hosts.host(2)?.network.run("ip neighbour delete 192.0.2.10 dev net0")?;
    hosts.switch.run("ip neighbour delete 192.0.2.2 dev br0")?;
    hosts.host(2)?.renews.store(true, Ordering::Relaxed);
    hosts.until(Cause::ApiServerUnreachable, &name(2), true).await?;

    let unreachable = hosts.diagnoses().await?;
    let unreachable: Vec<_> =
        unreachable.iter().filter(|of| of.cause() == Cause::NodeUnreachable).map(described).collect();
    ensure!(unreachable.len() == 2, "{unreachable:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregator_that_is_cut_off_accuses_no_host() -> Result<()> {
    let mut hosts = Hosts::start().await?;
    hosts.aggregators.run("ip link set net0 down")?;
    let found = hosts.until(Cause::ControlPlaneUnreachable, "", false).await?;
    ensure!(!found.fatal, "{found:?}");
    hosts.aggregators.run("ip link set net0 up")?;
    hosts.until(Cause::ControlPlaneUnreachable, "", true).await?;
    let diagnoses = hosts.diagnoses().await?;
    // All hosts have the kernel log of this machine, in which another test may have made a fault.
    let expected = [Cause::ControlPlaneUnreachable, Cause::KernelFault];
    let others: Vec<_> = diagnoses.iter().filter(|of| !expected.contains(&of.cause())).map(described).collect();
    ensure!(others.is_empty(), "{others:?}");
    Ok(())
}
