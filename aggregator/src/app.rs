//! Wiring: what is started, in which order, and how it ends.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic_health::ServingStatus;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::{
    auth::{Accounts, Authority, Door, Refusals},
    cluster,
    config::{ClusterWatch, Config, Endpoint, LogFormat},
    export::{self, Exporters},
    feed::{Feed, Standing, Timing},
    intake::Intake,
    lease,
    ledger::{self, Ledger, Retention, Writer},
    nodes::Nodes,
    reflection,
    server::{self, Listener},
    tls::Tls,
    wire::Acceptor,
};

/// Exit code for a wrong command line.
const USAGE: u8 = 2;
/// Exit code for stored data that cannot be used; `EX_DATAERR` of sysexits.h.
const DATA: u8 = 65;
/// What is under way has so long to finish; below the 30 s that Kubernetes gives a pod.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// How often to look for what has become too old.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(60);
/// Before a watch of the cluster that could not begin is tried again.
const WATCH_AGAIN: Duration = Duration::from_secs(5);

/// The whole program.
pub fn main(config: Config) -> ExitCode {
    start_log(config.log_format);
    if let Err(error) = server::check_exposure(&config) {
        tracing::error!("{error}");
        return ExitCode::from(USAGE);
    }
    allow_many_connections();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime.context("cannot start the async runtime") {
        Ok(runtime) => runtime.block_on(run(config)),
        Err(error) => Err(error),
    };
    exit(result)
}

/// Says in one line what went wrong, if something did.
pub(crate) fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            let about_data = error.downcast_ref::<ledger::Error>().is_some_and(ledger::Error::is_about_data);
            if about_data { ExitCode::from(DATA) } else { ExitCode::FAILURE }
        }
    }
}

/// Runs until SIGTERM or SIGINT; a second one ends the process at once.
async fn run(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let app = tokio::select! {
        app = App::start(config, Timing::default()) => app?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let told = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        error = app.failed() => Err(error),
    };
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("Told to stop twice, ending at once");
        std::process::exit(1);
    });
    tracing::info!("Stopping");
    let stopped = app.stop().await;
    // What the writer ended with says more than that it has.
    stopped.and(told)
}

/// A running aggregator.
#[derive(Debug)]
pub struct App {
    endpoints: Vec<Endpoint>,
    health: Option<Endpoint>,
    reporter: tonic_health::server::HealthReporter,
    ledger: Arc<Ledger>,
    writer: Writer,
    /// The stream that the ledger follows is not what it was.
    broken: CancellationToken,
    tasks: TaskTracker,
    health_tasks: TaskTracker,
    stop: CancellationToken,
    stop_health: CancellationToken,
}

impl App {
    /// Opens the ledger and starts to listen. On return every listener accepts.
    ///
    /// # Errors
    /// If the ledger cannot be used or a listener cannot listen; nothing is left running then.
    pub async fn start(config: Config, timing: Timing) -> anyhow::Result<Self> {
        server::check_exposure(&config)?;
        let (door, acceptor, refusals) = guard(&config).await?;
        let Config {
            listen,
            ledger: path,
            jetstream,
            retain_days,
            retain_bytes,
            health_listen,
            kubeconfig,
            cluster_watch,
            export,
            no_reflection,
            ..
        } = config;
        export::check(&export)?;
        let directory = Exporters::directory_of(&path);
        let retention = Retention { age: Duration::from_secs(86_400) * retain_days, bytes: retain_bytes };
        let nodes = Arc::new(Nodes::default());
        let (ledger, writer, follower) = match jetstream {
            None => {
                let (ledger, writer) = tokio::task::spawn_blocking(move || Ledger::open(&path, retention)).await??;
                (ledger, writer, None)
            }
            Some(target) => {
                let (ledger, writer, follower) =
                    Ledger::open_shared(&path, retention, &target, Arc::clone(&nodes)).await?;
                (ledger, writer, Some(Arc::new(follower)))
            }
        };
        let ledger = Arc::new(ledger);
        for status in ledger.query(ledger::nodes).await? {
            nodes.told(status);
        }
        let (tasks, health_tasks) = (TaskTracker::new(), TaskTracker::new());
        let (stop, stop_health) = (CancellationToken::new(), CancellationToken::new());
        let stop_on_error = (stop.clone().drop_guard(), stop_health.clone().drop_guard());
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let health = match health_listen {
            Some(address) => {
                let routes = tonic::service::Routes::new(health_service);
                Some(server::serve_health(address, routes, &health_tasks, &stop_health)?)
            }
            None => None,
        };
        reporter.set_service_status("liveness", ServingStatus::Serving).await;
        reporter.set_service_status("readiness", ServingStatus::NotServing).await;
        let broken = CancellationToken::new();
        if let Some(follower) = follower {
            tasks.spawn({
                let (follower, stop, broken) = (Arc::clone(&follower), stop.clone(), broken.clone());
                async move {
                    if let Err(error) = follower.run(stop).await {
                        tracing::error!("{error}");
                        broken.cancel();
                    }
                }
            });
            tokio::select! {
                () = follower.caught_up() => {}
                () = broken.cancelled() => bail!("the stream cannot be followed"),
            }
        }

        let intake = Intake::new(Arc::clone(&ledger), Arc::clone(&nodes));
        if cluster_watch == ClusterWatch::Auto {
            let (intake, stop) = (intake.clone(), stop.clone());
            match ledger.state().cloned() {
                None => tasks.spawn(watch_cluster(intake, kubeconfig, stop)),
                Some(state) => tasks.spawn(async move {
                    while let Some(turn) = lease::turn(&state, "cluster", &stop).await {
                        watch_cluster(intake.clone(), kubeconfig.clone(), turn.over.clone()).await;
                        // Without a cluster it ends at once, and would for each of the others.
                        turn.over.cancelled().await;
                        turn.end().await;
                    }
                }),
            };
        }
        let exporters =
            Exporters { ledger: Arc::clone(&ledger), directory, pace: export::Pace::default(), stop: stop.clone() };
        let mut standing = Standing { nodes: Arc::clone(&nodes), refusals, exporters: Vec::new() };
        for target in export {
            let counters = exporters.start(target.clone(), &tasks).await?;
            standing.exporters.push((target, counters));
        }
        let feed = Feed::new(Arc::clone(&ledger), standing, timing, tasks.clone(), stop.clone());
        let mut routes = server::routes(intake, feed);
        if !no_reflection {
            routes = reflection::add(routes, &stop).context("cannot describe the protocol")?;
        }
        let listeners = listen.iter().map(Listener::bind).collect::<Result<Vec<_>, _>>()?;
        let endpoints = listeners.iter().map(Listener::endpoint).collect();
        for listener in listeners {
            let endpoint = listener.endpoint();
            server::serve(listener, routes.clone(), door.clone(), acceptor.clone(), &tasks, &stop);
            tracing::info!("listening on {endpoint}");
        }
        tasks.spawn(expire(Arc::clone(&ledger), nodes, retention, stop.clone()));
        reporter.set_service_status("readiness", ServingStatus::Serving).await;
        stop_on_error.0.disarm();
        stop_on_error.1.disarm();
        Ok(Self { endpoints, health, reporter, ledger, writer, broken, tasks, health_tasks, stop, stop_health })
    }

