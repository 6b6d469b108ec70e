//! The bans of `deny.toml` that matter most, held without cargo-deny: over what is built, not over Cargo.lock, which
//! also names crates that only an unused feature would bring in.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Name to versions of every crate that the workspace builds on this machine, for these kinds of dependencies;
/// `more` are arguments of `cargo tree`.
fn built_crates(edges: &str, more: &[&str]) -> Result<BTreeMap<String, Vec<String>>> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--offline", "--prefix=none", "--format={p}"])
        .arg(format!("--edges={edges}"))
        .args(more)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .context("start cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let mut crates = BTreeMap::<String, Vec<String>>::new();
    for line in String::from_utf8(output.stdout)?.lines().filter(|line| !line.is_empty()) {
        let (name, rest) = line.split_once(" v").with_context(|| format!("no version in {line:?}"))?;
        let version = rest.split(' ').next().unwrap_or(rest);
        let versions = crates.entry(name.to_owned()).or_default();
        if !versions.iter().any(|known| known == version) {
            versions.push(version.to_owned());
        }
    }
    Ok(crates)
}

#[test]
fn one_tls_is_built_and_one_type_of_time_but_where_a_library_has_its_own() -> Result<()> {
    let crates = built_crates("normal,build,dev", &[])?;
    ensure!(crates.contains_key("aws-lc-rs") && crates.contains_key("jiff"), "not the tree of this workspace");
    for banned in ["openssl", "openssl-sys", "native-tls", "ring", "chrono"] {
        ensure!(!crates.contains_key(banned), "{banned} is built; `cargo tree -i {banned}` shows for which crate");
    }
    // rcgen dates the certificates of tests, and the aggregator's client of JetStream its messages, by another one.
    let others = built_crates("normal,build", &["--exclude=coroner-tests", "--exclude=coroner-aggregator"])?;
    ensure!(!others.contains_key("time"), "time is built; `cargo tree -i time` shows for which crate");
    Ok(())
}

#[test]
fn the_wire_is_built_once() -> Result<()> {
    let crates = built_crates("normal,build,dev", &[])?;
    for name in ["tonic", "prost", "hyper", "h2", "http", "rustls", "tokio"] {
        let versions = crates.get(name).with_context(|| format!("{name} is not built at all"))?;
        ensure!(versions.len() == 1, "{name} is built in the versions {versions:?}");
    }
    Ok(())
}
