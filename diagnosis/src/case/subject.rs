//! Whom a diagnosis of a node may be about.

use crate::observation::cri::ContainerId;

/// What a diagnosis of a node's agent can be about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The node itself.
    Node,
    /// A container instance.
    Container(ContainerId),
    /// A pod, by the uid that the node knows it by.
    Pod(String),
}
