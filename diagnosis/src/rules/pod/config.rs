//! A container could not be created: something that it refers to is missing, or the kubelet or the runtime refused it.

use coroner_proto::v1::{Cause, Confidence, Message};

use super::{Finding, PodCase, waiting};
use crate::{
    aspect::Aspect,
    messages::{common, start as texts},
    observation::kube::message::{create, start},
    verdict::Verdict,
};

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    waiting(case)
        .filter_map(|(status, reason, message)| {
            // Where the status has only the reason, its event has the message.
            let by_event = || Some(case.events("Failed", &status.name).last()?.event.message.as_str());
            let message = if message.is_empty() { by_event().unwrap_or_default() } else { message };
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
                .headed(headline(cause))
                .explained(match reason {
                    "CreateContainerConfigError" => common::kubelet_reported(message),
                    _ => common::runtime_reported(message),
                })
                .supported_by(case.file.reporter(), at, format!("waiting, {reason}: {message}"));
            for known in case.events("Failed", &status.name) {
                verdict = verdict.supported_by(known.source(), known.last().unwrap_or(at), known.statement());
            }
            Some(Finding { aspect: Aspect::Start { container: status.name.clone() }, verdict, ripe: at })
        })
        .collect()
}

/// What the kubelet could not configure: nothing while its caches are being filled; no cause if the message is not
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
        start::Refusal::Volume => Cause::VolumeMountFailed,
        start::Refusal::ImageVolume => Cause::ImageVolumeFailed,
    })
}

fn headline(cause: Cause) -> Message {
    match cause {
        Cause::ConfigmapMissing => texts::start_configmap(),
        Cause::SecretMissing => texts::start_secret(),
        Cause::ConfigKeyMissing => texts::start_config_key(),
        Cause::SecurityPolicyViolation => texts::start_security(),
        Cause::VolumeMountFailed => texts::start_volume(),
        Cause::ImageVolumeFailed => texts::start_image_volume(),
        Cause::DevicePrepareFailed => texts::start_device(),
        Cause::CommandNotFound => texts::start_command_not_found(),
        Cause::CommandNotExecutable => texts::start_command_not_executable(),
        Cause::WrongArchitecture => texts::start_wrong_architecture(),
        Cause::OomContainerLimit => texts::start_memory(),
        Cause::CommandMissing => texts::start_command_missing(),
        _ => texts::start_create_failed(),
    }
}
