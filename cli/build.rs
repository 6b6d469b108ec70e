//! Puts the revision of the sources into the program's version: from `CORONER_REVISION`, else from git. Without either,
//! as when built from an archive, the version has none.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=CORONER_REVISION");
    println!("cargo::rerun-if-changed=build.rs");
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let given = env::var("CORONER_REVISION").ok().filter(|revision| !revision.is_empty());
    let version = match given.or_else(of_git) {
        Some(revision) => format!("{version} ({revision})"),
        None => version,
    };
    println!("cargo::rustc-env=CORONER_VERSION={version}");
}

/// The commit that is checked out, if this file belongs to it: an unpacked archive may lie within another repository.
fn of_git() -> Option<String> {
    // It grows with every commit and every checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
