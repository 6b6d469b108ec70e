//! Control groups as the kubelet makes them: on cgroup v2 in the one hierarchy, on v1 under the same path in each.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const ROOT: &str = "/sys/fs/cgroup";

/// Which cgroups the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy a controller (also "hybrid").
    V1,
    /// One hierarchy.
    V2,
}

impl Version {
    /// This machine's.
    pub fn here() -> Self {
        if Path::new(ROOT).join("cgroup.controllers").exists() { Self::V2 } else { Self::V1 }
    }
}

/// A cgroup by its path from the hierarchies' roots.
#[derive(Clone, Debug)]
pub struct Cgroup {
    path: String,
}

impl Cgroup {
    /// The cgroup at `path`, which begins with a slash. It need not exist.
    pub fn at(path: impl Into<String>) -> Self {
        Self { path: path.into() }
    }

    /// A cgroup below this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self { path: format!("{}/{name}", self.path) }
    }

    /// Its path from the hierarchies' roots.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Makes it in the hierarchy that counts memory, with every cgroup above it; on v2 with the controllers that the
    /// kubelet enables.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn create(&self) -> Result<()> {
        let mut directory = memory_hierarchy();
        for component in self.path.trim_matches('/').split('/') {
            if Version::here() == Version::V2 {
                let file = directory.join("cgroup.subtree_control");
                fs::write(&file, "+memory +pids +cpu +cpuset")
                    .with_context(|| format!("enabling controllers in {file:?}"))?;
            }
            directory.push(component);
            match fs::create_dir(&directory) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("creating {directory:?}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Sets its memory limit, in bytes.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn set_memory_limit(&self, bytes: u64) -> Result<()> {
        let file = match Version::here() {
            Version::V1 => "memory.limit_in_bytes",
            Version::V2 => "memory.max",
        };
        let file = self.memory_directory().join(file);
        fs::write(&file, bytes.to_string()).with_context(|| format!("writing {file:?}"))
    }

    /// Its directory in the hierarchy that counts memory.
    pub(crate) fn memory_directory(&self) -> PathBuf {
        memory_hierarchy().join(self.path.trim_start_matches('/'))
    }

    /// Kills every process in and below it, until none is left.
    pub(crate) fn kill(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let pids = self.processes();
            if pids.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "processes of {} do not end: {pids:?}", self.path);
            for pid in pids {
                // It may be gone by now.
                kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Removes it and everything below it from every hierarchy.
    pub(crate) fn remove(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        for directory in self.directories() {
            // Freshly emptied cgroups stay busy for a moment.
            while let Err(error) = remove_tree(&directory) {
                ensure!(Instant::now() < deadline, "removing {directory:?}: {error}");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// Pids of all processes in and below it, in any hierarchy.
    fn processes(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = self.directories().iter().flat_map(|directory| processes_below(directory)).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Its directory in each hierarchy that has one.
    fn directories(&self) -> Vec<PathBuf> {
        let relative = self.path.trim_start_matches('/');
        hierarchies().into_iter().map(|hierarchy| hierarchy.join(relative)).filter(|path| path.is_dir()).collect()
    }
}

/// The names of cgroups directly below the roots.
pub(crate) fn top_level_names() -> Vec<String> {
    let names = hierarchies().into_iter().flat_map(|hierarchy| subdirectories(&hierarchy));
    names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
}

fn memory_hierarchy() -> PathBuf {
    match Version::here() {
        Version::V1 => Path::new(ROOT).join("memory"),
        Version::V2 => PathBuf::from(ROOT),
    }
}

fn hierarchies() -> Vec<PathBuf> {
    match Version::here() {
        Version::V1 => subdirectories(Path::new(ROOT)),
        Version::V2 => vec![PathBuf::from(ROOT)],
    }
}

/// Real directories in `directory`: v1 links `cpu` to `cpu,cpuacct`.
fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

fn processes_below(directory: &Path) -> Vec<i32> {
    let own = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<i32> = own.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect();
    pids.extend(subdirectories(directory).iter().flat_map(|child| processes_below(child)));
    pids
}

fn remove_tree(directory: &Path) -> std::io::Result<()> {
    for child in subdirectories(directory) {
        remove_tree(&child)?;
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
