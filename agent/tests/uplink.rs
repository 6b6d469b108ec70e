//! The uplink against a real gRPC server with scripted answers.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use coroner_agent::{
    config,
    outbox::{self, Keeper, Outbox, Record},
    status::Board,
    uplink::{HEARTBEAT, Uplink},
};
use coroner_diagnosis::observation::Health;
use coroner_proto::v1::{
    Diagnosis, Gap, GapReason, OutboxRecord, PushDiagnosesRequest, PushDiagnosesResponse, RejectedRecord, Severity,
    SourceHealth,
    ingest_service_server::{IngestService, IngestServiceServer},
    outbox_record,
};
use coroner_runtime::{backoff::Pace, metrics::Metrics, tasks::Supervisor};
use tokio::{net::UnixListener, sync::watch, task::JoinHandle, time::timeout};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, transport::Server};

/// Quick enough for tests, slow enough to see that it waits.
const PACE: Pace =
    Pace { first: Duration::from_millis(5), longest: Duration::from_millis(20), hold: Duration::from_millis(40) };

/// Decides whether and how a push fails.
type Judge = Box<dyn Fn(&PushDiagnosesRequest) -> Result<(), Status> + Send>;

#[derive(Default)]
struct Ledger {
    streams: BTreeMap<String, BTreeMap<u64, OutboxRecord>>,
    pushes: Vec<PushDiagnosesRequest>,
    /// The answers to the next pushes.
    script: VecDeque<Status>,
    judge: Option<Judge>,
    /// Records of a push that become durable.
    at_most: Option<usize>,
    rejects: Vec<u64>,
}

#[derive(Clone)]
struct Aggregator {
    ledger: Arc<Mutex<Ledger>>,
    pushed: watch::Sender<()>,
}

#[tonic::async_trait]
impl IngestService for Aggregator {
    async fn push_diagnoses(
        &self,
        request: Request<PushDiagnosesRequest>,
    ) -> Result<Response<PushDiagnosesResponse>, Status> {
        let request = request.into_inner();
        let answer = self.answer(&request);
        self.ledger.lock().unwrap().pushes.push(request);
        self.pushed.send_replace(());
        answer.map(Response::new)
    }
}

impl Aggregator {
    fn new() -> Self {
        Self { ledger: Arc::default(), pushed: watch::Sender::default() }
    }

    fn answer(&self, request: &PushDiagnosesRequest) -> Result<PushDiagnosesResponse, Status> {
        let mut ledger = self.ledger.lock().unwrap();
        if let Some(status) = ledger.script.pop_front() {
            return Err(status);
        }
        if let Some(judge) = &ledger.judge {
            judge(request)?;
        }
        let at_most = ledger.at_most.unwrap_or(usize::MAX);
        let rejects = ledger.rejects.clone();
        let stream = ledger.streams.entry(request.stream_id.clone()).or_default();
        let acknowledged = stream.last_key_value().map_or(0, |(last, _)| *last);
        if !request.records.is_empty() && acknowledged < request.after_sequence {
            return Err(Status::aborted("there is a hole before these"));
        }
        for record in request.records.iter().take(at_most) {
            assert!(stream.insert(record.sequence, record.clone()).is_none_or(|before| before == *record));
        }
        let acknowledged_sequence = stream.last_key_value().map_or(0, |(last, _)| *last);
        let rejected = rejects.iter().filter(|sequence| request.records.iter().any(|r| r.sequence == **sequence));
        let rejected = rejected.map(|sequence| RejectedRecord { sequence: *sequence, reason: "no".into() }).collect();
        Ok(PushDiagnosesResponse { acknowledged_sequence, rejected })
    }

    async fn serve(&self, socket: &Path) -> JoinHandle<()> {
        self.serve_taking(socket, 4 << 20).await
    }

    async fn serve_taking(&self, socket: &Path, max_bytes: usize) -> JoinHandle<()> {
        let _absent = std::fs::remove_file(socket);
        let incoming = UnixListenerStream::new(UnixListener::bind(socket).unwrap());
        let service = IngestServiceServer::new(self.clone()).max_decoding_message_size(max_bytes);
        tokio::spawn(async move { Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap() })
    }

