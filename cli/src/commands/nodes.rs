//! `coroner nodes`: what each node's agent reports of it, and what holds of it now.

use std::collections::BTreeMap;

use coroner_diagnosis::messages::Language;
use coroner_proto::v1::{
    Cause, Daemon, DaemonState, Diagnosis, DiagnosisFilter, GetStatusRequest, ListDiagnosesRequest, NodeStatus,
    SubjectKind,
};
use jiff::Timestamp;

use super::pages::Pages;
use crate::{
    args::{AggregatorArgs, Format},
    client, data,
    exit::{Failure, Outcome},
    labels,
    messages::{command, listed, text},
    out::Out,
    page::{Look, Span, span},
    table::Table,
};

/// The newest diagnoses about nodes that are read.
const MOST_READ: usize = 2_000;

pub(crate) async fn run(aggregator: &AggregatorArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let mut client = client::connect(aggregator).await?;
    let answer = client.get_status(client::request(GetStatusRequest {})).await;
    let mut status = answer.map_err(|status| client::refused(aggregator, &status))?.into_inner();
    // What the aggregator itself observes has no node.
    status.nodes.retain(|node| !node.node.starts_with('_'));
    if out.format == Some(Format::Name) {
        out.write(&status.nodes.iter().map(|node| data::name(&node.node)).collect::<String>())?;
        return Ok(Outcome::Answered);
    }
    if let Some(text) = data::render(out.format, &status)? {
        out.write(&text)?;
        return Ok(Outcome::Answered);
    }
    if status.nodes.is_empty() {
        out.note(&command::status_no_agent());
        return Ok(Outcome::Nothing);
    }
    let filter = DiagnosisFilter { subject_kinds: vec![SubjectKind::Node.into()], ..DiagnosisFilter::default() };
    let request = ListDiagnosesRequest { filter: Some(filter), ..ListDiagnosesRequest::default() };
    let mut pages = Pages::new(request, MOST_READ);
    let mut open: BTreeMap<String, Vec<Diagnosis>> = BTreeMap::new();
    while let Some(page) = pages.next(&mut client, aggregator).await? {
        for diagnosis in page.into_iter().filter(holds) {
            let name = diagnosis.subject.as_ref().map(|subject| subject.name.clone()).unwrap_or_default();
            open.entry(name).or_default().push(diagnosis);
        }
    }
    pages.note_unreadable(out);
    let now = Timestamp::now();
    let table = table(&status.nodes, &open, now, out.reader.language).render(out);
    out.write(&table)?;
    Ok(Outcome::Answered)
}

/// Whether it is a state that is not over.
fn holds(diagnosis: &Diagnosis) -> bool {
    let is_moment = matches!(diagnosis.cause(), Cause::NodeRebooted | Cause::NodeRemoved);
    diagnosis.resolve_time.is_none() && !diagnosis.fatal && !is_moment
}

fn table(nodes: &[NodeStatus], open: &BTreeMap<String, Vec<Diagnosis>>, now: Timestamp, language: Language) -> Table {
    let plain = |text: &str| span(Look::Plain, text);
    let mut table = Table::new(vec![
        command::column_node(),
        command::column_state(),
        command::column_report(),
        command::column_kubelet(),
        command::column_runtime(),
        command::column_uptime(),
        command::column_version(),
    ])
    .hiding(&[command::column_version, command::column_uptime]);
    for node in nodes {
        let report = node.report.as_ref();
        let states: Vec<String> = open.get(&node.node).into_iter().flatten().map(name).collect();
        let state = match states.as_slice() {
            [] if report.is_none() => plain(""),
            [] => span(Look::Good, &text(&command::health_ok(), language)),
            states => span(Look::Bad, &listed(states, language)),
        };
        let age = labels::time(node.report_time.as_ref()).map_or_else(String::new, |time| labels::age(time, now));
        let daemon = |daemon: Option<&Daemon>| state_of(daemon, language);
        let uptime = report
            .and_then(|report| report.uptime.as_ref())
            .and_then(|uptime| now.checked_sub(jiff::SignedDuration::from_secs(uptime.seconds.max(0))).ok());
        table.push(vec![
            span(Look::Strong, &node.node),
            state,
            plain(&age),
            daemon(report.and_then(|report| report.kubelet.as_ref())),
            daemon(report.and_then(|report| report.runtime.as_ref())),
            plain(&uptime.map_or_else(String::new, |booted| labels::age(booted, now))),
            plain(report.map_or("", |report| &report.agent_version)),
        ]);
    }
    table
}

fn name(diagnosis: &Diagnosis) -> String {
    diagnosis.cause().as_str_name().trim_start_matches("CAUSE_").to_owned()
}

/// The state of a daemon in one word.
fn state_of(daemon: Option<&Daemon>, language: Language) -> Span {
    let state = daemon.map_or(DaemonState::Unspecified, |daemon| daemon.state());
    let (look, message) = match state {
        DaemonState::Unspecified => return span(Look::Plain, ""),
        DaemonState::Running => (Look::Good, command::daemon_running()),
        DaemonState::Down => (Look::Bad, command::daemon_down()),
        DaemonState::Hung => (Look::Bad, command::daemon_hung()),
        DaemonState::Unhealthy => (Look::Notice, command::daemon_unhealthy()),
        DaemonState::Restarting => (Look::Bad, command::daemon_restarting()),
    };
    span(look, &text(&message, language))
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{NodeReport, Subject};

    use super::*;
    use crate::testing;

    #[test]
    fn a_node_has_one_row_with_what_holds_of_it() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let time = |ago: i64| Some(prost_types::Timestamp { seconds: 1_800_000_000 - ago, nanos: 0 });
        let daemon = |state: DaemonState| Some(Daemon { state: state.into(), ..Daemon::default() });
        let report = NodeReport {
            kubelet: daemon(DaemonState::Hung),
            runtime: daemon(DaemonState::Running),
            uptime: Some(prost_types::Duration { seconds: 7_200, nanos: 0 }),
            ..NodeReport::default()
        };
        let node = |name: &str, report| NodeStatus {
            node: name.into(),
            report_time: time(3),
            report,
            ..NodeStatus::default()
        };
        let subject = Some(Subject { name: "a".into(), kind: SubjectKind::Node.into(), ..Subject::default() });
        let hung = Diagnosis { cause: Cause::KubeletHung.into(), subject, ..Diagnosis::default() };
        let over = Diagnosis { resolve_time: time(1), ..hung.clone() };
        assert!(holds(&hung) && !holds(&over));
        let open = [("a".to_owned(), vec![hung])].into();
        let nodes = [node("a", Some(report.clone())), node("b", Some(report))];
        let text = table(&nodes, &open, now, Language::English).render(&testing::out(120));
        assert!(text.contains("KUBELET_HUNG") && text.contains("hung") && text.contains("2h"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }
}
