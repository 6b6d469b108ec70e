//! The commands that ask an aggregator, against a real one.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use coroner_proto::v1::{
    Cause, Confidence, Diagnosis, OutboxRecord, PushDiagnosesRequest, Severity, SourceHealth, SourceStatus, Subject,
    SubjectKind, Workload, ingest_service_client::IngestServiceClient, outbox_record::Record,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines, copy_bidirectional},
    net::{TcpListener, UnixStream},
    process::{Child, ChildStdout, Command},
    sync::watch,
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};

/// For anything that only takes long if it has gone wrong.
const PATIENCE: Duration = Duration::from_secs(120);

/// A real aggregator with a ledger of its own, and an agent's part played by the test.
struct Aggregator {
    directory: TempDir,
    _process: Child,
    ingest: IngestServiceClient<Channel>,
    sequence: u64,
}

impl Aggregator {
    async fn start() -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_coroner")).with_file_name("coroner-aggregator");
        assert!(program.exists(), "{} is not there: cargo build --workspace makes it", program.display());
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.args(["--listen", &format!("unix://{}", socket(&directory).display())]);
        command.arg("--ledger").arg(directory.path().join("ledger.db"));
        let mut process = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let listening = async { while !log.next_line().await.unwrap().unwrap().contains("listening on") {} };
        timeout(PATIENCE, listening).await.unwrap();
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        let url = format!("unix://{}", socket(&directory).display());
        let ingest = IngestServiceClient::new(Endpoint::from_shared(url).unwrap().connect().await.unwrap());
        Self { directory, _process: process, ingest, sequence: 0 }
    }

    fn url(&self) -> String {
        format!("unix://{}", socket(&self.directory).display())
    }

    async fn push(&mut self, diagnoses: impl IntoIterator<Item = Diagnosis>) {
        let records = diagnoses.into_iter().map(|diagnosis| {
            self.sequence += 1;
            OutboxRecord { sequence: self.sequence, record: Some(Record::Diagnosis(diagnosis)) }
        });
        let request = PushDiagnosesRequest {
            node: "worker-3".into(),
            stream_id: "a-stream".into(),
            records: records.collect(),
            sources: vec![SourceStatus {
                source: "kernel_log".into(),
                health: SourceHealth::Degraded.into(),
                reason: "the buffer is small".into(),
                ..SourceStatus::default()
            }],
            ..Default::default()
        };
        let answer = self.ingest.push_diagnoses(request).await.unwrap().into_inner();
        assert_eq!((answer.acknowledged_sequence, answer.rejected), (self.sequence, vec![]));
    }

    async fn run(&self, args: &[&str]) -> Output {
        let mut command = coroner(&self.url(), args);
        timeout(PATIENCE, command.kill_on_drop(true).output()).await.unwrap().unwrap()
    }

    /// What it prints, if it answers so.
    #[track_caller]
    fn answer(output: Output, code: i32) -> String {
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn socket(directory: &TempDir) -> PathBuf {
    directory.path().join("aggregator.sock")
}

fn coroner(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coroner"));
    command
        .args(["--aggregator", url])
        .args(args)
        .env_remove("COLUMNS")
        .env_remove("TZ")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

/// A way to the aggregator that can be cut.
struct Line {
    url: String,
    cut: watch::Sender<()>,
}

impl Line {
    async fn to(aggregator: &Aggregator) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let path = socket(&aggregator.directory);
        let (cut, is_cut) = watch::channel(());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (path, mut is_cut) = (path.clone(), is_cut.clone());
                is_cut.mark_unchanged();
                tokio::spawn(async move {
                    let mut server = UnixStream::connect(path).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = is_cut.changed() => {}
                    }
                });
            }
        });
        Self { url, cut }
    }
}

