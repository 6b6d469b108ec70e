//! Which pods are in trouble, so that their events may explain something.

use std::time::Duration;

use coroner_diagnosis::observation::kube::{Change, Pod, State};
use jiff::Timestamp;

/// A container that starts has so long before its events are asked for.
const START: Duration = Duration::from_secs(10);
/// An end, or a restart, is recent for so long: as long as a verdict about it may still change.
const RECENT: Duration = Duration::from_mins(10);
/// Events of a pod that is gone may still come for so long.
const AFTERWARDS: Duration = Duration::from_mins(2);

/// The time during which a pod is in trouble, as far as it is known now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) from: Timestamp,
    /// `None`: for as long as the pod stays as it is.
    pub(super) until: Option<Timestamp>,
    /// Whether the pod has been deleted from the API server.
    pub(super) gone: bool,
}

/// The trouble of a pod, if there is or will be any while it stays as it is.
pub(super) fn of(change: Change, pod: &Pod, now: Timestamp) -> Option<Trouble> {
    if change == Change::Deleted {
        return Some(Trouble { from: now, until: Some(now + AFTERWARDS), gone: true });
    }
    let mut spells = Vec::new();
    if pod.deletion.is_some() {
        spells.push((now, None));
    }
    if pod.phase == "Pending" {
        spells.push((pod.started.unwrap_or(now) + START, None));
    }
    if pod.phase == "Failed" {
        let ended = pod.conditions.iter().filter_map(|condition| condition.since).max();
        spells.push((now, Some(ended.unwrap_or(now) + RECENT)));
    }
    for status in &pod.statuses {
        match &status.state {
            State::Waiting { reason, .. } if matches!(&**reason, "" | "ContainerCreating" | "PodInitializing") => {}
            State::Waiting { .. } => spells.push((now, None)),
            State::Terminated(ended) if ended.code != 0 => {
                spells.push((now, Some(ended.finished.unwrap_or(now) + RECENT)));
            }
            State::Running { since } if !status.ready => spells.push((since.unwrap_or(now) + START, None)),
            State::Terminated(_) | State::Running { .. } => {}
        }
        if let Some(finished) = status.last.as_ref().and_then(|last| last.finished) {
            spells.push((now, Some(finished + RECENT)));
        }
    }
    let lasting = |(_, until): &(Timestamp, Option<Timestamp>)| until.is_none_or(|until| until > now);
    spells.retain(lasting);
    let from = spells.iter().map(|(from, _)| *from).min()?;
    let until = spells.iter().map(|(_, until)| *until).reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b))).flatten();
    Some(Trouble { from: from.max(now), until, gone: false })
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::observation::kube::{ContainerStatus, Deletion, Terminated};

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_795_000_000, 0);

    fn pod(phase: &str, status: ContainerStatus) -> Pod {
        Pod { phase: phase.to_owned(), statuses: vec![status], ..Pod::default() }
    }

    fn running(ready: bool, since: Timestamp) -> ContainerStatus {
        ContainerStatus { ready, state: State::Running { since: Some(since) }, ..ContainerStatus::default() }
    }

    fn ended(code: i32, finished: Timestamp) -> Terminated {
        Terminated { code, finished: Some(finished), ..Terminated::default() }
    }

    fn waiting(reason: &str) -> ContainerStatus {
        let state = State::Waiting { reason: reason.to_owned(), message: String::new() };
        ContainerStatus { state, ..ContainerStatus::default() }
    }

    fn trouble(pod: &Pod) -> Option<(Timestamp, Option<Timestamp>)> {
        of(Change::Applied, pod, NOW).map(|trouble| (trouble.from, trouble.until))
    }

    #[test]
    fn what_is_wrong_now_is_trouble_for_as_long_as_it_lasts() {
        assert_eq!(trouble(&pod("Running", waiting("CrashLoopBackOff"))), Some((NOW, None)));
        assert_eq!(trouble(&pod("Pending", waiting("ErrImagePull"))), Some((NOW, None)));
        let mut deleted = pod("Running", running(true, NOW - RECENT));
        deleted.deletion = Some(Deletion { due: NOW, grace_seconds: 30 });
        assert_eq!(trouble(&deleted), Some((NOW, None)));
        assert_eq!(trouble(&pod("Running", running(false, NOW - RECENT))), Some((NOW, None)));
    }

    #[test]
    fn a_start_is_trouble_when_it_takes_long() {
        assert_eq!(trouble(&pod("Running", running(false, NOW))), Some((NOW + START, None)));
        let mut pending = pod("Pending", waiting("ContainerCreating"));
        pending.started = Some(NOW);
        assert_eq!(trouble(&pending), Some((NOW + START, None)));
    }

    #[test]
    fn what_went_wrong_is_trouble_for_a_while() {
        let earlier = NOW - RECENT / 2;
        let mut restarted = running(true, earlier);
        (restarted.restarts, restarted.last) = (1000, Some(ended(1, earlier)));
        assert_eq!(trouble(&pod("Running", restarted.clone())), Some((NOW, Some(earlier + RECENT))));
        restarted.last = Some(ended(1, NOW - RECENT));
        assert_eq!(trouble(&pod("Running", restarted)), None, "a restart is no trouble for life");
        let failed =
            |finished| ContainerStatus { state: State::Terminated(ended(1, finished)), ..ContainerStatus::default() };
        assert_eq!(trouble(&pod("Running", failed(earlier))), Some((NOW, Some(earlier + RECENT))));
        assert_eq!(trouble(&pod("Running", failed(NOW - RECENT))), None);
    }

    #[test]
    fn who_is_well_or_done_is_in_no_trouble_and_who_is_gone_not_for_long() {
        assert_eq!(trouble(&pod("Running", running(true, NOW - RECENT))), None);
        let done = ContainerStatus { state: State::Terminated(ended(0, NOW)), ..ContainerStatus::default() };
        assert_eq!(trouble(&pod("Succeeded", done)), None);
        let gone = of(Change::Deleted, &pod("Running", running(true, NOW)), NOW).unwrap();
        assert_eq!((gone.until, gone.gone), (Some(NOW + AFTERWARDS), true));
    }
}
