//! The real agent and aggregator beside a [`Node`], and a subscriber to the aggregator's feed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use coroner_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use coroner_proto::v1::watch_diagnoses_request::Start;
use coroner_proto::v1::watch_diagnoses_response::Frame;
use coroner_proto::v1::{
    Confidence, Diagnosis, Gap, GetStatusRequest, NodeStatus, SourceHealth, WatchDiagnosesRequest,
    WatchDiagnosesResponse,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::cgroup::Cgroup;
use crate::daemon::Daemon;
use crate::node::Node;
use crate::stand_ins::Cluster;
use crate::verdict::{Verdict, describe};

/// The node's name in the tests' agents.
pub const NODE_NAME: &str = "node-1";

/// Sources that every machine of the tests has; without them the verdicts that the tests expect cannot be reached.
const SOURCES: [&str; 4] = ["kernel_log", "cgroups", "cri", "containerd"];

/// A client of the aggregator.
pub type Client = DiagnosisServiceClient<Channel>;

/// What a subscriber has received, in the order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Every revision of every diagnosis.
    pub diagnoses: Vec<Diagnosis>,
    /// Every gap.
    pub gaps: Vec<Gap>,
    /// Whether the stream has reached the present.
    live: bool,
}

impl Received {
    /// The last revision of each diagnosis.
    pub fn last_revisions(&self) -> Vec<&Diagnosis> {
        let mut last: BTreeMap<&str, &Diagnosis> = BTreeMap::new();
        for diagnosis in &self.diagnoses {
            let entry = last.entry(&diagnosis.uid).or_insert(diagnosis);
            if diagnosis.revision > entry.revision {
                *entry = diagnosis;
            }
        }
        last.into_values().collect()
    }

    fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Batch(batch) => self.diagnoses.extend(batch.diagnoses),
            Frame::Gap(gap) => self.gaps.push(gap),
            Frame::Bookmark(bookmark) => self.live |= bookmark.live,
        }
    }
}

/// A running agent, its aggregator, and a subscriber.
#[derive(Debug)]
pub struct Coroner {
    agent: Daemon,
    aggregator: Daemon,
    client: Client,
    received: watch::Receiver<Received>,
    subscriber: JoinHandle<()>,
    uid_prefix: String,
    /// How the agent was started.
    of_agent: AgentStart,
}

/// How an agent is started.
#[derive(Debug)]
struct AgentStart {
    arguments: Vec<String>,
    cgroup: Cgroup,
    log: PathBuf,
}

impl AgentStart {
    fn start(&self) -> Result<Daemon> {
        Daemon::start(&agent()?, &self.arguments, &self.cgroup, self.log.clone())
    }
}

/// Where agent and aggregator run, and how they are configured.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The agent's arguments beside those that it always has.
    pub agent: Vec<String>,
    /// The same for the aggregator.
    pub aggregator: Vec<String>,
    /// The agent's sources that must see before anything begins.
    pub sources: Vec<&'static str>,
    /// What the uids of the test's own pods begin with.
    pub uid_prefix: String,
}

impl Surroundings {
    /// A node without Kubernetes.
    pub fn of_node(node: &Node) -> Self {
        let cri = format!("unix://{}", node.socket().display());
        let container_logs = node.kubelet().container_logs().display().to_string();
        Self {
            agent: ["--cri-endpoint", &cri, "--container-logs", &container_logs].map(str::to_owned).into(),
            aggregator: Vec::new(),
            sources: SOURCES.into(),
            uid_prefix: node.kubelet().uid_prefix().to_owned(),
        }
    }
}

impl Coroner {
    /// Starts them beside a node and waits until the agent's sources see it.
    ///
    /// # Errors
    /// What did not start, with its log.
    pub async fn start(node: &Node) -> Result<Self> {
        Self::start_in(node.directory(), &node.daemons(), Surroundings::of_node(node)).await
    }

