//! A userspace OOM daemon of the node killed it: by its own report in the log, or by the signal that it was seen to
//! send.

use coroner_proto::v1::{Cause, Confidence, StopRequester};
use jiff::{SignedDuration, Timestamp};

use super::{
    death::{CLOCKS, Death, Ending},
    stopped::sent_by,
};
use crate::{
    case::Line,
    messages::{common, memory as texts},
    observation::{
        Source,
        cgroup::{self, Level},
        kernel_log::{DAEMONS, DaemonKill, Target},
        trace::Signal,
    },
    verdict::Verdict,
};

/// What a daemon kills has ended within this time of its report.
const AFTERMATH: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    let killed =
        matches!(death.ending(), Ending::Signal(9)) || death.code == Some(137) && death.ending() == Ending::Unknown;
    if death.oom_kill.is_some() || !killed && !can_have_obeyed(death) {
        return None;
    }
    // Before SIGKILL, earlyoom and nohang send SIGTERM.
    let sent = death.signal(if killed { 9 } else { 15 });
    let by_sender = sent.and_then(|(at, signal)| Some((at, signal, sender(death, signal)?)));
    let report = report(death).filter(|(_, line)| killed || matches!(line.event.target, Target::Process(_)));
    let daemon = match (&by_sender, &report) {
        (Some((_, _, daemon)), _) => *daemon,
        // Another sender is known, so the line is about another kill.
        (None, Some(_)) if sent.is_some() => return None,
        (None, Some((_, line))) => line.event.daemon,
        (None, None) => return None,
    };
    // A program can name itself so, or write such a line; both together, or the path of its program, it cannot forge.
    let sure = killed && by_sender.as_ref().is_some_and(|(_, signal, _)| has_program(signal));
    let confidence = if sure { Confidence::Certain } else { Confidence::Likely };
    let mut verdict = Verdict::new(Cause::KilledByOomDaemon, confidence, death.at)
        .headed(texts::daemon_killed(daemon))
        .explained(texts::daemon_killed_why(daemon))
        .supported(death.reported_end());
    if let Some((at, signal, _)) = by_sender {
        verdict = verdict.supported_by(Source::Signals, at, sent_by(signal));
    }
    if let Some((at, line)) = report {
        verdict = verdict.supported_by(Source::KernelLog, at, &line.text);
    }
    if !sure {
        verdict = verdict.or_else(Cause::KilledExternally, common::decided_by_signals()).waiting();
    }
    verdict.requested_by = StopRequester::External;
    verdict.exit = death.exit(match death.ending() {
        _ if killed => 9,
        Ending::Signal(number) => number,
        Ending::Unknown if death.code == Some(143) => 15,
        Ending::Exit(_) | Ending::Unknown => 0,
    });
    verdict.process = death.main_process();
    Some(verdict)
}

/// Whether it can have ended because a daemon asked it to by SIGTERM, with whatever status.
fn can_have_obeyed(death: &Death<'_>) -> bool {
    let in_time = match death.signal(15) {
        Some((at, _)) => death.at.duration_since(at) <= AFTERMATH,
        None => death.main.is_none() || !death.watched_before_end(),
    };
    in_time && matches!(death.ending(), Ending::Signal(15) | Ending::Exit(_) | Ending::Unknown)
}

/// The daemon that sent this signal, from outside of all containers.
fn sender(death: &Death<'_>, signal: &Signal) -> Option<&'static str> {
    let name = signal.sender_program();
    DAEMONS.into_iter().find(|daemon| *daemon == name).filter(|_| !death.node.is_sent_from_container(signal))
}

fn has_program(signal: &Signal) -> bool {
    signal.sender_process.as_ref().is_some_and(|process| process.exe.is_some())
}

/// The report of a daemon that killed the container, its pod, or a cgroup above.
fn report<'a>(death: &Death<'a>) -> Option<(Timestamp, &'a Line<DaemonKill>)> {
    let mut kills = death.node.processes.daemon_kills(death.at - AFTERMATH, death.at + CLOCKS);
    kills.find(|(_, line)| match &line.event.target {
        Target::Process(pid) => death.main == Some(*pid),
        Target::Cgroup(path) => holds(death, &cgroup::Path(path.clone())),
    })
}

fn holds(death: &Death<'_>, path: &cgroup::Path) -> bool {
    match path.level() {
        Level::Container { container_id, .. } => container_id == death.file.id.0,
        Level::Pod { pod_uid } => death.file.pod_uid() == Some(pod_uid.as_str()),
        Level::Root | Level::Kubepods | Level::Other => {
            death.file.cgroup.as_ref().is_some_and(|own| own.is_within(path))
        }
    }
}
