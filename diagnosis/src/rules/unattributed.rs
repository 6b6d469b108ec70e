//! It ended, and what was seen does not say why: the verdict names what remains possible and what would decide.

use coroner_proto::v1::{Cause, Confidence};

use super::{
    crash,
    death::{Death, Ending},
    fabricated::LOST,
    stopped::not_for_memory,
};
use crate::{observation::Source, signal::signal_name, verdict::Verdict};

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    let code = death.code?;
    let number = match death.ending() {
        Ending::Exit(0) => return None,
        Ending::Signal(number) => number,
        Ending::Exit(_) | Ending::Unknown => code - 128,
    };
    let name = signal_name(number);
    let what = match death.ending() {
        Ending::Signal(_) => format!("{name} ended its main process"),
        Ending::Exit(_) | Ending::Unknown if code == LOST => {
            format!("Exit code {code} is a status of the program's own, or made up by a runtime that lost the process")
        }
        Ending::Exit(_) | Ending::Unknown => {
            format!("Exit code {code} means {name}, or is a status of the program's own")
        }
    };
    let mut verdict = Verdict::new(Cause::Unattributed, Confidence::Possible, death.at).told(
        format!("Ended with exit code {code}; what was seen does not say why"),
        format!("{what}. No witness that could be heard says where it came from."),
    );
    let trace = "the tracepoint signal_generate would name the sender";
    for (cause, reason) in candidates(death, number) {
        verdict = verdict.or_else(cause, if reason.is_empty() { trace } else { reason });
    }
    if let Some((source, at, said)) = death.file.said_exit() {
        verdict = verdict.by(source, at, said);
    } else if let Some(reported) = death.reported() {
        verdict = verdict.by(reported.source, death.at, format!("reason {}, exit code {code}", death.reason()));
    }
    for source in [Source::KernelLog, Source::Signals, death.file.events_by] {
        if !death.covered(source) {
            verdict = verdict.without(source);
        }
    }
    verdict = not_for_memory(death, verdict);
    verdict.exit = death.exit(if let Ending::Signal(number) = death.ending() { number } else { 0 });
    verdict.process = death.main_process();
    Some(verdict.waiting())
}

fn candidates(death: &Death<'_>, number: i32) -> Vec<(Cause, &'static str)> {
    let own = (Cause::ApplicationExit, "the kernel's wait status would tell a status from a signal");
    let mut found = match number {
        _ if death.code == Some(LOST) => vec![(Cause::StatusFabricated, "containerd's own events would tell")],
        9 => vec![(Cause::GracePeriodExceeded, ""), (Cause::KilledExternally, "")],
        15 => vec![(Cause::StoppedByRequest, ""), (Cause::KilledExternally, "")],
        _ => crash::cause(number).map(|cause| vec![(cause, "")]).unwrap_or_else(|| vec![(Cause::KilledExternally, "")]),
    };
    if number == 9 && !death.covered(Source::KernelLog) {
        found.insert(0, (Cause::OomContainerLimit, "the kernel log would tell"));
    }
    if !matches!(death.ending(), Ending::Signal(_)) {
        found.push(own);
    }
    found
}
