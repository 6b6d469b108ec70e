use std::sync::atomic::{AtomicBool, Ordering};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{
    HealthCheckRequest,
    health_check_response::ServingStatus::{NotServing, Serving},
    health_client::HealthClient,
};

use super::*;

struct Running {
    address: SocketAddr,
    metrics: Metrics,
    /// Alive and ready.
    standing: Arc<(AtomicBool, AtomicBool)>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start() -> Self {
        let port = HealthPort::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, metrics, stop) = (port.address(), Metrics::default(), CancellationToken::new());
        let standing = Arc::new((AtomicBool::new(true), AtomicBool::new(false)));
        let seen = Arc::clone(&standing);
        let now = move || Standing { alive: seen.0.load(Ordering::Relaxed), ready: seen.1.load(Ordering::Relaxed) };
        let serving = tokio::spawn({
            let (metrics, stop) = (metrics.clone(), stop.clone());
            async move { port.serve(now, metrics, stop).await }
        });
        Self { address, metrics, standing, stop, serving }
    }

    fn client(&self) -> HealthClient<Channel> {
        HealthClient::new(Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect_lazy())
    }

    async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

#[tokio::test]
async fn probes_get_the_present_answer_and_watchers_each_change() {
    let running = Running::start();
    let mut client = running.client();
    let mut check = async |service: &str| {
        let request = HealthCheckRequest { service: service.into() };
        client.check(request).await.unwrap().into_inner().status()
    };
    assert_eq!((check("").await, check("liveness").await, check("readiness").await), (Serving, Serving, NotServing));
    let mut watcher = running.client();
    let mut changes = watcher.watch(HealthCheckRequest { service: "readiness".to_owned() }).await.unwrap().into_inner();
    assert_eq!(changes.message().await.unwrap().unwrap().status(), NotServing);

    running.standing.0.store(false, Ordering::Relaxed);
    running.standing.1.store(true, Ordering::Relaxed);
    assert_eq!((check("").await, check("liveness").await, check("readiness").await), (NotServing, NotServing, Serving));
    assert_eq!(changes.message().await.unwrap().unwrap().status(), Serving);
    drop(changes);
    running.stop().await;
}

#[tokio::test]
async fn the_metrics_are_on_the_same_port() {
    let running = Running::start();
    running.metrics.gauge("outbox_bytes", "Size").set(7);
    for (request, status, body) in [
        ("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200", "coroner_outbox_bytes 7\n"),
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "405", ""),
    ] {
        let mut connection = TcpStream::connect(running.address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains(body), "{answer}");
    }
    running.stop().await;
}

#[tokio::test]
async fn one_address_opens_so_many_connections_and_no_more() {
    let running = Running::start();
    let mut open = Vec::new();
    // What is beyond the share is closed: reading from it ends.
    loop {
        assert!(open.len() < 100, "connections without end");
        let mut connection = TcpStream::connect(running.address).await.unwrap();
        let mut byte = [0];
        let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
        let answered = match connection.write_all(request).await {
            Ok(()) => connection.read(&mut byte).await.is_ok_and(|read| read == 1),
            Err(_) => false,
        };
        if !answered {
            break;
        }
        open.push(connection);
    }
    assert!(open.len() >= 2, "a probe and a scraper are let in together");
    open.clear();
    running.stop().await;
}
