//! Ended by others: asked to stop through the runtime, or killed by a process outside of it.

use coroner_proto::v1::{Cause, Confidence, Message, StopRequester};
use jiff::{SignedDuration, Timestamp};

use super::{
    death::{CLOCKS, Death, Ending},
    manner::Manner,
    stop::{Request, can_have_obeyed, probe::inferred, request},
};
use crate::{
    case::KEPT_FOR,
    messages::{common, memory, next, stop},
    observation::{
        Source,
        cgroup::{self, Level},
        cri::{ContainerId, Pod},
        node::KUBELETS,
        trace::{SI_KERNEL, Signal},
    },
    text,
    verdict::{Evidence, Related, Verdict},
};

/// The kubelet's default termination grace period.
const DEFAULT_GRACE: u64 = 30;
/// What ends by itself within this time of a foreign SIGTERM obeyed it.
const OBEDIENCE: SignedDuration = SignedDuration::from_secs(10);
/// Programs that runtimes send signals with or from.
const RUNTIME_PROGRAMS: [&str; 8] =
    ["runc", "crun", "youki", "containerd", "containerd-shim", "dockerd", "conmon", "crio"];
/// The file of k3s, of which its containerd and its kubelet are parts.
const K3S: &str = "k3s";
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
    /// Any other process on the node.
    Other,
}

/// Who sent this signal to a process of the container.
pub(super) fn sender(death: &Death<'_>, signal: &Signal) -> Sender {
    let own = signal.sender.tid == signal.target.tid || death.file.processes.contains_key(&signal.sender_pid());
    if own && signal.signal != 9 {
        return Sender::Own;
    }
    if signal.code == SI_KERNEL {
        return Sender::Kernel;
    }
    if own {
        return Sender::Own;
    }
    let program = signal.sender_program();
    let runtime = RUNTIME_PROGRAMS.contains(&program)
        || is_kubelet(program)
        || program.starts_with("containerd-shim")
        || program.starts_with("runc:[");
    if runtime && !death.node.is_sent_from_container(signal) { Sender::Runtime } else { Sender::Other }
}

fn is_kubelet(program: &str) -> bool {
    program == K3S || KUBELETS.contains(&program)
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
    let (manner, stopped) = match (asked(death), killer) {
        (_, Some((at, signal, Sender::Other))) => return Some(killed_externally(death, at, signal)),
        (None, Some((at, signal, Sender::Own))) if is_from_another(death, signal) => {
            return Some(killed_externally(death, at, signal));
        }
        (Some(asked), Some((at, signal, Sender::Runtime))) => grace_exceeded(death, asked, (at, signal)),
        (Some(asked), _) => obeyed(death, asked),
        (None, Some((at, signal, Sender::Runtime))) => killed_at_once(death, at, signal),
        (None, _) => match terminated(death) {
            // A preStop hook ends the program so, before the runtime would ask it to stop.
            Some((at, signal)) if sender(death, signal) == Sender::Own && request_before(death, at).is_some() => {
                obeyed(death, (at, signal))
            }
            Some(sent) => return Some(terminated_externally(death, sent)),
            None => return unobserved(death),
        },
    };
    Some(match request(death) {
        Some(request) => {
            // A kill that no stop signal was seen before is that of the end of a grace period, or of no grace period. A
            // stop that the kubelet only announced may be an eviction.
            let unsure = request.cause.is_none() && (manner == Manner::Killed || request.by == StopRequester::Runtime);
            on_behalf(manner, stopped, request, !unsure)
        }
        None => on_whose_behalf(death, stopped),
    })
}

