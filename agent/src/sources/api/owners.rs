//! The owners of pods that are being deleted: queried to distinguish a rollout, or a Job's deadline, from a deletion.

use std::{collections::BTreeMap, time::Duration};

use coroner_diagnosis::observation::{
    Fact,
    kube::{Change, Controller, Object, Pod, Workload, WorkloadKind},
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
/// Controllers whose state counts as known. While there are so many, no further one is asked for.
const CAPACITY: usize = 256;

/// The task that asks the API server for the controllers of pods.
pub(super) struct Owners {
    client: Client,
    /// By uid, until when its state counts as known.
    known: BTreeMap<String, Instant>,
}

impl Owners {
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: BTreeMap::new() }
    }

    /// Reports the controller of a pod, and the controller's own, if the pod is being deleted.
    pub(super) async fn report_if_needed(&mut self, pod: &Pod, outlet: &Outlet) {
        let (Some(controller), Some(_)) = (&pod.meta.controller, pod.deletion) else { return };
        let now = Instant::now();
        self.known.retain(|_, until| now < *until);
        if self.known.len() >= CAPACITY || self.known.contains_key(&controller.uid) {
            return;
        }
        self.known.insert(controller.uid.clone(), now + FRESH);
        // Without permission, or without an answer in time, the requester stays unknown; nothing else depends on it.
        let workload = report(&self.client, &pod.meta.namespace, controller, outlet).await;
        if workload.is_some_and(|workload| workload.kind == WorkloadKind::Job && workload.conditions.is_empty()) {
            self.known.insert(controller.uid.clone(), Instant::now() + SILENT);
        }
    }
}

/// Asks for a controller and for its own, and reports both. `None` if the first is not known, for lack of permission or
/// of an answer in time.
pub(super) async fn report(client: &Client, namespace: &str, of: &Controller, outlet: &Outlet) -> Option<Workload> {
    let asked = async |of: &Controller| timeout(DEADLINE, ask(client.clone(), namespace, of)).await.ok().flatten();
    let workload = asked(of).await?;
    let fact = |workload| outlet.now(Fact::Object(Change::Applied, Object::Workload(Box::new(workload))));
    let _going_away = outlet.send(fact(workload.clone())).await;
    if let Some(above) = &workload.meta.controller
        && let Some(top) = asked(above).await
    {
        let _going_away = outlet.send(fact(top)).await;
    }
    Some(workload)
}

async fn ask(client: Client, namespace: &str, of: &Controller) -> Option<Workload> {
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
