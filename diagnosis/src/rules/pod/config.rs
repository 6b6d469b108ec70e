//! A container could not be made: something that it refers to is missing, or the kubelet or the runtime refused it.

use coroner_proto::v1::{Cause, Confidence};

use super::{Finding, PodCase, waiting};
use crate::{aspect::Aspect, text, verdict::Verdict};

pub(super) fn findings(case: PodCase<'_>) -> Vec<Finding> {
    waiting(case)
        .filter_map(|(status, reason, message)| {
            let (cause, summary) = match reason {
                "CreateContainerConfigError" => refused_config(message)?,
                "CreateContainerError" | "PreCreateHookError" | "PreStartHookError" => refused_create(message),
                // What the runtime could not start has an instance, and its end is told.
                "RunContainerError" if case.instances(&status.name) == 0 => refused_create(message),
                _ => return None,
            };
            let at = case.since(&status.name);
            let mut verdict = Verdict::new(cause, Confidence::Certain, at)
                .not_fatal()
                .told(summary, format!("The container cannot be made: {}", text::clean(message, 1024)))
                .by(case.file.teller(), at, format!("waiting, {reason}: {message}"));
            for known in case.events("Failed", &status.name) {
                verdict = verdict.by(known.source(), known.times.last().copied().unwrap_or(at), known.said());
            }
            Some(Finding { aspect: Aspect::Start { container: status.name.clone() }, verdict, ripe: at })
        })
        .collect()
}

/// `pkg/kubelet/kubelet_pods.go`, `makeEnvironmentVariables`, and `kuberuntime_container.go`, `verifyRunAsNonRoot`.
fn refused_config(message: &str) -> Option<(Cause, &'static str)> {
    Some(if message.contains("runAsNonRoot") || message.contains("run as root") || message.contains("runAsUser") {
        (Cause::SecurityPolicyViolation, "Cannot start: it would run as root, which its securityContext forbids")
    } else {
        missing(message)?
    })
}

/// What of a ConfigMap or Secret is missing.
pub(super) fn missing(message: &str) -> Option<(Cause, &'static str)> {
    let lower = message.to_ascii_lowercase();
    let not_there = lower.contains("not found") || lower.contains("not registered");
    Some(if lower.contains("couldn't find key") || lower.contains("references non-existent") && lower.contains("key") {
        (Cause::ConfigKeyMissing, "Cannot start: a key that it refers to is not in its ConfigMap or Secret")
    } else if lower.contains("configmap") && not_there {
        (Cause::ConfigmapMissing, "Cannot start: a ConfigMap that it refers to does not exist")
    } else if lower.contains("secret") && not_there {
        (Cause::SecretMissing, "Cannot start: a Secret that it refers to does not exist")
    } else {
        return None;
    })
}

fn refused_create(message: &str) -> (Cause, &'static str) {
    if message.contains("no command specified") {
        (Cause::CommandMissing, "Cannot start: neither pod nor image names a command")
    } else {
        (Cause::ContainerCreateFailed, "Cannot start: the runtime could not make the container")
    }
}
