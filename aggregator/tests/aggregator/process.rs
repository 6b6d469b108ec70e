//! The program itself: what survives its death, what it refuses to touch, and how it ends.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use coroner_aggregator::feed::Timing;
use coroner_proto::v1::{Diagnosis, GetStatusRequest, outbox_record::Record};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::support::{
    Aggregator, Feed, Ingest, channel, diagnosis, feed, from_oldest, items, push, push_numbers, replay,
};

/// A running program, killed with this.
pub(crate) struct Program {
    child: Child,
    pub(crate) url: String,
    /// Kept open for as long as the program shall be able to write its log.
    log: Option<BufReader<ChildStderr>>,
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

fn command(ledger: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coroner-aggregator"));
    command.args(["--listen", "127.0.0.1:0", "--ledger"]).arg(ledger).stderr(Stdio::piped());
    command
}

impl Program {
    fn start(ledger: &Path) -> Self {
        Self::start_with(ledger, &[])
    }

    pub(crate) fn start_with(ledger: &Path, flags: &[&str]) -> Self {
        let mut child = command(ledger).args(flags).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let url = loop {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended");
            if let Some((_, address)) = line.trim_end().split_once("listening on ") {
                break format!("http://{address}");
            }
        };
        Self { child, url, log: Some(log) }
    }

