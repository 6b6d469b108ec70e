//! For how long a rollout waits for pods that are not ready yet: a setting of their Deployment.

use std::{collections::BTreeMap, convert::Infallible, future::pending, time::Duration};

use coroner_diagnosis::observation::kube::{Controller, Pod, State, WorkloadKind};
use kube::Client;
use tokio::{sync::mpsc, time::Instant};

use super::owners;
use crate::sources::outlet::Outlet;

/// Questions that wait at most. What comes beyond is asked when the pod changes again.
pub(super) const WAITING: usize = 64;
/// How long a setting counts as known.
const FRESH: Duration = Duration::from_mins(10);
/// When one that could not be read is asked for again.
const AGAIN: Duration = Duration::from_mins(1);
/// Controllers whose settings count as known. While there are so many, no further one is asked for.
const CAPACITY: usize = 256;

/// Whose settings are of interest.
pub(super) struct Question {
    namespace: String,
    controller: Controller,
}

impl Question {
    /// That of a pod of a Deployment's ReplicaSet, with a container that runs and is not ready.
    pub(super) fn of(pod: &Pod) -> Option<Self> {
        let controller = pod.meta.controller.as_ref()?;
        let mut statuses = pod.statuses.iter();
        let is_unready = statuses.any(|status| !status.ready && matches!(status.state, State::Running { .. }));
        let wanted = controller.kind == WorkloadKind::ReplicaSet.name() && pod.deletion.is_none() && is_unready;
        wanted.then(|| Self { namespace: pod.meta.namespace.clone(), controller: controller.clone() })
    }
}

/// Asks the API server one question after another, and reports the controllers.
pub(super) async fn answer(client: Client, mut questions: mpsc::Receiver<Question>, outlet: &Outlet) -> Infallible {
    let mut known: BTreeMap<String, Instant> = BTreeMap::new();
    loop {
        let Some(Question { namespace, controller }) = questions.recv().await else { return pending().await };
        let now = Instant::now();
        known.retain(|_, until| now < *until);
        if known.len() >= CAPACITY || known.contains_key(&controller.uid) {
            continue;
        }
        let answer = owners::report(&client, &namespace, &controller, outlet).await;
        known.insert(controller.uid, Instant::now() + if answer.is_some() { FRESH } else { AGAIN });
    }
}