/// Signals were not observed, or are forgotten, but a request is known, and it ended as a container does that was asked
/// to stop.
fn unobserved(death: &Death<'_>) -> Option<Verdict> {
    let request = request(death).or_else(|| inferred(death))?;
    let observed = death.observed_signals_since(request.at);
    if observed && death.keeps_signals_since(request.at) || !can_have_obeyed(death, &request) {
        return None;
    }
    let code = death.code?;
    // A SIGKILL would have ended it at once, and so be on file.
    let (cause, manner, how) = match (code, observed) {
        (137, false) => (Cause::GracePeriodExceeded, Manner::Killed, stop::stop_unobserved_kill()),
        (_, false) => (Cause::StoppedByRequest, Manner::Obeyed, stop::stop_unobserved()),
        (_, true) => (Cause::StoppedByRequest, Manner::Obeyed, stop::stop_forgotten(KEPT_FOR)),
    };
    let mut verdict = Verdict::new(cause, Confidence::Likely, death.at).explained(how);
    let by_code = if matches!(code, 137 | 143) { code - 128 } else { 0 };
    verdict.exit = death.exit(if observed { signal_number(death) } else { by_code });
    if !observed {
        verdict = verdict.without(Source::Signals);
    }
    verdict.process = death.main_process();
    Some(on_behalf(manner, not_for_memory(death, verdict), request, false).waiting())
}

/// Names who asked. A request that is a cause by itself replaces the manner in which it was obeyed.
fn on_behalf(manner: Manner, mut verdict: Verdict, request: Request, observed: bool) -> Verdict {
    verdict.requested_by = request.by;
    if observed {
        verdict.candidates.clear();
    }
    verdict.contributing.extend(request.contributing);
    verdict.headline = match request.cause {
        Some(cause) => {
            verdict.cause = cause;
            request.headline
        }
        None => manner.headline(Some(request.headline)),
    };
    verdict.explanation.splice(..0, request.explanation);
    verdict.confidence = if observed { Confidence::Certain } else { Confidence::Likely };
    verdict.supported(request.evidence)
}

/// The sandbox had ended before the container was stopped: it took the container along.
fn sandbox_died(death: &Death<'_>, killer: Option<Sender>) -> Option<Verdict> {
    let sandbox = death.sandbox_end()?;
    let by_no_other = matches!(killer, Some(Sender::Runtime | Sender::Kernel)) || asked(death).is_some();
    let first_touch = death.signals.iter().find(|(_, s)| s.reached()).map(|(at, _)| *at);
    if !by_no_other || first_touch.is_some_and(|at| at < sandbox.at) {
        return None;
    }
    let mut verdict = Verdict::new(Cause::SandboxDied, Confidence::Likely, death.at)
        .headed(stop::sandbox_died())
        .explained(stop::sandbox_died_why(sandbox.what))
        .supported_by(death.file.events_by, sandbox.at, stop::sandbox_exit(sandbox.what));
    if let Some((at, signal)) = death.signals.iter().find(|(_, s)| s.reached()) {
        verdict = verdict.supported_by(Source::Signals, *at, sent_by(signal));
    }
    verdict.exit = death.exit(signal_number(death));
    verdict.process = death.main_process();
    Some(verdict)
}

fn grace_exceeded(death: &Death<'_>, asked: (Timestamp, &Signal), killed: (Timestamp, &Signal)) -> (Manner, Verdict) {
    let waited = killed.0.duration_since(asked.0);
    let signal = asked.1.signal;
    let how = match death.covered(Source::KernelLog) {
        // It kills what is left in the cgroup of a pod that it removes.
        _ if is_kubelet(killed.1.sender_program()) => stop::stop_ignored_kubelet(signal, waited),
        true => stop::stop_ignored(signal, waited),
        false => stop::stop_ignored_unsure(signal, waited),
    };
    let manner = Manner::KilledAfter(waited);
    let verdict = Verdict::new(Cause::GracePeriodExceeded, Confidence::Likely, death.at)
        .headed(manner.headline(None))
        .explained(how)
        .supported_by(Source::Signals, asked.0, sent_by(asked.1))
        .supported_by(Source::Signals, killed.0, sent_by(killed.1));
    (manner, by_runtime(death, not_for_memory(death, verdict), 9))
}

/// The runtime acts for a client that only the kubelet and the Pod's status can name; without them it is never certain.
/// It was no probe where the container is known to have none.
pub(super) fn on_whose_behalf(death: &Death<'_>, verdict: Verdict) -> Verdict {
    let object = death.node.pod_of(death.file).and_then(|pod| pod.object());
    let wanted = object.zip(death.file.name()).and_then(|(pod, name)| pod.container(name));
    let unknown = verdict.cause == Cause::StoppedByRequest;
    let verdict = verdict.next(unknown.then(next::next_stop_intended));
    match wanted {
        Some(wanted) if wanted.probes.liveness.is_none() && wanted.probes.startup.is_none() => verdict,
        _ => verdict.or_else(Cause::LivenessProbeFailed, common::decided_by_events()),
    }
}

