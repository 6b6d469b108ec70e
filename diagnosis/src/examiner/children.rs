//! Kills of processes in containers that go on: reported one by one, or counted; and of those that ended by one.

use coroner_proto::v1::Diagnosis;
use jiff::{SignedDuration, Timestamp};

use super::{
    Examiner, Nameless, SETTLE, is_process,
    kills::{ONE_BY_ONE, STORM},
};
use crate::{
    aspect::Aspect,
    case::Subject,
    explanation::{Reason, Wait},
    observation::{Source, cri::ContainerId},
    rules::{self, ChildKilled},
    verdict::Verdict,
};

/// A runtime that is only listed reports an end within this time: until then, a kill that the counter of a cgroup shows
/// may have ended its container.
const GOES_ON: SignedDuration = SignedDuration::from_secs(30);
/// Of a process that was killed and that no source has reported.
const UNKNOWN_PID: i32 = 0;

/// When the kill was that a verdict is about: the kill of this process, or of the child that an end followed from.
fn killed_at(verdict: &Verdict) -> Timestamp {
    verdict.begun_by.as_ref().map_or(verdict.at, |begun| begun.at)
}

/// The kills in one container that did not end it.
pub(super) struct Children {
    pub(super) killed: Vec<ChildKilled>,
    /// No end of the container is known.
    pub(super) runs: bool,
    pub(super) named: bool,
    pub(super) nameless: Nameless,
}

impl Examiner {
    /// Reports kills in a container as far as they do not wait for anything.
    pub(super) fn report_children(
        &mut self,
        id: &ContainerId,
        subject: &Subject,
        Children { killed, runs, named, nameless }: Children,
        diagnoses: &mut Vec<Diagnosis>,
    ) {
        let times: Vec<_> = killed.iter().map(|child| child.verdict.at).collect();
        for child in killed {
            let ready = child.verdict.at + SETTLE;
            // The tracepoint is faster than the log, whose time of the kill is part of the uid. It also reports a
            // process that was found exiting already: of such the kernel writes no line and counts no kill
            // (mm/oom_kill.c, oom_kill_process).
            let unwritten = child.boot_micros.is_none();
            let log_read = |from, to| self.file.covered(Source::KernelLog, from, to);
            // What only the log reports waits for a second source; and the kill of one process alone, in case the
            // container ends by it: then it is part of that.
            let hold = if unwritten { log_read(self.now, self.now) } else { child.verdict.waits };
            let together = times.iter().filter(|at| at.duration_since(child.verdict.at).abs() <= SETTLE).count();
            let may_end = runs && together == 1;
            if (hold || may_end || !named) && self.now < ready {
                let wait = match hold {
                    true if unwritten => Wait::KernelLine,
                    true => Wait::Absence,
                    false if may_end => Wait::End,
                    false => Wait::Name,
                };
                self.hold(subject, &child.aspect(), child.verdict.cause, ready, wait);
            } else if unwritten && log_read(child.verdict.at - SETTLE, ready) {
                continue;
            } else if named || nameless.may_be_reported(&child.verdict) {
                self.report_child(id, subject, child, named, diagnoses);
            }
        }
    }

    /// Reported by the tracepoint alone, a kill stays what it was when its line is read at last.
    fn aspect_of(&self, subject: &Subject, child: &ChildKilled) -> Aspect {
        let unwritten = Aspect::Process { pid: child.pid, boot_micros: None };
        let is_same = |known: &Verdict| killed_at(known).duration_since(child.verdict.at).abs() < SETTLE;
        let by_tracepoint =
            self.revisions.get(subject, &unwritten).is_some_and(|known| is_same(&known.content.verdict));
        if by_tracepoint { unwritten } else { child.aspect() }
    }

    /// An end that follows from the kill of a child, which was reported by then, is the next revision of that.
    pub(super) fn aspect_of_end(&self, subject: &Subject, verdict: &Verdict) -> Aspect {
        let begun = verdict.begun_by.as_ref().filter(|begun| verdict.at.duration_since(begun.at) > SETTLE);
        let Some(Aspect::Process { pid, .. }) = begun.map(|begun| &begun.aspect) else { return Aspect::End };
        if self.revisions.get(subject, &Aspect::End).is_some() {
            return Aspect::End;
        }
        let unwritten = Aspect::Process { pid: *pid, boot_micros: None };
        let by_tracepoint = self.revisions.get(subject, &unwritten).map(|known| killed_at(&known.content.verdict));
        match (by_tracepoint, begun) {
            (Some(at), Some(begun)) if begun.at.duration_since(at).abs() < SETTLE => unwritten,
            (_, Some(begun)) => begun.aspect.clone(),
            (_, None) => Aspect::End,
        }
    }

