//! The kubelet reports that the container runtime does not work, and nothing else of the node shows it.
//!
//! The kubelet joins its reasons in the message of the condition `Ready` (`pkg/kubelet/runtime.go`,
//! `pkg/kubelet/pleg/generic.go`). Where the agent itself sees the runtime, that decides.

use coroner_proto::v1::{Cause, Confidence};
use jiff::SignedDuration;

use super::{Finding, NodeCase};
use crate::{
    aspect::Aspect,
    messages::{common, node as texts},
    observation::{Source, kube::Kind, node::Daemon},
    verdict::Verdict,
};

/// A runtime may take so long for its own update; then the kubelet is ready again.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);
/// The runtime has given no good status for 30 s.
const DOWN: &str = "container runtime is down";
/// The kubelet has not got through the list of the runtime's pods for minutes.
const HUNG: &str = "PLEG is not healthy: pleg was last seen active ";

pub(super) fn findings(case: NodeCase<'_>) -> Vec<Finding> {
    finding(case).into_iter().collect()
}

fn finding(case: NodeCase<'_>) -> Option<Finding> {
    let daemon = Daemon::Runtime;
    let is_known = case.state.daemon(daemon).is_some_and(|file| file.answer.is_some() || file.process.is_some());
    let reasons = case.reasons();
    let cause = match () {
        () if reasons.contains(&DOWN) => Cause::RuntimeDown,
        () if reasons.iter().any(|reason| reason.starts_with(HUNG)) => Cause::RuntimeHung,
        () => return None,
    };
    let ready = case.node.objects.node.as_ref()?.condition("Ready")?;
    let at = ready.since.unwrap_or(case.now);
    // A runtime that is asked and answers, or does not, is judged by that: the kubelet calls one that hangs down, too.
    if is_known || case.node.covered(Source::Cri, at, case.now) || case.is_shutting_down() {
        return None;
    }
    let headline = match cause {
        Cause::RuntimeDown => texts::node_daemon_down(daemon.keyword()),
        _ => texts::node_daemon_hung(daemon.keyword()),
    };
    let verdict = Verdict::new(cause, Confidence::Likely, at)
        .not_fatal()
        .headed(headline)
        .explained(common::kubelet_reported(&ready.message))
        .explained(texts::node_daemon_effect(daemon.keyword()))
        .supported_by(Source::Api(Kind::Nodes), at, format!("Ready: {}", ready.message));
    let other = if cause == Cause::RuntimeDown { Cause::RuntimeHung } else { Cause::RuntimeDown };
    let verdict = verdict.or_else(other, texts::node_daemon_unseen());
    Some(Finding { aspect: Aspect::Node(daemon.into()), verdict, ripe: at + PATIENCE })
}
