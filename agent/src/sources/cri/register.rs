//! What was reported about each container and sandbox, so that only changes are reported, in bounded memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use coroner_diagnosis::observation::{
    Fact, Observation,
    cri::{Container, ContainerId, Sandbox, State},
};
use jiff::Timestamp;

use super::convert::Details;

/// Containers and sandboxes that are followed. A kubelet runs 110 pods unless configured otherwise; one entry takes 0.5
/// KiB.
pub(super) const CAPACITY: usize = 4096;

/// A container, as it was last reported.
#[derive(Debug)]
struct Known {
    reported: u64,
    state: State,
    details: Details,
}

/// Everything that was reported, to report only what changes.
#[derive(Debug, Default)]
pub(super) struct Register {
    containers: BTreeMap<ContainerId, Known>,
    sandboxes: BTreeMap<ContainerId, u64>,
    /// Those beyond the capacity when everything was last listed.
    beyond: BTreeSet<ContainerId>,
}

impl Register {
    /// Whether a listed container must be asked for its status.
    pub(super) fn is_news(&mut self, id: &ContainerId, state: State) -> bool {
        match self.containers.get(id) {
            Some(known) => known.state != state,
            None => self.has_capacity(id),
        }
    }

    /// Whether its verbose info is still wanted: at first sight, and once when it runs.
    pub(super) fn wants_details(&self, id: &ContainerId) -> bool {
        self.containers.get(id).is_none_or(|known| known.state != State::Exited && known.details.pid.is_none())
    }

    /// Whether the id is that of a sandbox.
    pub(super) fn is_sandbox(&self, id: &ContainerId) -> bool {
        self.sandboxes.contains_key(id)
    }

    /// How many containers run, of those that are followed.
    pub(super) fn running(&self) -> u32 {
        let running = self.containers.values().filter(|known| known.state == State::Running);
        u32::try_from(running.count()).unwrap_or(u32::MAX)
    }

    /// Whether a container is there that has not been started.
    pub(super) fn awaits_start(&self) -> bool {
        self.containers.values().any(|known| known.state == State::Created)
    }

    /// How many containers and sandboxes there are beyond those that are followed.
    pub(super) fn beyond(&self) -> usize {
        self.beyond.len()
    }

    /// Takes a container's status, with its verbose info if that was requested. Returns the observation to report, if
    /// any.
    pub(super) fn container(
        &mut self,
        mut container: Container,
        details: Option<Details>,
        seen_at: Timestamp,
    ) -> Option<Observation> {
        if !self.containers.contains_key(&container.id) && !self.has_capacity(&container.id) {
            return None;
        }
        let unknown = || Known { reported: 0, state: State::Unknown, details: Details::default() };
        let known = self.containers.entry(container.id.clone()).or_insert_with(unknown);
        if container.state != State::Unknown && rank(container.state) < rank(known.state) {
            return None; // an event that waited while a later state was learned
        }
        if let Some(mut details) = details {
            details.sandbox = details.sandbox.or_else(|| known.details.sandbox.take());
            known.details = details;
        }
        known.details.complete(&mut container);
        let (reported, state) = (hash(&container), container.state);
        if known.reported == reported {
            return None;
        }
        let first = known.reported == 0;
        let entered = match state {
            _ if !first && known.state == state => None, // the same state with other details, which is new as of now
            State::Created => container.created_at,
            State::Running => container.started_at,
            State::Exited => container.finished_at,
            State::Unknown => None,
        };
        (known.reported, known.state) = (reported, state);
        Some(Observation { seen_at, happened_at: entered.unwrap_or(seen_at), fact: Fact::Container(container) })
    }

    /// Records which sandbox a container belongs to.
    pub(super) fn belongs(&mut self, container: &ContainerId, sandbox: &ContainerId) {
        if let Some(known) = self.containers.get_mut(container) {
            known.details.sandbox.get_or_insert_with(|| sandbox.clone());
        }
    }

    /// Takes a sandbox. Returns the observation to report, if any.
    pub(super) fn sandbox(&mut self, sandbox: Sandbox, seen_at: Timestamp) -> Option<Observation> {
        let reported = hash(&sandbox);
        if !self.sandboxes.contains_key(&sandbox.id) && !self.has_capacity(&sandbox.id) {
            return None;
        }
        let before = self.sandboxes.insert(sandbox.id.clone(), reported);
        let happened_at = sandbox.created_at.filter(|_| before.is_none() && sandbox.ready).unwrap_or(seen_at);
        (before != Some(reported)).then_some(Observation { seen_at, happened_at, fact: Fact::Sandbox(sandbox) })
    }