fn diagnosis(number: u32, revision: u32) -> Diagnosis {
    Diagnosis {
        uid: format!("00000000-0000-5000-8000-{number:012}"),
        revision,
        subject: Some(Subject {
            kind: SubjectKind::Container.into(),
            namespace: "shop".into(),
            name: format!("web-{number}"),
            node: "worker-3".into(),
            container: "app".into(),
            ..Subject::default()
        }),
        cause: Cause::OomContainerLimit.into(),
        fatal: true,
        confidence: Confidence::Certain.into(),
        severity: Severity::Error.into(),
        event_time: Some(prost_types::Timestamp { seconds: 1_795_168_000 + i64::from(number), nanos: 0 }),
        summary: "Killed for memory".into(),
        ..Diagnosis::default()
    }
}

fn names(lines: &str) -> Vec<String> {
    let name = |line| serde_json::from_str::<Value>(line).unwrap()["subject"]["name"].as_str().unwrap().to_owned();
    lines.lines().map(name).collect()
}

#[tokio::test]
async fn a_list_is_filtered_and_has_the_newest_first() {
    let mut aggregator = Aggregator::start().await;
    let elsewhere = Subject { namespace: "other".into(), ..diagnosis(4, 1).subject.unwrap() };
    let segfault = Diagnosis { cause: Cause::CrashSegfault.into(), fatal: false, ..diagnosis(2, 1) };
    let other = Diagnosis { subject: Some(elsewhere), severity: Severity::Info.into(), ..diagnosis(4, 1) };
    aggregator.push([diagnosis(1, 1), segfault, diagnosis(3, 1), diagnosis(3, 2), other]).await;
    for (args, wanted) in [
        (&["list", "-o", "json"][..], &["web-4", "web-3", "web-2", "web-1"][..]),
        (&["list", "-o", "json", "-n", "shop"], &["web-3", "web-2", "web-1"]),
        (&["list", "-o", "json", "--cause", "crash-segfault,OOM_NODE"], &["web-2"]),
        (&["list", "-o", "json", "--severity", "error", "--fatal"], &["web-3", "web-1"]),
        (&["list", "-o", "json", "--since", "2026-11-20T09:46:43Z", "--node", "worker-3"], &["web-4", "web-3"]),
    ] {
        assert_eq!(names(&Aggregator::answer(aggregator.run(args).await, 0)), wanted, "{args:?}");
    }
    let cut = aggregator.run(&["list", "-o", "json", "--limit", "2"]).await;
    assert!(String::from_utf8_lossy(&cut.stderr).contains("Only the newest 2 are shown"), "{cut:?}");
    assert_eq!(names(&Aggregator::answer(cut, 0)), ["web-4", "web-3"]);
    let until =
        ["list", "-A", "-o", "json", "--since", "2026-11-20 09:46:41", "--until", "2026-11-20T09:46:43Z", "--utc"];
    assert_eq!(names(&Aggregator::answer(aggregator.run(&until).await, 0)), ["web-2", "web-1"]);
    assert_eq!(Aggregator::answer(aggregator.run(&["list", "-n", "shop", "--until", "2026-11-20"]).await, 3), "");
    let uids = Aggregator::answer(aggregator.run(&["list", "-o", "name", "--cause", "CrashSegfault"]).await, 0);
    assert_eq!(uids, "00000000-0000-5000-8000-000000000002\n");
    let table = Aggregator::answer(aggregator.run(&["list", "--no-headers"]).await, 0);
    assert_eq!(table.lines().count(), 4, "{table}");
    assert_eq!(Aggregator::answer(aggregator.run(&["list", "-n", "nowhere"]).await, 3), "");
}

/// A crash loop over two pods of one Deployment: five deaths.
fn crash_loop() -> Vec<Diagnosis> {
    let died = |number, pod: &str, count| Diagnosis {
        subject: Some(Subject { name: pod.into(), ..diagnosis(1, 1).subject.unwrap() }),
        workloads: vec![Workload { kind: "Deployment".into(), name: "web".into() }],
        occurrence_count: count,
        ..diagnosis(number, 1)
    };
    vec![died(1, "web-a", 1), died(2, "web-a", 2), died(3, "web-b", 1), died(4, "web-b", 2), died(5, "web-b", 3)]
}

