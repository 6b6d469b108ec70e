//! The file systems that pods and images live on, by statvfs(2).
//!
//! A mount whose server is gone blocks who asks for it, for ever: each is asked on a thread of its own, and one that
//! has not come back is not asked again.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{
        Fact, Health, Source,
        disk::{FileSystem, Role},
    },
};
use coroner_proto::v1 as wire;
use nix::{errno::Errno, sys::statvfs::statvfs};

use super::{
    site::Site,
    worker::{End, Worker, unreadable},
};
use crate::report::NodeState;

/// Time between two looks: as often as the kubelet's eviction manager (`monitoringInterval`).
const INTERVAL: Duration = Duration::from_secs(10);
/// How long one file system may take to answer.
const DEADLINE: Duration = Duration::from_secs(2);
/// Smaller changes are reported only so often.
const REPEAT: Duration = Duration::from_mins(1);

/// A directory, and what it is to the kubelet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the file system is used for.
    pub role: Role,
    /// A directory on the file system.
    pub path: PathBuf,
}

/// Starts the source `disk` for these file systems.
pub fn spawn(site: &Site, places: Vec<Place>, state: NodeState) {
    let mut looks: Vec<_> = places.into_iter().map(Look::new).collect();
    site.thread(&site.outlet(Source::Disk), move |worker| watch(worker, &mut looks, &state));
}

fn watch(worker: &mut Worker, looks: &mut [Look], state: &NodeState) -> Result<Infallible, End> {
    loop {
        let mut complaints = BTreeMap::new();
        let mut seen = Vec::new();
        for look in looks.iter_mut() {
            match look.take(statvfs_of) {
                Ok(Some(found)) => {
                    seen.push(on_the_wire(&found));
                    if look.is_news(&found) {
                        worker.send(worker.outlet.now(Fact::FileSystem(found)))?;
                    }
                }
                Ok(None) => {}
                Err(complaint) => {
                    complaints.insert(look.place.path.clone(), complaint);
                }
            }
        }
        let complaints: Vec<_> = complaints.into_values().collect();
        let count = seen.len();
        state.update(|report| {
            let before = std::mem::replace(&mut report.pressure.get_or_insert_default().file_systems, seen);
            let now = report.pressure.iter_mut().flat_map(|pressure| &mut pressure.file_systems);
            for of in now {
                of.is_read_only = before.iter().any(|before| before.path == of.path && before.is_read_only);
            }
        });
        worker.health(match (count, complaints.is_empty()) {
            (0, true) => Health::Absent(health::health_no_file_system().into()),
            (0, false) => Health::Absent(health::health_each(complaints).into()),
            (_, true) => Health::Ok,
            (_, false) => Health::Degraded(health::health_each(complaints).into()),
        })?;
        worker.pause(INTERVAL)?;
    }
}

/// Whether it is read-only, `node_checks` sees of its mount.
fn on_the_wire(found: &FileSystem) -> wire::FileSystem {
    wire::FileSystem {
        path: found.path.clone(),
        available_bytes: found.bytes_available,
        size_bytes: found.bytes,
        free_inode_count: found.inodes_available,
        inode_count: found.inodes,
        is_read_only: false,
    }
}

/// The answer of one statvfs(2); `Ok(None)` where there is no such directory.
type Answer = Result<Option<FileSystem>, Message>;

#[derive(Debug)]
struct Look {
    place: Place,
    /// The thread that was asked and has not answered yet.
    pending: Option<Receiver<Answer>>,
    reported: Option<(Instant, FileSystem)>,
}

impl Look {
    fn new(place: Place) -> Self {
        Self { place, pending: None, reported: None }
    }

    /// Asks, unless the last question is still without an answer.
    fn take(&mut self, ask: fn(&Place) -> Answer) -> Answer {
        let path = self.place.path.display().to_string();
        let answer = match self.pending.take() {
            Some(pending) => match pending.try_recv() {
                Ok(answer) => return answer,
                Err(TryRecvError::Empty) => {
                    self.pending = Some(pending);
                    return Err(health::health_file_system_silent(path));
                }
                Err(TryRecvError::Disconnected) => return Err(health::health_file_system_panicked(path)),
            },
            None => {
                let (sender, receiver) = sync_channel(1);
                let place = self.place.clone();
                let started = thread::Builder::new().name("statvfs".to_owned()).spawn(move || {
                    let _no_receiver = sender.send(ask(&place));
                });
                if let Err(error) = started {
                    return Err(health::health_file_system_no_thread(path, error.to_string()));
                }
                receiver
            }
        };
        match answer.recv_timeout(DEADLINE) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                self.pending = Some(answer);
                Err(health::health_file_system_silent(path))
            }
            Err(RecvTimeoutError::Disconnected) => Err(health::health_file_system_panicked(path)),
        }
    }

    /// Whether something changed by more than a hundredth, or nothing was reported for long.
    fn is_news(&mut self, found: &FileSystem) -> bool {
        let changed = |before: u64, now: u64, all: u64| before.abs_diff(now) > all / 100;
        let news = self.reported.as_ref().is_none_or(|(at, before)| {
            at.elapsed() >= REPEAT
                || before.bytes != found.bytes
                || changed(before.bytes_available, found.bytes_available, found.bytes)
                || changed(before.inodes_available, found.inodes_available, found.inodes)
        });
        if news {
            self.reported = Some((Instant::now(), found.clone()));
        }
        news
    }
}

