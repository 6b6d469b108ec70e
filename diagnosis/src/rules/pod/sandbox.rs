//! The pod's sandbox, its network or its devices could not be set up.

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{Finding, PodCase};
use crate::{
    aspect::Aspect,
    case::Occurrences,
    observation::kube::message::sandbox::{Failure, failure},
    text,
    verdict::Verdict,
};

/// Network plugins need a moment after a start of the node.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);
/// The kubelet's reasons: `pkg/kubelet/events/event.go`, `pkg/kubelet/kubelet.go`.
const REASONS: [&str; 4] =
    ["FailedCreatePodSandBox", "FailedCreatePodContainer", "NetworkNotReady", "FailedPrepareDynamicResources"];
/// Failures that are quoted.
const QUOTED: usize = 4;

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    let failures = REASONS.into_iter().flat_map(|reason| case.file.events(reason));
    let failures = failures.filter_map(|known| Some((known, *known.times.first()?, *known.times.last()?)));
    let mut failures: Vec<_> = failures.filter(|(_, _, last)| case.waits_for_sandbox(*last)).collect();
    failures.sort_by_key(|(_, first, _)| *first);
    let Some((_, at, _)) = failures.first().copied() else { return Vec::new() };
    // One whose words are known says more than the one that came last.
    let of = |known: &Occurrences| judge(&known.event.reason, &known.event.message);
    let newest = failures.iter().max_by_key(|(known, _, last)| (of(known).1, *last));
    let Some((known, _, _)) = newest else { return Vec::new() };
    let (cause, confidence) = of(known);
    let explanation = format!("The kubelet keeps trying: {}", text::clean(&known.event.message, 1024));
    let mut verdict = Verdict::new(cause, confidence, at).not_fatal().told(headline(cause), explanation);
    for (known, first, _) in failures.iter().take(QUOTED) {
        verdict = verdict.by(known.source(), *first, known.said());
    }
    vec![Finding { aspect: Aspect::Start { container: String::new() }, verdict, ripe: at + PATIENCE }]
}

/// What a failure is: the reason names the step, the words say of what.
fn judge(reason: &str, message: &str) -> (Cause, Confidence) {
    match (reason, failure(message)) {
        ("FailedPrepareDynamicResources", _) => (Cause::DevicePrepareFailed, Confidence::Certain),
        ("NetworkNotReady", _) | (_, Some(Failure::Network)) => (Cause::SandboxNetworkFailed, Confidence::Certain),
        (_, Some(Failure::Create)) => (Cause::SandboxCreateFailed, Confidence::Certain),
        (_, None) => (Cause::SandboxCreateFailed, Confidence::Likely),
    }
}

fn headline(cause: Cause) -> &'static str {
    match cause {
        Cause::SandboxNetworkFailed => "Cannot start: the pod's network could not be set up",
        Cause::DevicePrepareFailed => "Cannot start: the pod's devices could not be prepared",
        _ => "Cannot start: the pod's sandbox could not be created",
    }
}
