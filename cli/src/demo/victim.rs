//! What this program is when the demo starts it again: the parts of a container. The demo is the kubelet, `contain`
//! plays the runtime's shim, and the rest are the programs that die.

use std::{
    ffi::OsString,
    fs, hint, io,
    os::{fd::AsFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    thread,
    time::Duration,
};

use clap::Subcommand;
use coroner_diagnosis::messages::Language;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        resource::{Resource, setrlimit},
        signal::Signal,
    },
    unistd,
};

use super::{daemon::this_program, failed, failed_start, linux};
use crate::{
    exit::Failure,
    messages::{command, demo},
    out::Out,
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

/// The arguments before the command by which a process of a scene has the language of the demo.
pub(crate) fn language(language: Language) -> [&'static str; 2] {
    match language {
        Language::English => ["--lang", "en"],
        Language::Chinese => ["--lang", "zh"],
    }
}

/// Runs the process that a scene needs, until it ends or is killed.
pub(crate) fn run(command: VictimCommand, out: &Out) -> ExitCode {
    match play(command, out.reader.language) {
        Ok(code) => code,
        Err(failure) => {
            out.note(&command::error_prefix(failure.message().clone()));
            failure.into()
        }
    }
}

fn play(command: VictimCommand, language: Language) -> Result<ExitCode, Failure> {
    // Nothing of the demo outlives it, not even if it is killed; daemons get the time to clean up.
    let last_signal = if matches!(command, VictimCommand::Serve { .. }) { Signal::SIGTERM } else { Signal::SIGKILL };
    linux::end_with_parent(last_signal).map_err(failed("prctl"))?;
    if demo_is_gone().map_err(failed("poll"))? {
        // It went before it could have been asked for the signal.
        return Ok(ExitCode::FAILURE);
    }
    match command {
        VictimCommand::Contain { cgroup, program, args } => contain(&cgroup, &program, &args, language),
        VictimCommand::Enter { cgroup, program, args } => enter(&cgroup, &program, &args),
        VictimCommand::Serve { program, args } => become_program(Command::new(program).args(args)),
        VictimCommand::Eat => {
            thread::sleep(LIFE);
            eat()
        }
        VictimCommand::Outlive { program } => {
            let status = Command::new(&program).args(["demo-victim", "eat"]).status();
            status.map_err(failed_start(&program.to_string_lossy()))?;
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

fn contain(cgroup: &Path, program: &Path, args: &[String], of: Language) -> Result<ExitCode, Failure> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(failed("setrlimit"))?;
    linux::new_pid_namespace().map_err(failed("unshare(CLONE_NEWPID)"))?;
    let mut main = Command::new(this_program()?);
    main.args(language(of)).args(["demo-victim", "enter"]).arg(cgroup).arg(program).args(args);
    let status = main.status().map_err(failed_start("coroner"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn enter(cgroup: &Path, program: &Path, args: &[String]) -> Result<ExitCode, Failure> {
    let procs = cgroup.join("cgroup.procs");
    // 0 is the writing process, in any pid namespace.
    fs::write(&procs, "0").map_err(|error| {
        Failure::error(demo::needs_cgroup_value(procs.display().to_string(), "0", error.to_string()))
    })?;
    become_program(Command::new(program).args(args))
}

fn become_program(command: &mut Command) -> Result<ExitCode, Failure> {
    let error = command.exec();
    Err(failed_start(&command.get_program().to_string_lossy())(error))
}

fn eat() -> Result<ExitCode, Failure> {
    let mut eaten = Vec::new();
    while eaten.len() * BITE < MOST_EATEN {
        eaten.push(hint::black_box(vec![1_u8; BITE]));
    }
    Err(Failure::error(demo::victim_not_stopped(MOST_EATEN as u64)))
}

fn stay() -> ! {
    loop {
        unistd::pause();
    }
}
