//! On every node: sources -> diagnosis -> outbox -> aggregator.

mod host;
mod sources;

fn main() {}
