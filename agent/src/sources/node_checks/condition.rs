//! Pressure and tables of the kernel, small files of /proc every five seconds; file systems that have become read-only,
//! and processes in uninterruptible sleep, every thirty.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use coroner_diagnosis::{
    observation::{
        kernel_log::{Event, Trouble, TroubleKind},
        node::{BlockedProcess, Fill, Pressure, Reading, Table},
    },
    text,
};
use coroner_proto::v1::{self as wire, NodePressure, NodeReport};
use jiff::Timestamp;
use procfs::{FromRead as _, LoadAverage, Meminfo};

use super::fact;
use crate::{
    host::HostRoot,
    node::uptime,
    report::NodeState,
    sources::{
        Settings,
        outlet::Outlet,
        procfs::process::Processes,
        site::Site,
        worker::{End, Worker},
    },
};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// Looks between two at what grows with the number of containers: the list of mounts, and, while none is known, the
/// processes in uninterruptible sleep.
const SEARCH: u32 = 6;
/// Searches between two of all threads, of which a node has ten times as many as processes.
const EVERYWHERE: u32 = 4;
/// A process is blocked if it has been in uninterruptible sleep for so long.
const BLOCKED: Duration = Duration::from_secs(5);
/// Blocked processes that are reported: those that have been so for longest.
const NAMED: usize = 16;
/// File systems whose state is followed.
const MOUNTS: usize = 32;

pub(super) fn spawn(site: &Site, outlet: &Outlet, settings: &Settings, state: NodeState) {
    let host = settings.host.clone();
    let mut known = Known::default();
    site.thread(outlet, move |worker| {
        let processes = Processes::new(&host);
        loop {
            known.look(worker, &host, &processes, &state)?;
            worker.pause(INTERVAL)?;
        }
    });
}

/// File systems of block devices by their mount and device.
type Disks = BTreeMap<(String, String), Writable>;

/// Whether a file system can be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writable {
    Yes,
    /// As it was mounted: the mount does not permit it either.
    NotWanted,
    /// Its super block is read-only while the mount permits it: the kernel made it so on an error, or on SysRq.
    NoMore,
}

/// What is kept from one look to the next.
#[derive(Debug, Default)]
struct Known {
    /// Threads in uninterruptible sleep by number and start time, and since when they have been seen so at each search.
    sleeping: BTreeMap<(i32, u64), (Instant, Timestamp)>,
    looks: u32,
    /// Blocked processes were reported.
    reported: bool,
    disks: Disks,
    /// The kernel's report of a read-only file system that was found to be mounted no more, and when it was made.
    unmounted: Option<(String, Option<prost_types::Timestamp>)>,
}

impl Known {
    fn look(&mut self, worker: &Worker, host: &HostRoot, processes: &Processes, state: &NodeState) -> Result<(), End> {
        let read = |path: &str| fs::read_to_string(host.proc.join(path)).ok();
        let [cpu, memory, io] = ["cpu", "memory", "io"].map(|what| read(&format!("pressure/{what}")));
        let pressure = Pressure::parse(cpu.as_deref(), memory.as_deref(), io.as_deref());
        let files = read("sys/fs/file-nr").as_deref().and_then(open_files);
        let conntrack = conntrack(&host.proc);
        let meminfo = Meminfo::from_file(host.proc.join("meminfo")).ok();
        let tasks = LoadAverage::from_file(host.proc.join("loadavg")).map(|load| load.max).ok();
        let limit = |name: &str| read(&format!("sys/kernel/{name}")).and_then(|text| text.trim_ascii().parse().ok());
        let task_limit = [limit("pid_max"), limit("threads-max")].into_iter().flatten().min();
        state.update(|report| {
            report.pressure = Some(NodePressure {
                cpu_some_percent: pressure.map(|pressure| pressure.cpu_some),
                memory_full_percent: pressure.map(|pressure| pressure.memory_full),
                io_full_percent: pressure.map(|pressure| pressure.io_full),
                memory_available_bytes: meminfo.as_ref().and_then(|memory| memory.mem_available).unwrap_or_default(),
                memory_total_bytes: meminfo.as_ref().map_or(0, |memory| memory.mem_total),
                task_count: tasks.unwrap_or_default(),
                task_limit: task_limit.unwrap_or_default(),
                conntrack_count: conntrack.map_or(0, |fill| u32::try_from(fill.count).unwrap_or(u32::MAX)),
                conntrack_limit: conntrack.map_or(0, |fill| u32::try_from(fill.limit).unwrap_or(u32::MAX)),
                ..report.pressure.take().unwrap_or_default()
            });
        });
        // Its clock may have been set since: when the boot began is known by the clock as it is now.
        let readings = uptime().map(Reading::Uptime).into_iter().chain(pressure.map(Reading::Pressure));
        let readings = readings
            .chain(files.map(|fill| Reading::Table(Table::Files, fill)))
            .chain(conntrack.map(|fill| Reading::Table(Table::Conntrack, fill)));
        for reading in readings {
            worker.send(worker.outlet.now(fact(reading)))?;
        }
        let is_search = self.looks.is_multiple_of(SEARCH);
        let is_everywhere = self.looks.is_multiple_of(SEARCH * EVERYWHERE);
        self.looks = self.looks.wrapping_add(1);
        if is_search {
            self.mounts(worker, host, state)?;
        }
        if is_search || !self.sleeping.is_empty() {
            self.blocked(worker, processes, is_everywhere, state)?;
        }
        Ok(())
    }

