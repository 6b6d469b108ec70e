//! What a release consists of, made from programs that stand for those of each platform.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::image::{PROGRAMS, run};
use super::repository;

/// What has a place of its own in a release.
const PLATFORMS: [&str; 4] = ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"];
/// The beginning of a Mach-O file: the magic number, and the CPU.
const MACH_O: [(&str, [u8; 8]); 2] =
    [("darwin-amd64", [0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1]), ("darwin-arm64", [0xcf, 0xfa, 0xed, 0xfe, 12, 0, 0, 1])];

/// Debian's C library for an architecture, as it was unpacked for the image.
fn libc(architecture: &str) -> Result<PathBuf> {
    let lib = repository().join("target/tools/libc").join(architecture).join("lib");
    let directory = fs::read_dir(&lib).with_context(|| format!("{}: `scripts/tools libc` makes it", lib.display()))?;
    let mut directories = directory.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    directories.retain(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    Ok(directories.pop().context("no libraries")?.join("libc.so.6"))
}

/// Programs for each platform, as `deploy/release` takes them. Those for Linux are real: the C library itself, which
/// prints its version.
fn programs(directory: &Path) -> Result<Vec<String>> {
    for platform in PLATFORMS {
        let place = directory.join(platform);
        fs::create_dir(&place)?;
        if let Some((_, header)) = MACH_O.iter().find(|(name, _)| *name == platform) {
            fs::write(place.join("coroner"), [header.as_slice(), &[0; 24]].concat())?;
        }
        if let Some(architecture) = platform.strip_prefix("linux-") {
            for name in PROGRAMS {
                fs::copy(libc(architecture)?, place.join(name))?;
            }
        }
    }
    Ok(PLATFORMS.map(|platform| format!("{platform}={}", directory.join(platform).display())).to_vec())
}

/// Makes a release.
fn release(destination: &Path, programs: &[String]) -> Result<String> {
    run(Command::new(repository().join("deploy/release")).arg(destination).args(programs))
}

/// Lays out what a container would have for its root, from the image's layers for this platform.
fn unpacked(image: &Path, architecture: &str) -> Result<PathBuf> {
    let blob = |descriptor: &Value| -> Result<PathBuf> {
        Ok(image.join("blobs").join(descriptor["digest"].as_str().context("a digest")?.replace(':', "/")))
    };
    let read = |path: &Path| -> Result<Value> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
    let index = read(&blob(&read(&image.join("index.json"))?["manifests"][0])?)?;
    let manifests = index["manifests"].as_array().context("the index has no manifests")?;
    ensure!(manifests.len() == 2, "{index:#}");
    let platform = json!({"architecture": architecture, "os": "linux"});
    let of_platform = |found: &&Value| ["architecture", "os"].iter().all(|key| found["platform"][key] == platform[key]);
    let manifest = read(&blob(manifests.iter().find(of_platform).context("its manifest")?)?)?;
    let config = read(&blob(&manifest["config"])?)?;
    ensure!(config["architecture"] == architecture && config["config"]["User"] == "65532:65532", "{config:#}");
    let root = image.join("root").join(architecture);
    fs::create_dir_all(&root)?;
    for layer in manifest["layers"].as_array().context("layers")? {
        run(Command::new("tar").arg("-xf").arg(blob(layer)?).arg("-C").arg(&root))?;
    }
    Ok(root)
}

#[test]
fn a_release_has_archives_image_chart_sbom_and_checksums_and_is_reproducible() -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let [made, first, second] = [TempDir::new()?, TempDir::new()?, TempDir::new()?];
    let programs = programs(made.path())?;
    for directory in [&first, &second] {
        release(directory.path(), &programs)?;
    }
    let sums = fs::read_to_string(first.path().join("SHA256SUMS"))?;
    ensure!(sums == fs::read_to_string(second.path().join("SHA256SUMS"))?, "not the same bytes:\n{sums}");
    let image = format!("coroner-image-{version}.tar");
    let archives = PLATFORMS.map(|platform| format!("coroner-{platform}.tar.gz"));
    let others =
        [image.clone(), format!("coroner-{version}.tgz"), format!("coroner-{version}.cdx.json"), "krew.yaml".into()];
    for file in archives.iter().chain(&others) {
        ensure!(sums.contains(&format!("  {file}\n")), "{file} is not among\n{sums}");
    }
    run(Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(first.path()))?;

    let krew = fs::read_to_string(first.path().join("krew.yaml"))?;
    let archive = sums.lines().find_map(|line| line.strip_suffix("  coroner-linux-amd64.tar.gz")).context("its sum")?;
    ensure!(krew.contains("from: kubectl_complete-coroner"), "{krew}");
    ensure!(krew.contains(archive) && !krew.contains("SHA256_") && krew.contains("darwin"), "{krew}");
    let listed = run(Command::new("tar").arg("-tzf").arg(first.path().join("coroner-linux-amd64.tar.gz")))?;
    ensure!(listed.lines().collect::<Vec<_>>() == ["coroner", "kubectl_complete-coroner", "LICENSE"], "{listed}");
    let chart = run(Command::new("tar").arg("-tzf").arg(first.path().join(format!("coroner-{version}.tgz"))))?;
    ensure!(chart.lines().any(|line| line == "coroner/Chart.yaml"), "{chart}");

    let bom: Value = serde_json::from_slice(&fs::read(first.path().join(format!("coroner-{version}.cdx.json")))?)?;
    let components = bom["components"].as_array().context("components")?;
    let named = |name: &str| components.iter().find(|component| component["name"] == name);
    ensure!(named("tonic").is_some_and(|tonic| tonic["hashes"][0]["content"].as_str().is_some_and(|c| c.len() == 64)));
    ensure!(named("proptest").is_none() && named("coroner-tests").is_none(), "what only tests need is in the SBOM");
    ensure!(named("security-framework").is_some(), "what only macOS needs is not in the SBOM");
    ensure!(components.iter().filter(|component| component["name"] == "libc6").count() == 2, "the image's C library");

    let unpack = made.path().join("image");
    fs::create_dir(&unpack)?;
    run(Command::new("tar").arg("-xf").arg(first.path().join(image)).arg("-C").arg(&unpack))?;
    let emulated = unpacked(&unpack, "arm64")?;
    for printed in [
        run(Command::new("chroot")
            .arg(unpacked(&unpack, "amd64")?)
            .arg("coroner-agent")
            .env("PATH", "/usr/sbin:/usr/bin"))?,
        run(Command::new("qemu-aarch64-static").arg("-L").arg(&emulated).arg(emulated.join("usr/bin/coroner-agent")))?,
    ] {
        ensure!(printed.starts_with("GNU C Library"), "{printed}");
    }
    Ok(())
}

#[test]
fn a_release_without_a_platform_does_not_offer_it_and_one_of_another_platform_is_refused() -> Result<()> {
    let [made, files] = [TempDir::new()?, TempDir::new()?];
    let programs = programs(made.path())?;
    release(files.path(), &programs[3..])?;
    let krew = fs::read_to_string(files.path().join("krew.yaml"))?;
    ensure!(krew.matches("uri:").count() == 1 && krew.contains("darwin-arm64"), "{krew}");
    let names = fs::read_dir(files.path())?.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
    ensure!(!names.iter().any(|name| name.to_string_lossy().contains("image")), "{names:?}");
    for (name, other) in [("linux-amd64", 1), ("linux-arm64", 0), ("darwin-amd64", 3), ("darwin-arm64", 2)] {
        let (_, of_other) = programs[other].split_once('=').context("PLATFORM=DIRECTORY")?;
        let refusal = release(files.path(), &[format!("{name}={of_other}")]).expect_err("it was taken").to_string();
        ensure!(refusal.contains(&format!("is no program for {name}")), "{refusal}");
    }
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
