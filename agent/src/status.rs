//! How well the agent sees: the state of each source and of the outbox, as it goes to the aggregator with each push,
//! into the metrics, and decides whether the agent is ready.

use std::{collections::BTreeMap, sync::Arc};

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{Health, Reason, Source},
};
use coroner_proto::v1::{SourceHealth, SourceStatus};
use coroner_runtime::metrics::{Counters, Gauges, Metrics};
use jiff::Timestamp;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::sources;

/// The name of the outbox among the sources.
pub const OUTBOX: &str = "outbox";
/// The name under which the state of the case files is shown.
pub const CASE_FILES: &str = "case_files";

/// The present state of each source. Cloned freely; all clones are one board.
#[derive(Clone, Debug)]
pub struct Board {
    sources: Arc<watch::Sender<BTreeMap<&'static str, SourceStatus>>>,
    health: Gauges,
    gaps: Counters,
}

impl Default for Board {
    fn default() -> Self {
        Self::new(&Metrics::default())
    }
}

/// What has changed on a board since it was last reported.
#[derive(Debug)]
pub struct Changes(watch::Receiver<BTreeMap<&'static str, SourceStatus>>);

impl Changes {
    /// Whether the board has changed since it was last reported.
    pub fn any(&self) -> bool {
        // The board is gone: nothing changes any more.
        self.0.has_changed().unwrap_or(false)
    }

    /// Waits until the board has changed.
    pub async fn wait(&self) {
        if self.0.clone().changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// From now on only what changes from now on.
    pub fn mark_reported(&mut self) {
        self.0.mark_unchanged();
    }
}

impl Board {
    /// A board of all sources, which shows them as `source_health{source}` and `source_gaps_total{source}`.
    pub fn new(metrics: &Metrics) -> Self {
        let help = "How well a source sees: 2 everything, 1 less than it could, 0 nothing";
        let health = metrics.gauges("source_health", "source", help);
        let gaps = metrics.counters("source_gaps", "source", "Times at which a source lost something");
        // Neither healthy nor absent: a client that waits for the agent's sources waits for what they report
        // themselves.
        let (reason, reason_message) = Reason::from(health::health_not_started()).on_the_wire();
        let unknown = |source: Source| {
            health.set(source.name(), 0);
            gaps.of(source.name());
            SourceStatus {
                source: source.name().to_owned(),
                reason: reason.clone(),
                reason_message: reason_message.clone(),
                ..SourceStatus::default()
            }
        };
        let sources = sources::all().map(|source| (source.name(), unknown(source))).collect();
        Self { sources: Arc::new(watch::Sender::new(sources)), health, gaps }
    }

    /// Notes how well something sees, and logs it if that is a change. Another reason for the same state is none.
    pub fn set(&self, source: &'static str, health: &Health) {
        let (state, (reason, message)) = match health {
            Health::Ok => (SourceHealth::Ok, Default::default()),
            Health::Degraded(reason) => (SourceHealth::Degraded, reason.on_the_wire()),
            Health::Absent(reason) => (SourceHealth::Absent, reason.on_the_wire()),
        };
        let before = self.update(source, state, &reason, message);
        if before == state {
            debug!(source, reason, "Source is as before for another reason");
            return;
        }
        self.health.set(
            source,
            match state {
                SourceHealth::Ok => 2,
                SourceHealth::Degraded => 1,
                SourceHealth::Absent | SourceHealth::Unspecified => 0,
            },
        );
        match health {
            Health::Ok => info!(source, "Source is up"),
            Health::Degraded(_) => warn!(source, reason, "Source sees less than it could"),
            Health::Absent(_) => info!(source, reason, "Source is absent"),
        }
    }

    /// Writes it onto the board; the state that was there.
    fn update(
        &self,
        source: &'static str,
        state: SourceHealth,
        reason: &str,
        message: Option<Message>,
    ) -> SourceHealth {
        let mut before = SourceHealth::Unspecified;
        self.sources.send_if_modified(|sources| {
            let status = sources
                .entry(source)
                .or_insert_with(|| SourceStatus { source: source.to_owned(), ..SourceStatus::default() });
            before = status.health();
            if before == state && status.reason == reason {
                return false;
            }
            if before != state {
                status.since_time = Some(wire_time(Timestamp::now()));
            }
            status.set_health(state);
            reason.clone_into(&mut status.reason);
            status.reason_message = message;
            true
        });
        before
    }

    /// Counts a loss of this source.
    pub fn count_gap(&self, source: &'static str) {
        self.gaps.of(source).inc();
        self.sources.send_modify(|sources| {
            if let Some(status) = sources.get_mut(source) {
                status.gap_count += 1;
            }
        });
    }

    /// A receiver of the changes of this board.
    pub fn changes(&self) -> Changes {
        Changes(self.sources.subscribe())
    }

    /// The status of all sources, as the protocol holds it.
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.sources.borrow().values().cloned().collect()
    }

    /// Whether deaths can be seen at all: by the kernel log or by the cgroups, and by the CRI where there is to be one.
    pub fn is_ready(&self, needs_cri: bool) -> bool {
        let sources = self.sources.borrow();
        let sees = |source: Source| {
            sources
                .get(source.name())
                .is_some_and(|status| matches!(status.health(), SourceHealth::Ok | SourceHealth::Degraded))
        };
        (sees(Source::KernelLog) || sees(Source::Cgroups)) && (!needs_cri || sees(Source::Cri))
    }
}

/// A point in time, as the protocol holds it.
pub fn wire_time(time: Timestamp) -> prost_types::Timestamp {
    let mut wire = prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() };
    wire.normalize();
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(board: &Board, source: Source) -> SourceStatus {
        board.sources().into_iter().find(|status| status.source == source.name()).unwrap()
    }

    #[test]
    fn every_source_is_on_the_board_from_the_start() {
        let board = Board::default();
        for source in sources::all() {
            assert_eq!(status(&board, source).health(), SourceHealth::Unspecified);
        }
    }

    #[test]
    fn since_is_when_the_state_changed_not_its_reason() {
        let board = Board::default();
        board.set("cri", &Health::Degraded(Reason::quote("a")));
        let first = status(&board, Source::Cri);
        let no_socket = health::health_no_socket("CRI");
        board.set("cri", &Health::Degraded(no_socket.clone().into()));
        let second = status(&board, Source::Cri);
        assert_eq!((second.reason.as_str(), second.since_time), ("this node has no CRI socket", first.since_time));
        assert_eq!((first.reason_message, second.reason_message), (None, Some(no_socket)));
        board.set("cri", &Health::Ok);
        let third = status(&board, Source::Cri);
        assert_eq!((third.health(), third.reason.as_str()), (SourceHealth::Ok, ""));
        assert_ne!(third.since_time, first.since_time);
    }

    #[test]
    fn ready_means_that_deaths_can_be_seen() {
        let board = Board::default();
        assert!(!board.is_ready(false));
        board.set("cgroups", &Health::Degraded(Reason::quote("no inotify")));
        assert!(board.is_ready(false));
        assert!(!board.is_ready(true));
        board.set("cri", &Health::Ok);
        assert!(board.is_ready(true));
        board.count_gap("cri");
        assert_eq!(status(&board, Source::Cri).gap_count, 1);
    }
}
