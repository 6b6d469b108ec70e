//! Continues reports after a restart: an examiner starts over, its readers do not.
//!
//! Uids are the same as before, because they are derived from the facts; revisions must rise. So earlier reports are
//! remembered as far as they are still stored, and the same diagnosis continues from there.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use coroner_proto::v1::{Confidence, Diagnosis};
use prost::Message as _;

/// The most diagnoses that are remembered.
const REMEMBERED: usize = 4096;

/// The diagnoses that were reported before a restart of the agent.
#[derive(Debug, Default)]
pub struct Continuation {
    before: BTreeMap<String, Before>,
}

#[derive(Debug)]
struct Before {
    revision: u32,
    confidence: Confidence,
    /// Of an end: what of it cannot be observed again is not there any more.
    evidence: usize,
    /// Of all but revision and time of observation.
    essence: u64,
    /// What this run's revisions are raised by, once it has reported the same diagnosis.
    raise: Option<u32>,
}

impl Continuation {
    /// Remembers a report; of each diagnosis the highest revision, of too many the first. False when it is full.
    pub fn remember(&mut self, reported: &Diagnosis) -> bool {
        if let Some(known) = self.before.get(&reported.uid) {
            if known.revision >= reported.revision {
                return true;
            }
        } else if self.before.len() >= REMEMBERED {
            return false;
        }
        let before = Before {
            revision: reported.revision,
            confidence: reported.confidence(),
            evidence: evidence(reported),
            essence: essence(reported),
            raise: None,
        };
        self.before.insert(reported.uid.clone(), before);
        true
    }

    /// The diagnosis as it continues earlier reports; `None` if the earlier one was the same, or was more certain, or
    /// had more evidence of an end: a restarted examiner has not observed what was observed then, and may only add to
    /// it. Until it reports something that is as certain, or that the state is over, the earlier report stands.
    pub fn follow(&mut self, mut diagnosis: Diagnosis) -> Option<Diagnosis> {
        let Some(before) = self.before.get_mut(&diagnosis.uid) else { return Some(diagnosis) };
        let raise = match before.raise {
            Some(raise) => raise,
            None if essence(&diagnosis) == before.essence => {
                // What comes next follows at once.
                before.raise = Some(before.revision.saturating_sub(diagnosis.revision));
                return None;
            }
            None if diagnosis.resolve_time.is_none()
                && (diagnosis.confidence(), evidence(&diagnosis)) < (before.confidence, before.evidence) =>
            {
                return None;
            }
            None => *before.raise.insert((before.revision + 1).saturating_sub(diagnosis.revision)),
        };
        diagnosis.revision = diagnosis.revision.saturating_add(raise);
        Some(diagnosis)
    }
}

/// How much evidence there is of an end. Of a state only the present counts, and names are worth more.
fn evidence(diagnosis: &Diagnosis) -> usize {
    let is_named = diagnosis.pod.as_ref().is_some_and(|pod| !pod.name.is_empty());
    if diagnosis.fatal && is_named { diagnosis.evidence.len() } else { 0 }
}

fn essence(diagnosis: &Diagnosis) -> u64 {
    let mut hasher = DefaultHasher::new();
    Diagnosis { revision: 0, observe_time: None, ..diagnosis.clone() }.encode_to_vec().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(revision: u32, summary: &str) -> Diagnosis {
        Diagnosis {
            uid: "a".to_owned(),
            revision,
            summary: summary.to_owned(),
            confidence: Confidence::Likely.into(),
            observe_time: Some(prost_types::Timestamp { seconds: i64::from(revision), nanos: 0 }),
            ..Diagnosis::default()
        }
    }

    fn after(reported: &[Diagnosis]) -> Continuation {
        let mut continuation = Continuation::default();
        assert!(reported.iter().all(|reported| continuation.remember(reported)));
        continuation
    }

    fn followed(continuation: &mut Continuation, diagnosis: Diagnosis) -> Option<u32> {
        continuation.follow(diagnosis).map(|followed| followed.revision)
    }

    #[test]
    fn what_is_new_begins_with_its_own_revision() {
        assert_eq!(followed(&mut after(&[]), diagnosis(1, "x")), Some(1));
    }

    #[test]
    fn what_was_reported_is_not_reported_again_and_later_revisions_continue() {
        let mut continuation = after(&[diagnosis(3, "x"), diagnosis(2, "w")]);
        assert_eq!(followed(&mut continuation, diagnosis(1, "x")), None);
        assert_eq!(followed(&mut continuation, diagnosis(2, "y")), Some(4));
        assert_eq!(followed(&mut continuation, diagnosis(3, "x")), Some(5), "a way back is news too");
    }

    #[test]
    fn what_has_changed_meanwhile_is_the_next_revision() {
        let mut continuation = after(&[diagnosis(3, "x")]);
        assert_eq!(followed(&mut continuation, diagnosis(1, "y")), Some(4));
        assert_eq!(followed(&mut continuation, diagnosis(2, "z")), Some(5));
    }

    #[test]
    fn who_comes_back_knowing_less_takes_nothing_back() {
        let unsure = |revision| Diagnosis { confidence: Confidence::Possible.into(), ..diagnosis(revision, "?") };
        let mut continuation = after(&[diagnosis(2, "x")]);
        assert_eq!(followed(&mut continuation, unsure(1)), None);
        assert_eq!(followed(&mut continuation, unsure(2)), None, "as when the end of the log is read");
        assert_eq!(followed(&mut continuation, diagnosis(3, "y")), Some(3));
        assert_eq!(followed(&mut continuation, unsure(4)), Some(4), "this run knows why");
    }

    #[test]
    fn who_comes_back_with_less_evidence_of_an_end_takes_nothing_back() {
        let end = |revision, evidence| Diagnosis {
            fatal: true,
            pod: Some(coroner_proto::v1::Pod { name: "a".to_owned(), ..Default::default() }),
            evidence: vec![coroner_proto::v1::Evidence::default(); evidence],
            ..diagnosis(revision, "x")
        };
        let mut continuation = after(&[end(2, 4)]);
        assert_eq!(followed(&mut continuation, end(1, 1)), None);
        assert_eq!(followed(&mut continuation, end(2, 5)), Some(3));
    }

    #[test]
    fn who_comes_back_knowing_less_may_report_that_a_state_is_over() {
        let time = Some(prost_types::Timestamp { seconds: 9, nanos: 0 });
        let over = Diagnosis { confidence: Confidence::Possible.into(), resolve_time: time, ..diagnosis(2, "x") };
        assert_eq!(followed(&mut after(&[diagnosis(2, "x")]), over), Some(3));
    }

    #[test]
    fn memory_is_bounded() {
        let mut continuation = Continuation::default();
        let kept = (0..5000).filter(|n| continuation.remember(&Diagnosis { uid: n.to_string(), ..diagnosis(1, "x") }));
        assert_eq!(kept.count(), REMEMBERED);
    }
}
