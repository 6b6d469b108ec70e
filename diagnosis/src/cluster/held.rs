//! What is held of the objects that the rules read, and the values that many of them share.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{
    groups::{Labels, Shape},
    intern::Pool,
    lost::{Leaving, Lost},
    pods::{self, Pod, Unscheduled},
};
use crate::observation::kube::{
    self, Condition, ContainerKind, Controller, Port, Probe, Probes, Resources, Taint, Toleration, VolumeKind,
    WorkloadKind,
};

/// A Node.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    pub(super) labels: Labels,
    pub(super) cordoned: bool,
    pub(super) taints: Box<[Taint]>,
    pub(super) allocatable: Arc<Resources>,
    /// It does not respond.
    pub(super) lost: Option<Box<Lost>>,
}

/// What makes pods.
#[derive(Debug, PartialEq)]
pub(super) struct Workload {
    pub(super) kind: WorkloadKind,
    pub(super) namespace: Arc<str>,
    pub(super) name: Box<str>,
    pub(super) controller: Option<Arc<Controller>>,
    pub(super) wanted: Option<i32>,
    pub(super) there: i32,
    /// Of its pods.
    pub(super) shape: Arc<Shape>,
    /// That it cannot create them.
    pub(super) failed: Option<Box<Condition>>,
}

/// Values that many objects have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) texts: Pool<str>,
    shapes: Pool<Shape>,
    ports: Pool<[Port]>,
    pub(super) amounts: Pool<Resources>,
    controllers: Pool<Controller>,
    selectors: Pool<BTreeMap<String, String>>,
    tolerations: Pool<[Toleration]>,
}

impl Shared {
    /// What is held of a pod; nothing of one that has ended.
    pub(super) fn pod(&mut self, pod: &kube::Pod, since: Timestamp) -> Option<Pod> {
        if matches!(pod.phase.as_str(), "Failed" | "Succeeded") {
            return None;
        }
        let ports: Vec<Port> = pod.containers.iter().flat_map(|container| &container.ports).cloned().collect();
        let shape = Shape {
            labels: Labels::new(&pod.labels, &mut self.texts),
            declares_all: declares_all(pod, &ports),
            ports: self.ports.share(ports),
        };
        Some(Pod {
            namespace: self.texts.share(pod.meta.namespace.as_str()),
            name: pod.meta.name.as_str().into(),
            node: self.texts.share(pod.node.as_str()),
            shape: self.shapes.share(shape),
            requests: self.amounts.share(pods::requests(pod)),
            deleting: pod.deletion.is_some(),
            unscheduled: self.unscheduled(pod, since).map(Box::new),
            leaving: Leaving::of(pod, |controller| self.controllers.share(controller)),
        })
    }

    fn unscheduled(&mut self, pod: &kube::Pod, since: Timestamp) -> Option<Unscheduled> {
        if !pod.node.is_empty() || pod.deletion.is_some() || pod.phase != "Pending" {
            return None;
        }
        let (reason, message, since) = match pod.condition("PodScheduled") {
            None => (None, &pod.scheduler, pod.meta.created.unwrap_or(since)),
            Some(condition) => (Some(&*condition.reason), &condition.message, condition.since.unwrap_or(since)),
        };
        let fails = pod.condition("PodScheduled").is_none_or(|condition| condition.status == Some(false));
        // Schedulers have reasons of their own: of Volcano are `Undetermined` and `Schedulable`, of YuniKorn
        // `SchedulingSkipped`. What they mean is in their messages.
        if !fails {
            return None;
        }
        let claims = pod.volumes.iter().filter_map(|volume| match &volume.kind {
            VolumeKind::Claim(name) => Some(self.texts.share(name.as_str())),
            _ => None,
        });
        Some(Unscheduled {
            claims: claims.collect(),
            controller: pod.meta.controller.clone().map(|controller| self.controllers.share(controller)),
            node_selector: self.selectors.share(pod.node_selector.clone()),
            node_affinity: pod.node_affinity,
            tolerations: self.tolerations.share(pod.tolerations.clone()),
            nominated: !pod.nominated_node.is_empty(),
            gates: pod.gates.clone().into(),
            reason: reason.map(|reason| self.texts.share(reason)),
            message: self.texts.share(message.as_str()),
            since,
        })
    }

    pub(super) fn workload(&mut self, workload: kube::Workload) -> Workload {
        // A Deployment makes ReplicaSets (`pkg/controller/deployment/sync.go`); those make the pods.
        let failed = |condition: &Condition| match workload.kind {
            WorkloadKind::Deployment => {
                let is_failed = condition.kind == "Progressing" && condition.status == Some(false);
                is_failed && condition.reason == "ReplicaSetCreateError"
            }
            WorkloadKind::ReplicaSet | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet | WorkloadKind::Job => {
                let is_failed = matches!(condition.kind.as_str(), "ReplicaFailure" | "FailureTarget");
                is_failed && condition.status == Some(true) && condition.reason == "FailedCreate"
            }
        };
        let labels = Labels::new(&workload.labels, &mut self.texts);
        Workload {
            kind: workload.kind,
            namespace: self.texts.share(workload.meta.namespace.as_str()),
            name: workload.meta.name.into(),
            controller: workload.meta.controller.map(|controller| self.controllers.share(controller)),
            wanted: workload.wanted,
            there: workload.there,
            shape: self.shapes.share(Shape { labels, ..Shape::default() }),
            failed: workload.conditions.iter().find(|condition| failed(condition)).cloned().map(Box::new),
        }
    }
}

/// Whether what a pod declares of its ports can be all that it listens on: each container declares some, as an injected
/// proxy alone does not, and no probe asks one that none declares.
fn declares_all(pod: &kube::Pod, ports: &[Port]) -> bool {
    let mut running = pod
        .containers
        .iter()
        .filter(|container| matches!(container.kind, ContainerKind::Main | ContainerKind::Sidecar));
    running.all(|container| {
        let Probes { liveness, readiness, startup } = &container.probes;
        let mut asked = [liveness, readiness, startup].into_iter().flatten().filter_map(Probe::port);
        !container.ports.is_empty() && asked.all(|asked| ports.iter().any(|port| port.number == asked))
    })
}
