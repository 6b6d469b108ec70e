//! The state machine: observations in, diagnoses out.

use coroner_proto::v1::{Diagnosis, Node};
use jiff::Timestamp;

use crate::observation::Observation;

/// Keeps the case files of one node and decides. Memory is bounded by construction.
#[derive(Debug)]
pub struct Examiner {
    _node: Node,
}

impl Examiner {
    /// An examiner for this node. Its names go into every diagnosis and its uid.
    pub fn new(node: Node) -> Self {
        Self { _node: node }
    }

    /// Takes in what was seen. Gives the diagnoses that are new or better because of it: first revisions and higher ones.
    pub fn observe(&mut self, _observation: Observation) -> Vec<Diagnosis> {
        Vec::new()
    }

    /// Lets time pass to `now`. Gives the diagnoses that only waited for witnesses that might still have come.
    pub fn tick(&mut self, _now: Timestamp) -> Vec<Diagnosis> {
        Vec::new()
    }

    /// When [`tick`](Self::tick) should be called next; `None` if nothing waits.
    pub fn next_tick(&self) -> Option<Timestamp> {
        None
    }
}
