//! What a release consists of, made from the programs of this build.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::image::run;
use super::{program, repository};

#[test]
fn a_release_has_archives_chart_sbom_and_checksums_and_is_reproducible() -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let [first, second] = [TempDir::new()?, TempDir::new()?];
    for directory in [&first, &second] {
        let platform = format!("linux-amd64={}", program("coroner")?.display());
        run(Command::new(repository().join("deploy/release")).arg(directory.path()).arg(platform))?;
    }
    let sums = fs::read_to_string(first.path().join("SHA256SUMS"))?;
    ensure!(sums == fs::read_to_string(second.path().join("SHA256SUMS"))?, "not the same bytes:\n{sums}");
    for file in ["coroner-linux-amd64.tar.gz", &format!("coroner-{version}.tgz"), "krew.yaml"] {
        ensure!(sums.contains(file), "{file} is not among\n{sums}");
    }
    run(Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(first.path()))?;

    let krew = fs::read_to_string(first.path().join("krew.yaml"))?;
    let archive = sums.lines().find_map(|line| line.strip_suffix("  coroner-linux-amd64.tar.gz")).context("its sum")?;
    ensure!(krew.contains("from: kubectl_complete-coroner"), "{krew}");
    ensure!(krew.contains(archive) && !krew.contains("SHA256_") && !krew.contains("darwin"), "{krew}");
    let listed = run(Command::new("tar").arg("-tzf").arg(first.path().join("coroner-linux-amd64.tar.gz")))?;
    ensure!(listed.lines().collect::<Vec<_>>() == ["coroner", "kubectl_complete-coroner", "LICENSE"], "{listed}");
    let chart = run(Command::new("tar").arg("-tzf").arg(first.path().join(format!("coroner-{version}.tgz"))))?;
    ensure!(chart.lines().any(|line| line == "coroner/Chart.yaml"), "{chart}");

    let bom: Value = serde_json::from_slice(&fs::read(first.path().join(format!("coroner-{version}.cdx.json")))?)?;
    let components = bom["components"].as_array().context("components")?;
    let named = |name: &str| components.iter().find(|component| component["name"] == name);
    ensure!(named("tonic").is_some_and(|tonic| tonic["hashes"][0]["content"].as_str().is_some_and(|c| c.len() == 64)));
    ensure!(named("proptest").is_none() && named("coroner-tests").is_none(), "what only tests need is in the SBOM");
    Ok(())
}

#[test]
fn the_context_of_the_image_has_every_crate_of_the_workspace() -> Result<()> {
    let cargo = fs::read_to_string(repository().join("Cargo.toml"))?;
    let members =
        cargo.lines().find_map(|line| line.strip_prefix("members = [")?.strip_suffix(']')).context("members")?;
    let ignored = fs::read_to_string(repository().join(".dockerignore"))?;
    for member in members.split(", ").map(|member| member.trim_matches('"')).filter(|member| *member != "tests") {
        ensure!(ignored.lines().any(|line| line == format!("!{member}")), "{member} is not in the build context");
    }
    Ok(())
}
