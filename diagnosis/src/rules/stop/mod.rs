//! On whose behalf the runtime stopped a container. The runtime only obeys the kubelet; why the kubelet asked, the
//! Pod's status and the kubelet's own events show.

mod announced;
mod deletion;
mod hook;
pub(super) mod probe;
pub(super) mod removal;
mod request;
pub(super) mod restart_rule;

use jiff::SignedDuration;

pub(super) use self::request::Request;
use super::death::{CLOCKS, Death};
use crate::{case::PodFile, observation::kube::Condition};

impl Condition {
    /// The condition, as evidence: type, reason and message.
    pub(crate) fn statement(&self) -> String {
        format!("{} ({}): {}", self.kind, self.reason, self.message)
    }
}

/// Times of the API are whole seconds, cut off.
const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// What runtime and kubelet need beyond the grace period.
const DELAY: SignedDuration = SignedDuration::from_secs(10);

/// The request that is known to precede the container's end.
pub(super) fn request(death: &Death<'_>) -> Option<Request> {
    let announced = || announced::announced(death, death.node.pod_of(death.file)?);
    with_reason(death).or_else(|| announced().filter(|request| can_have_obeyed(death, request)))
}

/// The same, where who asked is known. Of several, the first.
pub(super) fn with_reason(death: &Death<'_>) -> Option<Request> {
    let pod = death.node.pod_of(death.file)?;
    let by_pod = removal::removal(death.node, pod).map(removal::Removal::request);
    let by_probe = probe::kill(death, pod);
    let by_hook = hook::failed(death, pod);
    let by_rule = restart_rule::applied(death, pod);
    let by_deletion = pod.object().and_then(|object| deletion::asked(death.node, object, pod.deletion?));
    let before = |request: &Request| request.at <= death.at + CLOCKS;
    // What gives a reason also deletes the pod, and reports it about then.
    let order = |request: &Request| if request.cause.is_some() { request.at - CLOCKS } else { request.at };
    [by_pod, by_probe, by_hook, by_rule, by_deletion].into_iter().flatten().filter(before).min_by_key(order)
}

/// Whether a container that ended so, without signals having been observed, can have obeyed this request.
pub(super) fn can_have_obeyed(death: &Death<'_>, request: &Request) -> bool {
    let grace = grace(death);
    let after = death.at.duration_since(request.at);
    let by_signal = matches!(death.code, Some(137 | 143));
    after >= -CLOCKS && after <= grace + DELAY && (by_signal || after <= grace + SECOND)
}

/// Whether a request to stop is known, and its grace period was over when the container ended.
pub(super) fn is_overdue(death: &Death<'_>) -> bool {
    request(death).is_some_and(|request| death.at.duration_since(request.at) + SECOND >= grace(death))
}

/// The grace period that the API server set.
fn grace(death: &Death<'_>) -> SignedDuration {
    let pod = death.node.pod_of(death.file);
    let by_deletion = pod.and_then(|pod| pod.deletion).map(|deletion| deletion.grace_seconds);
    let asked = by_deletion.or_else(|| pod.and_then(PodFile::object)?.grace_seconds);
    SignedDuration::from_secs(asked.unwrap_or(30).clamp(0, 86_400))
}
