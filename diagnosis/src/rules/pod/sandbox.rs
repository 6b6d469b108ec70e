//! The pod's sandbox or its network could not be made.

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{Finding, PodCase};
use crate::{aspect::Aspect, text, verdict::Verdict};

/// Network plugins need a moment after a start of the node.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    if !case.waits_as_a_whole() {
        return Vec::new();
    }
    let failures = ["FailedCreatePodSandBox", "NetworkNotReady"].into_iter();
    let mut known: Vec<_> = failures.flat_map(|reason| case.file.events(reason)).collect();
    known.sort_by_key(|known| known.times.first());
    let Some((first, at)) = known.first().and_then(|known| Some((known, *known.times.first()?))) else {
        return Vec::new();
    };
    let message = &first.event.message;
    let mut verdict = Verdict::new(Cause::SandboxNetworkFailed, Confidence::Certain, at).not_fatal().told(
        "Cannot start: the pod's sandbox or its network could not be made",
        format!("The runtime tries again and again: {}", text::clean(message, 1024)),
    );
    for known in known.iter().take(4) {
        verdict = verdict.by(known.source(), known.times.first().copied().unwrap_or(at), known.said());
    }
    vec![Finding { aspect: Aspect::Start { container: String::new() }, verdict, ripe: at + PATIENCE }]
}
