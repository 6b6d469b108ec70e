//! The task that owns the examiner: gives it what was seen and the time, and hands on what it reports.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use coroner_diagnosis::{
    case::KEEP,
    continuation::Continuation,
    examiner::Examiner,
    messages::{self, gaps, health},
    observation::{Fact, Gap, GapReason, Health, Observation, node::Reading},
};
use coroner_proto::v1::{self, Diagnosis};
use jiff::Timestamp;
use tokio::{select, sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    gauges::Gauges,
    open_states::OpenStates,
    outbox::{Closed, Keeper, Record},
    sources::{logs, readers::Readers},
    status::{Board, CASE_FILES, wire_time},
};

/// The examiner is given the time at least so often.
const IDLE_TICK: Duration = Duration::from_secs(5);
/// After so long without a turn of its loop, it hangs.
const HANG: Duration = Duration::from_secs(30);
/// Observations that are examined before their diagnoses are handed over: well below a millisecond's work.
const BURST: usize = 64;

/// Whether the examiner's loop goes on. Cloned freely; all clones are one.
#[derive(Clone, Debug)]
pub struct Pulse {
    start: Instant,
    /// The last turn, in milliseconds since the start.
    last: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { start: Instant::now(), last: Arc::default() }
    }
}

impl Pulse {
    fn beat(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// Whether the last turn was not long ago.
    pub fn is_there(&self) -> bool {
        self.start.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed))) < HANG
    }
}

/// The task that owns the examiner.
#[derive(Debug)]
pub struct Examination {
    /// The name of the Node object, or else the hostname.
    pub node: String,
    /// The engine that draws the conclusions.
    pub examiner: Examiner,
    /// What was reported before the agent started.
    pub continuation: Continuation,
    /// States of the node that are not over.
    pub states: OpenStates,
    /// The outbox that diagnoses are appended to.
    pub outbox: Keeper,
    /// The board with the health of each source.
    pub board: Board,
    /// Asks for logs of containers that failed.
    pub logs: logs::Requests,
    /// Asks sources how far they have read.
    pub readers: Readers,
    /// What is measured of the examination.
    pub gauges: Gauges,
    /// When the agent started: of what ended before, it does not count how long its diagnosis took.
    pub started: Timestamp,
}

