//! What witnesses said about processes, by pid and time, bounded.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

/// Something said by a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<T> {
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub what: T,
}

/// Statements by the pid that they are about. Keeps the newest `capacity` of them; saying the same twice adds nothing.
#[derive(Debug)]
pub struct ByPid<T> {
    statements: BTreeMap<(i32, Timestamp), Vec<T>>,
    arrivals: VecDeque<(i32, Timestamp)>,
    capacity: usize,
}

impl<T: PartialEq> ByPid<T> {
    /// Room for `capacity` statements.
    pub fn new(capacity: usize) -> Self {
        Self { statements: BTreeMap::new(), arrivals: VecDeque::new(), capacity }
    }

    /// Adds one. False if the same was said before.
    pub fn add(&mut self, pid: i32, at: Timestamp, what: T) -> bool {
        let here = self.statements.entry((pid, at)).or_default();
        if here.contains(&what) {
            return false;
        }
        here.push(what);
        self.arrivals.push_back((pid, at));
        while self.arrivals.len() > self.capacity {
            if let Some(oldest) = self.arrivals.pop_front() {
                self.statements.remove(&oldest);
            }
        }
        true
    }

    /// What was said about a pid between two moments, both included, in order of time.
    pub fn of(&self, pid: i32, from: Timestamp, to: Timestamp) -> impl DoubleEndedIterator<Item = (Timestamp, &T)> {
        let range = if from <= to { Some(self.statements.range((pid, from)..=(pid, to))) } else { None };
        range.into_iter().flatten().flat_map(|((_, at), all)| all.iter().map(|what| (*at, what)))
    }

    /// How many are kept.
    #[allow(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// All that is kept, by pid.
    pub fn iter(&self) -> impl Iterator<Item = (i32, Timestamp, &T)> {
        self.statements.iter().flat_map(|((pid, at), all)| all.iter().map(|what| (*pid, *at, what)))
    }
}
