//! A restart rule of the pod: when one container exits as the rule says, the kubelet kills all others at once and
//! starts the pod's containers anew (`RestartAllContainers`, 1.35 on; `pkg/kubelet/status/generate.go`,
//! `GenerateAllContainersRestartingCondition`).

use coroner_proto::v1::{Cause, StopRequester};

use super::Request;
use crate::{
    case::PodFile,
    observation::kube::{Condition, Pod},
    rules::death::{CLOCKS, Death},
    text,
};

/// The condition, where it says that all containers of the pod are being restarted.
pub(in crate::rules) fn restarting(pod: &Pod) -> Option<&Condition> {
    pod.condition("AllContainersRestarting").filter(|condition| condition.status == Some(true))
}

/// The kubelet killed this container since another one exited. The one that triggered it ended by itself.
pub(super) fn applied(death: &Death<'_>, pod: &PodFile) -> Option<Request> {
    let condition = restarting(pod.object()?)?;
    let at = condition.since?;
    // Without a grace period, and so without SIGTERM.
    if death.code != Some(137) || death.at < at - CLOCKS {
        return None;
    }
    let said = format!("condition AllContainersRestarting, reason {}: {}", condition.reason, condition.message);
    let triggered = text::clean(&condition.message, 512);
    Some(Request {
        cause: Some(Cause::StoppedByRestartRule),
        by: StopRequester::Unspecified,
        at,
        summary: "Stopped by a restart rule of its pod".to_owned(),
        explanation: format!(
            "Another container of the pod exited, for which its restartPolicyRules restart all containers: {triggered}"
        ),
        said: vec![(pod.teller(), at, said)],
        contributing: None,
    })
}
