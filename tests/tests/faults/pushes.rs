//! An agent without an outbox: knows exactly what was acknowledged.

use anyhow::{Context as _, Result};
use coroner_proto::v1::ingest_service_client::IngestServiceClient;
use coroner_proto::v1::outbox_record::Record;
use coroner_proto::v1::{OutboxRecord, PushDiagnosesRequest};
use coroner_tests::flow::name;
use coroner_tests::until;
use tonic::Status;
use tonic::transport::Channel;

use crate::feeder::diagnosis;

/// Pushes of node 2, one record each.
pub(crate) struct Pushes {
    ingest: IngestServiceClient<Channel>,
    /// Up to this number.
    pub(crate) acknowledged: u64,
}

impl Pushes {
    pub(crate) fn of_node_2(ingest: IngestServiceClient<Channel>) -> Self {
        Self { ingest, acknowledged: 0 }
    }

    /// Pushes one more.
    pub(crate) async fn push(&mut self) -> Result<(), Status> {
        let number = self.acknowledged + 1;
        let record = OutboxRecord { sequence: number, record: Some(Record::Diagnosis(diagnosis(2, number))) };
        let (node, stream_id) = (name(2), "pushes".to_owned());
        let records = vec![record];
        let request = PushDiagnosesRequest { node, stream_id, records, ..PushDiagnosesRequest::default() };
        self.acknowledged = self.ingest.push_diagnoses(request).await?.into_inner().acknowledged_sequence;
        Ok(())
    }

    /// Pushes until one is refused; gives the refusal.
    pub(crate) async fn until_refused(&mut self) -> Result<Status> {
        let refused = until("a push is refused", async || {
            for _ in 0..200 {
                if let Err(refusal) = self.push().await {
                    return Ok(Some(refusal));
                }
            }
            Ok(None)
        });
        refused.await.context("pushing")
    }
}
