//! Ended by somebody: asked to stop through the runtime, or killed by a process outside of it.

use coroner_proto::v1::{Cause, Confidence, StopRequester};
use jiff::{SignedDuration, Timestamp};

use super::{
    death::{CLOCKS, Death, Ending},
    stop::{Request, can_have_obeyed, request},
};
use crate::{
    observation::{
        Source,
        trace::{SI_KERNEL, Signal},
    },
    signal::signal_name,
    text,
    verdict::Verdict,
};

/// The kubelet's default termination grace period.
const DEFAULT_GRACE: u64 = 30;
/// What ends by itself within this time of a stranger's SIGTERM obeyed it.
const OBEDIENCE: SignedDuration = SignedDuration::from_secs(10);
/// Programs that runtimes send signals with or from.
const RUNTIME_PROGRAMS: [&str; 9] =
    ["runc", "crun", "youki", "containerd", "containerd-shim", "dockerd", "conmon", "crio", "kubelet"];
/// Signals by which containers are asked to stop: SIGTERM, and what an image's STOPSIGNAL usually names.
pub(super) const STOP_SIGNALS: [i32; 3] = [15, 3, 2];

/// Who sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The kernel, on its own account.
    Kernel,
    /// The container itself: the faulting thread, or another process of the same container.
    Own,
    /// A container runtime.
    Runtime,
    /// Anybody else on the node.
    Other,
}

/// Who sent this signal to a process of the container.
pub(super) fn sender(death: &Death<'_>, signal: &Signal) -> Sender {
    let tid = signal.sender.tid;
    let pid = signal.sender_process.as_ref().map_or(tid, |process| process.pid);
    let own = tid == signal.target.tid || death.file.processes.contains_key(&pid);
    if own && signal.signal != 9 {
        return Sender::Own;
    }
    if signal.code == SI_KERNEL {
        return Sender::Kernel;
    }
    if own {
        return Sender::Own;
    }
    // A process inside some container may call itself anything.
    let contained = death.node.owner(pid).is_some();
    let program = signal
        .sender_process
        .as_ref()
        .and_then(|process| process.exe.as_deref())
        .and_then(|exe| exe.rsplit('/').next())
        .unwrap_or(&signal.sender.comm);
    let runtime =
        RUNTIME_PROGRAMS.contains(&program) || program.starts_with("containerd-shim") || program.starts_with("runc:[");
    if runtime && !contained { Sender::Runtime } else { Sender::Other }
}

/// When, and by which signal, the runtime asked the container to stop.
pub(super) fn asked<'a>(death: &Death<'a>) -> Option<(Timestamp, &'a Signal)> {
    let asks = |signal: &Signal| STOP_SIGNALS.contains(&signal.signal) && sender(death, signal) == Sender::Runtime;
    death.signals.iter().find(|(at, signal)| *at <= death.at + CLOCKS && asks(signal)).copied()
}

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    let killed = death.signal(9).filter(|_| matches!(death.ending(), Ending::Signal(9)));
    let killer = killed.map(|(at, signal)| (at, signal, sender(death, signal)));
    if let Some(verdict) = sandbox_died(death, killer.map(|(_, _, sender)| sender)) {
        return Some(verdict);
    }
    let stopped = match (asked(death), killer) {
        (_, Some((at, signal, Sender::Other))) => return Some(killed_externally(death, at, signal)),
        (Some(asked), Some((at, signal, Sender::Runtime))) => grace_exceeded(death, asked, (at, signal)),
        (Some(asked), _) => obeyed(death, asked),
        (None, Some((at, signal, Sender::Runtime))) => killed_at_once(death, at, signal),
        (None, _) => return terminated_externally(death).or_else(|| unwitnessed(death)),
    };
    Some(match request(death) {
        Some(request) => on_behalf(stopped, &request, true),
        None => on_whose_behalf(stopped),
    })
}

/// Nobody watched the signals; but somebody asked, and it ended as one does who was asked.
fn unwitnessed(death: &Death<'_>) -> Option<Verdict> {
    let request = request(death)?;
    let watched = death.node.covered(Source::Signals, request.at.max(death.file.first_seen), death.at);
    if watched && death.main.is_some() || !can_have_obeyed(death, &request) {
        return None;
    }
    let code = death.code?;
    let (cause, how) = if code == 137 {
        (Cause::GracePeriodExceeded, "It ended with 137, as after SIGKILL")
    } else {
        (Cause::StoppedByRequest, "It ended within its grace period")
    };
    let mut verdict = Verdict::new(cause, Confidence::Likely, death.at)
        .told("Stopped on request", format!("{how}. Nobody watched which signals it was sent."))
        .without(Source::Signals);
    verdict.exit = death.exit(if matches!(code, 137 | 143) { code - 128 } else { 0 });
    verdict.process = death.main_process();
    Some(on_behalf(not_for_memory(death, verdict), &request, false).waiting())
}

