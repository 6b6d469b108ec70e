//! The sources: one interface of the node each, independent of one another. They observe, they decide nothing.

pub mod cgroups;
pub mod container_names;
pub mod containerd;
pub mod cri;
pub mod outlet;
pub mod runtime;
mod worker;
