//! What the demo makes on the machine, and how it takes it away again.

use std::{
    env,
    ffi::OsStr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use coroner_diagnosis::messages::Language;
use coroner_proto::v1::SourceStatus;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::{
    daemon::{Daemon, this_program},
    failed, failed_create, failed_start,
    feed::{Feed, blind},
    pods::{self, Pod, Pods},
    program,
    scenes::Scene,
    victim::{self, LIFE},
};
use crate::{exit::Failure, messages::demo};

const START_DEADLINE: Duration = Duration::from_secs(60);

/// All that the demo makes, to take it away again.
#[derive(Debug)]
pub(crate) struct Stage {
    language: Language,
    directory: TempDir,
    pods: Pods,
    shims: Vec<Child>,
    senders: Vec<Child>,
    aggregator: Option<Daemon>,
    agent: Option<Daemon>,
}

impl Stage {
    /// An empty stage: a directory.
    ///
    /// # Errors
    /// The directory cannot be created, or no cgroups count memory here.
    pub(crate) fn new(language: Language) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("coroner-demo-").tempdir();
        let directory = directory.map_err(failed_create(&env::temp_dir()))?;
        let pods = Pods::new(directory.path())?;
        Ok(Self { language, directory, pods, shims: vec![], senders: vec![], aggregator: None, agent: None })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts aggregator and agent, and gives the feed once the agent's sources are known.
    ///
    /// # Errors
    /// One of them cannot be started or is not ready in time, or the cgroups cannot be created.
    pub(crate) async fn set_up(&mut self, node: &str) -> Result<(Feed, Vec<SourceStatus>), Failure> {
        self.pods.prepare()?;
        let url = format!("unix://{}", self.path("aggregator.sock").display());
        let ledger = self.path("ledger.db");
        let args = ["--listen", &url, "--ledger"].map(OsStr::new);
        let aggregator = Daemon::start("coroner-aggregator", &[&args[..], &[ledger.as_os_str()]].concat())?;
        let aggregator = self.aggregator.insert(aggregator);
        aggregator.wait_for_log("listening on", START_DEADLINE).await?;
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
                let blind = blind(&sources, self.language);
                return Err(Failure::error(demo::failed_sources(blind, START_DEADLINE.as_secs())));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A program of the victims under this name: this program's own, or that of [`program`].
    fn program(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.path(name);
        if !path.exists() {
            symlink(this_program()?, &path).map_err(failed_create(&path))?;
        }
        Ok(path)
    }

    /// Does to a new pod what the scene is about. False where this machine cannot.
    ///
    /// # Errors
    /// The pod cannot be created, or its container does not start.
    pub(crate) async fn act(&mut self, scene: Scene) -> Result<bool, Failure> {
        let crasher = self.path("crasher");
        if scene == Scene::Segfault && !program::write(&crasher).map_err(failed_create(&crasher))? {
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
        let main = main.ok_or_else(|| Failure::error(demo::failed_container(scene.pod(), START_DEADLINE.as_secs())))?;
        if scene == Scene::Kill9 {
            sleep(LIFE).await;
            // The sender keeps running, as a shell or an operator's tool would, so that it can be looked up.
            let mut sender = Command::new("sh");
            sender.args(["-c", "kill -KILL \"$1\"; read -r _", "sh", &main.to_string()]).stdin(Stdio::piped());
            sender.process_group(0).kill_on_drop(true);
            self.senders.push(sender.spawn().map_err(failed_start("sh"))?);
        }
        Ok(true)
    }

    /// Starts a container with this main process.
    fn contain(&mut self, pod: &Pod, program: &Path, args: &[&str]) -> Result<(), Failure> {
        let mut shim = Command::new(this_program()?);
        shim.args(victim::language(self.language))
            .args(["demo-victim", "contain"])
            .arg(&pod.cgroup)
            .arg(program)
            .args(args);
        // As with the daemons, stdin shows all processes that start in it whether the demo is running.
        shim.current_dir(&self.directory).stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
        self.shims.push(shim.spawn().map_err(failed_start("coroner"))?);
        Ok(())
    }

    /// Takes everything away. The agent goes first: what is done here is nothing to explain.
    ///
    /// # Errors
    /// The first thing that could not be taken away.
    pub(crate) async fn strike(mut self) -> Result<(), Failure> {
        let mut results = Vec::new();
        for daemon in [self.agent.take(), self.aggregator.take()].into_iter().flatten() {
            results.push(daemon.stop().await);
        }
        // With what they have just started, which may not be in its cgroup yet.
        for child in self.senders.iter_mut().chain(&mut self.shims) {
            if let Some(group) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                let _gone = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
            results.push(child.wait().await.map(drop).map_err(failed("waitpid")));
        }
        results.push(self.pods.remove().await);
        let directory = self.directory.path().display().to_string();
        let removed = self.directory.close();
        results.push(removed.map_err(|error| Failure::error(demo::failed_remove(directory, error.to_string()))));
        results.into_iter().collect()
    }
}
