//! Pods as the rules for clusters read them. The rest of a pod, which is most of it, is skipped while it is decoded.

use std::{borrow::Cow, collections::BTreeMap};

use coroner_diagnosis::observation::kube;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1 as core,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
};
use serde::{Deserialize, de::IgnoredAny};

/// A Pod of which only these fields are filled: names, labels, owners, deletion, node, ports and requests of its
/// containers, what keeps it from nodes, phase and conditions.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Fields")]
pub struct ClusterPod(core::Pod);

impl From<&ClusterPod> for kube::Pod {
    fn from(pod: &ClusterPod) -> Self {
        Self::from(&pod.0)
    }
}

impl ::kube::Resource for ClusterPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        core::Pod::kind(&())
    }

    fn group(_: &()) -> Cow<'_, str> {
        core::Pod::group(&())
    }

    fn version(_: &()) -> Cow<'_, str> {
        core::Pod::version(&())
    }

    fn plural(_: &()) -> Cow<'_, str> {
        core::Pod::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.0.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.0.metadata
    }
}

#[derive(Deserialize)]
struct Fields {
    metadata: Metadata,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
    containers: Option<Vec<Container>>,
    init_containers: Option<Vec<Container>>,
    node_selector: Option<BTreeMap<String, String>>,
    affinity: Option<Affinity>,
    tolerations: Option<Vec<core::Toleration>>,
    volumes: Option<Vec<Volume>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    ports: Option<Vec<core::ContainerPort>>,
    resources: Option<core::ResourceRequirements>,
    restart_policy: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Affinity {
    node_affinity: Option<NodeAffinity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeAffinity {
    required_during_scheduling_ignored_during_execution: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Volume {
    persistent_volume_claim: Option<core::PersistentVolumeClaimVolumeSource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    phase: Option<String>,
    nominated_node_name: Option<String>,
    conditions: Option<Vec<core::PodCondition>>,
}

impl From<Fields> for ClusterPod {
    fn from(Fields { metadata, spec, status }: Fields) -> Self {
        let metadata = ObjectMeta {
            namespace: metadata.namespace,
            name: metadata.name,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            deletion_timestamp: metadata.deletion_timestamp,
            labels: metadata.labels,
            owner_references: metadata.owner_references,
            ..ObjectMeta::default()
        };
        Self(core::Pod { metadata, spec: spec.map(Into::into), status: status.map(Into::into) })
    }
}

impl From<Spec> for core::PodSpec {
    fn from(spec: Spec) -> Self {
        let containers = |all: Vec<Container>| all.into_iter().map(Into::into).collect();
        Self {
            node_name: spec.node_name,
            containers: containers(spec.containers.unwrap_or_default()),
            init_containers: spec.init_containers.map(containers),
            node_selector: spec.node_selector,
            affinity: spec.affinity.map(Into::into),
            tolerations: spec.tolerations,
            volumes: spec.volumes.map(|all| all.into_iter().map(Into::into).collect()),
            ..Self::default()
        }
    }
}

impl From<Container> for core::Container {
    fn from(Container { ports, resources, restart_policy }: Container) -> Self {
        Self { ports, resources, restart_policy, ..Self::default() }
    }
}

impl From<Affinity> for core::Affinity {
    fn from(affinity: Affinity) -> Self {
        let required = affinity.node_affinity.and_then(|of| of.required_during_scheduling_ignored_during_execution);
        let node_affinity = core::NodeAffinity {
            required_during_scheduling_ignored_during_execution: required.map(|_| core::NodeSelector::default()),
            ..core::NodeAffinity::default()
        };
        Self { node_affinity: Some(node_affinity), ..Self::default() }
    }
}

impl From<Volume> for core::Volume {
    fn from(Volume { persistent_volume_claim }: Volume) -> Self {
        Self { persistent_volume_claim, ..Self::default() }
    }
}

impl From<Status> for core::PodStatus {
    fn from(Status { phase, nominated_node_name, conditions }: Status) -> Self {
        Self { phase, nominated_node_name, conditions, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_rules_read_is_decoded_as_of_the_whole_pod() {
        let pod = json!({
            "metadata": {
                "namespace": "shop", "name": "web-1", "uid": "u1", "resourceVersion": "7", "labels": {"app": "web"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u0", "controller": true}],
            },
            "spec": {
                "containers": [{"name": "", "ports": [{"containerPort": 80, "name": "http"}], "resources": {"requests": {"cpu": "1"}}}],
                "initContainers": [{"name": "", "restartPolicy": "Always"}],
                "nodeSelector": {"disk": "ssd"},
                "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "volumes": [{"name": "", "persistentVolumeClaim": {"claimName": "data"}}],
            },
            "status": {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}],
            },
        });
        let whole: core::Pod = serde_json::from_value(pod.clone()).unwrap();
        let part: ClusterPod = serde_json::from_value(pod).unwrap();
        assert_eq!(kube::Pod::from(&part), kube::Pod::from(&whole));
        assert_eq!(::kube::ResourceExt::resource_version(&part).as_deref(), Some("7"));
    }
}
