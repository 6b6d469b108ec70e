//! The way from a source into the agent: a bounded channel that counts what did not fit.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use coroner_diagnosis::observation::{Fact, Gap, GapReason, Health, Observation, Source};
use jiff::Timestamp;
use tokio::sync::mpsc;

/// Observations that may wait for the examiner. One takes about 0.5 KiB, so a full channel stays near 2 MiB.
pub const CAPACITY: usize = 4096;

/// A source's end of the channel. Cloned freely within one source.
#[derive(Clone, Debug)]
pub struct Outlet {
    source: Source,
    sender: mpsc::Sender<Observation>,
    /// Observations that [`offer`](Self::offer) could not place since the last reported gap.
    dropped: Arc<AtomicU64>,
}

impl Outlet {
    /// An outlet for one source.
    pub fn new(source: Source, sender: mpsc::Sender<Observation>) -> Self {
        Self { source, sender, dropped: Arc::default() }
    }

    /// Whose outlet it is.
    pub fn source(&self) -> Source {
        self.source
    }

    /// For threads whose interface keeps what is not read yet (kernel log, tracefs, netlink): waits for room. What the
    /// interface then overwrites it counts itself. False when the agent is going away.
    #[must_use]
    pub fn send_blocking(&self, observation: Observation) -> bool {
        self.sender.blocking_send(observation).is_ok()
    }

    /// For tasks whose peer may be asked again (CRI listings, cgroup files): waits for room. False when the agent is
    /// going away.
    #[must_use]
    pub async fn send(&self, observation: Observation) -> bool {
        self.sender.send(observation).await.is_ok()
    }

    /// For tasks that must go on reading, because a peer would suffer (CRI and containerd event streams): never waits. What
    /// does not fit is counted, and told as a gap as soon as there is room again.
    pub fn offer(&self, observation: Observation) {
        let lost = self.dropped.load(Ordering::Relaxed);
        if lost > 0 {
            let at = observation.seen_at;
            if self.sender.try_send(self.gap(GapReason::Overload, at, at, Some(lost))).is_ok() {
                self.dropped.fetch_sub(lost, Ordering::Relaxed);
            }
        }
        if self.sender.try_send(observation).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells how well the source sees. Waits for room.
    pub async fn health(&self, health: Health) {
        let _closed = self.sender.send(self.now(Fact::Health(self.source, health))).await;
    }

    /// A fact that happened as it was seen: now.
    pub fn now(&self, fact: Fact) -> Observation {
        let now = Timestamp::now();
        Observation { seen_at: now, happened_at: now, fact }
    }

    /// A loss of this source, between two moments.
    pub fn gap(&self, reason: GapReason, from: Timestamp, to: Timestamp, lost: Option<u64>) -> Observation {
        let gap = Gap { source: self.source, reason, from, to, lost };
        Observation { seen_at: to, happened_at: from, fact: Fact::Gap(gap) }
    }
}
