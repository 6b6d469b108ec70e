//! The pods are fine, and no traffic can reach them: a Service that leads nowhere, an Ingress to nothing.

use std::sync::Arc;

use coroner_proto::v1::{Cause, Confidence, SubjectKind};
use jiff::SignedDuration;

use super::{
    Finding,
    file::ClusterFile,
    groups::Shape,
    namespace::{Namespace, Service},
};
use crate::{
    aspect::Aspect,
    observation::{
        Source,
        kube::{Kind, Meta, ServicePort, TargetPort},
    },
    text,
    verdict::Verdict,
};

/// What belongs together is seldom made at the same moment.
const PATIENCE: SignedDuration = SignedDuration::from_secs(10);

pub(super) fn service(file: &ClusterFile, namespace: &str, name: &str) -> Option<Finding> {
    let objects = file.namespaces.get(namespace)?;
    let service = objects.services.get(name)?;
    if service.selector.is_empty() || !file.watched(Kind::Pods) {
        return None;
    }
    let groups = || objects.groups.selected(&service.selector);
    let shapes: Vec<&Shape> = groups().filter(|(_, group)| !group.pods.is_empty()).map(|(shape, _)| shape).collect();
    let verdict = if !shapes.is_empty() {
        port_mismatch(file, service, &shapes)?
    } else if objects.has_endpoints(name) || groups().any(|(_, group)| group.workloads > 0) {
        // A workload whose pods it would lead to has none on purpose, or has a diagnosis of its own.
        return None;
    } else {
        without_endpoints(file, objects, service)
    };
    let verdict = Verdict { at: service.since, ..verdict };
    let meta = meta(namespace, name, &service.uid);
    Some(found(meta, SubjectKind::Service, verdict, service.changed + PATIENCE))
}

fn without_endpoints(file: &ClusterFile, objects: &Namespace, service: &Service) -> Verdict {
    let selector = shown(service.selector.iter(), 253);
    let slices_watched = file.watched(Kind::EndpointSlices);
    let confidence = if slices_watched { Confidence::Certain } else { Confidence::Likely };
    let near = objects.groups.near(&service.selector).and_then(|(shape, uid)| Some((shape, file.pods.get(uid)?)));
    let near = near.map_or_else(String::new, |(shape, pod)| {
        format!(" Pod {} comes near: {}.", text::clean(&pod.name, 253), shown(shape.labels.iter().take(8), 128))
    });
    let verdict = Verdict::new(Cause::ServiceWithoutEndpoints, confidence, service.since)
        .not_fatal()
        .told(
            "Leads nowhere: its selector matches no pod",
            format!("No pod of the namespace has the labels that the Service selects: {selector}.{near}"),
        )
        .by(Source::Api(Kind::Services), service.changed, format!("spec.selector: {selector}"));
    if slices_watched {
        let said = "no EndpointSlice of the Service has an endpoint";
        verdict.by(Source::Api(Kind::EndpointSlices), file.now, said)
    } else {
        verdict.without(Source::Api(Kind::EndpointSlices))
    }
}

/// Labels for people, each of at most so many bytes.
fn shown<'a>(labels: impl Iterator<Item = &'a Arc<str>>, length: usize) -> String {
    labels.map(|label| text::clean(label, length)).collect::<Vec<_>>().join(", ")
}

fn port_mismatch(file: &ClusterFile, service: &Service, shapes: &[&Shape]) -> Option<Verdict> {
    // Through a headless Service, clients reach the pods' ports themselves.
    if service.headless {
        return None;
    }
    let (port, confidence) = service.ports.iter().find_map(|port| Some((port, mismatched(port, shapes)?)))?;
    let target = show(&port.target);
    let ports = shapes.iter().flat_map(|shape| &*shape.ports);
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
    let mut verdict = Verdict::new(Cause::ServicePortMismatch, confidence, service.since)
        .not_fatal()
        .told(
            format!("Leads to a port that its pods do not have: {target}"),
            format!("Its port {} leads to {target}; the pods declare {declared}.{informational}", port.number),
        )
        .by(Source::Api(Kind::Services), service.changed, format!("spec.ports: {} to targetPort {target}", port.number))
        .by(Source::Api(Kind::Pods), file.now, format!("containers' ports: {declared}"));
    if confidence != Confidence::Certain {
        verdict = verdict.or_else(Cause::Unattributed, "the program may listen on a port that it does not declare");
    }
    Some(verdict)
}

/// Whether, and how surely, no pod has the port that a port of the Service leads to.
fn mismatched(port: &ServicePort, shapes: &[&Shape]) -> Option<Confidence> {
    let all = || shapes.iter().flat_map(|shape| &*shape.ports);
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
    let objects = file.namespaces.get(namespace)?;
    let ingress = objects.ingresses.get(name)?;
    if !file.watched(Kind::Services) {
        return None;
    }
    let missing: Vec<(String, String)> = ingress
        .backends
        .iter()
        .filter_map(|backend| {
            let path = text::clean(&backend.path, 253);
            let shown = text::clean(&backend.service, 253);
            let Some(service) = objects.services.get(backend.service.as_str()) else {
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
    let verdict = Verdict::new(Cause::IngressBackendMissing, Confidence::Certain, ingress.since)
        .not_fatal()
        .told(format!("Leads to nothing: {first}"), format!("What comes in by these paths cannot be passed on. {all}."))
        .by(Source::Api(Kind::Ingresses), ingress.changed, format!("backends: {all}"));
    let meta = meta(namespace, name, &ingress.uid);
    Some(found(meta, SubjectKind::Ingress, verdict, ingress.changed + PATIENCE))
}

fn show(port: &TargetPort) -> String {
    match port {
        TargetPort::Number(number) => number.to_string(),
        TargetPort::Name(name) => text::clean(name, 63),
    }
}

fn meta(namespace: &str, name: &str, uid: &str) -> Meta {
    Meta { namespace: namespace.to_owned(), name: name.to_owned(), uid: uid.to_owned(), ..Meta::default() }
}

fn found(meta: Meta, kind: SubjectKind, verdict: Verdict, ripe: jiff::Timestamp) -> Finding {
    Finding { meta, kind, workloads: Vec::new(), aspect: Aspect::Route, verdict, ripe }
}
