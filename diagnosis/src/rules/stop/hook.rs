//! The kubelet stopped a container because its postStart hook failed.

use coroner_proto::v1::{Cause, StopRequester};

use super::Request;
use crate::{
    case::PodFile,
    messages::stop,
    observation::{
        Source,
        kube::{Kind, State},
    },
    rules::death::{CLOCKS, Death},
    verdict::Evidence,
};

/// The kubelet stops a container whose hook after the start failed.
pub(super) fn failed(death: &Death<'_>, pod: &PodFile) -> Option<Request> {
    let name = death.file.name()?;
    let (from, to) = (death.file.first_seen - CLOCKS, death.at + CLOCKS);
    let of_container = |reason| pod.events(reason).filter(|known| known.event.about.container() == Some(name));
    let (failed, at) =
        of_container("FailedPostStartHook").find_map(|known| Some((known, known.last_between(from, to)?)))?;
    let status = pod.object().and_then(|object| object.status(name));
    let reported = status.and_then(|status| match &status.state {
        State::Waiting { reason, message } if reason == "PostStartHookError" => Some(message.as_str()),
        _ => None,
    });
    let why = reported.unwrap_or(&failed.event.message);
    let mut evidence = vec![Evidence::new(failed.source(), at, failed.statement())];
    evidence.extend(
        reported.map(|error| Evidence::new(Source::Api(Kind::Pods), at, format!("PostStartHookError: {error}"))),
    );
    Some(Request {
        cause: Some(Cause::PostStartHookFailed),
        by: StopRequester::Unspecified,
        at,
        headline: stop::hook_post_start_failed(),
        explanation: vec![stop::hook_reported(why)],
        evidence,
        contributing: Vec::new(),
    })
}
