//! A container that a person added to look into the pod (`kubectl debug`): its end is that of a session.

use coroner_proto::v1::Cause;

use super::death::Death;
use crate::{observation::kube::ContainerKind, verdict::Verdict};

/// Whether this end of an ephemeral container is that of a session: with whatever status, it is no failure. What the
/// kernel did to it for memory, or a process outside of it, is reported all the same.
pub(super) fn is_of_person(death: &Death<'_>, verdict: &Verdict) -> bool {
    let of_node = matches!(
        verdict.cause,
        Cause::OomContainerLimit
            | Cause::OomPodLimit
            | Cause::OomNode
            | Cause::OomNestedLimit
            | Cause::HardwareMemoryError
            | Cause::KilledByOomDaemon
            | Cause::KilledExternally
    );
    let kind = death.file.kubelet.as_ref().map(|status| status.kind);
    kind == Some(ContainerKind::Ephemeral) && !of_node
}
