//! What the agent costs on a node with as many pods as the kubelet accepts by default, beside stand-ins that implement
//! the API server's and the kubelet's protocols.

use anyhow::{Context, Result};
use coroner_tests::Daemon;
use coroner_tests::coroner::{Coroner, NODE_NAME};
use coroner_tests::stand_ins::Cluster;
use coroner_tests::{ContainerSpec, MIB, Node, Pod, PodSpec, until};
use serde_json::{Value, json};

use crate::idle;

/// `maxPods` of the kubelet.
const PODS: usize = 110;
/// Pods of three containers; the others have two: 300 in all.
const LARGE: usize = 80;

pub(crate) async fn measure() -> Result<String> {
    let (node, cluster) = (Node::start().await?, Cluster::start().await?);
    cluster.api.apply("nodes", node_object());
    let mut objects = vec![];
    for i in 0..PODS {
        let containers = ["app", "proxy", "log"].map(|name| ContainerSpec::new(name, ["victim", "sleep"]));
        let containers = containers.map(|container| container.memory_limit(16 * MIB));
        let name = format!("full-{i}");
        let pod = if i < LARGE {
            node.kubelet().run(&PodSpec::new(&name, containers)).await?
        } else {
            let [app, proxy, _] = containers;
            node.kubelet().run(&PodSpec::new(&name, [app, proxy])).await?
        };
        objects.push((pod_object(&pod), pod_stats(&pod)));
    }
    let containers: usize =
        objects.iter().map(|(pod, _)| pod["spec"]["containers"].as_array().map_or(0, Vec::len)).sum();
    let (pods, stats): (Vec<Value>, Vec<Value>) = objects.into_iter().unzip();
    pods.iter().for_each(|pod| cluster.api.apply("pods", pod.clone()));
    let bytes = pods.iter().map(|pod| pod.to_string().len()).sum::<usize>() / pods.len();
    {
        let mut script = cluster.kubelet.script();
        script.pods = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods});
        script.summary = json!({"node": {"nodeName": NODE_NAME}, "pods": stats}).to_string();
    }
    // By its name: what answers is in this process.
    let (kubelet, log) = (cluster.directory().join("kubelet"), cluster.directory().join("kubelet.log"));
    std::fs::copy("/bin/sleep", &kubelet).context("copying a program")?;
    let _kubelet = Daemon::start(&kubelet, &["infinity".to_owned()], &node.daemons(), log)?;
    let coroner = Coroner::start_with(&node, &cluster).await.context("starting beside the stand-ins")?;
    until("the kubelet has been asked for everything", async || {
        let script = cluster.kubelet.script();
        Ok(["/pods", "/stats/summary"].iter().all(|path| script.asked.iter().any(|asked| asked == path)).then_some(()))
    })
    .await?;
    let title = format!(
        "{containers} idle containers in {PODS} pods, with API server and kubelet ({bytes} bytes a pod), over a minute"
    );
    idle::minute(&title, &coroner).await
}

fn node_object() -> Value {
    json!({"metadata": {"name": NODE_NAME, "uid": "uid-of-the-node"},
           "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z"}]}})
}

/// A pod as clusters have them: most of it is nothing that the agent reads.
fn pod_object(pod: &Pod) -> Value {
    let then = "2026-11-20T10:00:00Z";
    let env: Vec<Value> = (0..30)
        .map(|i| json!({"name": format!("SETTING_{i}"), "value": "a value of usual length, as it is found"}))
        .collect();
    let containers: Vec<Value> = pod.containers.iter().map(|container| json!({
        "name": container.name, "image": "registry.example/team/service:2026-11-20", "env": env,
        "resources": {"limits": {"memory": "16Mi"}, "requests": {"memory": "16Mi", "cpu": "10m"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 10},
        "volumeMounts": [{"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
    })).collect();
    let statuses: Vec<Value> = pod.containers.iter().map(|container| json!({
        "name": container.name, "containerID": format!("containerd://{}", container.id), "ready": true, "started": true,
        "image": "registry.example/team/service:2026-11-20", "imageID": "registry.example/team/service@sha256:0123",
        "restartCount": 0, "state": {"running": {"startedAt": then}},
    })).collect();
    let fields: Vec<Value> = (0..60).map(|i| json!({format!("f:field-{i}"): {"f:value": {}, "f:other": {}}})).collect();
    json!({
        "metadata": {"namespace": pod.namespace, "name": pod.name, "uid": pod.uid, "creationTimestamp": then,
                     "labels": {"app": pod.name, "pod-template-hash": "5d9c"},
                     "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d9c",
                                          "uid": "uid-of-web", "controller": true}],
                     "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": {"f:all": fields}}]},
        "spec": {"nodeName": NODE_NAME, "restartPolicy": "Always", "containers": containers,
                 "volumes": [{"name": "kube-api-access", "projected": {"sources": []}}]},
        "status": {"phase": "Running", "startTime": then, "containerStatuses": statuses,
                   "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": then}]},
    })
}

fn pod_stats(pod: &Pod) -> Value {
    let files =
        json!({"availableBytes": 50_000_000_000_u64, "capacityBytes": 100_000_000_000_u64, "usedBytes": 40_960});
    let containers: Vec<Value> = pod.containers.iter().map(|container| json!({
        "name": container.name, "memory": {"workingSetBytes": 1_048_576, "rssBytes": 524_288}, "rootfs": files, "logs": files,
    })).collect();
    json!({"podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid}, "containers": containers,
           "memory": {"workingSetBytes": 2_097_152}, "volume": [{"name": "kube-api-access", "usedBytes": 12_288}],
           "ephemeral-storage": files})
}