    /// Waits until what has been pushed is so.
    async fn until(&self, what: &str, mut is_so: impl FnMut(&mut Ledger) -> bool) {
        let mut pushed = self.pushed.subscribe();
        let wait = async {
            while !is_so(&mut self.ledger.lock().unwrap()) {
                pushed.changed().await.unwrap();
            }
        };
        if timeout(Duration::from_secs(60), wait).await.is_err() {
            let ledger = self.ledger.lock().unwrap();
            let mut pushes = String::new();
            for push in ledger.pushes.iter().rev().take(5) {
                write!(pushes, "{} records; ", push.records.len()).unwrap();
            }
            panic!("waited in vain until {what}; last pushes: {pushes}");
        }
    }

    async fn until_stored(&self, count: usize) {
        self.until(&format!("{count} are stored"), |ledger| ledger.stored().len() >= count).await;
    }
}

impl Ledger {
    fn stored(&self) -> Vec<OutboxRecord> {
        self.streams.values().flat_map(BTreeMap::values).cloned().collect()
    }

    fn uids(&self) -> Vec<String> {
        let uid = |record| match record {
            Some(outbox_record::Record::Diagnosis(diagnosis)) => Some(diagnosis.uid),
            _ => None,
        };
        self.stored().into_iter().filter_map(|record| uid(record.record)).collect()
    }

    fn gaps(&self) -> Vec<(u64, Gap)> {
        let gap = |record: OutboxRecord| match record.record {
            Some(outbox_record::Record::Gap(gap)) => Some((record.sequence, gap)),
            _ => None,
        };
        self.stored().into_iter().filter_map(gap).collect()
    }
}

/// An uplink of an outbox of its own.
struct Agent {
    directory: tempfile::TempDir,
    keeper: Keeper,
    board: Board,
    finish: CancellationToken,
    uplink: JoinHandle<()>,
}

impl Agent {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(&directory.path().join("outbox.db"), 64 << 20, "node", Board::default()).unwrap();
        let keeper = outbox::start(outbox, &Supervisor::new(&Metrics::default()).group());
        let url = format!("unix://{}", socket(&directory).display());
        let aggregator = config::Aggregator { url, tls: None, token: None };
        let board = Board::default();
        let uplink = Uplink::new("node".into(), aggregator, keeper.clone(), board.clone(), PACE);
        let finish = CancellationToken::new();
        let run = uplink.run(finish.clone());
        Self { directory, keeper, board, finish, uplink: tokio::spawn(async { run.await.unwrap() }) }
    }

    fn socket(&self) -> std::path::PathBuf {
        socket(&self.directory)
    }

    async fn append(&self, uids: std::ops::Range<u32>) {
        self.append_sized(uids, 100).await;
    }

    async fn append_sized(&self, uids: std::ops::Range<u32>, bytes: usize) {
        let diagnosis = |uid: u32| Diagnosis {
            uid: uid.to_string(),
            severity: Severity::Error.into(),
            explanation: "x".repeat(bytes),
            ..Diagnosis::default()
        };
        self.keeper.append(uids.map(|uid| Record::diagnosis(diagnosis(uid))).collect()).await.unwrap();
    }
}

fn socket(directory: &tempfile::TempDir) -> std::path::PathBuf {
    directory.path().join("aggregator.sock")
}

fn names(uids: impl IntoIterator<Item = u32>) -> Vec<String> {
    uids.into_iter().map(|uid| uid.to_string()).collect()
}

fn holds(request: &PushDiagnosesRequest, wanted: u32) -> bool {
    request.records.iter().any(|record| match &record.record {
        Some(outbox_record::Record::Diagnosis(diagnosis)) => diagnosis.uid == wanted.to_string(),
        _ => false,
    })
}

#[tokio::test]
async fn asks_first_where_to_go_on_and_pushes_each_record_once() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    let _server = aggregator.serve(&agent.socket()).await;
    agent.append(0..1200).await;
    aggregator.until_stored(1200).await;

    let ledger = aggregator.ledger.lock().unwrap();
    assert_eq!(ledger.uids(), names(0..1200));
    assert!(ledger.pushes[0].records.is_empty(), "the first push asks");
    assert!(!ledger.pushes[0].sources.is_empty(), "and reports the sources");
    assert!(ledger.pushes.iter().all(|push| push.records.len() <= 500 && push.node == "node"));
    assert_eq!(ledger.pushes.iter().map(|push| push.records.len()).sum::<usize>(), 1200);
}

