//! One node: what its agent reports and how well it sees, and what happened there.

use axum::{
    Extension,
    extract::{Path, State},
    response::Response,
};
use coroner_diagnosis::{localized, messages::Message};
use coroner_proto::{
    json,
    v1::{
        Daemon, DaemonState, Diagnosis, DiagnosisFilter, ListDiagnosesRequest, ListDiagnosesResponse, NodeReport,
        NodeStatus, SourceHealth, SubjectKind,
    },
};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde_json::json;
use tonic::Status;

use super::{
    Shared,
    answer::{self, Refused},
    find::{self, Found},
    layout::Chrome,
    messages::texts,
    nodes, overview, parts, pressure,
    timeline::{Mark, Span, Timeline, axis},
    view::{Form, View},
    words,
};
use crate::{auth::Caller, nodes::PressurePoint};

/// How far back is looked.
const DAYS: i64 = 7;
/// Diagnoses that are listed.
const LISTED: usize = 200;
/// Gaps that are looked through.
const MAX_GAPS: usize = 1_000;
/// Verdicts about the node, and diagnoses of pods under one of them, that are listed.
const VERDICTS: usize = 12;
const PODS: usize = 50;
/// How long after an event of the node what happens to pods may follow from it.
const AFTERMATH: SignedDuration = SignedDuration::from_mins(5);

pub(super) async fn show(
    State(sources): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    view: View,
) -> Result<Response, Refused> {
    let reader = caller.reader()?;
    let sees_nodes = reader.sees("").await?;
    let status = sources.status.get(sees_nodes).await?;
    let status = status.nodes.into_iter().find(|node| node.node == name);
    let start = view.now.checked_sub(SignedDuration::from_hours(24 * DAYS)).unwrap_or(Timestamp::UNIX_EPOCH);
    let request = ListDiagnosesRequest {
        filter: Some(DiagnosisFilter { nodes: vec![name.clone()], ..DiagnosisFilter::default() }),
        start_time: Some(find::stamp(start)),
        page_size: i32::try_from(LISTED).unwrap_or(i32::MAX),
        read_mask: (view.form == Form::Html).then(|| find::row_mask(&[])),
        ..ListDiagnosesRequest::default()
    };
    let found = find::list(&sources, &reader, request).await?;
    if status.is_none() && found.diagnoses.is_empty() {
        return Err(Status::not_found("nothing is known of this node").into());
    }
    let pressure = if sees_nodes { sources.status.nodes.pressure(&name) } else { Vec::new() };
    if view.form != Form::Html {
        return Ok(as_json(status.as_ref(), &pressure, found)?);
    }
    let mut gaps = sources.queries.gaps(find::stamp(start), MAX_GAPS, &reader).await?;
    gaps.retain(|gap| gap.node == name);
    let gaps = gaps.iter().filter_map(|gap| overview::span_of(gap, &view)).collect();
    let body = draw(&name, status.as_ref(), &pressure, &found, gaps, start, &view);
    Ok(answer::page(&view, &Chrome::titled(&name), &body))
}

fn as_json(status: Option<&NodeStatus>, pressure: &[PressurePoint], found: Found) -> Result<Response, Status> {
    let Found { diagnoses, next: next_page_token, unreadable: unreadable_count } = found;
    let list = ListDiagnosesResponse { diagnoses, next_page_token, unreadable_count };
    let written = |_| Status::internal("what is known of the node cannot be written as JSON");
    let status = status.map(json::to_value).transpose().map_err(written)?;
    Ok(answer::json_of(&json!({
        "status": status, "pressure": pressure::as_json(pressure), "list": json::to_value(&list).map_err(written)?
    })))
}

fn draw(
    name: &str,
    status: Option<&NodeStatus>,
    pressure: &[PressurePoint],
    found: &Found,
    gaps: Vec<Span>,
    start: Timestamp,
    view: &View,
) -> Markup {
    let label = |message| view.text(&message);
    html! {
        header.subject {
            p.place { span { (label(texts::node())) } }
            h1 { (name) }
            @if let Some(status) = status { (state(status, view)) }
        }
        (verdicts(found, view))
        @if let Some(report) = status.and_then(|status| status.report.as_ref()) { (draw_report(report, view)) }
        (pressure::draw(pressure, view))
        section {
            h2 { (label(texts::last_days(DAYS))) }
            (timeline(found, gaps, start, view).draw(&label(texts::timeline_label(found.diagnoses.len()))))
        }
        @if let Some(status) = status { (sources(status, view)) }
        section.deaths {
            h2 { (label(texts::diagnoses())) }
            @if !found.next.is_empty() { p.problem { (label(texts::only_newest(found.diagnoses.len()))) } }
            @if found.diagnoses.is_empty() { p.none { (label(texts::none())) } }
            (parts::list(&found.diagnoses, view))
        }
    }
}

