//! `coroner.v1.NodeReportService`.

use std::{sync::Arc, time::Duration};

use coroner_proto::v1::{ReportNodeRequest, ReportNodeResponse, node_report_service_server::NodeReportService};
use jiff::Timestamp;
use tonic::{Request, Response, Status, async_trait};

use super::{addresses, bus::Bus, hub, hub::Hub, report::bounded};
use crate::{
    auth::{Caller, Peer, Reason},
    nodes::Nodes,
    unavailable::{busy, unavailable},
};

/// When a node that reports too often may report again.
const AGAIN: Duration = Duration::from_secs(5);

/// Takes what agents report of their nodes.
#[derive(Clone, Debug)]
pub struct Service {
    hub: Arc<Hub>,
    nodes: Arc<Nodes>,
    /// To the other aggregators; none where there is one.
    bus: Option<Bus>,
}

impl Service {
    /// Passes reports to the hub, and shows them as the status of nodes.
    pub fn new(hub: Arc<Hub>, nodes: Arc<Nodes>, bus: Option<Bus>) -> Self {
        Self { hub, nodes, bus }
    }
}

#[async_trait]
impl NodeReportService for Service {
    async fn report_node(&self, request: Request<ReportNodeRequest>) -> Result<Response<ReportNodeResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let from = request.extensions().get::<Peer>().and_then(Peer::ip);
        let ReportNodeRequest { node, report, probe_results } = request.into_inner();
        caller.may_push_for(&node)?;
        if node.is_empty() || node.len() > 253 || node.starts_with('_') {
            return Err(Status::invalid_argument("node must be the name of a node"));
        }
        if !self.hub.may_report(&node) {
            let status = busy(format!("node {node} reports more often than three times a second"), AGAIN);
            return Err(caller.refuse(Reason::Rate, status));
        }
        let report = report.map(|report| {
            let mut report = bounded(report);
            let agent = addresses::agent(&report.health_address, from);
            report.health_address = agent.map(|agent| agent.to_string()).unwrap_or_default();
            // Leases are watched here, once for all nodes.
            report.lease_age = self.hub.lease_age(&node);
            report
        });
        if let Some(report) = &report {
            let shown = self.nodes.report(&node, Timestamp::now(), report.clone());
            shown.map_err(|full| unavailable(full.to_string()))?;
        }
        if let Some(bus) = &self.bus
            && !self.hub.decides()
        {
            let request = ReportNodeRequest { node, report, probe_results };
            let answer = bus.pass_on(&request).await;
            return Ok(Response::new(answer.unwrap_or_else(|| hub::response(Vec::new()))));
        }
        let answer = self.hub.report(&node, report.as_ref(), probe_results);
        Ok(Response::new(answer.unwrap_or_else(|| hub::response(Vec::new()))))
    }
}
