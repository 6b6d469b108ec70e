//! What `Dockerfile` and `deploy/` make.

mod image;
mod manifests;
mod plugin;
mod pods;
mod release;
mod rendered;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The root of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program of the workspace, built in the same profile as this test.
fn program(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe().context("find the test program")?;
    let path = test.ancestors().nth(2).context("the test program stands nowhere")?.join(name);
    ensure!(path.exists(), "{} is not there; `cargo build --workspace` makes it", path.display());
    Ok(path)
}
