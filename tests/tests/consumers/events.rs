//! Events of the Kubernetes API, made by the real aggregator.

use anyhow::{Context, Result, ensure};
use coroner_tests::api_server::ApiServer;
use coroner_tests::until;

use crate::aggregator::{Aggregator, diagnosis, uid};

#[tokio::test(flavor = "multi_thread")]
async fn a_death_is_an_event_of_its_pod_and_its_repetition_a_series() -> Result<()> {
    let api = ApiServer::start().await?;
    let directory = tempfile::tempdir()?;
    let kubeconfig = directory.path().join("kubeconfig");
    api.write_kubeconfig(&kubeconfig)?;
    let flags = ["--kubeconfig", &kubeconfig.display().to_string(), "--export", "events:"].map(str::to_owned);
    let mut aggregator = Aggregator::start_in(directory, flags.into()).await?;
    let now = std::time::SystemTime::now();
    let mut death = diagnosis(1);
    death.event_time = Some(now.into());
    let old = diagnosis(2);
    aggregator.push([death.clone(), old]).await?;
    let event = |n| api.object("events", "shop", &format!("coroner.{}", uid(n)));
    let made = until("the event is made", async || Ok(event(1)))
        .await
        .with_context(|| aggregator.log().unwrap_or_default())?;
    ensure!(made["regarding"]["name"] == "web-1" && made["regarding"]["kind"] == "Pod", "{made}");
    ensure!(made["reason"] == "OomPodLimit" && made["type"] == "Warning" && made["action"] == "Diagnosed", "{made}");
    ensure!(made["note"].as_str().is_some_and(|note| note.starts_with("number 1")), "{made}");

    (death.revision, death.occurrence_count) = (2, 5);
    aggregator.push([death]).await?;
    let count = until("the series counts", async || Ok(event(1).filter(|event| event["series"]["count"] == 5)));
    count.await.with_context(|| aggregator.log().unwrap_or_default())?;
    ensure!(event(2).is_none(), "the API server would remove an event of months ago at once");
    Ok(())
}
