//! The agent as a whole: starts sources, examiner, outbox and uplink, and stops them in this order.

use std::{io, net::SocketAddr, process::ExitCode, time::Duration};

use coroner_diagnosis::{
    case::KEEP,
    continuation::Continuation,
    examiner::Examiner,
    observation::{Fact, Gap, GapReason, Health, Observation, Source, docker::Word, kube::Kind},
};
use coroner_proto::v1::{self, Diagnosis};
use jiff::Timestamp;
use thiserror::Error;
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, error, info, info_span, warn};

use crate::{
    config::Config,
    node,
    outbox::{self, Closed, Keeper, OpenError, Outbox, Record},
    sources::{
        api, cgroups, container_names, containerd, cri, disk, docker, kernel_log, kubelet, logs,
        outlet::{CAPACITY, Outlet},
        process_events,
        procfs::{self, Connector},
        signals,
    },
    status::{self, Board, CASE_FILES, wire_time},
    uplink::{Pace, Uplink},
};

/// The examiner is told the time at least so often.
pub const IDLE_TICK: Duration = Duration::from_secs(5);
/// Observations that are examined before their diagnoses are handed over: well below a millisecond's work.
const BURST: usize = 64;
/// How long sources may take to stop, and the aggregator to take what is left. Together well below the usual
/// terminationGracePeriodSeconds of 30.
const STOP_DEADLINE: Duration = Duration::from_secs(2);
const LAST_PUSH_DEADLINE: Duration = Duration::from_secs(3);
/// Signals so close together are one: timeout(1), for one, signals its child and then the child's group.
const ONE_SIGNAL: Duration = Duration::from_millis(200);

