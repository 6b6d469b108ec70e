//! Notifications about cgroups: inotify and eventfds, awaited together in one epoll.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{Fact, GapReason, Health, cgroup::Path},
};
use jiff::Timestamp;
use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::{EfdFlags, EventFd},
        inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor},
    },
};

use super::{
    endings::Endings,
    groups::{CAPACITY, Groups, Role, Suspect},
    hierarchy::{Hierarchy, Version},
};
use crate::sources::worker::{End, Worker};

/// How soon the whole tree is searched again after something could not be watched.
const SEARCH: Duration = Duration::from_secs(15);
/// The mark of inotify among the events of epoll; the eventfd of an alarm has a number above all marks.
const INOTIFY: u64 = 0;
/// The mark of containers' ends.
const ENDINGS: u64 = 1;

/// What a watch is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Watched {
    Directory,
    MemoryEvents,
    CgroupEvents,
}

/// An eventfd that v1 signals when memory ran out in one pod, or in one container that is in none.
#[derive(Debug)]
struct Alarm {
    number: u64,
    eventfd: EventFd,
}

/// Watches the files of all pods' and containers' cgroups.
#[derive(Debug)]
pub(super) struct Watcher {
    hierarchy: Hierarchy,
    groups: Groups,
    inotify: Inotify,
    epoll: Epoll,
    endings: Endings,
    watches: HashMap<WatchDescriptor, (Arc<str>, Watched)>,
    alarms: BTreeMap<Arc<str>, Alarm>,
    numbers: HashMap<u64, Arc<str>>,
    last_number: u64,
    /// Cgroups beyond the capacity.
    beyond: usize,
    /// Why something could not be watched.
    blind: Option<Message>,
    /// When the whole tree is to be searched again.
    search: Option<Instant>,
    /// The last moment at which no event was lost.
    complete: Timestamp,
}

