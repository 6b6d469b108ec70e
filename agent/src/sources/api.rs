//! The Kubernetes API: the pods of this node, their events and its Node object.
//!
//! The API server is spared: pods are selected by node, and events of a pod are watched only while it is in trouble. Of all
//! events of the cluster, an agent never asks for more than those.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use coroner_diagnosis::observation::{
    Fact, Health, Source,
    kube::{Change, Controller, Kind, Object, Pod, State, WorkloadKind},
};
use coroner_watch::{Told, watch};
use futures::{StreamExt as _, stream::BoxStream};
use k8s_openapi::api::{apps::v1 as apps, batch::v1 as batch, core::v1 as core};
use kube::{Api, Client};
use tokio::{
    select,
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_stream::StreamMap;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::outlet::Outlet;

/// Objects of one answer to a list: 20 pods of usual size take 3 MiB until they are pruned.
const PAGE: u32 = 20;
/// Pods whose events are watched at once.
const TROUBLES: usize = 32;
/// Events of a pod are watched for so long after it has calmed down, or is gone.
const CALM: Duration = Duration::from_mins(2);
/// Pods whose trouble waits to be looked at.
const WAITING: usize = 256;
/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a controller's state counts as known.
const FRESH: Duration = Duration::from_secs(5);

/// What is needed to reach the API server.
#[derive(Clone, Debug)]
pub struct Config {
    /// A kubeconfig, for agents outside of pods.
    pub kubeconfig: Option<PathBuf>,
    /// The node's name.
    pub node: String,
}

/// The outlets of the three kinds.
#[derive(Clone, Debug)]
pub struct Outlets {
    /// Of pods.
    pub pods: Outlet,
    /// Of events.
    pub events: Outlet,
    /// Of the node.
    pub nodes: Outlet,
}

/// The kinds that an agent watches.
pub const SOURCES: [Source; 3] = [Source::Api(Kind::Pods), Source::Api(Kind::Events), Source::Api(Kind::Nodes)];

/// Starts the source.
pub fn spawn(tracker: &TaskTracker, cancel: CancellationToken, outlets: Outlets, config: Config) {
    tracker.spawn(async move {
        select! {
            () = cancel.cancelled() => {}
            () = run(outlets, config) => {}
        }
    });
}

async fn run(outlets: Outlets, config: Config) {
    match coroner_watch::client(config.kubeconfig.as_deref()).await {
        Ok(client) => all(client, outlets, &config.node).await,
        Err(error) => {
            for outlet in [&outlets.pods, &outlets.events, &outlets.nodes] {
                outlet.health(Health::Absent(error.to_string())).await;
            }
        }
    }
}

/// Watches until cancelled.
pub(crate) async fn all(client: Client, outlets: Outlets, node: &str) {
    let (troubles, troubled) = mpsc::channel(WAITING);
    tokio::join!(
        pods(client.clone(), &outlets.pods, node, troubles),
        this_node(client.clone(), &outlets.nodes, node),
        events(client, &outlets.events, node, troubled),
    );
}

async fn pods(client: Client, outlet: &Outlet, node: &str, troubles: mpsc::Sender<Trouble>) {
    let api: Api<core::Pod> = Api::all(client.clone());
    let selector = format!("spec.nodeName={node}");
    let mut told = watch(api, &selector, PAGE, Kind::Pods, |pod: &core::Pod| Object::Pod(Box::new(pod.into()))).boxed();
    let mut owners = Owners { client, asked: BTreeMap::new() };
    while let Some(told) = told.next().await {
        if let Told::Object(change, Object::Pod(pod)) = &told {
            // Who has no room for it is busy with others; its next change asks again.
            let _full = troubles.try_send(Trouble { uid: pod.meta.uid.clone(), over: !in_trouble(*change, pod) });
            if pod.deletion.is_some() && *change == Change::Applied {
                owners.tell(pod, outlet).await;
            }
        }
        if !hand_on(outlet, told).await {
            return;
        }
    }
}

async fn this_node(client: Client, outlet: &Outlet, node: &str) {
    let api: Api<core::Node> = Api::all(client);
    let selector = format!("metadata.name={node}");
    let mut told =
        watch(api, &selector, PAGE, Kind::Nodes, |node: &core::Node| Object::Node(Box::new(node.into()))).boxed();
    while let Some(told) = told.next().await {
        if !hand_on(outlet, told).await {
            return;
        }
    }
}

/// False when the agent is going away.
async fn hand_on(outlet: &Outlet, told: Told) -> bool {
    match told {
        Told::Object(change, object) => outlet.send(outlet.now(Fact::Object(change, object))).await,
        Told::Health(health) => {
            outlet.health(health).await;
            true
        }
    }
}

/// A pod that got into trouble, or out of it.
#[derive(Debug)]
struct Trouble {
    uid: String,
    over: bool,
}

/// Whether the events of a pod may explain something.
fn in_trouble(change: Change, pod: &Pod) -> bool {
    let starts = |reason: &str| matches!(reason, "" | "ContainerCreating" | "PodInitializing");
    let troubled = pod.statuses.iter().any(|status| {
        let now = match &status.state {
            State::Waiting { reason, .. } => !starts(reason),
            State::Terminated(ended) => ended.code != 0,
            State::Running { .. } => !status.ready,
        };
        now || status.restarts > 0
    });
    change == Change::Deleted || pod.deletion.is_some() || pod.phase == "Failed" || pod.phase == "Pending" || troubled
}

async fn events(client: Client, outlet: &Outlet, node: &str, mut troubled: mpsc::Receiver<Trouble>) {
    let mut watches = Watches { client, streams: StreamMap::new(), calm: BTreeMap::new(), refused: 0 };
    let selector = format!("involvedObject.kind=Node,involvedObject.name={node}");
    watches.streams.insert(String::new(), watches.of(&selector));
    let mut health = Health::Absent("not watched yet".to_owned());
    loop {
        let calm = watches.calm.values().min().copied();
        select! {
            Some((uid, told)) = watches.streams.next() => match told {
                // The node's own events speak for all: they are asked for in the same way.
                Told::Health(heard) => {
                    if uid.is_empty() {
                        health = heard;
                        outlet.health(watches.health(&health)).await;
                    }
                }
                told => {
                    if !hand_on(outlet, told).await {
                        return;
                    }
                }
            },
            Some(trouble) = troubled.recv() => {
                let before = watches.refused;
                watches.take(trouble);
                if watches.refused != before {
                    outlet.health(watches.health(&health)).await;
                }
            }
            () = sleep_until(calm.unwrap_or_else(Instant::now)), if calm.is_some() => watches.close(Instant::now()),
            else => return,
        }
    }
}

struct Watches {
    client: Client,
    /// By the pod's uid; the node's own under an empty one.
    streams: StreamMap<String, BoxStream<'static, Told>>,
    /// Pods that have calmed down, and when they are watched no more.
    calm: BTreeMap<String, Instant>,
    /// Pods in trouble that found no place.
    refused: usize,
}

impl Watches {
    fn of(&self, selector: &str) -> BoxStream<'static, Told> {
        let api: Api<core::Event> = Api::all(self.client.clone());
        watch(api, selector, PAGE, Kind::Events, |event: &core::Event| Object::Event(Box::new(event.into()))).boxed()
    }

    fn take(&mut self, Trouble { uid, over }: Trouble) {
        if uid.is_empty() || over && !self.streams.contains_key(&uid) {
            return;
        }
        if over {
            self.calm.entry(uid).or_insert_with(|| Instant::now() + CALM);
            return;
        }
        self.calm.remove(&uid);
        if self.streams.contains_key(&uid) {
            return;
        }
        if self.streams.len() > TROUBLES {
            // Who has calmed down makes room; otherwise the new one goes without.
            match self.calm.iter().min_by_key(|(_, until)| **until).map(|(uid, _)| uid.clone()) {
                Some(calmest) => self.drop(&calmest),
                None => {
                    self.refused += 1;
                    return;
                }
            }
        }
        let stream = self.of(&format!("involvedObject.uid={uid}"));
        self.streams.insert(uid, stream);
    }

    fn close(&mut self, now: Instant) {
        let over: Vec<_> = self.calm.iter().filter(|(_, until)| **until <= now).map(|(uid, _)| uid.clone()).collect();
        for uid in over {
            self.drop(&uid);
        }
    }

    fn drop(&mut self, uid: &str) {
        self.calm.remove(uid);
        self.streams.remove(uid);
    }

    fn health(&self, health: &Health) -> Health {
        match (health, self.refused) {
            (Health::Ok, refused) if refused > 0 => Health::Degraded(format!(
                "more than {TROUBLES} pods in trouble at once: {refused} went without their \
                     events"
            )),
            _ => health.clone(),
        }
    }
}

