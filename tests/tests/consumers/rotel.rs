//! rotel, an OpenTelemetry collector, as receiver of the OTLP exporter: it shows what it has understood.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::outbox_record::Record;
use coroner_proto::v1::{
    Cause, Container, Diagnosis, Exit, Gap, GapReason, Node, Severity, Subject, SubjectKind, Workload,
};
use coroner_tests::until;
use tempfile::TempDir;

use crate::aggregator::{Aggregator, diagnosis, free_port, large, summary, uid};
use crate::python::{self, Process};

/// It takes messages of one MiB at most, and prints what it takes.
const FLAGS: &[&str] = &[
    "start",
    "--exporter=blackhole",
    "--debug-log=logs",
    "--debug-log-verbosity=detailed",
    "--otlp-grpc-max-recv-msg-size-mib=1",
];

/// What it is sent, name by name.
type Attributes = BTreeMap<String, String>;

/// One log record, as it understood it.
#[derive(Debug, Default)]
struct ReceivedRecord {
    resource: Attributes,
    attributes: Attributes,
    /// `EventName`, `Body` and the like.
    fields: Attributes,
}

struct Rotel {
    process: Process,
    directory: TempDir,
    lives: u32,
    port: u16,
}

impl Rotel {
    async fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = free_port()?;
        let process = spawn(&output(&directory, 1), port).await?;
        Ok(Self { process, directory, lives: 1, port })
    }

    /// Dies, and comes back where it was once `meanwhile` is done.
    async fn die_and_rise(&mut self, meanwhile: impl Future<Output = Result<()>>) -> Result<()> {
        self.process.kill()?;
        meanwhile.await?;
        self.lives += 1;
        self.process = spawn(&output(&self.directory, self.lives), self.port).await?;
        Ok(())
    }

    fn output(&self) -> Result<String> {
        Ok(fs::read_to_string(output(&self.directory, self.lives))?)
    }

    /// The records of this life.
    fn records(&self) -> Result<Vec<ReceivedRecord>> {
        Ok(understood(&self.output()?))
    }
}

fn output(directory: &TempDir, life: u32) -> PathBuf {
    directory.path().join(format!("rotel-{life}.out"))
}

async fn spawn(output: &PathBuf, port: u16) -> Result<Process> {
    // It comes as a program in a package of Python; its place depends on the version of Python.
    let mut asked = python::python()?;
    asked.args(["-c", "import pathlib, rotel; print(pathlib.Path(rotel.__file__).with_name('rotel-agent'))"]);
    let program = String::from_utf8(asked.output()?.stdout)?;
    let mut command = Command::new(program.trim());
    let (grpc, http) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", free_port()?));
    command.args(FLAGS).args(["--otlp-grpc-endpoint", &grpc, "--otlp-http-endpoint", &http]).env("NO_COLOR", "1");
    let file = File::create(output)?;
    let mut process = Process::start(command.stdout(file.try_clone()?).stderr(file))?;
    until("rotel listens", async || {
        process.check().with_context(|| fs::read_to_string(output).unwrap_or_default())?;
        Ok(TcpStream::connect(&grpc).is_ok().then_some(()))
    })
    .await?;
    Ok(process)
}

/// The records in its output.
fn understood(output: &str) -> Vec<ReceivedRecord> {
    let mut records = Vec::<ReceivedRecord>::new();
    let (mut resource, mut of_resource) = (Attributes::new(), false);
    for line in output.lines() {
        match (line.strip_prefix("     -> ").and_then(|line| line.split_once(": ")), records.last_mut()) {
            (Some((key, value)), _) if of_resource => drop(resource.insert(key.into(), value.into())),
            (Some((key, value)), Some(last)) => drop(last.attributes.insert(key.into(), value.into())),
            _ if line.starts_with("ResourceLog #") => (resource, of_resource) = (Attributes::new(), true),
            _ if line.starts_with("LogRecord #") => {
                of_resource = false;
                records.push(ReceivedRecord { resource: resource.clone(), ..ReceivedRecord::default() });
            }
            (None, Some(last)) if !of_resource => {
                if let Some((key, value)) = line.split_once(": ") {
                    last.fields.insert(key.into(), value.into());
                }
            }
            _ => {}
        }
    }
    records
}

fn ensure_holds(attributes: &Attributes, wanted: &[(&str, &str)]) -> Result<()> {
    for (key, value) in wanted {
        ensure!(
            attributes.get(*key).is_some_and(|records| records == value),
            "{key}: {value} wanted in {attributes:#?}"
        );
    }
    Ok(())
}

/// A container that was killed, with most of what can be known of one.
fn killed() -> Diagnosis {
    let mut killed = diagnosis(1);
    killed.cause = Cause::OomContainerLimit.into();
    if let Some(subject) = &mut killed.subject {
        subject.kind = SubjectKind::Container.into();
        subject.container = "app".into();
    }
    killed.exit = Some(Exit { code: 137, signal: 9, reported_reason: "OOMKilled".into(), ..Exit::default() });
    killed.node = Some(Node {
        name: "n1".into(),
        machine_id: "0123456789abcdef0123456789abcdef".into(),
        cluster_uid: uid(77),
        ..Node::default()
    });
    killed.container = Some(Container {
        name: "app".into(),
        id: "d34db33f".into(),
        attempt: 3,
        image: "shop/web:1".into(),
        ..Container::default()
    });
    killed.workloads = vec![
        Workload { kind: "ReplicaSet".into(), name: "web-5d9c".into() },
        Workload { kind: "Deployment".into(), name: "web".into() },
    ];
    killed
}

