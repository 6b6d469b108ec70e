//! Versions beside one another: files of earlier versions are read, those of later ones are refused untouched, with
//! what to do; and agents one minor version older or newer than the aggregator work.
//!
//! `tests/versions/0.1/` holds what Coroner 0.1 wrote: a ledger, an outbox, a push and the answer to it, and what its
//! programs sent one another ([`traffic`]). A later version adds a folder of its own (`CORONER_BLESS=1` writes it),
//! and keeps those of the versions that it must read. The programs of another revision are run by [`beside`].

mod beside;
mod traffic;

use std::{
    env, fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use coroner_agent::{
    outbox::{Limit, Outbox, Record},
    status::Board,
};
use coroner_proto::v1::{
    Diagnosis, ListDiagnosesRequest, OutboxRecord, PushDiagnosesRequest, PushDiagnosesResponse,
    diagnosis_service_client::DiagnosisServiceClient, outbox_record,
};
use coroner_tests::{
    Daemon, Scratch,
    coroner::{agent, aggregator, listening_address},
    flow::{diagnosis, name},
    until,
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use prost::{Message, bytes::Bytes};
use rusqlite::Connection;
use tokio::net::TcpStream;

/// The version whose files are in the folder.
const VERSION: &str = "0.1";
/// What was in use before it: a ledger that is migrated.
const BEFORE: &str = "before-0.1";
const NODE: u16 = 1;
/// Diagnoses in each file.
const DIAGNOSES: u64 = 3;
/// A field that no version knows, with a text: 1000, length-delimited.
const UNKNOWN: &[u8] = b"\xc2\x3e\x05later";
const PUSH: &str = "/coroner.v1.IngestService/PushDiagnoses";

fn fixture(version: &str, file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("versions").join(version).join(format!("{file}.gz"))
}

/// What a fixture holds. `write` makes it again, if that is asked for.
fn contents(file: &str, write: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let path = fixture(VERSION, file);
    if env::var_os("CORONER_BLESS").is_some() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&write()?)?;
        fs::create_dir_all(path.parent().context("the folder of a fixture")?)?;
        fs::write(&path, packed.finish()?).with_context(|| path.display().to_string())?;
    }
    kept(VERSION, file)
}

/// What a fixture holds, which another test makes.
fn kept(version: &str, file: &str) -> Result<Vec<u8>> {
    let path = fixture(version, file);
    let at = || path.display().to_string();
    let mut contents = Vec::new();
    GzDecoder::new(fs::File::open(&path).with_context(at)?).read_to_end(&mut contents).with_context(at)?;
    Ok(contents)
}

fn diagnoses() -> impl Iterator<Item = Diagnosis> {
    (1..=DIAGNOSES).map(|number| diagnosis(NODE, number))
}

fn records() -> impl Iterator<Item = OutboxRecord> {
    diagnoses().zip(1..).map(|(diagnosis, sequence)| OutboxRecord {
        sequence,
        record: Some(outbox_record::Record::Diagnosis(diagnosis)),
    })
}

fn push() -> PushDiagnosesRequest {
    PushDiagnosesRequest {
        node: name(NODE),
        stream_id: "0198c0de-0000-7000-8000-000000000001".into(),
        records: records().collect(),
        ..PushDiagnosesRequest::default()
    }
}

/// The contents of a database with all that its log holds.
fn whole(path: &Path) -> Result<Vec<u8>> {
    Connection::open(path)?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
    Ok(fs::read(path)?)
}

fn outbox(path: &Path) -> Result<Outbox> {
    Ok(Outbox::open(path, 64 << 20, &name(NODE), Board::default())?)
}

/// An outbox of that version, in this directory.
fn earlier_outbox(directory: &Path) -> Result<PathBuf> {
    let path = directory.join("outbox.db");
    let contents = contents("outbox.db", || {
        let made = directory.join("made.db");
        outbox(&made)?.append(diagnoses().map(Record::diagnosis).collect());
        whole(&made)
    })?;
    fs::write(&path, contents)?;
    Ok(path)
}

