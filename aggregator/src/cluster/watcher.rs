//! The loop of the watch: what changes goes to the examiner, what that concludes to the reporter.

use std::{collections::BTreeMap, time::Duration};

use coroner_diagnosis::{
    cluster::{ClusterExaminer, Scope},
    continuation::Continuation,
    messages::health,
    observation::{
        Fact, Health, Observation, Source,
        kube::{Change, Kind, Object},
    },
};
use coroner_proto::v1::Diagnosis;
use coroner_watch::Report;
use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::{
    select,
    time::{Instant, sleep, sleep_until},
};

use super::{
    earlier::Earlier,
    extent::Extent,
    objects::{WATCHED, Watch, Watches},
    reporter::Reporter,
};
use crate::memory::{Limits, Memory};

/// What was reported before a restart and is not found again so long after all was listed, is over. The examiner needs
/// at most ten seconds to be sure of a state.
const FOUND_AGAIN: Duration = Duration::from_secs(30);
/// The status is pushed at least so often.
const STATUS: Duration = Duration::from_mins(1);
/// How often memory is looked at: while all is listed, it may grow by 10 MiB in a second.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// Why a watch has ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// All streams have.
    Streams,
    /// Memory comes near its limit.
    Memory(Memory),
    /// There may be memory for more.
    Capacity,
}

/// The state of one run of the cluster's watch.
pub(super) struct Watcher<'a> {
    examiner: ClusterExaminer,
    reporter: &'a mut Reporter,
    continuation: Continuation,
    /// Reported before a restart, not over then, and not found again yet.
    open: BTreeMap<String, Diagnosis>,
    extent: Extent,
    /// As the watches reported it last.
    health: BTreeMap<Watch, Health>,
}

impl<'a> Watcher<'a> {
    /// A watch of the cluster of this uid.
    pub(super) fn new(uid: &str, scope: Scope, earlier: Earlier, reporter: &'a mut Reporter, extent: Extent) -> Self {
        let (continuation, open) = earlier.of_cluster(uid);
        let examiner = ClusterExaminer::with_scope(uid, scope);
        let mut watcher = Self { examiner, reporter, continuation, open, extent, health: BTreeMap::new() };
        for kind in WATCHED {
            watcher.show(kind);
        }
        watcher
    }

    /// Watches until memory asks for less or allows more, or all watches have ended.
    pub(super) async fn watch(&mut self, mut watches: Watches, limits: &Limits) -> End {
        let mut changed = true;
        let mut pushed = Instant::now();
        let mut looked = Instant::now();
        let mut listed = None;
        loop {
            if listed.is_none() && self.reporter.is_healthy(WATCHED.into_iter().map(Kind::name)) {
                listed = Some(Instant::now());
            }
            let over = listed.filter(|_| !self.open.is_empty()).map(|listed| listed + FOUND_AGAIN);
            let due = self.examiner.next_tick().map(until);
            select! {
                report = watches.next() => match report {
                    Some((watch, report)) => changed |= self.observe(watch, report),
                    None => return End::Streams,
                },
                () = sleep(due.unwrap_or_default()), if due.is_some() => {
                    let diagnoses = self.examiner.tick(Timestamp::now());
                    self.report(diagnoses);
                }
                () = sleep_until(over.unwrap_or_else(Instant::now)), if over.is_some() => self.close(),
                () = sleep_until(pushed + STATUS) => changed = true,
                () = sleep_until(looked + LOOK) => {}
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if let Some(end) = self.look(limits) {
                    return end;
                }
                changed |= WATCHED.into_iter().fold(false, |changed, kind| self.show(kind) | changed);
            }
            if changed || self.reporter.has_waiting() {
                // Nothing more is observed before that is stored: the watches wait, and list again if it takes long.
                self.reporter.push().await;
                changed = false;
                pushed = Instant::now();
            }
        }
    }

    /// Whether memory asks for another extent.
    fn look(&self, limits: &Limits) -> Option<End> {
        let near = limits.memory().filter(|memory| memory.is_near_limit());
        let has_capacity = || self.extent.may_widen(limits).then_some(End::Capacity);
        near.map(End::Memory).or_else(has_capacity)
    }

    /// Whether the health of a kind has changed.
    fn observe(&mut self, watch: Watch, report: Report<Object>) -> bool {
        let now = Timestamp::now();
        let Watch { kind, reason } = watch;
        let (fact, changed) = match report {
            Report::ListBegun => {
                self.examiner.begin_list(kind, reason);
                return false;
            }
            Report::ListDone => {
                self.examiner.end_list(now, kind, reason);
                return false;
            }
            Report::Applied(object) => (Fact::Object(Change::Applied, object), false),
            Report::Deleted(object) => (Fact::Object(Change::Deleted, object), false),
            Report::Health(health) => {
                self.health.insert(watch, health);
                let changed = self.show(kind);
                let Some(health) = self.health_of(kind) else { return changed };
                (Fact::Health(Source::Api(kind), health.clone()), changed)
            }
        };
        let diagnoses = self.examiner.observe(Observation { seen_at: now, happened_at: now, fact });
        self.report(diagnoses);
        changed
    }

    /// The worst of a kind's watches.
    fn health_of(&self, kind: Kind) -> Option<&Health> {
        let of_kind = self.health.iter().filter(|(watch, _)| watch.kind == kind).map(|(_, health)| health);
        of_kind.max_by_key(|health| match health {
            Health::Ok => 0,
            Health::Degraded(_) => 1,
            Health::Absent(_) => 2,
        })
    }

    /// Shows in the status how well a kind is watched. True if that is news.
    fn show(&mut self, kind: Kind) -> bool {
        let overfull = self.examiner.overfull().any(|full| full == kind).then(health::health_objects_beyond);
        let health = match (self.health_of(kind), self.extent.limitation(kind).or(overfull)) {
            (Some(Health::Ok) | None, Some(limitation)) => Some(Health::Degraded(limitation.into())),
            (health, _) => health.cloned(),
        };
        let is_news = match health {
            Some(health) => self.reporter.set_status(kind.name(), &health),
            None => self.reporter.set_not_listed(kind.name()),
        };
        let evicted = (kind == Kind::Events).then(|| self.examiner.evicted_failures());
        evicted.is_some_and(|evicted| self.reporter.set_gap_count(kind.name(), evicted)) || is_news
    }

    fn report(&mut self, diagnoses: Vec<Diagnosis>) {
        for diagnosis in diagnoses {
            self.open.remove(&diagnosis.uid);
            if let Some(diagnosis) = self.continuation.follow(diagnosis) {
                self.reporter.add(diagnosis);
            }
        }
    }

    /// What ended while there was no watch is over now.
    fn close(&mut self) {
        let now = i64::try_from(Timestamp::now().as_nanosecond()).ok().map(crate::time::timestamp);
        let over = std::mem::take(&mut self.open).into_values();
        self.report(over.map(|diagnosis| Diagnosis { resolve_time: now, ..diagnosis }).collect());
    }
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}