    /// Reports file systems whose super block has become read-only, or is writable again.
    fn mounts(&mut self, worker: &Worker, host: &HostRoot, state: &NodeState) -> Result<(), End> {
        // The host's mounts where they can be seen, else those that the agent was given.
        let hosts = fs::read_to_string(host.proc.join("1/mountinfo")).ok();
        if let Some(mounts) = &hosts {
            self.unmounted(worker, &host.sys, mounts, state)?;
        }
        let mounts = hosts.or_else(|| fs::read_to_string(host.proc.join("self/mountinfo")).ok());
        let Some(disks) = mounts.as_deref().map(disks) else { return Ok(()) };
        state.update(|report| {
            for of in report.pressure.iter_mut().flat_map(|pressure| &mut pressure.file_systems) {
                let mounts = disks.iter().filter(|((mount, _), _)| Path::new(&of.path).starts_with(mount));
                let mount = mounts.max_by_key(|((mount, _), _)| mount.len());
                of.is_read_only = mount.is_some_and(|(_, writable)| *writable != Writable::Yes);
            }
        });
        for (path, read_only) in changed(&mut self.disks, disks) {
            worker.send(worker.outlet.now(fact(Reading::ReadOnly { path, read_only, forced: read_only })))?;
        }
        Ok(())
    }

    /// Reports once that the file system is not mounted any more of which the kernel last reported that it became
    /// read-only, as a volume's that was detached.
    fn unmounted(&mut self, worker: &Worker, sys: &Path, mounts: &str, state: &NodeState) -> Result<(), End> {
        let kind = TroubleKind::FileSystemReadOnly.name();
        let Some(fault) = state.now().kernel_faults.into_iter().find(|fault| fault.kind == kind) else {
            return Ok(());
        };
        let Some(Event::Trouble(Trouble { about, .. })) = Event::parse(&fault.line) else { return Ok(()) };
        let reported = (about, fault.time);
        if self.unmounted.as_ref() != Some(&reported) && !may_be_mounted(mounts, sys, &reported.0) {
            let path = format!("/dev/{}", reported.0);
            worker.send(worker.outlet.now(fact(Reading::ReadOnly { path, read_only: false, forced: false })))?;
            self.unmounted = Some(reported);
        }
        Ok(())
    }

    fn blocked(
        &mut self,
        worker: &Worker,
        processes: &Processes,
        is_everywhere: bool,
        state: &NodeState,
    ) -> Result<(), End> {
        let now = (Instant::now(), Timestamp::now());
        let found = processes.in_uninterruptible_sleep(self.sleeping.keys().map(|(thread, _)| *thread), is_everywhere);
        let before = std::mem::take(&mut self.sleeping);
        let mut blocked = Vec::new();
        for process in found {
            let key = (process.thread, process.start_ticks);
            let since = before.get(&key).copied().unwrap_or(now);
            self.sleeping.insert(key, since);
            if since.0.elapsed() >= BLOCKED {
                blocked.push((
                    since.0,
                    BlockedProcess {
                        pid: process.pid,
                        name: text::clean(&process.name, 32),
                        wait_channel: text::clean(&process.wait_channel, 64),
                        since: since.1,
                        pod_uid: process.pod_uid,
                    },
                ));
            }
        }
        blocked.sort_by_key(|(since, process)| (*since, process.pid));
        let mut named = BTreeSet::new();
        blocked.retain(|(_, process)| named.insert(process.pid));
        blocked.truncate(NAMED);
        let on_the_wire = blocked.iter().map(|(since, process)| wire::BlockedProcess {
            pid: process.pid,
            name: process.name.clone(),
            wait_channel: process.wait_channel.clone(),
            blocked_duration: since.elapsed().try_into().ok(),
            pod_uid: process.pod_uid.clone(),
        });
        let on_the_wire: Vec<_> = on_the_wire.collect();
        let news = |report: &mut NodeReport| report.blocked_processes = on_the_wire;
        if blocked.is_empty() == self.reported {
            state.change(news)
        } else {
            state.update(news)
        }
        if !blocked.is_empty() || self.reported {
            self.reported = !blocked.is_empty();
            let processes = blocked.into_iter().map(|(_, process)| process).collect();
            worker.send(worker.outlet.now(fact(Reading::Blocked(processes))))?;
        }
        Ok(())
    }
}

