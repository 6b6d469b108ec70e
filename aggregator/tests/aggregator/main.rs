//! The aggregator as its clients meet it: real gRPC over loopback, a real ledger on disk, and the real program where
//! its death or its exit code matters.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod backup;
mod damage;
mod exporters;
mod feed;
mod hostile_bytes;
mod intake;
mod measure;
mod model;
mod node_reports;
mod process;
mod share;
mod shared;
mod support;
