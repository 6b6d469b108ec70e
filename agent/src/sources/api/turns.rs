//! Whose events are watched, where more pods are in trouble than may be watched at once.
//!
//! Each gets its turn, those that have waited longest first; pods that are gone come after those that are there. A turn
//! lasts until the existing events have been listed, and for some time; while no pod waits, it continues.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// The most pods whose events are watched at once.
pub(super) const AT_ONCE: usize = 32;
/// How long a turn lasts at least, while others wait.
const TURN: Duration = Duration::from_secs(20);
/// A turn in which no list came is over all the same after so long.
const HOPELESS: Duration = Duration::from_secs(60);
/// Pods that are remembered. A kubelet runs 110 unless configured otherwise; the others are gone, and are soon
/// forgotten.
const CAPACITY: usize = 2048;

/// When the events of a pod may explain something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spell {
    pub(super) from: Instant,
    pub(super) until: Option<Instant>,
    pub(super) gone: bool,
}

/// What to do next about a pod in trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Begin(String),
    End(String),
}

/// All pods in trouble, by uid.
#[derive(Debug, Default)]
pub(super) struct Turns(BTreeMap<String, Entry>);

#[derive(Debug)]
struct Entry {
    spell: Spell,
    /// Since when it has waited, or waits again.
    waits_since: Instant,
    turn: Option<Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    since: Instant,
    listed: bool,
}

impl Entry {
    fn waits(&self, now: Instant) -> bool {
        self.turn.is_none() && self.spell.from <= now
    }

    /// Whether its turn is over for the sake of another.
    fn may_end(&self, now: Instant) -> bool {
        self.turn.is_some_and(|turn| {
            let lasted = now.saturating_duration_since(turn.since);
            turn.listed && (self.spell.gone || lasted >= TURN) || lasted >= HOPELESS
        })
    }
}

impl Turns {
    /// A pod is in trouble, or (`None`) no more.
    pub(super) fn set(&mut self, uid: &str, spell: Option<Spell>, now: Instant) {
        match (self.0.get_mut(uid), spell) {
            (Some(entry), Some(spell)) => entry.spell = spell,
            // Ended with the next steps.
            (Some(entry), None) => entry.spell.until = Some(now),
            (None, Some(spell)) => {
                if self.0.len() >= CAPACITY && !self.forget_one() {
                    return;
                }
                self.0.insert(uid.to_owned(), Entry { spell, waits_since: now.max(spell.from), turn: None });
            }
            (None, None) => {}
        }
    }

    /// The events that there were of this pod have been listed.
    pub(super) fn listed(&mut self, uid: &str) {
        if let Some(turn) = self.0.get_mut(uid).and_then(|entry| entry.turn.as_mut()) {
            turn.listed = true;
        }
    }

    /// Gives turns to waiting pods, as far as there are free ones.
    pub(super) fn steps(&mut self, now: Instant) -> Vec<Step> {
        let mut steps = Vec::new();
        self.0.retain(|uid, entry| {
            let over = entry.spell.until.is_some_and(|until| until <= now);
            if over && entry.turn.is_some() {
                steps.push(Step::End(uid.clone()));
            }
            !over
        });
        let order = |entry: &Entry| (entry.spell.gone, entry.waits_since);
        let mut waiting: Vec<_> = self.0.iter().filter(|(_, entry)| entry.waits(now)).collect();
        waiting.sort_by_key(|(_, entry)| order(entry));
        let mut free = AT_ONCE.saturating_sub(self.0.values().filter(|entry| entry.turn.is_some()).count());
        let mut ending: Vec<_> = self.0.iter().filter(|(_, entry)| entry.may_end(now)).collect();
        ending.sort_by_key(|(_, entry)| (!entry.spell.gone, entry.turn.map(|turn| turn.since)));
        let mut ending = ending.into_iter();
        let mut changes = Vec::new();
        for (uid, entry) in waiting {
            if free > 0 {
                free -= 1;
            } else {
                // A pod that is gone yields to every other, and any pod to one that exists.
                match ending.next() {
                    Some((over, other)) if other.spell.gone || !entry.spell.gone => {
                        changes.push(Step::End(over.clone()))
                    }
                    _ => break,
                }
            }
            changes.push(Step::Begin(uid.clone()));
        }
        for step in &changes {
            match step {
                Step::Begin(uid) => {
                    if let Some(entry) = self.0.get_mut(uid) {
                        entry.turn = Some(Turn { since: now, listed: false });
                    }
                }
                // Who is gone has been listed, and nothing more will come.
                Step::End(uid) if self.0.get(uid).is_some_and(|entry| entry.spell.gone) => {
                    self.0.remove(uid);
                }
                Step::End(uid) => {
                    if let Some(entry) = self.0.get_mut(uid) {
                        (entry.turn, entry.waits_since) = (None, now);
                    }
                }
            }
        }
        steps.extend(changes);
        steps
    }

    /// Pods in trouble that wait for their turn.
    pub(super) fn waiting(&self, now: Instant) -> usize {
        self.0.values().filter(|entry| entry.waits(now)).count()
    }

