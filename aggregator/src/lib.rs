//! One per cluster: intake -> ledger -> feed.
//!
//! The program is `main.rs`; this library lets tests run it, or parts of it, in their own process.

pub mod app;
pub mod auth;
pub mod budget;
pub mod cluster;
pub mod command;
pub mod config;
pub mod export;
pub mod feed;
mod fields;
mod file;
pub mod filter;
mod gap;
pub mod http;
pub mod intake;
pub mod issuer;
pub mod key;
mod lease;
pub mod ledger;
pub mod mask;
mod memory;
mod messages;
pub mod net;
pub mod nodes;
pub mod program;
pub mod query;
mod remote;
pub mod services;
pub mod status;
pub mod time;
pub mod token;
pub mod traffic;
pub mod triage;
pub mod unavailable;