    pub(crate) fn kill(&mut self) {
        // It may have ended by itself; then this does nothing.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Runs the program where it should refuse to start: its exit code and its output.
pub(crate) fn refusal(ledger: &Path, flags: &[&str]) -> (i32, String) {
    let mut child = command(ledger).args(flags).spawn().unwrap();
    let mut output = String::new();
    child.stderr.take().unwrap().read_to_string(&mut output).unwrap();
    (child.wait().unwrap().code().unwrap(), output)
}

#[tokio::test]
async fn everything_acknowledged_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    let mut acknowledged = 0;
    for round in 1..=4 {
        let mut program = Program::start(&ledger);
        let mut ingest = Ingest::new(channel(&program.url).await);
        let received = ingest.push_diagnoses(push(1, [])).await.unwrap().into_inner().acknowledged_sequence;
        assert!(received >= acknowledged, "round {round}: {acknowledged} was acknowledged, then only {received}");
        let mut feed = feed(&program.url).await;
        let stored = items(&replay(&mut feed, from_oldest()).await);
        assert_eq!(stored, (1..=received).map(|n| format!("number {n}")).collect::<Vec<_>>(), "round {round}");
        acknowledged = received;
        // Killed while pushes are under way, at another point of the work each time.
        let pushing = tokio::spawn(async move {
            loop {
                let records = (acknowledged + 1..=acknowledged + 3).map(|n| Record::Diagnosis(diagnosis(n)));
                match ingest.push_diagnoses(push(acknowledged + 1, records)).await {
                    Ok(answer) => acknowledged = answer.into_inner().acknowledged_sequence,
                    Err(_killed) => return acknowledged,
                }
            }
        });
        let wanted = received + 3 * round;
        crate::support::status_where(&mut feed, |status| status.record_count >= wanted).await;
        program.kill();
        acknowledged = pushing.await.unwrap();
        assert!(acknowledged > received);
    }
}

/// A ledger of 1,000 records that is not open.
pub(crate) async fn made_ledger() -> (TempDir, PathBuf) {
    let aggregator = Aggregator::start().await;
    let mut ingest = aggregator.ingest().await;
    for first in (1..=1000).step_by(500) {
        push_numbers(&mut ingest, first..=first + 499).await;
    }
    // The feed comes to its end once all is indexed.
    replay(&mut aggregator.feed().await, from_oldest()).await;
    aggregator.app.stop().await.unwrap();
    let path = aggregator.directory.path().join("ledger.db");
    (aggregator.directory, path)
}

pub(crate) fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// It reports the reason in one line, exits with 65, and leaves everything as it was.
fn assert_refused_untouched(directory: &Path, ledger: &Path, items: &str) {
    let before = files(directory);
    let (code, output) = refusal(ledger, &[]);
    assert_eq!(code, 65, "{output}");
    assert_eq!(output.lines().count(), 1, "{output}");
    assert!(output.contains(items) && output.contains(ledger.to_str().unwrap()), "{output}");
    assert!(files(directory) == before, "it changed something");
}

#[tokio::test]
async fn ledger_of_another_version_is_refused_untouched() {
    let (directory, ledger) = made_ledger().await;
    fs::OpenOptions::new().write(true).open(&ledger).unwrap().write_all_at(&99_u32.to_be_bytes(), 60).unwrap();
    assert_refused_untouched(directory.path(), &ledger, "version 99");
}

#[test]
fn file_that_is_no_ledger_is_refused_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    fs::write(&ledger, "a file of another kind").unwrap();
    assert_refused_untouched(directory.path(), &ledger, "not a ledger");
    fs::remove_file(&ledger).unwrap();
    rusqlite::Connection::open(&ledger).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert_refused_untouched(directory.path(), &ledger, "not a ledger");
}

/// What a reader gets of a ledger of so many numbered records: which of them, and how many others are reported as lost.
async fn served(program: &Program) -> (Vec<String>, u64) {
    let received = items(&replay(&mut feed(&program.url).await, from_oldest()).await);
    let (gaps, numbers): (Vec<_>, Vec<_>) = received.into_iter().partition(|item| item.starts_with("gap ledger "));
    (numbers, gaps.iter().map(|gap| gap["gap ledger ".len()..].parse::<u64>().unwrap()).sum())
}

#[tokio::test]
async fn what_can_be_read_of_a_damaged_ledger_is_taken_over_and_the_rest_is_reported_as_lost() {
    let (directory, ledger) = made_ledger().await;
    let sound = fs::read(&ledger).unwrap();
    let pages = u64::try_from(sound.len() / 4096).unwrap();
    for (page, most) in [(pages / 2, 30), (pages - 1, 30)] {
        fs::write(&ledger, &sound).unwrap();
        fs::OpenOptions::new().write(true).open(&ledger).unwrap().write_all_at(&[0xa5; 4096], page * 4096).unwrap();
        let mut program = Program::start(&ledger);
        let (numbers, lost) = served(&program).await;
        program.kill();
        assert!(lost <= most && numbers.len() as u64 + lost == 1000, "page {page}: {} and {lost} lost", numbers.len());
        assert!(numbers.is_sorted_by_key(|text| text["number ".len()..].parse::<u64>().unwrap()));
        let aside = |path: &Path| path.to_str().unwrap().contains("ledger.db.damaged-");
        assert!(files(directory.path()).iter().any(|(path, _)| aside(path)), "the damaged one is kept");
        schema_is_sound(&ledger);
    }

    // With a journal that a crash has left.
    fs::write(&ledger, &sound).unwrap();
    let mut program = Program::start(&ledger);
    push_numbers(&mut Ingest::new(channel(&program.url).await), 1001..=1001).await;
    program.kill();
    fs::OpenOptions::new().write(true).open(&ledger).unwrap().write_all_at(&[0xa5; 4096], pages / 2 * 4096).unwrap();
    let mut program = Program::start(&ledger);
    let (numbers, lost) = served(&program).await;
    program.kill();
    assert!(numbers.len() as u64 + lost == 1001 && numbers.contains(&"number 1001".to_owned()), "{lost} lost");
}

fn schema_is_sound(ledger: &Path) {
    let connection = rusqlite::Connection::open(ledger).unwrap();
    let found: String = connection.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
}

#[tokio::test]
async fn second_aggregator_on_the_same_ledger_is_refused() {
    let aggregator = Aggregator::start().await;
    let (code, output) = refusal(&aggregator.directory.path().join("ledger.db"), &[]);
    assert_eq!(code, 69, "{output}");
    assert!(output.contains("in use by another process"), "{output}");
}

#[test]
fn wrong_command_lines_are_refused_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = directory.path().join("ledger.db");
    for flags in
        [["--listen", "0.0.0.0:0"], ["--listen", "nowhere"], ["--tls-cert", "x"], ["--retain-bytes", "1 potato"]]
    {
        assert_eq!(refusal(&ledger, &flags).0, 2, "{flags:?}");
    }
    assert!(refusal(&ledger, &["--listen", "[::]:0"]).1.contains("--tls-cert"));
    assert!(!ledger.exists());
}

