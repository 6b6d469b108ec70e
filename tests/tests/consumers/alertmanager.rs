//! Debian's Alertmanager groups what the real aggregator sends: many deaths of one cause are few messages.

use std::fs::{self, File};
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use coroner_tests::http::{Server, answer};
use coroner_tests::machine::target_directory;
use coroner_tests::until;
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use serde_json::Value;

use crate::aggregator::{Aggregator, diagnosis, free_port};
use crate::python::Process;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_deaths_of_one_cause_are_at_most_three_messages() -> Result<()> {
    let messages: Arc<Mutex<Vec<Value>>> = Arc::default();
    let received = Arc::clone(&messages);
    let server = Server::start(None, move |request| {
        let received = Arc::clone(&received);
        async move {
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let message = serde_json::from_slice(&body).unwrap_or_default();
            received.lock().unwrap_or_else(PoisonError::into_inner).push(message);
            answer(StatusCode::OK, String::new())
        }
    })
    .await?;

    let directory = tempfile::tempdir()?;
    let port = free_port()?;
    // As Alertmanager's own example groups, but for the times.
    let configuration = format!(
        "route: {{receiver: people, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}}
receivers: [{{name: people, webhook_configs: [{{url: 'http://{}/', send_resolved: false}}]}}]
",
        server.address
    );
    let path = directory.path().join("alertmanager.yaml");
    fs::write(&path, configuration)?;
    let program = target_directory()?.join("tools/prometheus/usr/bin/prometheus-alertmanager");
    ensure!(program.exists(), "{program:?} is not there; `scripts/tools prometheus` puts it there");
    let log = directory.path().join("log");
    // Debian's wants its templates below /usr/share. In a mount namespace of its own they are there, and nothing is
    // installed.
    let share = target_directory()?.join("tools/prometheus/usr/share");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", "mount --bind \"$0\" /usr/share && exec \"$@\""]);
    command.arg(share).arg(program);
    command.arg(format!("--config.file={}", path.display()));
    command.arg(format!("--storage.path={}", directory.path().join("data").display()));
    command.args([&format!("--web.listen-address=127.0.0.1:{port}"), "--cluster.listen-address="]);
    let mut alertmanager = Process::start(command.stderr(File::create(&log)?))?;
    until("Alertmanager listens", async || {
        alertmanager.check().with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(()))
    })
    .await?;

    let mut aggregator =
        Aggregator::start(&[format!("alertmanager+http://127.0.0.1:{port}?name=alerts&hold=1h")]).await?;
    let now = std::time::SystemTime::now();
    let recent = |n| {
        let mut diagnosis = diagnosis(n);
        diagnosis.event_time = Some(now.into());
        // In ten namespaces.
        let namespace = format!("team-{}", n % 10);
        diagnosis.pod.iter_mut().for_each(|pod| pod.namespace.clone_from(&namespace));
        diagnosis.subject.iter_mut().for_each(|subject| subject.namespace.clone_from(&namespace));
        diagnosis
    };
    aggregator.push((1..=1000).map(recent)).await?;
    let status = until("all of them are sent", async || {
        let status = aggregator.exporter("alerts", 0).await?;
        Ok((status.sent_count >= 1000).then_some(status))
    });
    let status = status.await.with_context(|| aggregator.log().unwrap_or_default())?;
    ensure!(status.dead_letter_count == 0, "{status:?}\n{}", aggregator.log()?);
    until("one message has all ten namespaces", async || {
        let messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(messages.iter().any(|message| message["alerts"].as_array().is_some_and(|a| a.len() == 10)).then_some(()))
    })
    .await?;
    let messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(messages.len() <= 3, "{} messages", messages.len());
    let alert = &messages.last().context("a message")?["alerts"][0];
    ensure!(alert["labels"]["alertname"] == "OomPodLimit" && alert["labels"]["severity"] == "error", "{alert}");
    ensure!(alert["annotations"]["summary"].as_str().is_some_and(|summary| summary.starts_with("number ")), "{alert}");
    Ok(())
}
