//! The network plugin of the node is missing or fails.
//!
//! The kubelet puts what keeps it from being ready into the message of the condition `Ready`, several in brackets
//! (`pkg/kubelet/nodestatus/setters.go`), that of the network as the runtime reports it (`pkg/kubelet/runtime.go`).

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{Finding, NodeCase};
use crate::{
    aspect::{Aspect, Part},
    messages::node as texts,
    observation::{Source, kube::Kind},
    verdict::Verdict,
};

const PREFIX: &str = "container runtime network not ready: ";
/// A plugin may take so long after the start of a node, or of its own update.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

pub(super) fn findings(case: NodeCase<'_>) -> Vec<Finding> {
    finding(case).into_iter().collect()
}

fn finding(case: NodeCase<'_>) -> Option<Finding> {
    let ready = case.node.objects.node.as_ref()?.condition("Ready")?;
    let message = case.reasons().into_iter().find_map(|reason| reason.strip_prefix(PREFIX))?;
    let at = ready.since.unwrap_or(case.now);
    let verdict = Verdict::new(Cause::NodeNetworkNotReady, Confidence::Certain, at)
        .not_fatal()
        .headed(texts::node_network())
        .explained(texts::node_network_why(message))
        .supported_by(Source::Api(Kind::Nodes), at, format!("Ready: {}", ready.message));
    Some(Finding { aspect: Aspect::Node(Part::Network), verdict, ripe: at + PATIENCE })
}