/// Names who asked. A request that is a cause by itself replaces the manner in which it was obeyed.
fn on_behalf(mut verdict: Verdict, request: &Request, witnessed: bool) -> Verdict {
    let manner = format!("{} {}", request.explanation, verdict.explanation);
    verdict.requested_by = request.by;
    verdict.candidates.clear();
    verdict.contributing.extend(request.contributing);
    if let Some(cause) = request.cause {
        verdict.cause = cause;
        verdict = verdict.told(request.summary.clone(), manner);
    } else {
        let summary = format!("{}: {}", verdict.summary, request.summary);
        verdict = verdict.told(summary, manner);
    }
    verdict.confidence = if witnessed { Confidence::Certain } else { Confidence::Likely };
    for (source, at, said) in &request.said {
        verdict = verdict.by(*source, *at, said);
    }
    verdict
}

/// The sandbox had ended before the container was stopped: it took the container along.
fn sandbox_died(death: &Death<'_>, killer: Option<Sender>) -> Option<Verdict> {
    let sandbox = death.sandbox_end()?;
    let by_nobody_else = matches!(killer, Some(Sender::Runtime | Sender::Kernel)) || asked(death).is_some();
    let first_touch = death.signals.iter().find(|(_, s)| s.reached()).map(|(at, _)| *at);
    if !by_nobody_else || first_touch.is_some_and(|at| at < sandbox.at) {
        return None;
    }
    let mut verdict = Verdict::new(Cause::SandboxDied, Confidence::Likely, death.at)
        .told(
            "Ended with its pod's sandbox, which died first",
            format!(
                "The pod's sandbox ended with status {} before anybody asked this container to stop; the kubelet then \
                 ends \
                 all containers of the pod and starts anew.",
                sandbox.what
            ),
        )
        .by(death.file.events_by, sandbox.at, format!("exit of the sandbox, status {}", sandbox.what));
    if let Some((at, signal)) = death.signals.iter().find(|(_, s)| s.reached()) {
        verdict = verdict.by(Source::Signals, *at, said(signal));
    }
    verdict.exit = death.exit(signal_number(death));
    verdict.process = death.main_process();
    Some(verdict)
}

fn grace_exceeded(death: &Death<'_>, asked: (Timestamp, &Signal), killed: (Timestamp, &Signal)) -> Verdict {
    let waited = killed.0.duration_since(asked.0);
    let name = signal_name(asked.1.signal);
    let mut verdict = Verdict::new(Cause::GracePeriodExceeded, Confidence::Likely, death.at)
        .told(
            format!("Asked to stop, did not within {}, and was killed", seconds(waited)),
            format!(
                "The runtime sent its main process {name}; {} later it still ran, and the runtime sent SIGKILL. Exit \
                 code \
                 137 is that SIGKILL, not the kernel's.",
                seconds(waited)
            ),
        )
        .by(Source::Signals, asked.0, said(asked.1))
        .by(Source::Signals, killed.0, said(killed.1));
    verdict = not_for_memory(death, verdict);
    verdict.requested_by = StopRequester::Runtime;
    verdict.exit = death.exit(9);
    verdict.process = death.main_process();
    verdict
}

/// The runtime acts for somebody whom only the kubelet and the Pod's status can name; what they would say is never certain
/// without them.
pub(super) fn on_whose_behalf(verdict: Verdict) -> Verdict {
    verdict.or_else(Cause::LivenessProbeFailed, "the kubelet's events would tell who asked")
}

fn obeyed(death: &Death<'_>, asked: (Timestamp, &Signal)) -> Verdict {
    let name = signal_name(asked.1.signal);
    let took = death.at.duration_since(asked.0).max(SignedDuration::ZERO);
    let mut verdict = Verdict::new(Cause::StoppedByRequest, Confidence::Likely, death.at)
        .told(
            "Stopped on request",
            format!("The runtime sent its main process {name}, and it ended within {}.", seconds(took)),
        )
        .by(Source::Signals, asked.0, said(asked.1));
    verdict.requested_by = StopRequester::Runtime;
    verdict.exit = death.exit(signal_number(death));
    verdict.process = death.main_process();
    verdict
}

/// The pod's grace period, where the runtime was told it.
pub(super) fn grace(death: &Death<'_>) -> SignedDuration {
    let grace = death.file.status.as_ref().and_then(|s| s.grace_period_seconds).unwrap_or(DEFAULT_GRACE);
    SignedDuration::from_secs(i64::try_from(grace).unwrap_or(i64::MAX)).min(SignedDuration::from_hours(24))
}

