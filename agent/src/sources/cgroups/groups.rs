//! The cgroups that are known, and when each is looked at next.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    ops::Bound,
    sync::Arc,
    time::{Duration, Instant},
};

use coroner_diagnosis::observation::{
    cgroup::{Level, Path, Sample},
    cri::ContainerId,
};
use nix::sys::inotify::WatchDescriptor;

use super::hierarchy::Counters;

/// Cgroups that are known at most. One takes about 1 KiB here and as much in the kernel for its watches.
pub(super) const CAPACITY: usize = 4096;

/// How often a cgroup is looked at in which nothing happens.
const CALM: Duration = Duration::from_secs(60);
/// The first wait of a series of looks, each after twice the time of the last.
const CLOSE: Duration = Duration::from_millis(4);
/// The last of it.
const CLOSE_END: Duration = Duration::from_secs(1);
/// The shortest wait where something happens on and on.
const BUSY: Duration = Duration::from_millis(500);
/// How deep below the root, or below a container that is a node itself (kind), pods are searched for.
const DEPTH: usize = 4;

/// How a cgroup is treated, by what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    /// Whether its files are read.
    pub(super) sampled: bool,
    /// Whether cgroups below it are searched.
    pub(super) entered: bool,
}

impl Role {
    /// The role of the cgroup with this path.
    pub(super) fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default();
        // systemd's units that hold processes hold no pods; slices do.
        let unit = [".service", ".scope", ".mount", ".swap", ".socket"].iter().any(|kind| name.ends_with(kind));
        let shallow = path.split('/').filter(|component| !component.is_empty()).count() <= DEPTH;
        let parsed = Path(path.to_owned());
        match parsed.level() {
            Level::Root => Self { sampled: false, entered: true },
            Level::Kubepods | Level::Pod { .. } => Self { sampled: true, entered: true },
            Level::Container { pod_uid, .. } => {
                let itself = parsed.container().is_some_and(|container| container == parsed);
                Self { sampled: itself, entered: pod_uid.is_empty() && shallow && (itself || !unit) }
            }
            Level::Other => Self { sampled: false, entered: shallow && !unit },
        }
    }
}

/// A cgroup that is watched, and when it is read next.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) role: Role,
    pub(super) watches: Vec<WatchDescriptor>,
    /// Whether (v1) a notice was asked for. To ask twice would cost the kernel memory.
    pub(super) alarmed: bool,
    /// Hash of the last report; 0 for none.
    reported: u64,
    pub(super) usage: Option<u64>,
    pub(super) counters: Counters,
    looked: Option<Instant>,
    next: Instant,
    /// The next wait of a series of looks.
    close: Option<Duration>,
    /// Whether more than its counters may change during that series.
    whole: bool,
}

/// What of a cgroup may have changed when its look is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspect {
    /// Nothing is known to have happened: if it uses as much as before, nothing has.
    Usage,
    /// Memory ran out in it or beside it: only the counters show which.
    Counters,
    /// Anything.
    All,
}

/// All watched cgroups, by path and by the time of their next reading.
#[derive(Debug)]
pub(super) struct Groups {
    groups: BTreeMap<Arc<str>, Group>,
    due: BTreeSet<(Instant, Arc<str>)>,
    /// Calm looks happen at whole seconds from here, so that they share wake-ups.
    epoch: Instant,
}

impl Groups {
    pub(super) fn new() -> Self {
        Self { groups: BTreeMap::new(), due: BTreeSet::new(), epoch: Instant::now() }
    }

    pub(super) fn get(&self, path: &str) -> Option<&Group> {
        self.groups.get(path)
    }

    pub(super) fn get_mut(&mut self, path: &str) -> Option<&mut Group> {
        self.groups.get_mut(path)
    }

