//! The owners of pods that are being deleted: queried to distinguish a rollout, or a Job's deadline, from a deletion;
//! and the Deployments of pods that are not ready yet, for how long a rollout waits for them.

use std::{collections::BTreeMap, time::Duration};

use coroner_diagnosis::observation::{
    Fact,
    kube::{Change, Controller, Object, Pod, State, Workload, WorkloadKind},
};
use k8s_openapi::api::{apps::v1 as apps, batch::v1 as batch};
use kube::{Api, Client};
use tokio::time::{Instant, timeout};

use crate::sources::outlet::Outlet;

/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a controller's state counts as known.
const FRESH: Duration = Duration::from_secs(5);
/// How long that of a Job does that names no reason yet: its controller deletes pods and then states why.
const SILENT: Duration = Duration::from_millis(500);
/// How long it does for a pod that is not ready: only settings are of interest then.
const SETTINGS: Duration = Duration::from_mins(10);
/// Controllers whose state counts as known. While there are so many, no further one is asked for.
const CAPACITY: usize = 256;

/// The task that asks the API server for the controllers of pods.
pub(super) struct Owners {
    client: Client,
    /// By uid, until when its state counts as known.
    known: BTreeMap<String, Instant>,
    /// The same of settings.
    settings: BTreeMap<String, Instant>,
}

impl Owners {
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: BTreeMap::new(), settings: BTreeMap::new() }
    }

    /// Reports the controller of a pod, and the controller's own, if the pod is being deleted or not ready yet.
    pub(super) async fn report_if_needed(&mut self, pod: &Pod, outlet: &Outlet) {
        let Some(controller) = &pod.meta.controller else { return };
        let (known, fresh) = match pod.deletion {
            Some(_) => (&mut self.known, FRESH),
            None if controller.kind == WorkloadKind::ReplicaSet.name() && is_unready(pod) => {
                (&mut self.settings, SETTINGS)
            }
            None => return,
        };
        let now = Instant::now();
        known.retain(|_, until| now < *until);
        if known.len() >= CAPACITY || known.contains_key(&controller.uid) {
            return;
        }
        known.insert(controller.uid.clone(), now + fresh);
        // Without permission, or without an answer in time, the requester stays unknown; nothing else depends on it.
        let Ok(Some(workload)) = timeout(DEADLINE, self.ask(&pod.meta.namespace, controller)).await else { return };
        if workload.kind == WorkloadKind::Job && workload.conditions.is_empty() {
            self.known.insert(controller.uid.clone(), Instant::now() + SILENT);
        }
        let above = workload.meta.controller.clone();
        let _sent = outlet.send(outlet.now(Fact::Object(Change::Applied, Object::Workload(Box::new(workload))))).await;
        let Some(above) = above else { return };
        if let Ok(Some(top)) = timeout(DEADLINE, self.ask(&pod.meta.namespace, &above)).await {
            let _sent = outlet.send(outlet.now(Fact::Object(Change::Applied, Object::Workload(Box::new(top))))).await;
        }
    }

    async fn ask(&self, namespace: &str, of: &Controller) -> Option<Workload> {
        let client = self.client.clone();
        let kinds = [
            WorkloadKind::Deployment,
            WorkloadKind::ReplicaSet,
            WorkloadKind::StatefulSet,
            WorkloadKind::DaemonSet,
            WorkloadKind::Job,
        ];
        let kind = kinds.into_iter().find(|kind| kind.name() == of.kind)?;
        let workload = match kind {
            WorkloadKind::Deployment => {
                (&Api::<apps::Deployment>::namespaced(client, namespace).get(&of.name).await.ok()?).into()
            }
            WorkloadKind::ReplicaSet => {
                (&Api::<apps::ReplicaSet>::namespaced(client, namespace).get(&of.name).await.ok()?).into()
            }
            WorkloadKind::StatefulSet => {
                (&Api::<apps::StatefulSet>::namespaced(client, namespace).get(&of.name).await.ok()?).into()
            }
            WorkloadKind::DaemonSet => {
                (&Api::<apps::DaemonSet>::namespaced(client, namespace).get(&of.name).await.ok()?).into()
            }
            WorkloadKind::Job => (&Api::<batch::Job>::namespaced(client, namespace).get(&of.name).await.ok()?).into(),
        };
        Some(workload)
    }
}

/// Whether a container runs and is not ready.
fn is_unready(pod: &Pod) -> bool {
    pod.statuses.iter().any(|status| !status.ready && matches!(status.state, State::Running { .. }))
}
