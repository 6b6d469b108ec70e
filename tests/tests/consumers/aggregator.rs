//! An aggregator, and what is pushed into it through a socket of its own.

use std::fs::{self, File};
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::diagnosis_service_client::DiagnosisServiceClient;
use coroner_proto::v1::ingest_service_client::IngestServiceClient;
use coroner_proto::v1::outbox_record::Record;
use coroner_proto::v1::{
    Cause, Confidence, Diagnosis, Evidence, ExporterStatus, GetStatusRequest, OutboxRecord, Pod, PushDiagnosesRequest,
    Severity, Subject, SubjectKind,
};
use coroner_tests::{coroner, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

use crate::python::{Process, REPOSITORY};

/// The node that pushes.
pub(crate) const NODE: &str = "n1";

/// A running aggregator.
pub(crate) struct Aggregator {
    // It ends before its directory goes.
    process: Process,
    directory: TempDir,
    flags: Vec<String>,
    lives: u32,
    channel: Channel,
    pushed: u64,
}

impl Aggregator {
    /// Starts one with these exporters; `{}` in them stands for its directory.
    pub(crate) async fn start(exports: &[String]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let place = directory.path().display().to_string();
        let flags = exports.iter().flat_map(|export| ["--export".to_owned(), export.replace("{}", &place)]);
        Self::start_in(directory, flags.collect()).await
    }

    /// Starts one in this directory, with these flags.
    pub(crate) async fn start_in(directory: TempDir, flags: Vec<String>) -> Result<Self> {
        let (process, channel) = spawn(directory.path(), &flags, 1).await?;
        Ok(Self { directory, flags, lives: 1, process, channel, pushed: 0 })
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Pushes these diagnoses, as an agent does.
    pub(crate) async fn push(&mut self, diagnoses: impl IntoIterator<Item = Diagnosis>) -> Result<()> {
        self.push_records(diagnoses.into_iter().map(Record::Diagnosis)).await
    }

    /// The same for records of any kind.
    pub(crate) async fn push_records(&mut self, records: impl IntoIterator<Item = Record>) -> Result<()> {
        let mut client = IngestServiceClient::new(self.channel.clone());
        let records: Vec<Record> = records.into_iter().collect();
        for batch in records.chunks(500) {
            let request = request(self.pushed, batch.iter().cloned());
            self.pushed += batch.len() as u64;
            let answer = client.push_diagnoses(request).await?.into_inner();
            ensure!(answer.rejected.is_empty() && answer.acknowledged_sequence == self.pushed, "{answer:?}");
        }
        Ok(())
    }

    /// Asks it to end, waits until it has, and gives its log of this life.
    pub(crate) async fn stop(&mut self) -> Result<String> {
        let child = self.process.child();
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
        let status = until("the aggregator has ended", async || Ok(child.try_wait()?)).await?;
        let log = self.log()?;
        ensure!(status.success(), "{status}\n{log}");
        Ok(log)
    }

    /// Starts it again, where it was.
    pub(crate) async fn rise(&mut self) -> Result<()> {
        self.lives += 1;
        (self.process, self.channel) = spawn(self.directory.path(), &self.flags, self.lives).await?;
        Ok(())
    }

    /// Its log of this life.
    pub(crate) fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(log_path(self.directory.path(), self.lives))?)
    }

    /// The status of its exporter of that name once that has handled all but so many records.
    pub(crate) async fn exporter(&self, name: &str, lag: u64) -> Result<ExporterStatus> {
        let mut client = DiagnosisServiceClient::new(self.channel.clone());
        until(&format!("{name} has {lag} records before it"), async || {
            let status = client.get_status(GetStatusRequest {}).await?.into_inner();
            let exporter = status.exporters.into_iter().find(|exporter| exporter.name == name);
            Ok(Some(exporter.context("no such exporter")?).filter(|exporter| exporter.lag_count == lag))
        })
        .await
    }

    /// What the exporter of that name has as dead letters.
    pub(crate) fn dead_letters(&self, exporter: &str) -> Result<Vec<Value>> {
        json_lines(&self.directory.path().join(format!("ledger.db.export/{exporter}.dead-letter.jsonl")))
    }
}

