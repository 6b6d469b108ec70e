//! What is known of each node's agent: when it last reported, and the health of its sources. Kept in memory, stored
//! with the pushes when it changes, so that a restart forgets no silent node.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coroner_proto::v1::{NodePressure, NodeReport, NodeStatus, SourceStatus};
use jiff::Timestamp;
use prost::Message;

use crate::time::{nanoseconds, timestamp};

/// Nodes that are remembered; twice the largest clusters that Kubernetes supports. About 4 KiB each, and by the bounds
/// of a report some 20 KiB more at most.
const MAX_NODES: usize = 10_000;
/// Minutes of pressure that are remembered of each node, at [`PressurePoint`]'s 16 bytes each.
const PRESSURE_MINUTES: usize = 60;
/// How stale the stored time of an unchanged node may be.
const STORE_INTERVAL: i64 = 60_000_000_000;

/// There are more nodes than can be remembered.
#[derive(Debug, thiserror::Error)]
#[error("this aggregator already knows {MAX_NODES} nodes, the most that it can remember")]
pub struct Full;

/// The status of each node that has reported.
#[derive(Debug, Default)]
pub struct Nodes(Mutex<BTreeMap<String, Node>>);

#[derive(Debug, Default)]
struct Node {
    status: NodeStatus,
    /// When it was last stored, in nanoseconds since 1970.
    stored: i64,
    /// One point for each minute in which it has reported, the oldest first.
    pressure: VecDeque<PressurePoint>,
}

/// How short a node was of something within one minute: the highest of each that was reported, in percent. NaN for what
/// was not reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PressurePoint {
    /// When it began, in whole minutes since 1970.
    pub minute: u32,
    /// Time in which some process waited for a processor.
    pub cpu: f32,
    /// Time in which no process could work for want of memory.
    pub memory: f32,
    /// Time in which no process could work for want of a disk.
    pub io: f32,
}

impl PressurePoint {
    fn of(minute: u32, pressure: &NodePressure) -> Self {
        let NodePressure { cpu_some_percent, memory_full_percent, io_full_percent, .. } = pressure;
        Self {
            minute,
            cpu: percent(*cpu_some_percent),
            memory: percent(*memory_full_percent),
            io: percent(*io_full_percent),
        }
    }

    /// The highest of both; what one of them lacks is taken from the other.
    fn max(self, other: Self) -> Self {
        let Self { cpu, memory, io, .. } = other;
        Self { cpu: self.cpu.max(cpu), memory: self.memory.max(memory), io: self.io.max(io), ..self }
    }
}

/// A percentage at the precision of a drawing.
#[expect(clippy::cast_possible_truncation, reason = "it is within 0 and 100")]
fn percent(value: Option<f64>) -> f32 {
    value.filter(|value| value.is_finite()).map_or(f32::NAN, |value| value.clamp(0.0, 100.0) as f32)
}

impl Node {
    fn press(&mut self, point: PressurePoint) {
        match self.pressure.back_mut() {
            Some(last) if last.minute >= point.minute => *last = last.max(point),
            _ => {
                if self.pressure.len() == PRESSURE_MINUTES {
                    self.pressure.pop_front();
                }
                self.pressure.push_back(point);
            }
        }
    }
}

impl Nodes {
    /// Notes that a node has reported, and its sources if it named them. Gives its status, encoded, when that should be
    /// stored.
    ///
    /// # Errors
    /// [`Full`] for a new node when there are too many.
    pub fn observe(&self, name: &str, now: Timestamp, sources: Vec<SourceStatus>) -> Result<Option<Vec<u8>>, Full> {
        let now = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
        let mut nodes = self.nodes();
        let node = entry(&mut nodes, name)?;
        node.status.last_seen_time = Some(timestamp(now));
        let changed = !sources.is_empty() && node.status.sources != sources;
        if changed {
            node.status.sources = sources;
        }
        if changed || now.saturating_sub(node.stored) >= STORE_INTERVAL {
            node.stored = now;
            let stored = NodeStatus { sources: node.status.sources.clone(), ..Default::default() };
            return Ok(Some(stored.encode_to_vec()));
        }
        Ok(None)
    }

    /// Notes what is stored of a node, by this aggregator before it was restarted or by another one, unless this one
    /// knows better.
    pub fn restore(&self, status: NodeStatus) {
        let time = |status: &NodeStatus| status.last_seen_time.as_ref().and_then(nanoseconds);
        let mut nodes = self.nodes();
        if nodes.len() >= MAX_NODES && !nodes.contains_key(&status.node) {
            return;
        }
        let node = nodes.entry(status.node.clone()).or_default();
        if time(&node.status) < time(&status) {
            let acknowledged_sequence = node.status.acknowledged_sequence.max(status.acknowledged_sequence);
            node.stored = time(&status).unwrap_or_default();
            let (report, report_time) = (node.status.report.take(), node.status.report_time.take());
            node.status = NodeStatus { acknowledged_sequence, report, report_time, ..status };
        }
    }

    /// Notes what a node's agent reports of its node. Nothing of it is stored.
    ///
    /// # Errors
    /// [`Full`] for a new node when there are too many.
    pub fn report(&self, name: &str, now: Timestamp, report: NodeReport) -> Result<(), Full> {
        let minute = u32::try_from(now.as_second() / 60).unwrap_or(0);
        let now = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
        let mut nodes = self.nodes();
        let node = entry(&mut nodes, name)?;
        if let Some(pressure) = &report.pressure {
            node.press(PressurePoint::of(minute, pressure));
        }
        (node.status.report, node.status.report_time) = (Some(report), Some(timestamp(now)));
        Ok(())
    }

