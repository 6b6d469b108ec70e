//! A container could not be created: something that it refers to is missing, or the kubelet or the runtime refused it.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase, waiting};
use crate::{
    aspect::Aspect,
    observation::kube::message::{create, start},
    text,
    verdict::Verdict,
};

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    waiting(case)
        .filter_map(|(status, reason, message)| {
            let cause = match reason {
                "CreateContainerConfigError" => by_kubelet(message)?,
                "CreateContainerError" | "PreCreateHookError" | "PreStartHookError" => by_runtime(message),
                // What the runtime could not start has an instance, and its end is reported.
                "RunContainerError" if case.instances(&status.name) == 0 => by_runtime(message),
                _ => return None,
            };
            // Of a kill for memory, the runtime only sees that it happened.
            let confidence = match cause {
                None | Some(Cause::OomContainerLimit) => Confidence::Likely,
                Some(_) => Confidence::Certain,
            };
            let cause = cause.unwrap_or(Cause::ContainerCreateFailed);
            let at = case.since(&status.name);
            let mut verdict = Verdict::new(cause, confidence, at)
                .not_fatal()
                .told(headline(cause), format!("The container cannot be created: {}", text::clean(message, 1024)))
                .by(case.file.teller(), at, format!("waiting, {reason}: {message}"));
            for known in case.events("Failed", &status.name) {
                verdict = verdict.by(known.source(), known.times.last().copied().unwrap_or(at), known.said());
            }
            Some(Finding { aspect: Aspect::Start { container: status.name.clone() }, verdict, ripe: at })
        })
        .collect()
}

/// What the kubelet could not configure: nothing while its caches are being filled; no cause if the words are not
/// known.
fn by_kubelet(message: &str) -> Option<Option<Cause>> {
    Some(match create::refusal(message) {
        Some(create::Refusal::NotReady) => return None,
        Some(create::Refusal::ConfigMapMissing) => Some(Cause::ConfigmapMissing),
        Some(create::Refusal::SecretMissing) => Some(Cause::SecretMissing),
        Some(create::Refusal::KeyMissing) => Some(Cause::ConfigKeyMissing),
        Some(create::Refusal::RunAsRoot) => Some(Cause::SecurityPolicyViolation),
        Some(create::Refusal::Volume) => Some(Cause::VolumeMountFailed),
        Some(create::Refusal::Device) => Some(Cause::DevicePrepareFailed),
        None => None,
    })
}

fn by_runtime(message: &str) -> Option<Cause> {
    start::refusal(message).map(|refusal| match refusal {
        start::Refusal::NotFound => Cause::CommandNotFound,
        start::Refusal::NotExecutable => Cause::CommandNotExecutable,
        start::Refusal::WrongFormat => Cause::WrongArchitecture,
        start::Refusal::NoCommand => Cause::CommandMissing,
        start::Refusal::Device => Cause::DevicePrepareFailed,
        start::Refusal::OutOfMemory => Cause::OomContainerLimit,
    })
}

fn headline(cause: Cause) -> &'static str {
    match cause {
        Cause::ConfigmapMissing => "Cannot start: a ConfigMap that it refers to does not exist",
        Cause::SecretMissing => "Cannot start: a Secret that it refers to does not exist",
        Cause::ConfigKeyMissing => "Cannot start: a key that it refers to is not in its ConfigMap or Secret",
        Cause::SecurityPolicyViolation => "Cannot start: it would run as root, which its securityContext forbids",
        Cause::VolumeMountFailed => "Cannot start: a volume that it mounts is not there",
        Cause::DevicePrepareFailed => "Cannot start: a device could not be prepared for it",
        Cause::CommandNotFound => "Cannot start: its command does not exist in the image",
        Cause::CommandNotExecutable => "Cannot start: its command may not be executed",
        Cause::WrongArchitecture => "Cannot start: its command is not for this machine",
        Cause::OomContainerLimit => "Cannot start: the memory limit is too low for the start itself",
        Cause::CommandMissing => "Cannot start: neither pod nor image names a command",
        _ => "Cannot start: the container could not be created",
    }
}
