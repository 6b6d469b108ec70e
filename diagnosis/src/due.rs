//! What waits for a moment: each key once, the earliest first.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// Keys and the moment that each waits for. Every operation costs the logarithm of what waits.
#[derive(Debug)]
pub(crate) struct DueQueue<K> {
    moments: BTreeMap<K, Timestamp>,
    order: BTreeSet<(Timestamp, K)>,
}

impl<K> Default for DueQueue<K> {
    fn default() -> Self {
        Self { moments: BTreeMap::new(), order: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> DueQueue<K> {
    /// Lets a key wait until `at`, unless it waits for an earlier moment already.
    pub(crate) fn wait(&mut self, key: &K, at: Timestamp) {
        if self.moments.get(key).is_some_and(|known| *known <= at) {
            return;
        }
        if let Some(later) = self.moments.insert(key.clone(), at) {
            self.order.remove(&(later, key.clone()));
        }
        self.order.insert((at, key.clone()));
    }

    /// A key waits no more.
    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(at) = self.moments.remove(key) {
            self.order.remove(&(at, key.clone()));
        }
    }

    /// Takes out all that are due at `now`, the earliest first.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<K> {
        let mut due = Vec::new();
        while let Some((at, _)) = self.order.first()
            && *at <= now
            && let Some((_, key)) = self.order.pop_first()
        {
            self.moments.remove(&key);
            due.push(key);
        }
        due
    }

    /// The moment that the first of them waits for; `None` if nothing waits.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.moments.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_key_is_due_once_at_the_earliest_of_its_moments(waits in prop::collection::vec((0..20_u8, 0..100_i64), 0..60)) {
            let at = |second| Timestamp::from_second(second).unwrap();
            let mut queue = DueQueue::default();
            let mut earliest: BTreeMap<u8, i64> = BTreeMap::new();
            for (key, second) in waits {
                queue.wait(&key, at(second));
                let known = earliest.entry(key).or_insert(second);
                *known = second.min(*known);
            }
            prop_assert_eq!(queue.len(), earliest.len());
            for now in 0..100 {
                prop_assert_eq!(queue.next(), earliest.values().min().map(|second| at(*second)));
                let due: BTreeSet<_> = queue.take_due(at(now)).into_iter().collect();
                let expected: BTreeSet<_> = earliest.iter().filter(|(_, second)| **second <= now).map(|(key, _)| *key).collect();
                prop_assert_eq!(&due, &expected);
                earliest.retain(|key, _| !due.contains(key));
            }
            prop_assert_eq!(queue.len(), 0);
        }
    }
}