    /// When there may be something to do next, if nothing else happens.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let is_waited_for = self.waiting(now) > 0;
        let of = |entry: &Entry| {
            let begins = (entry.turn.is_none() && entry.spell.from > now).then_some(entry.spell.from);
            let turn_ends = entry.turn.filter(|_| is_waited_for).map(|turn| {
                let ends = turn.since + if turn.listed { TURN } else { HOPELESS };
                ends.max(now + Duration::from_secs(1))
            });
            [begins, turn_ends, entry.spell.until].into_iter().flatten().min()
        };
        self.0.values().filter_map(of).min()
    }

    /// Forgets the pod whose trouble ends first, among those without a turn. False if there is none that ends by
    /// itself.
    fn forget_one(&mut self) -> bool {
        let ends = |(uid, entry): (&String, &Entry)| Some((entry.spell.until?, uid.clone()));
        let first = self.0.iter().filter(|(_, entry)| entry.turn.is_none()).filter_map(ends).min();
        first.is_some_and(|(_, uid)| self.0.remove(&uid).is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lasting(from: Instant) -> Option<Spell> {
        Some(Spell { from, until: None, gone: false })
    }

    fn gone(from: Instant) -> Option<Spell> {
        Some(Spell { from, until: Some(from + 120 * SECOND), gone: true })
    }

    /// Watches that list at once, for so many seconds; who was watched.
    fn run(turns: &mut Turns, watched: &mut BTreeSet<String>, start: Instant, seconds: u32) -> BTreeSet<String> {
        let mut served = BTreeSet::new();
        for second in 0..seconds {
            for step in turns.steps(start + SECOND * second) {
                match step {
                    Step::Begin(uid) => {
                        assert!(watched.insert(uid.clone()));
                        turns.listed(&uid);
                        served.insert(uid);
                    }
                    Step::End(uid) => assert!(watched.remove(&uid)),
                }
            }
            assert!(watched.len() <= AT_ONCE);
        }
        served
    }

    #[test]
    fn all_get_their_turn_again_and_again_where_there_are_too_many() {
        let start = Instant::now();
        let (mut turns, mut watched) = (Turns::default(), BTreeSet::new());
        for n in 0..40 {
            turns.set(&format!("pod-{n}"), lasting(start), start);
        }
        assert_eq!(run(&mut turns, &mut watched, start, 1).len(), AT_ONCE);
        assert_eq!(turns.waiting(start), 8);
        for round in 1..5 {
            let served = run(&mut turns, &mut watched, start + SECOND * 100 * round, 100);
            assert_eq!(served.len(), 40, "in each 100 seconds everybody");
        }
        for n in 0..8 {
            turns.set(&format!("pod-{n}"), None, start + SECOND * 500);
        }
        run(&mut turns, &mut watched, start + SECOND * 500, 2);
        assert_eq!((turns.waiting(start + SECOND * 502), watched.len()), (0, 32));
        assert!(run(&mut turns, &mut watched, start + SECOND * 502, 600).is_empty(), "no pod waits: nothing changes");
    }

    #[test]
    fn thousands_of_deleted_pods_block_no_other_and_are_forgotten() {
        let start = Instant::now();
        let (mut turns, mut watched) = (Turns::default(), BTreeSet::new());
        for n in 0..5000 {
            turns.set(&format!("gone-{n}"), gone(start), start);
        }
        assert!(turns.0.len() <= CAPACITY);
        run(&mut turns, &mut watched, start, 5);
        let later = start + SECOND * 5;
        turns.set("alive", lasting(later), later);
        assert!(run(&mut turns, &mut watched, later, 1).contains("alive"));
        run(&mut turns, &mut watched, later, 200);
        assert_eq!((turns.0.len(), watched), (1, BTreeSet::from(["alive".to_owned()])));
        assert_eq!(turns.next(later + SECOND * 200), None, "nothing is to be done until something happens");
    }

    #[test]
    fn forty_over_time_beside_the_deleted_are_all_watched() {
        let start = Instant::now();
        let (mut turns, mut watched) = (Turns::default(), BTreeSet::new());
        let mut served = BTreeSet::new();
        for n in 0..40 {
            let now = start + SECOND * 30 * n;
            for m in 0..125 {
                turns.set(&format!("gone-{n}-{m}"), gone(now), now);
            }
            turns.set(&format!("pod-{n}"), lasting(now), now);
            served.extend(run(&mut turns, &mut watched, now, 30));
        }
        assert!((0..40).all(|n| served.contains(&format!("pod-{n}"))));
    }

    #[test]
    fn a_watch_that_gives_no_list_is_no_place_for_ever() {
        let start = Instant::now();
        let mut turns = Turns::default();
        for n in 0..=AT_ONCE {
            turns.set(&format!("{n:02}"), lasting(start), start);
        }
        assert_eq!(turns.steps(start).len(), AT_ONCE);
        assert_eq!(turns.steps(start + TURN), [], "no list yet");
        let steps = turns.steps(start + HOPELESS);
        assert_eq!(steps, [Step::End("00".to_owned()), Step::Begin(format!("{AT_ONCE:02}"))]);
    }

    proptest! {
        #[test]
        fn no_more_are_watched_than_may_be(
            changes in prop::collection::vec((0..80_u32, 0..3_u8, 0..30_u32), 0..300),
        ) {
            let start = Instant::now();
            let (mut turns, mut watched) = (Turns::default(), BTreeSet::new());
            let mut now = start;
            for (pod, kind, wait) in changes {
                let spell = match kind { 0 => None, 1 => lasting(now), _ => gone(now) };
                turns.set(&pod.to_string(), spell, now);
                run(&mut turns, &mut watched, now, 1);
                prop_assert_eq!(watched.is_empty(), turns.0.is_empty());
                now += SECOND * wait;
            }
        }
    }
}