#[tokio::test]
async fn a_crash_loop_is_one_row_and_one_block() {
    let mut aggregator = Aggregator::start().await;
    aggregator.push(crash_loop()).await;
    let table = Aggregator::answer(aggregator.run(&["list", "--no-headers"]).await, 0);
    let row: Vec<&str> = table.split_whitespace().collect();
    assert_eq!(row[2..7], ["5", "shop", "deployment/web", "app", "OOM_CONTAINER_LIMIT"], "{table}");
    assert_eq!(table.lines().count(), 1, "{table}");
    let each = Aggregator::answer(aggregator.run(&["list", "--no-headers", "--each"]).await, 0);
    assert_eq!(each.lines().count(), 5, "{each}");
    let page = Aggregator::answer(aggregator.run(&["why", "deploy/web", "--utc"]).await, 0);
    assert!(page.contains("5 times in 2 pods since 2026-11-20T09:46:41.000Z"), "{page}");
    assert!(!page.contains("Also diagnosed"), "{page}");
    let page = Aggregator::answer(aggregator.run(&["why", "web-b", "--utc"]).await, 0);
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains("3 times in this container since 2026-11-20T09:46:43.000Z"), "{page}");
}

#[tokio::test]
async fn times_are_in_the_zone_of_the_reader() {
    let mut aggregator = Aggregator::start().await;
    aggregator.push([diagnosis(1, 1)]).await;
    for (zone, args, wanted) in [
        ("CST-8", &["why", "web-1"][..], "2026-11-20T17:46:41.000+08:00"),
        ("CST-8", &["why", "web-1", "--utc"], "2026-11-20T09:46:41.000Z"),
        ("UTC", &["why", "web-1"], "2026-11-20T09:46:41.000Z"),
    ] {
        let output = coroner(&aggregator.url(), args).env("TZ", zone).kill_on_drop(true).output();
        let page = Aggregator::answer(timeout(PATIENCE, output).await.unwrap().unwrap(), 0);
        assert!(page.contains(wanted), "{zone} {args:?}: {page}");
    }
    let since = coroner(&aggregator.url(), &["list", "-o", "name", "--since", "2026-11-20T17:46"])
        .env("TZ", "CST-8")
        .output()
        .await;
    assert_eq!(Aggregator::answer(since.unwrap(), 0).lines().count(), 1);
}

#[tokio::test]
async fn why_on_an_unknown_name_shows_how_far_back_the_records_reach_and_similar_names() {
    let mut aggregator = Aggregator::start().await;
    let note = |output: Output| {
        let note = String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(Aggregator::answer(output, 3), "", "{note}");
        note
    };
    let empty = note(aggregator.run(&["why", "web"]).await);
    assert!(empty.starts_with("No diagnosis of web is recorded. Nothing is recorded yet"), "{empty}");
    aggregator.push(crash_loop()).await;
    let unknown = note(aggregator.run(&["why", "test/web-c"]).await);
    assert!(unknown.starts_with("No diagnosis of test/web-c is recorded. The records go back to 20"), "{unknown}");
    assert!(
        unknown.contains("Recorded under similar names: shop/deployment/web, shop/web-a and shop/web-b."),
        "{unknown}"
    );
    let node = note(aggregator.run(&["why", "node/worker-3"]).await);
    assert!(node.starts_with("No diagnosis of node worker-3 itself is recorded."), "{node}");
    assert!(node.contains("coroner list --node worker-3"), "{node}");
    let chinese = note(aggregator.run(&["why", "test/web-c", "--lang", "zh"]).await);
    assert!(chinese.starts_with("没有关于 test/web-c 的诊断记录。"), "{chinese}");
}

