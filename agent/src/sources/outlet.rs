//! The way from a source into the agent: a bounded channel that counts what did not fit.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use coroner_diagnosis::observation::{Fact, Gap, GapReason, Health, Observation, Reason, Source};
use jiff::Timestamp;
use tokio::sync::mpsc;

/// Observations that may wait for the examiner. One takes about 0.5 KiB, so a full channel stays near 2 MiB.
pub const CAPACITY: usize = 4096;

/// A source's end of the channel. Cloned freely within one source; all clones are one.
#[derive(Clone, Debug)]
pub struct Outlet {
    sender: mpsc::Sender<Observation>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    source: Source,
    /// Observations that [`Outlet::offer`] could not place since the last reported gap.
    dropped: AtomicU64,
    /// The last moment up to which nothing was missed, in microseconds since 1970.
    contact: AtomicI64,
    /// As it was last reported.
    health: Mutex<Option<Health>>,
}

impl Outlet {
    /// An outlet for one source.
    pub fn new(source: Source, sender: mpsc::Sender<Observation>) -> Self {
        let contact = AtomicI64::new(Timestamp::now().as_microsecond());
        let shared = Shared { source, dropped: AtomicU64::new(0), contact, health: Mutex::new(None) };
        Self { sender, shared: Arc::new(shared) }
    }

    /// The source that the outlet belongs to.
    pub fn source(&self) -> Source {
        self.shared.source
    }

    /// For threads whose interface keeps what is not read yet (kernel log, tracefs, netlink): waits for space. What the
    /// interface then overwrites it counts itself. False when the agent is going away.
    #[must_use]
    pub fn send_blocking(&self, observation: Observation) -> bool {
        self.touch(observation.seen_at);
        self.sender.blocking_send(observation).is_ok()
    }

    /// For tasks whose peer may be queried again (CRI listings, cgroup files): waits for space. False when the agent is
    /// going away.
    #[must_use]
    pub async fn send(&self, observation: Observation) -> bool {
        self.touch(observation.seen_at);
        self.sender.send(observation).await.is_ok()
    }

    /// For tasks that must keep reading, because a peer would suffer (CRI and containerd event streams): never waits.
    /// What does not fit is counted, and reported as a gap as soon as there is space again.
    pub fn offer(&self, observation: Observation) {
        self.touch(observation.seen_at);
        let dropped = &self.shared.dropped;
        let lost = dropped.load(Ordering::Relaxed);
        if lost > 0 {
            let at = observation.seen_at;
            if self.sender.try_send(self.gap(GapReason::Overload, at, at, Some(lost))).is_ok() {
                dropped.fetch_sub(lost, Ordering::Relaxed);
            }
        }
        if self.sender.try_send(observation).is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Gives an observation that another will soon replace, if there is room.
    pub fn try_send(&self, observation: Observation) {
        let _replaced_soon = self.sender.try_send(observation);
    }

    /// Reports how well the source observes, if that has changed. Waits for space.
    pub async fn health(&self, health: Health) {
        if self.is_news(&health) {
            let _closed = self.sender.send(self.now(Fact::Health(self.source(), health))).await;
        }
    }

    /// The same for threads. False when the agent is going away.
    #[must_use]
    pub fn health_blocking(&self, health: Health) -> bool {
        !self.is_news(&health) || self.sender.blocking_send(self.now(Fact::Health(self.source(), health))).is_ok()
    }

    /// Nothing was missed up to now, although nothing was reported.
    pub fn touch_now(&self) {
        self.touch(Timestamp::now());
    }

    /// The last moment up to which nothing was missed.
    pub fn contact(&self) -> Timestamp {
        Timestamp::from_microsecond(self.shared.contact.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// The source's task has ended, whatever the reason: the source is degraded from now on, and may have lost what it
    /// was handling, or was to handle, since its last contact.
    pub(crate) async fn fell(&self, reason: Reason) {
        self.health(Health::Degraded(reason)).await;
        let now = Timestamp::now();
        let gap = self.gap(GapReason::Disconnected, self.contact().min(now), now, None);
        let _closed = self.sender.send(gap).await;
    }

    /// A fact that happened as it was seen: now.
    pub fn now(&self, fact: Fact) -> Observation {
        let now = Timestamp::now();
        Observation { seen_at: now, happened_at: now, fact }
    }

    /// A loss of this source, between two moments.
    pub fn gap(&self, reason: GapReason, from: Timestamp, to: Timestamp, lost: Option<u64>) -> Observation {
        let gap = Gap { source: self.source(), reason, from, to, lost };
        Observation { seen_at: to, happened_at: from, fact: Fact::Gap(gap) }
    }

    fn touch(&self, at: Timestamp) {
        self.shared.contact.store(at.as_microsecond(), Ordering::Relaxed);
    }

    fn is_news(&self, health: &Health) -> bool {
        let mut last = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() == Some(health) {
            return false;
        }
        *last = Some(health.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn health_is_reported_when_it_changes_and_a_fall_with_what_may_be_lost() {
        let (sender, mut receiver) = mpsc::channel(16);
        let outlet = Outlet::new(Source::Cri, sender);
        let start = outlet.contact();
        for health in [Health::Ok, Health::Ok] {
            outlet.clone().health(health).await;
        }
        outlet.fell(Reason::quote("a fault")).await;
        outlet.health(Health::Ok).await;
        drop(outlet);
        let mut facts = Vec::new();
        while let Some(observation) = receiver.recv().await {
            facts.push(observation.fact);
        }
        let [first, fall, gap, back] = facts.as_slice() else { panic!("{facts:?}") };
        assert_eq!((first, back), (&Fact::Health(Source::Cri, Health::Ok), &Fact::Health(Source::Cri, Health::Ok)));
        assert!(
            matches!(fall, Fact::Health(_, Health::Degraded(reason)) if *reason == Reason::quote("a fault")),
            "{fall:?}"
        );
        assert!(matches!(gap, Fact::Gap(gap) if gap.from == start && gap.to >= start), "{gap:?}");
    }
}