impl Examination {
    /// Runs until it is to stop, and then until there is nothing left to examine.
    ///
    /// # Errors
    /// If the outbox' owner has ended.
    pub async fn run(
        mut self,
        mut observations: mpsc::Receiver<Observation>,
        pulse: Pulse,
        stop: CancellationToken,
    ) -> Result<(), Closed> {
        let mut burst = Vec::with_capacity(BURST);
        let mut stopping = false;
        let mut measured = Instant::now();
        let mut capacity = Capacity::default();
        let mut asked = Timestamp::MIN;
        loop {
            let due = self.examiner.next_tick().map_or(IDLE_TICK, |at| until(at).min(IDLE_TICK));
            let seen = select! {
                seen = observations.recv_many(&mut burst, BURST) => seen,
                // What is in the channel is examined, even if a source still holds its outlet.
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    observations.close();
                    continue;
                }
                () = sleep(due) => 0,
            };
            pulse.beat();
            let mut records = Vec::new();
            for observation in burst.drain(..) {
                self.observe(observation, &mut records);
            }
            let now = Timestamp::now();
            if seen == 0 || self.examiner.next_tick().is_some_and(|at| at <= now) {
                let reported = self.examiner.tick(now);
                self.hand_on(reported, &mut records);
            }
            if self.examiner.unread().is_some_and(|at| asked <= at) {
                asked = now;
                self.readers.ask();
            }
            if measured.elapsed() >= IDLE_TICK {
                measured = Instant::now();
                let sizes = self.examiner.sizes();
                self.gauges.measure(&sizes);
                capacity.show(sizes.refused, now, &self.board);
                for over in self.states.over(&self.board) {
                    self.continuation.remember(&over);
                    records.push(Record::diagnosis(over));
                }
            }
            if !records.is_empty() {
                self.outbox.append(records).await?;
            }
            if seen == 0 && observations.is_closed() && observations.is_empty() {
                return Ok(());
            }
        }
    }

    fn observe(&mut self, observation: Observation, records: &mut Vec<Record>) {
        self.gauges.count(observation.fact.source());
        match &observation.fact {
            Fact::Health(source, health) => self.board.set(source.name(), health),
            Fact::Gap(gap) => {
                warn!(source = gap.source.name(), reason = ?gap.reason, lost = gap.lost, "A source lost something");
                self.board.count_gap(gap.source.name());
                records.push(Record::gap(wire_gap(gap, &self.node)));
            }
            Fact::Node(Reading::KubeletCertificate(expires)) => self.gauges.set_certificate(*expires),
            Fact::Node(Reading::KubeletClientCertificate(validity)) => {
                self.gauges.set_client_certificate(validity.until);
            }
            _ => {}
        }
        self.logs.follow(&observation.fact);
        self.states.observe(&observation.fact);
        let reported = self.examiner.observe(observation);
        self.hand_on(reported, records);
    }

    fn hand_on(&mut self, reported: Vec<Diagnosis>, records: &mut Vec<Record>) {
        for diagnosis in reported {
            self.states.found(&diagnosis);
            let Some(diagnosis) = self.continuation.follow(diagnosis) else { continue };
            self.states.reported(&diagnosis);
            self.measure(&diagnosis);
            records.push(Record::diagnosis(diagnosis));
        }
    }

    /// Counts how long the first diagnosis of an end took.
    fn measure(&self, diagnosis: &Diagnosis) {
        let Some(time) = diagnosis.event_time.filter(|_| diagnosis.fatal && diagnosis.revision == 1) else { return };
        let ended = Timestamp::new(time.seconds, time.nanos).ok().filter(|ended| *ended >= self.started);
        if let Some(ended) = ended {
            self.gauges.count_latency(Timestamp::now().duration_since(ended).as_secs_f64().max(0.0));
        }
    }
}

/// Whether every running container and pod has a case file.
#[derive(Debug, Default)]
struct Capacity {
    /// How often there was none.
    refused: u64,
    /// When that last grew, until it has not for [`KEEP`].
    full: Option<Timestamp>,
}

impl Capacity {
    fn show(&mut self, refused: u64, now: Timestamp, board: &Board) {
        if refused > self.refused {
            board.set(CASE_FILES, &Health::Degraded(health::health_case_files_full().into()));
            (self.refused, self.full) = (refused, Some(now));
        } else if self.full.is_some_and(|since| now > since + KEEP) {
            board.set(CASE_FILES, &Health::Ok);
            self.full = None;
        }
    }
}

fn wire_gap(gap: &Gap, node: &str) -> v1::Gap {
    let (reason, message) = match gap.reason {
        GapReason::Overrun => (v1::GapReason::Overrun, gaps::gap_overrun()),
        GapReason::Disconnected => (v1::GapReason::Disconnected, gaps::gap_disconnected()),
        GapReason::Overload => (v1::GapReason::Overload, gaps::gap_overload()),
    };
    let gap = v1::Gap {
        node: node.to_owned(),
        source: gap.source.name().to_owned(),
        reason: reason.into(),
        start_time: Some(wire_time(gap.from)),
        end_time: Some(wire_time(gap.to)),
        lost_count: gap.lost,
        ..v1::Gap::default()
    };
    messages::worded(gap, message)
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_does_not_turn_has_no_pulse() {
        let pulse = Pulse::default();
        assert!(pulse.is_there());
        let stopped = Pulse { start: Instant::now().checked_sub(HANG).unwrap(), last: Arc::default() };
        assert!(!stopped.is_there());
        stopped.beat();
        assert!(stopped.is_there());
    }
}
