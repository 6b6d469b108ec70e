//! A daemon started for one test: in the test's cgroup, its output in a file, ended with the test.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cgroup::Cgroup;

/// How long a daemon may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(30);

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
    /// Where in the log this run begins.
    log_start: u64,
}

impl Daemon {
    /// Starts `program` in `cgroup`, with standard output and error in `log`.
    ///
    /// # Errors
    /// What did not start.
    pub fn start(program: &Path, arguments: &[String], cgroup: &Cgroup, log: PathBuf) -> Result<Self> {
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let output =
            File::options().create(true).append(true).open(&log).with_context(|| format!("opening {log:?}"))?;
        let log_start = output.metadata().with_context(|| format!("looking at {log:?}"))?.len();
        // A shell puts itself into the cgroup and becomes the daemon: std has no safe way to do so between fork and
        // exec.
        let child = Command::new("sh")
            .args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#])
            .arg(cgroup.memory_directory())
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("duplicating the log's descriptor")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child, log, log_start })
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        let read = File::open(&self.log).and_then(|mut log| {
            let mut text = Vec::new();
            log.seek(SeekFrom::Start(self.log_start))?;
            log.read_to_end(&mut text)?;
            Ok(text)
        });
        read.map_or_else(|error| error.to_string(), |text| String::from_utf8_lossy(&text).into_owned())
    }

    /// The last lines that it printed.
    pub fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        format!("--- {}:\n{}", self.name, lines[lines.len().saturating_sub(40)..].join("\n"))
    }

    /// Fails if it has ended.
    ///
    /// # Errors
    /// That it has, with what it printed.
    pub fn check(&mut self) -> Result<()> {
        match self.ended()? {
            Some(status) => bail!("{} has ended ({status})\n{}", self.name, self.tail()),
            None => Ok(()),
        }
    }

    /// What it has ended with, if it has.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("waiting for {}", self.name))
    }

    /// Asks it to end and gives its status; kills it if it does not end.
    ///
    /// # Errors
    /// That it had to be killed.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        let pid = Pid::from_raw(i32::try_from(self.child.id()).context("a pid is an i32")?);
        kill(pid, Signal::SIGTERM).with_context(|| format!("stopping {}", self.name))?;
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.kill().with_context(|| format!("killing {}", self.name))?;
        self.child.wait()?;
        bail!("{} did not end within {GRACE:?} of SIGTERM\n{}", self.name, self.tail())
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// That it has ended by itself before.
    pub fn kill(&mut self) -> Result<()> {
        self.check()?;
        self.child.kill().with_context(|| format!("killing {}", self.name))?;
        self.child.wait().with_context(|| format!("waiting for {}", self.name))?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error:#}");
        }
    }
}
