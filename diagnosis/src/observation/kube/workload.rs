//! What makes pods: Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1 as apps, batch::v1 as batch, core::v1 as core};
use serde::{Deserialize, Serialize};

use super::{Condition, Kind, Meta, status, text, time};

/// A controller of pods, as far as rules read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// Which of the controllers of pods it is.
    pub kind: WorkloadKind,
    /// Name, namespace, uid and controller of the workload.
    pub meta: Meta,
    /// When its deletion was asked for, or is due.
    pub deletion: Option<Timestamp>,
    /// How many pods are wanted. `None` where that is not a number of its own: one for each node, or as many as
    /// complete.
    pub wanted: Option<i32>,
    /// How many pods there are (`status.replicas` or what corresponds to it).
    pub there: i32,
    /// How many of these pods are ready.
    pub ready: i32,
    /// The labels of its pod template.
    pub labels: BTreeMap<String, String>,
    /// A Deployment's revision, of it or of its ReplicaSet.
    pub revision: Option<u64>,
    /// The label, with its value, by which pods of the newest revision of a StatefulSet or DaemonSet are known.
    pub newest: Option<(Cow<'static, str>, String)>,
    /// How long its controller waits for progress of a rollout, in seconds (`progressDeadlineSeconds` of a Deployment).
    #[serde(default)]
    pub progress_deadline_seconds: Option<i32>,
    /// The conditions of its status, such as `ReplicaFailure`.
    pub conditions: Vec<Condition>,
}

/// The controllers of `apps/v1` and `batch/v1` that create pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadKind {
    /// A Deployment.
    Deployment,
    /// A ReplicaSet.
    ReplicaSet,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
    /// A Job.
    Job,
}

impl WorkloadKind {
    /// The kind, as owner references name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
        }
    }
}

impl From<WorkloadKind> for Kind {
    fn from(kind: WorkloadKind) -> Self {
        match kind {
            WorkloadKind::Deployment => Self::Deployments,
            WorkloadKind::ReplicaSet => Self::ReplicaSets,
            WorkloadKind::StatefulSet => Self::StatefulSets,
            WorkloadKind::DaemonSet => Self::DaemonSets,
            WorkloadKind::Job => Self::Jobs,
        }
    }
}

/// All conditions have the same fields and a type of their own.
macro_rules! conditions {
    ($status:expr) => {
        $status
            .and_then(|status| status.conditions.as_ref())
            .into_iter()
            .flatten()
            .map(|condition| Condition {
                kind: condition.type_.clone(),
                status: status(&condition.status),
                reason: text(&condition.reason),
                message: text(&condition.message),
                since: condition.last_transition_time.as_ref().map(time),
            })
            .collect()
    };
}

impl Workload {
    fn new(kind: WorkloadKind, meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Self {
        let revision = meta.annotations.as_ref().and_then(|all| all.get("deployment.kubernetes.io/revision"));
        Self {
            kind,
            meta: Meta::from(meta),
            deletion: meta.deletion_timestamp.as_ref().map(time),
            wanted: None,
            there: 0,
            ready: 0,
            labels: BTreeMap::new(),
            revision: revision.and_then(|number| number.parse().ok()),
            newest: None,
            progress_deadline_seconds: None,
            conditions: Vec::new(),
        }
    }
}

fn labels(template: Option<&core::PodTemplateSpec>) -> BTreeMap<String, String> {
    template.and_then(|template| template.metadata.as_ref()?.labels.clone()).unwrap_or_default()
}

impl From<&apps::Deployment> for Workload {
    fn from(object: &apps::Deployment) -> Self {
        let status = object.status.as_ref();
        Self {
            wanted: object.spec.as_ref().and_then(|spec| spec.replicas),
            there: status.and_then(|status| status.replicas).unwrap_or_default(),
            ready: status.and_then(|status| status.ready_replicas).unwrap_or_default(),
            labels: labels(object.spec.as_ref().map(|spec| &spec.template)),
            progress_deadline_seconds: object.spec.as_ref().and_then(|spec| spec.progress_deadline_seconds),
            conditions: conditions!(status),
            ..Self::new(WorkloadKind::Deployment, &object.metadata)
        }
    }
}

impl From<&apps::ReplicaSet> for Workload {
    fn from(object: &apps::ReplicaSet) -> Self {
        let status = object.status.as_ref();
        Self {
            wanted: object.spec.as_ref().and_then(|spec| spec.replicas),
            there: status.map(|status| status.replicas).unwrap_or_default(),
            ready: status.and_then(|status| status.ready_replicas).unwrap_or_default(),
            labels: labels(object.spec.as_ref().and_then(|spec| spec.template.as_ref())),
            conditions: conditions!(status),
            ..Self::new(WorkloadKind::ReplicaSet, &object.metadata)
        }
    }
}

impl From<&apps::StatefulSet> for Workload {
    fn from(object: &apps::StatefulSet) -> Self {
        let status = object.status.as_ref();
        Self {
            wanted: object.spec.as_ref().and_then(|spec| spec.replicas),
            there: status.map(|status| status.replicas).unwrap_or_default(),
            ready: status.and_then(|status| status.ready_replicas).unwrap_or_default(),
            labels: labels(object.spec.as_ref().map(|spec| &spec.template)),
            newest: status
                .and_then(|status| status.update_revision.clone())
                .map(|revision| ("controller-revision-hash".into(), revision)),
            conditions: conditions!(status),
            ..Self::new(WorkloadKind::StatefulSet, &object.metadata)
        }
    }
}

impl From<&apps::DaemonSet> for Workload {
    fn from(object: &apps::DaemonSet) -> Self {
        let status = object.status.as_ref();
        let annotations = object.metadata.annotations.as_ref();
        let generation = annotations.and_then(|all| all.get("deprecated.daemonset.template.generation"));
        Self {
            newest: generation.map(|generation| ("pod-template-generation".into(), generation.clone())),
            there: status.map(|status| status.current_number_scheduled).unwrap_or_default(),
            ready: status.map(|status| status.number_ready).unwrap_or_default(),
            labels: labels(object.spec.as_ref().map(|spec| &spec.template)),
            conditions: conditions!(status),
            ..Self::new(WorkloadKind::DaemonSet, &object.metadata)
        }
    }
}

impl From<&batch::Job> for Workload {
    fn from(object: &batch::Job) -> Self {
        let status = object.status.as_ref();
        Self {
            there: status.and_then(|status| status.active).unwrap_or_default(),
            ready: status.and_then(|status| status.ready).unwrap_or_default(),
            labels: labels(object.spec.as_ref().map(|spec| &spec.template)),
            conditions: conditions!(status),
            ..Self::new(WorkloadKind::Job, &object.metadata)
        }
    }
}
