//! The watch of the whole cluster: what only the API server knows becomes diagnoses like those of the agents.
//!
//! It speaks to the intake as an agent does, under a name that no node can have, so that readers, retention and status know
//! it without further ado. One aggregator of a cluster watches; it holds nothing that another could not read anew.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use coroner_diagnosis::{
    cluster::ClusterExaminer,
    continuation::Continuation,
    observation::{
        Fact, Health, Observation, Source,
        kube::{Kind, Object},
    },
};
use coroner_proto::v1::{
    Diagnosis, DiagnosisFilter, OutboxRecord, PushDiagnosesRequest, SourceHealth, SourceStatus, SubjectKind,
    outbox_record::Record,
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

use prost::Message as _;

use crate::{
    filter::Filter,
    intake::Intake,
    ledger::{Query, list},
};

/// The name that its pushes come under. No node is called so: it is no DNS name.
pub const NAME: &str = "_cluster";
/// The namespace whose uid is the cluster's.
const KUBE_SYSTEM: &str = "kube-system";
/// Time between two tries to store what could not be stored.
const RETRY: Duration = Duration::from_secs(1);
/// What was told before a restart and is not found again so long after all was listed, is over. The examiner needs at most ten
/// seconds to be sure of a state.
const FOUND_AGAIN: Duration = Duration::from_secs(30);
/// Objects of one answer to a list.
const LISTED: u32 = 250;
/// The most diagnoses of a page that is read at start.
const PAGE: usize = 500;
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
    let (continuation, open) = select! {
        before = told_before(&intake) => before,
        () = stop.cancelled() => return,
    };
    let mut watcher = Watcher {
        intake,
        continuation,
        open,
        examiner: ClusterExaminer::new(uid),
        stream_id: Uuid::now_v7().to_string(),
        sequence: 0,
        waiting: Vec::new(),
        sources: WATCHED.map(|kind| status(kind, SourceHealth::Unspecified, "not listed yet")).into(),
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

/// What this watch told before it was restarted, and what of it was not over.
async fn told_before(intake: &Intake) -> (Continuation, BTreeMap<String, Diagnosis>) {
    let (mut continuation, mut open) = (Continuation::default(), BTreeMap::new());
    let kinds = [SubjectKind::Pod, SubjectKind::Workload, SubjectKind::Service, SubjectKind::Ingress];
    let filter = DiagnosisFilter { subject_kinds: kinds.map(i32::from).into(), ..DiagnosisFilter::default() };
    let Ok(filter) = Filter::new(filter) else { return (continuation, open) };
    let mut after = None;
    loop {
        let query =
            Query { filter: filter.clone(), start_time: None, end_time: None, after, limit: PAGE, bytes: usize::MAX };
        let page = match intake.ledger().query(move |connection| list(connection, &query)).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!("What the cluster's watch told before cannot be read: {error}");
                return (continuation, open);
            }
        };
        for diagnosis in page.bodies.iter().filter_map(|body| Diagnosis::decode(body.as_slice()).ok()) {
            // An agent names the node that it is on; this watch is on none.
            if diagnosis.node.as_ref().is_some_and(|node| !node.name.is_empty()) {
                continue;
            }
            if !continuation.remember(&diagnosis) {
                return (continuation, open);
            }
            if !diagnosis.fatal && diagnosis.resolve_time.is_none() {
                open.insert(diagnosis.uid.clone(), diagnosis);
            }
        }
        match page.next {
            Some(position) => after = Some(position),
            None => return (continuation, open),
        }
    }
}

/// The kinds that are watched: quotas and limit ranges speak through the events of those whom they refuse.
const WATCHED: [Kind; 12] = [
    Kind::Pods,
    Kind::Nodes,
    Kind::Deployments,
    Kind::ReplicaSets,
    Kind::StatefulSets,
    Kind::DaemonSets,
    Kind::Jobs,
    Kind::Services,
    Kind::EndpointSlices,
    Kind::Ingresses,
    Kind::Claims,
    Kind::Events,
];

type Watches = SelectAll<BoxStream<'static, (Kind, Told)>>;

fn all(client: &Client) -> Watches {
    macro_rules! of {
        ($kind:ident, $type:ty, $object:ident) => {
            of!($kind, $type, $object, "")
        };
        ($kind:ident, $type:ty, $object:ident, $fields:expr) => {{
            let api: Api<$type> = Api::all(client.clone());
            let prune = |object: &$type| Object::$object(Box::new(object.into()));
            watch(api, $fields, LISTED, Kind::$kind, prune).map(|told| (Kind::$kind, told)).boxed()
        }};
    }
    // Of events, only what a controller could not create or bind: the others are the agents'.
    let failed = |reason: &'static str| {
        let api: Api<core::Event> = Api::all(client.clone());
        let prune = |event: &core::Event| Object::Event(Box::new(event.into()));
        watch(api, reason, LISTED, Kind::Events, prune).map(|told| (Kind::Events, told)).boxed()
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
    continuation: Continuation,
    /// Told before a restart, not over then, and not found again yet.
    open: BTreeMap<String, Diagnosis>,
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
        let mut listed = None;
        loop {
            if listed.is_none() && self.sources.iter().all(|source| source.health() == SourceHealth::Ok) {
                listed = Some(Instant::now());
            }
            let forgotten = listed.filter(|_| !self.open.is_empty()).map(|listed| listed + FOUND_AGAIN);
            let due = self.examiner.next_tick().map(until);
            select! {
                Some((kind, told)) = watches.next() => changed |= self.hear(kind, told),
                () = sleep(due.unwrap_or_default()), if due.is_some() => {
                    let diagnoses = self.examiner.tick(Timestamp::now());
                    self.keep(diagnoses);
                }
                () = sleep_until(forgotten.unwrap_or_else(Instant::now)), if forgotten.is_some() => self.close(),
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
            self.open.remove(&diagnosis.uid);
            let Some(diagnosis) = self.continuation.follow(diagnosis) else { continue };
            self.sequence += 1;
            self.waiting.push(OutboxRecord { sequence: self.sequence, record: Some(Record::Diagnosis(diagnosis)) });
        }
    }

    /// What ended while nobody watched is over now.
    fn close(&mut self) {
        let now = i64::try_from(Timestamp::now().as_nanosecond()).ok().map(crate::filter::timestamp);
        let over = std::mem::take(&mut self.open).into_values();
        self.keep(over.map(|diagnosis| Diagnosis { resolve_time: now, ..diagnosis }).collect());
    }

    /// Stores what waits. Nothing more is heard before that: the watches wait, and list anew if it takes long.
    async fn push(&mut self) {
        loop {
            self.push_some().await;
            if self.waiting.is_empty() {
                return;
            }
        }
    }

    async fn push_some(&mut self) {
        let request = PushDiagnosesRequest {
            node: NAME.to_owned(),
            stream_id: self.stream_id.clone(),
            records: self.waiting.iter().take(crate::intake::MAX_RECORDS).cloned().collect(),
            sources: self.sources.clone(),
            after_sequence: 0,
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