fn obeyed(death: &Death<'_>, asked: (Timestamp, &Signal)) -> (Manner, Verdict) {
    let took = death.at.duration_since(asked.0).max(SignedDuration::ZERO);
    let verdict = Verdict::new(Cause::StoppedByRequest, Confidence::Likely, death.at)
        .headed(Manner::Obeyed.headline(None))
        .explained(stop::stop_obeyed_after(asked.1.signal, took))
        .supported_by(Source::Signals, asked.0, sent_by(asked.1));
    (Manner::Obeyed, by_runtime(death, verdict, signal_number(death)))
}

/// What all ends by the runtime have in common.
fn by_runtime(death: &Death<'_>, mut verdict: Verdict, signal: i32) -> Verdict {
    verdict.requested_by = StopRequester::Runtime;
    verdict.exit = death.exit(signal);
    verdict.process = death.main_process();
    verdict
}

/// The pod's grace period, where the runtime knows it.
pub(super) fn grace(death: &Death<'_>) -> SignedDuration {
    let grace = death.file.status.as_ref().and_then(|s| s.grace_period_seconds).unwrap_or(DEFAULT_GRACE);
    SignedDuration::from_secs(i64::try_from(grace).unwrap_or(i64::MAX)).min(SignedDuration::from_hours(24))
}

/// SIGKILL from the runtime without a request before it.
fn killed_at_once(death: &Death<'_>, at: Timestamp, signal: &Signal) -> (Manner, Verdict) {
    let from = at - grace(death) - CLOCKS;
    let watched = death.observed_signals_since(from) && death.keeps_signals_since(from);
    let (cause, manner, how) = match watched {
        true => (Cause::StoppedByRequest, Manner::AtOnce, stop::stop_without_signal()),
        false => (Cause::GracePeriodExceeded, Manner::Killed, stop::stop_before_unknown()),
    };
    let mut verdict = Verdict::new(cause, Confidence::Likely, death.at)
        .headed(manner.headline(None))
        .explained(how)
        .supported_by(Source::Signals, at, sent_by(signal));
    if !watched {
        verdict = verdict.or_else(Cause::StoppedByRequest, stop::stop_looks_alike());
    }
    (manner, by_runtime(death, not_for_memory(death, verdict), 9))
}

fn killed_externally(death: &Death<'_>, at: Timestamp, signal: &Signal) -> Verdict {
    let (name, number) = (text::clean(&signal.sender.comm, 16), signal.signal);
    let container = container_of_sender(death, signal);
    let (headline, how, other) = match container {
        Some((pod, container)) if Some(pod) == death.file.pod() && Some(container) == death.file.name() => {
            (stop::killed_from_inside(name, number), stop::killed_from_inside_sender(sender_of(signal), number), None)
        }
        Some((pod, container)) if Some(pod) == death.file.pod() => (
            stop::killed_by_sibling(name, number, text::clean(container, 18)),
            stop::killed_by_container_sender(sender_of(signal), number, container),
            None,
        ),
        Some((pod, container)) => {
            let sent = Evidence::new(Source::Signals, at, sent_by(signal));
            let other = Related::new(Some(pod), container, sent);
            (stop::killed_by_container(name, number), stop::killed_by_other_pod(sender_of(signal), number), Some(other))
        }
        None => (stop::killed_by(name, number), stop::killed_by_sender(sender_of(signal), number), None),
    };
    // A runtime's program may have ended before it was looked at.
    let confidence = if signal.sender_is_known() { Confidence::Certain } else { Confidence::Likely };
    let mut verdict = Verdict::new(Cause::KilledExternally, confidence, death.at)
        .headed(headline)
        .explained(how)
        .next(container.map(|_| next::next_sender_in_container()))
        .supported_by(Source::Signals, at, sent_by(signal));
    verdict = not_for_memory(death, verdict);
    verdict.related.extend(other);
    verdict.requested_by = StopRequester::External;
    verdict.exit = death.exit(signal_number(death));
    verdict.process = death.main_process();
    verdict
}

