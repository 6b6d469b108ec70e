//! A volume could not be attached or mounted.

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{Finding, PodCase};
use crate::{
    aspect::Aspect,
    observation::kube::message::mount::{Failure, failure},
    text,
    verdict::Verdict,
};

/// The first attempts may come before what they need, as a ConfigMap that is created right after its pod.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    if !case.waits_as_a_whole() {
        return Vec::new();
    }
    let reasons = ["FailedMount", "FailedAttachVolume", "FailedMapVolume"].into_iter();
    let known = reasons.flat_map(|reason| case.file.events(reason));
    let known = known.filter_map(|known| Some((known, failure(&known.event.message), *known.times.first()?)));
    // That it waits is said long after, and more often than, what it waits for: the most specific one counts.
    let best = known
        .filter(|(_, failure, _)| *failure != Some(Failure::NotReady))
        .max_by_key(|(known, failure, _)| (*failure, known.times.last()));
    let Some((known, failure, first)) = best else { return Vec::new() };
    let (cause, confidence) = match failure {
        Some(Failure::SecretMissing) => (Cause::SecretMissing, Confidence::Certain),
        Some(Failure::ConfigMapMissing) => (Cause::ConfigmapMissing, Confidence::Certain),
        Some(Failure::KeyMissing) => (Cause::ConfigKeyMissing, Confidence::Certain),
        Some(Failure::ClaimUnbound) => (Cause::VolumeClaimUnbound, Confidence::Certain),
        Some(Failure::Failed) => (Cause::VolumeMountFailed, Confidence::Certain),
        Some(Failure::Waiting | Failure::NotReady) | None => (Cause::VolumeMountFailed, Confidence::Likely),
    };
    let verdict = Verdict::new(cause, confidence, first)
        .not_fatal()
        .told(headline(cause), format!("The kubelet keeps trying: {}", text::clean(&known.event.message, 1024)))
        .by(known.source(), first, known.said());
    vec![Finding { aspect: Aspect::Start { container: String::new() }, verdict, ripe: first + PATIENCE }]
}

fn headline(cause: Cause) -> &'static str {
    match cause {
        Cause::SecretMissing => "Cannot start: a Secret that it refers to does not exist",
        Cause::ConfigmapMissing => "Cannot start: a ConfigMap that it refers to does not exist",
        Cause::ConfigKeyMissing => "Cannot start: a key that it refers to is not in its ConfigMap or Secret",
        Cause::VolumeClaimUnbound => "Cannot start: a volume claim is not bound or does not exist",
        _ => "Cannot start: a volume could not be attached or mounted",
    }
}
