//! The pods are fine, and no traffic can reach them: a Service that leads nowhere, an Ingress to nothing.

use std::collections::BTreeMap;

use coroner_proto::v1::{Cause, Confidence, SubjectKind};
use jiff::SignedDuration;

use super::{Finding, file::ClusterFile};
use crate::{
    aspect::Aspect,
    observation::{
        Source,
        kube::{Kind, Meta, Pod, Service, ServicePort, TargetPort},
    },
    text,
    verdict::Verdict,
};

/// What belongs together is seldom made at the same moment.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn service(file: &ClusterFile, namespace: &str, name: &str) -> Option<Finding> {
    let known = file.services.get(&(namespace.to_owned(), name.to_owned()))?;
    let service = &known.object;
    // Without a selector, somebody else keeps the endpoints.
    if service.kind == "ExternalName" || service.selector.is_empty() || !file.watched(Kind::Pods) {
        return None;
    }
    let alive = |pod: &Pod| pod.deletion.is_none() && !matches!(pod.phase.as_str(), "Failed" | "Succeeded");
    let pods: Vec<&Pod> = ClusterFile::in_namespace(&file.pods, namespace)
        .map(|known| &known.object)
        .filter(|pod| alive(pod) && has(&pod.labels, &service.selector))
        .collect();
    let ripe = known.changed + PATIENCE;
    let verdict = if pods.is_empty() { without_endpoints(file, service)? } else { port_mismatch(service, &pods)? };
    let verdict = Verdict { at: known.since, ..verdict };
    Some(found(&service.meta, SubjectKind::Service, verdict, ripe))
}

