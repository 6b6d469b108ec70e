//! Python with the packages of `tests/requirements.txt`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use coroner_tests::machine::target_directory;

/// This test's own directory, where its scripts stand.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/consumers");
/// The repository.
pub(crate) const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Its environment.
pub(crate) fn environment() -> Result<PathBuf> {
    let environment = target_directory()?.join("tools/python");
    ensure!(environment.join("bin/python").exists(), "{environment:?} is not there; `scripts/tools python` makes it");
    Ok(environment)
}

/// The interpreter, as it is by itself: what `PYTHONUNBUFFERED` would hide from a test, a user would find.
pub(crate) fn python() -> Result<Command> {
    let mut command = Command::new(environment()?.join("bin/python"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PYTHON")) {
        command.env_remove(name);
    }
    Ok(command)
}

/// Runs one of the scripts here to its end; fails with its output if it fails.
pub(crate) fn run(script: &str, arguments: &[&str]) -> Result<Output> {
    let output = python()?.arg(Path::new(SCRIPTS).join(script)).args(arguments).output()?;
    let output_text =
        || [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    ensure!(output.status.success(), "{script} {arguments:?}: {}\n{}", output.status, output_text());
    Ok(output)
}

/// A process that ends with this.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        Ok(Self(command.stdin(Stdio::null()).spawn().with_context(|| format!("starting {command:?}"))?))
    }

    /// One of the scripts here.
    pub(crate) fn script(script: &str, arguments: &[&str]) -> Result<Self> {
        Self::start(python()?.arg(Path::new(SCRIPTS).join(script)).args(arguments))
    }

    /// Fails if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        let ended = self.0.try_wait()?;
        ensure!(ended.is_none(), "it has ended: {ended:?}");
        Ok(())
    }

    /// By SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("ending a process: {error:#}");
        }
    }
}
