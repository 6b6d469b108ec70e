//! The programs of another revision beside the present ones: an upgrade and a rollback of a node and its aggregator,
//! as docs/upgrading.md describes them, while containers die on a real containerd.
//!
//! `make versions OTHER=REVISION` builds that revision and names it in `CORONER_OTHER`. Otherwise the other programs
//! are the present ones too: what restarts of both ends over the same files must not lose or double holds for one
//! version as for two.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitStatus,
};

use coroner_proto::v1::{
    Cause, Gap, GetStatusRequest, SourceHealth, WatchDiagnosesRequest, WatchDiagnosesResponse,
    watch_diagnoses_request::Start, watch_diagnoses_response::Frame,
};
use coroner_tests::{
    ContainerSpec, MIB, Node, Pod, PodSpec,
    coroner::{Client, NODE_NAME, Surroundings},
    describe,
};
use serde_json::Value;
use tokio::process::Command;

use super::*;

/// The directory with the programs of the other revision.
const OTHER: &str = "CORONER_OTHER";

/// Programs that were built together.
#[derive(Debug)]
struct Build(PathBuf);

impl Build {
    fn present() -> Result<Self> {
        Ok(Self(agent()?.parent().context("a directory")?.to_owned()))
    }

    fn other() -> Result<Self> {
        env::var_os(OTHER).map_or_else(Self::present, |directory| Ok(Self(directory.into())))
    }

    fn agent(&self) -> PathBuf {
        self.0.join("coroner-agent")
    }

    fn aggregator(&self) -> PathBuf {
        self.0.join("coroner-aggregator")
    }

    fn command_line(&self) -> PathBuf {
        self.0.join("coroner")
    }
}

/// A reader of the feed that goes on where it was, whatever serves it.
#[derive(Default)]
struct Reader {
    token: String,
    /// By uid and revision.
    diagnoses: BTreeMap<(String, u32), Diagnosis>,
    gaps: Vec<Gap>,
    /// What came since the last gap: only behind one may it come again.
    since_gap: BTreeSet<(String, u32)>,
}

