//! What the programs of an earlier version sent one another, byte by byte, sent again to the present ones.
//!
//! Recorded are the calls of the agent and of some commands of the command line, with the aggregator's answers, and the
//! protocol as it was then. The present aggregator must give those programs the same diagnoses, as far as that protocol
//! shows them; the present command line must show what that aggregator answered, and the present agent report its node
//! in a way that it could read.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write as _,
    str,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use coroner_proto::v1::SubjectKind;
use coroner_tests::{
    case::Case,
    coroner::command_line,
    http::{Body, Server},
};
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{HeaderMap, Request, Response, body::Frame, body::Incoming};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use serde_json::Value;
use tokio::process::Command;

use super::*;

/// Who pushes and reports.
const AGENT: &str = "agent";
/// Commands that ask the aggregator. `UID` and `POD` are those of a diagnosis.
const COMMANDS: [&str; 7] = [
    "list -o json",
    "list -o json --cause OOM_CONTAINER_LIMIT",
    "why -o json POD",
    "get -o json UID",
    "get -o json --revisions UID",
    "nodes -o json",
    "status -o json",
];
/// Diagnoses of so many causes make a recording that shows something.
const CAUSES: usize = 40;

/// One call.
#[derive(Clone, Debug)]
struct Call {
    /// The agent, or a command.
    by: String,
    /// `/coroner.v1.SERVICE/METHOD`.
    method: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// A message in the frame of gRPC, uncompressed.
pub(super) fn framed(message: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(message.len())?.to_be_bytes();
    Ok([&[0], length.as_slice(), message].concat())
}

/// Calls as a file: one on each line, the messages in hexadecimal digits.
fn written(calls: &[Call]) -> Vec<u8> {
    let digits = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut digits, byte| {
            let _to_memory = write!(digits, "{byte:02x}");
            digits
        })
    };
    let line =
        |call: &Call| format!("{}\t{}\t{}\t{}\n", call.by, call.method, digits(&call.request), digits(&call.answer));
    calls.iter().map(line).collect::<String>().into_bytes()
}

/// The calls of a version.
fn calls() -> Result<Vec<Call>> {
    let bytes = |digits: &str| -> Result<Vec<u8>> {
        let byte = |at: usize| Ok(u8::from_str_radix(digits.get(at..at + 2).context("half a byte")?, 16)?);
        (0..digits.len()).step_by(2).map(byte).collect()
    };
    let call = |line: &str| match line.split('\t').collect::<Vec<_>>()[..] {
        [by, method, request, answer] => {
            Ok(Call { by: by.into(), method: method.into(), request: bytes(request)?, answer: bytes(answer)? })
        }
        _ => anyhow::bail!("{line:?}"),
    };
    str::from_utf8(&kept(VERSION, "traffic")?)?.lines().map(call).collect()
}

/// The protocol of that version.
fn protocol() -> Result<DescriptorPool> {
    let file = contents("protocol.binpb", || Ok(coroner_proto::DESCRIPTORS.to_vec()))?;
    Ok(DescriptorPool::decode(file.as_slice())?)
}

fn method(protocol: &DescriptorPool, path: &str) -> Result<MethodDescriptor> {
    let (service, name) = path.trim_start_matches('/').split_once('/').context("SERVICE/METHOD")?;
    let service = protocol.get_service_by_name(service).with_context(|| format!("no {service}"))?;
    service.methods().find(|method| method.name() == name).with_context(|| format!("no {name}"))
}

/// A message as a program of that version reads it, as JSON.
fn json(message: MessageDescriptor, bytes: &[u8]) -> Result<Value> {
    Ok(serde_json::to_value(DynamicMessage::decode(message, bytes)?)?)
}

/// All diagnoses in an answer.
pub(super) fn diagnoses_in(json: &Value) -> Vec<Value> {
    match json {
        Value::Object(fields) if fields.contains_key("uid") && fields.contains_key("cause") => vec![json.clone()],
        Value::Object(fields) => fields.values().flat_map(diagnoses_in).collect(),
        Value::Array(values) => values.iter().flat_map(diagnoses_in).collect(),
        _ => vec![],
    }
}

/// A uid is what two versions know a death by: with another one it would be reported twice.
#[test]
fn recorded_deaths_have_the_uids_that_an_earlier_version_gave_them() -> Result<()> {
    let recorded = calls()?;
    let push = recorded.iter().find(|call| call.method == PUSH).context("a push")?;
    let earlier =
        diagnoses_of(&push.request)?.into_iter().map(|one| (one.uid, one.summary)).collect::<BTreeMap<_, _>>();
    let mut missing = earlier.clone();
    for case in Case::all()? {
        for diagnosis in case.diagnoses(case.observations()?) {
            missing.remove(&diagnosis.uid);
        }
    }
    ensure!(missing.is_empty() && earlier.len() >= CAUSES, "{} of {}: {missing:#?}", missing.len(), earlier.len());
    Ok(())
}

