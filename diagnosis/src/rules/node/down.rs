//! A daemon has no process, or ends again soon after each start.

use coroner_proto::v1::{Cause, Confidence};
use jiff::{SignedDuration, Timestamp};

use super::{Finding, NodeCase};
use crate::{
    aspect::Aspect,
    case::DaemonFile,
    messages::node as texts,
    observation::{
        Source,
        node::{Answer, Daemon},
        process::WaitStatus,
    },
    rules::{death::CLOCKS, stopped::sent_by},
    verdict::Verdict,
};

/// A service manager starts a daemon again within this time when it is restarted on purpose.
const RESTART: SignedDuration = SignedDuration::from_millis(500);
/// One that was asked to stop may be about to be upgraded, or its host to be shut down.
const ASKED: SignedDuration = SignedDuration::from_secs(10);
/// What refuses connections for so long is not being restarted on purpose.
const REFUSES: SignedDuration = SignedDuration::from_secs(10);
/// So many ends without a healthy answer between them are no restart on purpose.
const LOOP: usize = 3;

pub(super) fn findings(case: NodeCase<'_>) -> Vec<Finding> {
    // What a shutdown of the host stops has not failed.
    if case.is_shutting_down() {
        return Vec::new();
    }
    [Daemon::Kubelet, Daemon::Runtime].into_iter().filter_map(|daemon| finding(case, daemon)).collect()
}

fn finding(case: NodeCase<'_>, daemon: Daemon) -> Option<Finding> {
    let file = case.state.daemon(daemon)?;
    let (verdict, ripe) =
        gone(case, daemon, file).or_else(|| loops(case, daemon, file)).or_else(|| refuses(daemon, file))?;
    let verdict = match file.last_lines.last() {
        Some(line) => verdict.explained(texts::node_daemon_last_line(line)),
        None => verdict,
    };
    let verdict = verdict.explained(texts::node_daemon_effect(daemon.keyword()));
    Some(Finding { aspect: Aspect::Node(daemon.into()), verdict, ripe })
}

pub(super) fn cause(daemon: Daemon) -> Cause {
    match daemon {
        Daemon::Kubelet => Cause::KubeletDown,
        Daemon::Runtime => Cause::RuntimeDown,
    }
}

/// /proc is the kernel's own, and the agent has seen the process end.
fn gone(case: NodeCase<'_>, daemon: Daemon, file: &DaemonFile) -> Option<(Verdict, Timestamp)> {
    let ended = file.ended.as_ref().filter(|_| file.is_gone())?;
    let (pid, at) = (ended.what, ended.at);
    let mut statuses = case.node.processes.exits.of(pid, at - CLOCKS, at + CLOCKS);
    let status = statuses.next_back().map(|(_, status)| *status);
    let mut signals = case.node.processes.signals.of(pid, at - CLOCKS, at + CLOCKS);
    let signal = signals.rfind(|(_, signal)| signal.reached() && matches!(signal.signal, 2 | 3 | 6 | 9 | 15));
    let how = match (status, signal) {
        (Some(WaitStatus::Exited(code)), _) => texts::node_daemon_exited(pid, i32::from(code)),
        (Some(WaitStatus::Signaled(signal)), _) => texts::node_daemon_ended_signal(pid, i32::from(signal)),
        (None, Some((_, signal))) if signal.signal == 9 => texts::node_daemon_ended_signal(pid, 9),
        (None, Some((_, signal))) if signal.signal == 15 => texts::node_daemon_ended_asked(pid),
        (None, _) => texts::node_daemon_ended(pid),
    };
    let mut verdict = Verdict::new(cause(daemon), Confidence::Certain, at)
        .not_fatal()
        .headed(texts::node_daemon_down(daemon.keyword()))
        .explained(how)
        .supported_by(Source::Procfs, at, texts::node_daemon_no_process(daemon.keyword()));
    if let Some((at, signal)) = signal {
        verdict = verdict.supported_by(Source::Signals, at, sent_by(signal));
    }
    if let Some(answer) = &file.answer
        && let Answer::Refused(error) = &answer.what
    {
        verdict = verdict.supported_by(daemon.interface(), answer.at, error);
    }
    let is_asked = signal.is_some_and(|(_, signal)| signal.signal == 15 && !case.node.is_sent_from_container(signal));
    Some((verdict, at + if is_asked { ASKED } else { RESTART }))
}

/// It has a process just now, or none can be seen, and none before it became healthy.
fn loops(case: NodeCase<'_>, daemon: Daemon, file: &DaemonFile) -> Option<(Verdict, Timestamp)> {
    let ends: Vec<_> = file.recent_ends(case.now).collect();
    let (first, last) = (*ends.first()?, *ends.last()?);
    if ends.len() < LOOP || file.answered.is_some_and(|answered| answered >= last) {
        return None;
    }
    let count = i64::try_from(ends.len()).unwrap_or(i64::MAX);
    let verdict = Verdict::new(cause(daemon), Confidence::Certain, first)
        .not_fatal()
        .headed(texts::node_daemon_loops(daemon.keyword()))
        .explained(texts::node_daemon_loops_why(count))
        .supported_by(Source::Procfs, last, texts::node_daemon_no_process(daemon.keyword()));
    Some((verdict, last))
}

/// Where no process can be seen, only its interface shows that it is gone: it has answered before, and from the same
/// place.
fn refuses(daemon: Daemon, file: &DaemonFile) -> Option<(Verdict, Timestamp)> {
    let answer = file.answer.as_ref()?;
    let Answer::Refused(error) = &answer.what else { return None };
    if file.process.is_some() || file.answered.is_none() {
        return None;
    }
    let verdict = Verdict::new(cause(daemon), Confidence::Likely, answer.at)
        .not_fatal()
        .headed(texts::node_daemon_down(daemon.keyword()))
        .explained(texts::node_daemon_refuses(super::worded(error)))
        .supported_by(daemon.interface(), answer.at, error);
    Some((verdict, answer.at + REFUSES))
}
