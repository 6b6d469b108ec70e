//! It ended with 0 where it should have stayed.

use coroner_proto::v1::{Cause, Confidence};

use super::death::{Death, Ending};
use crate::{observation::kube::ContainerKind, verdict::Verdict};

pub(super) fn end(death: &Death<'_>) -> Option<Verdict> {
    if death.ending() != Ending::Exit(0) || !death.started() {
        return None;
    }
    let pod = death.node.pod_of(death.file)?;
    let object = pod.object()?;
    let kind = object.container(death.file.name()?)?.kind;
    let should_stay = match kind {
        ContainerKind::Main => object.restart_policy == "Always",
        ContainerKind::Sidecar => true,
        ContainerKind::Init | ContainerKind::Ephemeral => false,
    };
    let asked =
        |object: &crate::observation::kube::Pod| object.deletion.is_some_and(|deletion| deletion.asked() <= death.at);
    if !should_stay || asked(object) || pod.has_ended() {
        return None;
    }
    let mut verdict = Verdict::new(Cause::CompletedUnexpectedly, Confidence::Certain, death.at)
        .told(
            "Ended by itself with status 0, though it is meant to keep running",
            "Its main process called exit with status 0, which says that its work is done. The pod restarts it for \
             ever: either the work belongs into a Job, or the program ends because it was started without what keeps \
             it running, such as a foreground flag.",
        )
        .by(pod.teller(), death.at, format!("restartPolicy {}", object.restart_policy));
    if let Some((source, at, said)) = death.file.said_exit() {
        verdict = verdict.by(source, at, said);
    } else {
        verdict = verdict.by(death.file.status_by, death.at, format!("reason {}, exit code 0", death.reason()));
    }
    verdict.exit = death.exit(0);
    verdict.process = death.main_process();
    Some(verdict.waiting())
}
