//! The rules about pods and about containers without an instance: what does not start, is not ready, does not end, and what
//! ended a pod as a whole.

mod image;

use jiff::Timestamp;

use crate::{
    case::{NodeFile, PodFile},
    kube,
    report::Aspect,
    verdict::Verdict,
};

/// What a rule found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What of the pod it is about.
    pub aspect: Aspect,
    /// Why.
    pub verdict: Verdict,
    /// Before this moment it may still pass: it is not told.
    pub ripe: Timestamp,
}

/// A pod, as the rules look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PodCase<'a> {
    /// The node's file.
    pub(super) node: &'a NodeFile,
    /// The pod's file.
    pub(super) file: &'a PodFile,
    /// The object.
    pub(super) pod: &'a kube::Pod,
    /// Now.
    pub(super) now: Timestamp,
}

/// What a rule about pods is: it looks at a pod and says what holds now, or has happened.
type Rule = fn(PodCase<'_>) -> Vec<Finding>;

/// The rules. Of several findings about one aspect, the first stands.
const RULES: [(&str, Rule); 1] = [("image", image::findings)];

/// What holds of a pod now, or has happened to it. `None` if nobody told the object: then nothing can be said to be over.
pub fn pod(node: &NodeFile, file: &PodFile, now: Timestamp) -> Option<Vec<Finding>> {
    let case = PodCase { node, file, pod: file.object()?, now };
    let mut findings: Vec<Finding> = Vec::new();
    for finding in RULES.iter().flat_map(|(_, rule)| rule(case)) {
        if findings.iter().all(|known| known.aspect != finding.aspect) {
            findings.push(finding);
        }
    }
    Some(findings)
}