#[test]
fn what_keeps_it_from_starting_is_in_the_language_of_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, empty) = (directory.path().join("ledger.db"), directory.path().join("empty"));
    fs::write(&empty, "").unwrap();
    let (path, empty) = (ledger.to_str().unwrap(), empty.to_str().unwrap());
    let run = |variable: &str, args: &[&str]| {
        let program = Command::new(env!("CARGO_BIN_EXE_coroner-aggregator"))
            .env_clear()
            .env(variable, "zh_CN.UTF-8")
            .args(args)
            .output()
            .unwrap();
        (program.status.code(), String::from_utf8([program.stdout, program.stderr].concat()).unwrap())
    };
    for (args, code, wanted) in [
        (&["--help"] as &[&str], 0, "用法：coroner-aggregator"),
        (&["help", "backup"], 0, "用法：coroner-aggregator backup"),
        (&["--wat"], 2, "coroner-aggregator：无法识别的参数 --wat"),
        (&["--listen", "nowhere"], 2, "应为 IP:PORT"),
        (&["--export", "file:///x?start=later"], 2, "start=later 不在可选值之中：oldest、now"),
        (&["--export", "http://elsewhere"], 2, "明文"),
        (&["--jetstream", "nats://127.0.0.1?replicas=9"], 2, "replicas=9 不在 1 到 5 的范围内"),
        (&["--listen", "0.0.0.0:0", "--ledger", path], 2, "其他主机可以访问 0.0.0.0:0"),
        (&["--listen", "192.0.2.1:1", "--insecure", "--ledger", path], 1, "无法在 192.0.2.1:1 上监听"),
        (&["--health-listen", "192.0.2.1:1", "--ledger", path], 1, "无法在 192.0.2.1:1 上提供健康探针"),
        (&["--export", "events:", "--ledger", path], 1, "需要 API 服务器"),
        (&["--export", "otlp+https://h?ca=/nowhere", "--ledger", path], 1, "无法读取 /nowhere"),
        (&["--issue-tls", "coroner", "--ledger", path], 1, "--issue-tls 需要将 CA 保存在集群中"),
        (&["--tls-cert", empty, "--tls-key", empty, "--ledger", path], 1, "没有可用的"),
        (&["--kubeconfig", "/nowhere", "--ledger", path], 1, "无法使用 kubeconfig /nowhere"),
        (&["--ledger", "/nowhere/else", "backup", "--to", "x"], 2, "不能同时使用"),
        (&["backup", "--ledger", "/nowhere/else", "--to", "x"], 1, "无法使用账本 /nowhere/else"),
    ] {
        for variable in ["LANG", "LC_ALL"] {
            let (status, text) = run(variable, args);
            assert!(status == Some(code) && text.contains(wanted), "{args:?}: {status:?} {text}");
        }
    }
}

