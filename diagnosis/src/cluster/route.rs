//! The pods are fine, and no traffic can reach them: a Service that leads nowhere, an Ingress to nothing.

use coroner_proto::v1::{Cause, Confidence, Message, SubjectKind};
use jiff::SignedDuration;

use super::{
    Finding,
    file::ClusterFile,
    groups::Shape,
    namespace::{Namespace, Service},
};
use crate::{
    aspect::Aspect,
    messages::cluster,
    observation::{
        Source,
        kube::{Backend, Kind, Meta, ServicePort, TargetPort},
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
    let labels = || service.selector.iter().collect::<Vec<_>>();
    let slices_watched = file.watched(Kind::EndpointSlices);
    let confidence = if slices_watched { Confidence::Certain } else { Confidence::Likely };
    let near = objects.groups.near(&service.selector).and_then(|(shape, uid)| Some((shape, file.pods.get(uid)?)));
    let near =
        near.map(|(shape, pod)| cluster::service_near(&pod.name, shape.labels.iter().take(8).collect::<Vec<_>>()));
    let selector = service.selector.iter().map(|label| &**label).collect::<Vec<_>>().join(", ");
    let verdict = Verdict::new(Cause::ServiceWithoutEndpoints, confidence, service.since)
        .not_fatal()
        .headed(cluster::service_without_pods())
        .explained(cluster::service_selects(labels()))
        .explained(near)
        .supported_by(Source::Api(Kind::Services), service.changed, format!("spec.selector: {selector}"));
    if slices_watched {
        verdict.supported_by(Source::Api(Kind::EndpointSlices), file.now, cluster::service_no_endpoint())
    } else {
        verdict.without(Source::Api(Kind::EndpointSlices))
    }
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
    let by_name = matches!(port.target, TargetPort::Name(_));
    let ports = format!("spec.ports: {} to targetPort {target}", port.number);
    let on_pods = format!("containers' ports: {}", declared.join(", "));
    let mut verdict = Verdict::new(Cause::ServicePortMismatch, confidence, service.since)
        .not_fatal()
        .headed(cluster::service_port_missing(text::clean(&target, 30)))
        .explained(cluster::service_ports(port.number, &target, declared))
        .explained(by_name.then(cluster::service_ports_named))
        .supported_by(Source::Api(Kind::Services), service.changed, ports)
        .supported_by(Source::Api(Kind::Pods), file.now, on_pods);
    if confidence != Confidence::Certain {
        verdict = verdict.or_else(Cause::Unattributed, cluster::service_ports_undeclared());
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
            // What containers declare is informational: it shows what they listen on only where it is complete.
            let complete = shapes.iter().all(|shape| shape.declares_all);
            let declares = all().any(|declared| declared.protocol == port.protocol);
            let has = all().any(|declared| declared.number == *number && declared.protocol == port.protocol);
            (complete && declares && !has).then_some(Confidence::Likely)
        }
    }
}

/// The port by which an Ingress names no Service, but an action of its annotations (the AWS load balancer controller,
/// `alb.ingress.kubernetes.io/actions.NAME`).
const BY_ANNOTATION: &str = "use-annotation";

/// Whether a backend is no Service.
fn is_by_annotation(backend: &Backend) -> bool {
    matches!(&backend.port, Some(TargetPort::Name(name)) if name == BY_ANNOTATION)
}

/// A backend that does not exist: its Service, or a port of it.
struct Broken<'a> {
    service: &'a str,
    port: Option<&'a TargetPort>,
}

impl Broken<'_> {
    /// Why, with names of at most so many bytes together.
    fn reason(&self, length: usize) -> Message {
        match self.port {
            None => cluster::ingress_service_missing(text::clean(self.service, length)),
            Some(port) => {
                let port = text::clean(&show(port), 15);
                cluster::ingress_port_missing(text::clean(self.service, length.saturating_sub(port.len())), port)
            }
        }
    }

    /// In the notation of `kubectl describe ingress`.
    fn backend(&self) -> String {
        match self.port {
            None => self.service.to_owned(),
            Some(port) => format!("{}:{}", self.service, show(port)),
        }
    }
}

pub(super) fn ingress(file: &ClusterFile, namespace: &str, name: &str) -> Option<Finding> {
    let objects = file.namespaces.get(namespace)?;
    let ingress = objects.ingresses.get(name)?;
    if !file.watched(Kind::Services) {
        return None;
    }
    let missing: Vec<(&str, Broken<'_>)> = ingress
        .backends
        .iter()
        .filter(|backend| !is_by_annotation(backend))
        .filter_map(|backend| {
            let Some(service) = objects.services.get(backend.service.as_str()) else {
                return Some((backend.path.as_str(), Broken { service: &backend.service, port: None }));
            };
            let port = backend.port.as_ref()?;
            let has = service.ports.iter().any(|of| match port {
                TargetPort::Number(number) => of.number == *number,
                TargetPort::Name(name) => of.name == *name,
            });
            (!has).then_some((backend.path.as_str(), Broken { service: &backend.service, port: Some(port) }))
        })
        .collect();
    let (_, first) = missing.first()?;
    let paths = missing.iter().map(|(path, broken)| cluster::ingress_path(path, broken.reason(253)));
    let paths: Vec<Message> = paths.collect();
    let backends = missing.iter().map(|(path, broken)| format!("{path} to {}", broken.backend()));
    let backends = backends.collect::<Vec<_>>().join("; ");
    let verdict = Verdict::new(Cause::IngressBackendMissing, Confidence::Certain, ingress.since)
        .not_fatal()
        .headed(cluster::ingress_broken(first.reason(30)))
        .explained(cluster::ingress_paths(paths))
        .supported_by(Source::Api(Kind::Ingresses), ingress.changed, format!("backends: {backends}"));
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
    Finding { meta, kind, node: Box::default(), workloads: Vec::new(), aspect: Aspect::Route, verdict, ripe }
}
