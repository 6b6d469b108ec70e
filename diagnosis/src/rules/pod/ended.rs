//! The pod failed as a whole, and its reason or message is none that is known: it is quoted.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase, admission};
use crate::{
    aspect::Aspect,
    messages::{common, removal as texts},
    rules::stop::removal::{removal, since},
    text,
    verdict::Verdict,
};

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    let pod = case.pod;
    // Of a pod that went with its node, the watch of the cluster reports that.
    let is_known =
        || pod.reason == "NodeLost" || admission::is_rejected(pod) || removal(case.node, case.file).is_some();
    if pod.phase != "Failed" || pod.reason.is_empty() || is_known() {
        return Vec::new();
    }
    let event = case.file.events(&pod.reason).next_back();
    let at = event.and_then(|known| known.first()).or_else(|| since(case.file, pod)).unwrap_or(case.file.last_report);
    let mut verdict = Verdict::new(Cause::Unattributed, Confidence::Possible, at)
        .headed(texts::removal_unknown(text::clean(&pod.reason, 48)))
        .explained((!pod.message.is_empty()).then(|| common::kubelet_reported(&pod.message)))
        .supported_by(case.file.reporter(), at, format!("status.reason {}: {}", pod.reason, pod.message));
    if let Some(known) = event {
        verdict = verdict.supported_by(known.source(), at, known.statement());
    }
    vec![Finding { aspect: Aspect::End, verdict, ripe: at }]
}
