//! A sidecar whose pod has done its work: the kubelet stops it as it should be stopped, and nothing is to be reported
//! (`pkg/kubelet/kuberuntime/kuberuntime_manager.go`, `computePodActions`).

use coroner_proto::v1::Cause;

use super::{
    death::{CLOCKS, Death},
    stop::with_reason,
};
use crate::{
    case::PodFile,
    observation::kube::{Container, ContainerKind, Pod},
    verdict::Verdict,
};

/// Whether this end of a sidecar is how the kubelet ends a pod whose containers have all ended for good. What the
/// kernel or another process did to it is reported all the same.
pub(super) fn is_done(death: &Death<'_>, verdict: &Verdict) -> bool {
    let is_of_stop = matches!(
        verdict.cause,
        Cause::StoppedByRequest
            | Cause::GracePeriodExceeded
            | Cause::CompletedUnexpectedly
            | Cause::ApplicationExit
            | Cause::Unattributed
    );
    let Some(pod) = death.node.pod_of(death.file) else { return false };
    let Some(object) = pod.object() else { return false };
    let kind = death.file.name().and_then(|name| object.container(name)).map(|wanted| wanted.kind);
    is_of_stop && kind == Some(ContainerKind::Sidecar) && with_reason(death).is_none() && has_worked(death, pod, object)
}

/// Whether each ordinary container of the pod had ended by then and is not started again.
fn has_worked(death: &Death<'_>, pod: &PodFile, object: &Pod) -> bool {
    let ordinary = || object.containers.iter().filter(|wanted| wanted.kind == ContainerKind::Main);
    let is_over = |wanted: &Container| {
        let (name, policy) = (wanted.name.as_str(), object.restart_policy_of(wanted));
        let instances = death.node.registry.instances(pod).filter(|file| file.name() == Some(name));
        let newest = instances.max_by_key(|file| (file.first_seen, &file.id)).and_then(|file| file.reported_exit());
        newest.is_some_and(|exit| {
            let for_good = policy == "Never" || policy == "OnFailure" && exit.what == 0;
            for_good && exit.at <= death.at + CLOCKS
        })
    };
    ordinary().next().is_some() && ordinary().all(is_over)
}