/// What made the pods that are being deleted: asked for once, so that a rollout is told from a deletion.
struct Owners {
    client: Client,
    asked: BTreeMap<String, Instant>,
}

impl Owners {
    async fn tell(&mut self, pod: &Pod, outlet: &Outlet) {
        let Some(controller) = &pod.meta.controller else { return };
        let now = Instant::now();
        self.asked.retain(|_, at| now.duration_since(*at) < FRESH);
        if self.asked.insert(controller.uid.clone(), now).is_some() {
            return;
        }
        // Without permission, or without an answer in time, nobody learns who asked; that is all.
        let Ok(Some(workload)) = timeout(DEADLINE, self.ask(&pod.meta.namespace, controller)).await else { return };
        let above = workload.meta.controller.clone();
        let _sent = outlet.send(outlet.now(Fact::Object(Change::Applied, Object::Workload(Box::new(workload))))).await;
        let Some(above) = above else { return };
        if let Ok(Some(top)) = timeout(DEADLINE, self.ask(&pod.meta.namespace, &above)).await {
            let _sent = outlet.send(outlet.now(Fact::Object(Change::Applied, Object::Workload(Box::new(top))))).await;
        }
    }

    async fn ask(&self, namespace: &str, of: &Controller) -> Option<coroner_diagnosis::observation::kube::Workload> {
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
