//! The agent in whose container this program runs.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The program of the agent.
pub(super) const AGENT: &str = "coroner-agent";

/// The process of that agent. It is the first of its container, unless that has the pid namespace of the node
/// (`hostPID`, as in the overlay `full`), or of its pod: then it is the one with the mounts of this container. `None`
/// outside of one.
pub(super) fn agent(proc: &Path) -> Option<u32> {
    if is_agent(&proc.join("1")) {
        return Some(1);
    }
    let mounts = |process: PathBuf| fs::read_link(process.join("ns/mnt")).ok();
    let own = mounts(proc.join("self"))?;
    // On the node itself these are the mounts of process 1, and flags of an agent there are given after `--`. From
    // within a container those are others, or may not be read.
    if mounts(proc.join("1")).is_some_and(|first| first == own) {
        return None;
    }
    let pids = fs::read_dir(proc).ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let process = proc.join(pid.to_string());
        is_agent(&process) && mounts(process).is_some_and(|theirs| theirs == own)
    })
    .min()
}

/// Whether a process is an agent, and not another recorder.
fn is_agent(process: &Path) -> bool {
    let command_line = fs::read(process.join("cmdline")).unwrap_or_default();
    let mut words = command_line.split(|byte| *byte == 0).map(OsStr::from_bytes);
    let program = words.next().and_then(|program| Path::new(program).file_name());
    program.is_some_and(|name| name == AGENT) && words.next().is_none_or(|first| first != "record")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A process as /proc shows it; `mounts` is its mount namespace, `None` where it may not be read.
    fn process(proc: &Path, name: &str, mounts: Option<u32>, command_line: &[u8]) {
        fs::create_dir_all(proc.join(name).join("ns")).unwrap();
        fs::write(proc.join(name).join("cmdline"), command_line).unwrap();
        if let Some(mounts) = mounts {
            symlink(format!("mnt:[{mounts}]"), proc.join(name).join("ns/mnt")).unwrap();
        }
    }

    #[test]
    fn it_is_the_first_process_of_its_container() {
        let proc = tempfile::tempdir().unwrap();
        process(proc.path(), "self", Some(7), b"coroner\0record\0");
        process(proc.path(), "1", Some(7), b"/usr/bin/coroner-agent\0--host-root=/host\0");
        assert_eq!(agent(proc.path()), Some(1));
    }

    #[test]
    fn among_the_processes_of_the_node_it_is_the_one_with_the_same_mounts() {
        for init in [None, Some(1)] {
            let proc = tempfile::tempdir().unwrap();
            process(proc.path(), "self", Some(7), b"coroner\0record\0");
            process(proc.path(), "1", init, b"/sbin/init\0");
            process(proc.path(), "212", Some(6), b"coroner-agent\0--host-root=/host\0");
            process(proc.path(), "310", Some(7), b"coroner\0watch\0");
            process(proc.path(), "311", Some(7), b"coroner-agent\0record\0--seconds=60\0");
            assert_eq!(agent(proc.path()), None, "{init:?}");
            process(proc.path(), "312", Some(7), b"coroner-agent\0--host-root=/host\0");
            assert_eq!(agent(proc.path()), Some(312), "{init:?}");
        }
    }

    #[test]
    fn on_the_node_itself_it_is_none() {
        let proc = tempfile::tempdir().unwrap();
        process(proc.path(), "self", Some(1), b"coroner\0record\0");
        process(proc.path(), "1", Some(1), b"/sbin/init\0");
        process(proc.path(), "312", Some(1), b"coroner-agent\0--node-name=worker-3\0");
        assert_eq!(agent(proc.path()), None);
    }
}
