//! The image of a container could not be had.

use coroner_proto::v1::{Cause, Confidence, Message};

use super::{Finding, PodCase, waiting};
use crate::{
    aspect::Aspect,
    case::Occurrences,
    messages::start as texts,
    observation::kube::{
        ContainerStatus, VolumeKind,
        message::image::{Failure, Pull, pull},
    },
    text,
    verdict::Verdict,
};

/// The kubelet's reasons of a container whose image it could not pull (`pkg/kubelet/images/types.go`,
/// `cri-api/pkg/errors`).
const PULLING: [&str; 3] = ["ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"];

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    waiting(case).filter_map(|(status, reason, message)| finding(case, status, reason, message)).collect()
}

fn finding(case: PodCase<'_>, status: &ContainerStatus, reason: &str, message: &str) -> Option<Finding> {
    let events: Vec<_> =
        case.events("Failed", &status.name).chain(case.events("InspectFailed", &status.name)).collect();
    let pulled = || newest(message, &events);
    let (cause, failure) = match reason {
        "ErrImageNeverPull" => (Cause::ImageNeverPull, ""),
        "InvalidImageName" => (Cause::ImageNameInvalid, ""),
        "SignatureValidationFailed" => (Cause::ImageRejectedByPolicy, pulled().detail),
        // The runtime was asked for an image that it may have: nothing was pulled yet.
        "ImageInspectError" => {
            let pull = pulled();
            let known = pull.failure.filter(|failure| *failure == Failure::Name);
            (known.map_or(Cause::Unattributed, cause), pull.detail)
        }
        _ if PULLING.contains(&reason) => {
            let pull = pulled();
            (pull.failure.map_or(Cause::Unattributed, cause), pull.detail)
        }
        _ => return None,
    };
    let wanted = case.pod.container(&status.name).map_or(&status.image, |wanted| &wanted.image);
    let volume = pull(message).image.filter(|image| mounts(case, wanted, image));
    let cause = if volume.is_some() { Cause::ImageVolumeFailed } else { cause };
    let confidence = if cause == Cause::Unattributed { Confidence::Possible } else { Confidence::Certain };
    let at = case.since(&status.name);
    let image = text::clean(volume.unwrap_or(wanted), 256);
    let mut verdict = Verdict::new(cause, confidence, at)
        .not_fatal()
        .headed(headline(cause))
        .explained(why(cause))
        .explained(texts::image_reference(image))
        .explained((!failure.is_empty()).then(|| texts::image_message(failure)))
        .supported_by(case.file.reporter(), at, format!("waiting, {reason}: {message}"));
    for known in events.iter().filter(|known| pull(&known.event.message).image.is_some()) {
        verdict = verdict.supported_by(known.source(), known.last().unwrap_or(at), known.statement());
    }
    Some(Finding { aspect: Aspect::Start { container: status.name.clone() }, verdict, ripe: at })
}

/// What a back-off repeats of the failure before it (1.32 on), or else what the events report of the newest one that
/// failed for a known reason, or had a message.
fn newest<'m>(message: &'m str, events: &[&'m Occurrences]) -> Pull<'m> {
    let mut events: Vec<_> = events.iter().collect();
    events.sort_by_key(|known| known.last());
    let of_events =
        events.into_iter().rev().map(|known| pull(&known.event.message)).filter(|pull| pull.image.is_some());
    let all: Vec<_> = [pull(message)].into_iter().chain(of_events).collect();
    let known = all.iter().find(|pull| pull.failure.is_some());
    *known.or_else(|| all.iter().find(|pull| !pull.detail.is_empty())).unwrap_or(&all[0])
}

/// Whether an image is one that the pod mounts as a volume, and not the container's own.
fn mounts(case: PodCase<'_>, own: &str, image: &str) -> bool {
    let tagged = |name: &str| name.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    // The kubelet adds the default tag (`pkg/util/parsers`).
    let same = |name: &str| name == image || !tagged(name) && image.strip_suffix(":latest") == Some(name);
    !same(own) && case.pod.volumes.iter().any(|volume| matches!(&volume.kind, VolumeKind::Image(name) if same(name)))
}

fn cause(failure: Failure) -> Cause {
    match failure {
        Failure::TimedOut => Cause::ImagePullTimeout,
        Failure::NotFound => Cause::ImageNotFound,
        Failure::Unauthorized => Cause::ImageUnauthorized,
        Failure::Unreachable => Cause::ImageRegistryUnreachable,
        Failure::Throttled => Cause::ImagePullThrottled,
        Failure::Unpack => Cause::ImageUnpackFailed,
        Failure::Format => Cause::ImageFormatUnsupported,
        Failure::Platform => Cause::ImagePlatformMismatch,
        Failure::Policy => Cause::ImageRejectedByPolicy,
        Failure::Name => Cause::ImageNameInvalid,
    }
}

fn headline(cause: Cause) -> Message {
    match cause {
        Cause::ImageNeverPull => texts::image_never_pull(),
        Cause::ImageNameInvalid => texts::image_name_invalid(),
        Cause::ImagePullThrottled => texts::image_throttled(),
        Cause::ImagePlatformMismatch => texts::image_platform(),
        Cause::ImageUnauthorized => texts::image_unauthorized(),
        Cause::ImageNotFound => texts::image_not_found(),
        Cause::ImagePullTimeout => texts::image_timeout(),
        Cause::ImageRegistryUnreachable => texts::image_unreachable(),
        Cause::ImageUnpackFailed => texts::image_unpack(),
        Cause::ImageFormatUnsupported => texts::image_format(),
        Cause::ImageRejectedByPolicy => texts::image_policy(),
        Cause::ImageVolumeFailed => texts::image_volume(),
        _ => texts::image_failed(),
    }
}

/// What the headline leaves open.
fn why(cause: Cause) -> Option<Message> {
    match cause {
        Cause::ImageNeverPull => Some(texts::image_never_pull_why()),
        Cause::ImageUnauthorized => Some(texts::image_unauthorized_why()),
        _ => None,
    }
}