    /// Notes what is acknowledged to a node's agent.
    pub fn acknowledged(&self, name: &str, sequence: u64) {
        if let Some(node) = self.nodes().get_mut(name) {
            node.status.acknowledged_sequence = sequence;
        }
    }

    /// Forgets nodes that have not reported for so long before `now`, in nanoseconds since 1970.
    pub fn forget_unseen(&self, now: i64, age: Duration) {
        let oldest = now.saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX));
        let is_recent = |status: &NodeStatus| {
            let times = [&status.last_seen_time, &status.report_time];
            times.into_iter().any(|time| time.as_ref().and_then(nanoseconds) >= Some(oldest))
        };
        self.nodes().retain(|_, node| is_recent(&node.status));
    }

    /// The number of nodes that have reported.
    pub fn count(&self) -> usize {
        self.nodes().len()
    }

    /// The status of all nodes, ordered by name.
    pub fn all(&self) -> Vec<NodeStatus> {
        self.nodes().values().map(|node| node.status.clone()).collect()
    }

    /// The status of one node, if it is known.
    pub fn of(&self, name: &str) -> Option<NodeStatus> {
        self.nodes().get(name).map(|node| node.status.clone())
    }

    /// Its pressure by the reports of the last minutes, the oldest first.
    pub fn pressure(&self, name: &str) -> Vec<PressurePoint> {
        self.nodes().get(name).map(|node| node.pressure.iter().copied().collect()).unwrap_or_default()
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<String, Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The node of this name, which is new if it is not known.
///
/// # Errors
/// [`Full`] for a new node when there are too many.
fn entry<'a>(nodes: &'a mut BTreeMap<String, Node>, name: &str) -> Result<&'a mut Node, Full> {
    if !nodes.contains_key(name) && nodes.len() >= MAX_NODES {
        return Err(Full);
    }
    Ok(nodes.entry(name.to_owned()).or_insert_with(|| Node {
        status: NodeStatus { node: name.to_owned(), ..Default::default() },
        stored: i64::MIN,
        pressure: VecDeque::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn source(name: &str) -> Vec<SourceStatus> {
        vec![SourceStatus { source: name.into(), ..Default::default() }]
    }

    #[test]
    fn status_is_stored_when_new_when_changed_and_when_stale() {
        let nodes = Nodes::default();
        assert!(nodes.observe("n", at(100), source("cri")).unwrap().is_some());
        assert!(nodes.observe("n", at(101), source("cri")).unwrap().is_none());
        assert!(nodes.observe("n", at(102), source("kernel_log")).unwrap().is_some());
        assert!(nodes.observe("n", at(161), source("kernel_log")).unwrap().is_none());
        assert!(nodes.observe("n", at(162), source("kernel_log")).unwrap().is_some());
    }

    #[test]
    fn what_is_stored_already_is_not_stored_again_before_it_is_stale() {
        let nodes = Nodes::default();
        let last_seen_time = Some(timestamp(100_000_000_000));
        nodes.restore(NodeStatus { node: "n".into(), sources: source("cri"), last_seen_time, ..Default::default() });
        assert!(nodes.observe("n", at(101), source("cri")).unwrap().is_none());
        assert!(nodes.observe("n", at(160), source("cri")).unwrap().is_some());
    }

    #[test]
    fn push_that_names_no_sources_changes_none() {
        let nodes = Nodes::default();
        nodes.observe("n", at(100), source("cri")).unwrap();
        nodes.observe("n", at(101), vec![]).unwrap();
        assert_eq!(nodes.all()[0].sources, source("cri"));
    }

    #[test]
    fn the_pressure_of_an_hour_is_remembered_by_its_highest_of_each_minute() {
        let nodes = Nodes::default();
        let report = |second: i32, cpu: f64| {
            let pressure = NodePressure { cpu_some_percent: Some(cpu), ..NodePressure::default() };
            let report = NodeReport { pressure: Some(pressure), ..NodeReport::default() };
            nodes.report("n", at(second.into()), report).unwrap();
        };
        (0..120).for_each(|minute| (0..12).for_each(|n| report(60 * minute + 5 * n, f64::from(minute % 60 + n))));
        report(7_199, f64::INFINITY);
        let points = nodes.pressure("n");
        assert_eq!(points.len(), PRESSURE_MINUTES);
        assert_eq!((points[0].minute, points[59].minute), (60, 119));
        assert_eq!((points[0].cpu, points[59].cpu), (11.0, 70.0));
        assert!(points.iter().all(|point| point.memory.is_nan()));
        assert!(nodes.pressure("other").is_empty() && size_of::<PressurePoint>() == 16);
    }

    #[test]
    fn nodes_are_bounded_and_known_ones_stay() {
        let nodes = Nodes::default();
        for n in 0..MAX_NODES {
            nodes.observe(&n.to_string(), at(100), vec![]).unwrap();
        }
        assert!(nodes.observe("one more", at(101), vec![]).is_err());
        assert!(nodes.observe("7", at(102), vec![]).is_ok());
        nodes.forget_unseen(202_000_000_000, Duration::from_secs(100));
        assert_eq!(nodes.all().len(), 1);
    }
}
