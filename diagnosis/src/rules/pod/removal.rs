//! The pod as a whole was ended: evicted, preempted, out of time, or with its node.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase};
use crate::{aspect::Aspect, rules::stop::removal::removal, verdict::Verdict};

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    // Of a pod without a Node object, only the watch of the cluster reports that: most of their agents are gone.
    let Some(removal) = removal(case.node, case.file).filter(|of| of.cause != Cause::RemovedWithNode) else {
        return Vec::new();
    };
    let mut verdict = Verdict::new(removal.cause, Confidence::Certain, removal.at)
        .headed(removal.headline)
        .supported(removal.evidence);
    verdict.explanation = removal.explanation;
    verdict.requested_by = removal.by;
    vec![Finding { aspect: Aspect::End, verdict, ripe: removal.at }]
}
