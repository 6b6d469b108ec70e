//! The watch of the whole cluster: what only the API server knows becomes diagnoses like those of the agents.
//!
//! It speaks to the intake as an agent does, under a name that no node can have, so that readers, retention and status know
//! it without further ado. One aggregator of a cluster watches; it holds nothing that another could not read anew.

use std::{path::PathBuf, time::Duration};

use coroner_diagnosis::{
    cluster::ClusterExaminer,
    kube::{Kind, Object},
    observation::{Fact, Health, Observation, Source},
};
use coroner_proto::v1::{
    Diagnosis, OutboxRecord, PushDiagnosesRequest, SourceHealth, SourceStatus, outbox_record::Record,
};
use coroner_watch::{Told, watch};
use futures::{
    StreamExt as _,
    stream::{BoxStream, SelectAll},
};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1 as apps, batch::v1 as batch, core::v1 as core, discovery::v1 as discovery, networking::v1 as networking,
};
use kube::{Api, Client};
use tokio::{
    select,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::intake::Intake;

/// The name that its pushes come under. No node is called so: it is no DNS name.
pub const NAME: &str = "_cluster";
/// The namespace whose uid is the cluster's.
const KUBE_SYSTEM: &str = "kube-system";
/// Time between two tries to store what could not be stored.
const RETRY: Duration = Duration::from_secs(1);
/// Diagnoses that wait to be stored; of more, the oldest are left out, as their states are told again when they change.
const WAITING: usize = 4096;
/// The status is told at least so often.
const STATUS: Duration = Duration::from_mins(1);

/// Watches until told to stop. Without a cluster, or without permission, it says so and is content.
pub async fn run(intake: Intake, kubeconfig: Option<PathBuf>, stop: CancellationToken) {
    let client = match coroner_watch::client(kubeconfig.as_deref()).await {
        Ok(client) => client,
        Err(error) => return tracing::info!("The cluster is not watched: {error}"),
    };
    let uid = select! {
        uid = cluster_uid(&client) => uid,
        () = stop.cancelled() => return,
    };
    let mut watcher = Watcher {
        intake,
        examiner: ClusterExaminer::new(uid),
        stream_id: Uuid::now_v7().to_string(),
        sequence: 0,
        waiting: Vec::new(),
        sources: Kind::ALL.map(|kind| status(kind, SourceHealth::Unspecified, "not listed yet")).into(),
    };
    select! {
        () = watcher.watch(all(&client)) => {}
        () = stop.cancelled() => {}
    }
}

/// The uid of the cluster, by which diagnoses of several clusters are told apart; empty where it may not be read.
async fn cluster_uid(client: &Client) -> String {
    let namespaces: Api<core::Namespace> = Api::all(client.clone());
    match tokio::time::timeout(Duration::from_secs(10), namespaces.get(KUBE_SYSTEM)).await {
        Ok(Ok(namespace)) => namespace.metadata.uid.unwrap_or_default(),
        Ok(Err(_)) | Err(_) => String::new(),
    }
}

type Watches = SelectAll<BoxStream<'static, (Kind, Told)>>;

fn all(client: &Client) -> Watches {
    macro_rules! of {
        ($kind:ident, $type:ty, $object:ident) => {
            of!($kind, $type, $object, "")
        };
        ($kind:ident, $type:ty, $object:ident, $fields:expr) => {{
            let api: Api<$type> = Api::all(client.clone());
            let prune = |object: &$type| Object::$object(Box::new(object.into()));
            watch(api, $fields, Kind::$kind, prune).map(|told| (Kind::$kind, told)).boxed()
        }};
    }
    // Of events, only what a controller could not create or bind: the others are the agents'.
    let failed = |reason: &'static str| {
        let api: Api<core::Event> = Api::all(client.clone());
        let prune = |event: &core::Event| Object::Event(Box::new(event.into()));
        watch(api, reason, Kind::Events, prune).map(|told| (Kind::Events, told)).boxed()
    };
    futures::stream::select_all([
        of!(Pods, core::Pod, Pod),
        of!(Nodes, core::Node, Node),
        of!(Deployments, apps::Deployment, Workload),
        of!(ReplicaSets, apps::ReplicaSet, Workload),
        of!(StatefulSets, apps::StatefulSet, Workload),
        of!(DaemonSets, apps::DaemonSet, Workload),
        of!(Jobs, batch::Job, Workload),
        of!(Services, core::Service, Service),
        of!(EndpointSlices, discovery::EndpointSlice, EndpointSlice),
        of!(Ingresses, networking::Ingress, Ingress),
        of!(Claims, core::PersistentVolumeClaim, Claim),
        failed("reason=FailedCreate"),
        failed("reason=ProvisioningFailed"),
    ])
}

