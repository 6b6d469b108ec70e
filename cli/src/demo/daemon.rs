//! The real aggregator and the real agent, as children of the demo.

use std::{
    collections::VecDeque,
    env,
    ffi::OsStr,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::watch,
    time::timeout,
};

/// How long a daemon has to end after it was asked to.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// Lines of a daemon's log that are kept for whom it may concern.
const KEPT_LINES: usize = 20;

/// A program that stands beside this one.
///
/// # Errors
/// It does not.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    let this = env::current_exe().context("finding this program")?;
    let path = this.with_file_name(name);
    if !path.is_file() {
        bail!("{} is not there; it belongs beside coroner", path.display());
    }
    Ok(path)
}

/// A running daemon and the end of its log.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: &'static str,
    child: Child,
    log: Arc<Mutex<VecDeque<String>>>,
    lines: watch::Receiver<usize>,
}

impl Daemon {
    /// Starts it, detached from the terminal's Ctrl-C: the demo stops it.
    pub(crate) fn start(name: &'static str, args: &[&OsStr]) -> Result<Self> {
        let mut command = Command::new(env::current_exe().context("finding this program")?);
        command
            .args(["demo-victim", "serve"])
            .arg(beside(name)?)
            .args(args)
            // Held open for as long as the demo lives: the child asks by it whether it still does.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        for (variable, _) in env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("CORONER_")) {
            command.env_remove(variable);
        }
        let mut child = command.env("NO_COLOR", "1").spawn().with_context(|| format!("starting {name}"))?;
        let log: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let (count, lines) = watch::channel(0);
        if let Some(stderr) = child.stderr.take() {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut stderr = BufReader::new(stderr).lines();
                while let Ok(Some(line)) = stderr.next_line().await {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    if log.len() == KEPT_LINES {
                        log.pop_front();
                    }
                    log.push_back(line);
                    count.send_modify(|count| *count += 1);
                }
            });
        }
        Ok(Self { name, child, log, lines })
    }

    /// Waits until its log contains this.
    ///
    /// # Errors
    /// It ended, or did not log it in time.
    pub(crate) async fn wait_for_log(&mut self, text: &str, patience: Duration) -> Result<()> {
        let logged = async {
            loop {
                self.lines.borrow_and_update();
                if self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|line| line.contains(text)) {
                    return true;
                }
                if self.lines.changed().await.is_err() {
                    return false;
                }
            }
        };
        match timeout(patience, logged).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.ended()),
            Err(_) => bail!("{} is not up after {patience:?}{}", self.name, self.last_line()),
        }
    }

    /// Fails if it has ended.
    ///
    /// # Errors
    /// That it has, with its last words.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => Err(self.ended()),
        }
    }

    fn ended(&mut self) -> anyhow::Error {
        let status = self.child.try_wait().ok().flatten().map_or_else(String::new, |status| format!(" ({status})"));
        anyhow::anyhow!("{} ended by itself{status}{}", self.name, self.last_line())
    }

    fn last_line(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        match log.back() {
            Some(line) => format!("; its last line: {line}"),
            None => String::new(),
        }
    }

    /// Asks it to stop and waits until it has; it is killed if it does not.
    ///
    /// # Errors
    /// It did not stop by itself, or not well.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) else { return Err(self.ended()) };
        kill(Pid::from_raw(pid), Signal::SIGTERM).with_context(|| format!("stopping {}", self.name))?;
        match timeout(STOP_DEADLINE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(_) => Err(self.ended()),
            Err(_) => {
                self.child.kill().await.with_context(|| format!("killing {}", self.name))?;
                bail!("{} had to be killed: it did not stop within {STOP_DEADLINE:?}", self.name)
            }
        }
    }
}
