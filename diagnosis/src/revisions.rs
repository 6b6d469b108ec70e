//! What has been reported of each subject and aspect, and what of it makes another revision.
//!
//! An examiner evaluates its rules again whenever something has changed, and gives the results to [`Revisions`], which
//! returns whether readers need it: the first report of an aspect, a better one, a state that is over or has returned,
//! a moment that has happened again, more occurrences. It knows nothing of nodes or clusters. The owner of a subject
//! calls [`forget`](Revisions::forget) when it closes the subject's file, so what is kept here is bounded by the files.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::{aspect::Aspect, report::Revision};

/// Aspects of one subject that may still be revised. Of more, the one that was first reported longest ago is forgotten,
/// but never an end.
const ASPECTS: usize = 64;
/// What happens again so much later is another occurrence, and not the same one by a better clock.
const RECURRENCE: SignedDuration = SignedDuration::from_secs(10);

/// At so many times the time to settle, no source has any more to report of it: what differs then is of another time.
const LATE: i32 = 20;

/// What is reported.
pub(crate) trait Content: PartialEq {
    /// Whether a reader of `reported` needs this at once.
    fn supersedes(&self, reported: &Self) -> bool;

    /// When it happened or began.
    fn at(&self) -> Timestamp;
}

/// What [`Revisions::report`] made of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is the first report of this aspect.
    First,
    /// It is worth another revision.
    Revised,
    /// Readers know it, or as much of it as matters.
    Known,
}

/// An aspect of a subject, as it was last reported.
#[derive(Debug)]
pub(crate) struct Reported<C> {
    pub(crate) content: C,
    revision: Revision,
    /// When its last revision was made.
    pub(crate) revised_at: Timestamp,
    /// How many occurrences its last revision counted.
    counted: u32,
    /// Every source has had time to report: what still comes must supersede the content to be worth a revision.
    settled: bool,
}

impl<C> Reported<C> {
    /// When it was first reported.
    pub(crate) fn first_seen(&self) -> Timestamp {
        self.revision.first_seen
    }

    /// Whether it is a state that is over.
    pub(crate) fn is_resolved(&self) -> bool {
        self.revision.resolved.is_some()
    }
}

/// What has been reported, by subject and aspect.
#[derive(Debug)]
pub(crate) struct Revisions<S, C> {
    subjects: BTreeMap<S, BTreeMap<Aspect, Reported<C>>>,
    /// Some time after this, a content that merely differs is reported once more; `None`: only what supersedes is.
    settle: Option<SignedDuration>,
}

impl<S: Ord + Clone, C: Content> Revisions<S, C> {
    /// Nothing reported yet.
    pub(crate) fn new(settle: Option<SignedDuration>) -> Self {
        Self { subjects: BTreeMap::new(), settle }
    }

    /// Takes what holds of an aspect at `now`, and how often it has happened, where that is counted. Unless it is
    /// [`Outcome::Known`], the next revision is to be made.
    pub(crate) fn report(
        &mut self,
        now: Timestamp,
        subject: &S,
        aspect: &Aspect,
        content: C,
        occurrences: u32,
    ) -> Outcome {
        if !self.subjects.contains_key(subject) {
            self.subjects.insert(subject.clone(), BTreeMap::new());
        }
        let Some(aspects) = self.subjects.get_mut(subject) else { return Outcome::Known };
        let Some(known) = aspects.get_mut(aspect) else {
            let revision = Revision { number: 0, first_seen: now, occurrences, resolved: None };
            let first = Reported { content, revision, revised_at: now, counted: 0, settled: false };
            aspects.insert(aspect.clone(), first);
            forget_oldest(aspects);
            return Outcome::First;
        };
        let recurs = aspect.recurs() && content.at() >= known.content.at() + RECURRENCE;
        if known.revision.resolved.take().is_some() || recurs {
            known.content = content;
            known.revision.occurrences = known.revision.occurrences.saturating_add(1);
            return Outcome::Revised;
        }
        if known.content == content {
            return Outcome::Known;
        }
        let since = now.duration_since(known.revision.first_seen);
        let settles = self.settle.is_some_and(|settle| since >= settle && since <= settle * LATE);
        if !content.supersedes(&known.content) && (!settles || known.settled) {
            return Outcome::Known;
        }
        known.content = content;
        known.settled = settles;
        known.revision.occurrences = known.revision.occurrences.max(occurrences);
        Outcome::Revised
    }