/// A running aggregator.
struct Aggregator {
    daemon: Daemon,
    address: String,
}

impl Aggregator {
    async fn start(scratch: &Scratch, ledger: &Path) -> Result<Self> {
        let ledger = ledger.display().to_string();
        let arguments = ["--listen", "127.0.0.1:0", "--ledger", &ledger].map(str::to_owned);
        let log = scratch.directory().join("aggregator.log");
        let mut daemon = Daemon::start(&aggregator()?, &arguments, &scratch.daemons(), log)?;
        let address = until("the aggregator listens", async || {
            daemon.check()?;
            Ok(listening_address(&daemon.output()))
        })
        .await?;
        Ok(Self { daemon, address })
    }

    /// Sends a push as these bytes.
    async fn push(&self, message: &[u8]) -> Result<PushDiagnosesResponse> {
        Ok(PushDiagnosesResponse::decode(call(&self.address, PUSH, message).await?.as_slice())?)
    }

    /// All diagnoses that it holds, by uid.
    async fn diagnoses(&self) -> Result<Vec<Diagnosis>> {
        let mut client = DiagnosisServiceClient::connect(format!("http://{}", self.address)).await?;
        let mut found = client.list_diagnoses(ListDiagnosesRequest::default()).await?.into_inner().diagnoses;
        found.sort_by(|one, other| one.uid.cmp(&other.uid));
        Ok(found)
    }
}

/// Sends a message to a method as these bytes, and gives those of the first answer.
async fn call(address: &str, method: &str, message: &[u8]) -> Result<Vec<u8>> {
    let (requests, connection) = h2::client::handshake(TcpStream::connect(address).await?).await?;
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://{address}{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (answer, mut body) = requests.ready().await?.send_request(request, false)?;
    body.send_data(Bytes::from(traffic::framed(message)?), true)?;
    let answer = answer.await?;
    let status = answer.headers().get("grpc-status").cloned();
    let mut body = answer.into_body();
    let mut received = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        received.extend(data);
    }
    let message = received.get(5..).with_context(|| format!("no answer, with status {status:?}"))?;
    Ok(message.to_vec())
}