#[tokio::test]
async fn a_change_of_a_source_is_pushed_without_waiting_for_a_record() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    let _server = aggregator.serve(&agent.socket()).await;
    let last_status = |wanted| {
        move |ledger: &mut Ledger| {
            let sources = ledger.pushes.last().map_or(&[][..], |push| &push.sources);
            sources.iter().any(|source| source.source == "cri" && source.health() == wanted)
        }
    };
    aggregator.until("the first push", last_status(SourceHealth::Unspecified)).await;
    let changed = Instant::now();
    agent.board.set("cri", &Health::Ok);
    aggregator.until("cri is reported as healthy", last_status(SourceHealth::Ok)).await;
    assert!(changed.elapsed() < HEARTBEAT / 2, "it was reported with a heartbeat");
}

#[tokio::test]
async fn passing_failures_lose_nothing() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    let script = [
        Status::unavailable("starting"),
        Status::deadline_exceeded("slow"),
        Status::internal("oops"),
        Status::aborted("again"),
        Status::unknown("?"),
        Status::cancelled("gone"),
        Status::with_details(tonic::Code::ResourceExhausted, "quota", vec![1].into()),
    ];
    aggregator.ledger.lock().unwrap().script = script.into();
    agent.append(0..10).await;
    let _server = aggregator.serve(&agent.socket()).await;
    aggregator.until_stored(10).await;
    assert_eq!(aggregator.ledger.lock().unwrap().uids(), names(0..10));
}

#[tokio::test]
async fn an_aggregator_that_comes_back_gets_what_came_meanwhile() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    let server = aggregator.serve(&agent.socket()).await;
    agent.append(0..3).await;
    aggregator.until_stored(3).await;
    server.abort();
    let _aborted = server.await;
    agent.append(3..6).await;
    let _server = aggregator.serve(&agent.socket()).await;
    aggregator.until_stored(6).await;
    assert_eq!(aggregator.ledger.lock().unwrap().uids(), names(0..6));
}

#[tokio::test]
async fn an_aggregator_that_lost_its_ledger_gets_everything_again() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    let _server = aggregator.serve(&agent.socket()).await;
    agent.append(0..20).await;
    aggregator.until_stored(20).await;
    {
        let mut ledger = aggregator.ledger.lock().unwrap();
        ledger.streams.clear();
        ledger.script = [Status::unavailable("restarting")].into();
    }
    agent.append(20..21).await;
    aggregator.until_stored(21).await;
    assert_eq!(aggregator.ledger.lock().unwrap().uids(), names(0..21));
    // Also where the connection came back by itself, so that the agent has seen nothing break.
    aggregator.ledger.lock().unwrap().streams.clear();
    agent.append(21..22).await;
    aggregator.until_stored(22).await;
    assert_eq!(aggregator.ledger.lock().unwrap().uids(), names(0..22));
}

#[tokio::test]
async fn only_what_is_acknowledged_counts_as_pushed() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    aggregator.ledger.lock().unwrap().at_most = Some(3);
    let _server = aggregator.serve(&agent.socket()).await;
    agent.append(0..10).await;
    aggregator.until_stored(10).await;
    assert_eq!(aggregator.ledger.lock().unwrap().uids(), names(0..10));
}

#[tokio::test]
async fn one_record_that_is_refused_gives_way_to_a_gap_and_harms_no_other() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    aggregator.ledger.lock().unwrap().judge = Some(Box::new(|push| {
        if holds(push, 37) { Err(Status::invalid_argument("I do not like \u{1b}[31m37")) } else { Ok(()) }
    }));
    let _server = aggregator.serve(&agent.socket()).await;
    agent.append(0..100).await;
    aggregator.until_stored(100).await;

    let ledger = aggregator.ledger.lock().unwrap();
    assert_eq!(ledger.uids(), names((0..100).filter(|uid| *uid != 37)));
    let gaps = ledger.gaps();
    let [(38, gap)] = gaps.as_slice() else { panic!("{gaps:?}") };
    assert_eq!((gap.reason(), gap.lost_count), (GapReason::Rejected, Some(1)));
    assert!(gap.text.contains("I do not like \\u{1b}"), "{}", gap.text);
}