impl Watcher {
    pub(super) fn new(hierarchy: Hierarchy, endings: Endings) -> Result<Self, End> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(|error| match error {
            Errno::EMFILE => End::absent(health::health_cgroups_no_instance()),
            error => End::failed("inotify_init1")(error),
        })?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(End::failed("epoll_create1"))?;
        epoll.add(&inotify, EpollEvent::new(EpollFlags::EPOLLIN, INOTIFY)).map_err(End::failed("epoll_ctl"))?;
        endings.wake(&epoll, EpollEvent::new(EpollFlags::EPOLLIN, ENDINGS)).map_err(End::failed("eventfd"))?;
        Ok(Self {
            hierarchy,
            groups: Groups::new(),
            inotify,
            epoll,
            endings,
            watches: HashMap::new(),
            alarms: BTreeMap::new(),
            numbers: HashMap::new(),
            last_number: ENDINGS,
            beyond: 0,
            blind: None,
            search: None,
            complete: Timestamp::now(),
        })
    }

    /// The file descriptor that becomes readable when there are events.
    pub(super) fn events(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    /// When something is to be looked at though there was no event.
    pub(super) fn next_look(&self) -> Instant {
        let looks = self.groups.next_look().into_iter().chain(self.search);
        looks.min().unwrap_or_else(|| Instant::now() + SEARCH)
    }

    pub(super) fn health(&self) -> Health {
        if self.beyond > 0 {
            Health::Degraded(health::health_cgroups_beyond(self.beyond, CAPACITY).into())
        } else if let Some(blind) = &self.blind {
            Health::Degraded(blind.clone().into())
        } else if !self.hierarchy.counts_memory {
            Health::Degraded(health::health_cgroups_no_memory().into())
        } else {
            Health::Ok
        }
    }

    /// Takes all cgroups that are there and matter.
    pub(super) fn discover_all(&mut self, worker: &Worker) -> Result<(), End> {
        self.discover("/", false, worker)
    }

    /// Takes a cgroup and all that matter below it; `is_new` if they have just been made.
    fn discover(&mut self, path: &str, is_new: bool, worker: &Worker) -> Result<(), End> {
        let mut pending = vec![path.to_owned()];
        while let Some(path) = pending.pop() {
            let role = Role::of(&path);
            if !(role.sampled || role.entered) {
                continue;
            }
            if self.groups.get(&path).is_none() {
                if self.groups.is_full() {
                    self.beyond += 1;
                    self.search_soon();
                    continue;
                }
                if !self.add(&path, role, is_new) {
                    continue;
                }
                self.look(&path, worker)?;
            }
            if role.entered {
                // Listed after it is watched: what comes later is an event, what came before is in the list.
                let entries = fs::read_dir(self.hierarchy.directory(&path)).into_iter().flatten().flatten();
                let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
                pending.extend(directories.filter_map(|entry| join(&path, entry.file_name().to_str()?)));
            }
        }
        Ok(())
    }

    /// Takes a cgroup; false if it is gone already.
    fn add(&mut self, path: &str, role: Role, is_new: bool) -> bool {
        let path: Arc<str> = path.into();
        let Some(watches) = self.watch(&path, role) else { return false };
        self.groups.insert(path.clone(), role, watches, is_new);
        self.set_alarm(&path);
        true
    }

    /// Watches a cgroup, or again what of it could not be watched before; `None` if it is gone.
    fn watch(&mut self, path: &Arc<str>, role: Role) -> Option<Vec<WatchDescriptor>> {
        let directory = self.hierarchy.directory(path);
        let mut mask = AddWatchFlags::IN_ONLYDIR;
        if role.entered {
            mask |= AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE;
        }
        if role.sampled {
            mask |= AddWatchFlags::IN_MODIFY; // new limits
        }
        let mut wanted = vec![(directory.clone(), mask, Watched::Directory)];
        if role.sampled && self.hierarchy.version == Version::V2 {
            let files = [("memory.events", Watched::MemoryEvents), ("cgroup.events", Watched::CgroupEvents)];
            wanted.extend(files.map(|(name, watched)| (directory.join(name), AddWatchFlags::IN_MODIFY, watched)));
        }
        let mut watches = vec![];
        for (file, mask, watched) in wanted {
            match self.inotify.add_watch(&file, mask) {
                Ok(watch) => {
                    self.watches.insert(watch, (path.clone(), watched));
                    watches.push(watch);
                }
                Err(Errno::ENOENT | Errno::ENODEV | Errno::ENOTDIR) if watched == Watched::Directory => return None,
                Err(Errno::ENOENT | Errno::ENODEV) => {} // not there on this kernel, or at this level
                Err(Errno::ENOSPC) => self.go_blind(health::health_cgroups_no_watches()),
                Err(error) => {
                    let file = file.display().to_string();
                    self.go_blind(health::health_cgroups_no_watch(file, error.to_string()));
                }
            }
        }
        Some(watches)
    }

    /// Requests a notification of v1 when memory runs out here.
    fn set_alarm(&mut self, path: &Arc<str>) {
        let wanted = self.groups.get(path).is_some_and(|group| group.role.sampled && !group.alarmed);
        if self.hierarchy.version == Version::V1 && wanted {
            match self.ask_for_notice(path) {
                Ok(()) => {
                    if let Some(group) = self.groups.get_mut(path) {
                        group.alarmed = true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {} // gone already
                Err(error) => {
                    self.go_blind(health::health_cgroups_no_notice(path, error.to_string()));
                }
            }
        }
    }

    /// Pods and their containers share one eventfd, as the kernel notifies all levels below anyway.
    fn ask_for_notice(&mut self, path: &Arc<str>) -> io::Result<()> {
        let parsed = Path(path.to_string());
        let Some(owner) = parsed.pod().or_else(|| parsed.container()) else {
            return Ok(()); // the parent of pods: the kernel notifies each of them
        };
        let owner: Arc<str> = owner.0.into();
        if !self.alarms.contains_key(&owner) {
            let eventfd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
            self.last_number += 1;
            self.epoll.add(&eventfd, EpollEvent::new(EpollFlags::EPOLLIN, self.last_number))?;
            self.numbers.insert(self.last_number, owner.clone());
            self.alarms.insert(owner.clone(), Alarm { number: self.last_number, eventfd });
        }
        let Some(alarm) = self.alarms.get(&owner) else { return Ok(()) };
        let directory = self.hierarchy.directory(path);
        let control = File::open(directory.join("memory.oom_control"))?;
        let request = format!("{} {}", alarm.eventfd.as_fd().as_raw_fd(), control.as_raw_fd());
        fs::write(directory.join("cgroup.event_control"), request)
    }

    fn go_blind(&mut self, reason: Message) {
        self.blind.get_or_insert(reason);
        self.search_soon();
    }

    fn search_soon(&mut self) {
        self.search.get_or_insert_with(|| Instant::now() + SEARCH);
    }

    /// Handles all events that are waiting.
    pub(super) fn take_events(&mut self, worker: &Worker) -> Result<(), End> {
        let mut ready = [EpollEvent::empty(); 64];
        let n = match self.epoll.wait(&mut ready, EpollTimeout::ZERO) {
            Ok(n) => n,
            Err(Errno::EINTR) => return Ok(()),
            Err(error) => return Err(End::failed("epoll_wait")(error)),
        };
        let now = Instant::now();
        for event in &ready[..n] {
            if event.data() == INOTIFY {
                self.take_notices(worker)?;
            } else if event.data() == ENDINGS {
                for container in self.endings.take() {
                    if let Some(path) = self.groups.of_container(&container) {
                        self.look(&path, worker)?;
                    }
                }
            } else if let Some(owner) = self.numbers.get(&event.data()).cloned() {
                if let Some(alarm) = self.alarms.get(&owner) {
                    let _drained = alarm.eventfd.read();
                }
                for path in self.groups.subtree(&owner) {
                    self.groups.look_closely(&path, false, now);
                }
            }
        }
        Ok(())
    }

    fn take_notices(&mut self, worker: &Worker) -> Result<(), End> {
        let mut changed = BTreeSet::new();
        loop {
            let notices = match self.inotify.read_events() {
                Ok(notices) => notices,
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(End::failed("read inotify")(error)),
            };
            for notice in notices {
                if notice.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    self.overrun(worker)?;
                } else if let Some((path, watched)) = self.watches.get(&notice.wd).cloned() {
                    self.take_notice(&notice, path, watched, &mut changed, worker)?;
                }
            }
        }
        let now = Instant::now();
        for (path, watched) in changed {
            match watched {
                Watched::Directory => self.groups.look_closely(&path, true, now), // its limits
                Watched::CgroupEvents => self.look(&path, worker)?, // perhaps the last look before it goes
                // At its limit a cgroup reports up to a hundred times a second that it was reached: only kills are
                // urgent.
                Watched::MemoryEvents => {
                    let counters = self.hierarchy.counters(&path);
                    if self.groups.get(&path).is_some_and(|group| group.counters != counters) {
                        self.groups.look_closely(&path, false, now);
                    } else {
                        self.groups.look_soon(&path, now);
                    }
                }
            }
        }
        self.complete = Timestamp::now();
        Ok(())
    }

    fn take_notice(
        &mut self,
        notice: &InotifyEvent,
        path: Arc<str>,
        watched: Watched,
        changed: &mut BTreeSet<(Arc<str>, Watched)>,
        worker: &Worker,
    ) -> Result<(), End> {
        let name = notice.name.as_ref().and_then(|name| name.to_str());
        if notice.mask.contains(AddWatchFlags::IN_IGNORED) {
            self.watches.remove(&notice.wd);
        } else if notice.mask.contains(AddWatchFlags::IN_MODIFY) {
            let limit = matches!(name, Some("memory.max" | "memory.limit_in_bytes" | "memory.oom.group" | "pids.max"));
            if watched != Watched::Directory || limit {
                changed.insert((path, watched));
            }
        } else if notice.mask.contains(AddWatchFlags::IN_ISDIR) {
            let Some(child) = name.and_then(|name| join(&path, name)) else { return Ok(()) };
            if notice.mask.contains(AddWatchFlags::IN_CREATE) {
                self.discover(&child, true, worker)?;
            } else if notice.mask.contains(AddWatchFlags::IN_DELETE) {
                self.remove(&child, worker)?;
            }
        }
        Ok(())
    }

    /// inotify's queue was full: everything is searched and read again.
    fn overrun(&mut self, worker: &Worker) -> Result<(), End> {
        let (from, to) = (self.complete, Timestamp::now());
        worker.send(worker.outlet.gap(GapReason::Overrun, from.min(to), to, None))?;
        self.search(worker)?;
        let now = Instant::now();
        let paths: Vec<_> = self.groups.paths().cloned().collect();
        for path in paths {
            self.groups.look_closely(&path, true, now);
        }
        Ok(())
    }

    /// Searches the whole tree, and tries again to watch what could not be watched.
    fn search(&mut self, worker: &Worker) -> Result<(), End> {
        self.search = None;
        self.beyond = 0;
        let unwatched = self.blind.take().is_some();
        let paths: Vec<_> = self.groups.paths().cloned().collect();
        for path in paths {
            if !self.hierarchy.directory(&path).exists() {
                self.remove(&path, worker)?;
            } else if unwatched {
                self.rewatch(&path);
            }
        }
        self.discover_all(worker)
    }

    fn rewatch(&mut self, path: &Arc<str>) {
        let Some(role) = self.groups.get(path).map(|group| group.role) else { return };
        if let Some(watches) = self.watch(path, role)
            && let Some(group) = self.groups.get_mut(path)
        {
            group.watches = watches;
        }
        self.set_alarm(path);
    }

    /// A cgroup is gone, and all below it.
    fn remove(&mut self, path: &str, worker: &Worker) -> Result<(), End> {
        for path in self.groups.subtree(path).into_iter().rev() {
            let Some(group) = self.groups.remove(&path) else { continue };
            for watch in group.watches {
                self.watches.remove(&watch);
            }
            if let Some(alarm) = self.alarms.remove(&path) {
                self.numbers.remove(&alarm.number);
            }
            if group.role.sampled {
                worker.send(worker.outlet.now(Fact::CgroupRemoved(Path(path.to_string()))))?;
            }
        }
        Ok(())
    }

    /// Looks at all cgroups whose time it is.
    pub(super) fn look_at_due(&mut self, worker: &Worker) -> Result<(), End> {
        let now = Instant::now();
        if self.search.is_some_and(|at| at <= now) {
            self.search(worker)?;
        }
        while let Some((path, suspect)) = self.groups.due(now) {
            if self.blind.is_none() && self.is_as_before(&path, suspect) {
                self.groups.looked(&path, now);
            } else {
                self.look(&path, worker)?;
            }
        }
        Ok(())
    }

    /// Whether a cgroup is as it was last read, by one small file.
    fn is_as_before(&self, path: &str, suspect: Suspect) -> bool {
        let Some(group) = self.groups.get(path) else { return false };
        match suspect {
            Suspect::Usage => group.usage.is_some() && group.usage == self.hierarchy.usage(path),
            Suspect::Counters => group.usage.is_some() && group.counters == self.hierarchy.counters(path),
            Suspect::All => false,
        }
    }

    /// Reads a cgroup's files and reports them if they have changed.
    fn look(&mut self, path: &str, worker: &Worker) -> Result<(), End> {
        let Some(group) = self.groups.get_mut(path) else { return Ok(()) };
        if group.role.sampled
            && let Some(sample) = self.hierarchy.sample(path)
            && group.take(&sample)
        {
            worker.send(worker.outlet.now(Fact::Cgroup(sample)))?;
        }
        self.groups.looked(path, Instant::now());
        Ok(())
    }
}

/// The path of a cgroup's child; `None` for names that no runtime makes.
fn join(path: &str, name: &str) -> Option<String> {
    (!name.is_empty() && path.len() + name.len() < 4096).then(|| format!("{}/{name}", path.trim_end_matches('/')))
}