fn log_path(directory: &Path, life: u32) -> std::path::PathBuf {
    directory.join(format!("aggregator-{life}.log"))
}

async fn spawn(directory: &Path, flags: &[String], life: u32) -> Result<(Process, Channel)> {
    let log = log_path(directory, life);
    let socket = format!("unix://{}", directory.join("socket").display());
    let mut command = Command::new(coroner::aggregator()?);
    command.args(["--listen", &socket, "--cluster-watch=off", "--ledger"]).arg(directory.join("ledger.db"));
    let mut process = Process::start(command.args(flags).env("NO_COLOR", "1").stderr(File::create(&log)?))?;
    until("the aggregator listens", async || {
        process.check().with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        // A listener of the flags comes after this one.
        let listeners = 1 + flags.iter().filter(|flag| *flag == "--listen").count();
        Ok((fs::read_to_string(&log)?.matches("listening on ").count() == listeners).then_some(()))
    })
    .await?;
    Ok((process, Endpoint::from_shared(socket)?.connect().await?))
}

/// What an agent pushes that has been acknowledged so much before.
fn request(after: u64, records: impl IntoIterator<Item = Record>) -> PushDiagnosesRequest {
    let records = (after + 1..).zip(records).map(|(sequence, record)| OutboxRecord { sequence, record: Some(record) });
    PushDiagnosesRequest {
        node: NODE.into(),
        stream_id: "o".into(),
        records: records.collect(),
        after_sequence: after,
        ..PushDiagnosesRequest::default()
    }
}

/// The nth diagnosis: of a pod of its own.
pub(crate) fn diagnosis(n: u64) -> Diagnosis {
    let (namespace, name) = ("shop".to_owned(), format!("web-{n}"));
    let time = Some(prost_types::Timestamp { seconds: 1_785_578_400, nanos: 0 });
    Diagnosis {
        uid: uid(n),
        revision: 1,
        subject: Some(Subject {
            kind: SubjectKind::Pod.into(),
            namespace: namespace.clone(),
            name: name.clone(),
            node: NODE.into(),
            ..Subject::default()
        }),
        cause: Cause::OomPodLimit.into(),
        fatal: true,
        confidence: Confidence::Certain.into(),
        severity: Severity::Error.into(),
        event_time: time,
        observe_time: time,
        summary: summary(n),
        pod: Some(Pod { namespace, name, uid: uid(n) }),
        evidence: vec![Evidence {
            source: "kernel_log".into(),
            time,
            text: format!("Killed process {n}"),
            ..Default::default()
        }],
        ..Diagnosis::default()
    }
}

pub(crate) fn diagnoses(numbers: RangeInclusive<u64>) -> impl Iterator<Item = Diagnosis> {
    numbers.map(diagnosis)
}

/// The same with much evidence: five hundred of them are more than a MiB.
pub(crate) fn large(n: u64) -> Diagnosis {
    let mut diagnosis = diagnosis(n);
    diagnosis.evidence =
        vec![Evidence { source: "logs".into(), time: None, text: "x".repeat(1000), ..Default::default() }; 2];
    diagnosis
}

pub(crate) fn uid(n: u64) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

pub(crate) fn summary(n: u64) -> String {
    format!("number {n}")
}

/// A file of JSON lines; none where there is no file. A line that is still being written is not there yet.
pub(crate) fn json_lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// Makes certificates in DIRECTORY/coroner-tls, as operators do.
pub(crate) fn certificates(directory: &Path) -> Result<()> {
    let script = Path::new(REPOSITORY).canonicalize()?.join("deploy/certificates");
    for arguments in [&["coroner-tls"][..], &["coroner-tls", "reader", "siem"]] {
        let output = Command::new(&script).args(arguments).current_dir(directory).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// A port without a listener, for programs that do not report which one they got.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
