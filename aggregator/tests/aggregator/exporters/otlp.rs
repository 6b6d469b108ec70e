//! An OTLP receiver that does what a test wants.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::logs::v1::{
        ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    logs::v1::LogRecord,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::watch,
    task::spawn_blocking,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Response, Status, async_trait,
    transport::{Identity, Server, ServerTlsConfig},
};
use tonic_types::{ErrorDetails, StatusExt};

use super::support::{attribute, body};

pub(super) struct Receiver {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    taken: watch::Sender<Vec<LogRecord>>,
    /// Its own, so that what it serves can end with it.
    runtime: Option<Runtime>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    always: Option<(String, Status)>,
    most: Option<(usize, Status)>,
    never: bool,
    calls: Vec<Instant>,
    secrets: Vec<String>,
}

enum Answer {
    Refuse(Status),
    Reject(i64, String),
}

#[derive(Clone)]
struct Service {
    script: Arc<Mutex<Script>>,
    taken: watch::Sender<Vec<LogRecord>>,
}

#[async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let secret = request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let scopes = request.into_inner().resource_logs.into_iter().flat_map(|logs| logs.scope_logs);
        let records: Vec<LogRecord> = scopes.flat_map(|scope| scope.log_records).collect();
        let mut partial_success = None;
        let never = {
            let mut script = self.script.lock().unwrap();
            script.calls.push(Instant::now());
            script.secrets.extend(secret);
            if let Some((text, status)) = &script.always
                && records.iter().any(|record| body(record) == *text)
            {
                return Err(status.clone());
            }
            if let Some((most, status)) = &script.most
                && records.len() > *most
            {
                return Err(status.clone());
            }
            match script.answers.pop_front() {
                Some(Answer::Refuse(status)) => return Err(status),
                Some(Answer::Reject(rejected_log_records, error_message)) => {
                    partial_success = Some(ExportLogsPartialSuccess { rejected_log_records, error_message });
                }
                None => {}
            }
            script.never
        };
        if never {
            std::future::pending::<()>().await;
        }
        self.taken.send_modify(|taken| taken.extend(records));
        Ok(Response::new(ExportLogsServiceResponse { partial_success }))
    }
}

impl Receiver {
    /// At an address that is not used otherwise here: a port of it that is free for a moment stays so.
    pub(super) async fn start() -> Self {
        Self::start_with(SocketAddr::from(([127, 0, 0, 2], 0)), watch::channel(Vec::new()).0, None).await
    }

    pub(super) async fn start_at(address: SocketAddr) -> Self {
        Self::start_with(address, watch::channel(Vec::new()).0, None).await
    }

    /// Cuts its connections and comes back at the same place, with what it has taken.
    pub(super) async fn restart(self) -> Self {
        let taken = self.taken.clone();
        Self::start_with(self.stop().await, taken, None).await
    }

    pub(super) async fn start_with_tls(certificate: &str, key: &str) -> Self {
        let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
        Self::start_with(SocketAddr::from(([127, 0, 0, 1], 0)), watch::channel(Vec::new()).0, Some(tls)).await
    }

    async fn start_with(
        address: SocketAddr,
        taken: watch::Sender<Vec<LogRecord>>,
        tls: Option<ServerTlsConfig>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::<Mutex<Script>>::default();
        let service = Service { script: Arc::clone(&script), taken: taken.clone() };
        let listener = listener.into_std().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            let mut server = Server::builder();
            if let Some(tls) = tls {
                server = server.tls_config(tls).unwrap();
            }
            let server = server.add_service(LogsServiceServer::new(service)).serve_with_incoming(incoming);
            server.await.unwrap();
        });
        Self { address, script, taken, runtime: Some(runtime) }
    }

    /// Cuts its connections, whatever is under way. Gives where it was.
    pub(super) async fn stop(mut self) -> SocketAddr {
        let runtime = self.runtime.take().unwrap();
        spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(60))).await.unwrap();
        self.address
    }

    pub(super) fn url(&self) -> String {
        format!("otlp+http://{}", self.address)
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    pub(super) fn refuse_next(&self, status: Status) {
        self.script().answers.push_back(Answer::Refuse(status));
    }

    pub(super) fn reject_part_of_next(&self, count: i64, message: &str) {
        self.script().answers.push_back(Answer::Reject(count, message.into()));
    }

    /// Every batch that holds the record with this body.
    pub(super) fn refuse_always(&self, body: &str, status: Status) {
        self.script().always = Some((body.into(), status));
    }

    /// Every batch of more records than these.
    pub(super) fn take_at_most(&self, most: usize, status: Status) {
        self.script().most = Some((most, status));
    }

    pub(super) fn never_answer(&self) {
        self.script().never = true;
    }

    /// What calls had in their metadata `authorization`.
    pub(super) fn secrets(&self) -> Vec<String> {
        self.script().secrets.clone()
    }

    pub(super) fn calls(&self) -> Vec<Instant> {
        self.script().calls.clone()
    }

    pub(super) async fn until(&self, is_so: impl Fn(&[LogRecord]) -> bool) {
        let mut taken = self.taken.subscribe();
        let waiting = taken.wait_for(|records| is_so(records));
        drop(tokio::time::timeout(Duration::from_secs(120), waiting).await.expect("it becomes so").unwrap());
    }

    pub(super) fn records(&self) -> Vec<LogRecord> {
        self.taken.borrow().clone()
    }

    pub(super) fn bodies(&self) -> Vec<String> {
        self.records().iter().map(body).collect()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.records().iter().map(|record| attribute(record, "log.record.uid").unwrap()).collect()
    }
}

/// "Come back after so long."
pub(super) fn throttle(code: Code, delay: Duration) -> Status {
    Status::with_error_details(code, "slow down", ErrorDetails::with_retry_info(Some(delay)))
}
