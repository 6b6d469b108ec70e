//! The contents of the files of one cgroup, over time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};

use super::statements::Statement;
use crate::observation::cgroup;

/// Usages of a cgroup that are remembered, at least [`USAGE_STEP`] apart, to show what grew in the time of [`GROWTH`].
const USAGES: usize = 32;
const USAGE_STEP: SignedDuration = SignedDuration::from_secs(9);
const GROWTH: SignedDuration = SignedDuration::from_mins(5);
/// The newest usages, at least [`RECENT_STEP`] apart: a container can fill its memory within seconds.
const RECENT: usize = 8;
const RECENT_STEP: SignedDuration = SignedDuration::from_millis(900);
/// Readings of the CPU's periods that are remembered, at least [`PERIODS_STEP`] apart.
const PERIODS: usize = 64;
const PERIODS_STEP: SignedDuration = SignedDuration::from_millis(900);
/// Processes that wait for memory in so many percent of the time do nothing else any more.
const STALLED: u8 = 50;
/// Growths of a counter that are remembered.
const GROWTHS: usize = 8;

/// The contents of the files of one cgroup, over time.
#[derive(Debug, Default)]
pub struct Samples {
    /// The newest sample, whatever it contains.
    pub latest: Option<Statement<Arc<cgroup::Sample>>>,
    /// The highest usage in bytes that any sample showed.
    pub peak: Option<u64>,
    /// The newest sample that still had memory in use: what it consisted of before the end. Mostly the same.
    pub last_use: Option<Statement<Arc<cgroup::Sample>>>,
    /// Usage over the last minutes, the oldest first.
    usage: VecDeque<(Timestamp, u64)>,
    /// Usage over the last seconds, the oldest first.
    recent: VecDeque<(Timestamp, u64)>,
    /// Processes of this very cgroup were killed for memory.
    pub oom_kills: Rise,
    /// Processes of this cgroup or of any below it were killed for memory (v2).
    pub oom_kills_below: Rise,
    /// An allocation failed for the limit of this very cgroup (v2).
    pub ooms: Rise,
    /// How often the limit of this very cgroup was reached.
    pub limit_hits: Rise,
    /// How often its processes were slowed down for `memory.high` (v2).
    pub high_hits: Rise,
    /// When all its processes last waited for memory most of the time, and whether its swap was used up then (v2).
    pub stalled: Option<(Timestamp, bool)>,
    /// Forks were refused for the limit of this very cgroup.
    pub pids_limit_hits: Rise,
    /// Scheduling periods, and those of them in which it was throttled, over the last minutes, the oldest first.
    periods: VecDeque<(Timestamp, u64, u64)>,
}

impl Samples {
    /// Records a sample. Whether it shows what no sample before did: a limit, or a counter that grew. Usage alone
    /// decides nothing.
    pub(super) fn record(&mut self, at: Timestamp, sample: cgroup::Sample) -> bool {
        let limits = |sample: &cgroup::Sample| (sample.memory_limit, sample.oom_group, sample.pids_limit);
        let mut is_news = self.latest.as_ref().is_none_or(|latest| limits(&latest.what) != limits(&sample));
        self.peak = self.peak.max(sample.memory_peak).max(sample.memory_usage);
        if let Some(usage) = sample.memory_usage {
            for (usages, most, step) in [(&mut self.usage, USAGES, USAGE_STEP), (&mut self.recent, RECENT, RECENT_STEP)]
            {
                if usages.back().is_none_or(|(last, _)| *last + step <= at) {
                    usages.push_back((at, usage));
                    if usages.len() > most {
                        usages.pop_front();
                    }
                }
            }
        }
        for (rise, count) in [
            (&mut self.oom_kills, sample.oom_kills),
            (&mut self.oom_kills_below, sample.oom_kills_below),
            (&mut self.ooms, sample.ooms),
            (&mut self.limit_hits, sample.limit_hits),
            (&mut self.high_hits, sample.high_hits),
            (&mut self.pids_limit_hits, sample.pids_limit_hits),
        ] {
            if let Some(count) = count {
                is_news |= rise.record(at, count);
            }
        }
        if sample.memory_stalled.is_some_and(|percent| percent >= STALLED)
            && self.stalled.is_none_or(|(last, _)| last <= at)
        {
            self.stalled = Some((at, sample.is_swap_full()));
        }
        if let (Some(all), Some(throttled)) = (sample.cpu_periods, sample.cpu_throttled_periods)
            && self.periods.back().is_none_or(|(last, _, _)| *last + PERIODS_STEP <= at)
        {
            self.periods.push_back((at, all, throttled));
            if self.periods.len() > PERIODS {
                self.periods.pop_front();
            }
        }
        let newer = |known: &Option<Statement<Arc<cgroup::Sample>>>| known.as_ref().is_none_or(|known| known.at <= at);
        let in_use = sample.anon.unwrap_or(0) > 0 || sample.file.unwrap_or(0) > 0;
        let sample = Arc::new(sample);
        if in_use && newer(&self.last_use) {
            self.last_use = Some(Statement { at, what: Arc::clone(&sample) });
        }
        if newer(&self.latest) {
            self.latest = Some(Statement { at, what: sample });
        }
        is_news
    }

    /// Scheduling periods between two moments, and those of them in which it was throttled, as far as they were read.
    pub fn throttled(&self, from: Timestamp, to: Timestamp) -> Option<(u64, u64)> {
        let before = self.periods.iter().rev().find(|(at, _, _)| *at <= from).or_else(|| self.periods.front())?;
        let after = self.periods.iter().rev().find(|(at, _, _)| *at <= to)?;
        Some((after.1.saturating_sub(before.1), after.2.saturating_sub(before.2)))
    }

