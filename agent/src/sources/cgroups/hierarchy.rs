//! Where the node's cgroups are, and how to read one of them.
//!
//! v1 has a hierarchy a controller, with the same paths in each; v2 has one; hybrid nodes have both, and memory stands
//! in one of them. Mirrors `Documentation/admin-guide/cgroup-v1/memory.rst` and `cgroup-v2.rst`.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use coroner_diagnosis::{
    messages::{Message, health},
    observation::cgroup::Sample,
};

/// What is read of one file. The longest is `cgroup.procs`: so much holds some 9000 pids.
const MAX_FILE: u64 = 64 << 10;

/// Which kind of hierarchy memory is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// The cgroup hierarchies that are read: v2, or those of v1.
#[derive(Debug)]
pub(crate) struct Hierarchy {
    pub(super) version: Version,
    /// Whether the kernel counts memory by cgroup.
    pub(super) counts_memory: bool,
    memory: PathBuf,
    cpu: PathBuf,
    pids: PathBuf,
}

impl Hierarchy {
    /// Finds the hierarchies below the node's /sys; an error names what is missing.
    pub(crate) fn find(sys: &Path) -> Result<Self, Message> {
        let root = sys.join("fs/cgroup");
        let memory = root.join("memory");
        if memory.join("memory.limit_in_bytes").exists() || memory.join("memory.usage_in_bytes").exists() {
            let (cpu, pids) = (root.join("cpu"), root.join("pids"));
            return Ok(Self { version: Version::V1, counts_memory: true, memory, cpu, pids });
        }
        for unified in [root.clone(), root.join("unified")] {
            if let Some(controllers) = read(&unified.join("cgroup.controllers")) {
                let counts_memory = controllers.split_whitespace().any(|controller| controller == "memory");
                let (memory, cpu, pids) = (unified.clone(), unified.clone(), unified);
                return Ok(Self { version: Version::V2, counts_memory, memory, cpu, pids });
            }
        }
        Err(health::health_no_cgroups(root.display().to_string()))
    }

    /// The directory of a cgroup in memory's hierarchy.
    pub(crate) fn directory(&self, path: &str) -> PathBuf {
        self.memory.join(path.trim_start_matches('/'))
    }

    /// All files of a cgroup; `None` if it is gone.
    pub(super) fn sample(&self, path: &str) -> Option<Sample> {
        let names = match self.version {
            Version::V1 => Sample::FILES_V1,
            Version::V2 => Sample::FILES_V2,
        };
        let relative = path.trim_start_matches('/');
        let (memory, cpu, pids) = (self.memory.join(relative), self.cpu.join(relative), self.pids.join(relative));
        let mut exists = false;
        let files = names.iter().filter_map(|name| {
            let directory = match name.split('.').next() {
                Some("cpu") => &cpu,
                Some("pids") => &pids,
                _ => &memory,
            };
            let text = read(&directory.join(name))?;
            exists |= directory == &memory;
            Some((*name, text))
        });
        let sample = Sample::from_files(path, files);
        exists.then_some(sample)
    }

    /// The memory that a cgroup uses, in bytes.
    pub(super) fn usage(&self, path: &str) -> Option<u64> {
        self.part(path, &["memory.usage_in_bytes"], &["memory.current"]).memory_usage
    }

    /// The counters of a cgroup's out-of-memory events.
    pub(super) fn counters(&self, path: &str) -> Counters {
        Counters::of(&self.part(path, &["memory.oom_control"], &["memory.events.local", "memory.events"]))
    }

    fn part(&self, path: &str, v1: &[&'static str], v2: &[&'static str]) -> Sample {
        let directory = self.directory(path);
        let names = match self.version {
            Version::V1 => v1,
            Version::V2 => v2,
        };
        Sample::from_files(path, names.iter().filter_map(|name| Some((*name, read(&directory.join(name))?))))
    }
}

/// What counts in a cgroup when memory ran out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    ooms: Option<u64>,
    kills: Option<u64>,
    kills_below: Option<u64>,
    group_kills: Option<u64>,
}

impl Counters {
    pub(super) fn of(sample: &Sample) -> Self {
        Self {
            ooms: sample.ooms,
            kills: sample.oom_kills,
            kills_below: sample.oom_kills_below,
            group_kills: sample.oom_group_kills,
        }
    }
}

/// A file's text; `None` if it is not there, or no longer. A line that was cut off at the end is left out.
fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length == MAX_FILE) {
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n')? + 1);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