    /// The same beside a node and the stand-ins for its cluster's API server and its kubelet.
    ///
    /// # Errors
    /// What did not start, with its log.
    pub async fn start_with(node: &Node, cluster: &Cluster) -> Result<Self> {
        let mut surroundings = Surroundings::of_node(node);
        let Surroundings { agent, aggregator, .. } = cluster.surroundings()?;
        surroundings.agent.extend(agent);
        surroundings.aggregator.extend(aggregator);
        surroundings.sources.extend(["pods", "kubelet"]);
        Self::start_in(node.directory(), &node.daemons(), surroundings).await
    }

    /// Starts them in this directory and cgroup.
    pub(crate) async fn start_in(directory: PathBuf, daemons: &Cgroup, surroundings: Surroundings) -> Result<Self> {
        let path = |name: &str| directory.join(name).display().to_string();
        let mut arguments = surroundings.aggregator;
        arguments.extend(["--listen", "127.0.0.1:0", "--ledger", &path("ledger.db")].map(str::to_owned));
        let mut aggregator = Daemon::start(&aggregator()?, &arguments, daemons, directory.join("aggregator.log"))?;
        let address = crate::until("the aggregator listens", async || {
            aggregator.check()?;
            Ok(listening_address(&aggregator.output()))
        })
        .await?;
        let url = format!("http://{address}");
        let endpoint =
            Channel::from_shared(url.clone()).with_context(|| format!("the aggregator listens on {address:?}"))?;
        let client = DiagnosisServiceClient::new(endpoint.connect().await.context("connecting to the aggregator")?);
        let (received, subscriber) = subscribe(client.clone()).await?;

        let mut arguments = surroundings.agent;
        let outbox = path("outbox.db");
        let always = [["--node-name", NODE_NAME], ["--aggregator", &url], ["--outbox", &outbox]];
        arguments.extend(always.concat().into_iter().map(str::to_owned));
        let of_agent = AgentStart { arguments, cgroup: daemons.clone(), log: directory.join("agent.log") };
        let (agent, uid_prefix) = (of_agent.start()?, surroundings.uid_prefix);
        let mut coroner = Self { agent, aggregator, client, received, subscriber, uid_prefix, of_agent };
        coroner.wait_until_it_sees(&surroundings.sources).await?;
        Ok(coroner)
    }

    async fn wait_until_it_sees(&mut self, wanted: &[&str]) -> Result<()> {
        let mut last = vec![];
        let seeing = crate::until("the agent's sources see the node", async || {
            self.agent.check()?;
            last = self.nodes().await?;
            let sources = last.iter().flat_map(|node| &node.sources);
            let healthy =
                sources.filter(|source| source.health() == SourceHealth::Ok).map(|source| source.source.as_str());
            let healthy: Vec<&str> = healthy.collect();
            Ok(wanted.iter().all(|source| healthy.contains(source)).then_some(()))
        });
        seeing.await.with_context(|| format!("reported sources: {last:#?}\n{}", self.agent.tail()))
    }

    /// What the aggregator knows of its nodes' agents.
    ///
    /// # Errors
    /// What the aggregator refused.
    pub async fn nodes(&self) -> Result<Vec<NodeStatus>> {
        Ok(self.client.clone().get_status(GetStatusRequest {}).await.context("GetStatus")?.into_inner().nodes)
    }

    /// A client of the aggregator.
    pub fn clone_client(&self) -> Client {
        self.client.clone()
    }

    /// The agent's pid.
    pub fn agent_pid(&self) -> u32 {
        self.agent.pid()
    }

    /// Kills the agent and starts another over what it left.
    ///
    /// # Errors
    /// That it had ended before, or does not start.
    pub fn restart_agent(&mut self) -> Result<()> {
        self.agent.kill()?;
        self.agent = self.of_agent.start()?;
        Ok(())
    }

    /// The aggregator's pid.
    pub fn aggregator_pid(&self) -> u32 {
        self.aggregator.pid()
    }

    /// Waits until what was received answers `question`.
    ///
    /// # Errors
    /// That it does not, with everything that was received and the logs.
    pub async fn wait_for<T>(&self, what: &str, question: impl Fn(&Received) -> Option<T>) -> Result<T> {
        let mut received = self.received.clone();
        let waiting = async {
            loop {
                let answer = question(&received.borrow_and_update());
                match answer {
                    Some(answer) => return anyhow::Ok(answer),
                    None => received.changed().await.context("the feed has ended")?,
                }
            }
        };
        match tokio::time::timeout(crate::PATIENCE, waiting).await {
            Ok(answer) => answer.with_context(|| format!("waiting for {what}\n{}", self.report())),
            Err(_) => bail!("{what}: not within {:?}\n{}", crate::PATIENCE, self.report()),
        }
    }

