//! A volume could not be attached or mounted.

use coroner_proto::v1::{Cause, Confidence, Message};
use jiff::SignedDuration;

use super::{Finding, PodCase};
use crate::{
    aspect::Aspect,
    messages::{common, start},
    observation::kube::message::mount::{Failure, failure},
    verdict::Verdict,
};

/// The first attempts may come before what they need, as a ConfigMap that is created right after its pod.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    let reasons = ["FailedMount", "FailedAttachVolume", "FailedMapVolume"].into_iter();
    let known = reasons.flat_map(|reason| case.file.events(reason));
    let known = known.filter(|known| known.last().is_some_and(|last| case.waits_for_sandbox(last)));
    let known = known.filter_map(|known| Some((known, failure(&known.event.message), known.first()?)));
    // That it waits is reported long after, and more often than, what it waits for: the most specific one counts.
    let best = known
        .filter(|(_, failure, _)| *failure != Some(Failure::NotReady))
        .max_by_key(|(known, failure, _)| (*failure, known.last()));
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
        .headed(headline(cause))
        .explained(common::kubelet_keeps_trying(&known.event.message))
        .supported_by(known.source(), first, known.statement());
    vec![Finding { aspect: Aspect::Start { container: String::new() }, verdict, ripe: first + PATIENCE }]
}

fn headline(cause: Cause) -> Message {
    match cause {
        Cause::SecretMissing => start::start_secret(),
        Cause::ConfigmapMissing => start::start_configmap(),
        Cause::ConfigKeyMissing => start::start_config_key(),
        Cause::VolumeClaimUnbound => start::start_claim(),
        _ => start::start_mount(),
    }
}