/// Why the agent ended without being told to.
#[derive(Debug, Error)]
pub enum AppError {
    /// The outbox cannot be used.
    #[error(transparent)]
    Outbox(#[from] OpenError),
    /// The address for health cannot be used.
    #[error("cannot serve health on {address}")]
    Health {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The operating system refuses something basic.
    #[error("cannot start")]
    System(#[from] io::Error),
    /// A part that must run has ended; its panic is in the log.
    #[error("the {0} has ended")]
    Ended(&'static str),
}

impl AppError {
    /// The exit code that scripts may rely on: 65 for stored data of another program, 69 for an outbox in use, else 1.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Outbox(OpenError::Foreign { .. }) => 65.into(),
            Self::Outbox(OpenError::Locked(_)) => 69.into(),
            Self::Health { .. } | Self::System(_) | Self::Ended(_) => ExitCode::FAILURE,
        }
    }
}

/// Runs the agent until it is told to stop by SIGTERM or SIGINT; a second signal ends the process at once.
///
/// # Errors
/// If it cannot start, or a part that must run ends.
pub async fn run(config: Config) -> Result<(), AppError> {
    let Config {
        node_name,
        cluster_uid,
        host,
        container_logs,
        cri_endpoint,
        containerd_endpoint,
        containerd_namespace,
        docker_endpoint,
        log_lines,
        kubeconfig,
        kubelet,
        disks,
        aggregator,
        outbox,
        outbox_max_bytes,
        health_listen,
        log_format: _,
    } = config;
    let mut stop_signal = StopSignal::listen()?;
    let node = node::identify(&host, node_name, cluster_uid);
    let board = Board::default();
    let outbox = Outbox::open(&outbox, outbox_max_bytes, &node.name, board.clone())?;
    info!(node = node.name, aggregator = aggregator.url, version = env!("CARGO_PKG_VERSION"), "Agent started");
    let continuation = outbox.continuation();
    let (keeper, outbox_thread) = outbox::spawn(outbox)?;

    let needs_cri = cri_endpoint.is_some();
    let (sender, observations) = mpsc::channel(CAPACITY);
    let stop_sources = CancellationToken::new();
    let sources = TaskTracker::new();
    let outlet = |source| Outlet::new(source, sender.clone());
    let containerd_config = containerd::Config { endpoint: containerd_endpoint, namespace: containerd_namespace };
    let (hints, hinted) = cri::hints();
    containerd::spawn(&sources, stop_sources.clone(), outlet(Source::Containerd), containerd_config, hints);
    cri::spawn(&sources, stop_sources.clone(), outlet(Source::Cri), cri_endpoint, hinted);
    docker::spawn(&sources, stop_sources.clone(), outlet(Source::Docker), docker_endpoint);
    let api_outlets = api::Outlets {
        pods: outlet(Source::Api(Kind::Pods)),
        events: outlet(Source::Api(Kind::Events)),
        nodes: outlet(Source::Api(Kind::Nodes)),
    };
    api::spawn(&sources, stop_sources.clone(), api_outlets, api::Config { kubeconfig, node: node.name.clone() });
    kubelet::spawn(&sources, stop_sources.clone(), outlet(Source::Kubelet), kubelet);
    disk::spawn(&sources, &stop_sources, outlet(Source::Disk), disks);
    let pod_logs = host.log.join("pods");
    let logs = logs::spawn(&sources, stop_sources.clone(), outlet(Source::Logs), pod_logs, log_lines);
    container_names::spawn(&sources, &stop_sources, outlet(Source::ContainerLogs), container_logs);
    cgroups::spawn(&sources, &stop_sources, outlet(Source::Cgroups), host.clone());
    kernel_log::spawn(&sources, &stop_sources, outlet(Source::KernelLog), host.clone(), kernel_log::LOOKBACK);
    signals::spawn(&sources, &stop_sources, outlet(Source::Signals), host.clone());
    let connector = Connector::default();
    process_events::spawn(&sources, &stop_sources, outlet(Source::ProcessEvents), host.clone(), connector.clone());
    procfs::spawn(&sources, &stop_sources, outlet(Source::Procfs), host, connector);
    sources.close();

    let (turn, beat) = watch::channel(Instant::now());
    let parts = TaskTracker::new();
    let stop_parts = CancellationToken::new();
    if let Some(address) = health_listen {
        let serve = status::serve_health(address, board.clone(), needs_cri, beat, stop_parts.clone());
        let serve = serve.await.map_err(|error| AppError::Health { address, error })?;
        parts.spawn(serve.instrument(info_span!("health")));
    }
    let stop_examiner = CancellationToken::new();
    let examination = Examination {
        node: node.name.clone(),
        examiner: Examiner::new(node.clone()),
        continuation,
        outbox: keeper.clone(),
        board: board.clone(),
        logs,
        refused: 0,
        full: None,
    };
    let mut examiner =
        parts.spawn(examination.run(observations, turn, stop_examiner.clone()).instrument(info_span!("examiner")));
    let uplink = Uplink::new(node.name, aggregator, keeper.clone(), board, Pace::default());
    let mut uplink = parts.spawn(uplink.run(stop_parts.clone()).instrument(info_span!("uplink")));

    select! {
        signal = stop_signal.next() => info!(signal, "Stopping"),
        _ = &mut examiner => return Err(AppError::Ended("examiner")),
        _ = &mut uplink => return Err(AppError::Ended("uplink")),
    }
    tokio::spawn(async {
        sleep(ONE_SIGNAL).await;
        let Ok(mut stop_signal) = StopSignal::listen() else { return };
        let signal = stop_signal.next().await;
        error!(signal, "Told to stop twice: ending at once");
        std::process::exit(1);
    });

    stop_sources.cancel();
    if timeout(STOP_DEADLINE, sources.wait()).await.is_err() {
        warn!(count = sources.len(), "Sources did not stop in time");
    }
    // The examiner ends with what is in the channel, even if a source still holds its outlet.
    stop_examiner.cancel();
    if !matches!(examiner.await, Ok(Ok(()))) {
        return Err(AppError::Ended("examiner"));
    }
    if keeper.flush().await.is_err() {
        return Err(AppError::Ended("outbox"));
    }
    stop_parts.cancel();
    parts.close();
    if timeout(LAST_PUSH_DEADLINE, parts.wait()).await.is_err() {
        warn!("The aggregator did not take all in time: the rest waits in the outbox");
        uplink.abort();
        parts.wait().await;
    }
    drop(keeper);
    if outbox_thread.join().is_err() {
        return Err(AppError::Ended("outbox"));
    }
    info!("Stopped");
    Ok(())
}

/// SIGTERM and SIGINT.
struct StopSignal {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl StopSignal {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// The one owner of the examiner: gives it what was seen and the time, and hands on what it says.
struct Examination {
    node: String,
    examiner: Examiner,
    continuation: Continuation,
    outbox: Keeper,
    board: Board,
    logs: logs::Requests,
    /// How often there was no room for a case file.
    refused: u64,
    /// When that last grew, until it has not for [`KEEP`].
    full: Option<Timestamp>,
}

impl Examination {
    /// Ends when there is nothing left that could be seen.
    async fn run(
        mut self,
        mut observations: mpsc::Receiver<Observation>,
        turn: watch::Sender<Instant>,
        stop: CancellationToken,
    ) -> Result<(), Closed> {
        let mut burst = Vec::with_capacity(BURST);
        let mut stopping = false;
        loop {
            let due = self.examiner.next_tick().map_or(IDLE_TICK, |at| until(at).min(IDLE_TICK));
            let seen = select! {
                seen = observations.recv_many(&mut burst, BURST) => seen,
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    observations.close();
                    continue;
                }
                () = sleep(due) => 0,
            };
            turn.send_replace(Instant::now());
            let mut records = Vec::new();
            for observation in burst.drain(..) {
                note(&observation, &self.board, &self.node, &mut records);
                match &observation.fact {
                    Fact::Container(container) => self.logs.ended(container),
                    Fact::Docker(Word::Container(container)) => self.logs.ended(container),
                    _ => {}
                }
                let told = self.examiner.observe(observation);
                self.tell(told, &mut records);
            }
            let now = Timestamp::now();
            if seen == 0 || self.examiner.next_tick().is_some_and(|at| at <= now) {
                let told = self.examiner.tick(now);
                self.tell(told, &mut records);
            }
            self.show_room(now);
            if !records.is_empty() {
                self.outbox.append(records).await?;
            }
            if seen == 0 && observations.is_closed() && observations.is_empty() {
                return Ok(());
            }
        }
    }

    /// Shows whether more containers or pods live than case files can be kept of.
    fn show_room(&mut self, now: Timestamp) {
        let refused = self.examiner.sizes().refused;
        if refused > self.refused {
            let reason = "more containers live on this node than case files can be kept of: some are not watched";
            self.board.set(CASE_FILES, &Health::Degraded(reason.to_owned()));
            (self.refused, self.full) = (refused, Some(now));
        } else if self.full.is_some_and(|since| now > since + KEEP) {
            self.board.set(CASE_FILES, &Health::Ok);
            self.full = None;
        }
    }

    fn tell(&mut self, told: Vec<Diagnosis>, records: &mut Vec<Record>) {
        records.extend(told.into_iter().filter_map(|told| self.continuation.follow(told)).map(Record::diagnosis));
    }
}

/// What concerns the sources themselves also goes to the board and, if something was lost, on record.
fn note(observation: &Observation, board: &Board, node: &str, records: &mut Vec<Record>) {
    match &observation.fact {
        Fact::Health(source, health) => board.set(source.name(), health),
        Fact::Gap(gap) => {
            warn!(source = gap.source.name(), reason = ?gap.reason, lost = gap.lost, "A source lost something");
            board.count_gap(gap.source.name());
            records.push(Record::gap(wire_gap(gap, node)));
        }
        _ => {}
    }
}

fn wire_gap(gap: &Gap, node: &str) -> v1::Gap {
    let (reason, text) = match gap.reason {
        GapReason::Overrun => (v1::GapReason::Overrun, "it was overwritten before it could be read"),
        GapReason::Disconnected => (v1::GapReason::Disconnected, "the connection broke"),
        GapReason::Overload => (v1::GapReason::Overload, "the agent could not keep up"),
    };
    v1::Gap {
        node: node.to_owned(),
        source: gap.source.name().to_owned(),
        reason: reason.into(),
        start_time: Some(wire_time(gap.from)),
        end_time: Some(wire_time(gap.to)),
        lost_count: gap.lost,
        text: text.to_owned(),
    }
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}
