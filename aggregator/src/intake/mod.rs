//! Intake: what agents push, checked, stored, and acknowledged only then.

pub mod check;
mod field;
mod limiter;
mod messages;
mod origin;
mod rate;
mod tally;

use std::{sync::Arc, time::Instant};

use coroner_diagnosis::triage::Fact;
use coroner_proto::v1::{
    PushDiagnosesRequest, PushDiagnosesResponse, RejectedRecord, ingest_service_server::IngestService,
    outbox_record::Record,
};
use coroner_runtime::metrics::Metrics;
use jiff::Timestamp;
use prost::Message;
use tokio::sync::broadcast;
use tonic::{Request, Response, Status, async_trait};

use self::{
    rate::Rates,
    tally::{Kind, Stored, Tally},
};
use crate::{
    auth::{Caller, Reason},
    gap,
    ledger::{Entry, Ledger, Push},
    nodes::Nodes,
    unavailable::unavailable,
};

pub(crate) use self::messages::is_sound;
pub use self::{
    limiter::{Limiter, MAX_PUSH_BYTES},
    origin::Origin,
};

/// Reports of kubelets that wait for their reader.
const RECORDED: usize = 256;
/// The most records of one push.
pub const MAX_RECORDS: usize = 500;
/// The name under which this program itself pushes what its watch of the cluster finds. No node has it: it is no DNS
/// name.
pub const CLUSTER_WATCH: &str = "_cluster";
/// The same for what it concludes about silent nodes.
pub const NODE_WATCH: &str = "_nodes";

/// The service `coroner.v1.IngestService`, which takes pushes.
#[derive(Clone, Debug)]
pub struct Intake {
    ledger: Arc<Ledger>,
    nodes: Arc<Nodes>,
    rates: Arc<Rates>,
    tally: Tally,
    recorded: broadcast::Sender<Fact>,
}

impl Intake {
    /// Intake into a ledger, counted in these metrics.
    pub fn new(ledger: Arc<Ledger>, nodes: Arc<Nodes>, metrics: &Metrics) -> Self {
        Self {
            ledger,
            nodes,
            rates: Arc::default(),
            tally: Tally::new(metrics),
            recorded: broadcast::Sender::new(RECORDED),
        }
    }
}

#[async_trait]
impl IngestService for Intake {
    async fn push_diagnoses(
        &self,
        request: Request<PushDiagnosesRequest>,
    ) -> Result<Response<PushDiagnosesResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let request = request.into_inner();
        caller.may_push_for(&request.node)?;
        if [CLUSTER_WATCH, NODE_WATCH].contains(&request.node.as_str()) {
            return Err(Status::invalid_argument("node must be the name of a node"));
        }
        // Callers who cannot be distinguished have no rate of their own.
        let limited = Some(&caller).filter(|caller| caller.node().is_some());
        self.take_from(request, limited).await.map(Response::new)
    }
}

impl Intake {
    /// The ledger that the intake stores into.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What agents report of their kubelets from now on, once it is stored. A reader that is too slow misses some.
    pub(crate) fn recorded(&self) -> broadcast::Receiver<Fact> {
        self.recorded.subscribe()
    }

    /// Stores what was pushed; on return it is durable.
    ///
    /// # Errors
    /// As the call's: what cannot be used at all, or not now.
    pub async fn take(&self, request: PushDiagnosesRequest) -> Result<PushDiagnosesResponse, Status> {
        self.take_from(request, None).await
    }

    /// The same, within the rate of this caller if one is given.
    async fn take_from(
        &self,
        request: PushDiagnosesRequest,
        caller: Option<&Caller>,
    ) -> Result<PushDiagnosesResponse, Status> {
        let PushDiagnosesRequest { node, stream_id, records, sources, after_sequence } = request;
        check::check_origin(&node, &stream_id).map_err(Status::invalid_argument)?;
        if records.len() > MAX_RECORDS {
            return Err(Status::invalid_argument(format!("a push holds at most {MAX_RECORDS} records")));
        }
        let time = Timestamp::now();
        let now = i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
        let status =
            self.nodes.observe(&node, time, check::sources(sources)).map_err(|full| unavailable(full.to_string()))?;
        let status = status.map(|status| (status, now));
        let after = if records.is_empty() { 0 } else { i64::try_from(after_sequence).unwrap_or(i64::MAX) };
        let origin =
            if [CLUSTER_WATCH, NODE_WATCH].contains(&node.as_str()) { Origin::Cluster } else { Origin::Node(&node) };
        let mut push = Push { node: node.clone(), stream_id, status, after, ..Push::default() };
        let mut rejected = Vec::new();
        let (mut stored, mut of_kubelets) = (Stored::default(), Vec::new());
        for record in records {
            let number = record.sequence;
            let of_kubelet = match (&record.record, origin) {
                (Some(Record::Diagnosis(diagnosis)), Origin::Node(_)) => Fact::recorded(diagnosis),
                _ => None,
            };
            push.acknowledge = push.acknowledge.max(check::sequence(number).unwrap_or(0));
            let kind = Kind::of(&record);
            match check::entry(record, origin, now) {
                Ok(entry) => {
                    push.entries.push(entry);
                    kind.into_iter().for_each(|kind| stored.add(kind));
                    of_kubelets.extend(of_kubelet);
                }
                Err(reason) => rejected.push(RejectedRecord { sequence: number, reason }),
            }
        }
        if let Some(caller) = caller {
            let bytes = push.entries.iter().map(|entry| entry.body.len() as u64).sum();
            let allowed = self.rates.spend(&node, bytes, Instant::now());
            allowed.map_err(|status| caller.refuse(Reason::Rate, status))?;
        }
        if !rejected.is_empty() {
            tracing::error!(node, count = rejected.len(), reason = rejected[0].reason, "Refused records for good");
            let gap = gap_of(&rejected, &node, now);
            // Readers get it before what follows the records that it stands for.
            let place = push.entries.partition_point(|entry| entry.sequence < gap.sequence);
            push.entries.insert(place, gap);
        }
        let acknowledged = self.ledger.append(push).await.map_err(|error| unavailable(error.to_string()))?;
        if acknowledged < after {
            return Err(Status::aborted(
                "this ledger lacks what comes before these records; ask again where to continue",
            ));
        }
        self.tally.add(&stored);
        for fact in of_kubelets {
            let _without_reader = self.recorded.send(fact);
        }
        let acknowledged_sequence = acknowledged.unsigned_abs();
        self.nodes.acknowledged(&node, acknowledged_sequence);
        Ok(PushDiagnosesResponse { acknowledged_sequence, rejected })
    }
}

/// What readers get in the place of records that are refused. The same push again gives the same entry, which is then
/// not stored again.
fn gap_of(rejected: &[RejectedRecord], node: &str, now: i64) -> Entry {
    let gap = gap::of_rejected(rejected, node, now);
    let first = rejected.first().and_then(|record| check::sequence(record.sequence).ok());
    Entry { sequence: first.unwrap_or(0), identity: None, body: gap.encode_to_vec() }
}
