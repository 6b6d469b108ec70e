//! The real agent and aggregator beside a [`Node`](crate::Node), and a subscriber to the aggregator's feed.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

/// The agent's binary.
pub(crate) fn agent() -> Result<PathBuf> {
    binary("coroner-agent")
}

/// The aggregator's binary.
pub(crate) fn aggregator() -> Result<PathBuf> {
    binary("coroner-aggregator")
}

/// Binaries stand one directory above test programs: `target/PROFILE/deps/PROGRAM`.
fn binary(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding the test program")?;
    let directory = program.parent().and_then(|deps| deps.parent()).context("the test program stands nowhere")?;
    let path = directory.join(name);
    ensure!(path.exists(), "{path:?} is not there; `cargo build --workspace --all-targets` makes it");
    Ok(path)
}