    /// Reports a kill in a container that lives on, or only counts it when there are too many.
    fn report_child(
        &mut self,
        id: &ContainerId,
        subject: &Subject,
        child: ChildKilled,
        named: bool,
        diagnoses: &mut Vec<Diagnosis>,
    ) {
        let aspect = self.aspect_of(subject, &child);
        let ChildKilled { pid, verdict, .. } = child;
        if self.revisions.get(subject, &aspect).is_some() {
            return self.report(subject, &aspect, verdict, named, diagnoses);
        }
        let at = verdict.at;
        let kills = self.kills.entry(id.clone()).or_default();
        if !kills.is_new(pid, at) {
            return;
        }
        let since = self.now - STORM;
        let recent =
            self.revisions.of(subject).filter(|(aspect, known)| is_process(aspect) && known.first_seen() > since);
        if recent.count() < ONE_BY_ONE {
            return self.report(subject, &aspect, verdict, named, diagnoses);
        }
        kills.count(pid, at);
        self.count(subject, 1);
    }

    /// In a storm some victims end before their container is known. The counter of their cgroup knows them:
    /// what it counted beyond those that were reported is reported with the newest of them, once nothing more comes;
    /// and by itself where there is none, as without the kernel log, once it is known that the container goes on.
    pub(super) fn count_unnamed(
        &mut self,
        id: &ContainerId,
        subject: &Subject,
        named: bool,
        diagnoses: &mut Vec<Diagnosis>,
    ) {
        let Some(file) = self.file.registry.container(id) else { return };
        let kills = &file.samples.oom_kills;
        let Some((_, grown)) = kills.grown().or_else(|| kills.watched().map(|(first, _)| (first, first))) else {
            return;
        };
        // Of a cgroup that was made under our eyes, every kill is ours to report; else those since the first look.
        let whole = file.task_started.is_some();
        let counted = if whole { kills.count().unwrap_or(0) } else { kills.growth() };
        let known = self.kills.get(id).map_or(0, |kills| kills.known);
        let unnamed = counted.saturating_sub(known);
        // A kill that ended the container is reported with its end.
        let for_memory = |verdict: &Verdict| verdict.fatal && verdict.memory.is_some();
        let with_end = self.revisions.of(subject).any(|(_, known)| for_memory(&known.content.verdict));
        if unnamed == 0 || with_end || known == 0 && (file.ended_at().is_some() || !named) {
            return;
        }
        let ready = grown + if known == 0 { GOES_ON } else { SETTLE };
        if self.now < ready {
            return self.waiting.wait(subject, ready);
        }
        let more = if known == 0 {
            let Some(verdict) = rules::counted_kills(&self.file, file, grown, unnamed) else { return };
            let aspect = Aspect::Process { pid: UNKNOWN_PID, boot_micros: None };
            self.report(subject, &aspect, verdict, named, diagnoses);
            unnamed - 1
        } else {
            unnamed
        };
        self.kills.entry(id.clone()).or_default().count_unnamed(unnamed, grown);
        self.count(subject, u32::try_from(more).unwrap_or(u32::MAX));
    }

    /// Counts more kills into the newest that was reported.
    fn count(&mut self, subject: &Subject, kills: u32) {
        let processes = self.revisions.of(subject).filter(|(aspect, _)| is_process(aspect));
        let newest = processes.max_by_key(|(_, known)| known.first_seen()).map(|(aspect, _)| aspect.clone());
        if let Some(aspect) = newest {
            self.revisions.count(subject, &aspect, kills);
        }
    }

    /// Reports kills that were only counted, now and then.
    pub(super) fn report_counts(&mut self, subject: &Subject, diagnoses: &mut Vec<Diagnosis>) {
        for (aspect, revised_at) in self.revisions.uncounted(subject) {
            if revised_at + STORM <= self.now {
                self.revise(subject, &aspect, Reason::Counted, diagnoses);
            } else {
                self.waiting.wait(subject, revised_at + STORM);
            }
        }
    }
}
