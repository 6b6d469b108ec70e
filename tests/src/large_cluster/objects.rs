//! The objects, as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Size;

/// Where in a template the fields of one object go.
const FIELD: char = '\u{1}';
const THEN: &str = "2026-11-20T10:00:00Z";

/// What a pod is doing: each of its events is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Created,
    Bound,
    Started,
    Ready,
    Deleted,
    Ended,
}

/// One pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replica {
    pub(super) number: u64,
    /// How often it was replaced.
    pub(super) generation: u64,
    pub(super) phase: Phase,
}

/// Writes them.
#[derive(Debug)]
pub(super) struct Objects {
    pub(super) size: Size,
    pod: Template,
}

impl Objects {
    pub(super) fn new(size: Size) -> Self {
        Self { size, pod: Template::new(&pod_template()) }
    }

    pub(super) fn pod(&self, Replica { number, generation, phase }: Replica) -> String {
        let service = number / self.size.pods;
        let Names { namespace, app, hash } = self.names(service);
        let node = match phase {
            Phase::Created => String::new(),
            _ => format!(r#""nodeName":"{}","#, node_name(number % self.size.nodes.max(1))),
        };
        let deletion = match phase {
            Phase::Deleted | Phase::Ended => {
                format!(r#""deletionTimestamp":"{THEN}","deletionGracePeriodSeconds":30,"#)
            }
            _ => String::new(),
        };
        let (status, ready) = match phase {
            Phase::Created | Phase::Bound => ("Pending", "False"),
            Phase::Ready => ("Running", "True"),
            Phase::Started | Phase::Deleted | Phase::Ended => ("Running", "False"),
        };
        let name = format!("{app}-{hash}-{:05x}", (number + generation * 31) % 0xf_ffff);
        let uid = uid(1, number | generation << 32);
        let set = uid_of_replica_set(service, true);
        self.pod.fill(&[&namespace, &name, &uid, &deletion, &app, &hash, &app, &hash, &set, &node, status, ready])
    }

    fn names(&self, service: u64) -> Names {
        Names {
            namespace: format!("team-{}", service % self.size.namespaces),
            app: format!("shop-service-{service}"),
            hash: format!("{:010x}", service * 0x9e37_79b9 % 0xff_ffff_ffff),
        }
    }

    pub(super) fn node(&self, number: u64) -> String {
        let images: Vec<Value> = (0..40)
            .map(|image| json!({"names": [format!("registry.example/team/service-{image}@sha256:0123456789abcdef0123456789abcdef")],
                                "sizeBytes": 123_456_789}))
            .collect();
        let resources = json!({"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"});
        let conditions: Vec<Value> = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]
            .map(|kind| json!({"type": kind, "status": if kind == "Ready" { "True" } else { "False" }, "lastTransitionTime": THEN}))
            .into();
        json!({
            "metadata": {"name": node_name(number), "uid": uid(2, number), "resourceVersion": "1", "managedFields": managed_fields(20)},
            "spec": {"podCIDR": "10.0.0.0/24"},
            "status": {"allocatable": resources, "capacity": resources, "conditions": conditions, "images": images},
        })
        .to_string()
    }

    pub(super) fn service(&self, number: u64) -> String {
        let Names { namespace, app, .. } = self.names(number);
        json!({
            "metadata": metadata(&namespace, &app, &uid(3, number), &json!({"app.kubernetes.io/name": app})),
            "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": selector(&app),
                     "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]},
            "status": {"loadBalancer": {}},
        })
        .to_string()
    }

    pub(super) fn slice(&self, number: u64) -> String {
        let Names { namespace, app, hash } = self.names(number);
        let endpoints = (0..self.size.pods).map(|pod| {
            let number = number * self.size.pods + pod;
            json!({"addresses": [format!("10.1.{}.{}", number / 256 % 256, number % 256)], "conditions": {"ready": true},
                   "nodeName": node_name(number % self.size.nodes),
                   "targetRef": {"kind": "Pod", "namespace": namespace, "name": format!("{app}-{hash}-{number:05x}")}})
        });
        json!({
            "metadata": metadata(&namespace, &format!("{app}-x7k2p"), &uid(4, number), &json!({"kubernetes.io/service-name": app})),
            "addressType": "IPv4", "endpoints": endpoints.collect::<Vec<_>>(),
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        })
        .to_string()
    }

    pub(super) fn deployment(&self, number: u64) -> String {
        let Names { namespace, app, .. } = self.names(number);
        let replicas = self.size.pods;
        json!({
            "metadata": metadata(&namespace, &app, &uid(5, number), &json!({"app.kubernetes.io/name": app})),
            "spec": {"replicas": replicas, "selector": {"matchLabels": selector(&app)}, "template": template(&labels(&app, None))},
            "status": {"replicas": replicas, "readyReplicas": replicas, "updatedReplicas": replicas},
        })
        .to_string()
    }

    pub(super) fn replica_set(&self, number: u64) -> String {
        let (service, is_current) = (number / 2, number.is_multiple_of(2));
        let Names { namespace, app, hash } = self.names(service);
        let hash = if is_current { hash } else { format!("0{}", &hash[1..]) };
        let replicas = if is_current { self.size.pods } else { 0 };
        let mut metadata = metadata(
            &namespace,
            &format!("{app}-{hash}"),
            &uid_of_replica_set(service, is_current),
            &json!({"app.kubernetes.io/name": app}),
        );
        metadata["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": app, "uid": uid(5, service), "controller": true}]);
        json!({
            "metadata": metadata,
            "spec": {"replicas": replicas, "selector": {"matchLabels": selector(&app)},
                     "template": template(&labels(&app, Some(&hash)))},
            "status": {"replicas": replicas, "readyReplicas": replicas},
        })
        .to_string()
    }
}