/// One diagnosis of each cause that recorded cases lead to, as if of one node.
fn rich() -> Result<PushDiagnosesRequest> {
    let mut causes = BTreeSet::new();
    let mut records = Vec::new();
    for case in Case::all()? {
        for mut diagnosis in case.diagnoses(case.observations()?) {
            let Some(subject) = &mut diagnosis.subject else { continue };
            let is_of_pod = [SubjectKind::Container, SubjectKind::Pod].contains(&subject.kind());
            if !is_of_pod || !causes.insert(diagnosis.cause) {
                continue;
            }
            subject.node = name(NODE);
            diagnosis.node.get_or_insert_default().name = name(NODE);
            let sequence = records.len() as u64 + 1;
            records.push(OutboxRecord { sequence, record: Some(outbox_record::Record::Diagnosis(diagnosis)) });
        }
    }
    ensure!(causes.len() >= CAUSES, "{} causes", causes.len());
    Ok(PushDiagnosesRequest { records, ..push() })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The method and the message of a call.
async fn received(request: Request<Incoming>) -> (String, Vec<u8>) {
    let method = request.uri().path().to_owned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    (method, body.get(5..).unwrap_or_default().to_vec())
}

/// An answer with this message; without one, the refusal of a method that is not there.
fn answered(message: Option<&[u8]>) -> Response<Body> {
    let status = if message.is_some() { "0" } else { "12" };
    let data = message.and_then(|message| framed(message).ok()).map(|framed| Frame::data(Bytes::from(framed)));
    let trailers = HeaderMap::from_iter([(
        hyper::header::HeaderName::from_static("grpc-status"),
        hyper::header::HeaderValue::from_static(status),
    )]);
    let frames = data.into_iter().chain([Frame::trailers(trailers)]).map(Ok);
    let mut answer = Response::new(StreamBody::new(stream::iter(frames.collect::<Vec<_>>())).boxed_unsync());
    let grpc = hyper::header::HeaderValue::from_static("application/grpc");
    answer.headers_mut().insert(hyper::header::CONTENT_TYPE, grpc);
    answer
}

/// The present agent, of a node on which nothing happens.
fn start_agent(scratch: &Scratch, server: &Server) -> Result<Daemon> {
    let root = scratch.directory().join("root");
    fs::create_dir(&root)?;
    let outbox = scratch.directory().join("outbox.db");
    let arguments = [
        format!("--aggregator=http://{}", server.address),
        format!("--node-name={}", name(NODE)),
        format!("--host-root={}", root.display()),
        format!("--outbox={}", outbox.display()),
    ];
    Daemon::start(&agent()?, &arguments, &scratch.daemons(), scratch.directory().join("agent.log"))
}

/// Runs a present command about this diagnosis against a server, and gives what it printed.
async fn run(server: &Server, command: &str, about: &Diagnosis) -> Result<String> {
    let subject = about.subject.clone().unwrap_or_default();
    let pod = format!("{}/{}", subject.namespace, subject.name);
    let arguments = command.split(' ').map(|word| match word {
        "UID" => about.uid.clone(),
        "POD" => pod.clone(),
        word => word.to_owned(),
    });
    let mut program = Command::new(command_line()?);
    program.arg(format!("--aggregator=http://{}", server.address)).args(arguments);
    let output = program.output().await?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    // 4: what it shows is not all that there is.
    ensure!(matches!(output.status.code(), Some(0 | 4)), "{command}: {output:?}");
    Ok(printed)
}

fn diagnoses_of(push: &[u8]) -> Result<Vec<Diagnosis>> {
    let records = PushDiagnosesRequest::decode(push)?.records.into_iter();
    let diagnoses = records.filter_map(|record| match record.record? {
        outbox_record::Record::Diagnosis(diagnosis) => Some(diagnosis),
        outbox_record::Record::Gap(_) => None,
    });
    Ok(diagnoses.collect())
}

/// The diagnosis of a push that the commands are about.
fn about(push: &[u8]) -> Result<Diagnosis> {
    diagnoses_of(push)?.into_iter().next().context("a push with a diagnosis")
}

/// What the programs of this version send one another, through a server that writes it down.
async fn record() -> Result<Vec<u8>> {
    let scratch = Scratch::new()?;
    let aggregator = Aggregator::start(&scratch, &scratch.directory().join("ledger.db")).await?;
    let written_down = Arc::new((Mutex::new(AGENT.to_owned()), Mutex::new(Vec::<Call>::new())));
    let (address, calls) = (aggregator.address.clone(), Arc::clone(&written_down));
    let server = Server::start(None, move |request| {
        let (address, calls) = (address.clone(), Arc::clone(&calls));
        async move {
            let (method, request) = received(request).await;
            let Ok(answer) = call(&address, &method, &request).await else { return answered(None) };
            let response = answered(Some(&answer));
            let by = lock(&calls.0).clone();
            lock(&calls.1).push(Call { by, method, request, answer });
            response
        }
    });
    let server = server.await?;
    let rich = rich()?.encode_to_vec();
    call(&server.address.to_string(), PUSH, &rich).await?;
    let mut agent = start_agent(&scratch, &server)?;
    until("the agent reports its node", async || {
        agent.check()?;
        Ok(lock(&written_down.1).iter().any(|call| call.method.ends_with("/ReportNode")).then_some(()))
    })
    .await?;
    agent.stop()?;
    let about = about(&rich)?;
    for command in COMMANDS {
        command.clone_into(&mut lock(&written_down.0));
        run(&server, command, &about).await?;
    }
    let calls = lock(&written_down.1);
    Ok(written(&calls))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_present_aggregator_answers_earlier_programs() -> Result<()> {
    if env::var_os("CORONER_BLESS").is_some() {
        let recorded = record().await?;
        contents("traffic", || Ok(recorded))?;
    }
    let protocol = protocol()?;
    let scratch = Scratch::new()?;
    let aggregator = Aggregator::start(&scratch, &scratch.directory().join("ledger.db")).await?;
    let mut shown = 0;
    for Call { by, method: path, request, answer } in calls()? {
        let method = method(&protocol, &path)?;
        let found = call(&aggregator.address, &path, &request).await.with_context(|| format!("{by}: {path}"))?;
        let [found, expected] = [found, answer].map(|bytes| json(method.output(), &bytes));
        let (found, expected) = (found?, expected?);
        if path == PUSH {
            ensure!(found == expected, "{by}: {found:#} and not {expected:#}");
        }
        let (found, expected) = (diagnoses_in(&found), diagnoses_in(&expected));
        ensure!(found == expected, "{by}: {found:#?} and not {expected:#?}");
        shown += found.len();
    }
    ensure!(shown > CAUSES, "{shown} diagnoses");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn present_programs_go_on_with_what_an_earlier_aggregator_answers() -> Result<()> {
    let protocol = protocol()?;
    let recorded = calls()?;
    let rich = recorded.iter().find(|call| call.method == PUSH).context("a push")?;
    let about = about(&rich.request)?;
    let requests = Arc::new(Mutex::new(Vec::new()));
    let answers = Arc::new(Mutex::new(VecDeque::<Call>::new()));
    let (received_of, answers_of) = (Arc::clone(&requests), Arc::clone(&answers));
    let server = Server::start(None, move |request| {
        let (requests, answers) = (Arc::clone(&received_of), Arc::clone(&answers_of));
        async move {
            let (method, request) = received(request).await;
            lock(&requests).push((method.clone(), request));
            let mut answers = lock(&answers);
            let next = answers.iter().position(|call| call.method == method);
            answered(next.and_then(|next| answers.remove(next)).map(|call| call.answer).as_deref())
        }
    });
    let server = server.await?;
    let of = |by: &str| recorded.iter().filter(|call| call.by == by).cloned().collect::<VecDeque<_>>();
    for command in COMMANDS {
        *lock(&answers) = of(command);
        ensure!(!lock(&answers).is_empty(), "{command} is not recorded");
        let printed = run(&server, command, &about).await?;
        let printed = printed.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
        let mut expected = Vec::new();
        for Call { method: path, answer, .. } in of(command) {
            expected.extend(diagnoses_in(&json(method(&protocol, &path)?.output(), &answer)?));
        }
        let uids = |diagnoses: &[Value]| {
            diagnoses.iter().map(|one| (one["uid"].to_string(), one["summary"].to_string())).collect::<BTreeSet<_>>()
        };
        let printed = printed.iter().flat_map(diagnoses_in).collect::<Vec<_>>();
        ensure!(uids(&printed) == uids(&expected), "{command}: {printed:#?} and not {expected:#?}");
    }
    // The answer to the push with records is not for an agent that has none.
    *lock(&answers) = of(AGENT).into_iter().skip(1).collect();
    let scratch = Scratch::new()?;
    let mut agent = start_agent(&scratch, &server)?;
    until("the agent reports its node", async || {
        agent.check()?;
        Ok(lock(&requests).iter().any(|(path, _)| path.ends_with("/ReportNode")).then_some(()))
    })
    .await?;
    let requests = lock(&requests);
    let (path, report) = requests.iter().find(|(path, _)| path.ends_with("/ReportNode")).context("a report")?;
    let report = json(method(&protocol, path)?.input(), report)?;
    ensure!(report.to_string().contains(&name(NODE)), "{report:#}");
    Ok(())
}
