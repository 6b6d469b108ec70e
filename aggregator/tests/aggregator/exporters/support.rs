//! Exporters over a ledger of their own, without the rest of an aggregator, so that a test chooses their pace.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use coroner_aggregator::{
    export::{self, Setup},
    ledger::{self, Entry, Identity, Ledger, Push, Retention, Writer},
};
use coroner_runtime::{
    backoff::Pace,
    metrics::Metrics,
    tasks::{Group, Supervisor},
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
pub(super) use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use tempfile::TempDir;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(86_400);
/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct Exporting {
    directory: TempDir,
    targets: Vec<String>,
    pace: Pace,
    ledger: Arc<Ledger>,
    writer: Writer,
    age: Duration,
    tasks: Group,
}

impl Exporting {
    /// `{}` in a target stands for the directory.
    pub(super) async fn start(targets: &[&str], pace: Pace) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), targets, pace, DAY, None).await
    }

    /// With what is in the ledger already.
    pub(super) async fn start_behind(targets: &[&str], pace: Pace, numbers: RangeInclusive<u64>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), targets, pace, DAY, Some(numbers)).await
    }

    /// The same, and all of it is removed when the ledger looks for what is too old.
    pub(super) async fn start_forgetful(targets: &[&str], pace: Pace, numbers: RangeInclusive<u64>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), targets, pace, Duration::from_nanos(1), Some(numbers)).await
    }

    async fn start_in(
        directory: TempDir,
        targets: &[&str],
        pace: Pace,
        age: Duration,
        numbers: Option<RangeInclusive<u64>>,
    ) -> Self {
        let retention = Retention { age, bytes: 1 << 30 };
        let path = directory.path().join("ledger.db");
        let (ledger, writer) = Ledger::open(&path, retention).unwrap();
        let tasks = Supervisor::new(&Metrics::default()).group();
        let targets: Vec<_> =
            targets.iter().map(|target| target.replace("{}", directory.path().to_str().unwrap())).collect();
        let exporting = Self { directory, targets, pace, ledger: Arc::new(ledger), writer, age, tasks };
        // The first turn of the writer looks for what is too old; behind a second one that is done.
        for _ in 0..2 {
            exporting.append_entries(vec![]).await;
        }
        if let Some(numbers) = numbers {
            exporting.append(numbers).await;
        }
        for target in &exporting.targets {
            exporting.add(target).await;
        }
        exporting
    }

    /// Starts another exporter.
    pub(super) async fn add(&self, target: &str) {
        let setup = Setup {
            cluster: None,
            ledger: Arc::clone(&self.ledger),
            directory: Setup::directory_of(&self.directory().join("ledger.db")),
            pace: self.pace,
        };
        let target = target.replace("{}", self.directory().to_str().unwrap());
        export::start(&setup, target.parse().unwrap(), &self.tasks).await.unwrap();
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    async fn append_entries(&self, entries: Vec<Entry>) {
        let push = Push { node: "n1".into(), stream_id: "o".into(), acknowledge: 1, entries, ..Push::default() };
        self.ledger.append(push).await.unwrap();
        self.ledger.filed().await;
    }

    pub(super) async fn append(&self, numbers: RangeInclusive<u64>) {
        let entry = |n: u64| {
            let diagnosis = crate::support::diagnosis(n);
            Entry {
                sequence: i64::try_from(n).unwrap(),
                identity: Some(Identity { uid: Uuid::parse_str(&diagnosis.uid).unwrap(), revision: 1 }),
                body: diagnosis.encode_to_vec(),
            }
        };
        self.append_entries(numbers.map(entry).collect()).await;
    }

    pub(super) async fn append_gap(&self, lost: u64) {
        let body = crate::support::gap(lost).encode_to_vec();
        self.append_entries(vec![Entry { sequence: 1, identity: None, body }]).await;
    }

    /// Has retention take everything from a forgetful ledger.
    pub(super) async fn expire_all(&self) {
        self.ledger.expire().await.unwrap();
        let extent = async || self.ledger.query(ledger::extent).await.unwrap();
        while extent().await.record_count > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) fn dead_letters(&self) -> Vec<serde_json::Value> {
        let files = std::fs::read_dir(self.directory.path().join("ledger.db.export")).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        paths.filter(|path| path.to_str().unwrap().ends_with(".dead-letter.jsonl")).flat_map(|p| lines(&p)).collect()
    }

    /// Within the time that the program gives.
    pub(super) async fn stop(self) -> TempDir {
        let late = self.tasks.stop(Duration::from_secs(5)).await;
        assert!(late.is_empty(), "the exporters end in time: {late:?}");
        self.ledger.close().await;
        self.writer.ended().await;
        self.writer.join().unwrap();
        self.directory
    }

    pub(super) async fn restart(self) -> Self {
        self.restart_after(|| {}).await
    }

    /// Does something to its files in between.
    pub(super) async fn restart_after(self, between: impl FnOnce()) -> Self {
        let (targets, pace, age) = (self.targets.clone(), self.pace, self.age);
        let targets: Vec<_> = targets.iter().map(String::as_str).collect();
        let directory = self.stop().await;
        between();
        Self::start_in(directory, &targets, pace, age, None).await
    }

    pub(super) async fn restart_with_another_ledger(self, numbers: RangeInclusive<u64>) -> Self {
        let (targets, pace, age) = (self.targets.clone(), self.pace, self.age);
        let targets: Vec<_> = targets.iter().map(String::as_str).collect();
        let directory = self.stop().await;
        std::fs::remove_file(directory.path().join("ledger.db")).unwrap();
        Self::start_in(directory, &targets, pace, age, Some(numbers)).await
    }
}

/// The whole lines of a file; none if it is not there yet.
pub(super) fn lines(path: &PathBuf) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

pub(super) async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it becomes so");
}

pub(super) fn numbers(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|n| format!("number {n}")).collect()
}

pub(super) fn body(record: &LogRecord) -> String {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// A text or number.
pub(super) fn attribute(record: &LogRecord, key: &str) -> Option<String> {
    let value = &record.attributes.iter().find(|attribute| attribute.key == key)?.value;
    match value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Everything is there, nothing else is, and each follows what came before it; what comes again comes as a repetition
/// of the last few, from some point on.
pub(super) fn assert_in_order(way: &str, ids: &[String], expected: impl Iterator<Item = String>) {
    let expected: Vec<String> = expected.collect();
    let mut next = 0;
    for id in ids {
        match expected.get(next) {
            Some(wanted) if wanted == id => next += 1,
            _ => {
                let again = expected[..next].iter().rposition(|known| known == id);
                let again = again.unwrap_or_else(|| panic!("{way}: {id} came out of order, behind {next}"));
                next = again + 1;
            }
        }
    }
    assert_eq!(next, expected.len(), "{way}: not all came");
}
