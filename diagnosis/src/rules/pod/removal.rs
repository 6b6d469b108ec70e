//! The pod as a whole was ended: evicted, preempted, out of time, or with its node.

use coroner_proto::v1::Confidence;

use super::{Finding, PodCase};
use crate::{aspect::Aspect, rules::stop::removal::removal, verdict::Verdict};

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    let Some(removal) = removal(case.node, case.file) else { return Vec::new() };
    let mut verdict =
        Verdict::new(removal.cause, Confidence::Certain, removal.at).told(removal.summary, removal.explanation);
    for (source, at, said) in &removal.said {
        verdict = verdict.by(*source, *at, said);
    }
    verdict.requested_by = removal.by;
    vec![Finding { aspect: Aspect::End, verdict, ripe: removal.at }]
}
