//! A restart rule of the pod: when one container exits as the rule demands, the kubelet ends all others within two
//! seconds and starts the pod's containers again (`RestartAllContainers`, 1.35 on; `pkg/kubelet/status/generate.go`,
//! `GenerateAllContainersRestartingCondition`).

use coroner_proto::v1::{Cause, StopRequester};
use jiff::SignedDuration;

use super::Request;
use crate::{
    case::PodFile,
    messages::stop,
    rules::death::{CLOCKS, Death},
    verdict::Evidence,
};

/// The kubelet ends the other containers within this time.
const PROMPT: SignedDuration = SignedDuration::from_secs(60);

/// The kubelet killed this container since another one exited. The one that triggered it ended by itself.
pub(super) fn applied(death: &Death<'_>, pod: &PodFile) -> Option<Request> {
    // One that obeys the SIGTERM before may end with any status; the trigger ended before the condition was set.
    let stopped = matches!(death.code, Some(137 | 143)) || super::super::stopped::asked(death).is_some();
    let (at, condition) = pod.restarts().find(|(at, _)| *at <= death.at + CLOCKS)?;
    if !stopped || death.at > at + PROMPT {
        return None;
    }
    Some(Request {
        cause: Some(Cause::StoppedByRestartRule),
        by: StopRequester::Unspecified,
        at,
        headline: stop::rule_applied(),
        explanation: vec![stop::rule_trigger(&condition.message)],
        evidence: vec![Evidence::new(pod.reporter(), at, condition.statement())],
        contributing: Vec::new(),
    })
}
