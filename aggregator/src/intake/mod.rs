//! Intake: what agents push, checked, stored, and acknowledged only then.

pub mod check;
mod limiter;

use std::sync::Arc;

use coroner_proto::v1::{
    PushDiagnosesRequest, PushDiagnosesResponse, RejectedRecord, ingest_service_server::IngestService,
};
use jiff::Timestamp;
use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    auth::Caller,
    gap,
    ledger::{Entry, Ledger, Push},
    nodes::Nodes,
    unavailable::unavailable,
};

pub use self::limiter::{Limiter, MAX_PUSH_BYTES};

/// Records of one push.
pub const MAX_RECORDS: usize = 500;
/// The name under which this program itself pushes what its watch of the cluster finds. No node has it: it is no DNS name.
pub const CLUSTER_WATCH: &str = "_cluster";

/// `coroner.v1.IngestService`.
#[derive(Clone, Debug)]
pub struct Intake {
    ledger: Arc<Ledger>,
    nodes: Arc<Nodes>,
}

impl Intake {
    /// Intake into a ledger.
    pub fn new(ledger: Arc<Ledger>, nodes: Arc<Nodes>) -> Self {
        Self { ledger, nodes }
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
        caller.speaks_for(&request.node)?;
        if request.node == CLUSTER_WATCH {
            return Err(Status::invalid_argument("no node is called so"));
        }
        self.take_from(request, caller.node()).await.map(Response::new)
    }
}

impl Intake {
    /// What it stores into.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Stores what was pushed; on return it is durable.
    ///
    /// # Errors
    /// As the call's: what cannot be used at all, or not now.
    pub async fn take(&self, request: PushDiagnosesRequest) -> Result<PushDiagnosesResponse, Status> {
        self.take_from(request, None).await
    }

    /// The same from somebody whose records may be about this node alone, if one is given.
    async fn take_from(
        &self,
        request: PushDiagnosesRequest,
        own: Option<&str>,
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
        let mut push = Push { node: node.clone(), stream_id, status, after, ..Push::default() };
        let mut rejected = Vec::new();
        for record in records {
            let number = record.sequence;
            push.acknowledge = push.acknowledge.max(check::sequence(number).unwrap_or(0));
            match check::entry(record, own) {
                Ok(entry) => push.entries.push(entry),
                Err(reason) => rejected.push(RejectedRecord { sequence: number, reason }),
            }
        }
        if !rejected.is_empty() {
            tracing::error!(node, count = rejected.len(), reason = rejected[0].reason, "Refused records for good");
            push.entries.push(gap_of(&rejected, &node, now));
        }
        let acknowledged = self.ledger.append(push).await.map_err(|error| unavailable(error.to_string()))?;
        if acknowledged < after {
            return Err(Status::aborted(
                "this ledger lacks what comes before these records; ask again where to continue",
            ));
        }
        let acknowledged_sequence = acknowledged.unsigned_abs();
        self.nodes.acknowledged(&node, acknowledged_sequence);
        Ok(PushDiagnosesResponse { acknowledged_sequence, rejected })
    }
}

/// What readers get in the place of records that are refused. The same push again gives the same entry, which is then not stored again.
fn gap_of(rejected: &[RejectedRecord], node: &str, now: i64) -> Entry {
    let gap = gap::of_rejected(rejected, node, now);
    let first = rejected.first().and_then(|record| check::sequence(record.sequence).ok());
    Entry { sequence: first.unwrap_or(0), identity: None, body: gap.encode_to_vec() }
}
