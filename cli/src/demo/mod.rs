//! `coroner demo`: real deaths on this machine, each explained by the real agent and aggregator as it arrives in the feed.
//!
//! It needs root and no Kubernetes: [`pods`] makes what a kubelet would leave on a node, [`victim`] plays containers, and
//! [`scenes`] says what is done to them. Whatever happens, it takes away what it made.

mod daemon;
mod feed;
mod pods;
mod program;
mod scenes;
pub(crate) mod victim;

use std::{
    env,
    ffi::OsStr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use coroner_proto::v1::{Diagnosis, SourceHealth, SourceStatus};
use nix::unistd::{Uid, gethostname};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, timeout_at},
};

use self::{
    daemon::Daemon,
    feed::{Arrival, Feed},
    pods::{Pod, Pods},
    scenes::Scene,
    victim::LIFE,
};
use crate::{
    args::Format,
    commands::status,
    data,
    exit::{Failure, Outcome},
    explain,
    out::Out,
    page::{Look, Page, span},
    table::Table,
    words,
};

const START_DEADLINE: Duration = Duration::from_secs(20);
/// From a victim's start to its explanation.
const SCENE_DEADLINE: Duration = Duration::from_secs(15);

pub(crate) async fn run(out: &mut Out) -> Result<Outcome, Failure> {
    if !Uid::effective().is_root() {
        return Err(Failure::unavailable(
            "the demo needs root, to make cgroups and to read the kernel's log: sudo coroner demo",
        ));
    }
    for program in ["coroner-aggregator", "coroner-agent"] {
        daemon::beside(program).map_err(|error| Failure::unavailable(format!("{error:#}")))?;
    }
    let failed = |error: anyhow::Error| Failure::error(format!("{error:#}"));
    let mut stage = Stage::new().map_err(failed)?;
    let stopped = stop_signal().map_err(failed)?;
    let played = tokio::select! {
        played = play(&mut stage, out) => played.map_err(failed),
        () = stopped => Err(Failure::error("interrupted")),
    };
    let struck = stage.strike().await.map_err(failed);
    let outcome = played?;
    struck?;
    Ok(outcome)
}

/// Resolves when the demo is told to stop.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut signals = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        signals.push(signal(kind).context("listening to signals")?);
    }
    let [mut interrupt, mut terminate, mut hangup] =
        <[_; 3]>::try_from(signals).expect("there is one for each of three kinds");
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// All that the demo makes, to take it away again.
#[derive(Debug)]
struct Stage {
    directory: TempDir,
    pods: Pods,
    shims: Vec<Child>,
    senders: Vec<Child>,
    aggregator: Option<Daemon>,
    agent: Option<Daemon>,
}

