//! The processes of containers, as /proc shows them.
//!
//! All of a process is read through one open directory, so that a pid which is used again meanwhile is never mixed up:
//! reading then fails with ESRCH.

use std::{collections::BTreeSet, fs::File, io::Read, path::PathBuf};

use coroner_diagnosis::observation::{
    cgroup::{Level, Path},
    process::Process,
    trace::SenderProcess,
};
use procfs::process::{Process as Entry, Stat, Status, all_processes_with_root};

use super::{followed::Followed, namespace};
use crate::{
    host::HostRoot,
    sources::worker::{End, unreadable},
};

/// More than any process' cgroup file: at most 13 controllers of v1, each with a path of at most 4 KiB.
const CGROUP_FILE_MAX: u64 = 64 * 1024;

/// Bytes of a process' file `stat` with all up to the number of its threads: a name, which the kernel cuts to 64 bytes,
/// and 19 numbers.
const BRIEF: usize = 512;

/// Processes in uninterruptible sleep that are looked at.
const SLEEPING_MAX: usize = 256;

/// Reads the node's processes from /proc.
#[derive(Debug)]
pub(crate) struct Processes {
    proc: PathBuf,
    /// Root of the agent's cgroup namespace.
    namespace: String,
}

impl Processes {
    /// A reader of the /proc of this node.
    pub(crate) fn new(host: &HostRoot) -> Self {
        let mut processes = Self { proc: host.proc.clone(), namespace: String::new() };
        let own = processes.entry("self").and_then(|own| shown_cgroup(&own));
        processes.namespace = own.map(|shown| namespace::root(host, &shown)).unwrap_or_default();
        processes
    }

    /// Fails where processes cannot be listed: then none that is looked for counts as gone.
    pub(crate) fn check(&self) -> Result<(), End> {
        let listed = all_processes_with_root(&self.proc);
        listed.map(drop).map_err(|error| End::absent(unreadable(&self.proc, &error)))
    }

    /// All processes that belong to containers now.
    pub(crate) fn all_in_containers(&self) -> Result<impl Iterator<Item = Process>, End> {
        let entries =
            all_processes_with_root(&self.proc).map_err(|error| End::absent(unreadable(&self.proc, &error)))?;
        Ok(entries.filter_map(|entry| self.in_container(&entry.ok()?)))
    }

    /// The process, if it is there and belongs to a container. On v2 a zombie still does; v1 shows the root for what
    /// exits (`proc_cgroup_show()` of `kernel/cgroup/cgroup.c`).
    pub(crate) fn find_in_container(&self, pid: i32) -> Option<Process> {
        self.in_container(&self.entry(pid)?)
    }

    fn in_container(&self, entry: &Entry) -> Option<Process> {
        let cgroup = self.cgroup(entry)?;
        if !matches!(cgroup.level(), Level::Container { .. }) {
            return None;
        }
        // In this order: SIGKILL is pending until the process exits.
        let status = entry.status().ok();
        let stat = entry.stat().ok()?;
        Some(Process {
            ending: is_ending(&stat, status.as_ref()),
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

    /// The name of a thread, if it is still there.
    pub(crate) fn name_of_thread(&self, tid: i32) -> Option<String> {
        let name = std::fs::read(self.proc.join(tid.to_string()).join("comm")).ok()?;
        Some(String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned())
    }

    /// Whether the process that started then has ended, rather than only its first thread: it is gone, or only its
    /// zombie is left.
    pub(crate) fn has_ended(&self, pid: i32, start_ticks: Option<u64>) -> bool {
        let Some(stat) = self.entry(pid).and_then(|entry| entry.stat().ok()) else { return true };
        let another = start_ticks.is_some_and(|start_ticks| start_ticks != stat.starttime);
        another || has_exited(&stat)
    }

    /// Whether a process is exiting, or is gone.
    pub(crate) fn is_ending(&self, pid: i32) -> bool {
        self.entry(pid).and_then(|entry| entry.stat().ok()).is_none_or(|stat| is_ending(&stat, None))
    }

    /// A process, to be followed from now on, unless it has ended.
    pub(crate) fn follow(&self, pid: i32) -> Option<Followed> {
        Followed::open(&self.proc, pid)
    }

    /// The processes with the first of these names that any has, the oldest first. Those of pods are not among them:
    /// they may call themselves anything.
    pub(crate) fn find_daemons(&self, names: &[&str]) -> Vec<Followed> {
        let named = self.briefly().filter(|brief| names.iter().any(|name| brief.has_name(name.as_bytes())));
        let named = named.filter_map(|brief| {
            let entry = self.entry(brief.pid)?;
            let comm = entry.stat().ok()?.comm;
            let rank = names.iter().position(|name| *name == comm)?;
            let is_in_pod = self.cgroup(&entry).is_some_and(|path| path.pod_uid().is_some());
            let process = self.follow(brief.pid).filter(|_| !is_in_pod)?;
            Some((rank, process))
        });
        let mut found: Vec<_> = named.collect();
        found.sort_by_key(|(rank, process)| (*rank, process.start_ticks, process.pid));
        let first = found.first().map(|(rank, _)| *rank);
        found.into_iter().filter(|(rank, _)| Some(*rank) == first).map(|(_, process)| process).collect()
    }

    /// The threads that are in uninterruptible sleep now: of those of `known`, of first threads, and of the others if
    /// their process is being ended or they are searched `everywhere`, which takes longer. Only files are read that do
    /// not wait for the process' memory.
    pub(crate) fn in_uninterruptible_sleep(&self, known: impl Iterator<Item = i32>, everywhere: bool) -> Vec<Sleeping> {
        let mut threads: BTreeSet<i32> = known.collect();
        for brief in self.briefly() {
            let state = brief.state();
            if state == Some(b'D') {
                threads.insert(brief.pid);
            } else if (everywhere || state == Some(b'Z')) && brief.thread_count() > 1 {
                let others = read(&self.proc.join(brief.pid.to_string()).join("task"));
                threads.extend(others.filter(|other| other.state() == Some(b'D')).map(|other| other.pid));
            }
        }
        threads.into_iter().filter_map(|thread| self.sleeping(thread)).take(SLEEPING_MAX).collect()
    }

    /// A thread, if it is in uninterruptible sleep.
    fn sleeping(&self, thread: i32) -> Option<Sleeping> {
        let entry = self.entry(thread)?;
        let stat = entry.stat().ok().filter(|stat| stat.state == 'D')?;
        // "0" where the kernel does not show it.
        let wait_channel = entry.wchan().ok().filter(|channel| channel != "0").unwrap_or_default();
        let pod_uid = self.cgroup(&entry).and_then(|path| path.pod_uid()).unwrap_or_default();
        let pid = entry.status().ok()?.tgid;
        Some(Sleeping { pid, thread, start_ticks: stat.starttime, name: stat.comm, wait_channel, pod_uid })
    }

    /// All processes, with as much of each as is cheap to read.
    fn briefly(&self) -> impl Iterator<Item = Brief> {
        read(&self.proc)
    }

    fn entry(&self, name: impl ToString) -> Option<Entry> {
        Entry::new_with_root(self.proc.join(name.to_string())).ok()
    }

    /// The process' cgroup, of the memory controller on v1, else the one of v2, from the root of the hierarchy.
    fn cgroup(&self, entry: &Entry) -> Option<Path> {
        Some(Path(namespace::resolve(&self.namespace, &shown_cgroup(entry)?)))
    }
}

/// All that are listed in a directory of /proc.
fn read(directory: &std::path::Path) -> impl Iterator<Item = Brief> + use<> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut path = directory.join("pid/stat");
    entries.filter_map(move |entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        path.pop();
        path.set_file_name(entry.file_name());
        path.push("stat");
        Brief::read(pid, &path)
    })
}

/// A process or thread with the beginning of its file `stat`: `pid (name) state …`, where the name may contain anything
/// but a NUL.
struct Brief {
    pid: i32,
    stat: [u8; BRIEF],
}

impl Brief {
    fn read(pid: i32, path: &std::path::Path) -> Option<Self> {
        let mut stat = [0; BRIEF];
        // The kernel gives as much as there is at once.
        let length = File::open(path).ok()?.read(&mut stat).ok()?;
        (length > 0).then_some(Self { pid, stat })
    }