    /// When it was throttled in at least half of the periods, between two moments, the oldest first: from one reading
    /// to another.
    pub fn throttled_spans(&self, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
        for ((start, all_before, before), (end, all, throttled)) in self.periods.iter().zip(self.periods.iter().skip(1))
        {
            let (all, throttled) = (all.saturating_sub(*all_before), throttled.saturating_sub(*before));
            if throttled == 0 || throttled * 2 < all || *end < from || *start > to {
                continue;
            }
            match spans.last_mut() {
                Some((_, last)) if *last == *start => *last = *end,
                _ => spans.push((*start, *end)),
            }
        }
        spans
    }

    /// Usage over the minutes up to a moment, the oldest first: every few seconds, and more often in the last. At most
    /// 40 points.
    pub fn history(&self, until: Timestamp) -> impl Iterator<Item = (Timestamp, u64)> {
        let all: BTreeMap<_, _> = self.usage.iter().chain(&self.recent).copied().collect();
        all.into_iter().take_while(move |(at, _)| *at <= until)
    }

    /// The newest usage before a moment, and by how much it had grown in the five minutes before.
    pub fn usage_at(&self, at: Timestamp) -> Option<(u64, u64)> {
        let after = self.usage.partition_point(|(t, _)| *t <= at);
        let begin = self.usage.partition_point(|(t, _)| *t < at - GROWTH);
        let (_, last) = self.usage.get(after.checked_sub(1)?)?;
        let (_, first) = self.usage.get(begin).filter(|_| begin < after)?;
        Some((*last, last.saturating_sub(*first)))
    }
}

/// A counter of a cgroup that only grows, and when it was seen to grow.
#[derive(Clone, Debug, Default)]
pub struct Rise {
    first: Option<(Timestamp, u64)>,
    last: Option<(Timestamp, u64)>,
    /// The last growths, the oldest first: between which two moments.
    grown: VecDeque<(Timestamp, Timestamp)>,
}

impl Rise {
    /// Records a reading. Whether the counter has grown, or is there for the first time.
    fn record(&mut self, at: Timestamp, count: u64) -> bool {
        match self.last {
            Some((last_at, _)) if at < last_at => false,
            Some((last_at, last)) => {
                if count > last {
                    self.grown.push_back((last_at, at));
                    if self.grown.len() > GROWTHS {
                        self.grown.pop_front();
                    }
                }
                self.last = Some((at, count));
                count > last
            }
            None => {
                self.first = Some((at, count));
                self.last = Some((at, count));
                true
            }
        }
    }

    /// The newest value of the counter; `None` before it was read.
    pub fn count(&self) -> Option<u64> {
        self.last.map(|(_, count)| count)
    }

    /// By how much it grew while it was watched.
    pub fn growth(&self) -> u64 {
        match (self.first, self.last) {
            (Some((_, first)), Some((_, last))) => last.saturating_sub(first),
            _ => 0,
        }
    }

    /// The last time it grew: between which two moments.
    pub fn grown(&self) -> Option<(Timestamp, Timestamp)> {
        self.grown.back().copied()
    }

    /// Whether it grew at a moment, which is known to within `error`. What it counted before it was first read may be
    /// as old as `since`.
    pub fn grew_at(&self, at: Timestamp, error: SignedDuration, since: Timestamp) -> bool {
        let first = self.first.filter(|(_, count)| *count > 0).map(|(first_at, _)| (since, first_at));
        self.grown.iter().copied().chain(first).any(|(from, to)| from - error <= at && at <= to + error)
    }

    /// Whether it was read before and after a moment, which is known to within `error`, and never grew.
    pub fn stood_still_at(&self, at: Timestamp, error: SignedDuration) -> bool {
        let watched = self.watched().is_some_and(|(first, last)| first <= at - error && at + error <= last);
        watched && self.growth() == 0
    }

    /// When the counter was first and last read; `None` before it was read.
    pub fn watched(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.first?.0, self.last?.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_throttling_are_joined() {
        let at = |second| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let mut samples = Samples::default();
        let mut throttled = 0;
        for second in 0..30_i64 {
            throttled += if (5..12).contains(&second) || second == 20 { 8 } else { 1 };
            let sample = cgroup::Sample {
                cpu_periods: Some(10 * second.unsigned_abs()),
                cpu_throttled_periods: Some(throttled),
                ..cgroup::Sample::default()
            };
            samples.record(at(second), sample);
        }
        assert_eq!(samples.throttled_spans(at(0), at(29)), [(at(4), at(11)), (at(19), at(20))]);
        assert_eq!(samples.throttled_spans(at(15), at(29)), [(at(19), at(20))]);
    }

    #[test]
    fn the_history_is_bounded_and_densest_at_its_end() {
        let at = |second| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let mut samples = Samples::default();
        for second in 0_i64..3_600 {
            let sample = cgroup::Sample { memory_usage: Some(second.unsigned_abs()), ..cgroup::Sample::default() };
            samples.record(at(second), sample);
        }
        let history: Vec<_> =
            samples.history(at(3_600)).map(|(time, usage)| (time.as_second() - at(0).as_second(), usage)).collect();
        assert!(history.len() <= USAGES + RECENT && history.len() > USAGES, "{history:?}");
        assert!(history.iter().all(|(second, usage)| second.unsigned_abs() == *usage));
        let seconds: Vec<_> = history.iter().map(|(second, _)| *second).collect();
        assert_eq!(seconds[seconds.len() - 8..], [3_592, 3_593, 3_594, 3_595, 3_596, 3_597, 3_598, 3_599]);
        assert!(seconds[0] < 3_600 - 280 && seconds.is_sorted());
        assert!(samples.history(at(3_500)).all(|(time, _)| time <= at(3_500)), "nothing from behind the moment");
    }
}
