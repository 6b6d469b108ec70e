//! What `coroner why` is asked about.

use coroner_proto::v1::{DiagnosisFilter, SubjectKind};

use crate::{args::WhyArgs, exit::Failure, messages::command};

/// The kinds of objects that `why` accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A pod, or whatever else has the name.
    Any,
    Pod,
    /// A workload, by the kind that owner references give it.
    Workload(&'static str),
    Node,
    Service,
    Ingress,
}

impl Kind {
    /// By any of the names that `kubectl` takes (`kubectl api-resources`), also with the group that it prints
    /// (`deployment.apps`).
    fn named(text: &str) -> Option<Self> {
        let name = text.split('.').next().unwrap_or(text);
        Some(match name.to_ascii_lowercase().as_str() {
            "pod" | "pods" | "po" => Self::Pod,
            "deployment" | "deployments" | "deploy" => Self::Workload("Deployment"),
            "replicaset" | "replicasets" | "rs" => Self::Workload("ReplicaSet"),
            "statefulset" | "statefulsets" | "sts" => Self::Workload("StatefulSet"),
            "daemonset" | "daemonsets" | "ds" => Self::Workload("DaemonSet"),
            "job" | "jobs" => Self::Workload("Job"),
            "cronjob" | "cronjobs" | "cj" => Self::Workload("CronJob"),
            "node" | "nodes" | "no" => Self::Node,
            "service" | "services" | "svc" => Self::Service,
            "ingress" | "ingresses" | "ing" => Self::Ingress,
            _ => return None,
        })
    }
}

/// Kinds that `kubectl` knows and `why` does not explain, by their names there: what stands before a slash is a
/// namespace only if it is none of them.
const UNEXPLAINED: [&str; 46] = [
    "clusterrole",
    "clusterrolebinding",
    "clusterrolebindings",
    "clusterroles",
    "cm",
    "configmap",
    "configmaps",
    "crd",
    "crds",
    "endpoints",
    "endpointslice",
    "endpointslices",
    "ep",
    "ev",
    "event",
    "events",
    "hpa",
    "lease",
    "leases",
    "limits",
    "namespace",
    "namespaces",
    "netpol",
    "networkpolicies",
    "networkpolicy",
    "ns",
    "pdb",
    "persistentvolume",
    "persistentvolumeclaim",
    "persistentvolumeclaims",
    "persistentvolumes",
    "pv",
    "pvc",
    "quota",
    "rc",
    "replicationcontroller",
    "replicationcontrollers",
    "role",
    "rolebinding",
    "rolebindings",
    "roles",
    "sa",
    "sc",
    "secret",
    "secrets",
    "serviceaccount",
];

/// The object that `why` is asked about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// Its namespace; `None` for any.
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

impl Target {
    /// NAME, KIND/NAME, NAMESPACE/NAME or NAMESPACE/KIND/NAME. Of two parts the first is a kind if it can be one. The
    /// name may also be a word of its own, behind its kind.
    pub(crate) fn of(args: &WhyArgs) -> Result<Self, Failure> {
        let subject = args.whole_subject();
        let parts: Vec<&str> = subject.split('/').collect();
        let before = parts.len().checked_sub(2).and_then(|place| parts.get(place)).copied().unwrap_or_default();
        if args.name.is_some() && Kind::named(before).is_none() {
            return Err(Failure::usage(command::error_kind_before_name(&args.subject)));
        }
        if parts.len() == 2 && args.namespace.as_deref() != Some(before) {
            let name = before.split('.').next().unwrap_or_default().to_ascii_lowercase();
            if UNEXPLAINED.contains(&&*name) {
                return Err(Failure::usage(command::error_kind(before, parts.last().copied().unwrap_or_default())));
            }
        }
        let (inline, kind, name) = match parts.as_slice() {
            [name] => (None, Some(Kind::Any), *name),
            [kind, name] if Kind::named(kind).is_some() => (None, Kind::named(kind), *name),
            [namespace, name] => (Some(*namespace), Some(Kind::Any), *name),
            [namespace, kind, name] => (Some(*namespace), Kind::named(kind), *name),
            _ => (None, None, ""),
        };
        let Some(kind) = kind.filter(|_| !name.is_empty() && inline != Some("")) else {
            return Err(Failure::usage(command::error_subject(&subject)));
        };
        let namespace = match (inline, args.namespace.as_deref()) {
            (Some(inline), Some(flag)) if inline != flag => {
                return Err(Failure::usage(command::error_namespace(&subject, flag)));
            }
            (inline, flag) => inline.or(flag).map(str::to_owned),
        };
        Ok(Self { kind, namespace, name: name.to_owned() })
    }

