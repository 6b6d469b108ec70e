//! Between aggregators that share a ledger: a report that reaches one that does not decide is passed on to the one that
//! does.

use std::{sync::Arc, time::Duration};

use async_nats::Client;
use coroner_proto::v1::{ReportNodeRequest, ReportNodeResponse};
use futures::StreamExt as _;
use prost::Message as _;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use crate::nodes::Nodes;

/// For the answer of the other aggregator; the agent waits meanwhile.
const DEADLINE: Duration = Duration::from_secs(2);
/// Bytes of a report that is passed on.
const MAX: usize = 64 << 10;

/// A subject of the NATS server that holds the ledger.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    subject: String,
}

impl Bus {
    /// For the aggregators of the stream of this name.
    pub fn new(client: Client, stream: &str) -> Self {
        Self { client, subject: format!("coroner.{stream}.node_reports") }
    }

    /// Has the aggregator that decides take a report; `None` if none answers.
    pub(super) async fn pass_on(&self, request: &ReportNodeRequest) -> Option<ReportNodeResponse> {
        let asked = self.client.request(self.subject.clone(), request.encode_to_vec().into());
        let answer = timeout(DEADLINE, asked).await.ok()?.ok()?;
        ReportNodeResponse::decode(answer.payload).ok()
    }

    /// Takes what others pass on, while this aggregator decides.
    pub(super) async fn serve(&self, hub: &Hub, nodes: &Arc<Nodes>, stop: &CancellationToken) {
        let Ok(mut passed) = self.client.subscribe(self.subject.clone()).await else { return };
        while let Some(Some(message)) = stop.run_until_cancelled(passed.next()).await {
            let Some(reply) = message.reply.filter(|_| message.payload.len() <= MAX) else { continue };
            let Ok(request) = ReportNodeRequest::decode(message.payload) else { continue };
            let ReportNodeRequest { node, report, probe_results } = request;
            if let Some(report) = &report {
                let _shown = nodes.report(&node, jiff::Timestamp::now(), report.clone());
            }
            if let Some(answer) = hub.report(&node, report.as_ref(), probe_results) {
                let _sent = self.client.publish(reply, answer.encode_to_vec().into()).await;
            }
        }
    }
}
