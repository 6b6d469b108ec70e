//! What the kubelet's endpoints answered: `{"ok": true, "body": …}` or `{"ok": false, "error": "…"}`.

use k8s_openapi::api::core::v1 as core;
use serde::Deserialize;
use serde_json::Value;

use super::{Context, Facts, Problem};
use crate::observation::kubelet::{Configz, Summary};
use crate::observation::node::{Answer, Daemon, Reading};
use crate::observation::{Fact, Reason};

#[derive(Deserialize)]
pub(super) struct Row {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    error: String,
}

pub(super) fn healthz(_: &Context<'_>, row: Row) -> Result<Facts, Problem> {
    let body = row.body.as_str().unwrap_or_default();
    let answer = match (row.ok, body) {
        (true, "ok") => Answer::Ok,
        (true, body) => Answer::Unwell(Reason::quote(body)),
        (false, _) if row.error.contains("refused") => Answer::Refused(Reason::quote(row.error)),
        (false, _) if row.error.contains("timed out") || row.error.contains("timeout") => Answer::Timeout,
        (false, _) => Answer::Unwell(Reason::quote(row.error)),
    };
    Ok(vec![(None, Fact::Node(Reading::Answer(Daemon::Kubelet, answer)))])
}

pub(super) fn configz(_: &Context<'_>, row: Row) -> Result<Facts, Problem> {
    if !row.ok {
        return Ok(Facts::new());
    }
    let configz: Configz = serde_json::from_value(row.body)?;
    Ok(vec![(None, Fact::KubeletConfig(configz.kubeletconfig))])
}

pub(super) fn summary(_: &Context<'_>, row: Row) -> Result<Facts, Problem> {
    if !row.ok {
        return Ok(Facts::new());
    }
    let summary: Summary = serde_json::from_value(row.body)?;
    Ok(vec![(None, Fact::KubeletSummary(Box::new(summary)))])
}

#[derive(Deserialize)]
struct Pods {
    #[serde(default)]
    items: Option<Vec<core::Pod>>,
}

pub(super) fn pods(_: &Context<'_>, row: Row) -> Result<Facts, Problem> {
    if !row.ok {
        return Ok(Facts::new());
    }
    let pods: Pods = serde_json::from_value(row.body)?;
    let pods = pods.items.into_iter().flatten();
    Ok(pods.map(|pod| (None, Fact::KubeletPod(Box::new((&pod).into())))).collect())
}
