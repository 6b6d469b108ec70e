//! `coroner status`: which nodes report, and how well each of their sources sees.

use coroner_diagnosis::{
    localized,
    messages::{Language, Message},
};
use coroner_proto::v1::{
    CertificateStatus, ExporterState, ExporterStatus, GetStatusRequest, GetStatusResponse, NodeStatus, Refusals,
    SourceHealth, TaskStatus,
};
use jiff::Timestamp;

use crate::{
    args::{AggregatorArgs, Format},
    client, data,
    exit::{Failure, Outcome},
    labels,
    messages::{command, notes, text},
    out::Out,
    page::{Look, Span, span},
    table::Table,
};

pub(crate) async fn run(aggregator: &AggregatorArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let mut client = client::connect(aggregator).await?;
    let answer = client.get_status(client::request(GetStatusRequest {})).await;
    let status = answer.map_err(|status| client::refused(aggregator, &status))?.into_inner();
    if out.format == Some(Format::Name) {
        out.write(&status.nodes.iter().map(|node| data::name(&node.node)).collect::<String>())?;
        return Ok(Outcome::Answered);
    }
    if let Some(text) = data::render(out.format, &status)? {
        out.write(&text)?;
        return Ok(Outcome::Answered);
    }
    let now = Timestamp::now();
    out.note(&match labels::time(status.oldest_time.as_ref()) {
        Some(oldest) => {
            command::status_records_since(&status.version, status.record_count, labels::elapsed(oldest, now))
        }
        None => command::status_records(&status.version, status.record_count),
    });
    if status.waiting_count > 0 {
        out.note(&notes::ledger_waits(status.waiting_count));
    }
    if status.nodes.is_empty() {
        out.note(&command::status_no_agent());
    } else {
        let text = sources(&status, now, out.reader.language).render(out);
        out.write(&text)?;
    }
    if !status.exporters.is_empty() {
        let text = exporters(&status, out.reader.language).render(out);
        let blank = if status.nodes.is_empty() { "" } else { "\n" };
        out.write(&format!("{blank}{text}"))?;
    }
    for task in &status.tasks {
        if let Some(message) = down(task, out.reader.language) {
            out.note(&message);
        }
    }
    for node in &status.nodes {
        if let Some(message) = removed(node) {
            out.note(&message);
        }
    }
    for certificate in &status.certificates {
        if let Some(message) = expiry(certificate, now) {
            out.note(&message);
        }
    }
    for Refusals { reason, count } in &status.refusals {
        out.note(&command::status_refused(*count, reason));
    }
    Ok(Outcome::Answered)
}

/// A line for a task of the aggregator that does not run.
fn down(task: &TaskStatus, language: Language) -> Option<Message> {
    let reason = localized::task_reason(task, language);
    (!task.is_running).then(|| command::status_task_down(&task.name, task.restart_count, reason))
}

/// A line for certificates of the aggregator.
fn expiry(certificate: &CertificateStatus, now: Timestamp) -> Option<Message> {
    let time = labels::time(certificate.expire_time.as_ref())?;
    let (purpose, day) = (&certificate.purpose, time.strftime("%Y-%m-%d").to_string());
    let days = u64::try_from((time.as_second() - now.as_second()).div_euclid(86_400));
    Some(match days {
        Ok(days) => command::status_certificate(purpose, day, days),
        Err(_) => command::status_certificate_expired(purpose, day),
    })
}

/// A line for a node of which retention has removed records before their time.
fn removed(node: &NodeStatus) -> Option<Message> {
    let NodeStatus { node, removed_count, record_count, .. } = node;
    (*removed_count > 0).then(|| command::status_removed(*removed_count, node, *record_count))
}

/// A row a source; a node without any has one row of its own.
fn sources(status: &GetStatusResponse, now: Timestamp, language: Language) -> Table {
    let plain = |text: &str| span(Look::Plain, text);
    let age = |time: Option<&prost_types::Timestamp>| {
        plain(&labels::time(time).map_or_else(String::new, |time| labels::age(time, now)))
    };
    let mut table = Table::new(vec![
        command::column_node(),
        command::column_last_seen(),
        command::column_source(),
        command::column_health(),
        command::column_since(),
        command::column_gaps(),
        command::column_reason(),
    ])
    .hiding(&[command::column_gaps, command::column_since]);
    for node in &status.nodes {
        let reported = [span(Look::Strong, &node.node), age(node.last_seen_time.as_ref())];
        if node.sources.is_empty() {
            table.push(reported.iter().cloned().chain(std::iter::repeat_n(plain(""), 5)).collect());
        }
        for source in &node.sources {
            let state = [
                plain(&source.source),
                health(source.health(), language),
                age(source.since_time.as_ref()),
                plain(&source.gap_count.to_string()),
                plain(&localized::source_reason(source, language)),
            ];
            table.push(reported.iter().cloned().chain(state).collect());
        }
    }
    table
}

