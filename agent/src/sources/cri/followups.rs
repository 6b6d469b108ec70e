//! When to query again containers with an event of containerd that the CRI does not reflect yet.
//!
//! containerd's CRI plugin learns of a start or exit from the same events as we do and stores the new state some
//! milliseconds later (`internal/cri/server/events.go`); a reason may change from `Error` to `OOMKilled` still later.

use std::{collections::BTreeMap, time::Duration};

use coroner_diagnosis::observation::{
    containerd::{TaskEvent, TaskEventKind},
    cri::{ContainerId, State},
};
use tokio::time::Instant;

/// Delays in milliseconds between queries until the CRI reports what is expected: two seconds and a half in all.
const SETTLING: [u64; 9] = [5, 10, 20, 40, 80, 160, 320, 640, 1280];

/// Waits in milliseconds between questions after it has ended, for a reason that comes late.
const AFTERMATH: [u64; 2] = [1000, 5000];

/// Containers that may be in flux at once; the next listing sees those beyond.
const CAPACITY: usize = 1024;

/// What the CRI is expected to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Expected {
    Started,
    OutOfMemory,
    Ended,
    /// It did report the end.
    Nothing,
}

#[derive(Debug)]
struct Followup {
    at: Instant,
    expected: Expected,
    asked: usize,
}

/// Containers whose status is to be asked again, and when.
#[derive(Debug, Default)]
pub(super) struct Followups(BTreeMap<ContainerId, Followup>);

impl Followups {
    /// An event of containerd: whether it is worth a query about the container.
    pub(super) fn hint(&mut self, event: TaskEvent, now: Instant) {
        let expected = match event.kind {
            TaskEventKind::Start { .. } => Expected::Started,
            TaskEventKind::Oom => Expected::OutOfMemory,
            TaskEventKind::Exit { .. } if event.is_end() => Expected::Ended,
            TaskEventKind::Delete { .. } => Expected::Ended,
            TaskEventKind::Exit { .. } | TaskEventKind::ExecStarted { .. } => return,
        };
        if let Some(followup) = self.0.get_mut(&event.container) {
            followup.at = now;
            if expected > followup.expected {
                (followup.expected, followup.asked) = (expected, 0);
            }
        } else if self.0.len() < CAPACITY {
            self.0.insert(event.container, Followup { at: now, expected, asked: 0 });
        }
    }

    /// When the next container is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().map(|followup| followup.at).min()
    }

    /// A container whose question is due.
    pub(super) fn due(&self, now: Instant) -> Option<ContainerId> {
        self.0.iter().find(|(_, followup)| followup.at <= now).map(|(id, _)| id.clone())
    }

    /// The CRI answered; `None` if it did not know the container.
    pub(super) fn answered(&mut self, id: &ContainerId, answer: Option<(State, &str)>, now: Instant) {
        let Some(followup) = self.0.get_mut(id) else { return };
        let Some((state, reason)) = answer else {
            self.0.remove(id);
            return;
        };
        let ended = state == State::Exited;
        if ended && followup.expected < Expected::Nothing {
            (followup.expected, followup.asked) = (Expected::Nothing, 0);
        }
        let wait = match followup.expected {
            Expected::Started if state == State::Running => None,
            Expected::OutOfMemory if reason == "OOMKilled" => None,
            Expected::Started | Expected::OutOfMemory | Expected::Ended => SETTLING.get(followup.asked),
            Expected::Nothing => AFTERMATH.get(followup.asked),
        };
        match wait {
            Some(wait) => (followup.at, followup.asked) = (now + Duration::from_millis(*wait), followup.asked + 1),
            None => {
                self.0.remove(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: TaskEventKind) -> TaskEvent {
        TaskEvent { container: ContainerId("c1".to_owned()), kind }
    }

    fn exit(process_id: &str) -> TaskEvent {
        event(TaskEventKind::Exit { process_id: process_id.to_owned(), pid: 7, status: 137, exited_at: None })
    }

    /// Answers every question, as long as there are any; when they came, in milliseconds.
    fn questions(
        followups: &mut Followups,
        start: Instant,
        answer: impl Fn(u128) -> Option<(State, &'static str)>,
    ) -> Vec<u128> {
        let mut asked = vec![];
        while let Some(at) = followups.next() {
            let id = followups.due(at).unwrap();
            asked.push((at - start).as_millis());
            followups.answered(&id, answer((at - start).as_millis()), at);
        }
        asked
    }

    #[tokio::test]
    async fn an_exit_is_asked_about_at_once_until_the_cri_knows_it_and_twice_after() {
        let (mut followups, start) = (Followups::default(), Instant::now());
        followups.hint(exit("c1"), start);
        let answer = |at| Some(if at < 30 { (State::Running, "") } else { (State::Exited, "Error") });
        assert_eq!(questions(&mut followups, start, answer), [0, 5, 15, 35, 1035, 6035]);
    }

    #[tokio::test]
    async fn questions_end_when_the_cri_never_knows_it() {
        let (mut followups, start) = (Followups::default(), Instant::now());
        followups.hint(exit("c1"), start);
        assert_eq!(questions(&mut followups, start, |_| Some((State::Running, ""))).len(), SETTLING.len() + 1);
        followups.hint(exit("c1"), start);
        assert_eq!(questions(&mut followups, start, |_| None), [0]);
    }

    #[tokio::test]
    async fn the_end_of_an_exec_is_no_reason_to_ask() {
        let (mut followups, start) = (Followups::default(), Instant::now());
        followups.hint(exit("exec-1"), start);
        followups.hint(event(TaskEventKind::ExecStarted { exec_id: "exec-1".to_owned(), pid: 8 }), start);
        assert_eq!(followups.next(), None);
    }

    #[tokio::test]
    async fn a_start_and_a_memory_shortage_are_asked_about_until_the_cri_shows_them() {
        let (mut followups, start) = (Followups::default(), Instant::now());
        followups.hint(event(TaskEventKind::Start { pid: 7 }), start);
        let answer = |at| Some((if at < 5 { State::Created } else { State::Running }, ""));
        assert_eq!(questions(&mut followups, start, answer), [0, 5]);
        followups.hint(event(TaskEventKind::Oom), start);
        let answer = |at| Some((State::Running, if at < 10 { "" } else { "OOMKilled" }));
        assert_eq!(questions(&mut followups, start, answer), [0, 5, 15]);
    }
}
