//! How well each source saw, and when it lost something: without this, silence means nothing.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::observation::{Gap, GapReason, Health, Reason, Source};

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
    /// Up to when it has passed on everything, where it reports that.
    read: Option<Timestamp>,
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

    /// Records that a source has passed on everything until `at`.
    pub(super) fn record_read(&mut self, at: Timestamp, source: Source) {
        let file = self.source(source, at);
        file.read = file.read.max(Some(at));
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
        let unknown =
            || SourceFile { health: Health::Absent(Reason::quote("")), since: at, read: None, gaps: VecDeque::new() };
        self.sources.entry(source).or_insert_with(unknown)
    }

    /// Whether a source was there and lost nothing between two moments. Without this, its silence means nothing.
    pub fn covered(&self, source: Source, from: Timestamp, to: Timestamp) -> bool {
        self.answers(source)
            && self.sources.get(&source).is_some_and(|file| file.since <= from)
            && !self.has_gap(source, from, to)
    }

    /// Why a source does not see everything now; `None` where it does, or has given no reason.
    pub fn reason(&self, source: Source) -> Option<&Reason> {
        match &self.sources.get(&source)?.health {
            Health::Degraded(reason) | Health::Absent(reason) => Some(reason).filter(|reason| !reason.is_empty()),
            Health::Ok => None,
        }
    }

    /// Whether a source has a gap that touches the time between two moments, both included.
    pub fn has_gap(&self, source: Source, from: Timestamp, to: Timestamp) -> bool {
        let gaps = self.sources.get(&source).into_iter().flat_map(|file| &file.gaps);
        gaps.into_iter().any(|(start, end)| *start <= to && *end >= from)
    }

    /// Whether some source has not passed on everything until `at`, although it sees everything: its silence means
    /// nothing yet.
    pub fn is_behind(&self, at: Timestamp) -> bool {
        self.behind(at).next().is_some()
    }

    /// Sources that are behind are not waited for any longer: what they have not passed on until `now` counts as lost.
    pub(crate) fn give_up(&mut self, at: Timestamp, now: Timestamp) {
        let behind: Vec<_> = self.behind(at).collect();
        for (source, from) in behind {
            // That it goes on is no other loss.
            match self.sources.get_mut(&source).and_then(|file| file.gaps.back_mut()) {
                Some((start, end)) if *start == from => *end = now,
                _ => self.record_gap(now, &Gap { source, reason: GapReason::Overload, from, to: now, lost: None }),
            }
        }
    }

    fn behind(&self, at: Timestamp) -> impl Iterator<Item = (Source, Timestamp)> {
        let read = move |(source, file): (&Source, &SourceFile)| Some((*source, file.read.filter(|read| *read < at)?));
        let seeing = self.sources.iter().filter(|(_, file)| file.health == Health::Ok);
        seeing.filter_map(read)
    }

    /// Whether the health of a source is `Ok`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_source_that_stays_behind_has_lost_one_span_and_displaces_no_other_loss() {
        let source = Source::Signals;
        let mut coverage = Coverage::default();
        coverage.record_health(at(0), source, Health::Ok);
        coverage.record_gap(at(2), &Gap { source, reason: GapReason::Overrun, from: at(1), to: at(2), lost: Some(1) });
        coverage.record_read(at(10), source);
        for second in 20..20 + 2 * i64::try_from(GAPS).unwrap() {
            assert!(coverage.is_behind(at(second)));
            coverage.give_up(at(second), at(second + 5));
            assert!(!coverage.covered(source, at(second), at(second + 5)));
        }
        assert!(!coverage.covered(source, at(1), at(2)) && coverage.covered(source, at(4), at(9)));
        coverage.record_read(at(200), source);
        assert!(!coverage.is_behind(at(150)) && coverage.covered(source, at(150), at(160)));
    }
}
