//! The kubelet announced that it stops a container, and nothing else shows why: its event `Killing`
//! (`pkg/kubelet/kuberuntime/kuberuntime_manager.go`, `kuberuntime_container.go`).
//!
//! Its default text, `Stopping container web`, gives no reason: the deletion, eviction or shutdown behind it was not
//! observed. Those about probes and hooks are more than a request.

use coroner_proto::v1::{Message, StopRequester};
use jiff::Timestamp;

use super::{Request, SECOND};
use crate::{
    case::PodFile,
    messages::{common, stop},
    rules::death::{CLOCKS, Death},
    verdict::Evidence,
};

/// The kubelet's last announcement during the life of this instance.
pub(super) fn announced(death: &Death<'_>, pod: &PodFile) -> Option<Request> {
    let container = death.file.name()?;
    let kills = pod.events("Killing").filter(|known| known.event.about.container() == Some(container));
    let within = kills.filter_map(|known| Some((known, known.last_between(death.file.first_seen, death.at + CLOCKS)?)));
    let (killing, at) = within.max_by_key(|(_, at)| *at)?;
    // A container that ended with its sandbox is stopped by the kubelet only afterwards.
    let after_sandbox = death.sandbox_end().is_some_and(|sandbox| sandbox.at <= at);
    if after_sandbox || is_of_earlier(death, pod, container, at) {
        return None;
    }
    let message = &killing.event.message;
    Some(Request {
        cause: None,
        by: StopRequester::Runtime,
        at: at - SECOND,
        headline: reason(message, container),
        explanation: vec![common::kubelet_reported(message)],
        evidence: vec![Evidence::new(killing.source(), at, killing.statement())],
        contributing: Vec::new(),
    })
}

/// Whether an announcement at this time was about an earlier instance of the container, which ended after it: events
/// may arrive when the next instance has started.
fn is_of_earlier(death: &Death<'_>, pod: &PodFile, container: &str, at: Timestamp) -> bool {
    let mut instances = death.node.registry.instances(pod).filter(|file| file.name() == Some(container));
    instances.any(|file| {
        let earlier = file.id != death.file.id && file.first_seen < death.file.first_seen;
        earlier && file.reported_exit().is_some_and(|exit| exit.at >= at - CLOCKS && exit.at <= death.at)
    })
}

/// Why, as far as the kubelet gives a reason.
fn reason(message: &str, container: &str) -> Message {
    let rest = message.strip_prefix("Container ").and_then(|rest| rest.strip_prefix(container)).unwrap_or_default();
    match rest {
        " definition changed, will be restarted" | " definition changed" => stop::reason_redefined(),
        " resize requires restart" => stop::reason_resized(),
        _ => stop::reason_announced(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kubelets_own_words_are_a_reason() {
        let of = |message| reason(message, "app");
        assert_eq!(of("Container app definition changed, will be restarted"), stop::reason_redefined());
        assert_eq!(of("Container app resize requires restart"), stop::reason_resized());
        for other in ["Stopping container app", "Container definition changed", "Container app resize", ""] {
            assert_eq!(of(other), stop::reason_announced(), "{other}");
        }
    }
}