/// Whether labels hold all of a selector.
fn has(labels: &BTreeMap<String, String>, selector: &BTreeMap<String, String>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn without_endpoints(file: &ClusterFile, service: &Service) -> Option<Verdict> {
    let namespace = service.meta.namespace.as_str();
    let slices = ClusterFile::in_namespace(&file.slices, namespace).map(|known| &known.object);
    if slices.filter(|slice| slice.service == service.meta.name).any(|slice| !slice.endpoints.is_empty()) {
        return None;
    }
    // A workload whose pods it would lead to has none on purpose, or has a diagnosis of its own.
    let workloads = file.workloads.values().map(|known| &known.object);
    if workloads.filter(|w| w.meta.namespace == namespace).any(|workload| has(&workload.labels, &service.selector)) {
        return None;
    }
    let selector = service.selector.iter().map(|(key, value)| text::clean(&format!("{key}={value}"), 253));
    let selector = selector.collect::<Vec<_>>().join(", ");
    let slices_watched = file.watched(Kind::EndpointSlices);
    let confidence = if slices_watched { Confidence::Certain } else { Confidence::Likely };
    let mut verdict = Verdict::new(Cause::ServiceWithoutEndpoints, confidence, jiff::Timestamp::MIN)
        .not_fatal()
        .told(
            "Leads nowhere: its selector matches no pod",
            format!(
                "No pod of the namespace has the labels that the Service selects: {selector}.{}",
                nearest(file, service)
            ),
        )
        .by(Source::Api(Kind::Services), jiff::Timestamp::UNIX_EPOCH, format!("spec.selector: {selector}"));
    if slices_watched {
        let said = "no EndpointSlice of the Service has an endpoint";
        verdict = verdict.by(Source::Api(Kind::EndpointSlices), jiff::Timestamp::UNIX_EPOCH, said);
    } else {
        verdict = verdict.without(Source::Api(Kind::EndpointSlices));
    }
    Some(verdict)
}

/// A pod that shares a key or a value with the selector, for who mistyped the other.
fn nearest(file: &ClusterFile, service: &Service) -> String {
    let near = ClusterFile::in_namespace(&file.pods, &service.meta.namespace).map(|known| &known.object).find(|pod| {
        let shares =
            |(key, value): (&String, &String)| pod.labels.contains_key(key) || pod.labels.values().any(|v| v == value);
        service.selector.iter().any(shares)
    });
    near.map_or_else(String::new, |pod| {
        let labels = pod.labels.iter().take(8).map(|(key, value)| text::clean(&format!("{key}={value}"), 128));
        format!(" Pod {} comes near: {}.", text::clean(&pod.meta.name, 253), labels.collect::<Vec<_>>().join(", "))
    })
}

fn port_mismatch(service: &Service, pods: &[&Pod]) -> Option<Verdict> {
    // Through a headless Service, clients reach the pods' ports themselves.
    if service.headless {
        return None;
    }
    let (port, confidence) = service.ports.iter().find_map(|port| Some((port, mismatched(port, pods)?)))?;
    let target = show(&port.target);
    let ports = pods.iter().flat_map(|pod| &pod.containers).flat_map(|container| &container.ports);
    let mut declared: Vec<_> = ports
        .map(|port| match port.name.as_str() {
            "" => port.number.to_string(),
            name => format!("{} ({})", port.number, text::clean(name, 15)),
        })
        .collect();
    declared.sort();
    declared.dedup();
    let declared = declared.join(", ");
    let informational = match port.target {
        TargetPort::Number(_) => " containerPort is only informational: the program may listen there all the same.",
        TargetPort::Name(_) => " A name that no container gives a port leads nowhere.",
    };
    let mut verdict = Verdict::new(Cause::ServicePortMismatch, confidence, jiff::Timestamp::MIN)
        .not_fatal()
        .told(
            format!("Leads to a port that its pods do not have: {target}"),
            format!("Its port {} leads to {target}; the pods declare {declared}.{informational}", port.number),
        )
        .by(
            Source::Api(Kind::Services),
            jiff::Timestamp::UNIX_EPOCH,
            format!("spec.ports: {} to targetPort {target}", port.number),
        )
        .by(Source::Api(Kind::Pods), jiff::Timestamp::UNIX_EPOCH, format!("containers' ports: {declared}"));
    if confidence != Confidence::Certain {
        verdict = verdict.or_else(Cause::Unattributed, "the program may listen on a port that it does not declare");
    }
    Some(verdict)
}

/// Whether, and how surely, no pod has the port that a port of the Service leads to.
fn mismatched(port: &ServicePort, pods: &[&Pod]) -> Option<Confidence> {
    let all = || pods.iter().flat_map(|pod| &pod.containers).flat_map(|container| &container.ports);
    match &port.target {
        TargetPort::Name(name) => {
            let named = all().any(|declared| declared.name == *name && declared.protocol == port.protocol);
            (!named).then_some(Confidence::Certain)
        }
        TargetPort::Number(number) => {
            let declares = all().any(|declared| declared.protocol == port.protocol);
            let has = all().any(|declared| declared.number == *number && declared.protocol == port.protocol);
            (declares && !has).then_some(Confidence::Likely)
        }
    }
}

pub(super) fn ingress(file: &ClusterFile, namespace: &str, name: &str) -> Option<Finding> {
    let known = file.ingresses.get(&(namespace.to_owned(), name.to_owned()))?;
    if !file.watched(Kind::Services) {
        return None;
    }
    let missing: Vec<(String, String)> = known
        .object
        .backends
        .iter()
        .filter_map(|backend| {
            let path = text::clean(&backend.path, 253);
            let shown = text::clean(&backend.service, 253);
            let service = file.services.get(&(namespace.to_owned(), backend.service.clone()));
            let Some(service) = service.map(|known| &known.object) else {
                return Some((path, format!("Service {shown} does not exist")));
            };
            let port = backend.port.as_ref()?;
            let has = service.ports.iter().any(|of| match port {
                TargetPort::Number(number) => of.number == *number,
                TargetPort::Name(name) => of.name == *name,
            });
            (!has).then(|| (path, format!("Service {shown} has no port {}", show(port))))
        })
        .collect();
    let (_, first) = missing.first()?;
    let all = missing.iter().map(|(path, why)| format!("{path}: {why}")).collect::<Vec<_>>().join("; ");
    let verdict = Verdict::new(Cause::IngressBackendMissing, Confidence::Certain, known.since)
        .not_fatal()
        .told(format!("Leads to nothing: {first}"), format!("What comes in by these paths cannot be passed on. {all}."))
        .by(Source::Api(Kind::Ingresses), known.changed, format!("backends: {all}"));
    Some(found(&known.object.meta, SubjectKind::Ingress, verdict, known.changed + PATIENCE))
}

fn show(port: &TargetPort) -> String {
    match port {
        TargetPort::Number(number) => number.to_string(),
        TargetPort::Name(name) => text::clean(name, 63),
    }
}

fn found(meta: &Meta, kind: SubjectKind, verdict: Verdict, ripe: jiff::Timestamp) -> Finding {
    Finding { meta: meta.clone(), kind, workloads: Vec::new(), aspect: Aspect::Route, verdict, ripe }
}
