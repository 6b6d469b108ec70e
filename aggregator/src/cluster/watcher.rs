//! The loop of the watch: what changes goes to the examiner, what that concludes to the reporter.

use std::{collections::BTreeMap, time::Duration};

use coroner_diagnosis::{
    cluster::ClusterExaminer,
    continuation::Continuation,
    observation::{Fact, Health, Observation, Source, kube::Kind},
};
use coroner_proto::v1::{Diagnosis, SourceHealth};
use coroner_watch::Told;
use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::{
    select,
    time::{Instant, sleep, sleep_until},
};

use super::{
    earlier::Earlier,
    objects::{WATCHED, Watches},
    reporter::Reporter,
};

/// What was reported before a restart and is not found again so long after all was listed, is over. The examiner needs at most ten
/// seconds to be sure of a state.
const FOUND_AGAIN: Duration = Duration::from_secs(30);
/// The status is pushed at least so often.
const STATUS: Duration = Duration::from_mins(1);

/// The state of one run.
pub(super) struct Watcher<'a> {
    examiner: ClusterExaminer,
    reporter: &'a mut Reporter,
    continuation: Continuation,
    /// Reported before a restart, not over then, and not found again yet.
    open: BTreeMap<String, Diagnosis>,
}

impl<'a> Watcher<'a> {
    /// A watch of the cluster of this uid.
    pub(super) fn new(uid: String, earlier: Earlier, reporter: &'a mut Reporter) -> Self {
        for kind in WATCHED {
            reporter.set_status(kind.name(), SourceHealth::Unspecified, "not listed yet");
        }
        let (continuation, open) = earlier.of_cluster(&uid);
        Self { examiner: ClusterExaminer::new(uid), reporter, continuation, open }
    }

    /// Watches until it is dropped, or all watches have ended.
    pub(super) async fn watch(&mut self, mut watches: Watches) {
        let mut changed = true;
        let mut pushed = Instant::now();
        let mut listed = None;
        loop {
            if listed.is_none() && self.reporter.is_healthy(WATCHED.into_iter().map(Kind::name)) {
                listed = Some(Instant::now());
            }
            let over = listed.filter(|_| !self.open.is_empty()).map(|listed| listed + FOUND_AGAIN);
            let due = self.examiner.next_tick().map(until);
            select! {
                change = watches.next() => match change {
                    Some((kind, told)) => changed |= self.observe(kind, told),
                    None => return,
                },
                () = sleep(due.unwrap_or_default()), if due.is_some() => {
                    let diagnoses = self.examiner.tick(Timestamp::now());
                    self.report(diagnoses);
                }
                () = sleep_until(over.unwrap_or_else(Instant::now)), if over.is_some() => self.close(),
                () = sleep_until(pushed + STATUS) => changed = true,
            }
            if changed || self.reporter.has_waiting() {
                // Nothing more is observed before that is stored: the watches wait, and list anew if it takes long.
                self.reporter.push().await;
                changed = false;
                pushed = Instant::now();
            }
        }
    }

    /// Whether the health of a kind has changed.
    fn observe(&mut self, kind: Kind, told: Told) -> bool {
        let now = Timestamp::now();
        let (fact, changed) = match told {
            Told::Object(change, object) => (Fact::Object(change, object), false),
            Told::Health(health) => {
                let (code, reason) = match &health {
                    Health::Ok => (SourceHealth::Ok, ""),
                    Health::Degraded(reason) => (SourceHealth::Degraded, reason.as_str()),
                    Health::Absent(reason) => (SourceHealth::Absent, reason.as_str()),
                };
                let changed = self.reporter.set_status(kind.name(), code, reason);
                (Fact::Health(Source::Api(kind), health), changed)
            }
        };
        let diagnoses = self.examiner.observe(Observation { seen_at: now, happened_at: now, fact });
        self.report(diagnoses);
        changed
    }

    fn report(&mut self, diagnoses: Vec<Diagnosis>) {
        for diagnosis in diagnoses {
            self.open.remove(&diagnosis.uid);
            if let Some(diagnosis) = self.continuation.follow(diagnosis) {
                self.reporter.add(diagnosis);
            }
        }
    }

    /// What ended while nobody watched is over now.
    fn close(&mut self) {
        let now = i64::try_from(Timestamp::now().as_nanosecond()).ok().map(crate::time::timestamp);
        let over = std::mem::take(&mut self.open).into_values();
        self.report(over.map(|diagnosis| Diagnosis { resolve_time: now, ..diagnosis }).collect());
    }
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}