struct Watcher {
    intake: Intake,
    examiner: ClusterExaminer,
    stream_id: String,
    sequence: u64,
    /// Told, and not yet stored.
    waiting: Vec<OutboxRecord>,
    sources: Vec<SourceStatus>,
}

impl Watcher {
    async fn watch(&mut self, mut watches: Watches) {
        let mut changed = true;
        let mut told_status = Instant::now();
        loop {
            let due = self.examiner.next_tick().map(until);
            select! {
                Some((kind, told)) = watches.next() => changed |= self.hear(kind, told),
                () = sleep(due.unwrap_or_default()), if due.is_some() => {
                    let diagnoses = self.examiner.tick(Timestamp::now());
                    self.keep(diagnoses);
                }
                () = sleep_until(told_status + STATUS) => changed = true,
            }
            if changed || !self.waiting.is_empty() {
                self.push().await;
                changed = false;
                told_status = Instant::now();
            }
        }
    }

    /// Whether the health of a kind has changed.
    fn hear(&mut self, kind: Kind, told: Told) -> bool {
        let now = Timestamp::now();
        let (fact, changed) = match told {
            Told::Object(change, object) => (Fact::Object(change, object), false),
            Told::Health(health) => {
                let (code, reason) = match &health {
                    Health::Ok => (SourceHealth::Ok, ""),
                    Health::Degraded(reason) => (SourceHealth::Degraded, reason.as_str()),
                    Health::Absent(reason) => (SourceHealth::Absent, reason.as_str()),
                };
                let place = self.sources.iter_mut().find(|known| known.source == kind.name());
                if let Some(place) = place {
                    *place = status(kind, code, reason);
                }
                (Fact::Health(Source::Api(kind), health), true)
            }
        };
        let diagnoses = self.examiner.observe(Observation { seen_at: now, happened_at: now, fact });
        self.keep(diagnoses);
        changed
    }

    fn keep(&mut self, diagnoses: Vec<Diagnosis>) {
        for diagnosis in diagnoses {
            self.sequence += 1;
            self.waiting.push(OutboxRecord { sequence: self.sequence, record: Some(Record::Diagnosis(diagnosis)) });
        }
        let over = self.waiting.len().saturating_sub(WAITING);
        if over > 0 {
            tracing::error!(count = over, "The ledger takes nothing: the oldest of what waits is left out");
            self.waiting.drain(..over);
        }
    }

    async fn push(&mut self) {
        let request = PushDiagnosesRequest {
            node: NAME.to_owned(),
            stream_id: self.stream_id.clone(),
            records: self.waiting.iter().take(crate::intake::MAX_RECORDS).cloned().collect(),
            sources: self.sources.clone(),
        };
        let count = request.records.len();
        match self.intake.take(request).await {
            Ok(_) => {
                self.waiting.drain(..count);
            }
            Err(status) => {
                tracing::warn!("What the cluster's watch found is not stored yet: {}", status.message());
                sleep(RETRY).await;
            }
        }
    }
}

fn status(kind: Kind, health: SourceHealth, reason: &str) -> SourceStatus {
    SourceStatus {
        source: kind.name().to_owned(),
        health: health.into(),
        reason: reason.to_owned(),
        since_time: i64::try_from(Timestamp::now().as_nanosecond()).ok().map(crate::filter::timestamp),
        gap_count: 0,
    }
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}
