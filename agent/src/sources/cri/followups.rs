//! When to ask again about containers of which containerd said something that the CRI has not heard yet.
//!
//! containerd's CRI plugin learns of a start or exit from the same events as we do and stores the new state some milliseconds later
//! (`internal/cri/server/events.go`); a reason may change from `Error` to `OOMKilled` still later.

use std::{collections::BTreeMap, time::Duration};

use coroner_diagnosis::{
    containerd::{TaskEvent, TaskEventKind},
    cri::{ContainerId, State},
};
use tokio::time::Instant;

/// Waits in milliseconds between questions until the CRI says what is expected: two seconds and a half in all.
const SETTLING: [u64; 9] = [5, 10, 20, 40, 80, 160, 320, 640, 1280];

/// Waits in milliseconds between questions after it has ended, for a reason that comes late.
const AFTERMATH: [u64; 2] = [1000, 5000];

/// Containers that may be in flux at once; the next listing sees those beyond.
const CAPACITY: usize = 1024;

/// What the CRI is expected to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Expected {
    Started,
    OutOfMemory,
    Ended,
    /// It did say that it ended.
    Nothing,
}

#[derive(Debug)]
struct Followup {
    at: Instant,
    expected: Expected,
    asked: usize,
}

/// What is to be asked, and when.
#[derive(Debug, Default)]
pub(super) struct Followups(BTreeMap<ContainerId, Followup>);

impl Followups {
    /// containerd said something: whether it is worth a question about the container.
    pub(super) fn hint(&mut self, event: TaskEvent, now: Instant) {
        let expected = match event.kind {
            TaskEventKind::Start { .. } => Expected::Started,
            TaskEventKind::Oom => Expected::OutOfMemory,
            TaskEventKind::Exit { process_id, .. } if process_id == event.container.0 => Expected::Ended,
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

    /// When the next question is due.
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