    /// Where it listens, with real ports.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Where it answers for its health.
    pub fn health(&self) -> Option<&Endpoint> {
        self.health.as_ref()
    }

    /// Waits until the ledger cannot go on: its data is damaged, or the stream that it follows is not what it was.
    pub async fn failed(&self) -> anyhow::Error {
        let error = tokio::select! {
            () = self.writer.ended() => anyhow!("the ledger's writer has ended"),
            () = self.broken.cancelled() => anyhow!("the ledger's stream has changed"),
        };
        self.reporter.set_service_status("liveness", ServingStatus::NotServing).await;
        error
    }

    /// Takes no more, lets what is under way finish, and closes the ledger.
    ///
    /// # Errors
    /// If the ledger turned out to be damaged.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.reporter.set_service_status("readiness", ServingStatus::NotServing).await;
        self.stop.cancel();
        self.tasks.close();
        if timeout(DRAIN_LIMIT, self.tasks.wait()).await.is_err() {
            tracing::warn!(count = self.tasks.len(), "Connections were still open when time was up");
        }
        self.stop_health.cancel();
        self.health_tasks.close();
        let _late = timeout(Duration::from_secs(1), self.health_tasks.wait()).await;
        self.ledger.close().await;
        timeout(DRAIN_LIMIT, self.writer.ended()).await.context("the ledger's writer did not end in time")?;
        Ok(self.writer.join()?)
    }
}

/// Lets the process have as many descriptors as it may: each agent takes one, and 1,024 is a common bound.
fn allow_many_connections() {
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "Cannot raise the limit of open files");
    }
}

/// Who is let in, and how.
async fn guard(config: &Config) -> anyhow::Result<(Door, Acceptor, Arc<Refusals>)> {
    let files = server::tls_files(config);
    // Tokens are not for listeners that anyone can read along on.
    let client = match (&files, coroner_watch::client(config.kubeconfig.as_deref()).await) {
        (None, _) => None,
        (Some(_), Ok(client)) => Some(client),
        (Some(_), Err(error)) => {
            tracing::info!("Tokens are not reviewed: {error}");
            None
        }
    };
    let accounts = Accounts { audience: config.token_audience.clone(), agent: config.agent_account.clone() };
    let refusals = Arc::new(Refusals::default());
    let authority = Arc::new(Authority::new(client, accounts, Arc::clone(&refusals)));
    let reviews = authority.reviews_tokens();
    let asks = reviews || files.as_ref().is_some_and(|files| files.client_ca.is_some());
    server::check_credentials(config, asks)?;
    let tls = files.map(|files| Tls::new(files, reviews)).transpose()?.map(Arc::new);
    Ok((Door::new(authority), Acceptor::new(tls, asks, Arc::clone(&refusals)), refusals))
}

/// Watches the cluster until told to stop. Without one it says so and is content.
async fn watch_cluster(intake: Intake, kubeconfig: Option<PathBuf>, stop: CancellationToken) {
    let client = match coroner_watch::client(kubeconfig.as_deref()).await {
        Ok(client) => client,
        Err(error) => return tracing::info!("The cluster is not watched: {error}"),
    };
    while let Some(Err(error)) = stop.run_until_cancelled(cluster::run(intake.clone(), client.clone())).await {
        tracing::warn!(%error, "The cluster cannot be watched: trying again");
        let _stopped = stop.run_until_cancelled(sleep(WATCH_AGAIN)).await;
    }
}

/// Has the ledger, and the memory of nodes, look for what has become too old.
async fn expire(ledger: Arc<Ledger>, nodes: Arc<Nodes>, retention: Retention, stop: CancellationToken) {
    let mut ticks = interval(EXPIRE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Some(now) = ledger.expire().await {
            nodes.forget_silent(now, retention.age);
        }
    }
}

pub(crate) fn start_log(format: LogFormat) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).init(),
    }
}