/// The mounts of which it is news whether the kernel made them read-only. What is unmounted is so no more.
fn changed(known: &mut Disks, disks: Disks) -> Vec<(String, bool)> {
    let gone = known.extract_if(.., |mount, _| !disks.contains_key(mount));
    let mut news: Vec<_> =
        gone.filter(|(_, writable)| *writable == Writable::NoMore).map(|((path, _), _)| (path, false)).collect();
    for (mount, writable) in disks {
        let before = known.get(&mount).map(|before| *before == Writable::NoMore);
        if before.is_none() && known.len() >= MOUNTS {
            continue;
        }
        let is_forced = writable == Writable::NoMore;
        if before != Some(is_forced) {
            news.push((mount.0.clone(), is_forced));
        }
        known.insert(mount, writable);
    }
    news
}

/// Whether a device, by the kernel's name for it, is mounted, or one is of which that name is not known. A device may
/// have other names below /dev, and the file systems of btrfs have numbers of their own.
fn may_be_mounted(mountinfo: &str, sys: &Path, device: &str) -> bool {
    mountinfo.lines().any(|line| {
        let Some((mount, file_system)) = line.split_once(" - ") else { return false };
        let (Some(number), Some(source)) = (mount.split(' ').nth(2), file_system.split(' ').nth(1)) else {
            return false;
        };
        let Some(name) = source.strip_prefix("/dev/") else { return false };
        let named = fs::read_link(sys.join("dev/block").join(number)).ok();
        name == device || named.is_none_or(|link| link.file_name().is_some_and(|name| name == device))
    })
}

/// `allocated free max` (`fs/file_table.c`).
fn open_files(text: &str) -> Option<Fill> {
    let mut numbers = text.split_ascii_whitespace().map(|number| number.parse::<u64>().ok());
    let (count, _, limit) = (numbers.next()??, numbers.next()?, numbers.next()??);
    Some(Fill { count, limit })
}

/// Of the host's network namespace. The first column of the statistics is the same number for each processor
/// (`net/netfilter/nf_conntrack_standalone.c`).
fn conntrack(proc: &Path) -> Option<Fill> {
    let statistics = fs::read_to_string(proc.join("1/net/stat/nf_conntrack")).ok()?;
    let count = statistics.lines().nth(1)?.split_ascii_whitespace().next()?;
    let limit = fs::read_to_string(proc.join("sys/net/netfilter/nf_conntrack_max")).ok()?;
    Some(Fill { count: u64::from_str_radix(count, 16).ok()?, limit: limit.trim_ascii().parse().ok()? })
}

