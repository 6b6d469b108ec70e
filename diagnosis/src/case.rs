//! Case files: everything that is known of one node, its pods and its containers, kept until the verdict.
//!
//! A case file stores what witnesses said, in order of time, and draws no conclusion while doing so. Verdicts are then a
//! function of the file alone: that is why the order in which witnesses arrive does not matter.

mod container;
mod node;
mod pod;
mod statements;

pub use container::{ContainerFile, KubeletWord, ProcessFile, Rise, Samples};
pub use node::{AuditedEnd, Line, NodeFile, OomKill, SourceFile};
pub use pod::{Occurrences, PodFile};
pub use statements::{ByPid, Said};

use crate::observation::cri::ContainerId;

/// Whom a diagnosis may be about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A container instance.
    Container(ContainerId),
    /// A pod, by the uid that the node knows it by.
    Pod(String),
}