#[tokio::test]
async fn why_answers_for_whatever_kubectl_can_name() {
    let mut aggregator = Aggregator::start().await;
    let workload = |kind: &str, name: &str| Workload { kind: kind.into(), name: name.into() };
    let replaced = Diagnosis {
        workloads: vec![workload("ReplicaSet", "web-5d9c"), workload("Deployment", "web")],
        ..diagnosis(1, 1)
    };
    let of_set = Diagnosis { workloads: vec![workload("StatefulSet", "web")], ..diagnosis(2, 1) };
    let of_node = Diagnosis {
        subject: Some(Subject {
            kind: SubjectKind::Node.into(),
            name: "worker-3".into(),
            node: "worker-3".into(),
            ..Subject::default()
        }),
        cause: Cause::NodeMemoryPressure.into(),
        fatal: false,
        ..diagnosis(3, 1)
    };
    aggregator.push([replaced, of_set, of_node]).await;
    for (subject, wanted) in [
        ("deploy/web", &["web-1"][..]),
        ("rs/web-5d9c", &["web-1"]),
        ("shop/sts/web", &["web-2"]),
        ("pod/web-2", &["web-2"]),
        // The node itself, and not the death of a pod on it.
        ("node/worker-3", &["worker-3"]),
        ("00000000-0000-5000-8000-000000000002", &["web-2"]),
    ] {
        assert_eq!(names(&Aggregator::answer(aggregator.run(&["why", subject, "-o", "json"]).await, 0)), wanted);
    }
    for subject in ["deploy/web-5d9c", "pod/web", "ing/web", "other/sts/web"] {
        assert_eq!(Aggregator::answer(aggregator.run(&["why", subject]).await, 3), "", "{subject}");
    }
}

#[tokio::test]
async fn a_reader_of_chinese_is_answered_in_chinese() {
    let mut aggregator = Aggregator::start().await;
    aggregator.push([diagnosis(1, 1)]).await;
    let mut by_locale = coroner(&aggregator.url(), &["why", "web-1"]);
    let by_locale = by_locale.env_remove("LC_ALL").env_remove("LC_MESSAGES").env("LANG", "zh_CN.UTF-8");
    let by_locale = timeout(PATIENCE, by_locale.kill_on_drop(true).output()).await.unwrap().unwrap();
    for output in [by_locale, aggregator.run(&["why", "web-1", "--lang", "zh"]).await] {
        let page = Aggregator::answer(output, 0);
        assert!(page.contains("容器达到内存限制") && page.contains("  处理建议   "), "{page}");
    }
}

#[tokio::test]
async fn why_explains_the_last_death_of_a_pod() {
    let mut aggregator = Aggregator::start().await;
    let in_namespace = |namespace: &str, number| Diagnosis {
        subject: Some(Subject { namespace: namespace.into(), name: "web".into(), ..diagnosis(1, 1).subject.unwrap() }),
        ..diagnosis(number, 1)
    };
    let undetermined = Diagnosis { cause: Cause::Unattributed.into(), ..in_namespace("other", 3) };
    aggregator.push([in_namespace("shop", 1), in_namespace("shop", 2), undetermined]).await;

    let page = Aggregator::answer(aggregator.run(&["why", "shop/web"]).await, 0);
    assert!(page.starts_with("shop/web  container app  Killed for memory  certain\n"), "{page}");
    assert!(page.contains("-000000000002, revision 1\n") && page.contains("2 times in this container since"), "{page}");
    let lines = Aggregator::answer(aggregator.run(&["why", "web", "-n", "shop", "-c", "app", "-o", "json"]).await, 0);
    assert_eq!(names(&lines), ["web", "web"]);

    let ambiguous = aggregator.run(&["why", "web"]).await;
    let error = String::from_utf8_lossy(&ambiguous.stderr).into_owned();
    assert_eq!(Aggregator::answer(ambiguous, 2), "");
    assert_eq!(error, "coroner: web is in several namespaces: other and shop; name one with -n\n");

    let page = Aggregator::answer(aggregator.run(&["why", "other/web"]).await, 4);
    assert!(page.contains("undetermined"), "{page}");
    assert_eq!(Aggregator::answer(aggregator.run(&["why", "shop/web", "-c", "sidecar"]).await, 3), "");
    assert_eq!(Aggregator::answer(aggregator.run(&["why", "stranger"]).await, 3), "");
}

