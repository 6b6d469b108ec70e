//! A controller that cannot create its pods.

use coroner_proto::v1::{Cause, Confidence, Message, SubjectKind};
use jiff::SignedDuration;

use super::{Finding, file::ClusterFile, held::Workload};
use crate::{
    aspect::Aspect,
    messages::cluster as texts,
    observation::{
        Source,
        kube::{
            Controller, Kind, Meta, Reference, WorkloadKind,
            message::admission::{Refusal, refusal},
        },
    },
    report,
    verdict::Verdict,
};

/// A controller tries again at once; what passes by itself is not reported.
const PATIENCE: SignedDuration = SignedDuration::from_secs(2);

pub(super) fn finding(file: &ClusterFile, uid: &str) -> Option<Finding> {
    let workload = file.workloads.get(uid);
    let condition = workload.and_then(|workload| workload.failed.as_deref());
    // A Deployment cannot replace its pods while it has as many as it wants.
    let is_done = |w: &Workload| match w.kind {
        WorkloadKind::Deployment => w.failed.is_none(),
        _ => w.wanted.is_some_and(|wanted| w.there >= wanted),
    };
    if workload.is_some_and(is_done) {
        return None;
    }
    // Where the condition is watched, its absence shows that the failure is over.
    let of_condition = |w: &Workload| matches!(w.kind, WorkloadKind::ReplicaSet | WorkloadKind::Deployment);
    let has_condition = workload.is_some_and(of_condition);
    let event = file.failures.get(uid).filter(|_| condition.is_some() || !has_condition);
    let message = condition.map(|c| c.message.as_str()).or_else(|| event.map(|event| &*event.message))?;
    let since = condition.and_then(|c| c.since).or_else(|| event.map(|event| event.first)).unwrap_or(file.now);
    let refusal = refusal(message);
    let (cause, confidence) = judge(refusal.as_ref());
    let mut verdict = Verdict::new(cause, confidence, since)
        .not_fatal()
        .headed(headline(refusal.as_ref()))
        .explained(named(refusal.as_ref()))
        .explained(texts::create_refused(message));
    if let (Some(condition), Some(workload)) = (condition, workload) {
        let statement = format!("{} {}: {}", condition.kind, condition.reason, condition.message);
        verdict = verdict.supported_by(Source::Api(workload.kind.into()), since, statement);
    }
    if let Some(event) = event {
        verdict =
            verdict.supported_by(Source::Api(Kind::Events), event.last, format!("FailedCreate: {}", event.message));
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
        node: Box::default(),
        workloads: report::workloads([Some(&own), above]),
        aspect: Aspect::Create,
        verdict,
        ripe: since + PATIENCE,
    })
}

/// The cause that a refusal is, and how sure: a message that is not recognized is a failure of the server at most.
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
fn named(refusal: Option<&Refusal<'_>>) -> Option<Message> {
    match refusal? {
        Refusal::WebhookFailed { webhook, service: Some((namespace, name)) } => {
            Some(texts::create_webhook_service(webhook, format!("{namespace}/{name}")))
        }
        Refusal::WebhookFailed { webhook, service: None } => Some(texts::create_webhook_named(webhook)),
        Refusal::Quota { demanded } if !demanded.is_empty() => Some(texts::create_quota_demanded(demanded.clone())),
        _ => None,
    }
}

fn headline(refusal: Option<&Refusal<'_>>) -> Message {
    match refusal {
        Some(Refusal::Quota { demanded }) if !demanded.is_empty() => texts::create_quota_demands(),
        Some(Refusal::Quota { .. }) => texts::create_quota(),
        Some(Refusal::LimitRange) => texts::create_limit_range(),
        Some(Refusal::Denied) => texts::create_denied(),
        Some(Refusal::WebhookFailed { .. }) => texts::create_webhook(),
        Some(Refusal::Invalid) => texts::create_invalid(),
        Some(Refusal::Server) | None => texts::create_failed(),
    }
}
