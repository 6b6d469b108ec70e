//! The sources: one interface of the node each, independent of one another. They observe, they decide nothing.

pub mod api;
pub mod cgroups;
pub mod container_names;
pub mod containerd;
pub mod cri;
pub mod disk;
pub mod docker;
pub mod kernel_log;
pub mod kubelet;
pub mod logs;
pub mod outlet;
pub mod process_events;
pub mod procfs;
pub mod runtime;
pub mod signals;
mod worker;

#[cfg(test)]
mod oom_tests;
#[cfg(test)]
mod testing;