#[tokio::test]
async fn get_shows_a_diagnosis_and_its_earlier_revisions() {
    let mut aggregator = Aggregator::start().await;
    aggregator.push([diagnosis(1, 1), diagnosis(1, 2), diagnosis(2, 1)]).await;
    let uid = diagnosis(1, 1).uid;
    let revisions = |lines: String| -> Vec<u64> {
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["revision"].as_u64().unwrap()).collect()
    };
    let last = aggregator.run(&["get", &uid, "-o", "json"]).await;
    assert_eq!(revisions(Aggregator::answer(last, 0)), [2]);
    let all = aggregator.run(&["get", &uid, "-o", "json", "--revisions"]).await;
    assert_eq!(revisions(Aggregator::answer(all, 0)), [2, 1]);
    let page = Aggregator::answer(aggregator.run(&["get", &uid]).await, 0);
    assert!(page.contains("revision 2"), "{page}");
    let several = aggregator.run(&["get", "00000000-0000"]).await;
    assert!(String::from_utf8_lossy(&several.stderr).contains("give more of it"), "{several:?}");
    assert_eq!(Aggregator::answer(several, 2), "");
    let beginning = aggregator.run(&["get", &uid[..35], "-o", "name"]).await;
    assert_eq!(beginning.status.code(), Some(2), "{beginning:?}");
    aggregator.push([Diagnosis { uid: "5b0c3a5e-0000-5000-8000-000000000001".into(), ..diagnosis(5, 1) }]).await;
    for command in ["get", "why"] {
        let found = aggregator.run(&[command, "5b0c3a5e-00", "-o", "name"]).await;
        assert_eq!(Aggregator::answer(found, 0), "5b0c3a5e-0000-5000-8000-000000000001\n");
    }
    assert_eq!(aggregator.run(&["get", "5b0c3a5"]).await.status.code(), Some(2));
    assert_eq!(aggregator.run(&["get", "deadbeef"]).await.status.code(), Some(3));
    let unknown = diagnosis(9, 1).uid;
    assert_eq!(Aggregator::answer(aggregator.run(&["get", &unknown]).await, 3), "");
}

#[tokio::test]
async fn status_shows_what_sources_see() {
    let mut aggregator = Aggregator::start().await;
    let output = aggregator.run(&["status"]).await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("No agent has reported yet."), "{output:?}");
    assert_eq!(Aggregator::answer(output, 0), "");
    aggregator.push([diagnosis(1, 1)]).await;
    let table = Aggregator::answer(aggregator.run(&["status"]).await, 0);
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((row[0], row[2], row[3]), ("worker-3", "kernel_log", "degraded"), "{table}");
    assert!(table.contains("the buffer is small"), "{table}");
}

/// A `coroner watch` whose lines the test reads.
struct Watch {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(url: &str, args: &[&str]) -> Self {
        let mut command = coroner(url, &["watch", "-o", "json"]);
        command.args(args.iter().map(OsString::from)).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { _process: process, lines }
    }

    async fn next(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("nothing arrives").unwrap().unwrap();
        names(&line).remove(0)
    }
}

#[tokio::test]
async fn a_watch_whose_stream_breaks_misses_nothing_and_repeats_nothing() {
    let mut aggregator = Aggregator::start().await;
    let line = Line::to(&aggregator).await;
    aggregator.push((1..=3).map(|number| diagnosis(number, 1))).await;
    let mut watch = Watch::start(&line.url, &["--from-oldest"]);
    for round in 0..3 {
        let first = round * 3 + 1;
        for number in first..first + 3 {
            assert_eq!(watch.next().await, format!("web-{number}"));
        }
        line.cut.send(()).unwrap();
        aggregator.push((first + 3..first + 6).map(|number| diagnosis(number, 1))).await;
    }
}

#[tokio::test]
async fn a_watch_from_the_oldest_can_stop_where_the_records_end() {
    let mut aggregator = Aggregator::start().await;
    aggregator.push([diagnosis(1, 1), diagnosis(2, 1), diagnosis(2, 2)]).await;
    let lines = Aggregator::answer(aggregator.run(&["watch", "--stop-at-end", "-o", "json"]).await, 0);
    assert_eq!(names(&lines), ["web-1", "web-2", "web-2"]);
    let table = Aggregator::answer(aggregator.run(&["watch", "--stop-at-end", "--severity", "error"]).await, 0);
    assert_eq!(table.lines().filter(|line| line.starts_with("TIME")).count(), 1, "{table}");
    assert_eq!(table.lines().count(), 4, "{table}");
}
