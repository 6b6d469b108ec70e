//! The runtime could not start the container, and says why.

use coroner_proto::v1::{Cause, Confidence};

use super::death::Death;
use crate::{
    observation::{
        Source,
        kube::message::start::{Refusal, innermost, refusal},
    },
    text,
    verdict::Verdict,
};

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    let reported = death.reported()?;
    let refused = matches!(reported.reason, "StartError" | "ContainerCannotRun");
    // Of the kubelet's words, those of the runtime have such a reason; others may be the program's own.
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
        // The runtime's own statement; with the kernel's, the rules for memory have decided already.
        Some(Refusal::OutOfMemory) => return Some(out_of_memory(death, reported.source, message)),
        None => (Cause::ContainerCreateFailed, Confidence::Likely),
    };
    let explanation = format!("The runtime refused to start it: {}", text::clean(innermost(message), 1024));
    let mut verdict = Verdict::new(cause, confidence, death.at).told(headline(cause), explanation).by(
        reported.source,
        death.at,
        format!("{} (exit code {}): {message}", reported.reason, reported.code),
    );
    verdict.exit = death.exit(0);
    Some(verdict)
}

fn out_of_memory(death: &Death<'_>, source: Source, message: &str) -> Verdict {
    let explanation = format!(
        "The runtime reports that its first process was killed for memory before the command could run: {}",
        text::clean(message, 512)
    );
    let mut verdict = Verdict::new(Cause::OomContainerLimit, Confidence::Likely, death.at)
        .told("Never started: the memory limit is too low for the start itself", explanation)
        .by(source, death.at, message)
        .without(Source::KernelLog)
        .waiting();
    verdict.exit = death.exit(9);
    verdict
}

fn headline(cause: Cause) -> &'static str {
    match cause {
        Cause::CommandNotFound => "Never started: its command does not exist in the image",
        Cause::CommandNotExecutable => "Never started: its command may not be executed",
        Cause::WrongArchitecture => "Never started: its command is not for this machine",
        Cause::CommandMissing => "Never started: neither pod nor image names a command",
        Cause::DevicePrepareFailed => "Never started: a device could not be put into the container",
        _ => "Never started: the runtime could not create the container",
    }
}
