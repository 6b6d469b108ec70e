//! It ended with 0 where it should have stayed.

use coroner_proto::v1::{Cause, Confidence};

use super::{
    death::{Death, Ending, MOMENT},
    stop::request,
};
use crate::{
    messages::exit,
    observation::{Source, kube::ContainerKind},
    verdict::Verdict,
};

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    if death.ending() != Ending::Exit(0) || !death.started() {
        return None;
    }
    let pod = death.node.pod_of(death.file)?;
    let object = pod.object()?;
    let wanted = object.container(death.file.name()?)?;
    let kind = wanted.kind;
    let policy = object.restart_policy_of(wanted);
    let should_stay = matches!(kind, ContainerKind::Main | ContainerKind::Sidecar) && policy == "Always";
    let asked = pod.deletion.is_some_and(|deletion| deletion.asked() <= death.at)
        || request(death).is_some_and(|request| request.at + MOMENT <= death.at);
    if !should_stay || asked || pod.has_ended() {
        return None;
    }
    // A program that obeys SIGTERM ends with 0 too: only a source that observed the signals can rule that out.
    let watched = death.main.is_some() && death.watched_before_end();
    let confidence = if watched { Confidence::Certain } else { Confidence::Likely };
    let mut verdict = Verdict::new(Cause::CompletedUnexpectedly, confidence, death.at)
        .headed(exit::completed())
        .explained(if kind == ContainerKind::Sidecar { exit::completed_sidecar() } else { exit::completed_main() })
        .supported_by(pod.reporter(), death.at, format!("restartPolicy: {policy}"))
        .supported(death.reported_end());
    if !watched {
        verdict = verdict.or_else(Cause::StoppedByRequest, exit::exit_maybe_asked()).without(Source::Signals);
    }
    verdict.exit = death.exit(0);
    verdict.process = death.main_process();
    Some(verdict.waiting())
}
