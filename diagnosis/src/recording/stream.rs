//! The files of a case as one stream, merged by the time at which each line was recorded.
//!
//! One line of each file is held at a time, so that a recording may be far larger than memory.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
};

use jiff::Timestamp;

use super::{At, Context, LineError, Problem, Reader, Recording, log, reader, without_ending};
use crate::observation::Observation;

/// The observations of a recording, in the order in which they were seen. Ends at the first line that cannot be used.
pub struct Observations<'r, L> {
    health: VecDeque<Observation>,
    files: Vec<File<'r, L>>,
    /// The next observation of each file that has one, by when it was seen; `None`: the file has not been read yet.
    heads: BTreeMap<(Timestamp, usize), Option<Observation>>,
    start: Timestamp,
    failed: Option<LineError>,
}

impl<L> std::fmt::Debug for Observations<'_, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observations").field("heads", &self.heads).finish_non_exhaustive()
    }
}

impl<'r, L: Iterator<Item = io::Result<String>>> Observations<'r, L> {
    pub(super) fn new(recording: &'r Recording, health: Vec<Observation>, files: BTreeMap<String, L>) -> Self {
        let files = files.into_iter().map(|(name, lines)| File::new(recording, name, lines)).collect();
        let start = recording.start;
        let mut merged = Self { health: health.into(), files, heads: BTreeMap::new(), start, failed: None };
        for index in 0..merged.files.len() {
            match &merged.files[index].kind {
                // A log was read when the recording ended. There may be thousands.
                Kind::Log => {
                    merged.heads.insert((recording.end, index), None);
                }
                Kind::Rows(_) => merged.advance(index, Timestamp::MIN),
                Kind::Unknown => {}
            }
        }
        merged
    }

    /// Reads a file on. A line that is earlier than the one before it follows it all the same.
    fn advance(&mut self, index: usize, after: Timestamp) {
        match self.files[index].next() {
            Some(Ok(observation)) => {
                self.heads.insert((observation.seen_at.max(after), index), Some(observation));
            }
            Some(Err(error)) => self.failed = self.failed.take().or(Some(error)),
            None => {}
        }
    }
}

impl<L: Iterator<Item = io::Result<String>>> Iterator for Observations<'_, L> {
    type Item = Result<Observation, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.failed.take() {
                self.heads.clear();
                self.health.clear();
                return Some(Err(error));
            }
            let first = self.heads.keys().next().copied();
            if first.is_none_or(|(at, _)| at >= self.start)
                && let Some(health) = self.health.pop_front()
            {
                return Some(Ok(health));
            }
            let (at, index) = first?;
            let head = self.heads.remove(&(at, index))?;
            self.advance(index, at);
            if let Some(observation) = head {
                return Some(Ok(observation));
            }
        }
    }
}

/// One file, line by line.
pub(super) struct File<'r, L> {
    recording: &'r Recording,
    name: String,
    kind: Kind,
    lines: L,
    /// Number of the line that was read last.
    number: usize,
    /// When that was seen.
    previous: Timestamp,
    /// What it reported and is still to be given.
    rest: VecDeque<Observation>,
}

enum Kind {
    /// The end of a container's log, read as a whole.
    Log,
    /// A row of JSON a line.
    Rows(Reader),
    /// Passed over.
    Unknown,
}

impl<'r, L: Iterator<Item = io::Result<String>>> File<'r, L> {
    pub(super) fn new(recording: &'r Recording, name: String, lines: L) -> Self {
        let kind = match reader(without_ending(&name)) {
            _ if name.starts_with(log::FOLDER) => Kind::Log,
            Some(reader) => Kind::Rows(reader),
            None => Kind::Unknown,
        };
        Self { recording, name, kind, lines, number: 0, previous: recording.start, rest: VecDeque::new() }
    }

    fn error(&self, source: Problem) -> LineError {
        LineError { file: self.name.clone(), line: self.number, source }
    }

    fn log(&mut self) -> Option<Result<Observation, LineError>> {
        let mut contents = String::new();
        while let Some(line) = self.lines.next() {
            self.number += 1;
            match line {
                Ok(line) => contents.extend([line.as_str(), "\n"]),
                Err(error) => return Some(Err(self.error(error.into()))),
            }
        }
        self.kind = Kind::Unknown;
        log::tail(self.recording, &self.name, &contents).map(Ok)
    }

    fn row(&mut self) -> Option<Result<Observation, LineError>> {
        while self.rest.is_empty() {
            let line = self.lines.next()?;
            self.number += 1;
            match line.map_err(Problem::from).and_then(|line| self.read(&line)) {
                Ok(read) => self.rest = read,
                Err(problem) => return Some(Err(self.error(problem))),
            }
        }
        self.rest.pop_front().map(Ok)
    }

    fn read(&mut self, line: &str) -> Result<VecDeque<Observation>, Problem> {
        let Kind::Rows(read) = &self.kind else { return Ok(VecDeque::new()) };
        if line.trim_ascii().is_empty() {
            return Ok(VecDeque::new());
        }
        let At { t: seen_at } = serde_json::from_str(line)?;
        let read = read(&Context { recording: self.recording, seen_at, previous: self.previous }, line)?;
        self.previous = seen_at;
        // Nothing is seen before it happens: where it seems so, two clocks disagree.
        let observation = |(happened_at, fact): (Option<Timestamp>, _)| {
            let happened_at = happened_at.map_or(seen_at, |at| at.min(seen_at));
            Observation { seen_at, happened_at, fact }
        };
        Ok(read.into_iter().map(observation).collect())
    }
}

impl<L: Iterator<Item = io::Result<String>>> Iterator for File<'_, L> {
    type Item = Result<Observation, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.kind {
            Kind::Log => self.log(),
            Kind::Rows(_) => self.row(),
            Kind::Unknown => None,
        }
    }
}