/// From lines `<id> <parent> <major:minor> <root> <mount> <options> … - <type> <device> <super options>`
/// (`fs/proc_namespace.c`).
fn disks(mountinfo: &str) -> Disks {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut place = mount.split(' ').skip(2);
        let (number, path, mounted) = (place.next()?, place.nth(1)?, place.next()?);
        let mut fields = file_system.split(' ');
        let (kind, device, options) = (fields.next()?, fields.next()?, fields.next()?);
        let is_disk = device.starts_with("/dev/") && !matches!(kind, "iso9660" | "squashfs" | "erofs" | "udf");
        let is_read_only = |options: &str| options.split(',').any(|option| option == "ro");
        // What ext4 shows after an error (Linux 6.15): its super block stays as it was mounted (6.12).
        let is_emergency = options.split(',').any(|option| option == "emergency_ro");
        let writable = match (is_read_only(options), is_read_only(mounted)) {
            _ if is_emergency => Writable::NoMore,
            (false, _) => Writable::Yes,
            (true, true) => Writable::NotWanted,
            (true, false) => Writable::NoMore,
        };
        // Volumes are the pods' own.
        (is_disk && !path.contains("/pods/")).then(|| ((path.to_owned(), number.to_owned()), writable))
    });
    mounts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(disks: &[(&str, &str, Writable)]) -> Disks {
        disks.iter().map(|(path, number, writable)| (((*path).into(), (*number).into()), *writable)).collect()
    }

    #[test]
    fn a_super_block_is_read_only_and_not_one_of_its_mounts() {
        let mountinfo = "\
            22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro\n\
            30 22 254:0 /etc /host/etc ro,relatime - ext4 /dev/vda rw\n\
            31 22 254:16 / /data rw,relatime shared:2 - xfs /dev/vdb ro,attr2\n\
            32 22 0:25 / /run ro - tmpfs tmpfs ro\n\
            33 22 7:0 / /snap/a/1 ro - squashfs /dev/loop0 ro\n\
            34 22 8:0 / /var/lib/kubelet/pods/u/volumes/v ro - ext4 /dev/sdc ro\n\
            35 22 8:16 / /backup ro,relatime - ext4 /dev/sdd ro\n\
            36 22 8:32 / /logs rw,relatime - ext4 /dev/sde rw,errors=remount-ro,emergency_ro\n\
            nonsense\n";
        let expected = [
            ("/", "254:0", Writable::Yes),
            ("/logs", "8:32", Writable::NoMore),
            ("/data", "254:16", Writable::NoMore),
            ("/host/etc", "254:0", Writable::Yes),
            ("/backup", "8:16", Writable::NotWanted),
        ];
        assert_eq!(disks(mountinfo), of(&expected));
    }

    #[test]
    fn a_mount_is_news_when_the_kernel_makes_it_read_only_and_when_it_is_writable_or_gone() {
        use Writable::{NoMore, NotWanted, Yes};
        let mut known = Disks::new();
        let mut look = |disks: &[(&str, &str, Writable)]| changed(&mut known, of(disks));
        let (root, data, iso) = ("/".to_owned(), "/data".to_owned(), "/iso".to_owned());
        let first = look(&[("/", "8:0", Yes), ("/data", "8:16", NoMore), ("/iso", "8:32", NotWanted)]);
        assert_eq!(first, [(root.clone(), false), (data.clone(), true), (iso, false)]);
        assert_eq!(look(&[("/", "8:0", NoMore), ("/data", "8:16", NoMore)]), [(root.clone(), true)]);
        assert_eq!(look(&[("/", "8:0", NoMore)]), [(data.clone(), false)]);
        // Another device in its place, mounted read-only on purpose.
        assert_eq!(look(&[("/", "8:0", Yes), ("/data", "8:48", NotWanted)]), [(root, false), (data, false)]);
        assert_eq!(look(&[]), []);
    }

    #[test]
    fn a_device_is_mounted_by_its_name_or_its_number() {
        let sys = tempfile::tempdir().unwrap();
        let numbers = sys.path().join("dev/block");
        fs::create_dir_all(&numbers).unwrap();
        for (number, name) in [("8:1", "sda1"), ("253:3", "dm-3")] {
            std::os::unix::fs::symlink(format!("../../devices/x/block/{name}"), numbers.join(number)).unwrap();
        }
        let mounts = "\
            22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
            31 22 253:3 / /var/lib/kubelet/pods/u/volumes/v rw,relatime - xfs /dev/mapper/vg-data rw\n\
            32 22 0:25 / /run ro - tmpfs tmpfs ro\n";
        let mounted = |mounts: &str, device| may_be_mounted(mounts, sys.path(), device);
        assert!(mounted(mounts, "sda1") && mounted(mounts, "dm-3"));
        assert!(!mounted(mounts, "sdb") && !mounted(mounts, "dm-4") && !mounted("nonsense", "sda1"));
        // Which device these are is not known.
        for unknown in ["33 22 253:9 / /x rw - ext4 /dev/mapper/vg-x rw\n", "33 22 0:31 / /x rw - btrfs /dev/sdc rw\n"]
        {
            assert!(mounted(unknown, "sdb"), "{unknown}");
        }
    }

    #[test]
    fn tables_are_read_as_the_kernel_writes_them() {
        assert_eq!(open_files("2144\t0\t9223372036854775807\n"), Some(Fill { count: 2144, limit: i64::MAX as u64 }));
        assert_eq!(open_files("2144\n"), None);
        let root = tempfile::tempdir().unwrap();
        assert_eq!(conntrack(root.path()), None);
        for directory in ["1/net/stat", "sys/net/netfilter"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        fs::write(root.path().join("1/net/stat/nf_conntrack"), "entries clashres\n0000ff00 00\n0000ff00 00\n").unwrap();
        fs::write(root.path().join("sys/net/netfilter/nf_conntrack_max"), "65536\n").unwrap();
        assert_eq!(conntrack(root.path()), Some(Fill { count: 0xff00, limit: 65_536 }));
    }
}
