//! The pod's sandbox, its network or its devices could not be set up.

use coroner_proto::v1::{Cause, Confidence, Message};
use jiff::SignedDuration;

use super::{Finding, PodCase};
use crate::{
    aspect::Aspect,
    case::Occurrences,
    messages::{common, start},
    observation::kube::message::sandbox::{Failure, failure},
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
    let failures = failures.filter_map(|known| Some((known, known.first()?, known.last()?)));
    let mut failures: Vec<_> = failures.filter(|(_, _, last)| case.waits_for_sandbox(*last)).collect();
    failures.sort_by_key(|(_, first, _)| *first);
    let Some((_, at, _)) = failures.first().copied() else { return Vec::new() };
    // One whose message is known is more specific than the one that came last.
    let of = |known: &Occurrences| judge(&known.event.reason, &known.event.message);
    let newest = failures.iter().max_by_key(|(known, _, last)| (of(known).1, *last));
    let Some((known, _, _)) = newest else { return Vec::new() };
    let (cause, confidence) = of(known);
    let mut verdict = Verdict::new(cause, confidence, at)
        .not_fatal()
        .headed(headline(cause))
        .explained(common::kubelet_keeps_trying(&known.event.message));
    for (known, first, _) in failures.iter().take(QUOTED) {
        verdict = verdict.supported_by(known.source(), *first, known.statement());
    }
    vec![Finding { aspect: Aspect::Start { container: String::new() }, verdict, ripe: at + PATIENCE }]
}

/// What a failure is: the reason names the step, the message names what failed.
fn judge(reason: &str, message: &str) -> (Cause, Confidence) {
    match (reason, failure(message)) {
        ("FailedPrepareDynamicResources", _) => (Cause::DevicePrepareFailed, Confidence::Certain),
        ("NetworkNotReady", _) | (_, Some(Failure::Network)) => (Cause::SandboxNetworkFailed, Confidence::Certain),
        (_, Some(Failure::Create)) => (Cause::SandboxCreateFailed, Confidence::Certain),
        (_, None) => (Cause::SandboxCreateFailed, Confidence::Likely),
    }
}

fn headline(cause: Cause) -> Message {
    match cause {
        Cause::SandboxNetworkFailed => start::start_network(),
        Cause::DevicePrepareFailed => start::start_pod_devices(),
        _ => start::start_sandbox(),
    }
}
