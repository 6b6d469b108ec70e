//! What the files of one cgroup said, over time.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::statements::Said;
use crate::observation::cgroup;

/// Usages of a cgroup that are remembered, at least [`USAGE_STEP`] apart, to tell what grew in the time of [`GROWTH`].
const USAGES: usize = 32;
const USAGE_STEP: SignedDuration = SignedDuration::from_secs(9);
const GROWTH: SignedDuration = SignedDuration::from_mins(5);
/// Readings of the CPU's periods that are remembered, at least [`PERIODS_STEP`] apart.
const PERIODS: usize = 64;
const PERIODS_STEP: SignedDuration = SignedDuration::from_millis(900);

/// What the files of one cgroup said, over time.
#[derive(Debug, Default)]
pub struct Samples {
    /// The newest sample.
    pub latest: Option<Said<cgroup::Sample>>,
    /// The highest usage of any sample.
    pub peak: Option<u64>,
    /// The newest sample that still had memory in use: what it consisted of before the end.
    pub last_use: Option<Said<cgroup::Sample>>,
    /// Usage over the last minutes, the oldest first.
    usage: VecDeque<(Timestamp, u64)>,
    /// Processes of this very cgroup were killed for memory.
    pub oom_kills: Rise,
    /// Processes of this cgroup or of any below it were killed for memory (v2).
    pub oom_kills_below: Rise,
    /// An allocation failed for the limit of this very cgroup (v2).
    pub ooms: Rise,
    /// The limit of this very cgroup was reached.
    pub limit_hits: Rise,
    /// Forks were refused for the limit of this very cgroup.
    pub pids_limit_hits: Rise,
    /// Scheduling periods, and those of them in which it was throttled, over the last minutes, the oldest first.
    periods: VecDeque<(Timestamp, u64, u64)>,
}

impl Samples {
    /// Records a sample. Whether it shows what no sample before did: a limit, or a counter that grew. Usage alone decides
    /// nothing.
    pub(super) fn record(&mut self, at: Timestamp, sample: cgroup::Sample) -> bool {
        let limits = |sample: &cgroup::Sample| (sample.memory_limit, sample.oom_group, sample.pids_limit);
        let mut is_news = self.latest.as_ref().is_none_or(|latest| limits(&latest.what) != limits(&sample));
        self.peak = self.peak.max(sample.memory_peak).max(sample.memory_usage);
        if let Some(usage) = sample.memory_usage
            && self.usage.back().is_none_or(|(last, _)| *last + USAGE_STEP <= at)
        {
            self.usage.push_back((at, usage));
            if self.usage.len() > USAGES {
                self.usage.pop_front();
            }
        }
        for (rise, count) in [
            (&mut self.oom_kills, sample.oom_kills),
            (&mut self.oom_kills_below, sample.oom_kills_below),
            (&mut self.ooms, sample.ooms),
            (&mut self.limit_hits, sample.limit_hits),
            (&mut self.pids_limit_hits, sample.pids_limit_hits),
        ] {
            if let Some(count) = count {
                is_news |= rise.record(at, count);
            }
        }
        if let (Some(all), Some(throttled)) = (sample.cpu_periods, sample.cpu_throttled_periods)
            && self.periods.back().is_none_or(|(last, _, _)| *last + PERIODS_STEP <= at)
        {
            self.periods.push_back((at, all, throttled));
            if self.periods.len() > PERIODS {
                self.periods.pop_front();
            }
        }
        let newer = |known: &Option<Said<cgroup::Sample>>| known.as_ref().is_none_or(|known| known.at <= at);
        let in_use = sample.anon.unwrap_or(0) > 0 || sample.file.unwrap_or(0) > 0;
        if in_use && newer(&self.last_use) {
            self.last_use = Some(Said { at, what: sample.clone() });
        }
        if newer(&self.latest) {
            self.latest = Some(Said { at, what: sample });
        }
        is_news
    }

    /// Scheduling periods between two moments, and those of them in which it was throttled, as far as they were read.
    pub fn throttled(&self, from: Timestamp, to: Timestamp) -> Option<(u64, u64)> {
        let before = self.periods.iter().rev().find(|(at, _, _)| *at <= from).or_else(|| self.periods.front())?;
        let after = self.periods.iter().rev().find(|(at, _, _)| *at <= to)?;
        Some((after.1.saturating_sub(before.1), after.2.saturating_sub(before.2)))
    }

    /// The newest usage before a moment, and by how much it had grown in the five minutes before.
    pub fn usage_at(&self, at: Timestamp) -> Option<(u64, u64)> {
        let before: Vec<_> = self.usage.iter().filter(|(t, _)| *t <= at && *t >= at - GROWTH).collect();
        let (_, last) = before.last()?;
        let (_, first) = before.first()?;
        Some((*last, last.saturating_sub(*first)))
    }
}

/// A counter of a cgroup that only grows, and when it was seen to grow.
#[derive(Clone, Debug, Default)]
pub struct Rise {
    first: Option<(Timestamp, u64)>,
    last: Option<(Timestamp, u64)>,
    /// The last growth: between these two moments.
    grown: Option<(Timestamp, Timestamp)>,
}

impl Rise {
    /// Records a reading. Whether the counter has grown, or is there for the first time.
    fn record(&mut self, at: Timestamp, count: u64) -> bool {
        match self.last {
            Some((last_at, _)) if at < last_at => false,
            Some((last_at, last)) => {
                if count > last {
                    self.grown = Some((last_at, at));
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

    /// The newest count.
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
        self.grown
    }

    /// When it was first and last read.
    pub fn watched(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.first?.0, self.last?.0))
    }
}
