//! The runtime reports a status that nobody witnessed, because it lost the process: made up, however it looks.
//!
//! containerd reports 255 with reason Unknown for a container that it finds without a task at its own start
//! (`internal/cri/server/restart.go`), and 255 for one whose shim died under it.

use coroner_proto::v1::{Cause, Confidence};

use super::{
    death::{CLOCKS, Death},
    stopped,
};
use crate::{
    observation::{Source, process::WaitStatus},
    signal::signal_name,
    verdict::Verdict,
};

/// The code that containerd makes up.
pub(super) const LOST: i32 = 255;

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    cleaned_up(death).or_else(|| lost(death))
}

/// The shim was killed, and the runtime killed what it had watched over: nobody asked this container to stop, and its 137 is
/// that of `runc delete --force` (`cleanupAfterDeadShim` in containerd's `core/runtime/v2/shim.go`).
fn cleaned_up(death: &Death<'_>) -> Option<Verdict> {
    let (killed_at, killed) = death.signal(9)?;
    let (shim_at, shim) = shim_killed(death)?;
    let by_runtime = stopped::sender(death, killed) == stopped::Sender::Runtime;
    if !by_runtime || shim_at > killed_at || stopped::asked(death).is_some() {
        return None;
    }
    let mut verdict = Verdict::new(Cause::StatusFabricated, Confidence::Likely, death.at)
        .told(
            "Killed by the runtime's clean-up: the shim that watched over it had been killed",
            "The shim that watched over the container was killed; the runtime then killed what was left of the \
             container. Its exit code tells of that clean-up, not of the program, which nobody had asked to stop.",
        )
        .by(Source::Signals, shim_at, shim)
        .by(Source::Signals, killed_at, stopped::said(killed));
    verdict.exit = death.exit(9).map(|exit| coroner_proto::v1::Exit { fabricated: true, ..exit });
    verdict.process = death.main_process();
    Some(verdict)
}

fn lost(death: &Death<'_>) -> Option<Verdict> {
    let reported = death.reported()?;
    if reported.code != LOST || !death.started() {
        return None;
    }
    let shim = shim_killed(death);
    let unseen =
        death.file.task_exit.is_none() && death.covered(Source::Containerd) && death.file.task_started.is_some();
    let confidence = match (reported.reason, &shim, unseen) {
        ("Unknown", _, _) => Confidence::Certain,
        (_, Some(_), true) => Confidence::Certain,
        (_, Some(_), false) | (_, None, true) => Confidence::Likely,
        (_, None, false) => return None,
    };
    // A status that the kernel confirms is no invention.
    if death.wait == Some(WaitStatus::Exited(255)) {
        return None;
    }
    let truth = match death.wait {
        Some(WaitStatus::Exited(code)) => format!(" In truth its main process exited with status {code}."),
        Some(WaitStatus::Signaled(signal)) => {
            format!(" In truth {} ended its main process.", signal_name(signal.into()))
        }
        None => " How its main process really ended is not known.".to_owned(),
    };
    let why = if shim.is_some() { "the shim that watched over it was killed" } else { "the runtime lost the process" };
    let mut verdict = Verdict::new(Cause::StatusFabricated, confidence, death.at)
        .told(
            format!("Exit code {LOST} is made up: {why}"),
            format!("The runtime reports exit code {LOST}, but nobody saw the process end with it: {why}.{truth}"),
        )
        .by(reported.source, death.at, format!("reason {}, exit code {LOST}", reported.reason));
    if let Some((at, said)) = shim {
        verdict = verdict.by(Source::Signals, at, said);
    }
    if unseen {
        verdict =
            verdict.against(Source::Containerd, death.at, "no /tasks/exit for its main process, as every real end has");
    }
    verdict.exit = death.exit(0).map(|exit| coroner_proto::v1::Exit { fabricated: true, ..exit });
    verdict.process = death.main_process();
    Some(verdict.waiting())
}

/// A SIGKILL to a runtime's shim just before.
fn shim_killed(death: &Death<'_>) -> Option<(jiff::Timestamp, String)> {
    let mut around = death.node.processes.signals.between(death.at - CLOCKS, death.at + CLOCKS);
    let kill = around.find(|(_, _, signal)| signal.signal == 9 && signal.target.comm.starts_with("containerd-shim"));
    kill.map(|(pid, at, signal)| {
        (at, format!("SIGKILL to {} (pid {pid}) from {}", signal.target.comm, signal.sender.comm))
    })
}
