//! A volume could not be attached or mounted.

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{Finding, PodCase, config};
use crate::{aspect::Aspect, text, verdict::Verdict};

/// The first attempts may come before what they need, as a ConfigMap that is made right after its pod.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    if !case.waits_as_a_whole() {
        return Vec::new();
    }
    let failures = ["FailedMount", "FailedAttachVolume", "FailedMapVolume"].into_iter();
    let newest = failures.flat_map(|reason| case.file.events(reason)).max_by_key(|known| known.times.last());
    let Some((known, first)) = newest.and_then(|known| Some((known, *known.times.first()?))) else { return Vec::new() };
    let message = &known.event.message;
    // The kubelet's caches are filled right after a pod arrives.
    if message.contains("failed to sync") {
        return Vec::new();
    }
    let (cause, summary) = config::missing(message)
        .unwrap_or((Cause::VolumeMountFailed, "Cannot start: a volume could not be attached or mounted"));
    let verdict = Verdict::new(cause, Confidence::Certain, first)
        .not_fatal()
        .told(summary, format!("The kubelet tries again and again: {}", text::clean(message, 1024)))
        .by(known.source(), first, known.said());
    vec![Finding { aspect: Aspect::Start { container: String::new() }, verdict, ripe: first + PATIENCE }]
}
