//! How well the agent sees: the state of each source and of the outbox, as it goes to the aggregator with each push and,
//! on request, to Kubernetes' gRPC probes.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use coroner_diagnosis::{
    observation::{Health, Source},
    text,
};
use coroner_proto::v1::{SourceHealth, SourceStatus};
use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Server, TcpIncoming};
use tonic_health::{ServingStatus, server::HealthReporter};
use tracing::{info, warn};

use crate::sources::api;

/// The outbox' name among the sources.
pub const OUTBOX: &str = "outbox";
/// The name under which the state of the case files is shown.
pub const CASE_FILES: &str = "case_files";

/// The examiner's loop turns at least every [`crate::app::IDLE_TICK`]. After so long without a turn it hangs.
const HANG: Duration = Duration::from_secs(30);
/// The aggregator takes up to twice as much.
const MAX_REASON_BYTES: usize = 512;
/// How often the probes' answers are brought up to date.
const REFRESH: Duration = Duration::from_secs(1);

/// The present state of each source. Cloned freely; all clones are one board.
#[derive(Clone, Debug)]
pub struct Board(Arc<watch::Sender<BTreeMap<&'static str, SourceStatus>>>);

impl Default for Board {
    fn default() -> Self {
        // Neither seeing nor absent: whoever waits for the agent's sources waits for what they say themselves.
        let unknown = |source: Source| SourceStatus {
            source: source.name().to_owned(),
            reason: "not started yet".to_owned(),
            ..SourceStatus::default()
        };
        Self(Arc::new(watch::Sender::new(sources().map(|source| (source.name(), unknown(source))).collect())))
    }
}

/// The sources of an agent.
fn sources() -> impl Iterator<Item = Source> {
    Source::OF_NODE.into_iter().chain(api::SOURCES)
}

/// What has changed on a board since it was last told to somebody.
#[derive(Debug)]
pub struct Changes(watch::Receiver<BTreeMap<&'static str, SourceStatus>>);

impl Changes {
    /// Whether there is something to tell.
    pub fn any(&self) -> bool {
        // The board is gone: nothing changes any more.
        self.0.has_changed().unwrap_or(false)
    }

    /// Waits until there is.
    pub async fn wait(&self) {
        if self.0.clone().changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// From now on only what changes from now on.
    pub fn told(&mut self) {
        self.0.mark_unchanged();
    }
}

impl Board {
    /// Notes how well something sees, and logs it if that is a change.
    pub fn set(&self, source: &'static str, health: &Health) {
        if self.set_quietly(source, health) {
            match health {
                Health::Ok => info!(source, "Source is up"),
                Health::Degraded(reason) => warn!(source, reason, "Source sees less than it could"),
                Health::Absent(reason) => info!(source, reason, "Source is absent"),
            }
        }
    }

    fn set_quietly(&self, source: &'static str, health: &Health) -> bool {
        let (state, reason) = match health {
            Health::Ok => (SourceHealth::Ok, String::new()),
            Health::Degraded(reason) => (SourceHealth::Degraded, text::clean(reason, MAX_REASON_BYTES)),
            Health::Absent(reason) => (SourceHealth::Absent, text::clean(reason, MAX_REASON_BYTES)),
        };
        self.0.send_if_modified(|sources| {
            let status = sources
                .entry(source)
                .or_insert_with(|| SourceStatus { source: source.to_owned(), ..SourceStatus::default() });
            if status.health() == state && status.reason == reason {
                return false;
            }
            if status.health() != state {
                status.since_time = Some(wire_time(Timestamp::now()));
            }
            status.set_health(state);
            status.reason = reason;
            true
        })
    }

    /// Counts a loss of this source.
    pub fn count_gap(&self, source: &'static str) {
        self.0.send_modify(|sources| {
            if let Some(status) = sources.get_mut(source) {
                status.gap_count += 1;
            }
        });
    }

    /// Tells of every change.
    pub fn changes(&self) -> Changes {
        Changes(self.0.subscribe())
    }

    /// All of it, for the wire.
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.0.borrow().values().cloned().collect()
    }

    /// Whether deaths can be seen at all: by the kernel log or by the cgroups, and by the CRI where there is to be one.
    fn is_ready(&self, needs_cri: bool) -> bool {
        let sources = self.0.borrow();
        let sees = |source: Source| {
            sources
                .get(source.name())
                .is_some_and(|status| matches!(status.health(), SourceHealth::Ok | SourceHealth::Degraded))
        };
        (sees(Source::KernelLog) || sees(Source::Cgroups)) && (!needs_cri || sees(Source::Cri))
    }
}

/// A time on the wire.
pub fn wire_time(time: Timestamp) -> prost_types::Timestamp {
    let mut wire = prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() };
    wire.normalize();
    wire
}

/// Serves `grpc.health.v1` until cancelled: `liveness` (and the empty name) while the examiner's loop, whose turns come
/// by `beat`, goes on; `readiness` while the required sources are up.
///
/// # Errors
/// If the address cannot be listened on.
pub async fn serve_health(
    address: SocketAddr,
    board: Board,
    needs_cri: bool,
    beat: watch::Receiver<Instant>,
    cancel: CancellationToken,
) -> std::io::Result<impl Future<Output = ()>> {
    let incoming = TcpIncoming::bind(address)?;
    info!(address = %incoming.local_addr()?, "Serving health");
    let (reporter, service) = tonic_health::server::health_reporter();
    report(&reporter, &board, needs_cri, &beat).await;
    let serve = Server::builder().add_service(service).serve_with_incoming_shutdown(incoming, cancel.cancelled_owned());
    Ok(async move {
        tokio::select! {
            served = serve => if let Err(error) = served { warn!(%error, "Health is no longer served") },
            () = async { loop { time::sleep(REFRESH).await; report(&reporter, &board, needs_cri, &beat).await } } => {}
        }
    })
}

async fn report(reporter: &HealthReporter, board: &Board, needs_cri: bool, beat: &watch::Receiver<Instant>) {
    let serving = |yes| if yes { ServingStatus::Serving } else { ServingStatus::NotServing };
    let alive = serving(beat.borrow().elapsed() < HANG);
    reporter.set_service_status("", alive).await;
    reporter.set_service_status("liveness", alive).await;
    reporter.set_service_status("readiness", serving(board.is_ready(needs_cri))).await;
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
        for source in sources() {
            assert_eq!(status(&board, source).health(), SourceHealth::Unspecified);
        }
    }

    #[test]
    fn since_is_when_the_state_changed_not_its_reason() {
        let board = Board::default();
        board.set("cri", &Health::Degraded("a".into()));
        let first = status(&board, Source::Cri);
        board.set("cri", &Health::Degraded("b".into()));
        let second = status(&board, Source::Cri);
        assert_eq!((second.reason.as_str(), second.since_time), ("b", first.since_time));
        board.set("cri", &Health::Ok);
        let third = status(&board, Source::Cri);
        assert_eq!((third.health(), third.reason.as_str()), (SourceHealth::Ok, ""));
        assert_ne!(third.since_time, first.since_time);
    }

    #[test]
    fn ready_means_that_deaths_can_be_seen() {
        let board = Board::default();
        assert!(!board.is_ready(false));
        board.set("cgroups", &Health::Degraded("no inotify".into()));
        assert!(board.is_ready(false));
        assert!(!board.is_ready(true));
        board.set("cri", &Health::Ok);
        assert!(board.is_ready(true));
        board.count_gap("cri");
        assert_eq!(status(&board, Source::Cri).gap_count, 1);
    }

    #[tokio::test]
    async fn probes_see_a_hanging_loop_and_missing_sources() {
        use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
        let board = Board::default();
        let (turn, beat) = watch::channel(Instant::now());
        let (reporter, service) = tonic_health::server::health_reporter();
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let server = tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut client = HealthClient::new(endpoint.connect_lazy());
        let mut check = async |service: &str| {
            let request = HealthCheckRequest { service: service.into() };
            client.check(request).await.unwrap().into_inner().status()
        };
        use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

        report(&reporter, &board, false, &beat).await;
        assert_eq!((check("liveness").await, check("readiness").await), (Serving, NotServing));

        board.set("kernel_log", &Health::Ok);
        turn.send_replace(Instant::now().checked_sub(HANG).unwrap());
        report(&reporter, &board, false, &beat).await;
        assert_eq!((check("liveness").await, check("readiness").await), (NotServing, Serving));
        server.abort();
    }
}
