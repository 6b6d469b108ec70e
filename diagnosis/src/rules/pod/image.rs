//! The image of a container could not be had.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase, waiting};
use crate::{
    aspect::Aspect,
    case::Occurrences,
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
    let (cause, words) = match reason {
        "ErrImageNeverPull" => (Cause::ImageNeverPull, String::new()),
        "InvalidImageName" => (Cause::ImageNameInvalid, String::new()),
        "SignatureValidationFailed" => (Cause::ImageRejectedByPolicy, text::clean(pulled().words, 768)),
        // The runtime was asked for an image that it may have: nothing was pulled yet.
        "ImageInspectError" => {
            let pull = pulled();
            let known = pull.failure.filter(|failure| *failure == Failure::Name);
            (known.map_or(Cause::Unattributed, cause), text::clean(pull.words, 768))
        }
        _ if PULLING.contains(&reason) => {
            let pull = pulled();
            (pull.failure.map_or(Cause::Unattributed, cause), text::clean(pull.words, 768))
        }
        _ => return None,
    };
    let wanted = case.pod.container(&status.name).map_or(&status.image, |wanted| &wanted.image);
    let volume = pull(message).image.filter(|image| mounts(case, wanted, image));
    let cause = if volume.is_some() { Cause::ImageVolumeFailed } else { cause };
    let confidence = if cause == Cause::Unattributed { Confidence::Possible } else { Confidence::Certain };
    let at = case.since(&status.name);
    let image = text::clean(volume.unwrap_or(wanted), 256);
    let (summary, explanation) = prose(cause);
    let mut verdict = Verdict::new(cause, confidence, at)
        .not_fatal()
        .told(summary, format!("{explanation} Image: {image}. {words}"))
        .by(case.file.teller(), at, format!("waiting, {reason}: {message}"));
    for known in events.iter().filter(|known| pull(&known.event.message).image.is_some()) {
        verdict = verdict.by(known.source(), known.times.last().copied().unwrap_or(at), known.said());
    }
    Some(Finding { aspect: Aspect::Start { container: status.name.clone() }, verdict, ripe: at })
}

/// What a back-off repeats of the failure before it (1.32 on), or else what the events say of the newest one that
/// failed for a known reason, or said anything.
fn newest<'m>(message: &'m str, events: &[&'m Occurrences]) -> Pull<'m> {
    let mut events: Vec<_> = events.iter().collect();
    events.sort_by_key(|known| known.times.last());
    let of_events =
        events.into_iter().rev().map(|known| pull(&known.event.message)).filter(|pull| pull.image.is_some());
    let all: Vec<_> = [pull(message)].into_iter().chain(of_events).collect();
    let known = all.iter().find(|pull| pull.failure.is_some());
    *known.or_else(|| all.iter().find(|pull| !pull.words.is_empty())).unwrap_or(&all[0])
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

fn prose(cause: Cause) -> (&'static str, &'static str) {
    match cause {
        Cause::ImageNeverPull => (
            "Cannot start: its image is not on the node and must not be pulled",
            "imagePullPolicy is Never and the node does not have the image.",
        ),
        Cause::ImageNameInvalid => (
            "Cannot start: the name of its image is not valid",
            "The name does not follow the rules for image references, or the node cannot resolve it.",
        ),
        Cause::ImagePullThrottled => {
            ("Cannot start: the registry limits pulls", "The registry refused the pull because there were too many.")
        }
        Cause::ImagePlatformMismatch => (
            "Cannot start: its image is not for this node's platform",
            "The image has no variant for this operating system and processor.",
        ),
        Cause::ImageUnauthorized => (
            "Cannot start: the registry denies access to its image",
            "The registry asks for credentials, or refuses those that it got. Some registries answer the same for \
             images that do not exist.",
        ),
        Cause::ImageNotFound => (
            "Cannot start: its image does not exist in the registry",
            "The registry answered that it has no such repository or tag.",
        ),
        Cause::ImagePullTimeout => {
            ("Cannot start: pulling its image took too long", "The pull was given up before it was complete.")
        }
        Cause::ImageRegistryUnreachable => (
            "Cannot start: the registry of its image cannot be reached or does not work",
            "The pull failed on the way to the registry, or the registry itself failed.",
        ),
        Cause::ImageUnpackFailed => (
            "Cannot start: the node could not store or unpack its image",
            "The image was fetched, and storing or unpacking it on the node failed.",
        ),
        Cause::ImageFormatUnsupported => (
            "Cannot start: the runtime does not support the format of its image",
            "The manifest or a layer of the image is of a kind that the container runtime does not support.",
        ),
        Cause::ImageRejectedByPolicy => (
            "Cannot start: a policy rejects its image",
            "A signature policy of the node, or a policy of the registry, refused the image.",
        ),
        Cause::ImageVolumeFailed => (
            "Cannot start: an image that it mounts as a volume could not be pulled",
            "The pod mounts the image as a volume, and the node could not get it.",
        ),
        _ => (
            "Cannot start: its image could not be pulled",
            "The kubelet could not get the image, and no observed message gives a known reason.",
        ),
    }
}
