//! What the demo does to its containers, and what a diagnosis must contain to count as explained.

use coroner_diagnosis::messages::Message;
use coroner_proto::v1::{Cause, Diagnosis};

use crate::messages::demo;

/// How a container of the demo comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    OomMain,
    OomChild,
    Segfault,
    Exit137,
    Kill9,
}

impl Scene {
    pub(crate) const ALL: [Self; 5] = [Self::OomMain, Self::OomChild, Self::Segfault, Self::Exit137, Self::Kill9];

    /// The name of its pod.
    pub(crate) const fn pod(self) -> &'static str {
        match self {
            Self::OomMain => "oom-main",
            Self::OomChild => "oom-child",
            Self::Segfault => "segfault",
            Self::Exit137 => "exit-137",
            Self::Kill9 => "kill-9",
        }
    }

    /// What happens in the scene, one phrase.
    pub(crate) fn story(self) -> Message {
        match self {
            Self::OomMain => demo::scene_oom_main(),
            Self::OomChild => demo::scene_oom_child(),
            Self::Segfault => demo::scene_segfault(),
            Self::Exit137 => demo::scene_exit_137(),
            Self::Kill9 => demo::scene_kill_9(),
        }
    }

    /// Whether this diagnosis explains it.
    pub(crate) fn is_explained_by(self, diagnosis: &Diagnosis) -> bool {
        let (cause, fatal) = match self {
            Self::OomMain => (Cause::OomContainerLimit, true),
            Self::OomChild => (Cause::OomContainerLimit, false),
            Self::Segfault => (Cause::CrashSegfault, true),
            Self::Exit137 => (Cause::ApplicationExit, true),
            Self::Kill9 => (Cause::KilledExternally, true),
        };
        self.is_about(diagnosis) && diagnosis.cause() == cause && diagnosis.fatal == fatal
    }

    /// Whether this diagnosis is about its pod.
    pub(crate) fn is_about(self, diagnosis: &Diagnosis) -> bool {
        diagnosis.subject.as_ref().is_some_and(|subject| subject.name == self.pod())
    }
}
