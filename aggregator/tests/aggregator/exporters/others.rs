//! Syslog, webhooks and NATS, against receivers that others wrote.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{
    QUICK,
    daemon::{NatsServer, Rsyslog},
    support::{Exporting, numbers, until},
};
use crate::support::uid;

fn ids(numbers: std::ops::RangeInclusive<u64>) -> Vec<String> {
    numbers.map(|n| format!("{}:1", uid(n))).collect()
}

/// The ids in lines of syslog.
fn ids_in(lines: &[String]) -> Vec<String> {
    let id = |line: &String| Some(line.split_once("id=\"")?.1.split_once('"')?.0.to_owned());
    lines.iter().map(|line| id(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

#[tokio::test]
async fn rsyslog_receives_everything_in_order_though_it_was_killed() {
    let place = tempfile::tempdir().unwrap();
    let rsyslog = Rsyslog::start(place.path(), None, 0).await;
    let target = format!("syslog+tcp://127.0.0.1:{}?facility=local3", rsyslog.port);
    let exporting = Exporting::start_behind(&[&target], QUICK, 1..=1200).await;
    until(|| rsyslog.lines().len() >= 1200).await;
    let port = rsyslog.kill();
    exporting.append(1201..=1300).await;
    let rsyslog = Rsyslog::start(place.path(), None, port).await;
    until(|| rsyslog.lines().len() >= 1300).await;
    assert_eq!(ids_in(&rsyslog.lines()), ids(1..=1300));
    let line = &rsyslog.lines()[6];
    assert!(line.starts_with("<155>1 ") && line.ends_with("] \u{feff}number 7"), "{line}");
}

#[tokio::test]
async fn rsyslog_receives_everything_over_tls_and_no_other_server_does() {
    let place = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let rsyslog = Rsyslog::start(place.path(), Some((&certificate, &key)), 0).await;
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(place.path().join("other.crt"), other.cert.pem()).unwrap();
    let target = |ca: &str| {
        format!("syslog+tls://localhost:{}?ca={}/{ca}&format=ecs&name={ca}", rsyslog.port, place.path().display())
    };
    let exporting = Exporting::start_behind(&[&target("other.crt"), &target("tls.crt")], QUICK, 1..=600).await;
    until(|| rsyslog.lines().len() >= 600).await;
    exporting.stop().await;
    assert_eq!(ids_in(&rsyslog.lines()), ids(1..=600));
    let object: Value = serde_json::from_str(rsyslog.lines()[8].split_once("] ").unwrap().1).unwrap();
    assert_eq!(object["message"], "number 9");
}

#[tokio::test]
async fn a_syslog_receiver_that_goes_before_it_has_read_all_gets_it_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("syslog+tcp://{}", listener.local_addr().unwrap());
    let exporting = Exporting::start_behind(&[&target], QUICK, 1..=50).await;
    // It reads a little, and is gone with the rest unread: the kernel then cuts the connection.
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.read_exact(&mut [0; 64]).await.unwrap();
    drop(stream);
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    let mut rest = text.as_slice();
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let blank = rest.iter().position(|byte| *byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&rest[..blank]).unwrap().parse().unwrap();
        frames.push(String::from_utf8(rest[blank + 1..][..length].to_vec()).unwrap());
        rest = &rest[blank + 1 + length..];
    }
    assert_eq!(ids_in(&frames), ids(1..=50));
    stream.shutdown().await.unwrap();
    drop(stream);
    exporting.append(51..=51).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("number 51") && !text.contains("number 50"), "{text}");
}

/// What a webhook answers, and what it has taken.
#[derive(Default)]
struct Web {
    answers: VecDeque<u16>,
    most: usize,
    secrets: Vec<String>,
    taken: Vec<String>,
}

async fn web(web: Arc<Mutex<Web>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let web = Arc::clone(&web);
            let service = service_fn(move |request: Request<Incoming>| {
                let web = Arc::clone(&web);
                async move {
                    let secret = request.headers().get("x-secret").map(|value| value.to_str().unwrap().to_owned());
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let records: Vec<Value> = serde_json::from_slice(&body).unwrap();
                    let mut web = web.lock().unwrap();
                    web.secrets.extend(secret);
                    let status = match web.answers.pop_front() {
                        Some(status) => status,
                        None if records.len() > web.most => 413,
                        None => {
                            let summaries = records.iter().map(|r| r["diagnosis"]["summary"].as_str().unwrap().into());
                            web.taken.extend(summaries);
                            204
                        }
                    };
                    let mut answer = Response::new(Full::<Bytes>::default());
                    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
                    Ok::<_, Infallible>(answer)
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    format!("http://{address}/in")
}

#[tokio::test]
async fn a_webhook_gets_everything_in_order_whatever_it_answers_before() {
    let script = Arc::new(Mutex::new(Web { answers: [500, 401, 503, 429, 302].into(), most: 7, ..Web::default() }));
    let url = web(Arc::clone(&script)).await;
    let place = tempfile::tempdir().unwrap();
    let headers = place.path().join("headers");
    std::fs::write(&headers, "# for the SIEM\nX-Secret: hunter2\n").unwrap();
    let target = format!("{url}?header-file={}", headers.display());
    let _exporting = Exporting::start_behind(&[&target], QUICK, 1..=40).await;
    until(|| script.lock().unwrap().taken.len() >= 40).await;
    let web = script.lock().unwrap();
    assert_eq!(web.taken, numbers(1..=40));
    assert!(web.secrets.len() >= 11 && web.secrets.iter().all(|secret| secret == "hunter2"));
}

/// Asks JetStream's own interface.
async fn jetstream(client: &async_nats::Client, subject: &str, request: Value) -> Value {
    let answer = client.request(format!("$JS.API.{subject}"), request.to_string().into()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

async fn stored(client: &async_nats::Client) -> u64 {
    jetstream(client, "STREAM.INFO.DEATHS", json!({})).await["state"]["messages"].as_u64().unwrap()
}

#[tokio::test]
async fn a_stream_of_jetstream_holds_each_record_once_and_in_order() {
    let place = tempfile::tempdir().unwrap();
    let server = NatsServer::start(place.path(), 0).await;
    let target = format!("nats://127.0.0.1:{}?subject=deaths.all&stream=DEATHS", server.port);
    // Before there is a stream, records are held.
    let exporting = Exporting::start_behind(&[&target], QUICK, 1..=200).await;
    let connect = async |port: u16| async_nats::connect(format!("127.0.0.1:{port}")).await.unwrap();
    let client = connect(server.port).await;
    let stream = json!({"name": "DEATHS", "subjects": ["deaths.>"], "storage": "file", "allow_direct": true});
    let made = jetstream(&client, "STREAM.CREATE.DEATHS", stream).await;
    assert!(made.get("error").is_none(), "{made}");
    while stored(&client).await < 200 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let port = server.kill();
    exporting.append(201..=300).await;
    let server = NatsServer::start(place.path(), port).await;
    let client = connect(server.port).await;
    while stored(&client).await < 300 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    // Without its cursor the exporter sends all of it again, and the stream knows it.
    let directory = exporting.directory().join("ledger.db.export");
    let exporting = exporting.restart_after(|| std::fs::remove_dir_all(directory).unwrap()).await;
    exporting.append(301..=301).await;
    while stored(&client).await < 301 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for n in 1..=301 {
        let request = json!({"seq": n}).to_string();
        let message = client.request("$JS.API.DIRECT.GET.DEATHS", request.into()).await.unwrap();
        let object: Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(object["id"], format!("{}:1", uid(n)));
    }
}
