//! What clients that mean no good can do to an aggregator with the memory of a small cluster: nothing that others
//! notice.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::outbox_record::Record;
use coroner_proto::v1::watch_diagnoses_request::Start;
use coroner_proto::v1::watch_diagnoses_response::Frame;
use coroner_proto::v1::{
    Cause, Confidence, Diagnosis, GetStatusRequest, ListDiagnosesRequest, OutboxRecord, PushDiagnosesRequest, Severity,
    Subject, SubjectKind, WatchDiagnosesRequest,
};
use coroner_tests::api_server::ApiServer;
use coroner_tests::secured::{Pair, Secured};
use coroner_tests::{MIB, until};
use futures::future::BoxFuture;
use h2::client::SendRequest;
use prost::Message;
use prost::bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Code;

const LIMIT: u64 = 256 * MIB;
const PUSH: &str = "/coroner.v1.IngestService/PushDiagnoses";
const LIST: &str = "/coroner.v1.DiagnosisService/ListDiagnoses";
const WATCH: &str = "/coroner.v1.DiagnosisService/WatchDiagnoses";
const STATUS: &str = "/coroner.v1.DiagnosisService/GetStatus";
/// Batches that an honest agent pushes.
const BATCHES: u64 = 60;
/// Whatever one attack waits for.
const MOMENT: Duration = Duration::from_secs(3);

/// Who attacks.
#[derive(Clone, Debug)]
struct Attacker {
    /// Each has an address of its own, 127.0.0.N, as pods have.
    address: u8,
    certificate: Option<Pair>,
    token: Option<String>,
}

/// An aggregator under attack.
#[derive(Debug)]
struct Target {
    api: ApiServer,
    secured: Secured,
}

impl Target {
    async fn start() -> Result<Arc<Self>> {
        let api = ApiServer::start().await?;
        for (user, namespace) in [("jane", "shop"), ("bob", "bank")] {
            api.issue(&format!("token-of-{user}"), user, "coroner", None);
            api.allow(user, "pods", namespace);
        }
        for user in ["mallory", "trudy", "eve"] {
            api.issue(&format!("token-of-{user}"), user, "coroner", None);
        }
        let secured = Secured::start_within(Some(LIMIT), Some(&api), &[]).await?;
        let target = Arc::new(Self { api, secured });
        empty_records();
        // Something large to ask for.
        let mut ingest = target.secured.ingest(Some(&target.certificate("node/n0")?))?;
        for first in (0..200).step_by(25) {
            let records = (first..first + 25).map(|n| diagnosis("n0", n, if n % 2 == 0 { "shop" } else { "bank" }, 40));
            let answer = ingest.push_diagnoses(push("n0", first + 1, records)).await?.into_inner();
            ensure!(answer.rejected.is_empty(), "{answer:?}");
        }
        Ok(target)
    }

    fn certificate(&self, role: &str) -> Result<Pair> {
        self.secured.authority.client(&format!("spiffe://coroner/{role}"))
    }

    fn node(&self, name: &str, address: u8) -> Result<Attacker> {
        Ok(Attacker { address, certificate: Some(self.certificate(&format!("node/{name}"))?), token: None })
    }

    fn user((name, address): (&str, u8)) -> Attacker {
        Attacker { address, certificate: None, token: Some(format!("token-of-{name}")) }
    }

    /// A connection by which requests are sent; with this window for answers.
    async fn connect(&self, attacker: &Attacker, window: u32) -> Result<SendRequest<Bytes>> {
        let stream = self.secured.handshake_from(attacker.address, attacker.certificate.as_ref()).await?;
        let builder = h2::client::Builder::new().initial_window_size(window).clone();
        let (requests, connection) = builder.handshake(stream).await?;
        // It ends with the last request, or when it is closed.
        tokio::spawn(async move { drop(connection.await) });
        Ok(requests.ready().await?)
    }
}

fn request(attacker: &Attacker, path: &str) -> Result<http::Request<()>> {
    let mut request = http::Request::post(format!("https://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(token) = &attacker.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    Ok(request.body(())?)
}

/// A message as gRPC has it on the wire.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("it is small").to_be_bytes();
    [&[0], &length[..], message].concat().into()
}

fn push(node: &str, first: u64, records: impl IntoIterator<Item = Diagnosis>) -> PushDiagnosesRequest {
    let record = |(sequence, diagnosis)| OutboxRecord { sequence, record: Some(Record::Diagnosis(diagnosis)) };
    let records = (first..).zip(records).map(record).collect();
    PushDiagnosesRequest { node: node.into(), stream_id: "o".into(), records, ..Default::default() }
}

fn diagnosis(node: &str, n: u64, namespace: &str, kib: usize) -> Diagnosis {
    let kind = SubjectKind::Pod.into();
    let subject = Subject {
        kind,
        namespace: namespace.into(),
        name: format!("web-{n}"),
        node: node.into(),
        ..Default::default()
    };
    Diagnosis {
        uid: uid(node, n),
        revision: 1,
        subject: Some(subject),
        cause: Cause::OomContainerLimit.into(),
        confidence: Confidence::Certain.into(),
        severity: Severity::Error.into(),
        event_time: Some(std::time::SystemTime::now().into()),
        explanation: "x".repeat(kib << 10),
        ..Default::default()
    }
}

fn uid(node: &str, n: u64) -> String {
    let node = node.trim_start_matches('n').parse::<u32>().unwrap_or(u32::MAX);
    format!("{node:08x}-0000-4000-8000-{n:012}")
}

/// Made once, before the attacks: making it again would take the processor from all others.
fn empty_records() -> &'static Bytes {
    static MESSAGE: OnceLock<Bytes> = OnceLock::new();
    MESSAGE.get_or_init(|| {
        let records = vec![OutboxRecord::default(); 900_000];
        framed(&PushDiagnosesRequest { records, ..push("evil", 1, []) }.encode_to_vec())
    })
}

