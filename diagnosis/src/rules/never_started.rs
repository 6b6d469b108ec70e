//! The runtime could not start the container, and reports why.

use coroner_proto::v1::{Cause, Confidence, Message};

use super::death::Death;
use crate::{
    messages::{common, start},
    observation::{
        Source,
        kube::message::start::{Refusal, innermost, refusal},
    },
    verdict::Verdict,
};

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    let reported = death.reported()?;
    let refused = matches!(reported.reason, "StartError" | "ContainerCannotRun");
    // Of the kubelet's messages, those of the runtime have such a reason; others may be the program's own.
    let of_runtime = matches!(reported.source, Source::Cri | Source::Docker);
    let by_runtime = of_runtime && !reported.message.is_empty() && !death.started();
    if !refused && !by_runtime {
        return None;
    }
    let message = reported.message;
    let (cause, confidence) = match refusal(message) {
        Some(Refusal::NotFound) => (Cause::CommandNotFound, Confidence::Certain),
        Some(Refusal::NotExecutable) => (Cause::CommandNotExecutable, Confidence::Certain),
        Some(Refusal::WrongFormat) => (Cause::WrongArchitecture, Confidence::Certain),
        Some(Refusal::NoCommand) => (Cause::CommandMissing, Confidence::Certain),
        Some(Refusal::Device) => (Cause::DevicePrepareFailed, Confidence::Certain),
        Some(Refusal::Volume) => (Cause::VolumeMountFailed, Confidence::Certain),
        Some(Refusal::ImageVolume) => (Cause::ImageVolumeFailed, Confidence::Certain),
        // The runtime's own statement; with the kernel's, the rules for memory have decided already.
        Some(Refusal::OutOfMemory) => return Some(out_of_memory(death, reported.source, message)),
        None => (Cause::ContainerCreateFailed, Confidence::Likely),
    };
    let mut verdict = Verdict::new(cause, confidence, death.at)
        .headed(headline(cause))
        .explained(common::runtime_reported(innermost(message)))
        .supported_by(reported.source, death.at, format!("{} ({}): {message}", reported.reason, reported.code));
    verdict.exit = death.exit(0);
    Some(verdict)
}

fn out_of_memory(death: &Death<'_>, source: Source, message: &str) -> Verdict {
    let mut verdict = Verdict::new(Cause::OomContainerLimit, Confidence::Likely, death.at)
        .headed(start::start_memory())
        .explained(start::start_memory_why(message))
        .supported_by(source, death.at, message)
        .without(Source::KernelLog)
        .waiting();
    verdict.exit = death.exit(9);
    verdict
}

fn headline(cause: Cause) -> Message {
    match cause {
        Cause::CommandNotFound => start::start_command_not_found(),
        Cause::CommandNotExecutable => start::start_command_not_executable(),
        Cause::WrongArchitecture => start::start_wrong_architecture(),
        Cause::CommandMissing => start::start_command_missing(),
        Cause::DevicePrepareFailed => start::start_device(),
        Cause::VolumeMountFailed => start::start_volume(),
        Cause::ImageVolumeFailed => start::start_image_volume(),
        _ => start::start_create_failed(),
    }
}