fn is_of_node(diagnosis: &Diagnosis) -> bool {
    diagnosis.subject.as_ref().is_some_and(|subject| subject.kind() == SubjectKind::Node)
}

/// What was found about the node itself, and what happened to its pods meanwhile.
fn verdicts(found: &Found, view: &View) -> Markup {
    let verdicts: Vec<_> = found.diagnoses.iter().filter(|diagnosis| is_of_node(diagnosis)).take(VERDICTS).collect();
    html! {
        @if !verdicts.is_empty() {
            section.verdicts {
                h2 { (view.text(&texts::about_the_node())) }
                @for verdict in verdicts {
                    @let pods = meanwhile(verdict, &found.diagnoses, view.now);
                    (parts::rows([verdict], view))
                    p.until {
                        @match words::time(verdict.resolve_time.as_ref()) {
                            Some(end) => span.resolved { (view.text(&texts::resolved(words::moment(end)))) },
                            None if words::is_state(verdict) => span.problem { (view.text(&texts::not_resolved())) },
                            None => {},
                        }
                    }
                    @if !pods.is_empty() {
                        details.pods open[pods.len() <= 5] {
                            summary { (view.text(&texts::pods_meanwhile(pods.len()))) }
                            (parts::rows(pods.into_iter().take(PODS), view))
                        }
                    }
                }
            }
        }
    }
}

/// What happened to pods of a node while something was wrong with it, or right after an event.
fn meanwhile<'a>(verdict: &Diagnosis, diagnoses: &'a [Diagnosis], now: Timestamp) -> Vec<&'a Diagnosis> {
    let Some(start) = words::event(verdict) else { return Vec::new() };
    let end = match words::time(verdict.resolve_time.as_ref()) {
        Some(end) => end,
        None if words::is_state(verdict) => now,
        None => start.checked_add(AFTERMATH).unwrap_or(now),
    };
    let during = |diagnosis: &Diagnosis| words::event(diagnosis).is_some_and(|time| start <= time && time <= end);
    diagnoses.iter().filter(|diagnosis| !is_of_node(diagnosis) && during(diagnosis)).collect()
}

fn state(status: &NodeStatus, view: &View) -> Markup {
    html! {
        p.verdict {
            @match (nodes::silent_since(status, view.now), words::time(status.last_seen_time.as_ref())) {
                (Some(last), _) => {
                    span.badge.critical { (view.text(&texts::node_silent(words::span(view.now.duration_since(last))))) }
                }
                (None, Some(last)) => {
                    span.badge.ok { (view.text(&texts::reporting())) }
                    span { (view.text(&texts::last_report())) " " (parts::age(last, view)) }
                }
                (None, None) => {}
            }
            span { (view.text(&texts::records(status.record_count))) }
            @if status.removed_count > 0 { span.problem { (view.text(&texts::removed(status.removed_count))) } }
        }
    }
}

fn timeline(found: &Found, gaps: Vec<Span>, start: Timestamp, view: &View) -> Timeline {
    let (start, end) = axis(start, view.now, found.looked_to());
    let mut timeline = Timeline { start, end, marks: Vec::new(), gaps, bands: Vec::new() };
    for diagnosis in &found.diagnoses {
        let Some(time) = words::event(diagnosis) else { continue };
        let summary = words::summary(diagnosis, view.language);
        let subject = diagnosis.subject.clone().unwrap_or_default();
        let title = format!("{}  {summary}\n{}", words::moment(time), words::subject(&subject));
        if is_of_node(diagnosis) && (words::is_state(diagnosis) || diagnosis.resolve_time.is_some()) {
            let end = words::time(diagnosis.resolve_time.as_ref()).unwrap_or(view.now);
            timeline.bands.push(Span { start: time, end: end.max(time), title: title.clone() });
        }
        let class = words::class(diagnosis.severity());
        timeline.marks.push(Mark { time, class, link: words::of_diagnosis(&diagnosis.uid), title });
    }
    timeline
}

