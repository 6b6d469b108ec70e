//! The pods of the demo, as a kubelet would leave them on the node: cgroups with limits, and a link to each container's
//! log that names it. Everything lies below one cgroup and one directory of the demo's own, and goes with it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::{Instant, sleep, timeout};

use super::{failed_create, failed_read};
use crate::{exit::Failure, messages::demo};

/// The demo's own cgroup is named so, with its pid.
const PREFIX: &str = "coroner-demo-";
/// The memory limit of each pod and its container.
pub(crate) const MEMORY_LIMIT: u64 = 32 << 20;
/// The namespace of the pods.
pub(crate) const NAMESPACE: &str = "demo";
/// The only container of each pod.
pub(crate) const CONTAINER: &str = "app";
/// Emptied cgroups stay busy for a moment.
const REMOVAL_DEADLINE: Duration = Duration::from_secs(10);
const SHORT_WHILE: Duration = Duration::from_millis(10);

/// Where the cgroups of memory are.
#[derive(Debug)]
enum Hierarchy {
    V1(PathBuf),
    V2(PathBuf),
}

impl Hierarchy {
    fn find() -> Result<Self, Failure> {
        let mounts = Path::new("/proc/self/mounts");
        let mounts = fs::read_to_string(mounts).map_err(failed_read(mounts))?;
        Self::among(&mounts).ok_or_else(|| Failure::unavailable(demo::needs_memory_cgroups()))
    }

    /// The one that counts memory among these mounts: that of v1 if it has one, as v2 has not got it then.
    fn among(mounts: &str) -> Option<Self> {
        let mounts: Vec<Vec<&str>> = mounts.lines().map(|line| line.split(' ').collect()).collect();
        let find = |kind: &str, option: Option<&str>| {
            mounts.iter().find_map(|fields| match fields.as_slice() {
                [_, path, fields_kind, options, ..]
                    if *fields_kind == kind
                        && option.is_none_or(|option| options.split(',').any(|found| found == option)) =>
                {
                    Some(PathBuf::from(path))
                }
                _ => None,
            })
        };
        find("cgroup", Some("memory")).map(Self::V1).or_else(|| find("cgroup2", None).map(Self::V2))
    }

    fn root(&self) -> &Path {
        match self {
            Self::V1(path) | Self::V2(path) => path,
        }
    }

    /// Makes a cgroup whose own cgroups will count memory too.
    fn create(&self, path: &Path) -> Result<(), Failure> {
        fs::create_dir(path)
            .map_err(|error| Failure::unavailable(demo::needs_cgroup(path.display().to_string(), error.to_string())))?;
        match self {
            // Always so since Linux 5.11.
            Self::V1(_) => set_if_there(&path.join("memory.use_hierarchy"), "1"),
            Self::V2(_) => Ok(()),
        }
    }

    fn limit_memory(&self, path: &Path) -> Result<(), Failure> {
        let limit = MEMORY_LIMIT.to_string();
        match self {
            Self::V1(_) => {
                set(&path.join("memory.limit_in_bytes"), &limit)?;
                // With memory and swap together: else the victim would be swapped out instead of killed.
                set_if_there(&path.join("memory.memsw.limit_in_bytes"), &limit)
            }
            Self::V2(_) => {
                set(&path.join("memory.max"), &limit)?;
                set_if_there(&path.join("memory.swap.max"), "0")
            }
        }
    }

    /// Lets the cgroups below this one count memory. True if they did not before.
    fn count_below(&self, path: &Path) -> Result<bool, Failure> {
        let Self::V2(_) = self else { return Ok(false) };
        let file = path.join("cgroup.subtree_control");
        let controllers = fs::read_to_string(&file).map_err(failed_read(&file))?;
        if controllers.split_whitespace().any(|controller| controller == "memory") {
            return Ok(false);
        }
        set(&file, "+memory")?;
        Ok(true)
    }
}

/// One pod with its container.
#[derive(Debug)]
pub(crate) struct Pod {
    /// The container's cgroup.
    pub(crate) cgroup: PathBuf,
}

impl Pod {
    /// Pids of the container's processes.
    pub(crate) fn processes(&self) -> Vec<i32> {
        processes(&self.cgroup)
    }
}

/// All pods of the demo.
#[derive(Debug)]
pub(crate) struct Pods {
    hierarchy: Hierarchy,
    top: PathBuf,
    burstable: PathBuf,
    directory: PathBuf,
    /// The root's cgroups did not count memory before.
    changed_root: bool,
    /// Every cgroup that was made, in that order.
    made: Vec<PathBuf>,
}