    /// Waits until each expected verdict stands.
    ///
    /// # Errors
    /// That it does not, with what is not as expected, everything that was received, and the logs.
    pub async fn wait_for_verdicts(&self, expected: &[Verdict]) -> Result<()> {
        let names: Vec<String> = expected.iter().map(Verdict::describe).collect();
        let what = format!("verdicts [{}]", names.join("; "));
        let standing = self.wait_for(&what, |received| stands(expected, received).ok().map(drop)).await;
        standing.with_context(|| stands(expected, &self.received.borrow()).err().unwrap_or_default())
    }

    /// Waits until each expected verdict stands, stops the agent, and checks that it reported nothing else about the
    /// node's pods and never withdrew a certain verdict. Gives the diagnoses in the order of the verdicts.
    ///
    /// # Errors
    /// What is not as expected, with everything that was received and the logs.
    pub async fn conclude<const N: usize>(self, expected: [Verdict; N]) -> Result<[Diagnosis; N]> {
        let diagnoses = self.conclude_all(&expected).await?;
        diagnoses.try_into().ok().context("one diagnosis a verdict")
    }

    /// [`conclude`](Self::conclude) for any number of verdicts.
    ///
    /// # Errors
    /// The same.
    pub async fn conclude_all(mut self, expected: &[Verdict]) -> Result<Vec<Diagnosis>> {
        self.wait_for_verdicts(expected).await?;
        let status = self.agent.stop()?;
        ensure!(status.success(), "the agent ended with {status} when it was stopped\n{}", self.agent.tail());
        let received = self.everything().await?;
        let report = || self.report();
        let diagnoses = stands(expected, &received).map_err(anyhow::Error::msg).with_context(report)?;
        nothing_else(expected, &received, &self.uid_prefix).with_context(report)?;
        let status = self.aggregator.stop()?;
        ensure!(status.success(), "the aggregator ended with {status} when it was stopped\n{}", self.aggregator.tail());
        Ok(diagnoses)
    }

    /// The whole feed, from its oldest record to its end.
    ///
    /// # Errors
    /// What the aggregator refused.
    pub async fn everything(&self) -> Result<Received> {
        let request =
            WatchDiagnosesRequest { start: Some(Start::FromOldest(true)), stop_at_end: true, ..Default::default() };
        let mut frames = self.client.clone().watch_diagnoses(request).await.context("WatchDiagnoses")?.into_inner();
        let mut received = Received::default();
        while let Some(WatchDiagnosesResponse { frame, .. }) =
            frames.message().await.context("reading the feed to its end")?
        {
            received.take(frame.context("a frame without content")?);
        }
        Ok(received)
    }

    fn report(&self) -> String {
        let received = self.received.borrow();
        let diagnoses: Vec<String> = received.diagnoses.iter().map(describe).collect();
        let gaps = &received.gaps;
        format!("--- received:\n{}\n{gaps:?}\n{}\n{}", diagnoses.join("\n"), self.agent.tail(), self.aggregator.tail())
    }
}

impl Drop for Coroner {
    fn drop(&mut self) {
        self.subscriber.abort();
    }
}

/// The diagnoses that meet the expectations, one each, or what is not as expected.
fn stands(expected: &[Verdict], received: &Received) -> Result<Vec<Diagnosis>, String> {
    let last = received.last_revisions();
    let found = expected.iter().map(|verdict| {
        let concerned = last.iter().filter(|diagnosis| verdict.concerns(diagnosis));
        let differences: Vec<(usize, String, &&Diagnosis)> = concerned
            .map(|diagnosis| {
                (verdict.differences(diagnosis).len(), verdict.differences(diagnosis).join("; "), diagnosis)
            })
            .collect();
        match differences.iter().min_by_key(|(count, ..)| *count) {
            None => Err(format!("{}: nothing was reported about it", verdict.describe())),
            Some((0, _, diagnosis)) => Ok((**diagnosis).clone()),
            Some((_, differences, _)) => Err(format!("{}: {differences}", verdict.describe())),
        }
    });
    let (found, missing): (Vec<_>, Vec<_>) = found.partition(Result::is_ok);
    let missing: Vec<String> = missing.into_iter().filter_map(Result::err).collect();
    if missing.is_empty() { Ok(found.into_iter().flatten().collect()) } else { Err(missing.join("\n")) }
}