/// SIGKILL from the runtime without a request before it.
fn killed_at_once(death: &Death<'_>, at: Timestamp, signal: &Signal) -> Verdict {
    let watched = death.node.covered(Source::Signals, (at - grace(death) - CLOCKS).max(death.file.first_seen), at);
    let (cause, summary, explanation) = if watched {
        let explanation = "The runtime sent its main process SIGKILL without asking it to stop before: a stop without \
                           a grace \
                           period, as a forced removal is.";
        (Cause::StoppedByRequest, "Stopped at once on request, without a grace period", explanation)
    } else {
        let explanation = "The runtime sent its main process SIGKILL. Whether it had asked it to stop before is not \
                           known: \
                           signals were not watched that long.";
        (Cause::GracePeriodExceeded, "Killed by the runtime, as after a grace period", explanation)
    };
    let mut verdict = Verdict::new(cause, Confidence::Likely, death.at).told(summary, explanation).by(
        Source::Signals,
        at,
        said(signal),
    );
    if !watched {
        verdict = verdict.or_else(Cause::StoppedByRequest, "a stop without a grace period looks the same from here");
    }
    verdict = not_for_memory(death, verdict);
    verdict.requested_by = StopRequester::Runtime;
    verdict.exit = death.exit(9);
    verdict.process = death.main_process();
    verdict
}

fn killed_externally(death: &Death<'_>, at: Timestamp, signal: &Signal) -> Verdict {
    let who = who(signal);
    let name = signal_name(signal.signal);
    let mut verdict = Verdict::new(Cause::KilledExternally, Confidence::Certain, death.at)
        .told(
            format!("Killed from outside: {who} sent {name}"),
            format!(
                "{who} on the node sent its main process {name}. That is neither the kernel, nor the kubelet, nor \
                     the runtime."
            ),
        )
        .by(Source::Signals, at, said(signal));
    verdict = not_for_memory(death, verdict);
    verdict.requested_by = StopRequester::External;
    verdict.exit = death.exit(signal_number(death));
    verdict.process = death.main_process();
    verdict
}

/// A stranger's fatal signal, obeyed.
fn terminated_externally(death: &Death<'_>) -> Option<Verdict> {
    let by_stranger =
        |signal: &Signal| signal.signal != 9 && signal.reached() && sender(death, signal) == Sender::Other;
    let (at, signal) = *death.signals.iter().rev().find(|(_, signal)| by_stranger(signal))?;
    let ended_by = match death.ending() {
        Ending::Signal(number) => number == signal.signal,
        Ending::Exit(code) => code == 128 + signal.signal || death.at.duration_since(at) <= OBEDIENCE,
        Ending::Unknown => death.code == Some(128 + signal.signal),
    };
    if !ended_by || death.at.duration_since(at) > OBEDIENCE {
        return None;
    }
    let mut verdict = killed_externally(death, at, signal);
    // It handled the signal, and may have ended for another reason.
    let handled = matches!(death.ending(), Ending::Exit(code) if code != 128 + signal.signal);
    if handled {
        verdict.confidence = Confidence::Likely;
        verdict = verdict.or_else(Cause::ApplicationExit, "its own log may name another reason");
    }
    Some(verdict)
}

/// That the kernel did not kill it for memory, where that can be known.
pub(super) fn not_for_memory(death: &Death<'_>, verdict: Verdict) -> Verdict {
    if !death.covered(Source::KernelLog) {
        return verdict;
    }
    let used = match (death.file.samples.peak, death.file.memory_limit().flatten()) {
        (Some(peak), Some(limit)) => {
            format!("; highest use seen {} of {}", crate::units::size(peak), crate::units::size(limit))
        }
        (Some(peak), None) => format!("; highest use seen {}", crate::units::size(peak)),
        _ => String::new(),
    };
    verdict.against(
        Source::KernelLog,
        death.at,
        format!("not killed for memory: no line of the OOM killer names it{used}"),
    )
}

fn signal_number(death: &Death<'_>) -> i32 {
    match death.ending() {
        Ending::Signal(number) => number,
        Ending::Exit(_) | Ending::Unknown => 0,
    }
}

fn who(signal: &Signal) -> String {
    let sender = signal.sender_process.as_ref();
    let pid = sender.map_or(signal.sender.tid, |process| process.pid);
    let exe = sender
        .and_then(|process| process.exe.as_deref())
        .map_or_else(String::new, |exe| format!(", {}", text::clean(exe, 128)));
    format!("\"{}\" (pid {pid}{exe})", text::clean(&signal.sender.comm, 32))
}

/// A signal, in the words of the tracepoint.
pub(super) fn said(signal: &Signal) -> String {
    format!(
        "signal_generate: {} to {} (pid {}) by {}, code {}, result {}",
        signal_name(signal.signal),
        text::clean(&signal.target.comm, 32),
        signal.target.tid,
        who(signal),
        signal.code,
        signal.result
    )
}

pub(super) fn seconds(duration: SignedDuration) -> String {
    let millis = duration.as_millis();
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}
