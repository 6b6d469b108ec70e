use std::{
    convert::Infallible,
    future::{Ready, ready},
    os::fd::AsRawFd as _,
    task::{Context, Poll},
};

use coroner_proto::v1::{GetStatusRequest, SourceHealth, diagnosis_service_client::DiagnosisServiceClient};
use coroner_runtime::tasks::{TaskState, TaskStatus};
use futures::stream;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Bytes;
use nix::sys::socket::{Shutdown, shutdown};
use tonic::codegen::{Service, http};

use super::*;
use crate::{
    auth::{Accounts, Authentication, Authority, Refusals},
    intake::CLUSTER_WATCH,
    net::Acceptor,
};

/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

fn task(supervisor: &Supervisor) -> TaskStatus {
    supervisor.tasks().remove(0)
}

fn ledger(directory: &std::path::Path) -> (Arc<Ledger>, Writer) {
    let retention = Retention { age: Duration::from_secs(86_400), bytes: 1 << 30 };
    let (ledger, writer) = Ledger::open(&directory.join("ledger.db"), retention).unwrap();
    (Arc::new(ledger), writer)
}

#[tokio::test]
async fn a_listener_that_fails_makes_the_program_unready_until_another_stands_in_its_place() {
    let supervisor = Supervisor::new(&Metrics::default());
    let work = supervisor.group();
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _writer) = ledger(directory.path());
    let refusals = Arc::new(Refusals::default());
    let status = Status {
        ledger: Arc::clone(&ledger),
        nodes: Arc::default(),
        refusals: Arc::clone(&refusals),
        tls: None,
        exporters: Vec::new(),
        supervisor: supervisor.clone(),
    };
    let budget = Budget::of(256 << 20);
    let feed =
        Feed::new(Arc::clone(&ledger), Timing::default(), budget, work.children().clone(), work.stop_token().clone());
    let diagnoses = Diagnoses { feed, queries: Queries::new(Arc::clone(&ledger), budget), status };
    let authority = Authority::new(None, Accounts::default(), Arc::clone(&refusals), budget);
    let reports = triage::Service::new(Arc::default(), Arc::default(), None);
    let served = Served {
        routes: services::routes(Intake::new(ledger, Arc::default(), &Metrics::default()), reports, diagnoses),
        authentication: Authentication::new(Arc::new(authority)),
        traffic: Traffic::new(services::method, budget),
        window: budget.window(),
        acceptor: Acceptor::new(None, false, refusals, budget),
    };
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
    let Listener::Tcp(socket, address) = &listener else { unreachable!() };
    let (address, url) = (*address, format!("http://{address}"));
    let socket = socket.as_raw_fd();
    listen(listener, &served, &work);
    ask(&url).await.unwrap();

    // It accepts no more, and another listener takes its address.
    shutdown(socket, Shutdown::Both).unwrap();
    let other = std::net::TcpListener::bind(address).unwrap();
    until("it is down", || !supervisor.is_ready()).await;
    let reason = |task: TaskStatus| match task.state {
        TaskState::Down { end } => Some(end.to_string()),
        TaskState::Running => None,
    };
    until("it has a reason", || reason(task(&supervisor)).is_some_and(|reason| reason.contains("cannot listen on")))
        .await;

    drop(other);
    until("it runs again", || supervisor.is_ready()).await;
    ask(&url).await.unwrap();
    assert!(work.stop(Duration::from_secs(5)).await.is_empty());
}

/// Whether the aggregator there answers.
async fn ask(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let channel = tonic::transport::Endpoint::new(url.to_owned())?.connect().await?;
    DiagnosisServiceClient::new(channel).get_status(GetStatusRequest {}).await?;
    Ok(())
}

/// An API server without objects. While it is broken, a task that reads a list from it panics.
#[derive(Clone)]
struct FaultyServer {
    is_broken: Arc<AtomicBool>,
}

impl Service<http::Request<kube::client::Body>> for FaultyServer {
    type Response = http::Response<UnsyncBoxBody<Bytes, Infallible>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<kube::client::Body>) -> Self::Future {
        let text = |text: &'static str| Full::from(text).boxed_unsync();
        let body = if request.uri().path().contains("/namespaces/kube-system") {
            text(r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"u"}}"#)
        } else if request.uri().query().is_some_and(|query| query.contains("watch=")) {
            StreamBody::new(stream::pending()).boxed_unsync()
        } else if self.is_broken.load(Relaxed) {
            StreamBody::new(stream::once(async { panic!("a fault of the watch") })).boxed_unsync()
        } else {
            text(r#"{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}"#)
        };
        ready(Ok(http::Response::new(body)))
    }
}

#[tokio::test]
async fn a_watch_of_the_cluster_that_panics_degrades_its_sources_and_is_started_again() {
    let supervisor = Supervisor::new(&Metrics::default());
    let work = supervisor.group();
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _writer) = ledger(directory.path());
    let nodes = Arc::new(Nodes::default());
    let is_broken = Arc::new(AtomicBool::new(true));
    let server = FaultyServer { is_broken: Arc::clone(&is_broken) };
    let intake = Intake::new(ledger, Arc::clone(&nodes), &Metrics::default());
    watch_cluster(&intake, kube::Client::new(server, "default"), &work);
    let health = |name: &str| {
        let all = nodes.all().into_iter().find(|status| status.node == CLUSTER_WATCH)?.sources;
        let source = all.into_iter().find(|source| source.source == name)?;
        Some((source.health(), source.reason))
    };
    let degraded = |(health, reason): (SourceHealth, String)| {
        health == SourceHealth::Degraded && reason.contains("a fault of the watch")
    };
    until("it is degraded", || health("pods").is_some_and(degraded)).await;
    until("all of its sources are", || health("namespaces").is_some_and(degraded)).await;
    assert!(supervisor.is_ready(), "agents can push all the same");
    is_broken.store(false, Relaxed);
    until("it is well again", || health("pods").is_some_and(|(health, _)| health == SourceHealth::Ok)).await;
    assert!(task(&supervisor).state == TaskState::Running && task(&supervisor).restarts >= 1);
    assert!(work.stop(Duration::from_secs(5)).await.is_empty());
}