/// The pod and the container in which the sender of a signal runs, if it is in one.
fn container_of_sender<'a>(death: &Death<'a>, signal: &Signal) -> Option<(&'a Pod, &'a str)> {
    let by_cgroup = || match cgroup::Path(signal.sender_process.as_ref()?.cgroup.clone()?).level() {
        Level::Container { container_id, .. } => Some(ContainerId(container_id)),
        _ => None,
    };
    let id = death.node.owner(signal.sender_pid()).cloned().or_else(by_cgroup)?;
    let file = death.node.registry.container(&id)?;
    Some((file.pod()?, file.name()?))
}

/// The fatal signal of another process than the runtime's that the main process obeyed.
fn terminated<'a>(death: &Death<'a>) -> Option<(Timestamp, &'a Signal)> {
    let is_foreign = |signal: &Signal| match sender(death, signal) {
        Sender::Other => true,
        Sender::Own => is_from_another(death, signal),
        Sender::Kernel | Sender::Runtime => false,
    };
    let fatal = |signal: &Signal| signal.signal != 9 && signal.reached() && is_foreign(signal);
    let (at, signal) = *death.signals.iter().rev().find(|(_, signal)| fatal(signal))?;
    let ended_by = match death.ending() {
        Ending::Signal(number) => number == signal.signal,
        Ending::Exit(code) => code == 128 + signal.signal || death.at.duration_since(at) <= OBEDIENCE,
        Ending::Unknown => death.code == Some(128 + signal.signal),
    };
    (ended_by && death.at.duration_since(at) <= OBEDIENCE).then_some((at, signal))
}

/// Whether a signal from the container itself came from another process of it, as one that `kubectl exec` started.
fn is_from_another(death: &Death<'_>, signal: &Signal) -> bool {
    signal.sender.tid != signal.target.tid && Some(signal.sender_pid()) != death.main
}

/// The request to stop that precedes a signal.
fn request_before(death: &Death<'_>, at: Timestamp) -> Option<Request> {
    request(death).filter(|request| request.at <= at + CLOCKS)
}

fn terminated_externally(death: &Death<'_>, (at, signal): (Timestamp, &Signal)) -> Verdict {
    let mut verdict = killed_externally(death, at, signal);
    // It handled the signal, and may have ended for another reason.
    let handled = matches!(death.ending(), Ending::Exit(code) if code != 128 + signal.signal);
    if handled {
        verdict.confidence = Confidence::Likely;
        verdict = verdict.or_else(Cause::ApplicationExit, common::decided_by_own_log());
    }
    verdict
}

/// That the kernel did not kill it for memory, where that can be known.
pub(super) fn not_for_memory(death: &Death<'_>, verdict: Verdict) -> Verdict {
    if !death.covered(Source::KernelLog) {
        return verdict;
    }
    let statement = match (death.file.samples.peak.filter(|peak| *peak > 0), death.file.memory_limit().flatten()) {
        (Some(peak), Some(limit)) => memory::oom_not_observed_peak_of(peak, limit),
        (Some(peak), None) => memory::oom_not_observed_peak(peak),
        (None, _) => memory::oom_not_observed(),
    };
    verdict.against(Source::KernelLog, death.at, statement)
}

fn signal_number(death: &Death<'_>) -> i32 {
    match death.ending() {
        Ending::Signal(number) => number,
        Ending::Exit(_) | Ending::Unknown => 0,
    }
}

fn sender_of(signal: &Signal) -> Message {
    if signal.code == SI_KERNEL {
        return common::sender_kernel();
    }
    let (sender, pid) = (signal.sender_process.as_ref(), signal.sender_pid());
    let name = text::clean(&signal.sender.comm, 32);
    match sender.and_then(|process| process.exe.as_deref()) {
        Some(program) => common::sender_program(name, pid, text::clean(program, 128)),
        None => common::sender(name, pid),
    }
}

/// A signal with its target and its sender, as evidence.
pub(super) fn sent_by(signal: &Signal) -> Message {
    let target = text::clean(&signal.target.comm, 32);
    common::signal_sent(signal.signal, target, signal.target.tid, sender_of(signal))
}