    fn has_name(&self, name: &[u8]) -> bool {
        let from = self.stat.iter().position(|byte| *byte == b'(').map_or(0, |at| at + 1);
        let to = self.stat.iter().rposition(|byte| *byte == b')').unwrap_or(0);
        self.stat.get(from..to) == Some(name)
    }

    fn state(&self) -> Option<u8> {
        self.stat.get(self.stat.iter().rposition(|byte| *byte == b')')? + 2).copied()
    }

    /// The twentieth field, `num_threads`; the third is the state.
    fn thread_count(&self) -> u32 {
        let fields = self.stat.rsplit(|byte| *byte == b')').next().unwrap_or_default();
        let count = fields.split(|byte| *byte == b' ').nth(20 - 2);
        count.and_then(|count| std::str::from_utf8(count).ok()?.parse().ok()).unwrap_or(0)
    }
}

/// A thread in uninterruptible sleep.
#[derive(Debug)]
pub(crate) struct Sleeping {
    /// Its process.
    pub(crate) pid: i32,
    pub(crate) thread: i32,
    /// When the thread started, in clock ticks since boot.
    pub(crate) start_ticks: u64,
    /// The thread's.
    pub(crate) name: String,
    /// The kernel function that it waits in; empty where that cannot be read.
    pub(crate) wait_channel: String,
    /// uid of its pod; empty for a process of the host.
    pub(crate) pod_uid: String,
}

/// Only its zombie is left, and no other thread.
fn has_exited(stat: &Stat) -> bool {
    matches!(stat.state, 'Z' | 'X' | 'x') && stat.num_threads <= 1
}

/// Whether it is a zombie, is exiting, or has SIGKILL pending. Of a process whose first thread alone has ended, the
/// others live.
fn is_ending(stat: &Stat, status: Option<&Status>) -> bool {
    /// `include/linux/sched.h`.
    const PF_EXITING: u32 = 0x4;
    const KILL: u64 = 1 << (9 - 1);
    let killed = status.is_some_and(|status| (status.sigpnd | status.shdpnd) & KILL != 0);
    let exiting = matches!(stat.state, 'Z' | 'X' | 'x') || stat.flags & PF_EXITING != 0;
    killed || (exiting && stat.num_threads <= 1)
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

    #[test]
    fn state_and_number_of_threads_are_read_behind_any_name() {
        let brief = |text: &str| {
            let mut stat = [0; BRIEF];
            stat[..text.len()].copy_from_slice(text.as_bytes());
            Brief { pid: 7, stat }
        };
        let stat = "7 (a) D (b)) S 1 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 12 0 5000 1 2";
        assert_eq!((brief(stat).state(), brief(stat).thread_count()), (Some(b'S'), 12));
        assert_eq!((brief("7 (a").state(), brief("7 (a) S 1").thread_count()), (None, 0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(file: Vec<u8>) {
            let _path = parse_cgroup(&file);
        }
    }
}
