//! The agent as a whole: starts sources, examiner, outbox and uplink, and stops them in this order.

use std::{io, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use coroner_diagnosis::{
    examiner::Examiner,
    messages::{self, Language},
    observation::{Fact, Observation, Source, node::Reading},
};
use coroner_runtime::{
    backoff::Pace,
    health::{HealthPort, Standing},
    metrics::Metrics,
    problem::Problem,
    signals::StopSignals,
    tasks::{Failure, Need, Supervisor},
};
use futures::FutureExt as _;
use jiff::Timestamp;
use thiserror::Error;
use tokio::{select, sync::mpsc, time::sleep};
use tracing::{info, warn};

use crate::{
    clock,
    config::{Config, NodeConfig},
    examination::{Examination, Pulse},
    footprint,
    gauges::{Gauges, OutboxGauges},
    messages::{cannot_record, problem},
    node,
    open_states::OpenStates,
    outbox::{self, Keeper, OpenError, Outbox},
    report::{NodeState, Reporter, api_server::Probe, boots::Marker},
    sources::{self, outlet::CAPACITY, site::Site, socket::Socket},
    status::Board,
    uplink::Uplink,
};

/// How long sources may take to stop, and the aggregator to take what is left. With the outbox' own, together well
/// below the usual terminationGracePeriodSeconds of 30.
const STOP_DEADLINE: Duration = Duration::from_secs(2);
const LAST_PUSH_DEADLINE: Duration = Duration::from_secs(3);
/// How long the examiner may take for what is in the channel, and the outbox to write down what it holds.
const LAST_WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// Time between two looks whether what is in memory was written or pushed.
const LOOK: Duration = Duration::from_secs(2);

/// Why the agent ended without being asked to.
#[derive(Debug, Error)]
pub enum AppError {
    /// The outbox cannot be used.
    #[error(transparent)]
    Outbox(#[from] OpenError),
    /// What an operator has to correct.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// A task that must run has ended.
    #[error(transparent)]
    Task(#[from] Failure),
}

impl AppError {
    /// What is wrong, in one line.
    pub fn text(&self, language: Language) -> String {
        match self {
            Self::Outbox(error) => messages::text(&error.message(), language),
            Self::Problem(problem) => problem.text(language),
            Self::Task(failure) => Problem::from(failure.clone()).text(language),
        }
    }

    /// That `coroner-agent record` cannot go on.
    pub fn of_recording(error: &io::Error) -> Self {
        Self::Problem(problem(cannot_record(error.to_string())))
    }

    /// The exit code that scripts may rely on: 65 for stored data of another program, 69 for an outbox in use, else 1.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Outbox(OpenError::Foreign { .. } | OpenError::Later { .. }) => 65.into(),
            Self::Outbox(OpenError::Locked(_)) => 69.into(),
            Self::Problem(_) | Self::Task(_) => ExitCode::FAILURE,
        }
    }
}

impl From<io::Error> for AppError {
    fn from(error: io::Error) -> Self {
        Self::Problem(Problem::of_system(&error))
    }
}

/// Why the agent has stopped in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A signal asked for it.
    Asked,
    /// The wall clock was set back: what it knows has times that are still to come, and it is to start over.
    ClockSetBack,
}

/// Waits until starting over loses no record: while the disk refuses, they are in the memory of this process until the
/// aggregator has them.
async fn nothing_is_in_memory_alone(keeper: &Keeper) {
    while keeper.sizes().await.is_ok_and(|sizes| sizes.in_memory > 0) {
        sleep(LOOK).await;
    }
}

