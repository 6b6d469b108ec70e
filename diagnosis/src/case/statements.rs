//! Statements of sources about processes, by pid and time, bounded.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// Something that a source stated, and when it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<T> {
    /// When what is stated happened.
    pub at: Timestamp,
    /// What the source states.
    pub what: T,
}

/// Statements by the pid that they are about. Keeps the latest `capacity` of them by the time of what they report, in
/// whatever order they arrive; a duplicate adds nothing.
#[derive(Debug)]
pub struct ByPid<T> {
    statements: BTreeMap<(i32, Timestamp), Vec<T>>,
    times: BTreeSet<(Timestamp, i32)>,
    /// Which were added since [`age`](Self::age) was last called, and which between the last two calls.
    fresh: Vec<(i32, Timestamp)>,
    aged: Vec<(i32, Timestamp)>,
    kept: usize,
    capacity: usize,
}

impl<T: PartialEq> ByPid<T> {
    /// An empty store that keeps at most `capacity` statements.
    pub fn new(capacity: usize) -> Self {
        Self {
            statements: BTreeMap::new(),
            times: BTreeSet::new(),
            fresh: Vec::new(),
            aged: Vec::new(),
            kept: 0,
            capacity,
        }
    }

    /// Adds a statement; false if the same is kept already.
    pub fn add(&mut self, pid: i32, at: Timestamp, what: T) -> bool {
        let here = self.statements.entry((pid, at)).or_default();
        if here.contains(&what) {
            return false;
        }
        here.push(what);
        if self.times.insert((at, pid)) {
            self.fresh.push((pid, at));
        }
        self.kept += 1;
        while self.kept > self.capacity
            && let Some((at, pid)) = self.times.pop_first()
        {
            self.kept -= self.statements.remove(&(pid, at)).map_or(0, |oldest| oldest.len());
        }
        true
    }

    /// Forgets what was added before the last call of this.
    pub fn age(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        for (pid, at) in std::mem::replace(&mut self.aged, fresh) {
            self.kept -= self.statements.remove(&(pid, at)).map_or(0, |aged| aged.len());
            self.times.remove(&(at, pid));
        }
    }

    /// Statements about a pid between two moments, both included, in order of time.
    pub fn of(&self, pid: i32, from: Timestamp, to: Timestamp) -> impl DoubleEndedIterator<Item = (Timestamp, &T)> {
        let range = if from <= to { Some(self.statements.range((pid, from)..=(pid, to))) } else { None };
        range.into_iter().flatten().flat_map(|((_, at), all)| all.iter().map(|what| (*at, what)))
    }

    /// Statements about any pid between two moments, both included, in order of time.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (i32, Timestamp, &T)> {
        let range = if from <= to { Some(self.times.range((from, i32::MIN)..=(to, i32::MAX))) } else { None };
        let all =
            range.into_iter().flatten().filter_map(|(at, pid)| Some((*pid, *at, self.statements.get(&(*pid, *at))?)));
        all.flat_map(|(pid, at, all)| all.iter().map(move |what| (pid, at, what)))
    }

    /// How many statements are kept.
    pub fn count(&self) -> usize {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    proptest! {
        #[test]
        fn the_latest_are_kept_whatever_the_order_of_arrival(
            statements in prop::collection::btree_set((0..5_i32, 0..200_i64), 0..80),
            seed in any::<prop::sample::Index>(),
        ) {
            let statements: Vec<_> = statements.into_iter().collect();
            let mut shifted = statements.clone();
            shifted.rotate_left(if statements.is_empty() { 0 } else { seed.index(statements.len()) });
            let kept = |all: &[(i32, i64)]| {
                let mut kept = ByPid::new(16);
                for (pid, second) in all {
                    kept.add(*pid, at(*second), ());
                }
                assert_eq!(kept.between(Timestamp::MIN, Timestamp::MAX).count(), kept.count());
                kept.between(Timestamp::MIN, Timestamp::MAX).map(|(pid, at, ())| (at, pid)).collect::<Vec<_>>()
            };
            let once = kept(&statements);
            prop_assert_eq!(&once, &kept(&shifted));
            let mut latest: Vec<_> = statements.iter().map(|(pid, second)| (at(*second), *pid)).collect();
            latest.sort();
            prop_assert_eq!(&once[..], &latest[latest.len().saturating_sub(16)..]);
        }
    }
}