    /// The filters that together find everything about it.
    pub(crate) fn filters(&self, container: Option<&str>) -> Vec<DiagnosisFilter> {
        let filter = DiagnosisFilter {
            namespaces: self.namespace.clone().into_iter().collect(),
            containers: container.map(str::to_owned).into_iter().collect(),
            ..DiagnosisFilter::default()
        };
        let names = vec![self.name.clone()];
        let of_kinds = |kinds: &[SubjectKind]| DiagnosisFilter {
            names: names.clone(),
            subject_kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
            ..filter.clone()
        };
        match self.kind {
            Kind::Any => vec![of_kinds(&[])],
            Kind::Pod => vec![of_kinds(&[SubjectKind::Pod, SubjectKind::Container])],
            Kind::Workload(kind) => {
                vec![DiagnosisFilter { workloads: vec![format!("{kind}/{}", self.name)], ..filter }]
            }
            Kind::Node => vec![of_kinds(&[SubjectKind::Node])],
            Kind::Service => vec![of_kinds(&[SubjectKind::Service])],
            Kind::Ingress => vec![of_kinds(&[SubjectKind::Ingress])],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(subject: &str, namespace: Option<&str>) -> Result<Target, Failure> {
        let namespace = namespace.map(str::to_owned);
        let (subject, name) = subject.split_once(' ').map_or((subject, None), |(kind, name)| (kind, Some(name)));
        let (subject, name) = (subject.to_owned(), name.map(str::to_owned));
        Target::of(&WhyArgs { subject, name, container: None, namespace, all_namespaces: false })
    }

    #[test]
    fn a_subject_may_be_named_with_its_kind_and_namespace() {
        let of = |kind, namespace: Option<&str>| Target {
            kind,
            namespace: namespace.map(str::to_owned),
            name: "web".to_owned(),
        };
        let deployment = Kind::Workload("Deployment");
        for (subject, flag, wanted) in [
            ("web", None, of(Kind::Any, None)),
            ("web", Some("shop"), of(Kind::Any, Some("shop"))),
            ("shop/web", None, of(Kind::Any, Some("shop"))),
            ("shop/web", Some("shop"), of(Kind::Any, Some("shop"))),
            ("pod/web", Some("shop"), of(Kind::Pod, Some("shop"))),
            ("Deployment/web", None, of(deployment, None)),
            ("deployment.apps/web", None, of(deployment, None)),
            ("shop/deploy/web", None, of(deployment, Some("shop"))),
            ("no/web", None, of(Kind::Node, None)),
            ("pod web", Some("shop"), of(Kind::Pod, Some("shop"))),
            ("deploy web", None, of(deployment, None)),
            ("shop/deploy web", None, of(deployment, Some("shop"))),
            ("cm/web", Some("cm"), of(Kind::Any, Some("cm"))),
        ] {
            assert_eq!(target(subject, flag).unwrap(), wanted, "{subject}");
        }
        for (subject, flag) in [
            ("shop/web", Some("other")),
            ("/web", None),
            ("shop/", None),
            ("", None),
            ("pod/", None),
            ("a/b/c", None),
            ("a/pod/b/c", None),
            ("cm/web", None),
            ("ConfigMap/web", None),
            ("secrets/web", Some("shop")),
            ("shop web", None),
            ("shop/web app", None),
        ] {
            assert!(target(subject, flag).is_err(), "{subject}");
        }
    }
}
