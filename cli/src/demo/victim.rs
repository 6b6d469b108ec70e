//! What this program is when the demo starts it again: the parts of a container. The demo is the kubelet, `contain`
//! plays the runtime's shim, and the rest are the programs that die.

use std::{
    env,
    ffi::OsString,
    fs, hint, io,
    os::{fd::AsFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        resource::{Resource, setrlimit},
        signal::Signal,
    },
    unistd,
};

/// How long a victim lives before it dies.
pub(crate) const LIFE: Duration = Duration::from_secs(1);
/// An eater stops here: whatever limit it should have met is not there.
const MOST_EATEN: usize = 512 << 20;
const BITE: usize = 1 << 20;

#[derive(Debug, Subcommand)]
pub(crate) enum VictimCommand {
    /// Runs a program as a container's main process: first in a pid namespace of its own, in the cgroup
    Contain {
        cgroup: PathBuf,
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Enters the cgroup and becomes the program
    Enter {
        cgroup: PathBuf,
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Becomes a daemon that stops when the demo is gone
    Serve {
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Uses more and more memory
    Eat,
    /// Starts a program, outlives it, and stays
    Outlive { program: PathBuf },
    /// Ends by itself, with this status
    Exit { status: u8 },
    /// Stays
    Stay,
}

/// Runs the process that a scene needs, until it ends or is killed.
pub(crate) fn run(command: VictimCommand) -> ExitCode {
    match play(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("coroner: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn play(command: VictimCommand) -> Result<ExitCode> {
    // Nothing of the demo outlives it, not even if it is killed; daemons get the time to clean up.
    let last_signal = if matches!(command, VictimCommand::Serve { .. }) { Signal::SIGTERM } else { Signal::SIGKILL };
    prctl::set_pdeathsig(last_signal).context("asking to end with the parent")?;
    if demo_is_gone().context("asking whether the demo lives")? {
        // It went before it could have been asked for the signal.
        return Ok(ExitCode::FAILURE);
    }
    match command {
        VictimCommand::Contain { cgroup, program, args } => contain(&cgroup, &program, &args),
        VictimCommand::Enter { cgroup, program, args } => enter(&cgroup, &program, &args),
        VictimCommand::Serve { program, args } => become_program(Command::new(program).args(args)),
        VictimCommand::Eat => {
            thread::sleep(LIFE);
            eat()
        }
        VictimCommand::Outlive { program } => {
            let status = Command::new(&program).args(["demo-victim", "eat"]).status();
            status.with_context(|| format!("running {}", program.display()))?;
            stay()
        }
        VictimCommand::Exit { status } => {
            thread::sleep(LIFE);
            Ok(ExitCode::from(status))
        }
        VictimCommand::Stay => stay(),
    }
}

/// Whether the other end of stdin is closed, which all processes of the demo inherit.
fn demo_is_gone() -> nix::Result<bool> {
    let stdin = io::stdin();
    let mut waited = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut waited, PollTimeout::ZERO)?;
    Ok(waited[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)))
}

fn contain(cgroup: &Path, program: &Path, args: &[String]) -> Result<ExitCode> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("switching core dumps off")?;
    unshare(CloneFlags::CLONE_NEWPID).context("making a pid namespace")?;
    let this = env::current_exe().context("finding this program")?;
    let mut main = Command::new(this);
    main.args(["demo-victim", "enter"]).arg(cgroup).arg(program).args(args);
    let status = main.status().context("starting the main process")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn enter(cgroup: &Path, program: &Path, args: &[String]) -> Result<ExitCode> {
    let procs = cgroup.join("cgroup.procs");
    // 0 is the writing process, in any pid namespace.
    fs::write(&procs, "0").with_context(|| format!("entering {}", procs.display()))?;
    become_program(Command::new(program).args(args))
}

fn become_program(command: &mut Command) -> Result<ExitCode> {
    Err(command.exec()).with_context(|| format!("becoming {}", command.get_program().display()))
}

fn eat() -> Result<ExitCode> {
    let mut eaten = Vec::new();
    while eaten.len() * BITE < MOST_EATEN {
        eaten.push(hint::black_box(vec![1_u8; BITE]));
    }
    bail!("{MOST_EATEN} bytes were used and no limit was met")
}

fn stay() -> ! {
    loop {
        unistd::pause();
    }
}
