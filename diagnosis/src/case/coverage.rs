//! How well each source saw, and when it lost something: without this, silence means nothing.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::observation::{Gap, Health, Source};

/// Gaps of one source that are remembered.
const GAPS: usize = 32;

/// What is known of the sources of a node.
#[derive(Debug, Default)]
pub struct Coverage {
    sources: BTreeMap<Source, SourceFile>,
}

#[derive(Debug)]
struct SourceFile {
    health: Health,
    /// Since when it has this health.
    since: Timestamp,
    /// When it lost something: from, to.
    gaps: VecDeque<(Timestamp, Timestamp)>,
}

impl Coverage {
    /// Records how well a source sees from `at` on.
    pub(super) fn record_health(&mut self, at: Timestamp, source: Source, health: Health) {
        let file = self.source(source, at);
        if file.health != health {
            file.health = health;
            file.since = at;
        }
    }

    /// Records a loss.
    pub(super) fn record_gap(&mut self, at: Timestamp, gap: &Gap) {
        let file = self.source(gap.source, at);
        file.gaps.push_back((gap.from, gap.to));
        if file.gaps.len() > GAPS {
            file.gaps.pop_front();
        }
    }

    fn source(&mut self, source: Source, at: Timestamp) -> &mut SourceFile {
        let unknown = || SourceFile { health: Health::Absent(String::new()), since: at, gaps: VecDeque::new() };
        self.sources.entry(source).or_insert_with(unknown)
    }

    /// Whether a source was there and lost nothing between two moments. Without this, its silence means nothing.
    pub fn covered(&self, source: Source, from: Timestamp, to: Timestamp) -> bool {
        self.answers(source)
            && self.sources.get(&source).is_some_and(|file| file.since <= from)
            && !self.has_gap(source, from, to)
    }

    /// Whether a source lost something between two moments.
    pub fn has_gap(&self, source: Source, from: Timestamp, to: Timestamp) -> bool {
        let gaps = self.sources.get(&source).into_iter().flat_map(|file| &file.gaps);
        gaps.into_iter().any(|(start, end)| *start <= to && *end >= from)
    }

    /// Whether a source sees everything now.
    pub fn answers(&self, source: Source) -> bool {
        self.sources.get(&source).is_some_and(|file| file.health == Health::Ok)
    }

    /// Whether a source has reported that it is not there.
    pub fn is_absent(&self, source: Source) -> bool {
        self.sources.get(&source).is_some_and(|file| matches!(file.health, Health::Absent(_)))
    }

    /// Whether a source has never reported, or that it is not there.
    pub fn is_unknown_or_absent(&self, source: Source) -> bool {
        !self.sources.contains_key(&source) || self.is_absent(source)
    }
}
