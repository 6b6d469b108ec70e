//! What Splunk's HTTP Event Collector is sent: its path, its token, and objects one behind the other.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use coroner_tests::http::{Server, answer};
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use serde_json::Value;

use crate::aggregator::{Aggregator, diagnoses};

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_with_the_token_and_the_index() -> Result<()> {
    let events: Arc<Mutex<Vec<Value>>> = Arc::default();
    let received = Arc::clone(&events);
    // Answers as a collector does: 403 without its token, else 200.
    let server = Server::start(None, move |request| {
        let received = Arc::clone(&received);
        async move {
            let is_known = request.headers().get("authorization").is_some_and(|value| value == "Splunk a-token");
            if !is_known || request.uri().path() != "/services/collector/event" {
                return answer(StatusCode::FORBIDDEN, "{\"text\":\"Invalid token\",\"code\":4}".to_owned());
            }
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let objects = serde_json::Deserializer::from_slice(&body).into_iter::<Value>().filter_map(Result::ok);
            received.lock().unwrap_or_else(PoisonError::into_inner).extend(objects);
            answer(StatusCode::OK, "{\"text\":\"Success\",\"code\":0}".to_owned())
        }
    })
    .await?;
    let directory = tempfile::tempdir()?;
    let headers = directory.path().join("headers");
    std::fs::write(&headers, "Authorization: Splunk a-token\n")?;
    let export = format!("splunk+http://{}?name=hec&index=ops&header-file={}", server.address, headers.display());
    let mut aggregator = Aggregator::start(&[export]).await?;
    aggregator.push(diagnoses(1..=3)).await?;
    let status = aggregator.exporter("hec", 0).await?;
    ensure!(status.sent_count == 3, "{status:?}\n{}", aggregator.log()?);
    let events = events.lock().unwrap_or_else(PoisonError::into_inner);
    let summaries: Vec<_> = events.iter().map(|event| event["event"]["diagnosis"]["summary"].clone()).collect();
    ensure!(summaries == ["number 1", "number 2", "number 3"], "{summaries:?}");
    ensure!(events.iter().all(|event| event["index"] == "ops" && event["sourcetype"] == "coroner:diagnosis"));
    Ok(())
}