/// Beside the expected verdicts nothing may be reported about the node's pods, except that something of the same cause
/// did not kill: a child's end that led to the container's. And what was certain once must stay so.
fn nothing_else(expected: &[Verdict], received: &Received, uid_prefix: &str) -> Result<()> {
    let is_ours = |diagnosis: &&Diagnosis| diagnosis.pod.as_ref().is_some_and(|pod| pod.uid.starts_with(uid_prefix));
    for diagnosis in received.last_revisions().into_iter().filter(is_ours) {
        let mut verdicts = expected.iter().filter(|verdict| verdict.concerns(diagnosis));
        let accounted = verdicts.any(|verdict| {
            let led_to_it = !diagnosis.fatal && verdict.has_cause(diagnosis.cause());
            led_to_it || verdict.differences(diagnosis).is_empty()
        });
        ensure!(accounted, "also reported, but not expected: {}", describe(diagnosis));
        let revisions = received.diagnoses.iter().filter(|revision| revision.uid == diagnosis.uid);
        for revision in revisions.filter(|revision| revision.confidence() == Confidence::Certain) {
            ensure!(revision.cause == diagnosis.cause, "called certain, then taken back: {}", describe(revision));
        }
    }
    Ok(())
}

/// A subscriber from now on, live once this returns.
async fn subscribe(mut client: Client) -> Result<(watch::Receiver<Received>, JoinHandle<()>)> {
    let request = WatchDiagnosesRequest { start: Some(Start::FromNow(true)), ..Default::default() };
    let frames = client.watch_diagnoses(request).await.context("WatchDiagnoses")?.into_inner();
    let (sender, receiver) = watch::channel(Received::default());
    let task = tokio::spawn(async move {
        if let Err(error) = listen(frames, &sender).await {
            eprintln!("the subscriber's feed broke: {error:#}");
        }
    });
    let mut live = receiver.clone();
    let reached = tokio::time::timeout(crate::PATIENCE, live.wait_for(|received| received.live)).await;
    drop(reached.context("the feed did not reach the present")?.context("the feed has ended")?);
    Ok((receiver, task))
}

async fn listen(mut frames: Streaming<WatchDiagnosesResponse>, received: &watch::Sender<Received>) -> Result<()> {
    while let Some(WatchDiagnosesResponse { frame, .. }) = frames.message().await? {
        let frame = frame.context("a frame without content")?;
        received.send_modify(|received| received.take(frame));
    }
    Ok(())
}

/// The address in the aggregator's line `listening on ADDRESS`.
pub fn listening_address(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on ")?;
    let (address, _) = rest.split_once(char::is_whitespace)?;
    Some(address.to_owned())
}

/// The agent's binary.
///
/// # Errors
/// That it was not built.
pub fn agent() -> Result<PathBuf> {
    binary("coroner-agent")
}

/// The aggregator's binary.
///
/// # Errors
/// That it was not built.
pub fn aggregator() -> Result<PathBuf> {
    binary("coroner-aggregator")
}

/// The binary of the command line.
///
/// # Errors
/// That it was not built.
pub fn command_line() -> Result<PathBuf> {
    binary("coroner")
}

/// Binaries stand one directory above test programs: `target/PROFILE/deps/PROGRAM`.
fn binary(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding the test program")?;
    let directory = program.parent().filter(|directory| directory.ends_with("deps")).and_then(|deps| deps.parent());
    let path = directory.or_else(|| program.parent()).context("the test program stands nowhere")?.join(name);
    ensure!(path.exists(), "{path:?} is not there; `cargo build --workspace --all-targets` makes it");
    Ok(path)
}
