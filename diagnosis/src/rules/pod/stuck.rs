//! A pod that is deleted and does not go.

use coroner_proto::v1::{Cause, Confidence};
use jiff::{SignedDuration, Timestamp};

use super::{Finding, PodCase};
use crate::{
    aspect::Aspect,
    case::ContainerFile,
    messages::{common, unwell},
    observation::{
        Source, cri,
        kube::{Deletion, State, Taint},
        node::Daemon,
    },
    rules::{
        death::CLOCKS,
        is_daemon_out,
        stopped::{STOP_SIGNALS, sent_by},
    },
    verdict::Verdict,
};

/// A pod may take so much longer than its grace period.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

/// A kubelet whose node is back has so long to look at all its pods.
const RETURN: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    let Some(deletion) = case.pod.deletion else { return Vec::new() };
    if case.file.gone.is_some() {
        return Vec::new();
    }
    // Without them the process was not asked to end.
    if [Daemon::Kubelet, Daemon::Runtime].into_iter().any(|daemon| is_daemon_out(case.node, daemon)) {
        return Vec::new();
    }
    let Some(due) = due(case, &deletion) else { return Vec::new() };
    // Once nothing runs any more, the kubelet sets the grace period to 0, and the deletion to now.
    let ripe = due + PATIENCE;
    let running: Vec<_> = case.pod.statuses.iter().filter(|s| matches!(s.state, State::Running { .. })).collect();
    let asked = case.file.deletion.unwrap_or(deletion).asked();
    let alive = running.iter().filter_map(|status| {
        let file = case.instance(&status.name)?;
        let ended = file.reported_exit().is_some() || file.cgroup_removed.is_some();
        let is_stuck = !ended && kubelet_acted(case, &status.name, file, asked);
        is_stuck.then(|| on_process(case, &status.name, file, deletion.due, ripe))
    });
    let alive: Vec<_> = alive.collect();
    if !alive.is_empty() || !running.is_empty() {
        return alive;
    }
    if case.pod.finalizers.is_empty() {
        return not_cleaned_up(case, deletion.due, asked, ripe).into_iter().collect();
    }
    let names = || case.pod.finalizers.iter().collect::<Vec<_>>();
    let verdict = Verdict::new(Cause::StuckOnFinalizer, Confidence::Certain, deletion.due)
        .not_fatal()
        .headed(unwell::stuck_finalizer())
        .explained(unwell::stuck_finalizers(names()))
        .supported_by(case.file.reporter(), deletion.due, unwell::stuck_finalizers_set(names()));
    vec![Finding { aspect: Aspect::Stop { container: String::new() }, verdict, ripe }]
}

/// Whether anything shows that the kubelet has acted on the deletion: the silence of one that is hung or gone is not
/// the process' fault.
fn kubelet_acted(case: PodCase<'_>, container: &str, file: &ContainerFile, asked: Timestamp) -> bool {
    let since = asked - CLOCKS;
    let reported = case.events("Killing", container).any(|known| known.last().is_some_and(|at| at >= since));
    let main = case.node.main_pid(file);
    let signalled = main.is_some_and(|pid| {
        let mut signals = case.node.processes.signals.of(pid, since, Timestamp::MAX);
        signals.any(|(_, signal)| signal.signal == 9 || STOP_SIGNALS.contains(&signal.signal))
    });
    let sent = file.runtime_kills.iter().any(|(at, _)| *at >= since);
    reported || signalled || sent || case.node.covered(Source::Kubelet, asked, case.now)
}

/// When the kubelet should have ended the pod: later, if it learned of the deletion only when its node was back. `None`
/// while the node does not respond: what it runs cannot be known then.
fn due(case: PodCase<'_>, deletion: &Deletion) -> Option<Timestamp> {
    let Some(node) = &case.node.objects.node else { return Some(deletion.due) };
    let lost = |taint: &Taint| taint.key == "node.kubernetes.io/unreachable";
    let ready = node.condition("Ready");
    if ready.is_some_and(|ready| ready.status.is_none()) || node.taints.iter().any(lost) {
        return None;
    }
    let since = ready.and_then(|ready| ready.since).filter(|since| *since > deletion.asked());
    let returned = since.map(|since| since + deletion.due.duration_since(deletion.asked()) + RETURN);
    Some(returned.map_or(deletion.due, |returned| returned.max(deletion.due)))
}

/// Nothing runs any more, and the kubelet reports that it cannot end the pod, as when its network is not taken down:
/// none of the causes, so its words are all there is.
fn not_cleaned_up(case: PodCase<'_>, due: Timestamp, asked: Timestamp, ripe: Timestamp) -> Option<Finding> {
    let known = case.file.events("FailedKillPod").next_back()?;
    let first = known.between(asked - CLOCKS, Timestamp::MAX).next()?;
    let verdict = Verdict::new(Cause::Unattributed, Confidence::Possible, due)
        .not_fatal()
        .headed(unwell::stuck_unknown())
        .explained(common::kubelet_keeps_trying(&known.event.message))
        .supported_by(known.source(), first, known.statement());
    Some(Finding { aspect: Aspect::Stop { container: String::new() }, verdict, ripe })
}

fn on_process(case: PodCase<'_>, name: &str, file: &ContainerFile, due: Timestamp, ripe: Timestamp) -> Finding {
    let main = case.node.main_pid(file);
    let killed = main.and_then(|pid| {
        let mut signals = case.node.processes.signals.of(pid, file.first_seen, Timestamp::MAX);
        signals.rfind(|(_, signal)| signal.signal == 9 && signal.reached())
    });
    let by_runtime = file.status.as_ref().is_some_and(|status| status.state == cri::State::Running);
    let confidence = if killed.is_some() || by_runtime { Confidence::Certain } else { Confidence::Likely };
    let mut verdict = Verdict::new(Cause::StuckOnProcess, confidence, due)
        .not_fatal()
        .headed(unwell::stuck_process())
        .explained(unwell::stuck_process_why())
        .supported_by(case.file.reporter(), due, unwell::stuck_overdue());
    if let Some((at, signal)) = killed {
        verdict = verdict.supported_by(Source::Signals, at, sent_by(signal));
    }
    if by_runtime {
        verdict = verdict.supported_by(Source::Cri, file.last_seen, "state CONTAINER_RUNNING");
    }
    Finding { aspect: Aspect::Stop { container: name.to_owned() }, verdict, ripe }
}
