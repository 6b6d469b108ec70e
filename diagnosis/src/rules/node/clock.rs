//! The node's clock is wrong.

use coroner_proto::v1::{Cause, Confidence};
use jiff::{SignedDuration, Timestamp};

use super::{Finding, NodeCase};
use crate::{
    aspect::{Aspect, Part},
    messages::node as texts,
    observation::{Source, node::Reference},
    verdict::Verdict,
};

/// Offsets up to this do no harm: tokens and certificates are issued with more leeway.
const HARMLESS: SignedDuration = SignedDuration::from_secs(60);
/// Two references that agree differ by less.
const AGREE: SignedDuration = SignedDuration::from_secs(10);
/// One measurement may be of a moment at which the clock was being set.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn findings(case: NodeCase<'_>) -> Vec<Finding> {
    let Some((at, offset)) = offset(case) else { return Vec::new() };
    let wrong: Vec<_> = case.state.clocks.iter().filter(|(_, known)| known.what.abs() > HARMLESS).collect();
    // One other clock may itself be the wrong one; two that agree are not.
    let agree = wrong.len() > 1 && wrong.iter().all(|(_, known)| (known.what - offset).abs() < AGREE);
    let confidence = if agree { Confidence::Certain } else { Confidence::Likely };
    let headline = if offset.is_positive() { texts::node_clock_ahead } else { texts::node_clock_behind };
    let mut verdict = Verdict::new(Cause::ClockSkewed, confidence, at)
        .not_fatal()
        .headed(headline(offset.abs()))
        .explained(texts::node_clock_why());
    for (reference, known) in wrong {
        let keyword = match reference {
            Reference::ApiServer => "api_server",
            Reference::Aggregator => "aggregator",
        };
        let compared = texts::node_clock_compared(keyword, known.what.abs());
        verdict = verdict.supported_by(Source::NodeChecks, known.at, compared);
    }
    vec![Finding { aspect: Aspect::Node(Part::Clock), verdict, ripe: at + PATIENCE }]
}

/// How far the node's clock is wrong, and since when; `None` where it is right, no other was compared, or one other
/// agrees with it.
pub(super) fn offset(case: NodeCase<'_>) -> Option<(Timestamp, SignedDuration)> {
    let clocks = || case.state.clocks.values();
    if clocks().any(|known| known.what.abs() <= HARMLESS) {
        return None;
    }
    let since = clocks().map(|known| known.at).min()?;
    clocks().map(|known| known.what).max_by_key(|offset| offset.abs()).map(|offset| (since, offset))
}
