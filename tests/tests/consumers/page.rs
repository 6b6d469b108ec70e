//! The page for people, in Debian's Chromium and by what stands before it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use coroner_proto::json;
use coroner_proto::v1::node_report_service_client::NodeReportServiceClient;
use coroner_proto::v1::outbox_record::Record;
use coroner_proto::v1::{
    Confidence, Diagnosis, Gap, GapReason, NodeReport, OutboxRecord, PushDiagnosesRequest, ReportNodeRequest,
    SourceHealth, SourceStatus, Workload,
};
use coroner_tests::api_server::ApiServer;
use coroner_tests::case::Case;
use coroner_tests::secured::{Secured, write};

use crate::aggregator::{Aggregator, diagnosis};
use crate::python::{REPOSITORY, run};

/// The user whose tokens are the agents'.
const AGENT: &str = "system:serviceaccount:coroner:coroner-agent";

/// What follows this text in a log, up to the next blank.
fn after(log: &str, text: &str) -> Result<String> {
    let rest = log.split(text).nth(1).with_context(|| format!("no {text:?} in\n{log}"))?;
    Ok(rest.split_whitespace().next().unwrap_or_default().to_owned())
}

/// Writes a diagnosis of each recorded case, as the scene takes them.
fn cases(path: &Path) -> Result<()> {
    let mut lines = String::new();
    for case in Case::all()? {
        let mut diagnoses = case.diagnoses(case.observations()?);
        let is_own = |d: &Diagnosis| d.subject.as_ref().is_some_and(|s| s.namespace == case.recording.namespace);
        diagnoses.retain(is_own);
        let best = diagnoses.iter().find(|d| d.confidence() == Confidence::Certain).or_else(|| diagnoses.first());
        if let Some(best) = best {
            lines += &format!("{}\t{}\n", case.name, json::to_value(best)?);
        }
    }
    Ok(fs::write(path, lines)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_holds_in_a_browser() -> Result<()> {
    let flags = ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"].map(str::to_owned);
    let aggregator = Aggregator::start_in(tempfile::tempdir()?, flags.to_vec()).await?;
    let log = aggregator.log()?;
    let page = format!("http://{}", after(&log, "serving the page on ")?);
    let address = after(&log, "listening on 127.0.0.1:").map(|port| format!("127.0.0.1:{port}"))?;
    let file = aggregator.directory().join("cases");
    cases(&file)?;
    let protocol = format!("{REPOSITORY}/proto");
    // `make pictures` has the pictures of the documents drawn.
    let pictures = std::env::var("CORONER_PICTURES").ok();
    let mut arguments = vec![page.as_str(), address.as_str(), file.to_str().context("a path")?, &protocol];
    arguments.extend(pictures.as_deref());
    let output = run("page/browser.py", &arguments)?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_readers_see_what_they_may_see() -> Result<()> {
    let api = ApiServer::start().await?;
    api.issue("jane-token", "jane", "coroner", None);
    api.issue("admin-token", "admin", "coroner", None);
    api.issue("token-of-n1", AGENT, "coroner", Some("n1"));
    api.allow("jane", "pods", "shop");
    api.allow("admin", "pods", "");
    api.allow("admin", "nodes", "");
    let secured = Secured::start(Some(&api), &["--http-listen", "127.0.0.1:0"]).await?;
    let of = |n: u64, namespace: &str| {
        let mut diagnosis = diagnosis(n);
        let now = Some(std::time::SystemTime::now().into());
        (diagnosis.event_time, diagnosis.observe_time) = (now, now);
        for name in [
            &mut diagnosis.subject.get_or_insert_default().namespace,
            &mut diagnosis.pod.get_or_insert_default().namespace,
        ] {
            namespace.clone_into(name);
        }
        diagnosis.workloads = vec![Workload { kind: "Deployment".into(), name: "web".into() }];
        OutboxRecord { sequence: n, record: Some(Record::Diagnosis(diagnosis)) }
    };
    let node = secured.authority.client("spiffe://coroner/node/n1")?;
    // The text of a gap is for those who see nodes.
    let now = Some(std::time::SystemTime::now().into());
    let gap = Gap {
        node: "n1".into(),
        source: "kernel_log".into(),
        reason: GapReason::Overrun.into(),
        start_time: now,
        end_time: now,
        text: "lines about vault were lost".into(),
        ..Gap::default()
    };
    let gap = OutboxRecord { sequence: 3, record: Some(Record::Gap(gap)) };
    let records = vec![of(1, "shop"), of(2, "vault"), gap];
    // As are its sources, and what it reports.
    let reason = "why-n1-sees-less".to_owned();
    let health = SourceHealth::Degraded.into();
    let sources = vec![SourceStatus { source: "cri".into(), health, reason, ..SourceStatus::default() }];
    let push =
        PushDiagnosesRequest { node: "n1".into(), stream_id: "o".into(), records, sources, ..Default::default() };
    let answer = secured.ingest(Some(&node))?.push_diagnoses(push).await?.into_inner();
    ensure!(answer.rejected.is_empty(), "{answer:?}");

    let report = NodeReport { boot_id: "boot-of-n1".into(), ..NodeReport::default() };
    let report = ReportNodeRequest { node: "n1".into(), report: Some(report), probe_results: Vec::new() };
    NodeReportServiceClient::new(secured.channel(Some(&node))?).report_node(report).await?;

    let folder: PathBuf = secured.directory();
    write(&folder, "reader", &secured.authority.client("spiffe://coroner/reader/siem")?)?;
    write(&folder, "proxy", &secured.authority.client("spiffe://coroner/proxy/sso")?)?;
    let address = after(&secured.log(), "serving the page on ")?;
    let page = address.replace("127.0.0.1", "https://localhost");
    run("page/access.py", &[&page, folder.to_str().context("a path")?])?;
    for token in ["jane-token", "admin-token"] {
        ensure!(!secured.log().contains(token), "a token is in the log");
    }
    Ok(())
}