struct Names {
    namespace: String,
    app: String,
    hash: String,
}

/// A text with places for the fields of one object.
#[derive(Debug)]
struct Template(Vec<String>);

impl Template {
    fn new(text: &str) -> Self {
        Self(text.split(FIELD).map(str::to_owned).collect())
    }

    fn fill(&self, fields: &[&str]) -> String {
        let length =
            self.0.iter().map(String::len).sum::<usize>() + fields.iter().map(|field| field.len()).sum::<usize>();
        let mut text = String::with_capacity(length);
        for (index, part) in self.0.iter().enumerate() {
            text += part;
            text += fields.get(index).copied().unwrap_or_default();
        }
        text
    }
}

/// A pod as clusters have them, about 10 KiB. Its fields, in order: namespace, name, uid, deletion, app, hash, app,
/// hash, uid of its ReplicaSet, node, phase, readiness.
fn pod_template() -> String {
    let env: Vec<Value> = (0..30)
        .map(|i| json!({"name": format!("SETTING_{i}"), "value": "a value of usual length, as it is found"}))
        .collect();
    let container = |name: &str, port: u16| {
        json!({
            "name": name, "image": "registry.example/team/service:2026-11-20", "env": env,
            "ports": [{"name": if name == "app" { "http" } else { "proxy" }, "containerPort": port, "protocol": "TCP"}],
            "resources": {"limits": {"memory": "256Mi"}, "requests": {"memory": "128Mi", "cpu": "100m"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": port}, "periodSeconds": 10},
            "volumeMounts": [{"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
        })
    };
    let status = |name: &str| {
        json!({"name": name, "containerID": format!("containerd://{}", "0123456789abcdef".repeat(4)), "ready": true, "started": true,
               "image": "registry.example/team/service:2026-11-20", "restartCount": 0, "state": {"running": {"startedAt": THEN}}})
    };
    let containers = json!([container("app", 8080), container("proxy", 9090)]);
    let statuses = json!([status("app"), status("proxy")]);
    let tolerations = json!([
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
    ]);
    let managed = managed_fields(60);
    let volumes =
        json!([{"name": "kube-api-access", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]);
    let mut text = String::new();
    let f = FIELD;
    write!(
        text,
        r#"{{"metadata":{{"namespace":"{f}","name":"{f}","uid":"{f}",{f}"resourceVersion":"1","creationTimestamp":"{THEN}","labels":{{"app.kubernetes.io/name":"{f}","pod-template-hash":"{f}","app.kubernetes.io/instance":"prod","app.kubernetes.io/component":"web","app.kubernetes.io/part-of":"shop"}},"ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"{f}-{f}","uid":"{f}","controller":true}}],"managedFields":{managed}}},"spec":{{{f}"restartPolicy":"Always","containers":{containers},"tolerations":{tolerations},"volumes":{volumes}}},"status":{{"phase":"{f}","startTime":"{THEN}","containerStatuses":{statuses},"conditions":[{{"type":"Ready","status":"{f}","lastTransitionTime":"{THEN}"}},{{"type":"PodScheduled","status":"True","lastTransitionTime":"{THEN}"}}]}}}}"#
    )
    .expect("writing to a string cannot fail");
    text
}

/// What the API server remembers of who wrote what.
fn managed_fields(count: usize) -> Value {
    let fields: Vec<Value> =
        (0..count).map(|i| json!({format!("f:field-{i}"): {"f:value": {}, "f:other": {}}})).collect();
    json!([{"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": THEN, "fieldsV1": {"f:all": fields}}])
}

fn metadata(namespace: &str, name: &str, uid: &str, labels: &Value) -> Value {
    json!({"namespace": namespace, "name": name, "uid": uid, "resourceVersion": "1", "creationTimestamp": THEN, "labels": labels,
           "managedFields": managed_fields(20)})
}

fn selector(app: &str) -> Value {
    json!({"app.kubernetes.io/name": app, "app.kubernetes.io/instance": "prod"})
}

fn labels(app: &str, hash: Option<&str>) -> Value {
    let mut labels = json!({"app.kubernetes.io/name": app, "app.kubernetes.io/instance": "prod", "app.kubernetes.io/component": "web",
                            "app.kubernetes.io/part-of": "shop"});
    if let Some(hash) = hash {
        labels["pod-template-hash"] = hash.into();
    }
    labels
}

fn template(labels: &Value) -> Value {
    let env: Vec<Value> =
        (0..30).map(|i| json!({"name": format!("SETTING_{i}"), "value": "a value of usual length"})).collect();
    json!({"metadata": {"labels": labels},
           "spec": {"containers": [{"name": "app", "image": "registry.example/team/service:2026-11-20", "env": env}]}})
}

fn node_name(number: u64) -> String {
    format!("ip-10-{}-{}.eu-central-1.compute.internal", number / 256, number % 256)
}

fn uid_of_replica_set(service: u64, is_current: bool) -> String {
    uid(6, 2 * service + u64::from(!is_current))
}

fn uid(kind: u64, number: u64) -> String {
    format!("{kind:08x}-{:04x}-4000-8000-{:012x}", number >> 48, number & 0xffff_ffff_ffff)
}
