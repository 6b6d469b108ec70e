//! `coroner status`: which nodes report, and how well each of their sources sees.

use coroner_proto::v1::{
    ExporterState, ExporterStatus, GetStatusRequest, GetStatusResponse, Refusals, SourceHealth, TaskStatus,
};
use jiff::Timestamp;

use crate::{
    args::AggregatorArgs,
    client, data,
    exit::{Failure, Outcome},
    out::Out,
    page::{Look, Span, span},
    table::Table,
    words,
};

pub(crate) async fn run(aggregator: &AggregatorArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let mut client = client::connect(aggregator).await?;
    let answer = client.get_status(client::request(GetStatusRequest {})).await;
    let status = answer.map_err(|status| client::refused(aggregator, &status))?.into_inner();
    if let Some(text) = data::render(out.format, &status)? {
        out.write(&text)?;
        return Ok(Outcome::Answered);
    }
    let now = Timestamp::now();
    let oldest = words::time(status.oldest_time.as_ref())
        .map_or_else(String::new, |oldest| format!(", the oldest {} ago", words::age(oldest, now)));
    let waiting = match status.waiting_count {
        0 => String::new(),
        waiting => format!("; {waiting} more are stored and about to be filed"),
    };
    out.tell(&format!("Aggregator {}: {} records{oldest}{waiting}.", status.version, status.record_count));
    if status.nodes.is_empty() {
        out.tell("No agent has reported yet.");
    } else {
        let text = sources(&status, now).render(out);
        out.write(&text)?;
    }
    if !status.exporters.is_empty() {
        let text = exporters(&status).render(out);
        out.write(&format!("\n{text}"))?;
    }
    for task in &status.tasks {
        if let Some(line) = down(task) {
            out.tell(&line);
        }
    }
    for Refusals { reason, count } in &status.refusals {
        out.tell(&format!("Refused {count} times: {reason}."));
    }
    Ok(Outcome::Answered)
}

/// A line for a task of the aggregator that does not run.
fn down(task: &TaskStatus) -> Option<String> {
    let TaskStatus { name, is_running, reason, restart_count } = task;
    (!is_running).then(|| format!("Task {name} is down, restarted {restart_count} times so far: {reason}."))
}

/// A row a source; a node without any has one row of its own.
fn sources(status: &GetStatusResponse, now: Timestamp) -> Table {
    let plain = |text: &str| span(Look::Plain, text);
    let age = |time: Option<&prost_types::Timestamp>| {
        plain(&words::time(time).map_or_else(String::new, |time| words::age(time, now)))
    };
    let mut table = Table::new(vec!["NODE", "HEARD", "SOURCE", "HEALTH", "SINCE", "GAPS", "REASON"]);
    for node in &status.nodes {
        let heard = [span(Look::Strong, &node.node), age(node.last_heard_time.as_ref())];
        if node.sources.is_empty() {
            table.push(heard.iter().cloned().chain(std::iter::repeat_n(plain(""), 5)).collect());
        }
        for source in &node.sources {
            let told = [
                plain(&source.source),
                health(source.health()),
                age(source.since_time.as_ref()),
                plain(&source.gap_count.to_string()),
                plain(&source.reason),
            ];
            table.push(heard.iter().cloned().chain(told).collect());
        }
    }
    table
}

/// A row an exporter.
fn exporters(status: &GetStatusResponse) -> Table {
    let plain = |text: &str| span(Look::Plain, text);
    let mut table =
        Table::new(vec!["EXPORTER", "STATE", "SENT", "TO SEND", "RETRIES", "DEAD LETTERS", "LOST", "TO", "REASON"]);
    for exporter in &status.exporters {
        let state = match exporter.state() {
            ExporterState::Unspecified => plain("waiting"),
            ExporterState::Delivering => span(Look::Good, "delivering"),
            ExporterState::Retrying => span(Look::Notice, "retrying"),
            ExporterState::Holding => span(Look::Notice, "holding"),
            ExporterState::Failed => span(Look::Notice, "failed"),
        };
        let ExporterStatus { sent_count, lag_count, retry_count, dead_letter_count, lost_count, .. } = exporter;
        let counts = [sent_count, lag_count, retry_count, dead_letter_count, lost_count];
        let counts = counts.map(|count| plain(&count.to_string()));
        let named = [span(Look::Strong, &exporter.name), state];
        table.push(named.into_iter().chain(counts).chain([plain(&exporter.url), plain(&exporter.reason)]).collect());
    }
    table
}

/// The health in one word.
pub(crate) fn health(health: SourceHealth) -> Span {
    match health {
        SourceHealth::Unspecified => span(Look::Plain, "unknown"),
        SourceHealth::Ok => span(Look::Good, "ok"),
        SourceHealth::Degraded => span(Look::Notice, "degraded"),
        SourceHealth::Absent => span(Look::Notice, "absent"),
    }
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{NodeStatus, SourceStatus};

    use super::*;
    use crate::testing::{self, golden};

    fn status(text: &str) -> GetStatusResponse {
        let source = |source: &str, health: SourceHealth, reason: &str| SourceStatus {
            source: source.into(),
            health: health.into(),
            reason: reason.into(),
            since_time: Some(prost_types::Timestamp { seconds: 1_795_168_000, nanos: 0 }),
            gap_count: 2,
        };
        let nodes = vec![
            NodeStatus {
                node: format!("worker-1{text}"),
                sources: vec![
                    source("kernel_log", SourceHealth::Ok, ""),
                    source(&format!("cri{text}"), SourceHealth::Absent, &format!("no socket{text}")),
                ],
                ..NodeStatus::default()
            },
            NodeStatus { node: "worker-2".into(), ..NodeStatus::default() },
        ];
        GetStatusResponse { nodes, ..GetStatusResponse::default() }
    }

    #[test]
    fn every_source_of_every_node_has_its_row() {
        golden("status.txt", &sources(&status(""), testing::now()).render(&testing::out(120)));
    }

    #[test]
    fn every_exporter_has_its_row() {
        let exporter = |name: &str, state: ExporterState| ExporterStatus {
            name: name.into(),
            url: "otlp+https://collector:4317".into(),
            state: state.into(),
            sent_count: 1200,
            dead_letter_count: 1,
            ..ExporterStatus::default()
        };
        let held =
            ExporterStatus { reason: "Unauthenticated: no token".into(), ..exporter("second", ExporterState::Holding) };
        let exporters = vec![exporter("siem", ExporterState::Delivering), held];
        let status = GetStatusResponse { exporters, ..GetStatusResponse::default() };
        golden("status-exporters.txt", &super::exporters(&status).render(&testing::out(120)));
    }

    #[test]
    fn a_task_that_is_down_has_its_line() {
        let task = |is_running, reason: &str| TaskStatus {
            name: "cluster".into(),
            is_running,
            reason: reason.into(),
            restart_count: 2,
        };
        assert_eq!(down(&task(true, "")), None);
        let line = down(&task(false, "it panicked: a fault"));
        assert_eq!(line.unwrap(), "Task cluster is down, restarted 2 times so far: it panicked: a fault.");
    }

    #[test]
    fn hostile_names_and_reasons_stay_in_their_row() {
        for text in testing::HOSTILE {
            let text = sources(&status(text), testing::now()).render(&testing::out(120));
            testing::assert_harmless(&text);
            assert_eq!(text.lines().count(), 4, "{text}");
        }
    }
}
