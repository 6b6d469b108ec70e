//! What kubectl and Helm make of `deploy/`, by their own programs.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{image::run, repository};

#[test]
fn chart_and_kustomization_make_the_same_valid_objects() -> Result<()> {
    let python = repository().join("target/tools/python/bin/python");
    ensure!(python.exists(), "{} is not there; `scripts/tools python` makes it", python.display());
    let script = repository().join("tests/tests/deploy/rendered.py");
    run(Command::new(python).arg(script).arg(repository()).arg(env!("CARGO_PKG_VERSION")))?;
    Ok(())
}
