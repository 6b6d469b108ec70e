//! The agent's executable, as Kubernetes starts and stops it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use coroner_proto::v1::{
    PushDiagnosesRequest, PushDiagnosesResponse, SourceHealth, SourceStatus,
    ingest_service_server::{IngestService, IngestServiceServer},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{net::UnixListener, sync::watch, time::timeout};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status, transport::Server};

const DEADLINE: Duration = Duration::from_secs(60);

/// Accepts everything, and remembers what it received.
#[derive(Clone, Default)]
struct Aggregator {
    pushes: Arc<Mutex<Vec<PushDiagnosesRequest>>>,
    pushed: watch::Sender<()>,
}

#[tonic::async_trait]
impl IngestService for Aggregator {
    async fn push_diagnoses(
        &self,
        request: Request<PushDiagnosesRequest>,
    ) -> Result<Response<PushDiagnosesResponse>, Status> {
        let request = request.into_inner();
        let acknowledged_sequence = request.records.last().map_or(0, |last| last.sequence);
        self.pushes.lock().unwrap().push(request);
        self.pushed.send_replace(());
        Ok(Response::new(PushDiagnosesResponse { acknowledged_sequence, rejected: Vec::new() }))
    }
}

impl Aggregator {
    fn serve(&self, socket: &Path) {
        let incoming = UnixListenerStream::new(UnixListener::bind(socket).unwrap());
        let server = Server::builder().add_service(IngestServiceServer::new(self.clone()));
        tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
    }

    /// The state of the sources, once all have reported.
    async fn sources(&self) -> Vec<SourceStatus> {
        let mut pushed = self.pushed.subscribe();
        let all_reported = |push: &PushDiagnosesRequest| !push.sources.iter().any(|s| s.reason == "not started yet");
        loop {
            if let Some(push) = self.pushes.lock().unwrap().last().filter(|push| all_reported(push)) {
                assert_eq!(push.node, "worker-1");
                return push.sources.clone();
            }
            timeout(DEADLINE, pushed.changed()).await.expect("some source never reported").unwrap();
        }
    }
}

/// An agent that is killed, if it must be, at the end.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Agent {
    /// On a node without anything: an empty directory.
    fn start(directory: &Path, more: &[&str]) -> Self {
        let node = directory.join("node");
        std::fs::create_dir_all(&node).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_coroner-agent"))
            .args(["--aggregator", &format!("unix://{}", directory.join("aggregator.sock").display())])
            .args(["--node-name", "worker-1"])
            .arg("--host-root")
            .arg(node)
            .arg("--outbox")
            .arg(directory.join("outbox.db"))
            .args(more)
            .stderr(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
    }

    /// Reads the log up to a line with these words.
    fn await_line(&mut self, part: &str) -> String {
        let log = self.0.stderr.as_mut().unwrap();
        let mut lines = BufReader::with_capacity(1, log).lines().map(Result::unwrap);
        lines.find(|line| line.contains(part)).unwrap_or_else(|| panic!("the agent never logged {part:?}"))
    }

    /// Its exit code and the rest of its log.
    fn end(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.0.wait().unwrap().code(), log)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_source_it_runs_reports_that_and_stops_on_request() {
    let directory = tempfile::tempdir().unwrap();
    let aggregator = Aggregator::default();
    aggregator.serve(&directory.path().join("aggregator.sock"));
    let agent = Agent::start(directory.path(), &[]);
    let sources = aggregator.sources().await;
    agent.signal(Signal::SIGTERM);
    let (code, log) = timeout(DEADLINE, tokio::task::spawn_blocking(|| agent.end())).await.unwrap().unwrap();
    assert_eq!(code, Some(0), "{log}");

    assert!(sources.len() > 7);
    for source in sources {
        // The kernel's log and its process connector are not files of the node: the privileged have them anywhere.
        if !["kernel_log", "process_events"].contains(&source.source.as_str()) {
            let expected = if source.source == "outbox" { SourceHealth::Ok } else { SourceHealth::Absent };
            assert_eq!(source.health(), expected, "{source:?}\n{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stops_in_time_without_an_aggregator() {
    let directory = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(directory.path(), &[]);
    agent.await_line("The aggregator does not take records");
    agent.signal(Signal::SIGINT);
    let (code, log) =
        timeout(Duration::from_secs(30), tokio::task::spawn_blocking(|| agent.end())).await.unwrap().unwrap();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_second_agent_on_the_same_outbox_fails_with_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = Agent::start(directory.path(), &[]);
    first.await_line("Agent started");
    let (code, log) = Agent::start(directory.path(), &["--log-format", "json"]).end();
    assert_eq!(code, Some(69), "{log}");
    let errors: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert!(matches!(errors.as_slice(), [one] if one.contains("is in use by another process")), "{log}");
}

#[test]
fn another_programs_database_is_an_error_of_data() {
    let directory = tempfile::tempdir().unwrap();
    let theirs = rusqlite::Connection::open(directory.path().join("outbox.db")).unwrap();
    theirs.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    drop(theirs);
    let (code, log) = Agent::start(directory.path(), &[]).end();
    assert_eq!(code, Some(65), "{log}");
}

#[test]
fn bad_usage_is_one_line() {
    let agent = env!("CARGO_BIN_EXE_coroner-agent");
    for args in [vec![], vec!["--aggregator", "http://elsewhere:1"], vec!["--aggregator", "x", "--wat"]] {
        let output = Command::new(agent).args(&args).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{args:?}: {text}");
    }
    let help = Command::new(agent).arg("--help").output().unwrap();
    assert!(help.status.success() && help.stderr.is_empty());
}

#[test]
fn what_keeps_it_from_starting_is_in_the_language_of_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let (outbox, foreign) = (directory.path().join("outbox.db"), directory.path().join("foreign.db"));
    let connection = rusqlite::Connection::open(&foreign).unwrap();
    connection.execute_batch("PRAGMA application_id = 7; CREATE TABLE t (a)").unwrap();
    let run = |variable: &str, args: &[&str]| {
        let agent = Command::new(env!("CARGO_BIN_EXE_coroner-agent"))
            .env_clear()
            .env(variable, "zh_CN.UTF-8")
            .args(args)
            .output()
            .unwrap();
        (agent.status.code(), String::from_utf8([agent.stdout, agent.stderr].concat()).unwrap())
    };
    let (outbox, foreign) = (outbox.to_str().unwrap(), foreign.to_str().unwrap());
    for (args, code, wanted) in [
        (&["--help"] as &[&str], 0, "用法：coroner-agent"),
        (&["--wat"], 2, "coroner-agent：无法识别的参数 --wat"),
        (&["--aggregator", "http://elsewhere:1"], 2, "窃听和伪造"),
        (&["--aggregator", "unix:///a", "--outbox", foreign], 65, "不是 outbox"),
        (&["--aggregator", "unix:///a", "--outbox", outbox, "--health-listen", "192.0.2.1:1"], 1, "无法在 192.0.2.1:1"),
    ] {
        for variable in ["LANG", "LC_ALL"] {
            let (status, text) = run(variable, args);
            assert!(status == Some(code) && text.contains(wanted), "{args:?}: {status:?} {text}");
        }
    }
}