    /// The runtime no longer knows this ID: returns what is to be reported.
    pub(super) fn removed(&mut self, id: &ContainerId) -> Option<Fact> {
        if self.containers.remove(id).is_some() {
            return Some(Fact::ContainerRemoved(id.clone()));
        }
        self.sandboxes.remove(id).map(|_reported| Fact::SandboxRemoved(id.clone()))
    }

    /// Everything was listed: what of the known is gone, containers before sandboxes.
    pub(super) fn missing(&mut self, listed: &BTreeSet<ContainerId>) -> Vec<ContainerId> {
        self.beyond.clear();
        let known = self.containers.keys().chain(self.sandboxes.keys());
        known.filter(|id| !listed.contains(*id)).cloned().collect()
    }

    /// Whether one more can be followed; if not, it is counted.
    fn has_capacity(&mut self, id: &ContainerId) -> bool {
        let free = self.containers.len() + self.sandboxes.len() < CAPACITY;
        if !free && self.beyond.len() < CAPACITY {
            self.beyond.insert(id.clone());
        }
        free
    }
}

/// A container's states come in this order, and none twice; the runtime may not know for a while.
fn rank(state: State) -> u8 {
    match state {
        State::Unknown => 0,
        State::Created => 1,
        State::Running => 2,
        State::Exited => 3,
    }
}

/// Never 0, which denotes what was not reported.
fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::observation::cri::Pod;
    use k8s_cri::v1;

    use super::{super::convert, *};

    fn status(id: &str, state: v1::ContainerState, reason: &str) -> Container {
        convert::container(v1::ContainerStatus {
            id: id.to_owned(),
            state: state.into(),
            created_at: 1_000_000_000,
            started_at: 2_000_000_000,
            finished_at: 3_000_000_000,
            reason: reason.to_owned(),
            ..Default::default()
        })
        .unwrap()
    }

    fn id(id: &str) -> ContainerId {
        ContainerId(id.to_owned())
    }

    const SEEN: Timestamp = Timestamp::MAX;

    #[test]
    fn only_changes_are_news_and_a_later_reason_is_news_of_its_own_time() {
        let mut register = Register::default();
        let mut reported = |state, reason| {
            let news = register.container(status("c1", state, reason), None, SEEN);
            news.map(|news| news.happened_at.as_second())
        };
        use v1::ContainerState::{ContainerExited as Exited, ContainerRunning as Running};
        assert_eq!(reported(Running, ""), Some(2));
        assert_eq!(reported(Running, ""), None);
        assert_eq!(reported(Exited, "Error"), Some(3));
        assert_eq!(reported(Exited, "OOMKilled"), Some(SEEN.as_second()));
        assert_eq!(reported(Running, ""), None, "an event that waited in the queue");
    }

    #[test]
    fn details_asked_once_complete_every_later_status() {
        let mut register = Register::default();
        let details = Details { pid: Some(7), sandbox: Some(id("s1")), ..Details::default() };
        assert!(register.wants_details(&id("c1")));
        register.container(status("c1", v1::ContainerState::ContainerRunning, ""), Some(details), SEEN);
        assert!(!register.wants_details(&id("c1")));
        let ended = register.container(status("c1", v1::ContainerState::ContainerExited, "Error"), None, SEEN).unwrap();
        let Fact::Container(ended) = ended.fact else { panic!("{ended:?}") };
        assert_eq!((ended.pid, ended.sandbox_id), (Some(7), Some(id("s1"))));
    }

    #[test]
    fn what_is_no_longer_listed_is_removed_once() {
        let mut register = Register::default();
        register.container(status("c1", v1::ContainerState::ContainerExited, ""), None, SEEN);
        let sandbox = Sandbox { id: id("s1"), pod: Pod::default(), ready: true, created_at: None };
        register.sandbox(sandbox, SEEN);
        assert_eq!(register.missing(&BTreeSet::from([id("s1")])), [id("c1")]);
        assert_eq!(register.removed(&id("c1")), Some(Fact::ContainerRemoved(id("c1"))));
        assert_eq!(register.removed(&id("c1")), None);
        assert_eq!(register.removed(&id("s1")), Some(Fact::SandboxRemoved(id("s1"))));
    }

    #[test]
    fn containers_beyond_the_capacity_are_counted_and_found_later() {
        let mut register = Register::default();
        for n in 0..CAPACITY + 2 {
            register.container(status(&n.to_string(), v1::ContainerState::ContainerRunning, ""), None, SEEN);
        }
        assert_eq!(register.beyond(), 2);
        assert!(!register.is_news(&id("4097"), State::Running));
        register.removed(&id("0"));
        register.missing(&BTreeSet::new());
        assert!(register.is_news(&id("4097"), State::Running));
        assert_eq!(register.beyond(), 0);
    }
}
