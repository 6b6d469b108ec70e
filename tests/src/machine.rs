//! A virtual machine with a real cgroup v2 kernel: Debian's, started by qemu in software emulation, with containerd,
//! runc and this very test program in its initramfs. Nothing is installed on the machine that runs it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::image::{self, run};

/// What no machine runs, by a part of the name, as listed in `machine/start` too: the tests that start machines, the
/// crowd of thirty containers, and those with many containers one after the other. With processors emulated in software
/// they take minutes, and sandboxes of the crowd were seen to end before their containers were made, for a reason that
/// is not known yet. The node itself runs them.
pub const SKIPPED: [&str; 3] = ["virtual_machine", "thirty_containers", "others_have_lived"];

/// How long the machine may take, boot and tests together. On two processors that nothing else uses, it is a quarter of
/// that.
const PATIENCE: Duration = Duration::from_secs(45 * 60);
/// What `machine/start` prints last.
const END: &str = "coroner-tests: the machine's tests ended with status ";
/// Programs of the node.
const PROGRAMS: [&str; 4] = ["containerd", "containerd-shim-runc-v2", "ctr", "runc"];

/// What a test of the machine came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The test's name.
    pub test: String,
    /// Whether it passed.
    pub passed: bool,
}

/// The output of the machine.
#[derive(Debug)]
pub struct Report {
    /// One for each test that ran, in their order.
    pub outcomes: Vec<Outcome>,
    /// All that the tests printed.
    pub output: String,
}

