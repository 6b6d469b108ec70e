//! A daemon has a process that does not answer.

use coroner_proto::v1::{Cause, Confidence};
use jiff::{SignedDuration, Timestamp};

use super::{Finding, NodeCase};
use crate::{
    aspect::Aspect,
    case::DaemonFile,
    messages::{next, node as texts},
    observation::{
        Source,
        node::{Answer, Daemon},
    },
    verdict::Verdict,
};

/// A debugger, or a person, may stop a process for so long.
const STOPPED: SignedDuration = SignedDuration::from_secs(1);
/// A daemon may take so long from its start until it answers.
const START: SignedDuration = SignedDuration::from_secs(60);
/// What refuses connections although its process has been there for long.
const REFUSES: SignedDuration = SignedDuration::from_secs(3);
/// When both daemons are silent, what keeps both may be about to show itself; and so long it takes them to recover from
/// a shortage.
const BOTH: SignedDuration = SignedDuration::from_secs(20);

pub(super) fn findings(case: NodeCase<'_>) -> Vec<Finding> {
    [Daemon::Kubelet, Daemon::Runtime].into_iter().filter_map(|daemon| finding(case, daemon)).collect()
}

fn finding(case: NodeCase<'_>, daemon: Daemon) -> Option<Finding> {
    let file = case.state.daemon(daemon)?;
    let (verdict, ripe) = stopped(daemon, file)
        .or_else(|| silent(case, daemon, file))
        .or_else(|| unreachable(daemon, file))
        .or_else(|| unwell(daemon, file))?;
    let verdict = verdict.not_fatal().explained(texts::node_daemon_effect(daemon.keyword()));
    Some(Finding { aspect: Aspect::Node(daemon.into()), verdict, ripe })
}

fn verdict(daemon: Daemon, confidence: Confidence, at: Timestamp) -> Verdict {
    let cause = match daemon {
        Daemon::Kubelet => Cause::KubeletHung,
        Daemon::Runtime => Cause::RuntimeHung,
    };
    Verdict::new(cause, confidence, at)
}

/// A process in state T does nothing at all, whatever may keep others from answering.
fn stopped(daemon: Daemon, file: &DaemonFile) -> Option<(Verdict, Timestamp)> {
    let process = file.process.as_ref()?;
    let pid = process.what.filter(|process| process.stopped)?.pid;
    let mut verdict = verdict(daemon, Confidence::Certain, process.at)
        .headed(texts::node_daemon_halted(daemon.keyword()))
        .explained(texts::node_daemon_stopped(pid))
        .next(next::next_resume(pid))
        .supported_by(Source::Procfs, process.at, format!("/proc/{pid}/stat: state T"));
    if let Some(answer) = file.answer.as_ref().filter(|answer| answer.what == Answer::Timeout) {
        verdict = verdict.supported_by(daemon.interface(), answer.at, texts::node_daemon_no_answer());
    }
    Some((verdict, process.at + STOPPED))
}

/// A node that is short of memory keeps every daemon from answering: that is then the verdict.
fn silent(case: NodeCase<'_>, daemon: Daemon, file: &DaemonFile) -> Option<(Verdict, Timestamp)> {
    let answer = file.answer.as_ref().filter(|answer| answer.what == Answer::Timeout)?;
    let answered = file.answered?;
    if case.is_strained() || file.is_gone() {
        return None;
    }
    let other = match daemon {
        Daemon::Kubelet => Daemon::Runtime,
        Daemon::Runtime => Daemon::Kubelet,
    };
    let both = case.state.daemon(other).and_then(|other| other.answer.as_ref());
    let both = both.is_some_and(|other| other.what == Answer::Timeout);
    // A process that was continued, or has just been started, has to have had time to answer.
    let changed = file.process.as_ref().map(|process| process.at).filter(|at| *at > answer.at);
    let ripe = changed.map_or(answer.at, |at| at + START);
    let ripe = if both { ripe.max(answer.at + BOTH) } else { ripe };
    let ripe = case.state.stalled_last.map_or(ripe, |stalled| ripe.max(stalled + BOTH));
    let mut verdict = verdict(daemon, Confidence::Likely, answer.at)
        .headed(texts::node_daemon_hung(daemon.keyword()))
        .explained(texts::node_daemon_silent(daemon.keyword(), answered))
        .supported_by(daemon.interface(), answer.at, texts::node_daemon_no_answer());
    if let Some(process) = file.running() {
        verdict = verdict.supported_by(Source::Procfs, answer.at, format!("/proc/{}", process.pid));
    }
    Some((verdict, ripe))
}

/// Its socket is gone, or refuses, while its process runs on.
fn unreachable(daemon: Daemon, file: &DaemonFile) -> Option<(Verdict, Timestamp)> {
    let (answer, process) = (file.answer.as_ref()?, file.process.as_ref()?);
    let Answer::Refused(error) = &answer.what else { return None };
    let pid = process.what?.pid;
    let since = answer.at.max(process.at);
    // A process that has answered before does not start any more.
    let has_answered = file.answered.is_some_and(|answered| answered >= process.at);
    let ripe = since + if has_answered { REFUSES } else { START };
    let verdict = verdict(daemon, Confidence::Certain, since)
        .headed(texts::node_daemon_hung(daemon.keyword()))
        .explained(texts::node_daemon_unreachable(pid, super::worded(error)))
        .supported_by(daemon.interface(), answer.at, error)
        .supported_by(Source::Procfs, answer.at, format!("/proc/{pid}"));
    Some((verdict, ripe))
}

/// It answers that it does not get on.
fn unwell(daemon: Daemon, file: &DaemonFile) -> Option<(Verdict, Timestamp)> {
    let answer = file.answer.as_ref().filter(|answer| answer.what.is_stalled(daemon))?;
    let Answer::Unwell(message) = &answer.what else { return None };
    let verdict = verdict(daemon, Confidence::Certain, answer.at)
        .headed(texts::node_kubelet_stalled())
        .explained(texts::node_daemon_unwell(super::worded(message)))
        .supported_by(daemon.interface(), answer.at, message);
    Some((verdict, answer.at))
}
