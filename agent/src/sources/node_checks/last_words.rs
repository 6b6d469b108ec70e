//! The last lines that a daemon logged before it ended: from its log file, where it has one, else from systemd's
//! journal. `kubelet.log` and `containerd.log` are in the node's /var/log; k3s logs there where OpenRC starts it, and
//! keeps, as RKE2 does, the logs of the daemons that it starts below /var/lib/rancher.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use coroner_diagnosis::{observation::node::Daemon, redact};
use jiff::Timestamp;
use nix::fcntl::OFlag;

use super::journal;
use crate::host::HostRoot;

/// Bytes at the end of the file that are read.
const TAIL: u64 = 8 << 10;
/// Lines that are reported, and bytes of one.
const LINES: usize = 5;
const LINE: usize = 256;
/// A file that was not written to for so long is not that of the process that has just ended.
const FRESH: Duration = Duration::from_secs(30);

/// Where a daemon may log.
fn files(host: &HostRoot, daemon: Daemon) -> Vec<PathBuf> {
    let (logs, rancher): (&[&str], &[&str]) = match daemon {
        Daemon::Kubelet => (&["kubelet.log", "k3s.log", "k3s-agent.log"], &["rke2/agent/logs/kubelet.log"]),
        Daemon::Runtime => {
            (&["containerd.log"], &["k3s/agent/containerd/containerd.log", "rke2/agent/containerd/containerd.log"])
        }
    };
    let logs = logs.iter().map(|name| host.log.join(name));
    logs.chain(rancher.iter().map(|name| host.rancher.join(name))).collect()
}

/// What cannot be read, for the report; nothing where there is a journal, which has the lines of most daemons.
pub(super) fn unreadable(host: &HostRoot) -> Vec<String> {
    if !journal::directories(host).is_empty() {
        return Vec::new();
    }
    let unreadable = |daemon| {
        let files = files(host, daemon);
        let missing = files.iter().all(|path| open(path).is_err());
        files.into_iter().next().filter(|_| missing)
    };
    let paths = [Daemon::Kubelet, Daemon::Runtime].into_iter().filter_map(unreadable);
    paths.map(|path| path.display().to_string()).collect()
}

/// The last lines of a daemon whose process has just ended, with secrets withheld, the oldest first; none where they
/// cannot be read.
pub(super) fn of(host: &HostRoot, daemon: Daemon, pid: i32) -> Vec<String> {
    let lines = logged(host, daemon);
    clean(&lines.unwrap_or_else(|| journal::messages(host, pid, Timestamp::now() - FRESH, LINES)))
}

/// The same of a daemon that logs into a file, for a process that was gone before it was seen.
pub(super) fn in_file(host: &HostRoot, daemon: Daemon) -> Vec<String> {
    clean(&logged(host, daemon).unwrap_or_default())
}

fn logged(host: &HostRoot, daemon: Daemon) -> Option<Vec<String>> {
    files(host, daemon).iter().find_map(|path| tail(path))
}

fn clean(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| redact::cut(&redact::clean(line.trim_end()).0, LINE)).collect()
}

/// Opens a log. A pipe in its place would keep a reader waiting for a writer.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
}

/// The last lines of a file, as far as they are of one process.
fn tail(path: &Path) -> Option<Vec<String>> {
    let mut file = open(path).ok()?;
    let metadata = file.metadata().ok().filter(|metadata| metadata.is_file())?;
    let age = metadata.modified().ok()?.elapsed().unwrap_or_default();
    if age > FRESH {
        return None;
    }
    let from = metadata.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    // The first line is cut off at its beginning, unless the file was read from its start.
    let lines: Vec<_> = text.lines().skip(usize::from(from > 0)).filter(|line| !line.trim().is_empty()).collect();
    let last = lines.iter().rev().find_map(|line| klog_pid(line));
    let earlier = lines.iter().rposition(|line| klog_pid(line).is_some_and(|pid| Some(pid) != last));
    let own = &lines[earlier.map_or(0, |earlier| earlier + 1)..];
    let last = own.iter().skip(own.len().saturating_sub(LINES));
    Some(last.map(|line| (*line).to_owned()).collect())
}

/// The pid in the head of a line of klog, which the kubelet logs with: `E1128 09:12:01.123456    4711 server.go:1] …`
/// (`k8s.io/klog/v2/internal/buffer`, `FormatHeader`).
fn klog_pid(line: &str) -> Option<i32> {
    let date = line.strip_prefix(['I', 'W', 'E', 'F'])?;
    let mut words = date.split_ascii_whitespace();
    let is_date = words.next()?.bytes().all(|byte| byte.is_ascii_digit());
    let is_time = words.next()?.contains(':');
    words.next().filter(|_| is_date && is_time)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{fs, time::SystemTime};

    use super::*;

    #[test]
    fn the_end_of_a_fresh_file_is_read_and_secrets_are_not() {
        let root = tempfile::tempdir().unwrap();
        let host = HostRoot::at(root.path());
        fs::create_dir_all(&host.log).unwrap();
        let path = host.log.join("kubelet.log");
        let last = || of(&host, Daemon::Kubelet, 7);
        assert_eq!(last(), Vec::<String>::new());
        assert_eq!(unreadable(&host).len(), 2);
        let long = (0..1000).map(|n| format!("I1128 line {n}\n")).collect::<String>();
        fs::write(&path, format!("{long}E1128 \"command failed\" err=\"running with swap on is not supported\"\n"))
            .unwrap();
        let lines = last();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0], "I1128 line 996");
        assert!(lines[4].contains("swap on"), "{lines:?}");
        let of =
            |pid| format!("E1128 09:12:01.123456 {pid:>7} run.go:72] \"command failed\" err=\"…\"\n\tat its place\n");
        fs::write(&path, of(6) + &of(7)).unwrap();
        let lines = in_file(&host, Daemon::Kubelet);
        assert_eq!((lines.len(), &lines), (3, &last()), "one without a head may be of either");
        assert!(lines[1].contains("      7 run.go"), "{lines:?}");
        let other = host.rancher.join("k3s/agent/containerd/containerd.log");
        fs::create_dir_all(other.parent().unwrap()).unwrap();
        fs::write(&other, "time=\"2026-11-28T09:12:01Z\" level=fatal msg=\"address in use\"\n").unwrap();
        assert_eq!((super::of(&host, Daemon::Runtime, 8).len(), unreadable(&host)), (1, Vec::new()));
        fs::remove_file(&other).unwrap();
        fs::write(&path, "started with password=hunter2-hunter2\n").unwrap();
        assert!(!last()[0].contains("hunter2"));
        File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() - FRESH * 2).unwrap();
        assert_eq!(last(), Vec::<String>::new(), "of an earlier process");
        assert_eq!(unreadable(&host).len(), 1);
        fs::create_dir(host.log.join("journal")).unwrap();
        assert_eq!(unreadable(&host), Vec::<String>::new());
    }
}
