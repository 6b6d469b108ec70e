//! A controller that cannot create its pods.

use coroner_proto::v1::{Cause, Confidence, SubjectKind};
use jiff::SignedDuration;

use super::{Finding, file::ClusterFile};
use crate::{
    aspect::Aspect,
    observation::{
        Source,
        kube::{Controller, Kind, Meta, Reference, WorkloadKind},
    },
    report, text,
    verdict::Verdict,
};

/// A controller tries again at once; what passes by itself is not told.
const PATIENCE: SignedDuration = SignedDuration::from_secs(2);

pub(super) fn finding(file: &ClusterFile, uid: &str) -> Option<Finding> {
    let workload = file.workloads.get(uid);
    if workload.is_some_and(|w| w.kind == WorkloadKind::Deployment || w.wanted.is_some_and(|wanted| w.there >= wanted))
    {
        return None;
    }
    let condition = workload.and_then(|workload| workload.failed.as_deref());
    // Where the condition is watched, its absence says that the failure is over.
    let has_condition = workload.is_some_and(|workload| workload.kind == WorkloadKind::ReplicaSet);
    let event = file.failures.get(uid).filter(|_| condition.is_some() || !has_condition);
    let message = condition.map(|c| c.message.as_str()).or_else(|| event.map(|event| &*event.message))?;
    let since = condition.and_then(|c| c.since).or_else(|| event.map(|event| event.first)).unwrap_or(file.now);
    let cause = refusal(message);
    let mut verdict = Verdict::new(cause, Confidence::Certain, since).not_fatal().told(
        headline(cause),
        format!("Its controller tries again and again, and the API server refuses: {}", text::clean(message, 1024)),
    );
    if let (Some(condition), Some(workload)) = (condition, workload) {
        let said = format!("{} {}: {}", condition.kind, condition.reason, condition.message);
        verdict = verdict.by(Source::Api(workload.kind.into()), since, said);
    }
    if let Some(event) = event {
        verdict = verdict.by(Source::Api(Kind::Events), event.last, format!("FailedCreate: {}", event.message));
    }
    let (namespace, own, above) = match (workload, event) {
        (Some(workload), _) => {
            let kind = workload.kind.name().to_owned();
            let own = Controller { kind, name: workload.name.to_string(), uid: uid.to_owned() };
            (workload.namespace.to_string(), own, workload.controller.as_deref())
        }
        (None, Some(event)) => {
            let Reference { kind, namespace, name, uid, .. } = event.about.clone();
            (namespace, Controller { kind, name, uid }, None)
        }
        (None, None) => return None,
    };
    // By the name that people know: the Deployment of a ReplicaSet, the CronJob of a Job.
    let name = above.unwrap_or(&own).name.clone();
    Some(Finding {
        meta: Meta { namespace, name, uid: uid.to_owned(), ..Meta::default() },
        kind: SubjectKind::Workload,
        workloads: report::workloads([Some(&own), above]),
        aspect: Aspect::Create,
        verdict,
        ripe: since + PATIENCE,
    })
}

/// `pkg/apiserver/plugin/resourcequota`, `plugin/pkg/admission/limitranger`, `pod-security-admission`, and webhooks: each with
/// words of its own behind `is forbidden: `.
fn refusal(message: &str) -> Cause {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["exceeded quota: ", "failed quota: ", "insufficient quota"]) {
        Cause::QuotaExceeded
    } else if says(&[" per Container is ", " per Pod is ", " per PersistentVolumeClaim is ", "limit to request ratio"])
    {
        Cause::LimitRangeViolated
    } else {
        Cause::AdmissionDenied
    }
}

fn headline(cause: Cause) -> &'static str {
    match cause {
        Cause::QuotaExceeded => "Cannot create pods: the namespace's quota does not allow them",
        Cause::LimitRangeViolated => "Cannot create pods: they are outside the namespace's LimitRange",
        _ => "Cannot create pods: admission refuses them",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_apart_who_refused() {
        for (message, cause) in [
            (
                "pods \"a\" is forbidden: exceeded quota: q, requested: cpu=1, used: cpu=1, limited: cpu=1",
                Cause::QuotaExceeded,
            ),
            ("pods \"a\" is forbidden: failed quota: q: must specify limits.cpu for: c", Cause::QuotaExceeded),
            (
                "pods \"a\" is forbidden: minimum cpu usage per Pod is 100m, but request is 50m",
                Cause::LimitRangeViolated,
            ),
            ("pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": privileged", Cause::AdmissionDenied),
            ("admission webhook \"policy.example\" denied the request: no", Cause::AdmissionDenied),
        ] {
            assert_eq!(refusal(message), cause, "{message}");
        }
    }
}
