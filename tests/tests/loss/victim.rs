//! A process that is killed and started again.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use anyhow::{Context, Result, ensure};
use coroner_tests::coroner::aggregator;
use nix::sys::signal::Signal;

use crate::ROLE;
use crate::flow::{DURABLE, EXPORTED, socket};

/// What a process is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// The program, with an exporter in it. Where the ledger is shared, by a nats-server at this port.
    Aggregator { number: u16, nats: Option<u16> },
    /// Outbox and uplink of a node, which diagnoses so much in one life, and this much in all, for the aggregator of
    /// this number.
    Agent { node: u16, per_life: u64, all: u64, aggregator: u16 },
    /// Follows the feeds of so many aggregators in turn, with one resume token on disk.
    Reader { aggregators: u16 },
}

/// A process, killed with this.
pub(crate) struct Victim {
    role: Role,
    directory: PathBuf,
    child: Child,
    /// Its output of this life.
    output: PathBuf,
    /// Numbers up to this one are in the outbox for certain.
    durable: u64,
    deaths: u32,
}

impl Victim {
    pub(crate) fn start(role: Role, directory: &Path) -> Result<Self> {
        let name = match role {
            Role::Agent { node, .. } => format!("agent-{node}"),
            Role::Aggregator { number, .. } => format!("aggregator-{number}"),
            Role::Reader { .. } => "reader".to_owned(),
        };
        let output = directory.join(name).with_extension("log");
        let child = spawn(role, 0, directory, &output)?;
        Ok(Self { role, directory: directory.to_owned(), child, output, durable: 0, deaths: 0 })
    }

    /// Kills it and starts it again.
    pub(crate) fn die_and_rise(&mut self) -> Result<()> {
        self.die()?;
        self.child = spawn(self.role, self.durable, &self.directory, &self.output)?;
        Ok(())
    }

    /// It will be killed no more, and is to do all that is left.
    pub(crate) fn live_on(&mut self) -> Result<()> {
        if let Role::Agent { per_life, all, .. } = &mut self.role {
            *per_life = *all;
            self.die_and_rise()?;
        }
        Ok(())
    }

    /// Kills it. Fails if it has ended by itself before.
    pub(crate) fn die(&mut self) -> Result<()> {
        self.child.kill().context("killing")?;
        let status = self.child.wait().context("waiting for what was killed")?;
        self.deaths += 1;
        self.killed(status)?;
        let text = fs::read_to_string(&self.output).with_context(|| format!("reading {:?}", self.output))?;
        // The kill may have torn the last line.
        let whole_lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        if let Some(durable) = whole_lines.filter_map(|line| line.strip_prefix(DURABLE)).next_back() {
            self.durable = durable.parse().with_context(|| format!("{durable:?} is a number"))?;
        }
        Ok(())
    }

    /// Fails if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.child.try_wait().context("looking for its end")?.map_or(Ok(()), |status| self.killed(status))
    }

    fn killed(&self, status: ExitStatus) -> Result<()> {
        let was_killed = status.signal() == Some(Signal::SIGKILL as i32);
        ensure!(was_killed, "{:?} has ended by itself: {status}", self.role);
        Ok(())
    }

    /// For the analysis of a failure.
    pub(crate) fn last_lines(&self) -> String {
        let text = fs::read_to_string(&self.output).unwrap_or_else(|error| error.to_string());
        let lines: Vec<_> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(12)..].join("\n");
        format!("--- {:?}, {} deaths, durable up to {}:\n{last}\n", self.role, self.deaths, self.durable)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may be dead already; then this does nothing.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(role: Role, durable: u64, directory: &Path, output: &Path) -> Result<Child> {
    // So it does not outlive this test, should that be killed.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    let mut play = |part: String| {
        let program = std::env::current_exe().context("finding this program")?;
        command.arg(program).args(["--exact", "child_that_does_its_part_until_it_is_killed", "--nocapture"]);
        command.env(ROLE, part);
        anyhow::Ok(())
    };
    match role {
        Role::Reader { aggregators } => play(format!("reader {aggregators}"))?,
        // What it may have appended beyond is appended once more, as an agent diagnoses once more.
        Role::Agent { node, per_life, all, aggregator } => {
            play(format!("agent {aggregator} {node} {durable} {}", all.min(durable + per_life)))?;
        }
        Role::Aggregator { number, nats } => {
            let path = |name: &str| directory.join(name).display().to_string();
            command.arg(aggregator()?).args(["--listen", &format!("unix://{}", path(&socket(number)))]);
            command.args(["--ledger", &path(&format!("ledger-{number}.db")), "--cluster-watch", "off"]);
            if let Some(port) = nats {
                command.args(["--jetstream", &format!("nats://127.0.0.1:{port}/loss")]);
            }
            command.args(["--export", &format!("file://{}?format=native&name=loss", path(EXPORTED))]);
        }
    }
    let output = File::create(output).with_context(|| format!("creating {output:?}"))?;
    command.current_dir(directory).stdout(output.try_clone().context("duplicating a descriptor")?).stderr(output);
    command.spawn().with_context(|| format!("starting {role:?}"))
}
