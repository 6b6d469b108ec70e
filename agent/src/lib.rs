//! On every node: sources -> diagnosis -> outbox -> aggregator.
//!
//! A library, so that tests and fuzzers can reach the modules; `main.rs` only starts [`app`].

pub mod app;
pub mod clock;
pub mod config;
pub mod examination;
mod footprint;
pub mod gauges;
pub mod host;
mod messages;
pub mod node;
pub mod open_states;
pub mod outbox;
pub mod record;
pub mod report;
pub mod sources;
pub mod status;
pub mod uplink;
