//! The processes of containers, as /proc shows them.
//!
//! All of a process is read through one open directory, so that a pid which is used again meanwhile is never mixed up:
//! reading then fails with ESRCH.

use std::{io::Read, path::PathBuf};

use coroner_diagnosis::observation::{
    cgroup::{Level, Path},
    process::Process,
    trace::SenderProcess,
};
use procfs::process::{Process as Entry, all_processes_with_root};

use super::namespace;
use crate::{host::HostRoot, sources::worker::End};

/// More than any process' cgroup file: at most 13 controllers of v1, each with a path of at most 4 KiB.
const CGROUP_FILE_MAX: u64 = 64 * 1024;

/// The node's processes.
#[derive(Debug)]
pub(crate) struct Processes {
    proc: PathBuf,
    /// Root of the agent's cgroup namespace.
    namespace: String,
}

impl Processes {
    /// Of this node.
    pub(crate) fn new(host: &HostRoot) -> Self {
        let mut processes = Self { proc: host.proc.clone(), namespace: String::new() };
        let own = processes.entry("self").and_then(|own| shown_cgroup(&own));
        processes.namespace = own.map(|shown| namespace::root(host, &shown)).unwrap_or_default();
        processes
    }

    /// All processes that belong to containers now.
    pub(crate) fn all_in_containers(&self) -> Result<impl Iterator<Item = Process>, End> {
        let entries = all_processes_with_root(&self.proc)
            .map_err(|error| End::Absent(format!("listing {}: {error}", self.proc.display())))?;
        Ok(entries.filter_map(|entry| self.in_container(&entry.ok()?)))
    }

    /// The process, if it is there and belongs to a container. A zombie still does.
    pub(crate) fn find_in_container(&self, pid: i32) -> Option<Process> {
        self.in_container(&self.entry(pid)?)
    }

    fn in_container(&self, entry: &Entry) -> Option<Process> {
        let cgroup = self.cgroup(entry)?;
        if !matches!(cgroup.level(), Level::Container { .. }) {
            return None;
        }
        let stat = entry.stat().ok()?;
        let status = entry.status().ok();
        Some(Process {
            pid: stat.pid,
            parent: stat.ppid,
            start_ticks: stat.starttime,
            name: stat.comm,
            namespaced_pid: status.and_then(|status| status.nspid?.last().copied()),
            cgroup: cgroup.0,
        })
    }

    /// Whose thread `tid` is, if it still lives.
    pub(crate) fn owner_of_thread(&self, tid: i32) -> Option<SenderProcess> {
        let thread = self.entry(tid)?;
        Some(SenderProcess {
            pid: thread.status().ok()?.tgid,
            exe: thread.exe().ok().map(|path| path.to_string_lossy().into_owned()),
            cgroup: self.cgroup(&thread).map(|cgroup| cgroup.0),
        })
    }

    /// Whether the process that started then has ended, rather than only its first thread: it is gone, or only its zombie is left.
    pub(crate) fn has_ended(&self, pid: i32, start_ticks: Option<u64>) -> bool {
        let Some(stat) = self.entry(pid).and_then(|entry| entry.stat().ok()) else { return true };
        let another = start_ticks.is_some_and(|start_ticks| start_ticks != stat.starttime);
        another || (matches!(stat.state, 'Z' | 'X' | 'x') && stat.num_threads <= 1)
    }

    /// Whether there is no such process any more, not even its zombie.
    pub(crate) fn is_gone(&self, pid: i32) -> bool {
        !self.proc.join(pid.to_string()).exists()
    }

    fn entry(&self, name: impl ToString) -> Option<Entry> {
        Entry::new_with_root(self.proc.join(name.to_string())).ok()
    }

    /// The process' cgroup, of the memory controller on v1, else the one of v2, from the root of the hierarchy.
    fn cgroup(&self, entry: &Entry) -> Option<Path> {
        Some(Path(namespace::resolve(&self.namespace, &shown_cgroup(entry)?)))
    }
}

/// The same, as seen in the agent's cgroup namespace.
fn shown_cgroup(entry: &Entry) -> Option<String> {
    let mut file = Vec::new();
    entry.open_relative("cgroup").ok()?.take(CGROUP_FILE_MAX).read_to_end(&mut file).ok()?;
    parse_cgroup(&file)
}

/// `/proc/PID/cgroup`: lines of `hierarchy:controllers:path`. Names of cgroups are any bytes but `/` and line ends.
fn parse_cgroup(file: &[u8]) -> Option<String> {
    let mut unified = None;
    for line in file.split(|&byte| byte == b'\n') {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        let (Some(hierarchy), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if controllers.split(|&byte| byte == b',').any(|controller| controller == b"memory") {
            return Some(tidy(path));
        }
        if hierarchy == b"0" && controllers.is_empty() {
            unified = Some(tidy(path));
        }
    }
    unified
}

/// Without what the kernel adds to the path of a removed cgroup.
fn tidy(path: &[u8]) -> String {
    String::from_utf8_lossy(path.strip_suffix(b" (deleted)").unwrap_or(path)).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_memory_controller_of_v1_goes_before_v2() {
        for (file, expected) in [
            ("9:name=systemd:/a\n4:cpu,memory:/kubepods/pod1/c\n0::/u\n", Some("/kubepods/pod1/c")),
            ("0::/kubepods.slice/x.scope\n", Some("/kubepods.slice/x.scope")),
            ("3:cpu:/a\n1:name=systemd:/b\n", None),
            ("0::/../../x:y.scope (deleted)\n", Some("/../../x:y.scope")),
            ("", None),
        ] {
            assert_eq!(parse_cgroup(file.as_bytes()).as_deref(), expected, "{file}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(file: Vec<u8>) {
            let _path = parse_cgroup(&file);
        }
    }
}
