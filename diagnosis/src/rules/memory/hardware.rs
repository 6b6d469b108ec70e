//! The machine's memory is broken: the kernel ended the process that used it (mm/memory-failure.c).

use coroner_proto::v1::{Cause, Confidence};

use crate::{
    messages::memory as texts,
    observation::Source,
    rules::death::{Death, Ending},
    verdict::Verdict,
};

/// The main process was sent SIGBUS for a page that it used, or SIGKILL because the page could not be taken from it.
pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    let (at, line) = death.memory_error()?;
    let number = match (death.ending(), death.code) {
        (Ending::Signal(number @ (7 | 9)), _) => number,
        (Ending::Unknown, Some(137)) => 9,
        _ => return None,
    };
    let mut verdict = Verdict::new(Cause::HardwareMemoryError, Confidence::Certain, death.at)
        .headed(texts::hardware_memory_error())
        .explained(texts::hardware_memory_error_why())
        .supported_by(Source::KernelLog, at, &line.text)
        .supported(death.reported_end());
    verdict.exit = death.exit(number);
    verdict.process = death.main_process();
    Some(verdict)
}
