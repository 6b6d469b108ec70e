//! The way of traffic to pods: Services, EndpointSlices, Ingresses.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{core::v1 as core, discovery::v1 as discovery, networking::v1 as networking},
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde::{Deserialize, Serialize};

use super::{Meta, text};

/// A Service, as far as rules read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Name, namespace and uid of the Service.
    pub meta: Meta,
    /// The type: `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub kind: String,
    /// Labels of the pods that it leads to. Without any, its endpoints are maintained by another component.
    pub selector: BTreeMap<String, String>,
    /// It has no address of its own: its name leads to the pods themselves.
    pub headless: bool,
    /// The ports that clients connect to, in the order of `spec.ports`.
    pub ports: Vec<ServicePort>,
}

/// One entry of `spec.ports`: a port of the Service, and where in the pods it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// Its name; empty if it has none.
    pub name: String,
    /// The number of the Service's port, 1 to 65535.
    pub number: i32,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// The port of the pods that traffic is forwarded to.
    pub target: TargetPort,
}

/// A port by number or name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetPort {
    /// By number.
    Number(i32),
    /// By the name that a container gives it.
    Name(String),
}

/// A part of the endpoints of a Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointSlice {
    /// Name, namespace and uid of the EndpointSlice.
    pub meta: Meta,
    /// The name of the Service that it belongs to.
    pub service: String,
    /// The endpoints of the slice, ready or not.
    pub endpoints: Vec<Endpoint>,
    /// The numbers of its ports, those without a number left out.
    pub ports: Vec<i32>,
}

/// One destination of the traffic of a Service, usually a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// Whether it receives traffic; true if the API does not state it.
    pub ready: bool,
    /// The name of the pod; empty if the endpoint is not a pod.
    pub pod: String,
}

/// An Ingress, as far as rules read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ingress {
    /// Name, namespace and uid of the Ingress.
    pub meta: Meta,
    /// The backends of its rules, and its default backend.
    pub backends: Vec<Backend>,
}

/// Where an Ingress leads to: a port of a Service of its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Host and path, such as `shop.example/cart`.
    pub path: String,
    /// The name of the Service, in the namespace of the Ingress.
    pub service: String,
    /// The port of the Service, by number or name; `None` if the Ingress names none.
    pub port: Option<BackendPort>,
}

/// A port of a Service, by number or name.
pub type BackendPort = TargetPort;

impl From<&core::Service> for Service {
    fn from(service: &core::Service) -> Self {
        let spec = service.spec.as_ref();
        let ports = spec.and_then(|spec| spec.ports.as_ref()).into_iter().flatten().map(|port| ServicePort {
            name: text(&port.name),
            number: port.port,
            protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            target: match &port.target_port {
                Some(IntOrString::Int(number)) if *number != 0 => TargetPort::Number(*number),
                Some(IntOrString::String(name)) => TargetPort::Name(name.clone()),
                _ => TargetPort::Number(port.port),
            },
        });
        Self {
            meta: Meta::from(&service.metadata),
            kind: spec.map(|spec| text(&spec.type_)).unwrap_or_default(),
            selector: spec.and_then(|spec| spec.selector.clone()).unwrap_or_default(),
            headless: spec.is_some_and(|spec| spec.cluster_ip.as_deref() == Some("None")),
            ports: ports.collect(),
        }
    }
}

impl From<&discovery::EndpointSlice> for EndpointSlice {
    fn from(slice: &discovery::EndpointSlice) -> Self {
        let label = slice.metadata.labels.as_ref().and_then(|all| all.get("kubernetes.io/service-name"));
        let endpoints = slice.endpoints.iter().map(|endpoint| {
            let pod = endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"));
            Endpoint {
                ready: endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true),
                pod: pod.map(|pod| text(&pod.name)).unwrap_or_default(),
            }
        });
        Self {
            meta: Meta::from(&slice.metadata),
            service: label.cloned().unwrap_or_default(),
            endpoints: endpoints.collect(),
            ports: slice.ports.iter().flatten().filter_map(|port| port.port).collect(),
        }
    }
}

impl From<&networking::Ingress> for Ingress {
    fn from(ingress: &networking::Ingress) -> Self {
        let backend = |path: String, backend: &networking::IngressBackend| {
            let service = backend.service.as_ref()?;
            let port = service.port.as_ref().and_then(|port| match (port.number, &port.name) {
                (Some(number), _) if number != 0 => Some(TargetPort::Number(number)),
                (_, Some(name)) => Some(TargetPort::Name(name.clone())),
                _ => None,
            });
            Some(Backend { path, service: service.name.clone(), port })
        };
        let spec = ingress.spec.as_ref();
        let mut backends: Vec<_> = spec
            .and_then(|spec| spec.default_backend.as_ref())
            .and_then(|default| backend("default".to_owned(), default))
            .into_iter()
            .collect();
        for rule in spec.and_then(|spec| spec.rules.as_ref()).into_iter().flatten() {
            let host = rule.host.as_deref().unwrap_or_default();
            for path in rule.http.iter().flat_map(|http| &http.paths) {
                backends.extend(backend(format!("{host}{}", path.path.as_deref().unwrap_or("/")), &path.backend));
            }
        }
        Self { meta: Meta::from(&ingress.metadata), backends }
    }
}