impl Pods {
    /// The place for pods; nothing is made yet. `directory` takes the logs and their links.
    ///
    /// # Errors
    /// No cgroups count memory here.
    pub(crate) fn new(directory: &Path) -> Result<Self, Failure> {
        let hierarchy = Hierarchy::find()?;
        let top = hierarchy.root().join(format!("{PREFIX}{}", process::id()));
        let burstable = top.join("kubepods/burstable");
        Ok(Self { hierarchy, top, burstable, directory: directory.to_owned(), changed_root: false, made: vec![] })
    }

    /// The kubelet's links to the containers' logs.
    pub(crate) fn container_logs(&self) -> PathBuf {
        self.directory.join("containers")
    }

    /// Makes the cgroups above all pods, and the directories for logs.
    ///
    /// # Errors
    /// One of them cannot be created.
    pub(crate) fn prepare(&mut self) -> Result<(), Failure> {
        for directory in [self.container_logs(), self.directory.join("pods")] {
            fs::create_dir(&directory).map_err(failed_create(&directory))?;
        }
        sweep(self.hierarchy.root());
        self.changed_root = self.hierarchy.count_below(self.hierarchy.root())?;
        for path in [self.top.clone(), self.top.join("kubepods"), self.burstable.clone()] {
            self.create(path)?;
        }
        Ok(())
    }

    /// Makes a pod: its cgroups, and the link that names its container.
    ///
    /// # Errors
    /// One of them cannot be created.
    pub(crate) fn add(&mut self, name: &str) -> Result<Pod, Failure> {
        let pod_uid = random_uuid()?;
        let container_id = format!("{}{}", random_uuid()?, random_uuid()?).replace('-', "");
        let pod = self.burstable.join(format!("pod{pod_uid}"));
        let cgroup = pod.join(&container_id);
        for path in [&pod, &cgroup] {
            self.create(path.clone())?;
            self.hierarchy.limit_memory(path)?;
        }
        let logs = self.directory.join(format!("pods/{NAMESPACE}_{name}_{pod_uid}/{CONTAINER}"));
        let log = logs.join("0.log");
        let link = self.container_logs().join(format!("{name}_{NAMESPACE}_{CONTAINER}-{container_id}.log"));
        fs::create_dir_all(&logs)
            .and_then(|()| fs::write(&log, ""))
            .and_then(|()| symlink(&log, &link))
            .map_err(failed_create(&link))?;
        Ok(Pod { cgroup })
    }

    fn create(&mut self, path: PathBuf) -> Result<(), Failure> {
        if let Some(parent) = path.parent().filter(|parent| parent.starts_with(&self.top)) {
            self.hierarchy.count_below(parent)?;
        }
        self.hierarchy.create(&path)?;
        self.made.push(path);
        Ok(())
    }

    /// Kills whatever still lives in the pods, and removes their cgroups.
    ///
    /// # Errors
    /// They stay in use.
    pub(crate) async fn remove(&mut self) -> Result<(), Failure> {
        let removal = async {
            while let Some(path) = self.made.pop() {
                loop {
                    for pid in processes(&path) {
                        // It may have ended by itself.
                        let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
                    }
                    match fs::remove_dir(&path) {
                        Ok(()) => break,
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                        Err(_) => sleep(SHORT_WHILE).await,
                    }
                }
            }
        };
        let removed = timeout(REMOVAL_DEADLINE, removal).await;
        if removed.is_err() {
            return Err(Failure::error(demo::cgroup_busy(self.top.display().to_string())));
        }
        if std::mem::take(&mut self.changed_root) {
            set(&self.hierarchy.root().join("cgroup.subtree_control"), "-memory")?;
        }
        Ok(())
    }
}

/// Removes the cgroups of demos that were killed. One that has processes is left alone: the kernel refuses to remove
/// it.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            remove_empty(&entry.path());
        }
    }
}

/// Removes a cgroup and those below it, as far as they are empty.
fn remove_empty(path: &Path) {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().is_dir()).for_each(|entry| remove_empty(&entry.path()));
    // What is still in use stays for the next demo.
    let _in_use = fs::remove_dir(path);
}

/// Waits until the container's main process is there.
pub(crate) async fn main_process(pod: &Pod, patience: Duration) -> Option<i32> {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(pid) = pod.processes().first() {
            return Some(*pid);
        }
        sleep(SHORT_WHILE).await;
    }
    None
}

fn processes(cgroup: &Path) -> Vec<i32> {
    let procs = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    procs.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

fn set(file: &Path, value: &str) -> Result<(), Failure> {
    fs::write(file, value).map_err(|error| {
        Failure::unavailable(demo::needs_cgroup_value(file.display().to_string(), value, error.to_string()))
    })
}

fn set_if_there(file: &Path, value: &str) -> Result<(), Failure> {
    if file.exists() { set(file, value) } else { Ok(()) }
}

fn random_uuid() -> Result<String, Failure> {
    let file = Path::new("/proc/sys/kernel/random/uuid");
    Ok(fs::read_to_string(file).map_err(failed_read(file))?.trim().to_owned())
}