impl Reader {
    /// Reads to the end.
    async fn read(&mut self, mut client: Client) -> Result<()> {
        let start =
            if self.token.is_empty() { Start::FromOldest(true) } else { Start::ResumeToken(self.token.clone()) };
        let request = WatchDiagnosesRequest { start: Some(start), stop_at_end: true, ..Default::default() };
        let mut frames = client.watch_diagnoses(request).await.context("WatchDiagnoses")?.into_inner();
        while let Some(WatchDiagnosesResponse { frame, resume_token }) = frames.message().await? {
            self.token = resume_token;
            match frame.context("a frame without content")? {
                Frame::Batch(batch) => batch.diagnoses.into_iter().try_for_each(|diagnosis| self.take(diagnosis))?,
                Frame::Gap(gap) => {
                    self.gaps.push(gap);
                    self.since_gap.clear();
                }
                Frame::Bookmark(_) => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, diagnosis: Diagnosis) -> Result<()> {
        let key = (diagnosis.uid.clone(), diagnosis.revision);
        ensure!(self.since_gap.insert(key.clone()), "it came twice: {}", describe(&diagnosis));
        // What one of two aggregators did not know is not in what it stored.
        let both_know = |one: &Diagnosis| (one.cause, one.fatal, one.confidence, one.event_time, one.summary.clone());
        if let Some(known) = self.diagnoses.insert(key, diagnosis.clone()) {
            ensure!(
                both_know(&known) == both_know(&diagnosis),
                "{}\nbecame {}",
                describe(&known),
                describe(&diagnosis)
            );
        }
        Ok(())
    }

    /// The one diagnosis of a death, in its last revision. No revision may be less certain than those before.
    fn end(&self, dead: &Pod) -> Result<&Diagnosis> {
        let revisions = self.diagnoses.values().filter(|one| one.fatal && is_about(one, dead)).collect::<Vec<_>>();
        let all = revisions.iter().map(|one| describe(one)).collect::<Vec<_>>().join("\n");
        ensure!(revisions.iter().all(|one| one.uid == revisions[0].uid), "it is reported twice:\n{all}");
        ensure!(revisions.is_sorted_by_key(|one| one.confidence), "it was more certain before:\n{all}");
        revisions.last().copied().with_context(|| format!("nothing of {}", dead.name))
    }
}

/// A node with an agent and an aggregator, each of any build.
struct Stage {
    node: Node,
    address: String,
    aggregator: Option<Daemon>,
    agent: Option<Daemon>,
    reader: Reader,
    /// What died, in order.
    deaths: Vec<Pod>,
}

impl Stage {
    async fn new() -> Result<Self> {
        let node = Node::start().await?;
        // Of this test alone: while no aggregator listens there, no other program may take it.
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = format!("127.{high}.{low}.9:7070");
        Ok(Self { node, address, aggregator: None, agent: None, reader: Reader::default(), deaths: vec![] })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.node.directory().join(name)
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn client(&self) -> Result<Client> {
        Ok(Client::connect(self.url()).await?)
    }

    /// Starts an aggregator over the ledger that is there, and waits until it serves. False: it refused the ledger.
    async fn start_aggregator(&mut self, build: &Build) -> Result<bool> {
        let ledger = self.path("ledger.db");
        let arguments = ["--listen", &self.address, "--ledger", &ledger.display().to_string()].map(str::to_owned);
        let before = contents_of(&ledger)?;
        let log = self.path("aggregator.log");
        let mut aggregator = Daemon::start(&build.aggregator(), &arguments, &self.node.daemons(), log)?;
        let accepted = until("the aggregator listens", async || match aggregator.ended()? {
            Some(status) => refused(status, &aggregator, &ledger, &before).map(|()| Some(false)),
            None => Ok(listening_address(&aggregator.output()).map(|_| true)),
        })
        .await?;
        self.aggregator = accepted.then_some(aggregator);
        Ok(accepted)
    }

    /// Starts an agent over the outbox that is there, and waits until its sources see the node. An aggregator must run.
    /// False: it refused the outbox.
    async fn start_agent(&mut self, build: &Build) -> Result<bool> {
        let outbox = self.path("outbox.db");
        let Surroundings { agent: mut arguments, sources: wanted, .. } = Surroundings::of_node(&self.node);
        let (url, path) = (self.url(), outbox.display().to_string());
        let always = [["--node-name", NODE_NAME], ["--aggregator", &url], ["--outbox", &path]];
        arguments.extend(always.concat().into_iter().map(str::to_owned));
        let before = contents_of(&outbox)?;
        let mut agent = Daemon::start(&build.agent(), &arguments, &self.node.daemons(), self.path("agent.log"))?;
        let client = self.client().await?;
        let accepted = until("the agent's sources see the node", async || {
            if let Some(status) = agent.ended()? {
                return refused(status, &agent, &outbox, &before).map(|()| Some(false));
            }
            let status = client.clone().get_status(GetStatusRequest {}).await?.into_inner();
            let sources = status.nodes.iter().flat_map(|node| &node.sources);
            let healthy = sources.filter(|source| source.health() == SourceHealth::Ok);
            let healthy = healthy.map(|source| source.source.as_str()).collect::<BTreeSet<_>>();
            Ok(wanted.iter().all(|source| healthy.contains(source)).then_some(true))
        });
        let accepted = accepted.await.with_context(|| agent.tail())?;
        self.agent = accepted.then_some(agent);
        Ok(accepted)
    }

    fn stop_aggregator(&mut self) -> Result<()> {
        let status = self.aggregator.take().context("no aggregator runs")?.stop()?;
        ensure!(status.success(), "the aggregator ended with {status}");
        Ok(())
    }

    fn stop_agent(&mut self) -> Result<()> {
        let status = self.agent.take().context("no agent runs")?.stop()?;
        ensure!(status.success(), "the agent ended with {status}");
        Ok(())
    }

    /// One more container dies: out of memory, or by a status of its own.
    async fn die(&mut self) -> Result<()> {
        let number = self.deaths.len() + 1;
        let container = match number % 2 {
            0 => ContainerSpec::new("app", ["victim", "exit", "3"]),
            _ => ContainerSpec::new("app", ["victim", "eat", "200"]).memory_limit(64 * MIB),
        };
        let pod = self.node.kubelet().run(&PodSpec::new(&format!("death-{number}"), [container])).await?;
        self.node.kubelet().ended(pod.only_container()).await?;
        self.deaths.push(pod);
        Ok(())
    }

    fn last(&self) -> Result<&Pod> {
        self.deaths.last().context("one died")
    }

    /// One more dies while no aggregator runs. When this returns its diagnosis is in the outbox and nowhere else: the
    /// runtime does not list the container any more.
    async fn die_unreported(&mut self) -> Result<()> {
        self.die().await?;
        let (outbox, dead) = (self.path("outbox.db"), self.last()?);
        until("the outbox has it", async || Ok(holds(&outbox, dead).unwrap_or_default().then_some(()))).await?;
        self.node.kubelet().remove(dead).await
    }

    /// One more dies and is served. The runtime does not list it any more when this returns.
    async fn die_served(&mut self, when: &str, builds: [&Build; 2]) -> Result<()> {
        self.die().await?;
        self.until_all_is_served(when).await?;
        self.ask(builds).await?;
        self.node.kubelet().remove(self.last()?).await
    }

    /// Waits until each death is served, and reads the feed on.
    async fn until_all_is_served(&mut self, when: &str) -> Result<()> {
        let client = self.client().await?;
        let what = format!("{when}: {} deaths are served", self.deaths.len());
        let mut found = vec![];
        let served = until(&what, async || {
            found = client.clone().list_diagnoses(ListDiagnosesRequest::default()).await?.into_inner().diagnoses;
            Ok(self.deaths.iter().all(|dead| found.iter().any(|one| explains(one, dead))).then_some(()))
        });
        served.await.with_context(|| {
            let found = found.iter().map(describe).collect::<Vec<_>>().join("\n");
            format!("--- served:\n{found}\n{}", self.tails())
        })?;
        println!("{what}");
        self.reader.read(client).await
    }

    fn tails(&self) -> String {
        [&self.agent, &self.aggregator].into_iter().flatten().map(Daemon::tail).collect()
    }

    /// Each command line must show what the aggregator serves.
    async fn ask(&self, builds: [&Build; 2]) -> Result<()> {
        let served = self.client().await?.list_diagnoses(ListDiagnosesRequest::default()).await?.into_inner().diagnoses;
        let served = served.into_iter().map(|one| one.uid).collect::<BTreeSet<_>>();
        let dead = self.last()?;
        let pod = format!("{}/{}", dead.namespace, dead.name);
        for build in builds {
            let run = async |arguments: &[&str]| -> Result<String> {
                let mut program = Command::new(build.command_line());
                program.env("LC_ALL", "C").args(["--aggregator", &self.url()]).args(arguments);
                let output = program.output().await?;
                ensure!(matches!(output.status.code(), Some(0 | 4)), "{build:?} {arguments:?}: {output:?}");
                Ok(String::from_utf8(output.stdout)?)
            };
            let uids = |printed: &str| -> Result<BTreeSet<String>> {
                let lines = printed.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
                let diagnoses = lines.iter().flat_map(traffic::diagnoses_in);
                Ok(diagnoses.filter_map(|one| one["uid"].as_str().map(str::to_owned)).collect())
            };
            // The kernel log shows kills of others on this machine, at any time.
            ensure!(served.is_subset(&uids(&run(&["list", "-o", "json"]).await?)?), "{build:?}: list");
            let explained = uids(&run(&["why", "-o", "json", &pod]).await?)?;
            ensure!(explained.len() == 1 && explained.is_subset(&served), "{build:?}: why {explained:?}");
            let page = run(&["why", &pod]).await?;
            ensure!(page.contains(&dead.name) && page.contains("exit"), "{build:?}: {page}");
            for arguments in [&["status"][..], &["status", "-o", "json"]] {
                let status = run(arguments).await?;
                ensure!(status.contains(NODE_NAME), "{build:?}: {status}");
            }
        }
        Ok(())
    }
}

/// What a file holds while no program has it open; nothing where there is none.
fn contents_of(file: &Path) -> Result<Vec<u8>> {
    if file.exists() { whole(file) } else { Ok(vec![]) }
}

/// Holds a program that ended to what docs/upgrading.md promises of a file that it cannot use.
fn refused(status: ExitStatus, program: &Daemon, file: &Path, before: &[u8]) -> Result<()> {
    ensure!(status.code() == Some(65), "{status}: {}", program.tail());
    ensure!(program.output().contains(&file.display().to_string()), "{}", program.tail());
    ensure!(contents_of(file)? == before, "{file:?} was refused and changed");
    println!("refused: {}", program.tail());
    Ok(())
}

/// Whether an outbox that an agent uses holds the diagnosis of this death.
fn holds(outbox: &Path, dead: &Pod) -> Result<bool> {
    // The agent has it alone; of a copy that was taken during a write, SQLite reads what is whole.
    let directory = tempfile::tempdir()?;
    let copy = directory.path().join("outbox.db");
    fs::copy(outbox, &copy)?;
    fs::copy(outbox.with_extension("db-wal"), copy.with_extension("db-wal"))?;
    let connection = Connection::open(copy)?;
    let mut statement = connection.prepare("SELECT body FROM record")?;
    let bodies = statement.query_map((), |row| row.get::<_, Vec<u8>>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut records = bodies.iter().filter_map(|body| OutboxRecord::decode(body.as_slice()).ok()?.record);
    Ok(records.any(|record| matches!(record, outbox_record::Record::Diagnosis(one) if explains(&one, dead))))
}

fn is_about(diagnosis: &Diagnosis, dead: &Pod) -> bool {
    diagnosis.pod.as_ref().is_some_and(|pod| pod.uid == dead.uid)
}

fn explains(diagnosis: &Diagnosis, dead: &Pod) -> bool {
    let cause = diagnosis.cause();
    is_about(diagnosis, dead) && diagnosis.fatal && [Cause::OomContainerLimit, Cause::ApplicationExit].contains(&cause)
}

/// The steps, each with a death that waits in an outbox while the programs change, and one that is served by the new
/// pair. Then: what the runtime still lists is not reported again by the agent of another build.
///
/// | | aggregator | agent | |
/// |---|---|---|---|
/// | 1 | other | other | |
/// | 2 | present | other | over the other's ledger |
/// | 3 | present | present | over the other's outbox |
/// | 4 | present | other | over the present one's outbox |
/// | 5 | other | other | over the present one's ledger, or a backup of step 1 |
/// | 6 | other | present | over the other's outbox |
#[tokio::test(flavor = "multi_thread")]
async fn another_revision_is_upgraded_to_this_one_and_returns_without_a_loss() -> Result<()> {
    let [present, other] = [Build::present()?, Build::other()?];
    match env::var_os(OTHER) {
        Some(_) => println!("the other programs: {}", other.0.display()),
        None => println!("This build is its own other. `make versions OTHER=REVISION` runs another one."),
    }
    let (both, mut stage) = ([&present, &other], Stage::new().await?);
    let (ledger, backup) = (stage.path("ledger.db"), stage.path("backup.db"));

    ensure!(stage.start_aggregator(&other).await? && stage.start_agent(&other).await?, "{}", stage.tails());
    stage.die_served("1: all as before", both).await?;
    succeeds(Command::new(other.aggregator()).arg("backup").arg("--ledger").arg(&ledger).arg("--to").arg(&backup))
        .await?;

    stage.stop_aggregator()?;
    stage.die_unreported().await?;
    ensure!(stage.start_aggregator(&present).await?, "an upgrade in place");
    stage.until_all_is_served("2: the aggregator is upgraded").await?;
    stage.die_served("2: the other agent, this aggregator", both).await?;

    stage.stop_aggregator()?;
    stage.die_unreported().await?;
    stage.stop_agent()?;
    ensure!(stage.start_aggregator(&present).await? && stage.start_agent(&present).await?, "an upgrade in place");
    stage.until_all_is_served("3: the agent is upgraded").await?;
    stage.die_served("3: all is upgraded", both).await?;

    stage.stop_aggregator()?;
    stage.die_unreported().await?;
    stage.stop_agent()?;
    ensure!(stage.start_aggregator(&present).await?);
    // What no outbox has any more when the aggregator returns to its backup.
    let mut moved = 0..0;
    if !stage.start_agent(&other).await? {
        ensure!(stage.start_agent(&present).await?);
        stage.until_all_is_served("4: no record waits").await?;
        stage.stop_agent()?;
        fs::rename(stage.path("outbox.db"), stage.path("outbox.db.later"))?;
        moved = 1..stage.deaths.len();
        ensure!(stage.start_agent(&other).await?, "a new outbox");
    }
    stage.until_all_is_served("4: the agent has returned").await?;
    stage.die_served("4: the other agent, this aggregator", both).await?;

    stage.stop_aggregator()?;
    stage.die_unreported().await?;
    let mut stated = 0;
    if !stage.start_aggregator(&other).await? {
        let mut restore = Command::new(other.aggregator());
        succeeds(restore.arg("restore").arg("--from").arg(&backup).arg("--ledger").arg(&ledger)).await?;
        ensure!(stage.start_aggregator(&other).await?, "its own backup");
        stage.deaths.drain(moved);
        stated = 1;
    }
    stage.until_all_is_served("5: the aggregator has returned").await?;
    stage.die_served("5: all as before", both).await?;

    stage.stop_aggregator()?;
    stage.die_unreported().await?;
    stage.stop_agent()?;
    ensure!(stage.start_aggregator(&other).await? && stage.start_agent(&present).await?, "an upgrade in place");
    stage.until_all_is_served("6: the agent is upgraded first").await?;
    stage.die_served("6: this agent, the other aggregator", both).await?;
    let gaps = &stage.reader.gaps;
    ensure!(gaps.len() == stated, "gaps, of which a restored backup is {stated}: {gaps:#?}");

    for build in [&present, &other, &present] {
        stage.stop_agent()?;
        ensure!(stage.start_agent(build).await?);
        // The second is reported later than what was found at the start: its verdict waits for other sources.
        for _ in 0..2 {
            stage.die().await?;
            stage.until_all_is_served("7: the runtime lists the dead").await?;
        }
    }
    stage.deaths.iter().try_for_each(|dead| stage.reader.end(dead).map(drop))?;
    println!("{} deaths, {} revisions, gaps: {stated}", stage.deaths.len(), stage.reader.diagnoses.len());
    Ok(())
}

async fn succeeds(command: &mut Command) -> Result<()> {
    let output = command.output().await?;
    ensure!(output.status.success(), "{command:?}: {output:?}");
    Ok(())
}