    pub(super) fn is_full(&self) -> bool {
        self.groups.len() >= CAPACITY
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Arc<str>> {
        self.groups.keys()
    }

    /// The path of a container's cgroup.
    pub(super) fn of_container(&self, id: &ContainerId) -> Option<Arc<str>> {
        let is_its = |path: &str| {
            path.contains(&id.0)
                && matches!(Path(path.to_owned()).level(), Level::Container { container_id, .. } if container_id == id.0)
        };
        self.groups.iter().find(|(path, group)| group.role.sampled && is_its(path)).map(|(path, _)| path.clone())
    }

    /// Its own path and those of all known below it.
    pub(super) fn subtree(&self, path: &str) -> Vec<Arc<str>> {
        let below = format!("{}/", path.trim_end_matches('/'));
        let inside = self
            .groups
            .range::<str, _>((Bound::Included(below.as_str()), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&below));
        let itself = self.groups.get_key_value(path).into_iter().filter(|(key, _)| !key.starts_with(&below));
        itself.chain(inside).map(|(key, _)| key.clone()).collect()
    }

    /// A cgroup that was not known. The runtime sets the limits of a new one after it has made it, so that is looked at
    /// closely; one that was there before has them.
    pub(super) fn insert(&mut self, path: Arc<str>, role: Role, watches: Vec<WatchDescriptor>, is_new: bool) {
        let next = Instant::now();
        let group = Group {
            role,
            watches,
            alarmed: false,
            reported: 0,
            usage: None,
            counters: Counters::default(),
            looked: None,
            next,
            close: (role.sampled && is_new).then_some(CLOSE),
            whole: is_new,
        };
        if role.sampled {
            self.due.insert((next, path.clone()));
        }
        self.groups.insert(path, group);
    }

    pub(super) fn remove(&mut self, path: &str) -> Option<Group> {
        let (key, group) = self.groups.remove_entry(path)?;
        self.due.remove(&(group.next, key));
        Some(group)
    }

    /// When a cgroup is to be read next.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A cgroup whose look is due, and what of it may have changed.
    pub(super) fn due(&self, now: Instant) -> Option<(Arc<str>, Suspect)> {
        let (at, path) = self.due.first()?;
        let suspect = self.groups.get(path).map_or(Suspect::All, Group::suspect);
        (*at <= now).then(|| (path.clone(), suspect))
    }

    /// Something happened: looks at it at once, and closely for a while. `whole`: anything may change meanwhile.
    pub(super) fn look_closely(&mut self, path: &str, whole: bool, now: Instant) {
        let Some(group) = self.groups.get_mut(path) else { return };
        if !group.role.sampled {
            return;
        }
        group.whole |= whole;
        // In a storm a series is already running; it does not start over, or every kill would cost ten samples.
        let (at, close) = match group.close {
            Some(close) => (group.looked.map_or(now, |looked| (looked + BUSY).max(now)), close.min(BUSY)),
            None => (now, CLOSE),
        };
        let at = at.min(group.next);
        self.schedule(path, at, Some(close));
    }

    /// Something of no great weight happened: looks at it, at most once a second.
    pub(super) fn look_soon(&mut self, path: &str, now: Instant) {
        let Some(group) = self.groups.get(path) else { return };
        let at = group.looked.map_or(now, |looked| (looked + CLOSE_END).max(now));
        let (next, close) = (group.next, group.close);
        if at < next {
            self.schedule(path, at, close.or(Some(CLOSE_END)));
        }
    }

    /// It was looked at: plans the next look.
    pub(super) fn looked(&mut self, path: &str, now: Instant) {
        let Some(group) = self.groups.get_mut(path) else { return };
        group.looked = Some(now);
        match group.close {
            Some(close) if close < CLOSE_END => self.schedule(path, now + close, Some(close * 2)),
            Some(_) | None => {
                group.whole = false;
                let mut hasher = DefaultHasher::new();
                path.hash(&mut hasher);
                let slot = Duration::from_secs(hasher.finish() % CALM.as_secs());
                let since = now.duration_since(self.epoch).checked_sub(slot);
                let rounds = since.map_or(0, |since| since.as_secs() / CALM.as_secs() + 1);
                let at = self.epoch + slot + CALM * u32::try_from(rounds).unwrap_or(u32::MAX);
                self.schedule(path, at, None);
            }
        }
    }

    fn schedule(&mut self, path: &str, at: Instant, close: Option<Duration>) {
        let Some((key, _)) = self.groups.get_key_value(path) else { return };
        let key = key.clone();
        let Some(group) = self.groups.get_mut(path) else { return };
        self.due.remove(&(group.next, key.clone()));
        (group.next, group.close) = (at, close);
        self.due.insert((at, key));
    }
}

impl Group {
    /// All of it is read at the first look of a series, and at the last.
    fn suspect(&self) -> Suspect {
        match self.close {
            None => Suspect::Usage,
            Some(close) if !self.whole && close > CLOSE && close < CLOSE_END => Suspect::Counters,
            Some(_) => Suspect::All,
        }
    }

