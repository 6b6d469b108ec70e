//! What agents report of their nodes: shown in the status, bounded, and stored nowhere.

use coroner_proto::v1::{
    GetStatusRequest, KernelFault, NodeReport, ReportNodeRequest, node_report_service_client::NodeReportServiceClient,
};
use tonic::Code;

use crate::support::{Aggregator, channel};

fn report(node: &str) -> ReportNodeRequest {
    let faults = vec![KernelFault { line: "\u{1b}[2J".repeat(100), ..KernelFault::default() }; 40];
    let report = NodeReport { sequence: 7, boot_id: "b".into(), kernel_faults: faults, ..NodeReport::default() };
    ReportNodeRequest { node: node.into(), report: Some(report), probe_results: Vec::new() }
}

#[tokio::test]
async fn a_report_is_in_the_status_of_its_node_and_gone_after_a_restart() {
    let aggregator = Aggregator::start().await;
    let mut reports = NodeReportServiceClient::new(channel(&aggregator.url()).await);
    let answer = reports.report_node(report("n1")).await.unwrap().into_inner();
    assert_eq!(answer.next_interval.unwrap().seconds, 5);
    assert!(answer.time.is_some() && answer.probe_targets.is_empty());
    let status = |mut feed: crate::support::Feed| async move {
        feed.get_status(GetStatusRequest::default()).await.unwrap().into_inner().nodes
    };
    let nodes = status(aggregator.feed().await).await;
    let [node] = nodes.as_slice() else { panic!("{nodes:?}") };
    let shown = node.report.as_ref().unwrap();
    assert!(node.node == "n1" && node.report_time.is_some() && shown.sequence == 7);
    assert!(shown.kernel_faults.len() == 16 && shown.kernel_faults[0].line.len() <= 256);
    assert!(!shown.kernel_faults[0].line.contains('\u{1b}'));
    let aggregator = aggregator.restart().await;
    assert!(status(aggregator.feed().await).await.is_empty());
}

#[tokio::test]
async fn what_is_no_node_and_what_comes_too_often_is_refused() {
    let aggregator = Aggregator::start().await;
    let mut reports = NodeReportServiceClient::new(channel(&aggregator.url()).await);
    for node in ["", "_cluster", "_nodes", &"x".repeat(254)] {
        assert_eq!(reports.report_node(report(node)).await.unwrap_err().code(), Code::InvalidArgument, "{node}");
    }
    let mut refused = None;
    for _ in 0..100 {
        refused = reports.report_node(report("n1")).await.err();
        if refused.is_some() {
            break;
        }
    }
    assert_eq!(refused.map(|status| status.code()), Some(Code::ResourceExhausted));
    assert!(reports.report_node(report("n2")).await.is_ok());
}