/// Boots the machine, runs every test of this test program in it but those whose name contains [`SKIPPED`], and gives
/// what came of them.
///
/// # Errors
/// That there is no qemu or no kernel, or that the machine did not get to its end, with the end of its console.
pub fn run_tests() -> Result<Report> {
    let directory = tempfile::tempdir().context("creating a directory for the machine")?;
    let kernel = kernel()?;
    let initramfs = initramfs(directory.path())?;
    let console = directory.path().join("console");
    let output = directory.path().join("output");
    let mut machine = Command::new("qemu-system-x86_64")
        .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"])
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-net", "none"])
        .args(["-append", "console=ttyS0 panic=-1"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .arg("-serial")
        .arg(format!("file:{}", output.display()))
        .stdin(Stdio::null())
        .spawn()
        .context("starting qemu-system-x86_64; `make test` installs it")?;
    let deadline = Instant::now() + PATIENCE;
    let ended = loop {
        if let Some(status) = machine.try_wait().context("waiting for qemu")? {
            break Some(status);
        }
        if Instant::now() > deadline {
            machine.kill().context("ending qemu")?;
            machine.wait().context("waiting for qemu")?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    let console = String::from_utf8_lossy(&fs::read(&console).unwrap_or_default()).into_owned();
    let output = String::from_utf8_lossy(&fs::read(&output).unwrap_or_default()).replace('\r', "");
    if !output.contains(END) {
        let lines: Vec<&str> = console.lines().collect();
        let tail = lines[lines.len().saturating_sub(80)..].join("\n");
        let how = ended.map_or_else(|| format!("not within {PATIENCE:?}"), |status| format!("qemu: {status}"));
        bail!(
            "the machine did not get to the end of its tests ({how})\n--- its console:\n{tail}\n--- its tests:\n{output}"
        );
    }
    Ok(Report { outcomes: output.lines().filter_map(outcome).collect(), output })
}

/// Reads a line of libtest: `test NAME ... ok`.
fn outcome(line: &str) -> Option<Outcome> {
    let (test, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some(Outcome { test: test.trim_end_matches(" - should panic").to_owned(), passed: result == "ok" })
}

/// Debian's kernel for virtual machines.
pub(crate) fn kernel() -> Result<PathBuf> {
    let unpacked = unpacked_kernel()?.join("boot");
    let files = fs::read_dir(&unpacked).with_context(|| format!("reading {unpacked:?}"))?.flatten();
    let kernel = files.map(|file| file.path()).find(|path| path.to_string_lossy().contains("vmlinuz-"));
    kernel.with_context(|| format!("no kernel in {unpacked:?}; remove it to have it downloaded again"))
}

/// The directory of its modules.
pub(crate) fn modules() -> Result<PathBuf> {
    let unpacked = unpacked_kernel()?.join("lib/modules");
    let mut files = fs::read_dir(&unpacked).with_context(|| format!("reading {unpacked:?}"))?.flatten();
    Ok(files.next().with_context(|| format!("no modules in {unpacked:?}"))?.path().join("kernel"))
}

/// What Debian's package of the kernel contains, downloaded once and unpacked, not installed.
fn unpacked_kernel() -> Result<PathBuf> {
    ensure!(cfg!(target_arch = "x86_64"), "the virtual machine is an x86_64 one so far");
    let cache = target_directory()?.join("coroner-tests");
    fs::create_dir_all(&cache).with_context(|| format!("creating {cache:?}"))?;
    let unpacked = cache.join("linux");
    if !unpacked.exists() {
        let download = tempfile::tempdir_in(&cache).context("creating a directory for the kernel's download")?;
        let package = download_kernel(download.path()).or_else(|_| {
            run(Command::new("apt-get").args(["update", "-qq"]))?;
            download_kernel(download.path())
        })?;
        let root = download.path().join("root");
        run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&root))?;
        // Another test program may have been faster.
        if let Err(error) = fs::rename(&root, &unpacked)
            && !unpacked.exists()
        {
            return Err(error).context("keeping the kernel");
        }
    }
    Ok(unpacked)
}

fn download_kernel(directory: &Path) -> Result<PathBuf> {
    let depends = run(Command::new("apt-cache").args(["depends", "linux-image-cloud-amd64"]))?;
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.context("Debian's package linux-image-cloud-amd64 names no kernel; is this Debian?")?;
    run(Command::new("apt-get").args(["download", "-qq", package]).current_dir(directory))?;
    let files = fs::read_dir(directory).with_context(|| format!("reading {directory:?}"))?.flatten();
    let mut packages = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|kind| kind == "deb"));
    packages.next().context("apt-get download left no package")
}

/// Everything that the machine runs, as one cpio archive.
fn initramfs(directory: &Path) -> Result<PathBuf> {
    let root = directory.join("root");
    let tests = root.join("tests/deps");
    for path in ["bin", "lib", "lib64", "etc"] {
        fs::create_dir_all(root.join(path)).with_context(|| format!("creating {path} in {root:?}"))?;
    }
    fs::create_dir_all(&tests).with_context(|| format!("creating {tests:?}"))?;
    // containerd copies these into every sandbox.
    for file in ["hosts", "resolv.conf", "passwd"] {
        fs::write(root.join("etc").join(file), "").with_context(|| format!("creating {file}"))?;
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).context("copying /bin/busybox; is busybox-static installed?")?;
    for program in PROGRAMS {
        let path = run(Command::new("sh").args(["-c", "command -v \"$0\"", program]))?;
        add_program(&root, Path::new(path.trim()), &root.join("bin").join(program))?;
    }
    for program in [crate::coroner::agent()?, crate::coroner::aggregator()?, crate::coroner::command_line()?] {
        let name = program.file_name().context("a program has a name")?.to_owned();
        add_program(&root, &program, &root.join("tests").join(name))?;
    }
    add_program(&root, &std::env::current_exe().context("finding the test program")?, &tests.join("node"))?;
    let archive = image::archive(directory)?;
    fs::copy(&archive, root.join("tests/image.tar")).context("copying the tests' image")?;
    add_script(&root, "init", include_str!("../machine/init"))?;
    add_script(&root, "start", include_str!("../machine/start"))?;
    let initramfs = directory.join("initramfs");
    pack(&root, &initramfs)?;
    Ok(initramfs)
}

/// Writes a script.
pub(crate) fn add_script(root: &Path, name: &str, text: &str) -> Result<()> {
    let path = root.join(name);
    fs::write(&path, text).with_context(|| format!("writing {path:?}"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).with_context(|| format!("making {path:?} executable"))
}

/// Packs a directory as an initramfs.
pub(crate) fn pack(root: &Path, initramfs: &Path) -> Result<()> {
    let mut archiver = Command::new("sh");
    archiver.args(["-c", r#"find . | cpio --create --format=newc --quiet > "$0""#]).arg(initramfs).current_dir(root);
    run(&mut archiver)?;
    Ok(())
}

/// Copies a program without its debug information, and the libraries that it loads, to the places where it expects
/// them.
pub(crate) fn add_program(root: &Path, from: &Path, to: &Path) -> Result<()> {
    run(Command::new("strip").arg("--strip-debug").arg("-o").arg(to).arg(from))?;
    let libraries = run(Command::new("ldd").arg(from))?;
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let place = root.join(library.trim_start_matches('/'));
        if !place.exists() {
            fs::create_dir_all(place.parent().context("a library has a directory")?)
                .context("creating a library's directory")?;
            fs::copy(library, &place).with_context(|| format!("copying {library}"))?;
        }
    }
    Ok(())
}

/// Cargo's target directory, from the test program's own place in it: `target/PROFILE/deps/PROGRAM`.
///
/// # Errors
/// That it does not stand there.
pub fn target_directory() -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding the test program")?;
    program.ancestors().nth(3).map(Path::to_owned).context("the test program does not stand in a target directory")
}
