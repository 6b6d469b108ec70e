//! How much memory the process uses, beside the limit of its cgroup.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// Where cgroups are mounted, in containers too.
const MOUNT: &str = "/sys/fs/cgroup";
/// Parts of the limit, in percent, beyond which it is near. The rest suffices for a page of a list and a burst of
/// pushes.
const NEAR: u64 = 85;
/// Cgroup v1 writes about 2^63 where there is no limit.
const NO_LIMIT: u64 = 1 << 60;
const MIB: u64 = 1 << 20;

/// The files that hold the limits of this process' cgroup and of those above it.
#[derive(Clone, Debug)]
pub(crate) struct Limits(Vec<PathBuf>);

impl Limits {
    pub(crate) fn find() -> Self {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::beneath(Path::new(MOUNT), &own)
    }

    /// By the lines of `/proc/self/cgroup`. Where a container sees its own cgroup as the root, the path that it is
    /// known by outside does not exist.
    fn beneath(mount: &Path, own: &str) -> Self {
        let mut files = Vec::new();
        for line in own.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
            let (mount, file) = match controllers {
                "" => (mount.to_owned(), "memory.max"),
                _ if controllers.split(',').any(|name| name == "memory") => {
                    (mount.join("memory"), "memory.limit_in_bytes")
                }
                _ => continue,
            };
            let inside = Path::new(path.trim_start_matches('/'));
            files.extend(inside.ancestors().map(|ancestor| mount.join(ancestor).join(file)));
        }
        files.retain(|file| file.exists());
        Self(files)
    }

    /// The lowest of them as they are now; `None` if there is no limit.
    fn bytes(&self) -> Option<u64> {
        let limits = self.0.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
        limits.filter(|limit| *limit < NO_LIMIT).min()
    }

    /// The memory as it is now; `None` if there is no limit.
    pub(crate) fn memory(&self) -> Option<Memory> {
        Some(Memory { limit: self.bytes()?, used: used()? })
    }
}

/// The process' own memory, which the kernel cannot take back, and its limit, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) used: u64,
    pub(crate) limit: u64,
}

impl Memory {
    pub(crate) fn is_near_limit(self) -> bool {
        self.used >= self.limit / 100 * NEAR
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {} MiB", self.used / MIB, self.limit / MIB)
    }
}

/// Anonymous memory that is resident: file pages can be dropped.
fn used() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_counts_wherever_the_container_sees_it() {
        let mount = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = mount.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let bytes = |own: &str| Limits::beneath(mount.path(), own).bytes();
        assert_eq!(bytes("0::/\n"), None);
        write("memory.max", "max\n");
        write("pod/memory.max", "4096\n");
        write("pod/app/memory.max", "8192\n");
        assert_eq!(bytes("0::/pod/app\n"), Some(4096), "the pod's is lower");
        assert_eq!(bytes("0::/\n"), None, "max is no limit");
        // Version 1, beside an empty hierarchy of version 2; the path is that of the host.
        write("memory/memory.limit_in_bytes", "1048576\n");
        let own = "9:pids:/kubepods/pod1\n4:cpu,memory:/kubepods/pod1\n0::/\n";
        assert_eq!(bytes(own), Some(1 << 20));
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(bytes(own), None);
    }

    #[test]
    fn the_limit_is_near_before_it_is_reached() {
        assert!(!Memory { used: 84 * MIB, limit: 100 * MIB }.is_near_limit());
        let near = Memory { used: 85 * MIB, limit: 100 * MIB };
        assert!(near.is_near_limit());
        assert_eq!(near.to_string(), "85 of 100 MiB");
        assert!(used().is_some_and(|used| used > 0));
    }
}