/// Many records without content: two bytes each, and a kilobyte each when they are decoded.
async fn push_empty_records(target: &Target, attacker: &Attacker) -> Result<()> {
    let message = empty_records();
    let mut requests = target.connect(attacker, 1 << 20).await?;
    let mut answers = Vec::new();
    for _ in 0..8 {
        requests = requests.ready().await?;
        let (answer, mut body) = requests.send_request(request(attacker, PUSH)?, false)?;
        body.send_data(message.clone(), true)?;
        answers.push(answer);
    }
    for answer in answers {
        let _refused = timeout(MOMENT, answer).await;
    }
    Ok(())
}

/// Uploads that begin and never end.
async fn upload_for_ever(target: &Target, attacker: &Attacker) -> Result<()> {
    let mut requests = target.connect(attacker, 1 << 20).await?;
    let mut held = Vec::new();
    for _ in 0..60 {
        requests = timeout(MOMENT, requests.ready()).await??;
        let (answer, mut body) = requests.send_request(request(attacker, PUSH)?, false)?;
        let mut begun = vec![0];
        begun.extend((1_u32 << 20).to_be_bytes());
        begun.resize(20 << 10, 0);
        body.send_data(begun.into(), false)?;
        held.push((answer, body));
    }
    sleep(MOMENT).await;
    Ok(())
}

/// Lists that are asked for and not read, and streams.
async fn ask_and_read_nothing(target: &Target, attacker: &Attacker, window: u32) -> Result<()> {
    let mut requests = target.connect(attacker, window).await?;
    let list = framed(&ListDiagnosesRequest { page_size: 1000, ..Default::default() }.encode_to_vec());
    let start = Some(Start::FromOldest(true));
    let watch = framed(&WatchDiagnosesRequest { start, max_batch_size: 500, ..Default::default() }.encode_to_vec());
    let mut held = Vec::new();
    for n in 0..60 {
        requests = timeout(MOMENT, requests.ready()).await??;
        let (path, message) = if n % 2 == 0 { (LIST, &list) } else { (WATCH, &watch) };
        let (answer, mut body) = requests.send_request(request(attacker, path)?, false)?;
        body.send_data(message.clone(), true)?;
        held.push(answer);
    }
    sleep(MOMENT).await;
    Ok(())
}

/// Tokens that were never issued, each another one.
async fn make_up_tokens(target: &Target, who: &str, round: usize) -> Result<()> {
    let anonymous = Attacker { address: if who == "trudy" { 5 } else { 4 }, certificate: None, token: None };
    let mut requests = target.connect(&anonymous, 1 << 20).await?;
    let mut answers = Vec::new();
    for n in 0..60 {
        requests = timeout(MOMENT, requests.ready()).await??;
        let token = Some(format!("made-up-by-{who}-{round}-{n}-{}", "x".repeat(10_000)));
        let (answer, mut body) =
            requests.send_request(request(&Attacker { token, ..anonymous.clone() }, STATUS)?, false)?;
        body.send_data(framed(&[]), true)?;
        answers.push(answer);
    }
    for answer in answers {
        let _refused = timeout(MOMENT, answer).await;
    }
    Ok(())
}

/// Connections on which nothing is sent.
async fn send_nothing(target: &Target) -> Result<()> {
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(target.secured.connect_from(9).await?);
    }
    sleep(MOMENT).await;
    Ok(())
}

type Attack = Box<dyn Fn(usize) -> BoxFuture<'static, Result<()>> + Send>;