/// A node as such.
fn unreachable() -> Diagnosis {
    let mut node = diagnosis(2);
    node.cause = Cause::NodeUnreachable.into();
    node.severity = Severity::Critical.into();
    node.subject =
        Some(Subject { kind: SubjectKind::Node.into(), name: "n1".into(), node: "n1".into(), ..Subject::default() });
    node.pod = None;
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_understands_what_died_and_why() -> Result<()> {
    let mut rotel = Rotel::start().await?;
    let mut aggregator = Aggregator::start(&[format!("otlp+http://127.0.0.1:{}", rotel.port)]).await?;
    let gap = Gap {
        node: "n1".into(),
        source: "kernel_log".into(),
        reason: GapReason::Overrun.into(),
        lost_count: Some(7),
        text: "seven lines".into(),
        ..Gap::default()
    };
    aggregator.push_records([Record::Diagnosis(killed()), Record::Diagnosis(unreachable()), Record::Gap(gap)]).await?;
    let arrived = until("three records arrive", async || {
        let records = rotel.records()?;
        Ok((records.len() >= 3 && records[2].fields.contains_key("Flags")).then_some(records))
    });
    let records = arrived.await.with_context(|| aggregator.log().unwrap_or_default())?;
    let [killed, node, gap] = &records[..] else { anyhow::bail!("{records:#?}") };

    // The resource is what died, and nothing of us is in it.
    ensure_holds(
        &killed.resource,
        &[
            ("k8s.cluster.uid", &format!("Str({})", uid(77))),
            ("k8s.node.name", "Str(n1)"),
            ("host.id", "Str(0123456789abcdef0123456789abcdef)"),
            ("k8s.namespace.name", "Str(shop)"),
            ("k8s.pod.name", "Str(web-1)"),
            ("k8s.pod.uid", &format!("Str({})", uid(1))),
            ("k8s.container.name", "Str(app)"),
            ("k8s.container.restart_count", "Int(3)"),
            ("container.id", "Str(d34db33f)"),
            ("container.image.name", "Str(shop/web:1)"),
            ("k8s.replicaset.name", "Str(web-5d9c)"),
            ("k8s.deployment.name", "Str(web)"),
        ],
    )?;
    for records in &records {
        ensure!(records.resource.keys().all(|key| !key.starts_with("service.")), "{records:#?}");
        ensure!(records.resource.values().all(|value| !value.to_lowercase().contains("coroner")), "{records:#?}");
    }
    ensure_holds(
        &killed.attributes,
        &[
            ("log.record.uid", &format!("Str({}:1)", uid(1))),
            ("coroner.uid", &format!("Str({})", uid(1))),
            ("error.type", "Str(OomContainerLimit)"),
            ("process.exit.code", "Int(137)"),
            ("coroner.signal.number", "Int(9)"),
            ("k8s.container.status.last_terminated_reason", "Str(OOMKilled)"),
            ("coroner.fatal", "Bool(true)"),
        ],
    )?;
    ensure!(killed.attributes["coroner.evidence"].contains("text:Str(Killed process 1)"), "{killed:#?}");
    ensure_holds(
        &killed.fields,
        &[
            ("EventName", "coroner.diagnosis"),
            ("Body", "Str(number 1)"),
            ("Timestamp", "1785578400000000000"),
            ("SeverityNumber", "SEVERITY_NUMBER_ERROR(17)"),
        ],
    )?;
    ensure_holds(&node.resource, &[("k8s.node.name", "Str(n1)")])?;
    ensure!(node.resource.keys().all(|key| !key.contains("pod")), "{node:#?}");
    ensure_holds(&node.fields, &[("SeverityNumber", "SEVERITY_NUMBER_FATAL(21)")])?;
    ensure_holds(&gap.resource, &[("k8s.node.name", "Str(n1)")])?;
    ensure_holds(&gap.fields, &[("EventName", "coroner.gap"), ("Body", "Str(seven lines)")])?;
    ensure_holds(&gap.attributes, &[("coroner.gap.reason", "Str(overrun)"), ("coroner.gap.lost_count", "Int(7)")])?;

    // What is pushed while it is dead arrives once it is back, though it is more than one message may hold: rotel then
    // answers OUT_OF_RANGE, as all servers of its making do.
    rotel.die_and_rise(aggregator.push((4..=500).map(large))).await?;
    let arrived = until("all of it arrives", async || {
        let records = rotel.records()?;
        Ok((records.len() >= 497).then_some(records))
    });
    let records = arrived.await.with_context(|| aggregator.log().unwrap_or_default())?;
    let bodies = records.iter().map(|records| records.fields["Body"].clone());
    ensure!(bodies.eq((4..=500).map(|n| format!("Str({})", summary(n)))), "{records:#?}");
    let exporter = aggregator.exporter(&format!("otlp-http-127.0.0.1-{}", rotel.port), 0).await?;
    ensure!((exporter.sent_count, exporter.dead_letter_count) == (500, 0), "{exporter:?}");
    // Pods are resources of their own, counted from the start in each message.
    let messages = rotel.output()?.lines().filter(|line| *line == "ResourceLog #0").count();
    ensure!(messages > 1, "all of it came in one message");
    Ok(())
}
