//! Nodes that fall silent: what agents report of their nodes, Leases and Node objects, and probes, become verdicts that
//! no agent gives.
//!
//! Reports are kept in memory only. One aggregator of a cluster decides; the others pass on what reaches them.

mod addresses;
mod bus;
mod clock;
mod hub;
mod objects;
mod probe;
mod report;
mod service;
mod task;

pub use self::{bus::Bus, hub::Hub, service::Service, task::run};
