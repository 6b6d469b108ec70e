//! The aggregator as a whole: what is started, in which order, and how it ends.

mod error;
mod exposure;
mod gauges;
mod guard;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use coroner_runtime::{
    backoff::Pace,
    health::{HealthPort, Standing},
    metrics::Metrics,
    problem::Problem,
    tasks::{Failure, Group, Need, Supervisor},
};
use tokio::{
    sync::Mutex,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

pub use self::{error::Error, exposure::check_exposure};
use self::{exposure::is_loopback, gauges::Reading, guard::Guard};
use crate::{
    budget::Budget,
    cluster,
    config::{ClusterWatch, Config},
    export::{self, Setup},
    feed::{Feed, Timing},
    http,
    intake::Intake,
    issuer::{self, Issuer},
    lease,
    ledger::{self, Follower, Ledger, Retention, Writer},
    messages::{problem, start},
    net::{self, Endpoint, Listener, Served, Web},
    nodes::Nodes,
    query::Queries,
    remote::api_server,
    services::{self, Diagnoses},
    status::Status,
    traffic::Traffic,
    triage::{self, Bus, Hub},
};

/// What is under way has so long to finish; below the 30 s that Kubernetes gives a pod.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// The same for probes.
const HEALTH_DRAIN_LIMIT: Duration = Duration::from_secs(1);
/// How often to look for what has become too old.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(60);

/// An aggregator that is running.
#[derive(Debug)]
pub struct App {
    endpoints: Vec<Endpoint>,
    health: Option<Endpoint>,
    page: Option<Endpoint>,
    ledger: Arc<Ledger>,
    writer: Writer,
    supervisor: Supervisor,
    /// All that stops at once.
    work: Group,
    /// What answers probes until the end.
    probes: Group,
    serving: Arc<AtomicBool>,
}

impl App {
    /// Opens the ledger and starts to listen. On return every listener accepts.
    ///
    /// # Errors
    /// If the ledger cannot be used or a listener cannot listen; nothing is left running then.
    pub async fn start(config: Config, timing: Timing) -> Result<Self, Error> {
        check_exposure(&config)?;
        let client =
            api_server::client(config.kubeconfig.as_deref()).await.map_err(|error| Error::of_cluster(&error))?;
        export::check(&config.export, client.is_some())?;
        let budget = Budget::find();
        let metrics = Metrics::default();
        let supervisor = Supervisor::new(&metrics);
        let (work, probes) = (supervisor.group(), supervisor.group());
        let stop_on_error = [&work, &probes].map(|group| group.stop_token().clone().drop_guard());
        let serving = Arc::new(AtomicBool::new(false));
        let health = config.health_listen.map(HealthPort::bind).transpose()?;
        let health_endpoint = health.as_ref().map(|port| Endpoint::Tcp(port.address()));
        if let Some(port) = health {
            serve_health(port, &supervisor, &serving, &metrics, &probes);
        }
        issue_certificate(&config, client.as_ref(), &work).await.map_err(Problem::from)?;
        let guard = Guard::new(&config, client.clone(), budget)?;

        let retention = Retention { age: Duration::from_secs(86_400) * config.retain_days, bytes: config.retain_bytes };
        let nodes = Arc::new(Nodes::default());
        let (ledger, writer) = open_ledger(&config, retention, &nodes, &work).await?;
        let intake = Intake::new(Arc::clone(&ledger), Arc::clone(&nodes), &metrics);
        let hub = Arc::new(Hub::default());
        let bus = ledger.bus().map(|(client, stream)| Bus::new(client, stream));
        let reports = triage::Service::new(Arc::clone(&hub), Arc::clone(&nodes), bus.clone());
        match client.clone().filter(|_| config.cluster_watch == ClusterWatch::Auto) {
            Some(client) => {
                watch_cluster(&intake, client.clone(), &work);
                judge_nodes(&hub, &intake, client, bus.map(|bus| (bus, Arc::clone(&nodes))), &work);
            }
            None => tracing::info!("The cluster is not watched"),
        }
        let setup = Setup {
            cluster: client.clone(),
            ledger: Arc::clone(&ledger),
            directory: Setup::directory_of(&config.ledger),
            pace: Pace::default(),
        };
        let mut exporters = Vec::with_capacity(config.export.len());
        for target in config.export {
            exporters.push(export::start(&setup, target, &work).await.map_err(Problem::from)?);
        }
        let (tasks, stop) = (work.children().clone(), work.stop_token());
        let feed = Feed::new(Arc::clone(&ledger), timing, budget, tasks, stop.clone());
        let status = Status {
            ledger: Arc::clone(&ledger),
            nodes: Arc::clone(&nodes),
            refusals: guard.refusals,
            tls: guard.tls,
            exporters,
            supervisor: supervisor.clone(),
        };
        let acceptor = guard.acceptor.clone();
        let reading = Reading::new(&metrics, status.clone(), feed.clone(), (acceptor, hub), retention.bytes);
        work.restarting("metrics", Need::Optional, move |stop| reading.clone().run(stop));
        let queries = Queries::new(Arc::clone(&ledger), budget);
        let sources = http::Sources { feed: feed.clone(), queries: queries.clone(), status: status.clone() };
        let mut routes = services::routes(intake, reports, Diagnoses { feed, queries, status });
        if !config.no_reflection {
            routes = services::with_reflection(routes, stop).map_err(Error::of_program)?;
        }
        let listeners = config.listen.iter().map(Listener::bind).collect::<Result<Vec<_>, _>>()?;
        let endpoints = listeners.iter().map(Listener::endpoint).collect();
        let traffic = Traffic::new(services::method, budget);
        cut_stalled(&traffic, &work);
        let window = budget.window();
        let page = config.http_listen.as_ref().map(Listener::bind).transpose()?;
        let page_endpoint = page.as_ref().map(Listener::endpoint);
        if let Some(page) = page {
            let acceptor = guard.acceptor.clone();
            let is_local = !acceptor.asks() && is_loopback(&page.endpoint());
            let routes = http::routes(sources, guard.authentication.clone(), &traffic, is_local);
            listen_for_browsers(page, Web { routes, window, acceptor }, &work);
        }
        let served = Served { routes, authentication: guard.authentication, traffic, window, acceptor: guard.acceptor };
        for listener in listeners {
            listen(listener, &served, &work);
        }
        expire(&ledger, nodes, retention, &work);
        serving.store(true, Relaxed);
        for guard in stop_on_error {
            guard.disarm();
        }
        let (health, page) = (health_endpoint, page_endpoint);
        Ok(Self { endpoints, health, page, ledger, writer, supervisor, work, probes, serving })
    }

    /// Where it listens, with real ports.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Where it serves the page for people.
    pub fn page(&self) -> Option<&Endpoint> {
        self.page.as_ref()
    }

    /// Where it answers probes.
    pub fn health(&self) -> Option<&Endpoint> {
        self.health.as_ref()
    }

    /// Waits until a task has failed without which it cannot go on: the ledger's data is damaged, or the stream that it
    /// follows is not what it was.
    pub async fn failed(&self) -> Failure {
        self.supervisor.failed().await
    }

    /// Takes no more, lets what is under way finish, and closes the ledger.
    ///
    /// # Errors
    /// If the ledger turned out to be damaged.
    pub async fn stop(self) -> Result<(), Error> {
        self.serving.store(false, Relaxed);
        let late = self.work.stop(DRAIN_LIMIT).await;
        if !late.is_empty() || !self.work.children().is_empty() {
            let connections = self.work.children().len();
            tracing::warn!(?late, connections, "Tasks or connections were still at work when time was up");
        }
        let _late = self.probes.stop(HEALTH_DRAIN_LIMIT).await;
        self.ledger.close().await;
        let late = |_| problem(start::ledger_writer_late());
        timeout(DRAIN_LIMIT, self.writer.ended()).await.map_err(late)?;
        Ok(self.writer.join()?)
    }
}

/// Probes are answered by what the supervisor knows.
fn serve_health(
    port: HealthPort,
    supervisor: &Supervisor,
    serving: &Arc<AtomicBool>,
    metrics: &Metrics,
    probes: &Group,
) {
    let (port, supervisor, serving, metrics) =
        (Arc::new(port), supervisor.clone(), Arc::clone(serving), metrics.clone());
    probes.restarting("health", Need::Optional, move |stop| {
        let (port, supervisor, serving, metrics) =
            (Arc::clone(&port), supervisor.clone(), Arc::clone(&serving), metrics.clone());
        async move {
            let standing = move || Standing {
                alive: supervisor.failure().is_none(),
                ready: serving.load(Relaxed) && supervisor.is_ready(),
            };
            port.serve(standing, metrics, stop).await;
        }
    });
}

/// Makes the certificate for TLS, if that is asked for, and keeps it valid.
async fn issue_certificate(config: &Config, client: Option<&kube::Client>, work: &Group) -> Result<(), issuer::Error> {
    let Some(service) = &config.issue_tls else { return Ok(()) };
    let client = client.ok_or(issuer::Error::NoCluster)?.clone();
    let issuer = Arc::new(Mutex::new(Issuer::start(client, service, &config.issue_tls_file).await?));
    work.restarting("certificate", Need::Optional, move |stop| {
        let issuer = Arc::clone(&issuer);
        async move { issuer.lock().await.run(stop).await }
    });
    Ok(())
}

/// Opens the ledger; of one that is shared, waits until all of the stream is read.
async fn open_ledger(
    config: &Config,
    retention: Retention,
    nodes: &Arc<Nodes>,
    work: &Group,
) -> Result<(Arc<Ledger>, Writer), ledger::Error> {
    let path = config.ledger.clone();
    let (ledger, writer, follower) = match &config.jetstream {
        None => {
            let opening = tokio::task::spawn_blocking(move || Ledger::open(&path, retention)).await;
            let (ledger, writer) = opening.map_err(|_panicked| ledger::Error::WriterFailed)??;
            (ledger, writer, None)
        }
        Some(target) => {
            let (ledger, writer, follower) = Ledger::open_shared(&path, retention, target, Arc::clone(nodes)).await?;
            (ledger, writer, Some(Arc::new(follower)))
        }
    };
    for status in ledger.query(ledger::nodes).await? {
        nodes.restore(status);
    }
    let ended = writer.ending();
    work.fatal("ledger", |stop| async move {
        let _stopped = stop.run_until_cancelled(ended.cancelled()).await;
    });
    if let Some(follower) = follower {
        follow(follower, work).await?;
    }
    Ok((Arc::new(ledger), writer))
}

async fn follow(follower: Arc<Follower>, work: &Group) -> Result<(), ledger::Error> {
    let of_task = Arc::clone(&follower);
    let broken = CancellationToken::new();
    let guard = broken.clone().drop_guard();
    work.fatal("stream", |stop| async move {
        let _guard = guard;
        of_task.run(stop).await
    });
    tokio::select! {
        () = follower.caught_up() => Ok(()),
        () = broken.cancelled() => Err(ledger::Error::StreamChanged),
    }
}

/// Of several aggregators that share a ledger, one watches.
fn watch_cluster(intake: &Intake, client: kube::Client, work: &Group) {
    let state = intake.ledger().state().cloned();
    let intake = intake.clone();
    work.restarting("cluster", Need::Optional, move |stop| {
        let (intake, client, state) = (intake.clone(), client.clone(), state.clone());
        async move {
            let Some(state) = state else { return cluster::run(intake, client, stop).await };
            let Some(turn) = lease::turn(&state, "cluster", &stop).await else { return Ok(()) };
            let ended = cluster::run(intake, client, turn.over.clone()).await;
            turn.end().await;
            ended
        }
    });
}

/// Of several aggregators that share a ledger, one decides about silent nodes; the others pass reports on to it.
fn judge_nodes(hub: &Arc<Hub>, intake: &Intake, client: kube::Client, bus: Option<(Bus, Arc<Nodes>)>, work: &Group) {
    let state = intake.ledger().state().cloned();
    let (hub, intake) = (Arc::clone(hub), intake.clone());
    work.restarting("triage", Need::Optional, move |stop| {
        let (hub, intake, client) = (Arc::clone(&hub), intake.clone(), client.clone());
        let (bus, state) = (bus.clone(), state.clone());
        async move {
            let Some(state) = state else { return triage::run(hub, intake, client, bus, stop).await };
            let Some(turn) = lease::turn(&state, "triage", &stop).await else { return Ok(()) };
            let ended = triage::run(hub, intake, client, bus, turn.over.clone()).await;
            turn.end().await;
            ended
        }
    });
}

/// Serves on a listener; on a new one in its place, if it cannot be used any more.
fn listen(listener: Listener, served: &Served, work: &Group) {
    let endpoint = listener.endpoint();
    tracing::info!("listening on {endpoint}");
    let (served, tasks) = (served.clone(), work.children().clone());
    let mut first = Some(listener);
    work.restarting(format!("listener/{endpoint}"), Need::Ready, move |stop| {
        let (first, endpoint, served, tasks) = (first.take(), endpoint.clone(), served.clone(), tasks.clone());
        async move {
            let listener = first.map_or_else(|| Listener::bind(&endpoint), Ok)?;
            net::serve(listener, served, &tasks, &stop).await
        }
    });
}

/// The same for browsers.
fn listen_for_browsers(listener: Listener, web: Web, work: &Group) {
    let endpoint = listener.endpoint();
    tracing::info!("serving the page on {endpoint}");
    let tasks = work.children().clone();
    let mut first = Some(listener);
    work.restarting(format!("page/{endpoint}"), Need::Ready, move |stop| {
        let (first, endpoint, web, tasks) = (first.take(), endpoint.clone(), web.clone(), tasks.clone());
        async move {
            let listener = first.map_or_else(|| Listener::bind(&endpoint), Ok)?;
            net::serve_web(listener, web, &tasks, &stop).await
        }
    });
}

/// Cuts connections on which an answer is not read.
fn cut_stalled(traffic: &Traffic, work: &Group) {
    let traffic = traffic.clone();
    work.restarting("answers", Need::Ready, move |stop| {
        let traffic = traffic.clone();
        async move { stop.run_until_cancelled(traffic.cut_stalled()).await.map_or((), |never| match never {}) }
    });
}

/// Has the ledger, and the memory of nodes, look for what has become too old.
fn expire(ledger: &Arc<Ledger>, nodes: Arc<Nodes>, retention: Retention, work: &Group) {
    let ledger = Arc::clone(ledger);
    work.restarting("expire", Need::Ready, move |stop| {
        let (ledger, nodes) = (Arc::clone(&ledger), Arc::clone(&nodes));
        async move {
            let mut ticks = interval(EXPIRE_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                if let Some(now) = ledger.expire().await {
                    nodes.forget_unseen(now, retention.age);
                }
            }
        }
    });
}

#[cfg(test)]
mod tests;