/// Sends SIGTERM and waits for the end; clients in this process go on meanwhile.
async fn terminate(program: &mut Program) -> Option<i32> {
    let id = program.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    loop {
        if let Some(status) = program.child.try_wait().unwrap() {
            return status.code();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn idle_peers_do_not_keep_it_from_ending() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(&directory.path().join("ledger.db"));
    let idle = std::net::TcpStream::connect(program.url.strip_prefix("http://").unwrap()).unwrap();
    feed(&program.url).await.get_status(GetStatusRequest {}).await.unwrap();
    assert_eq!(terminate(&mut program).await, Some(0));
    drop(idle);
}

#[tokio::test]
async fn term_ends_it_with_0_and_leaves_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(&directory.path().join("ledger.db"));
    push_numbers(&mut Ingest::new(channel(&program.url).await), 1..=1).await;
    replay(&mut feed(&program.url).await, from_oldest()).await;
    assert_eq!(terminate(&mut program).await, Some(0));
    assert_eq!(files(directory.path()).len(), 1);
}

#[tokio::test]
async fn a_log_without_a_reader_fails_no_request() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(&directory.path().join("ledger.db"));
    drop(program.log.take());
    let mut ingest = Ingest::new(channel(&program.url).await);
    for sequence in 1..=3 {
        // It is refused for good, which is logged.
        let nameless = Record::Diagnosis(Diagnosis::default());
        let answer = ingest.push_diagnoses(push(sequence, [nameless])).await.unwrap().into_inner();
        assert_eq!((answer.acknowledged_sequence, answer.rejected.len()), (sequence, 1));
    }
}

#[tokio::test]
async fn health_is_answered_in_plain_text() {
    let aggregator = Aggregator::start_with(&["--health-listen", "127.0.0.1:0"], Timing::default()).await;
    let url = format!("http://{}", aggregator.app.health().unwrap());
    let mut health = HealthClient::new(channel(&url).await);
    for service in ["liveness", "readiness"] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_served_beside_health() {
    let file = tempfile::tempdir().unwrap();
    let export = format!("file://{}?name=siem", file.path().join("lines").display());
    let flags = ["--health-listen", "127.0.0.1:0", "--export", &export];
    let aggregator = Aggregator::start_with(&flags, Timing::default()).await;
    let mut ingest = aggregator.ingest().await;
    push_numbers(&mut ingest, 1..=3).await;
    let address = aggregator.app.health().unwrap().to_string();
    let wanted = [
        "coroner_ledger_records 3\n",
        "coroner_nodes 1\n",
        "coroner_connections 1\n",
        "coroner_exporter_sent_total{exporter=\"siem\"} 3\n",
        "coroner_exporter_lag_records{exporter=\"siem\"} 0\n",
        "coroner_task_up{task=\"exporter/siem\"} 1\n",
    ];
    let mut text = String::new();
    for _ in 0..600 {
        text.clear();
        let mut connection = std::net::TcpStream::connect(&address).unwrap();
        connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        connection.read_to_string(&mut text).unwrap();
        if wanted.iter().all(|line| text.contains(line)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{text}");
}

#[tokio::test]
async fn unix_socket_is_served_and_taken_over_when_stale() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("feed.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let url = format!("unix://{}", socket.display());
    let aggregator = Aggregator::start_with(&["--listen", &url], Timing::default()).await;
    Feed::new(channel(&url).await).get_status(GetStatusRequest {}).await.unwrap();
    aggregator.app.stop().await.unwrap();
    assert!(!socket.exists());
}

#[tokio::test]
async fn clients_without_a_certificate_are_turned_away_where_one_is_asked_for() {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let signed = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.into()]).unwrap();
        params.subject_alt_names.push(SanType::URI(format!("spiffe://coroner/reader/{name}").try_into().unwrap()));
        let certificate = params.signed_by(&key, &issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) = signed("aggregator.test");
    let (certificate, key, ca) = (write("tls.crt", &certificate), write("tls.key", &key), write("ca.crt", &ca_pem));
    let flags = ["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &ca];
    let aggregator = Aggregator::start_with(&flags, Timing::default()).await;

    let url = format!("https://{}", aggregator.app.endpoints()[0]);
    let tls = || ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&ca_pem)).domain_name("aggregator.test");
    let status = async |tls| {
        let channel = Endpoint::new(url.clone()).unwrap().tls_config(tls).unwrap().connect_lazy();
        Feed::new(channel).get_status(GetStatusRequest {}).await
    };
    let (certificate, key) = signed("n1");
    assert!(status(tls().identity(Identity::from_pem(certificate, key))).await.is_ok());
    assert!(status(tls()).await.is_err());
}