/// What the agent last reported of its node.
fn draw_report(report: &NodeReport, view: &View) -> Markup {
    let label = |message: Message| view.text(&message);
    let span = |span: &Option<prost_types::Duration>| {
        let span = span.as_ref().map(|span| words::span(SignedDuration::new(span.seconds, span.nanos)));
        span.map(|span| view.text(&texts::duration(span))).unwrap_or_default()
    };
    let mut facts = vec![
        ("kubelet".to_owned(), daemon(report.kubelet.as_ref(), view)),
        (label(texts::runtime()), daemon(report.runtime.as_ref(), view)),
        (
            label(texts::api_server()),
            report.api_server.as_ref().map_or_else(String::new, |access| {
                if access.unreachable_since_time.is_none() {
                    label(texts::reachable())
                } else {
                    localized::api_server_error(access, view.language)
                }
            }),
        ),
        (label(texts::lease_age()), span(&report.lease_age)),
        (label(texts::uptime()), span(&report.uptime)),
        (label(texts::containers()), report.running_container_count.to_string()),
        (label(texts::boot()), report.boot_id.clone()),
        (label(texts::agent()), report.agent_version.clone()),
    ];
    if let Some(pressure) = &report.pressure {
        if pressure.memory_total_bytes > 0 {
            let memory = texts::bytes_of(pressure.memory_available_bytes, pressure.memory_total_bytes);
            facts.push((label(texts::memory_available()), label(memory)));
        }
        for disk in &pressure.file_systems {
            facts.push((disk.path.clone(), label(texts::bytes_of(disk.available_bytes, disk.size_bytes))));
        }
    }
    html! {
        section.facts {
            h2 { (label(texts::report())) }
            dl {
                @for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
                    div { dt { (name) } dd { (value) } }
                }
            }
        }
        (findings(report, view))
    }
}

/// What the agent reports beside numbers: faults of the kernel, blocked processes, and what it could not check.
fn findings(report: &NodeReport, view: &View) -> Markup {
    let label = |message: Message| view.text(&message);
    let NodeReport { kernel_faults, blocked_processes, unobserved_checks, .. } = report;
    html! {
        @if !kernel_faults.is_empty() || !blocked_processes.is_empty() || !unobserved_checks.is_empty() {
            section.statements {
                h2 { (label(texts::findings())) }
                ul {
                    @for fault in kernel_faults {
                        li {
                            p.source {
                                span.tag { (label(texts::kernel_fault())) } span { (fault.kind) }
                                @if let Some(time) = words::time(fault.time.as_ref()) { (parts::moment(time)) }
                                @if fault.count > 1 { span { "× " (fault.count) } }
                            }
                            p.quote { (fault.line) }
                        }
                    }
                    @for process in blocked_processes {
                        li {
                            p.source { span.tag { (label(texts::blocked_process())) } span { "PID " (process.pid) } }
                            p.quote { (process.name) " · " (process.wait_channel) }
                        }
                    }
                    @for check in unobserved_checks {
                        li {
                            p.source { span.tag { (label(texts::unobserved())) } span { (check.check) } }
                            p.quote { (localized::check_reason(check, view.language)) }
                        }
                    }
                }
            }
        }
    }
}

fn daemon(daemon: Option<&Daemon>, view: &View) -> String {
    let Some(daemon) = daemon else { return String::new() };
    let state = match daemon.state() {
        DaemonState::Unspecified => return String::new(),
        DaemonState::Running => texts::daemon_running(),
        DaemonState::Down => texts::daemon_down(),
        DaemonState::Hung => texts::daemon_hung(),
        DaemonState::Unhealthy => texts::daemon_unhealthy(),
        DaemonState::Restarting => texts::daemon_restarting(),
    };
    let (state, error) = (view.text(&state), localized::daemon_error(daemon, view.language));
    // A state that is followed by its reason ends with a colon.
    if error.is_empty() { state.trim_end_matches([':', '：']).to_owned() } else { format!("{state} {error}") }
}

fn sources(status: &NodeStatus, view: &View) -> Markup {
    let label = |message: Message| view.text(&message);
    let health = |health: SourceHealth| match health {
        SourceHealth::Unspecified => (texts::health_unknown(), "unknown"),
        SourceHealth::Ok => (texts::health_ok(), "ok"),
        SourceHealth::Degraded => (texts::health_degraded(), "warning"),
        SourceHealth::Absent => (texts::health_absent(), "info"),
    };
    html! {
        @if !status.sources.is_empty() {
            section {
                h2 { (label(texts::sources())) }
                div.scroll tabindex="0" {
                    table {
                        thead { tr {
                            th scope="col" { (label(texts::source())) }
                            th scope="col" { (label(texts::health())) }
                            th scope="col" { (label(texts::since_when())) }
                            th.number scope="col" { (label(texts::losses())) }
                            th scope="col" { (label(texts::reason())) }
                        } }
                        tbody {
                            @for source in &status.sources {
                                @let (text, class) = health(source.health());
                                tr {
                                    td { code { (source.source) } }
                                    td { span class={ "dot " (class) } {} (label(text)) }
                                    td {
                                        @if let Some(time) = words::time(source.since_time.as_ref()) {
                                            (parts::moment(time))
                                        }
                                    }
                                    td.number { (source.gap_count) }
                                    td { (localized::source_reason(source, view.language)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
