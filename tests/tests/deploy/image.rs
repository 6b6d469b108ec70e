//! The image: its last stage is built by Debian's buildah, without a registry, around the programs of this build. The
//! stage before it, which compiles them, is replaced by a directory that the same script has laid out.

use std::collections::BTreeSet;
use std::env::consts::ARCH;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

use super::{program, repository};

pub(crate) const PROGRAMS: [&str; 3] = ["coroner", "coroner-agent", "coroner-aggregator"];
/// Its name in the store.
pub(crate) const NAME: &str = "localhost/coroner:test";

/// Runs a command to its end and gives what it printed; fails, with that, if it fails.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let Output { status, stdout, stderr } =
        command.output().with_context(|| format!("start {name}; `make test` installs what is missing"))?;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    ensure!(status.success(), "{name}: {status}: {}{stdout}", String::from_utf8_lossy(&stderr));
    Ok(stdout)
}

/// The image, in a store of the test's own.
pub(crate) struct Image {
    store: TempDir,
}

impl Image {
    pub(crate) fn build() -> Result<Self> {
        let image = Self { store: TempDir::new()? };
        let stage = image.store.path().join("stage");
        let mut layout = Command::new(repository().join("deploy/image-root"));
        layout.arg(stage.join("out")).arg(format!("/lib/{ARCH}-linux-gnu"));
        for name in PROGRAMS {
            // Without what only a debugger reads, as the profile of a release leaves it out.
            let stripped = image.store.path().join(name);
            run(Command::new("strip").arg("--strip-debug").arg("-o").arg(&stripped).arg(program(name)?))?;
            layout.arg(stripped);
        }
        run(&mut layout)?;
        run(image
            .buildah()
            .args(["build", "--isolation=chroot", "--target=runtime", "--tag", NAME, "--build-context"])
            .args([format!("build={}", stage.display()), repository().display().to_string()]))?;
        Ok(image)
    }

    fn buildah(&self) -> Command {
        let mut command = Command::new("buildah");
        let path = |name| self.store.path().join(name);
        command.arg("--root").arg(path("root")).arg("--runroot").arg(path("runroot")).args(["--storage-driver=vfs"]);
        command
    }

    /// Writes it to an archive that a runtime can import.
    pub(crate) fn export(&self, archive: &Path) -> Result<()> {
        run(self.buildah().args(["push", NAME]).arg(format!("docker-archive:{}:{NAME}", archive.display())))?;
        Ok(())
    }

    /// A container's root file system, unpacked from it.
    fn root(&self) -> Result<PathBuf> {
        let container = run(self.buildah().args(["from", "--pull-never", NAME]))?;
        Ok(run(self.buildah().arg("mount").arg(container.trim()))?.trim().into())
    }
}

/// Every file below a directory, relative to it.
fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(root)?.to_owned());
            }
        }
    }
    Ok(found)
}

/// Whether a file is the loader or one of the libraries that a Rust program on glibc needs.
fn is_runtime_library(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ["libc.so.6", "libm.so.6", "libgcc_s.so.1"].contains(&name) || name.starts_with("ld-linux-")
}

#[test]
fn the_image_holds_three_programs_their_libraries_and_no_shell() -> Result<()> {
    let image = Image::build()?;
    let mut files = files(&image.root()?)?;
    for expected in
        PROGRAMS.map(|name| format!("usr/bin/{name}")).iter().chain(&["etc/nsswitch.conf".into(), "LICENSE".into()])
    {
        ensure!(files.remove(Path::new(expected)), "{expected} is missing");
    }
    files.retain(|path| !is_runtime_library(path));
    ensure!(files.is_empty(), "not expected in the image: {files:?}");

    let user = run(image.buildah().args(["inspect", "--type=image", "--format={{.OCIv1.Config.User}}", NAME]))?;
    ensure!(user.trim() == "65532:65532", "it runs as {user}");
    Ok(())
}

#[test]
fn the_programs_start_in_the_image() -> Result<()> {
    let image = Image::build()?;
    let root = image.root()?;
    for name in PROGRAMS {
        let version =
            run(Command::new("chroot").arg(&root).arg(name).arg("--version").env("PATH", "/usr/sbin:/usr/bin"))?;
        // The revision follows, where it is known.
        let mut words = version.split_whitespace();
        ensure!((words.next(), words.next()) == (Some(name), Some(env!("CARGO_PKG_VERSION"))), "{version}");
    }
    Ok(())
}

/// The C library has no plug-ins in the image, and must do without: it finds a Service by the search domain that the
/// kubelet writes, through DNS.
#[test]
fn names_are_resolved_in_the_image() -> Result<()> {
    let image = Image::build()?;
    let root = image.root()?;
    fs::write(
        root.join("etc/resolv.conf"),
        "nameserver 127.0.0.1\nsearch coroner.svc.cluster.local\noptions ndots:5\n",
    )?;
    // A thread in a network of its own, where port 53 is free.
    thread::spawn(move || -> Result<()> {
        unshare(CloneFlags::CLONE_NEWNET).context("make a network namespace")?;
        run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
        let dns = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53))?;
        let aggregator = TcpListener::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://coroner-aggregator:{}", aggregator.local_addr()?.port());
        // Ends with the test's process.
        thread::spawn(move || answer(&dns, b"\x12coroner-aggregator\x07coroner\x03svc\x07cluster\x05local\0"));
        let mut client = Command::new("chroot")
            .arg(&root)
            .args(["coroner", "--insecure", "--aggregator", &url, "list"])
            .env("PATH", "/usr/sbin:/usr/bin")
            .spawn()?;
        aggregator.set_nonblocking(true)?;
        // Connected, or given up: whichever comes first ends the wait.
        let connected = loop {
            match aggregator.accept() {
                Ok(_) => break true,
                Err(error) if error.kind() != ErrorKind::WouldBlock => bail!(error),
                Err(_) if client.try_wait()?.is_some() => break aggregator.accept().is_ok(),
                Err(_) => thread::sleep(std::time::Duration::from_millis(5)),
            }
        };
        client.kill().ok();
        client.wait()?;
        ensure!(connected, "the name was not resolved");
        Ok(())
    })
    .join()
    .map_err(|_| anyhow::anyhow!("panicked"))?
}

/// Serves DNS (RFC 1035, 4.1): `name`, as it stands in a packet, is 127.0.0.1; no other name is known.
fn answer(dns: &UdpSocket, name: &[u8]) -> Result<()> {
    loop {
        let mut packet = [0; 512];
        let (length, client) = dns.recv_from(&mut packet)?;
        let question = packet.get(12..length).context("a short question")?;
        let end = question.iter().position(|byte| *byte == 0).context("a name without an end")? + 1;
        let (asked, rest) = question.split_at(end);
        let known = asked == name;
        let is_address = rest.get(..2) == Some(&[0, 1]);
        let found = known && is_address;
        let mut reply = packet[..2].to_vec();
        // An authoritative answer to one question: no error, or NXDOMAIN; with one record, or none.
        reply.extend([0x85, if known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(found), 0, 0, 0, 0]);
        reply.extend(asked.iter().chain(&rest[..4]));
        if found {
            // The name as in the question, A, IN, 60 s.
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        dns.send_to(&reply, client)?;
    }
}