fn statvfs_of(place: &Place) -> Answer {
    let found = match statvfs(&place.path) {
        Ok(found) => found,
        Err(Errno::ENOENT) => return Ok(None),
        Err(error) => return Err(unreadable(&place.path, &error)),
    };
    let size = found.fragment_size();
    Ok(Some(FileSystem {
        role: place.role,
        path: place.path.display().to_string(),
        bytes: found.blocks().saturating_mul(size),
        bytes_available: found.blocks_available().saturating_mul(size),
        inodes: found.files(),
        inodes_available: found.files_available(),
    }))
}

/// Where containerd, CRI-O and Docker keep their things, and the containerd of k3s, RKE2, k0s and MicroK8s.
const RUNTIMES: [&str; 7] = [
    "var/lib/containerd",
    "var/lib/containers/storage",
    "var/lib/docker",
    "var/lib/rancher/k3s/agent/containerd",
    "var/lib/rancher/rke2/agent/containerd",
    "var/lib/k0s/containerd",
    "var/snap/microk8s/common/var/lib/containerd",
];

/// Where the kubelet and the known runtimes keep their things, below the node's root.
pub fn places(root: &Path) -> Vec<Place> {
    let place = |role, path: &str| Place { role, path: root.join(path) };
    let mut places = vec![place(Role::Node, "var/lib/kubelet")];
    // An empty one is none: the kubelet creates those that are to be mounted.
    let is_used = |path: &&str| std::fs::read_dir(root.join(path)).is_ok_and(|mut entries| entries.next().is_some());
    if let Some(runtime) = RUNTIMES.into_iter().find(is_used) {
        places.push(place(Role::Image, runtime));
        places.push(place(Role::Container, runtime));
    }
    places
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::sources::testing::Running;

    #[tokio::test]
    async fn reports_size_and_free_space_of_a_real_file_system() {
        let mut running = Running::new();
        let dir = tempfile::tempdir().unwrap();
        let places = vec![
            Place { role: Role::Node, path: dir.path().to_owned() },
            Place { role: Role::Image, path: dir.path().join("is not there") },
        ];
        let health = running.start(Source::Disk, |site| spawn(site, places, NodeState::default())).await;
        assert_eq!(health, Health::Ok);
        let found = running.seen.iter().find_map(|seen| match &seen.fact {
            Fact::FileSystem(found) => Some(found.clone()),
            _ => None,
        });
        let found = found.expect("reported before the health");
        let expected = statvfs(dir.path()).unwrap();
        assert_eq!((found.role, found.bytes), (Role::Node, expected.blocks() * expected.fragment_size()));
        assert!(found.bytes_available <= found.bytes && found.inodes_available <= found.inodes);
        running.stop().await;
    }

    #[tokio::test]
    async fn without_any_directory_it_is_absent() {
        let mut running = Running::new();
        let places = vec![Place { role: Role::Node, path: "/is/not/there".into() }];
        let health = running.start(Source::Disk, |site| spawn(site, places, NodeState::default())).await;
        assert!(matches!(health, Health::Absent(_)), "{health:?}");
        running.stop().await;
    }

    /// Held by the test: who asks for it waits like for a dead mount.
    static DEAD: Mutex<()> = Mutex::new(());

    #[test]
    fn a_mount_that_does_not_answer_is_queried_once_and_blocks_no_other() {
        fn ask(place: &Place) -> Answer {
            drop(DEAD.lock());
            statvfs_of(place)
        }
        let dead = DEAD.lock().unwrap();
        let mut look = Look::new(Place { role: Role::Node, path: "/".into() });
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let silent = || Err(health::health_file_system_silent("/"));
        assert_eq!(look.take(ask), silent());
        let before = threads();
        assert_eq!(look.take(ask), silent());
        assert!(threads() <= before, "no second thread waits");
        drop(dead);
        let answered = || look.take(ask).is_ok_and(|found| found.is_some());
        assert!(std::iter::repeat_with(answered).take(1_000_000).any(|answered| answered));
    }
}
