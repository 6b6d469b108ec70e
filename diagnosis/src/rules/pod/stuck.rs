//! A pod that is deleted and does not go.

use coroner_proto::v1::{Cause, Confidence};
use jiff::{SignedDuration, Timestamp};

use super::{Finding, PodCase};
use crate::{
    aspect::Aspect,
    case::ContainerFile,
    observation::{Source, cri, kube::State},
    signal::signal_name,
    text,
    verdict::Verdict,
};

/// A pod may take so much longer than its grace period.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    let Some(deletion) = case.pod.deletion else { return Vec::new() };
    if case.file.gone.is_some() {
        return Vec::new();
    }
    // Once nothing runs any more, the kubelet sets the grace period to 0, and the deletion to now.
    let ripe = deletion.due + PATIENCE;
    let running: Vec<_> = case.pod.statuses.iter().filter(|s| matches!(s.state, State::Running { .. })).collect();
    let alive = running.iter().filter_map(|status| {
        let file = case.instance(&status.name)?;
        let ended = file.reported_exit().is_some() || file.cgroup_removed.is_some();
        (!ended).then(|| on_process(case, &status.name, file, deletion.due, ripe))
    });
    let alive: Vec<_> = alive.collect();
    if !alive.is_empty() || !running.is_empty() {
        return alive;
    }
    if case.pod.finalizers.is_empty() {
        return Vec::new();
    }
    let names = case.pod.finalizers.iter().map(|name| text::clean(name, 253)).collect::<Vec<_>>().join(", ");
    let verdict = Verdict::new(Cause::StuckOnFinalizer, Confidence::Certain, deletion.due)
        .not_fatal()
        .told(
            "Deleted, ended, and still there: a finalizer holds it",
            format!(
                "All of its containers have ended. The API server keeps it until whoever is responsible removes: \
                 {names}. That controller is gone, or does not get its work done."
            ),
        )
        .by(case.file.teller(), deletion.due, format!("metadata.finalizers: {names}; no container runs"));
    vec![Finding { aspect: Aspect::Stop { container: String::new() }, verdict, ripe }]
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
        .told(
            "Deleted, and a process does not end",
            "Its grace period is over, and its main process still runs, though nothing can refuse SIGKILL: it is in \
             an uninterruptible wait inside the kernel, as for a file system or a device that does not answer, or the \
             runtime cannot reach it.",
        )
        .by(case.file.teller(), due, "metadata.deletionTimestamp has passed; the container runs");
    if let Some((at, signal)) = killed {
        let said = format!("{} was sent to its main process (pid {})", signal_name(9), signal.target.tid);
        verdict = verdict.by(Source::Signals, at, said);
    }
    if by_runtime {
        verdict = verdict.by(Source::Cri, file.last_seen, "state CONTAINER_RUNNING");
    }
    Finding { aspect: Aspect::Stop { container: name.to_owned() }, verdict, ripe }
}