    /// Ends what was reported of a subject as far as `is_over`. Gives what is thereby to be revised.
    pub(crate) fn resolve(&mut self, now: Timestamp, subject: &S, is_over: impl Fn(&Aspect) -> bool) -> Vec<Aspect> {
        let aspects = self.subjects.get_mut(subject).into_iter().flatten();
        let over = aspects.filter(|(aspect, known)| known.revision.resolved.is_none() && is_over(aspect));
        over.map(|(aspect, known)| {
            known.revision.resolved = Some(now);
            aspect.clone()
        })
        .collect()
    }

    /// Counts more occurrences of what was reported. The next revision contains them.
    pub(crate) fn count(&mut self, subject: &S, aspect: &Aspect, more: u32) {
        if let Some(known) = self.subjects.get_mut(subject).and_then(|aspects| aspects.get_mut(aspect)) {
            known.revision.occurrences = known.revision.occurrences.saturating_add(more);
        }
    }

    /// Makes the next revision of an aspect.
    pub(crate) fn revise(&mut self, now: Timestamp, subject: &S, aspect: &Aspect) -> Option<(&C, Revision)> {
        let known = self.subjects.get_mut(subject)?.get_mut(aspect)?;
        known.revision.number += 1;
        known.revised_at = now;
        known.counted = known.revision.occurrences;
        Some((&known.content, known.revision))
    }

    /// An aspect as it was last reported.
    pub(crate) fn get(&self, subject: &S, aspect: &Aspect) -> Option<&Reported<C>> {
        self.subjects.get(subject)?.get(aspect)
    }

    /// The subjects something was reported of.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &S> {
        self.subjects.keys()
    }

    /// All that was reported of a subject.
    pub(crate) fn of(&self, subject: &S) -> impl Iterator<Item = (&Aspect, &Reported<C>)> {
        self.subjects.get(subject).into_iter().flatten()
    }

    /// Aspects with occurrences that no revision has counted, and when each was last revised.
    pub(crate) fn uncounted(&self, subject: &S) -> Vec<(Aspect, Timestamp)> {
        let uncounted = self.of(subject).filter(|(_, known)| known.revision.occurrences > known.counted);
        uncounted.map(|(aspect, known)| (aspect.clone(), known.revised_at)).collect()
    }

    /// Forgets a subject whose file is closed.
    pub(crate) fn forget(&mut self, subject: &S) {
        self.subjects.remove(subject);
    }

    /// How many subjects something was reported of.
    pub(crate) fn len(&self) -> usize {
        self.subjects.len()
    }
}