    /// Takes a sample; true if it differs from what was last reported.
    pub(super) fn take(&mut self, sample: &Sample) -> bool {
        (self.usage, self.counters) = (sample.memory_usage, Counters::of(sample));
        let mut hasher = DefaultHasher::new();
        sample.hash(&mut hasher);
        let reported = hasher.finish().max(1);
        std::mem::replace(&mut self.reported, reported) != reported
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "pod6ec7f1ba-a07d-4b07-a9a4-74ff04f1a5a6";
    const CONTAINER: &str = "8ac0a4e1bd1f35ba4d6cf12f1b7b6d1e8ac0a4e1bd1f35ba4d6cf12f1b7b6d1e";

    fn role(path: &str) -> (bool, bool) {
        let path = path.replace("POD", POD).replace("CID", CONTAINER);
        let role = Role::of(&path);
        (role.sampled, role.entered)
    }

    #[test]
    fn pods_are_found_below_any_prefix_and_their_containers_end_the_search() {
        assert_eq!(role("/"), (false, true));
        assert_eq!(role("/kubepods/burstable"), (true, true));
        assert_eq!(role("/kubelet/kubepods/POD"), (true, true));
        assert_eq!(role("/kubepods/POD/CID"), (true, false));
        assert_eq!(role("/kubepods/POD/CID/init.scope"), (false, false));
        assert_eq!(role("/docker/CID"), (true, true), "Docker's own container, which may be a node of kind");
        assert_eq!(role("/docker/CID/kubelet.slice"), (false, true));
        assert_eq!(role("/docker/CID/system.slice/containerd.service"), (false, false));
        assert_eq!(role("/docker/CID/kubelet.slice/kubelet-kubepods.slice"), (true, true));
        assert_eq!(role("/system.slice"), (false, true));
        assert_eq!(role("/system.slice/sshd.service"), (false, false));
        assert_eq!(role("/a/b/c/d/e"), (false, false));
    }

    #[test]
    fn what_happens_on_and_on_is_looked_at_no_more_than_twice_a_second() {
        let mut groups = Groups::new();
        groups.insert("/kubepods".into(), Role { sampled: true, entered: true }, vec![], true);
        let start = Instant::now();
        let (mut now, mut looks) = (start, 0);
        while now < start + Duration::from_secs(2) {
            groups.look_closely("/kubepods", false, now);
            while let Some((path, _)) = groups.due(now) {
                groups.looked(&path, now);
                looks += 1;
            }
            now += Duration::from_millis(1);
        }
        assert!((6..=16).contains(&looks), "{looks}");
    }

    #[test]
    fn where_memory_ran_out_all_is_read_first_and_last_and_only_the_counters_between() {
        let mut groups = Groups::new();
        groups.insert("/kubepods".into(), Role { sampled: true, entered: true }, vec![], false);
        let series = |groups: &mut Groups, whole| {
            let mut suspects = vec![];
            groups.look_closely("/kubepods", whole, groups.next_look().unwrap());
            while suspects.last() != Some(&Suspect::Usage) {
                let now = groups.next_look().unwrap();
                let (path, suspect) = groups.due(now).unwrap();
                suspects.push(suspect);
                groups.looked(&path, now);
            }
            suspects
        };
        let memory = series(&mut groups, false);
        let [Suspect::All, between @ .., Suspect::All, Suspect::Usage] = &memory[..] else { panic!("{memory:?}") };
        assert!(between.len() > 3 && between.iter().all(|suspect| *suspect == Suspect::Counters), "{memory:?}");
        let limits = series(&mut groups, true);
        assert!(limits[..limits.len() - 1].iter().all(|suspect| *suspect == Suspect::All), "{limits:?}");
        assert_eq!(series(&mut groups, false), memory);
    }

    #[test]
    fn after_a_while_without_events_it_is_looked_at_once_a_minute() {
        let mut groups = Groups::new();
        groups.insert("/kubepods".into(), Role { sampled: true, entered: true }, vec![], true);
        let start = Instant::now();
        let mut looks = vec![];
        while looks.len() < 20 {
            let now = groups.next_look().unwrap();
            let (path, _) = groups.due(now).unwrap();
            groups.looked(&path, now);
            looks.push(now.saturating_duration_since(start));
        }
        assert!(looks[9] < Duration::from_secs(70), "{looks:?}");
        assert!(looks[10..].windows(2).all(|pair| pair[1] - pair[0] == CALM), "{looks:?}");
    }
}