/// Runs the agent until SIGTERM or SIGINT, or until the wall clock is set back; a second signal ends the process at
/// once.
///
/// # Errors
/// If it cannot start, or a task that must run ends.
pub async fn run(config: Config) -> Result<End, AppError> {
    let Config {
        node: NodeConfig { name, cluster_uid, sources: settings },
        aggregator,
        outbox,
        outbox_max_bytes,
        health_listen,
        pod_ip,
        log_format: _,
    } = config;
    let mut stop_signals = StopSignals::listen()?;
    let set_back = clock::set_back(clock::last_start_over());
    let node = node::identify(&settings.host, name, cluster_uid);
    let metrics = Metrics::default();
    metrics.build_info(env!("CARGO_PKG_VERSION"));
    let board = Board::new(&metrics);
    let marker_beside = outbox.clone();
    let outbox = Outbox::open(&outbox, outbox_max_bytes, &node.name, board.clone())?;
    let marker = Marker::begin(&marker_beside, &node.boot_id, &settings.host);
    info!(node = node.name, aggregator = aggregator.url, version = env!("CARGO_PKG_VERSION"), "Agent started");
    let mut continuation = outbox.continuation();
    let (states, states_writer) = OpenStates::read(&marker_beside, &node.boot_id);
    for earlier in states.earlier() {
        continuation.remember(earlier);
    }

    let supervisor = Supervisor::new(&metrics);
    // In the order in which they stop.
    let [of_report, of_sources, of_examiner, of_uplink, of_outbox] = std::array::from_fn(|_| supervisor.group());
    let keeper = outbox::start(outbox, &of_outbox);

    let (sender, observations) = mpsc::channel(CAPACITY);
    let site = Site::new(of_sources.clone(), sender);
    let state = NodeState::default();
    let health_port = health_listen.map_or(0, |address| address.port());
    state.update(|report| {
        report.boot_id.clone_from(&node.boot_id);
        report.agent_version = env!("CARGO_PKG_VERSION").to_owned();
        report.set_previous_end(marker.previous_end());
        let peer_address = pod_ip.filter(|_| health_port != 0).map(|address| SocketAddr::new(address, health_port));
        report.health_address = peer_address.map(|address| address.to_string()).unwrap_or_default();
    });
    let outlet = site.outlet(Source::NodeChecks);
    let probe = Probe {
        kubeconfig: settings.kubeconfig.clone(),
        board: board.clone(),
        state: state.clone(),
        outlet: outlet.clone(),
    };
    of_report.restarting("API server probe", Need::Optional, move |stop| probe.clone().run(stop));
    let reporter = Reporter {
        node: node.name.clone(),
        aggregator: aggregator.clone(),
        state: state.clone(),
        outlet,
        health_port,
        run: settings.host.run.clone(),
    };
    of_report.restarting("node report", Need::Optional, move |stop| reporter.clone().run(stop));
    let logs = sources::start(&site, &settings, &node.name, &state);
    let readers = site.readers();
    drop(site);

    let pulse = Pulse::default();
    let mut examiner = Examiner::new(node.clone());
    // Before any container is listed that has ended with an earlier boot.
    if let Some(uptime) = node::uptime() {
        let now = Timestamp::now();
        let fact = Fact::Node(Reading::Uptime(uptime));
        let _none = examiner.observe(Observation { seen_at: now, happened_at: now, fact });
    }
    let examination = Examination {
        node: node.name.clone(),
        examiner,
        continuation,
        states,
        outbox: keeper.clone(),
        board: board.clone(),
        logs,
        readers,
        gauges: Gauges::new(&metrics),
        started: Timestamp::now(),
    };
    of_examiner.fatal("examiner", {
        let pulse = pulse.clone();
        move |stop| examination.run(observations, pulse, stop)
    });

    if let Some(address) = health_listen {
        let port = HealthPort::bind(address)?;
        info!(address = %port.address(), "Serving health and metrics");
        let (port, needs_cri) = (Arc::new(port), settings.cri != Socket::Off);
        let (supervisor, board, metrics) = (supervisor.clone(), board.clone(), metrics.clone());
        of_uplink.restarting("health", Need::Ready, move |stop| {
            let (supervisor, board, pulse) = (supervisor.clone(), board.clone(), pulse.clone());
            let standing =
                move || Standing { alive: pulse.is_there(), ready: supervisor.is_ready() && board.is_ready(needs_cri) };
            let (port, metrics) = (Arc::clone(&port), metrics.clone());
            async move { port.serve(standing, metrics, stop).await }
        });
    }
    of_uplink.restarting("uplink", Need::Ready, {
        let (name, keeper, board) = (node.name, keeper.clone(), board.clone());
        move |stop| {
            Uplink::new(name.clone(), aggregator.clone(), keeper.clone(), board.clone(), Pace::default()).run(stop)
        }
    });
    of_uplink.restarting("open states", Need::Optional, move |stop| states_writer.clone().run(stop));
    of_uplink.restarting("footprint", Need::Optional, footprint::run);
    of_uplink.restarting("outbox metrics", Need::Optional, {
        let (gauges, keeper) = (OutboxGauges::new(&metrics, outbox_max_bytes), keeper.clone());
        move |stop| {
            let measuring = gauges.clone().run(keeper.clone());
            async move { stop.run_until_cancelled(measuring).await.unwrap_or(Ok(())) }
        }
    });

    let end = select! {
        signal = stop_signals.next() => {
            info!(signal, "Stopping");
            End::Asked
        }
        by = set_back.then(async |by| { nothing_is_in_memory_alone(&keeper).await; by }) => {
            warn!(%by, "The clock was set back: starting over");
            End::ClockSetBack
        }
        failure = supervisor.failed() => return Err(failure.into()),
    };
    let mut signals_meanwhile = None;
    match end {
        End::Asked => stop_signals.end_at_next(),
        End::ClockSetBack => signals_meanwhile = Some(stop_signals),
    }

    if !of_report.stop(STOP_DEADLINE).await.is_empty() {
        warn!("The node report did not stop in time");
    }
    marker.end();
    let late = of_sources.stop(STOP_DEADLINE).await;
    if !late.is_empty() {
        warn!(?late, "Sources did not stop in time");
    }
    of_examiner.stop(LAST_WRITE_DEADLINE).await;
    if keeper.flush().await.is_ok() && !of_uplink.stop(LAST_PUSH_DEADLINE).await.is_empty() {
        warn!("The aggregator did not take all in time: the rest waits in the outbox");
    }
    drop(keeper);
    if !of_outbox.stop(LAST_WRITE_DEADLINE).await.is_empty() {
        warn!("The outbox did not end in time");
    }
    if let Some(failure) = supervisor.failure() {
        return Err(failure.into());
    }
    info!("Stopped");
    let asked = signals_meanwhile.is_some_and(|mut signals| signals.next().now_or_never().is_some());
    Ok(if asked { End::Asked } else { end })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use coroner_proto::v1::Diagnosis;

    use super::*;
    use crate::outbox::{Limit, Record};

    #[tokio::test]
    async fn the_agent_does_not_start_over_while_records_would_be_lost() {
        let root = tempfile::tempdir().unwrap();
        // The disk refuses: a file is where the directory should be.
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let metrics = Metrics::default();
        let outbox = Outbox::open(&file.join("outbox.db"), 1 << 20, "n", Board::new(&metrics)).unwrap();
        let keeper = outbox::start(outbox, &Supervisor::new(&metrics).group());
        nothing_is_in_memory_alone(&keeper).await;
        keeper.append(vec![Record::diagnosis(Diagnosis::default())]).await.unwrap();
        let batch = keeper.batch(Limit { records: 1, bytes: 1 << 10 }).await.unwrap();
        let mut waiting = pin!(nothing_is_in_memory_alone(&keeper));
        assert_eq!((&mut waiting).now_or_never(), None, "it asks");
        // The answers come in the order of the questions.
        assert_eq!(keeper.sizes().await.unwrap().in_memory, 1);
        assert_eq!((&mut waiting).now_or_never(), None);
        keeper.acknowledge(batch.stream_id, batch.records[0].sequence).await.unwrap();
        waiting.await;
    }
}
