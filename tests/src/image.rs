//! The tests' image, made without a registry: busybox and the victim, as a `docker save` archive.
//!
//! The format is that of <https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md> and of containerd's importer,
//! `images/archive/importer.go`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;

/// The image of the tests' containers.
pub(crate) const NAME: &str = "localhost/victim:1";
/// The image of the tests' sandboxes: the same, with a command.
pub(crate) const PAUSE: &str = "localhost/pause:1";
/// Names an archive that is already there; set inside the virtual machine, where there is no compiler.
pub(crate) const ARCHIVE_VARIABLE: &str = "CORONER_TESTS_IMAGE";

/// Commands that busybox serves in the image.
const APPLETS: [&str; 6] = ["sh", "sleep", "cat", "echo", "true", "kill"];

/// The archive, built in `directory` unless one is given.
pub(crate) fn archive(directory: &Path) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(ARCHIVE_VARIABLE) {
        return Ok(path.into());
    }
    let image = directory.join("image");
    let root = image.join("root");
    for path in ["bin", "tmp", "etc", "proc", "sys", "dev"] {
        fs::create_dir_all(root.join(path)).with_context(|| format!("creating {path} in {root:?}"))?;
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).context("copying /bin/busybox; is busybox-static installed?")?;
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).with_context(|| format!("linking {applet}"))?;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("victim/victim.c");
    run(Command::new("gcc").args(["-O1", "-static", "-o"]).arg(root.join("bin/victim")).arg(source))?;

    let layer = image.join("layer.tar");
    run(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&layer).arg("."))?;
    let layer_digest = sha256(&layer)?;
    let mut manifest = vec![];
    for (name, command) in [(NAME, &[][..]), (PAUSE, &["/bin/victim", "sleep"][..])] {
        let config = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": { "Env": ["PATH=/bin"], "Cmd": command },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
        });
        let file = image.join("config.json");
        fs::write(&file, config.to_string()).context("writing the image's config")?;
        let config_name = format!("{}.json", sha256(&file)?);
        fs::rename(&file, image.join(&config_name)).context("naming the image's config")?;
        manifest.push(json!({ "Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"] }));
    }
    fs::write(image.join("manifest.json"), json!(manifest).to_string()).context("writing the image's manifest")?;
    let archive = directory.join("image.tar");
    run(Command::new("tar").arg("-C").arg(&image).arg("-cf").arg(&archive).args(["--exclude=./root", "."]))?;
    Ok(archive)
}

fn sha256(file: &Path) -> Result<String> {
    let output = run(Command::new("sha256sum").arg(file))?;
    output.split_whitespace().next().map(str::to_owned).context("sha256sum printed nothing")
}

/// Runs a command to its end and gives what it printed; fails, with that, if it fails.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("starting {name}; `make test` installs what is missing"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed ({}): {error}{text}", output.status);
    Ok(text)
}
