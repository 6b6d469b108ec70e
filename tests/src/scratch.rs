//! Everything that a test leaves on the machine stands under one name: a directory and a cgroup. So all of it can be
//! found and removed, by the test itself, or by a later one where a test was killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use nix::mount::{MntFlags, umount2};

use crate::cgroup::{self, Cgroup};

const PREFIX: &str = "coroner-tests-";

/// One test's place on the machine; dropped, it is as if it had never been.
#[derive(Debug)]
pub struct Scratch {
    name: String,
}

impl Scratch {
    /// A new place. Removes what tests that were killed have left.
    ///
    /// # Errors
    /// That this is not root, or what the kernel refused.
    pub fn new() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        ensure!(nix::unistd::geteuid().is_root(), "these tests make containers and cgroups, so they must run as root");
        remove_leftovers();
        let pid = std::process::id();
        let start = start_time(pid).context("reading the test's own /proc/PID/stat")?;
        let name = format!("{PREFIX}{pid}-{start}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        fs::create_dir(directory(&name)).with_context(|| format!("creating {:?}", directory(&name)))?;
        let scratch = Self { name };
        scratch.daemons().create()?;
        scratch.kubepods().create()?;
        Ok(scratch)
    }

    /// Its directory.
    pub fn directory(&self) -> PathBuf {
        directory(&self.name)
    }

    /// Where the daemons run.
    pub fn daemons(&self) -> Cgroup {
        top(&self.name).child("system")
    }

    /// Where the pods run, as under a kubelet with a `--cgroup-root` of its own.
    pub fn kubepods(&self) -> Cgroup {
        top(&self.name).child("kubepods")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!("cleaning up after {}: {error:#}", self.name);
        }
    }
}

fn directory(name: &str) -> PathBuf {
    Path::new("/tmp").join(name)
}

fn top(name: &str) -> Cgroup {
    Cgroup::at(format!("/{name}"))
}

/// Ends the containers first, while their shims are there to reap them.
fn remove(name: &str) -> Result<()> {
    let cgroup = top(name);
    cgroup.child("kubepods").kill()?;
    cgroup.kill()?;
    remove_shim_sockets(&directory(name));
    unmount_below(&directory(name))?;
    cgroup.remove()?;
    match fs::remove_dir_all(directory(name)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {:?}", directory(name)))
        }
        _ => Ok(()),
    }
}

/// A shim that was killed leaves its socket, which stands outside of containerd's own directories.
fn remove_shim_sockets(directory: &Path) {
    let states =
        ["state/io.containerd.runtime.v2.task/k8s.io", "exec/containerd/daemon/io.containerd.runtime.v2.task/moby"];
    let bundles = states.into_iter().flat_map(|state| fs::read_dir(directory.join(state)));
    for bundle in bundles.flatten().flatten() {
        let address = fs::read_to_string(bundle.path().join("address")).unwrap_or_default();
        if let Some(socket) = address.trim().strip_prefix("unix://") {
            // One shim serves all containers of a pod.
            fs::remove_file(socket).ok();
        }
    }
}

fn unmount_below(directory: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("reading /proc/self/mounts")?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
    let mut points: Vec<&Path> = points.filter(|point| point.starts_with(directory)).collect();
    points.reverse();
    for point in points {
        umount2(point, MntFlags::MNT_DETACH).with_context(|| format!("unmounting {point:?}"))?;
    }
    Ok(())
}

fn remove_leftovers() {
    let directories = fs::read_dir("/tmp").into_iter().flatten().flatten();
    let names = directories.filter_map(|entry| entry.file_name().into_string().ok()).chain(cgroup::top_level_names());
    let mut dead: Vec<String> = names.filter(|name| owner_is_dead(name)).collect();
    dead.sort();
    dead.dedup();
    for name in dead {
        // Another test may be at the same.
        if let Err(error) = remove(&name) {
            eprintln!("cleaning up after {name}, whose test was killed: {error:#}");
        }
    }
}

fn owner_is_dead(name: &str) -> bool {
    let Some(owner) = name.strip_prefix(PREFIX) else { return false };
    let mut parts = owner.split('-').map(str::parse::<u64>);
    let (Some(Ok(pid)), Some(Ok(start))) = (parts.next(), parts.next()) else { return false };
    u32::try_from(pid).is_ok_and(|pid| start_time(pid) != Some(start))
}

/// Start time of a process in clock ticks since boot: with the pid it names a process for good.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, field 2, may contain anything; field 22 is the 20th after it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}
