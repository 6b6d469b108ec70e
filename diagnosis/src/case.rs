//! Case files: everything that is known of one node, its pods and its containers, kept until the verdict.
//!
//! A case file stores what witnesses said, in order of time, and draws no conclusion while doing so. Verdicts are then a
//! function of the file alone: that is why the order in which witnesses arrive does not matter.

mod container;
mod node;
mod statements;

pub use container::{ContainerFile, ProcessFile, Rise, Samples};
pub use node::{AuditedEnd, Line, NodeFile, OomKill, PodFile, SourceFile};
pub use statements::{ByPid, Said};
