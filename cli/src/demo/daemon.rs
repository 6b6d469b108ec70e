//! The real aggregator and the real agent, as children of the demo.

use std::{
    collections::VecDeque,
    env,
    ffi::OsStr,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use coroner_diagnosis::messages::Message;
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

use super::{failed, failed_start};
use crate::{
    exit::Failure,
    messages::{demo, page},
};

/// How long a daemon has to end after it was asked to.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// Lines of a daemon's log that are kept for whom it may concern.
const KEPT_LINES: usize = 20;

/// A program that stands beside this one.
///
/// # Errors
/// It does not.
pub(crate) fn beside(name: &str) -> Result<PathBuf, Failure> {
    let path = this_program()?.with_file_name(name);
    match path.is_file() {
        true => Ok(path),
        false => Err(Failure::unavailable(demo::needs_program(path.display().to_string()))),
    }
}

/// The file of this program.
///
/// # Errors
/// The kernel does not name it.
pub(crate) fn this_program() -> Result<PathBuf, Failure> {
    env::current_exe().map_err(failed("readlink /proc/self/exe"))
}

/// How a program ended: its exit code, or the signal that ended it.
pub(crate) fn how_ended(status: ExitStatus) -> Message {
    match (status.code(), status.signal()) {
        (Some(code), _) => page::exit_code(code.unsigned_abs()),
        (None, Some(signal)) => page::exit_signal(signal),
        (None, None) => demo::ended_somehow(),
    }
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
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(name: &'static str, args: &[&OsStr]) -> Result<Self, Failure> {
        let mut command = Command::new(this_program()?);
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
        let child = command.env("NO_COLOR", "1").spawn();
        let mut child = child.map_err(failed_start(name))?;
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
    pub(crate) async fn wait_for_log(&mut self, text: &str, patience: Duration) -> Result<(), Failure> {
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
            Err(_) => Err(Failure::error(demo::daemon_not_ready(self.name, patience.as_secs(), self.last_line()))),
        }
    }

    /// Fails if it has ended.
    ///
    /// # Errors
    /// That it has, with the end of its log.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => Err(self.ended()),
        }
    }

    fn ended(&mut self) -> Failure {
        let status = self.child.try_wait().ok().flatten();
        let how = status.map_or_else(demo::ended_somehow, how_ended);
        Failure::error(demo::daemon_ended(self.name, how, self.last_line()))
    }

    fn last_line(&self) -> Message {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.back().map_or_else(demo::log_is_empty, demo::log_ends)
    }

    /// Asks it to stop and waits until it has; it is killed if it does not.
    ///
    /// # Errors
    /// It did not stop by itself, or not well.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) else { return Err(self.ended()) };
        kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(failed("kill"))?;
        match timeout(STOP_DEADLINE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(_) => Err(self.ended()),
            Err(_) => {
                self.child.kill().await.map_err(failed("kill"))?;
                Err(Failure::error(demo::daemon_not_stopped(self.name, STOP_DEADLINE.as_secs())))
            }
        }
    }
}
