//! The node cannot reach the API server.

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{Finding, NodeCase};
use crate::{
    aspect::{Aspect, Part},
    messages::node as texts,
    observation::{Source, node::Step},
    verdict::Verdict,
};

/// An API server, or what stands before it, may be restarted within this time.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15);

pub(super) fn findings(case: NodeCase<'_>) -> Vec<Finding> {
    let Some(known) = &case.state.api_server else { return Vec::new() };
    let Some((step, error)) = &known.what.failed else { return Vec::new() };
    let (address, step) = (known.what.address.as_str(), step.keyword());
    let verdict = Verdict::new(Cause::ApiServerUnreachable, Confidence::Certain, known.at)
        .not_fatal()
        .headed(texts::node_api_server(step))
        .explained(texts::node_api_server_why(address, step, super::worded(error)))
        .explained(texts::node_api_server_effect())
        .supported_by(Source::NodeChecks, known.at, texts::node_api_server_step(address, step, super::worded(error)));
    vec![Finding { aspect: Aspect::Node(Part::ApiServer), verdict, ripe: known.at + PATIENCE }]
}

impl Step {
    /// The keyword by which messages choose their wording.
    const fn keyword(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ready => "ready",
        }
    }
}