impl Stage {
    fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("coroner-demo-").tempdir().context("making a directory")?;
        let pods = Pods::new(directory.path())?;
        Ok(Self { directory, pods, shims: vec![], senders: vec![], aggregator: None, agent: None })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts aggregator and agent, and gives the feed once the agent's sources are known.
    async fn set_up(&mut self, node: &str) -> Result<(Feed, Vec<SourceStatus>)> {
        self.pods.prepare()?;
        let url = format!("unix://{}", self.path("aggregator.sock").display());
        let ledger = self.path("ledger.db");
        let args = ["--listen", &url, "--ledger"].map(OsStr::new);
        let aggregator = Daemon::start("coroner-aggregator", &[&args[..], &[ledger.as_os_str()]].concat())?;
        let aggregator = self.aggregator.insert(aggregator);
        aggregator.says("listening on", START_DEADLINE).await?;
        let mut feed = Feed::open(&url, Scene::ALL.map(Scene::pod)).await?;
        let (outbox, logs) = (self.path("outbox.db"), self.pods.container_logs());
        let args =
            ["--node-name", node, "--cri-endpoint", "none", "--containerd-endpoint", "none", "--aggregator", &url];
        let paths = [OsStr::new("--outbox"), outbox.as_os_str(), OsStr::new("--container-logs"), logs.as_os_str()];
        let agent = Daemon::start("coroner-agent", &[&args.map(OsStr::new)[..], &paths].concat())?;
        let agent = self.agent.insert(agent);
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            agent.check()?;
            let (sources, known) = feed.sources(node).await?;
            if known {
                return Ok((feed, sources));
            }
            if Instant::now() > deadline {
                bail!("after {START_DEADLINE:?} the agent's sources do not see yet: {}", blind(&sources));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A program of the victims under this name: this program's own, or that of [`program`].
    fn program(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        if !path.exists() {
            symlink(env::current_exe().context("finding this program")?, &path).context("naming a victim's program")?;
        }
        Ok(path)
    }

    /// Does to a new pod what the scene is about. False where this machine cannot.
    async fn act(&mut self, scene: Scene) -> Result<bool> {
        let crasher = self.path("crasher");
        if scene == Scene::Segfault && !program::write(&crasher).context("writing the program that crashes")? {
            return Ok(false);
        }
        let pod = self.pods.add(scene.pod())?;
        match scene {
            Scene::OomMain => self.contain(&pod, &self.program("eater")?, &["demo-victim", "eat"]),
            Scene::OomChild => {
                let child = self.program("eater")?.display().to_string();
                self.contain(&pod, &self.program("parent")?, &["demo-victim", "outlive", &child])
            }
            Scene::Segfault => self.contain(&pod, &crasher, &[]),
            Scene::Exit137 => self.contain(&pod, &self.program("quitter")?, &["demo-victim", "exit", "137"]),
            Scene::Kill9 => self.contain(&pod, &self.program("sleeper")?, &["demo-victim", "stay"]),
        }?;
        let main = pods::main_process(&pod, START_DEADLINE).await;
        let main = main.with_context(|| format!("the container of {} did not start", scene.pod()))?;
        if scene == Scene::Kill9 {
            sleep(LIFE).await;
            // The sender stays, as a shell or an operator's tool would: whoever wants to know it can look.
            let mut sender = Command::new("sh");
            sender.args(["-c", "kill -KILL \"$1\"; read -r _", "sh", &main.to_string()]).stdin(Stdio::piped());
            sender.process_group(0).kill_on_drop(true);
            self.senders.push(sender.spawn().context("starting the process that sends SIGKILL")?);
        }
        Ok(true)
    }

    /// Starts a container with this main process.
    fn contain(&mut self, pod: &Pod, program: &Path, args: &[&str]) -> Result<()> {
        let mut shim = Command::new(env::current_exe().context("finding this program")?);
        shim.args(["demo-victim", "contain"]).arg(&pod.cgroup).arg(program).args(args);
        shim.current_dir(&self.directory).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        self.shims.push(shim.spawn().context("starting a container")?);
        Ok(())
    }

    /// Takes everything away. The agent goes first: what is done here is nothing to explain.
    async fn strike(mut self) -> Result<()> {
        let mut results = Vec::new();
        for daemon in [self.agent.take(), self.aggregator.take()].into_iter().flatten() {
            results.push(daemon.stop().await);
        }
        results.push(self.pods.remove().await);
        for child in self.senders.iter_mut().chain(&mut self.shims) {
            results.push(child.kill().await.context("ending a victim's parent"));
        }
        results.push(self.directory.close().context("removing the demo's directory"));
        results.into_iter().collect()
    }
}

/// How a scene went.
#[derive(Debug)]
struct Played {
    scene: Scene,
    /// The last word about it, and whether it explains it.
    verdict: Option<Diagnosis>,
    explained: bool,
    latency: String,
}

async fn play(stage: &mut Stage, out: &mut Out) -> Result<Outcome> {
    let node = gethostname().context("reading the host's name")?.to_string_lossy().into_owned();
    narrate(out, |page| {
        let text = "Five containers die on this machine, for real. An agent of their node watches, without Kubernetes or a \
                    container runtime; what it finds out comes from the aggregator's gRPC feed.";
        page.paragraph(None, 0, &[span(Look::Plain, text)]);
    })?;
    let (mut feed, sources) = stage.set_up(&node).await?;
    narrate(out, |page| {
        let mut told = Vec::new();
        for source in &sources {
            let comma = if told.is_empty() { "" } else { ", " };
            told.extend([span(Look::Plain, &format!("{comma}{} ", source.source)), status::health(source.health())]);
        }
        page.paragraph(Some((0, span(Look::Plain, "Its sources:"))), 13, &told);
        page.blank();
    })?;
    let mut all = Vec::new();
    for (index, scene) in Scene::ALL.into_iter().enumerate() {
        narrate(out, |page| {
            let number = span(Look::Strong, &format!("{}/{}", index + 1, Scene::ALL.len()));
            page.paragraph(Some((0, number)), 5, &[span(Look::Strong, scene.story())]);
        })?;
        let mut played = Played { scene, verdict: None, explained: false, latency: String::new() };
        if stage.act(scene).await? {
            let deadline = Instant::now() + SCENE_DEADLINE;
            while !played.explained {
                let Ok(arrival) = timeout_at(deadline, feed.next()).await else { break };
                let arrival = arrival?;
                for played in all.iter_mut().chain([&mut played]) {
                    take(played, &arrival);
                }
            }
            show(&played, out)?;
        }
        all.push(played);
    }
    sum_up(&all, &sources, out)
}

/// Takes note of what has arrived, if it is about this scene. What explained it once may be revised.
fn take(played: &mut Played, arrival: &Arrival) {
    let explains = played.scene.is_explained_by(&arrival.diagnosis);
    let is_revision = played.verdict.as_ref().is_some_and(|verdict| verdict.uid == arrival.diagnosis.uid);
    if !played.scene.is_about(&arrival.diagnosis) || (played.explained && !is_revision) {
        return;
    }
    if !played.explained {
        let death = words::time(arrival.diagnosis.event_time.as_ref());
        let millis = death.map(|death| arrival.at.duration_since(death).as_micros().max(0));
        played.latency =
            millis.map_or_else(String::new, |micros| format!("{}.{} ms", micros / 1000, micros % 1000 / 100));
    }
    played.explained = explains;
    played.verdict = Some(arrival.diagnosis.clone());
}

/// Writes for people: to stdout where they read that, else to stderr.
fn narrate(out: &mut Out, write: impl FnOnce(&mut Page)) -> Result<()> {
    let mut page = out.page();
    write(&mut page);
    if matches!(out.format, Some(Format::Json | Format::Yaml)) {
        page.into_text().lines().for_each(|line| out.tell(line));
    } else {
        out.write(&page.into_text())?;
    }
    Ok(())
}

fn show(played: &Played, out: &mut Out) -> Result<()> {
    let Some(verdict) = &played.verdict else {
        return narrate(out, |page| {
            page.paragraph(
                None,
                5,
                &[span(Look::Bad, &format!("nothing was told about it within {SCENE_DEADLINE:?}"))],
            );
        });
    };
    if let Some(text) = data::render(out.format, verdict).map_err(|error| anyhow::anyhow!("{error}"))? {
        out.write(&text)?;
        return Ok(());
    }
    narrate(out, |page| {
        page.blank();
        explain::explain(page, verdict, jiff::Timestamp::now());
        if played.explained && !played.latency.is_empty() {
            let text = format!("Arrived {} after the death.", played.latency);
            page.paragraph(None, 2, &[span(Look::Faint, &text)]);
        }
        page.blank();
    })
}

fn sum_up(all: &[Played], sources: &[SourceStatus], out: &mut Out) -> Result<Outcome> {
    let missing: Vec<&str> = all.iter().filter(|played| !played.explained).map(|played| played.scene.pod()).collect();
    let mut summary = Table::new(vec!["POD", "CAUSE", "CONFIDENCE", "AFTER"]);
    for played in all {
        let verdict = played.verdict.as_ref();
        let look = if played.explained { Look::Good } else { Look::Bad };
        summary.push(vec![
            span(Look::Strong, played.scene.pod()),
            span(look, &verdict.map_or_else(|| "nothing told".to_owned(), |verdict| words::cause(verdict.cause))),
            span(Look::Plain, verdict.map_or("", words::confidence)),
            span(Look::Plain, &played.latency),
        ]);
    }
    if matches!(out.format, None | Some(Format::Table | Format::Wide)) {
        let text = summary.render(out);
        out.write(&text)?;
    }
    if missing.is_empty() {
        narrate(out, |page| page.paragraph(None, 0, &[span(Look::Good, "All five deaths were explained.")]))?;
        return Ok(Outcome::Answered);
    }
    let missing = missing.join(", ");
    out.tell(&format!("Not explained: {missing}. Sources that do not see everything here: {}.", blind(sources)));
    Ok(Outcome::Partial)
}

/// The sources that do not see everything, and why.
fn blind(sources: &[SourceStatus]) -> String {
    let blind = sources.iter().filter(|source| source.health() != SourceHealth::Ok);
    let told: Vec<String> = blind.map(|source| format!("{} ({})", source.source, source.reason)).collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}
