//! It ended, and what was observed does not show why: the verdict names what remains possible and what would decide.

use coroner_proto::v1::{Cause, Confidence, Message};

use super::{
    crash,
    death::{Death, Ending},
    fabricated::{LOST, MADE_UP},
    stopped::not_for_memory,
};
use crate::{
    messages::{common, exit, memory},
    observation::Source,
    verdict::Verdict,
};

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    // What the kubelet fills in for a container that it no longer found is reported of the pod.
    let code = death.code.filter(|_| death.reason() != MADE_UP)?;
    let number = match death.ending() {
        Ending::Exit(0) => return None,
        Ending::Signal(number) => number,
        Ending::Exit(_) | Ending::Unknown => code - 128,
    };
    let why = match death.ending() {
        Ending::Signal(_) => exit::unattributed_signal(number),
        Ending::Exit(_) | Ending::Unknown if code == LOST => exit::unattributed_lost(code),
        Ending::Exit(_) | Ending::Unknown => exit::unattributed_code(code, number),
    };
    let mut verdict = Verdict::new(Cause::Unattributed, Confidence::Possible, death.at)
        .headed(exit::unattributed(code))
        .explained(why)
        .supported(death.reported_end());
    for (cause, decided_by) in candidates(death, number) {
        verdict = verdict.or_else(cause, decided_by);
    }
    for source in [Source::KernelLog, Source::Signals, death.file.events_by] {
        let has_it = source != Source::Containerd || !is_another_runtime(death);
        if has_it && !death.covered(source) {
            verdict = verdict.without(source);
        }
    }
    verdict = not_for_memory(death, verdict);
    verdict.exit = death.exit(if let Ending::Signal(number) = death.ending() { number } else { 0 });
    verdict.process = death.main_process();
    Some(verdict.waiting())
}

/// Where the CRI is answered and containerd is not there, the runtime is another, which has no such events.
fn is_another_runtime(death: &Death<'_>) -> bool {
    death.node.coverage.is_absent(Source::Containerd) && death.covered(Source::Cri)
}

/// What remains possible, and what would decide it.
fn candidates(death: &Death<'_>, number: i32) -> Vec<(Cause, Message)> {
    let by_signals = |cause| (cause, common::decided_by_signals());
    let mut found = match number {
        _ if death.code == Some(LOST) && is_another_runtime(death) => {
            vec![(Cause::StatusFabricated, common::decided_by_wait())]
        }
        _ if death.code == Some(LOST) => vec![(Cause::StatusFabricated, common::decided_by_containerd())],
        9 => vec![by_signals(Cause::GracePeriodExceeded), by_signals(Cause::KilledExternally)],
        15 => vec![by_signals(Cause::StoppedByRequest), by_signals(Cause::KilledExternally)],
        _ => vec![by_signals(crash::cause(number).unwrap_or(Cause::KilledExternally))],
    };
    if number == 9 && !death.covered(Source::KernelLog) {
        found.insert(0, (Cause::OomContainerLimit, memory::oom_decided_by_log()));
    }
    if !matches!(death.ending(), Ending::Signal(_)) {
        found.push((Cause::ApplicationExit, common::decided_by_wait()));
    }
    found
}
