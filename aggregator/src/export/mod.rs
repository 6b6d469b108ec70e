//! Exporters: each carries what the ledger holds to one place outside, in the ledger's order, at least once.
//!
//! An exporter is a reader of the ledger like any other: it has a cursor of its own, on disk, that moves only behind
//! what the other side has taken, so a slow or absent receiver harms neither the ledger nor another exporter. What a
//! receiver refuses for good goes into a dead-letter file; what retention takes before it could be sent is reported as
//! a gap.

mod append;
mod counters;
mod cursor;
mod dead_letter;
mod error;
mod format;
mod item;
mod pace;
mod runner;
mod setup;
mod sink;
mod start;
mod target;

pub use self::{
    counters::Counters,
    error::Error,
    setup::{Setup, check},
    start::{Exporter, start, task_name},
    target::{Filter, Start, Target},
};
