//! On every node: sources -> diagnosis -> outbox -> aggregator.
//!
//! A library, so that tests and fuzzers can reach the modules; `main.rs` only starts [`app`].

pub mod host;
pub mod sources;
