//! Puts the revision of the sources into the version of the programs: from `CORONER_REVISION`, else from git in builds
//! with optimization; others would be made again after each commit. Without either, as when built from an archive, the
//! version has none.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=CORONER_REVISION");
    // Without a file to watch, Cargo would watch all of the package.
    println!("cargo::rerun-if-changed=Cargo.toml");
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let given = env::var("CORONER_REVISION").ok().filter(|revision| !revision.is_empty());
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let version = match given.or_else(|| if is_release { of_git() } else { None }) {
        Some(revision) => format!("{version} ({revision})"),
        None => version,
    };
    println!("cargo::rustc-env=CORONER_VERSION={version}");
}

/// The commit that is checked out, if this package belongs to it: an unpacked archive may lie within another
/// repository.
fn of_git() -> Option<String> {
    git(&["ls-files", "--error-unmatch", "Cargo.toml"])?;
    // The log grows with every commit and every checkout. Where git keeps none, a checkout of another branch changes
    // HEAD. A file that does not exist would have the script run at every build.
    let mut watched = ["logs/HEAD", "HEAD"].into_iter().filter_map(|file| git(&["rev-parse", "--git-path", file]));
    if let Some(file) = watched.find(|file| Path::new(file).exists()) {
        println!("cargo::rerun-if-changed={file}");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
