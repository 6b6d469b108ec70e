//! The runtime reports a status that no source observed, because it lost the process: made up, however it looks.
//!
//! containerd reports 255 with reason Unknown for a container that it finds without a task at its own start
//! (`internal/cri/server/restart.go`), and 255 for one whose shim died under it. CRI-O reports -1 for one whose conmon
//! died under it, and so left no file with the status (`server/container_status.go`).

use coroner_proto::v1::{Cause, Confidence, Message};
use jiff::{SignedDuration, Timestamp};

use super::{
    crash,
    death::{CLOCKS, Death, Ending},
    oom_daemon, stopped,
};
use crate::{
    messages::{common, exit as texts},
    observation::{Source, process::WaitStatus},
    verdict::Verdict,
};

/// The code that containerd makes up.
pub(super) const LOST: i32 = 255;
/// CRI-O's where it has none. No process ends with that.
pub(super) const NONE: i32 = -1;
/// The reason that it gives with it at its own start.
pub(super) const UNKNOWN: &str = "Unknown";

/// The reason that the kubelet makes up, with 137, for a container that the runtime no longer has.
pub(super) const MADE_UP: &str = "ContainerStatusUnknown";

/// containerd cleans up as soon as the connection to a shim breaks: what runc kills later was not its own.
const CLEANED_UP: SignedDuration = SignedDuration::from_millis(500);

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    cleaned_up(death).or_else(|| observed(death)).or_else(|| lost(death))
}

/// The runtime lost the process and made up its status, but the kernel was seen to end it: that is why it ended, and
/// the later bookkeeping takes nothing back. Of a SIGKILL by a runtime that cleans up, the status is all that there is
/// to report.
fn observed(death: &Death<'_>) -> Option<Verdict> {
    let reported = death.reported().filter(|reported| reported.code == LOST && reported.reason == UNKNOWN)?;
    let Ending::Signal(number) = death.ending() else { return None };
    let verdict = explained(death)?;
    if matches!(verdict.cause, Cause::StoppedByRequest | Cause::GracePeriodExceeded) {
        return None;
    }
    let made_up = common::exit_reported(reported.reason, LOST);
    let mut verdict = verdict.against(reported.source, death.at, made_up).explained(texts::fabricated_by_runtime(LOST));
    verdict.at = death.signal(number).map_or(death.at, |(at, _)| at);
    verdict.exit = verdict.exit.map(|exit| coroner_proto::v1::Exit { fabricated: true, ..exit });
    Some(verdict)
}

/// What others observed explains the end, whatever the runtime made of it.
fn explained(death: &Death<'_>) -> Option<Verdict> {
    crash::end(death).or_else(|| oom_daemon::end(death)).or_else(|| stopped::end(death))
}

/// The shim was killed, and the runtime killed what it had supervised: the container had not been asked to stop, and
/// its 137 is that of `runc delete --force` (`cleanupAfterDeadShim` in containerd's `core/runtime/v2/shim.go`).
fn cleaned_up(death: &Death<'_>) -> Option<Verdict> {
    let (killed_at, killed) = death.signal(9)?;
    let (shim_at, shim) = shim_killed(death, killed_at - CLEANED_UP, killed_at)?;
    let by_runtime = stopped::sender(death, killed) == stopped::Sender::Runtime;
    if !by_runtime || stopped::asked(death).is_some() {
        return None;
    }
    let mut verdict = Verdict::new(Cause::StatusFabricated, Confidence::Likely, death.at)
        .headed(texts::fabricated_cleanup())
        .explained(texts::fabricated_cleanup_why())
        .supported_by(Source::Signals, shim_at, shim)
        .supported_by(Source::Signals, killed_at, stopped::sent_by(killed));
    verdict.exit = death.exit(9).map(|exit| coroner_proto::v1::Exit { fabricated: true, ..exit });
    verdict.process = death.main_process();
    Some(verdict)
}

fn lost(death: &Death<'_>) -> Option<Verdict> {
    let reported = death.reported()?;
    let code = reported.code;
    match code {
        // How it ended was seen: that is its code.
        NONE if death.code != Some(NONE) => return None,
        NONE => {
            if let Some(verdict) = explained(death) {
                return Some(verdict);
            }
        }
        LOST if death.started() => {}
        _ => return None,
    }
    let shim = shim_killed(death, death.at - CLOCKS, death.at + CLOCKS);
    let unseen =
        death.file.task_exit.is_none() && death.covered(Source::Containerd) && death.file.task_started.is_some();
    let confidence = match (reported.reason, &shim, unseen) {
        (UNKNOWN, _, _) => Confidence::Certain,
        _ if code == NONE => Confidence::Certain,
        (_, Some(_), true) => Confidence::Certain,
        (_, Some(_), false) | (_, None, true) => Confidence::Likely,
        (_, None, false) => return None,
    };
    // A status that the kernel confirms is no invention.
    if death.wait == Some(WaitStatus::Exited(255)) {
        return None;
    }
    let truth = match death.wait {
        Some(WaitStatus::Exited(code)) => texts::fabricated_truth_exited(i32::from(code)),
        Some(WaitStatus::Signaled(signal)) => texts::fabricated_truth_signal(i32::from(signal)),
        None => texts::fabricated_truth_unknown(),
    };
    let headline = if shim.is_some() { texts::fabricated_lost_shim(code) } else { texts::fabricated_lost(code) };
    let mut verdict = Verdict::new(Cause::StatusFabricated, confidence, death.at)
        .headed(headline)
        .explained(texts::fabricated_by_runtime(code))
        .explained(truth)
        .supported_by(reported.source, death.at, common::exit_reported(reported.reason, code));
    if let Some((at, statement)) = shim {
        verdict = verdict.supported_by(Source::Signals, at, statement);
    }
    if unseen {
        verdict = verdict.against(Source::Containerd, death.at, texts::fabricated_no_event());
    }
    verdict.exit = death.exit(0).map(|exit| coroner_proto::v1::Exit { fabricated: true, ..exit });
    verdict.process = death.main_process();
    Some(verdict.waiting())
}

/// A SIGKILL to a runtime's shim within this time. Whose shim it was, no source reports.
fn shim_killed(death: &Death<'_>, from: Timestamp, until: Timestamp) -> Option<(Timestamp, Message)> {
    let mut around = death.node.processes.signals.between(from, until);
    let kill = around.find(|(_, _, signal)| signal.signal == 9 && signal.target.comm.starts_with("containerd-shim"));
    kill.map(|(_, at, signal)| (at, stopped::sent_by(signal)))
}
