//! A Docker that sends too much, too little, or goes away in the middle.

use std::{path::PathBuf, time::Duration};

use coroner_diagnosis::{
    messages::health,
    observation::{Fact, Health, Source, cri::ContainerId},
};
use coroner_runtime::error::chain;
use futures::StreamExt;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use super::{super::testing::Running, client::Client};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Something that listens where Docker would.
struct Socket {
    _directory: TempDir,
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker.sock");
        let listener = UnixListener::bind(&path).unwrap();
        Self { _directory: directory, path, listener }
    }

    fn endpoint(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Takes a question, and gives it with the way back.
    async fn asked(&self) -> (String, UnixStream) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut question = Vec::new();
        while !question.ends_with(b"\r\n\r\n") {
            question.push(stream.read_u8().await.unwrap());
        }
        (String::from_utf8(question).unwrap(), stream)
    }
}

/// Answers with 64 KiB of this byte, repeatedly, until the connection is closed.
async fn pour(stream: &mut UnixStream, byte: u8) {
    let piece = [b"10000\r\n".as_slice(), &vec![byte; 1 << 16], b"\r\n"].concat();
    let mut went = stream.write_all(HEAD).await;
    while went.is_ok() {
        went = stream.write_all(&piece).await;
    }
}

fn id() -> ContainerId {
    ContainerId("4b6c".to_owned())
}

#[tokio::test]
async fn an_answer_without_end_breaks_off() {
    let socket = Socket::new();
    let client = Client::for_questions(&socket.endpoint()).unwrap();
    let id = id();
    for byte in *b" [x" {
        let pouring = async {
            let (_, mut stream) = socket.asked().await;
            pour(&mut stream, byte).await;
        };
        let (_, answer) = tokio::join!(pouring, client.inspect(&id));
        assert!(answer.unwrap_err().to_string().contains("too large"));
    }
}

#[tokio::test]
async fn an_event_without_end_breaks_off_and_many_small_ones_do_not() {
    let socket = Socket::new();
    let client = Client::for_events(&socket.endpoint()).unwrap();
    let answering = async {
        let (question, mut stream) = socket.asked().await;
        assert!(question.starts_with("GET /events?") && question.contains("io.kubernetes.docker.type"), "{question}");
        stream.write_all(HEAD).await.unwrap();
        let event = [br#"{"Action":"start","from":""#.as_slice(), &vec![b'x'; 1 << 14], b"\"}\n"].concat();
        let chunk = [format!("{:x}\r\n", event.len()).as_bytes(), &event, b"\r\n"].concat();
        for _ in 0..200 {
            stream.write_all(&chunk).await.unwrap();
        }
        let piece = [b"10000\r\n".as_slice(), &vec![b' '; 1 << 16], b"\r\n"].concat();
        while stream.write_all(&piece).await.is_ok() {}
    };
    let listening = async {
        let mut events = std::pin::pin!(client.events(Timestamp::now()));
        let mut count = 0;
        loop {
            match events.next().await.expect("an error comes before the end") {
                Ok(_event) => count += 1,
                Err(error) => return (count, chain(&error)),
            }
        }
    };
    let (_, (count, error)) = tokio::join!(answering, listening);
    assert_eq!(count, 200);
    assert!(error.contains("error reading a body"), "{error}");
}

#[tokio::test]
async fn a_peer_that_sends_nothing_or_stops_midway_is_not_waited_for() {
    let stalls = async |output: &[u8]| {
        let socket = Socket::new();
        let client = Client::for_questions(&socket.endpoint()).unwrap();
        let stalling = async {
            let (_, mut stream) = socket.asked().await;
            stream.write_all(output).await.unwrap();
            stream
        };
        let id = id();
        let (_stream, answer) = tokio::join!(stalling, tokio::time::timeout(PATIENCE, client.inspect(&id)));
        answer.expect("there is a deadline").unwrap_err();
    };
    tokio::join!(stalls(b""), stalls(HEAD));
}

#[tokio::test]
async fn no_connection_outlives_its_reader() {
    let socket = Socket::new();
    let client = Client::for_events(&socket.endpoint()).unwrap();
    let mut events = Box::pin(client.events(Timestamp::now()));
    let answering = async {
        let (_, mut stream) = socket.asked().await;
        stream.write_all(HEAD).await.unwrap();
        stream.write_all(b"18\r\n{\"Action\":\"start\"}     \n\r\n").await.unwrap();
        stream
    };
    let (mut stream, event) = tokio::join!(answering, events.next());
    event.unwrap().unwrap();
    drop(events);
    let ended = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("it is closed");
    ended.unwrap_err();
}

#[tokio::test]
async fn bytes_that_are_no_answer_make_the_source_absent_with_the_reason() {
    let socket = Socket::new();
    let endpoint = socket.endpoint();
    let mut running = Running::new();
    let garbage = tokio::spawn(async move {
        loop {
            let (_, mut stream) = socket.asked().await;
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[{\"Id\":7}").await;
        }
    });
    let health = running.start(Source::Docker, |site| super::spawn(site, super::Socket::At(endpoint))).await;
    assert!(matches!(&health, Health::Absent(reason) if reason.text().contains("JSON")), "{health:?}");
    garbage.abort();
    running.stop().await;
}

#[tokio::test]
async fn a_node_without_docker_is_reported_as_such() {
    let mut running = Running::new();
    let health = running.start(Source::Docker, |site| super::spawn(site, super::Socket::FirstOf(Vec::new()))).await;
    assert_eq!(health, Health::Absent(health::health_no_socket("Docker").into()));
    assert!(running.seen.iter().all(|seen| matches!(seen.fact, Fact::Health(..))));
    running.stop().await;
}