#[tokio::test]
async fn a_push_too_large_for_the_server_is_cut_until_it_fits() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    // A real limit of a real server, which answers OUT_OF_RANGE.
    let _server = aggregator.serve_taking(&agent.socket(), 20_000).await;
    agent.append_sized(0..60, 3000).await;
    agent.append_sized(60..61, 30_000).await;
    agent.append_sized(61..63, 3000).await;
    aggregator.until_stored(63).await;
    let ledger = aggregator.ledger.lock().unwrap();
    assert_eq!(ledger.uids(), names((0..63).filter(|uid| *uid != 60)));
    assert_eq!(ledger.gaps().len(), 1);
}

#[tokio::test]
async fn an_aggregator_that_refuses_everything_costs_no_record() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    aggregator.ledger.lock().unwrap().script = vec![Status::invalid_argument("who are you?"); 20].into();
    let _server = aggregator.serve(&agent.socket()).await;
    agent.append(0..5).await;
    aggregator.until_stored(5).await;
    let ledger = aggregator.ledger.lock().unwrap();
    assert_eq!((ledger.uids(), ledger.gaps()), (names(0..5), vec![]));
}

#[tokio::test]
async fn without_permission_records_are_held_until_it_is_given() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    let script = [Status::permission_denied("no"), Status::unauthenticated("no"), Status::unimplemented("no")];
    aggregator.ledger.lock().unwrap().script = script.into();
    let start = Instant::now();
    let _server = aggregator.serve(&agent.socket()).await;
    agent.append(0..5).await;
    aggregator.until_stored(5).await;
    // Each is drawn from the upper half of the delay.
    assert!(start.elapsed() >= PACE.hold / 2 * 3, "it waited {:?}", start.elapsed());
    assert_eq!(aggregator.ledger.lock().unwrap().gaps(), []);
}

#[tokio::test]
async fn records_that_the_aggregator_rejects_inside_a_push_are_not_sent_again() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    aggregator.ledger.lock().unwrap().rejects = vec![2];
    let _server = aggregator.serve(&agent.socket()).await;
    agent.append(0..3).await;
    aggregator.until_stored(3).await;
    agent.append(3..4).await;
    aggregator.until_stored(4).await;
    let ledger = aggregator.ledger.lock().unwrap();
    assert_eq!(ledger.pushes.iter().filter(|push| holds(push, 1)).count(), 1);
}

#[tokio::test]
async fn what_is_left_is_pushed_before_the_end_even_in_the_middle_of_a_wait() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    agent.append(0..700).await;
    agent.keeper.flush().await.unwrap();
    let _server = aggregator.serve(&agent.socket()).await;
    agent.finish.cancel();
    timeout(Duration::from_secs(30), agent.uplink).await.unwrap().unwrap();
    assert_eq!(aggregator.ledger.lock().unwrap().uids(), names(0..700));
}

/// Not a limit, but a figure: `cargo nextest run -p coroner-agent latency --no-capture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_from_append_to_push_is_that_of_the_disk() {
    let (agent, aggregator) = (Agent::start(), Aggregator::new());
    let _server = aggregator.serve(&agent.socket()).await;
    let keeper = agent.keeper.clone();
    let (mut durable, mut pushed) = (Vec::new(), Vec::new());
    for count in 1..=100 {
        let start = Instant::now();
        agent.append(count..count + 1).await;
        keeper.flush().await.unwrap();
        durable.push(start.elapsed());
        aggregator.until_stored(count as usize).await;
        pushed.push(start.elapsed());
    }
    durable.sort();
    pushed.sort();
    println!("append to disk {:?}, append to push {:?} (medians of 100)", durable[50], pushed[50]);
    assert!(pushed[50] < Duration::from_secs(1), "{:?}", pushed[50]);
}
