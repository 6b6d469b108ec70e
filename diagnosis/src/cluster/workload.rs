//! A controller that cannot create its pods.

use coroner_proto::v1::{Cause, Confidence, SubjectKind};
use jiff::SignedDuration;

use super::{Finding, file::ClusterFile};
use crate::{
    aspect::Aspect,
    observation::{
        Source,
        kube::{
            Controller, Kind, Meta, Reference, WorkloadKind,
            message::admission::{Refusal, refusal},
        },
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
    let refusal = refusal(message);
    let (cause, confidence) = judge(refusal.as_ref());
    let explanation = format!(
        "The controller keeps trying, and the API server refuses: {}{}",
        text::clean(message, 1024),
        named(refusal.as_ref())
    );
    let mut verdict = Verdict::new(cause, confidence, since).not_fatal().told(headline(refusal.as_ref()), explanation);
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

/// The cause that a refusal is, and how sure: what nobody recognizes is the server's own affair at most.
fn judge(refusal: Option<&Refusal<'_>>) -> (Cause, Confidence) {
    match refusal {
        Some(Refusal::Quota { .. }) => (Cause::QuotaExceeded, Confidence::Certain),
        Some(Refusal::LimitRange) => (Cause::LimitRangeViolated, Confidence::Certain),
        Some(Refusal::Denied) => (Cause::AdmissionDenied, Confidence::Certain),
        Some(Refusal::WebhookFailed { .. }) => (Cause::AdmissionWebhookFailed, Confidence::Certain),
        Some(Refusal::Invalid) => (Cause::PodSpecInvalid, Confidence::Certain),
        Some(Refusal::Server) => (Cause::PodCreateFailed, Confidence::Certain),
        None => (Cause::PodCreateFailed, Confidence::Likely),
    }
}

/// What the refusal names.
fn named(refusal: Option<&Refusal<'_>>) -> String {
    match refusal {
        Some(Refusal::WebhookFailed { webhook, service }) => {
            let service = service.map_or_else(String::new, |(namespace, name)| {
                format!(" (Service {}/{})", text::clean(namespace, 63), text::clean(name, 63))
            });
            format!(" The API server could not call webhook {}{service}.", text::clean(webhook, 253))
        }
        Some(Refusal::Quota { demanded: Some(demanded) }) => {
            format!(
                " The quota is not used up: it demands values that the pod leaves out ({}).",
                text::clean(demanded, 256)
            )
        }
        _ => String::new(),
    }
}

fn headline(refusal: Option<&Refusal<'_>>) -> &'static str {
    match refusal {
        Some(Refusal::Quota { demanded: Some(_) }) => {
            "Cannot create pods: the namespace's quota demands values that they leave out"
        }
        Some(Refusal::Quota { demanded: None }) => "Cannot create pods: the namespace's quota does not allow them",
        Some(Refusal::LimitRange) => "Cannot create pods: they are outside the namespace's LimitRange",
        Some(Refusal::Denied) => "Cannot create pods: admission refuses them",
        Some(Refusal::WebhookFailed { .. }) => "Cannot create pods: an admission webhook could not be called",
        Some(Refusal::Invalid) => "Cannot create pods: the pod template is invalid",
        Some(Refusal::Server) | None => "Cannot create pods: the API server failed to create them",
    }
}
