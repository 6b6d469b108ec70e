//! One per cluster: intake -> ledger -> feed.
//!
//! The program is `main.rs`; this library lets tests run it, or parts of it, in their own process.

pub mod app;
pub mod auth;
pub mod cluster;
pub mod command;
pub mod config;
pub mod cursor;
pub mod export;
pub mod feed;
pub mod filter;
pub mod gate;
pub mod intake;
pub mod lease;
pub mod ledger;
pub mod mask;
mod nats;
pub mod nodes;
pub mod reflection;
pub mod server;
pub mod tls;
pub mod wire;