/// A row an exporter.
fn exporters(status: &GetStatusResponse, language: Language) -> Table {
    let plain = |text: &str| span(Look::Plain, text);
    let mut table = Table::new(vec![
        command::column_exporter(),
        command::column_state(),
        command::column_sent(),
        command::column_to_send(),
        command::column_retries(),
        command::column_dead_letters(),
        command::column_lost(),
        command::column_to(),
        command::column_reason(),
    ])
    .hiding(&[command::column_lost, command::column_retries, command::column_dead_letters, command::column_to]);
    for exporter in &status.exporters {
        let state = match exporter.state() {
            ExporterState::Unspecified => plain(&text(&command::exporter_waiting(), language)),
            ExporterState::Delivering => span(Look::Good, &text(&command::exporter_delivering(), language)),
            ExporterState::Retrying => span(Look::Notice, &text(&command::exporter_retrying(), language)),
            ExporterState::Holding => span(Look::Notice, &text(&command::exporter_holding(), language)),
            ExporterState::Failed => span(Look::Notice, &text(&command::exporter_failed(), language)),
        };
        let ExporterStatus { sent_count, lag_count, retry_count, dead_letter_count, lost_count, .. } = exporter;
        let counts = [sent_count, lag_count, retry_count, dead_letter_count, lost_count];
        let counts = counts.map(|count| plain(&count.to_string()));
        let named = [span(Look::Strong, &exporter.name), state];
        table.push(
            named
                .into_iter()
                .chain(counts)
                .chain([plain(&exporter.url), plain(&localized::exporter_reason(exporter, language))])
                .collect(),
        );
    }
    table
}

/// The health in one word.
pub(crate) fn health(health: SourceHealth, language: Language) -> Span {
    let (look, label) = match health {
        SourceHealth::Unspecified => (Look::Plain, command::health_unknown()),
        SourceHealth::Ok => (Look::Good, command::health_ok()),
        SourceHealth::Degraded => (Look::Notice, command::health_degraded()),
        SourceHealth::Absent => (Look::Notice, command::health_absent()),
    };
    span(look, &text(&label, language))
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::messages::{health::health_no_socket, operation};
    use coroner_proto::v1::SourceStatus;

    use super::*;
    use crate::testing::{self, golden};

    fn status(text: &str) -> GetStatusResponse {
        let source = |source: &str, health: SourceHealth, reason: &str| SourceStatus {
            source: source.into(),
            health: health.into(),
            reason: reason.into(),
            since_time: Some(prost_types::Timestamp { seconds: 1_795_168_000, nanos: 0 }),
            gap_count: 2,
            reason_message: None,
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
        golden("status.txt", &sources(&status(""), testing::now(), Language::English).render(&testing::out(120)));
    }

    #[test]
    fn reasons_are_in_the_language_of_the_reader() {
        let mut status = status("");
        let source = &mut status.nodes[0].sources[1];
        source.reason_message = Some(health_no_socket("CRI"));
        let rendered =
            |language| sources(&status, testing::now(), language).render(&testing::out(120)).contains("套接字");
        assert!(rendered(Language::Chinese) && !rendered(Language::English));
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
        let held = ExporterStatus {
            reason: "gRPC status Unauthenticated: no token".into(),
            ..exporter("second", ExporterState::Holding)
        };
        let exporters = vec![exporter("siem", ExporterState::Delivering), held];
        let status = GetStatusResponse { exporters, ..GetStatusResponse::default() };
        golden("status-exporters.txt", &super::exporters(&status, Language::English).render(&testing::out(120)));
        let mut status = status;
        status.exporters[1].reason_message = Some(operation::export_grpc("Unauthenticated", "no token"));
        let chinese = super::exporters(&status, Language::Chinese).render(&testing::out(120));
        assert!(chinese.contains("gRPC 状态 Unauthenticated：no token"), "{chinese}");
    }

    #[test]
    fn certificates_have_a_line_with_the_days_that_are_left() {
        let line = |seconds: i64| {
            let expire_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
            let status = CertificateStatus { purpose: "server".into(), expire_time };
            super::text(&expiry(&status, testing::now()).unwrap(), Language::English)
        };
        let now = testing::now().as_second();
        assert!(line(now + 86_400 * 12 + 5).ends_with(", in 12 days."), "{}", line(now));
        assert!(line(now - 1).starts_with("The aggregator's certificate expired on 20"));
    }

    #[test]
    fn a_task_that_is_down_has_its_line_in_the_language_of_the_reader() {
        let message = operation::task_panicked("a fault");
        let task = |is_running, reason_message: Option<Message>| TaskStatus {
            name: "cluster".into(),
            is_running,
            reason: "it panicked: a fault".into(),
            restart_count: 2,
            reason_message,
        };
        assert_eq!(down(&task(true, None), Language::English), None);
        let line = |message, language| super::text(&down(&task(false, message), language).unwrap(), language);
        let english = "Task cluster is down, restarted 2 times so far: it panicked: a fault.";
        assert_eq!(line(Some(message.clone()), Language::English), english);
        assert_eq!(line(None, Language::English), english, "of an earlier version");
        let chinese = line(Some(message), Language::Chinese);
        assert_eq!(chinese, "任务 cluster 未运行，已重启 2 次：任务发生 panic：a fault。");
    }

    #[test]
    fn hostile_names_and_reasons_stay_in_their_row() {
        for text in testing::HOSTILE {
            let text = sources(&status(text), testing::now(), Language::English).render(&testing::out(120));
            testing::assert_harmless(&text);
            assert_eq!(text.lines().count(), 4, "{text}");
        }
    }
}
