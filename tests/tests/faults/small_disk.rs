//! A file system of a few MiB on a loop device, which gets full, or read-only by an error of its own.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use coroner_tests::MIB;
use nix::errno::Errno;

/// Mounted below a test's directory, and unmounted with it.
pub(crate) struct SmallDisk {
    image: PathBuf,
    directory: PathBuf,
}

impl SmallDisk {
    /// Makes an ext4 of this size and mounts it there.
    pub(crate) fn mount(directory: PathBuf, mib: u64) -> Result<Self> {
        let image = directory.with_extension("img");
        File::create_new(&image)?.set_len(mib * MIB).with_context(|| format!("making {image:?}"))?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
        fs::create_dir(&directory).with_context(|| format!("making {directory:?}"))?;
        let disk = Self { image, directory };
        disk.attach()?;
        Ok(disk)
    }

    /// A place on it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Leaves no byte free.
    pub(crate) fn fill(&self) -> Result<()> {
        let mut ballast = File::options().create(true).append(true).open(self.ballast())?;
        for size in [1 << 16, 1 << 10, 1] {
            let full = std::iter::repeat_with(|| ballast.write_all(&vec![0; size])).find_map(Result::err);
            ensure!(full.as_ref().is_some_and(|error| error.kind() == ErrorKind::StorageFull), "{full:?}");
        }
        ballast.sync_all().context("bringing the ballast onto the disk")
    }

    /// Takes the ballast away.
    pub(crate) fn free(&self) -> Result<()> {
        fs::remove_file(self.ballast()).context("removing the ballast")
    }

    fn ballast(&self) -> PathBuf {
        self.path("ballast")
    }

    /// Makes the kernel find an error, after which it allows no write, even to open files.
    pub(crate) fn fail(&self) -> Result<()> {
        let device = self.device()?;
        let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        fs::write(&trigger, "a test of coroner").with_context(|| format!("writing {trigger}"))?;
        let refusal = File::create(self.path("probe")).err().and_then(|error| error.raw_os_error());
        ensure!(refusal == Some(Errno::EROFS as i32), "the disk can still be written: {refusal:?}");
        Ok(())
    }

    /// Checks and mounts it again.
    pub(crate) fn repair(&self) -> Result<()> {
        let status = Command::new("e2fsck").args(["-p", "-f"]).arg(&self.image).output().context("starting e2fsck")?;
        // 1: errors were corrected.
        ensure!(matches!(status.status.code(), Some(0 | 1)), "{status:?}");
        self.attach()
    }

    /// Unmounts it; fails while a file of it is open.
    pub(crate) fn detach(&self) -> Result<()> {
        nix::mount::umount(&self.directory).with_context(|| format!("unmounting {:?}", self.directory))
    }

    fn attach(&self) -> Result<()> {
        run(Command::new("mount").args(["-o", "loop,errors=remount-ro"]).arg(&self.image).arg(&self.directory))
    }

    /// Forbids writing, or allows it again; fails while a file of it is open for writing.
    pub(crate) fn set_read_only(&self, is_read_only: bool) -> Result<()> {
        let options = if is_read_only { "remount,ro" } else { "remount,rw" };
        run(Command::new("mount").args(["-o", options]).arg(&self.directory))
    }

    fn device(&self) -> Result<String> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("reading /proc/self/mounts")?;
        let is_ours = |words: &Vec<&str>| words.get(1).is_some_and(|point| Path::new(point) == self.directory);
        let line = mounts.lines().map(|line| line.split(' ').collect()).find(is_ours).context("it is not mounted")?;
        Ok(line[0].trim_start_matches("/dev/").to_owned())
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