/// Every attack, by everybody who can.
fn attacks(target: &Arc<Target>) -> Result<Vec<Attack>> {
    fn attack<F>(target: &Arc<Target>, attack: impl Fn(Arc<Target>, usize) -> F + Send + 'static) -> Attack
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let target = Arc::clone(target);
        Box::new(move |round| Box::pin(attack(Arc::clone(&target), round)))
    }
    let mut all = Vec::new();
    let nodes = [target.node("evil-1", 2)?, target.node("evil-2", 3)?];
    let users = [("mallory", 4), ("trudy", 5), ("eve", 6), ("jane", 7), ("bob", 8)].map(Target::user);
    for attacker in nodes.iter().chain(&users) {
        let (pushing, uploading) = (attacker.clone(), attacker.clone());
        all.push(attack(target, move |target, _| {
            let attacker = pushing.clone();
            async move { push_empty_records(&target, &attacker).await }
        }));
        all.push(attack(target, move |target, _| {
            let attacker = uploading.clone();
            async move { upload_for_ever(&target, &attacker).await }
        }));
    }
    for attacker in &users {
        // A window of nothing, and one that lets all of it go into the socket's buffers.
        for window in [0, 1 << 30] {
            let attacker = attacker.clone();
            all.push(attack(target, move |target, _| {
                let attacker = attacker.clone();
                async move { ask_and_read_nothing(&target, &attacker, window).await }
            }));
        }
    }
    for who in ["mallory", "trudy"] {
        all.push(attack(target, move |target, round| async move { make_up_tokens(&target, who, round).await }));
    }
    all.push(attack(target, |target, _| async move { send_nothing(&target).await }));
    Ok(all)
}

/// Pushes as an agent does: the same batch until it is taken. Gives the longest time that a batch took.
async fn push_honestly(target: &Target, node: &str, batches: u64) -> Result<Duration> {
    let mut ingest = target.secured.ingest(Some(&target.certificate(&format!("node/{node}"))?))?;
    let mut longest = Duration::ZERO;
    for batch in 0..batches {
        let records = (batch * 20..(batch + 1) * 20).map(|n| diagnosis(node, n, "shop", 1));
        let request = push(node, batch * 20 + 1, records);
        let begun = Instant::now();
        until("a batch is taken", async || match ingest.push_diagnoses(request.clone()).await {
            Ok(answer) => {
                ensure!(answer.get_ref().rejected.is_empty(), "{answer:?}");
                Ok(Some(()))
            }
            Err(status)
                if matches!(
                    status.code(),
                    Code::Unavailable | Code::ResourceExhausted | Code::Cancelled | Code::Unknown
                ) =>
            {
                Ok(None)
            }
            Err(status) => Err(status.into()),
        })
        .await?;
        longest = longest.max(begun.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    Ok(longest)
}

/// The uids that the feed has, of these nodes.
async fn read(target: &Target, nodes: &[&str]) -> Result<BTreeSet<String>> {
    let reader = target.certificate("reader/siem")?;
    let start = Some(Start::FromOldest(true));
    let request = WatchDiagnosesRequest { start, stop_at_end: true, ..Default::default() };
    let mut frames = target.secured.feed(Some(&reader))?.watch_diagnoses(request).await?.into_inner();
    let mut uids = BTreeSet::new();
    while let Some(response) = frames.message().await? {
        if let Some(Frame::Batch(batch)) = response.frame {
            let of_nodes = batch.diagnoses.into_iter().filter(|diagnosis| {
                diagnosis.subject.as_ref().is_some_and(|subject| nodes.contains(&subject.node.as_str()))
            });
            uids.extend(of_nodes.map(|diagnosis| diagnosis.uid));
        }
    }
    Ok(uids)
}

async fn ensure_alive(target: &Target) -> Result<()> {
    let reader = target.certificate("reader/siem")?;
    target.secured.feed(Some(&reader))?.get_status(GetStatusRequest {}).await.context("it answers")?;
    let most = target.secured.most_memory()?;
    ensure!(most < LIMIT, "{} MiB were resident", most / MIB);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_client_does_alone_takes_the_memory() -> Result<()> {
    let target = Target::start().await?;
    let before = target.secured.most_memory()?;
    let mut attackers = JoinSet::new();
    for attack in attacks(&target)? {
        attackers.spawn(async move { attack(0).await });
    }
    while attackers.join_next().await.is_some() {}
    ensure_alive(&target).await?;
    let most = target.secured.most_memory()?;
    eprintln!("{} MiB before, {} MiB at most", before / MIB, most / MIB);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn under_all_attacks_at_once_honest_agents_lose_nothing() -> Result<()> {
    let target = Target::start().await?;
    let mut attackers = JoinSet::new();
    for attack in attacks(&target)? {
        attackers.spawn(async move {
            for round in 0.. {
                // It is refused, cut, closed: it comes again.
                let _whatever = attack(round).await;
                sleep(Duration::from_millis(20)).await;
            }
        });
    }
    let honest = ["n1", "n2"];
    let (one, other) =
        tokio::try_join!(push_honestly(&target, honest[0], BATCHES), push_honestly(&target, honest[1], BATCHES))?;
    eprintln!("the longest push took {:?} and {:?}", one, other);
    let read = read(&target, &honest).await?;
    let pushed = honest.iter().flat_map(|node| (0..BATCHES * 20).map(move |n| uid(node, n))).collect();
    ensure!(read == pushed, "{} of {} arrived", read.len(), 2 * BATCHES * 20);
    attackers.shutdown().await;
    ensure_alive(&target).await?;
    eprintln!("{} MiB at most, {} reviews", target.secured.most_memory()? / MIB, target.api.asked().len());
    Ok(())
}