#[test]
fn an_outbox_of_an_earlier_version_is_continued() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut outbox = outbox(&earlier_outbox(directory.path())?)?;
    let batch = outbox.batch(Limit { records: 100, bytes: usize::MAX });
    ensure!(batch.records == records().collect::<Vec<_>>(), "{batch:?}");
    outbox.append(vec![Record::diagnosis(diagnosis(NODE, DIAGNOSES + 1))]);
    let sequences: Vec<_> = outbox.batch(Limit { records: 100, bytes: usize::MAX }).records;
    ensure!(sequences.last().is_some_and(|last| last.sequence == DIAGNOSES + 1), "{sequences:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_an_earlier_version_is_served_and_continued() -> Result<()> {
    let scratch = Scratch::new()?;
    let path = scratch.directory().join("ledger.db");
    if env::var_os("CORONER_BLESS").is_some() {
        let made = scratch.directory().join("made.db");
        let mut aggregator = Aggregator::start(&scratch, &made).await?;
        aggregator.push(&push().encode_to_vec()).await?;
        ensure!(aggregator.diagnoses().await?.len() as u64 == DIAGNOSES);
        aggregator.daemon.stop()?;
        contents("ledger.db", || whole(&made))?;
    }
    for version in [VERSION, BEFORE] {
        fs::write(&path, kept(version, "ledger.db")?)?;
        let mut aggregator = Aggregator::start(&scratch, &path).await?;
        let found = aggregator.diagnoses().await?;
        ensure!(found == diagnoses().collect::<Vec<_>>(), "{version}: {found:?}");
        let answer = aggregator.push(&push().encode_to_vec()).await?;
        ensure!(answer.acknowledged_sequence == DIAGNOSES, "{version}: the stream is known: {answer:?}");
        ensure!(
            aggregator.diagnoses().await?.len() as u64 == DIAGNOSES,
            "{version}: what is known is not stored again"
        );
        aggregator.daemon.stop()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_of_the_minor_version_before_and_after_are_taken() -> Result<()> {
    let earlier = contents("push.binpb", || Ok(push().encode_to_vec()))?;
    // A later agent's: each message has a field that this aggregator does not know.
    let message = |number: u32, contents: &[u8]| {
        let mut field = Vec::new();
        prost::encoding::bytes::encode(number, &contents.to_vec(), &mut field);
        [field.as_slice(), UNKNOWN].concat()
    };
    let of_record = |(sequence, diagnosis): (u64, Diagnosis)| {
        let diagnosis = [diagnosis.encode_to_vec().as_slice(), UNKNOWN].concat();
        let sequence = OutboxRecord { sequence, record: None }.encode_to_vec();
        message(RECORDS, &[sequence.as_slice(), &message(DIAGNOSIS, &diagnosis)].concat())
    };
    let later = (1..).zip(diagnoses()).map(of_record).collect::<Vec<_>>().concat();
    let later = [PushDiagnosesRequest { records: vec![], ..push() }.encode_to_vec(), later].concat();
    for (version, bytes) in [("earlier", earlier), ("later", later)] {
        let scratch = Scratch::new()?;
        let aggregator = Aggregator::start(&scratch, &scratch.directory().join("ledger.db")).await?;
        let answer = aggregator.push(&bytes).await?;
        ensure!(answer.acknowledged_sequence == DIAGNOSES && answer.rejected.is_empty(), "{version}: {answer:?}");
        let found = aggregator.diagnoses().await?;
        ensure!(found == diagnoses().collect::<Vec<_>>(), "{version}: {found:?}");
    }
    Ok(())
}

/// Numbers of fields (`proto/coroner/v1/ingest_service.proto`).
const RECORDS: u32 = 3;
const DIAGNOSIS: u32 = 2;

#[test]
fn an_agent_understands_the_answer_of_a_later_aggregator() -> Result<()> {
    let answer = PushDiagnosesResponse { acknowledged_sequence: DIAGNOSES, ..PushDiagnosesResponse::default() };
    let earlier = contents("answer.binpb", || Ok(answer.encode_to_vec()))?;
    for bytes in [earlier.clone(), [earlier.as_slice(), UNKNOWN].concat()] {
        ensure!(PushDiagnosesResponse::decode(bytes.as_slice())? == answer, "{bytes:?}");
    }
    Ok(())
}

/// Starts a program on a file of a later version, and checks that it refuses it in both languages and changes nothing.
fn refuses(program: &Path, arguments: &[&str], file: &Path, items: [&str; 2]) -> Result<()> {
    Connection::open(file)?.pragma_update(None, "user_version", 99)?;
    let before = whole(file)?;
    for (locale, item) in ["C", "zh_CN.UTF-8"].into_iter().zip(items) {
        let output = Command::new(program).args(arguments).env("LC_ALL", locale).output()?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(65), "{:?}: {log}", output.status);
        ensure!(log.contains("99") && log.contains(item), "{locale}: {log}");
        ensure!(whole(file)? == before, "it was changed");
    }
    Ok(())
}

#[test]
fn files_of_a_later_version_are_refused_with_what_to_do() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = earlier_outbox(directory.path())?;
    let arguments = ["--aggregator=unix:///nowhere", "--node-name=n", "--outbox", &path.display().to_string()];
    refuses(&agent()?, &arguments, &path, ["Run the later version again", "请重新运行更高的版本"])?;
    let path = directory.path().join("ledger.db");
    fs::write(&path, contents("ledger.db", || fs::read(&path).context("made by another test"))?)?;
    let arguments = ["--listen=127.0.0.1:0", "--ledger", &path.display().to_string()];
    refuses(&aggregator()?, &arguments, &path, ["restore the backup", "恢复升级前的备份"])
}