fn forget_oldest<C>(aspects: &mut BTreeMap<Aspect, Reported<C>>) {
    if aspects.len() <= ASPECTS {
        return;
    }
    let others = aspects.iter().filter(|(aspect, _)| **aspect != Aspect::End);
    let oldest = others.min_by_key(|(_, known)| known.first_seen()).map(|(aspect, _)| aspect.clone());
    oldest.and_then(|aspect| aspects.remove(&aspect));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What, how sure, and when.
    #[derive(Clone, Debug, PartialEq)]
    struct Sample(&'static str, u8, i64);

    impl Content for Sample {
        fn supersedes(&self, reported: &Self) -> bool {
            self.0 != reported.0
        }

        fn at(&self) -> Timestamp {
            at(self.2)
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn revisions() -> Revisions<u8, Sample> {
        Revisions::new(Some(SignedDuration::from_secs(2)))
    }

    fn process(pid: i32) -> Aspect {
        Aspect::Process { pid, boot_micros: None }
    }

    fn number(revisions: &mut Revisions<u8, Sample>, aspect: &Aspect) -> Revision {
        revisions.revise(at(0), &1, aspect).map(|(_, revision)| revision).unwrap()
    }

    #[test]
    fn what_supersedes_is_a_revision_and_what_merely_differs_is_one_only_when_all_has_settled() {
        let mut revisions = revisions();
        let mut report = |now, sample| revisions.report(at(now), &1, &Aspect::End, sample, 1);
        assert_eq!(report(0, Sample("a", 0, 0)), Outcome::First);
        assert_eq!(report(0, Sample("a", 0, 0)), Outcome::Known);
        assert_eq!(report(1, Sample("a", 1, 0)), Outcome::Known);
        assert_eq!(report(1, Sample("b", 0, 0)), Outcome::Revised);
        assert_eq!(report(3, Sample("b", 1, 0)), Outcome::Revised);
        assert_eq!(report(4, Sample("b", 2, 0)), Outcome::Known);
        assert_eq!(report(5, Sample("a", 2, 0)), Outcome::Revised);
    }

    #[test]
    fn what_merely_differs_much_later_is_of_another_time() {
        let mut revisions = revisions();
        let mut report = |now, sample| revisions.report(at(now), &1, &Aspect::End, sample, 1);
        assert_eq!(report(0, Sample("a", 0, 0)), Outcome::First);
        assert_eq!(report(3, Sample("a", 0, 0)), Outcome::Known);
        assert_eq!(report(1800, Sample("a", 1, 0)), Outcome::Known);
        assert_eq!(report(1801, Sample("b", 1, 0)), Outcome::Revised);
    }

    #[test]
    fn a_state_is_resolved_once_and_counted_when_it_returns() {
        let mut revisions = revisions();
        let schedule = Aspect::Schedule;
        assert_eq!(revisions.report(at(0), &1, &schedule, Sample("a", 0, 0), 1), Outcome::First);
        assert_eq!(number(&mut revisions, &schedule).number, 1);
        assert_eq!(revisions.resolve(at(5), &1, Aspect::is_state), std::slice::from_ref(&schedule));
        assert_eq!(number(&mut revisions, &schedule).resolved, Some(at(5)));
        assert_eq!(revisions.resolve(at(6), &1, Aspect::is_state), []);
        assert_eq!(revisions.report(at(9), &1, &schedule, Sample("a", 0, 0), 1), Outcome::Revised);
        let again = number(&mut revisions, &schedule);
        assert_eq!((again.number, again.occurrences, again.resolved, again.first_seen), (3, 2, None, at(0)));
    }

    #[test]
    fn a_moment_that_happens_again_is_reported_again() {
        let mut revisions = revisions();
        let hook = Aspect::Hook { container: "c".to_owned() };
        assert_eq!(revisions.report(at(0), &1, &hook, Sample("a", 0, 0), 1), Outcome::First);
        assert_eq!(revisions.report(at(1), &1, &hook, Sample("a", 0, 1), 1), Outcome::Known);
        assert_eq!(revisions.report(at(600), &1, &hook, Sample("a", 0, 600), 1), Outcome::Revised);
        assert_eq!(number(&mut revisions, &hook).occurrences, 2);
        // The time of an end is only known better.
        assert_eq!(revisions.report(at(0), &1, &Aspect::End, Sample("a", 0, 0), 1), Outcome::First);
        assert_eq!(revisions.report(at(1), &1, &Aspect::End, Sample("a", 0, 600), 1), Outcome::Known);
    }

    #[test]
    fn more_occurrences_wait_for_the_next_revision() {
        let mut revisions = revisions();
        revisions.report(at(0), &1, &process(1), Sample("a", 0, 0), 1);
        number(&mut revisions, &process(1));
        assert_eq!(revisions.uncounted(&1), []);
        revisions.count(&1, &process(1), 5);
        assert_eq!(revisions.uncounted(&1), [(process(1), at(0))]);
        assert_eq!(number(&mut revisions, &process(1)).occurrences, 6);
        assert_eq!(revisions.uncounted(&1), []);
    }

    #[test]
    fn the_oldest_aspects_are_forgotten_but_never_the_end() {
        let mut revisions = revisions();
        revisions.report(at(0), &1, &Aspect::End, Sample("a", 0, 0), 1);
        for pid in 0..200 {
            revisions.report(at(1 + i64::from(pid)), &1, &process(pid), Sample("a", 0, 0), 1);
        }
        assert_eq!(revisions.of(&1).count(), ASPECTS);
        assert!(revisions.get(&1, &Aspect::End).is_some() && revisions.get(&1, &process(199)).is_some());
        assert!(revisions.get(&1, &process(0)).is_none());
        revisions.forget(&1);
        assert_eq!((revisions.len(), revisions.of(&1).count()), (0, 0));
    }
}
