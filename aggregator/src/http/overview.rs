//! The overview: nodes in trouble, deaths on a time axis, and a list of them by workload and cause.

use std::collections::BTreeMap;

use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use coroner_diagnosis::{
    catalogue::{self, Chapter},
    localized,
};
use coroner_proto::{
    json,
    v1::{Diagnosis, Gap, GetStatusResponse, ListDiagnosesRequest},
};
use jiff::Timestamp;
use maud::{Markup, html};
use tonic::Status;

use super::{
    EVENTS, Shared,
    answer::{self, Refused},
    find::{self, Found},
    layout::Chrome,
    messages::texts,
    nodes, parts,
    question::{Question, RANGES},
    timeline::{Mark, Span, Timeline, axis},
    view::{Form, View},
    words,
};
use crate::auth::Caller;

/// Gaps that are drawn.
const MAX_GAPS: usize = 200;

pub(super) async fn show(
    State(sources): State<Shared>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    view: View,
) -> Result<Response, Refused> {
    let question = Question::of(query.as_deref().unwrap_or_default())?;
    let reader = caller.reader()?;
    if view.form != Form::Html {
        return Ok(as_json(&sources, &reader, &question, &view).await?);
    }
    // First of all where the stream begins: what comes while the page is made, it brings.
    let token = sources.feed.now().await?;
    let sees_nodes = reader.sees("").await?;
    let start = question.start(view.now);
    let (found, gaps, troubles, status) = futures::try_join!(
        find::answer(&sources, &reader, &question, &view),
        sources.queries.gaps(find::stamp(start), MAX_GAPS, &reader),
        find::of_nodes(&sources, &reader, view.now),
        async { Ok(sources.status.get(sees_nodes).await?) },
    )?;
    let troubles = nodes::in_trouble(&status.nodes, &troubles, view.now);
    let title = view.text(&texts::overview());
    let body = html! {
        h1.hidden { (title) }
        (filters(&question, &status, &view))
        (nodes::pinned(&troubles, &view))
        (drawing(&question, &found, &gaps, &status, &view))
        (list(&question, &found, &view))
    };
    let events = question.address(EVENTS, &[("after", &token), ("lang", view.tag())]);
    Ok(answer::page(&view, &Chrome::titled(&title).live(&events), &body))
}

async fn as_json(
    sources: &super::Sources,
    reader: &crate::auth::Reader,
    question: &Question,
    view: &View,
) -> Result<Response, Status> {
    let request = ListDiagnosesRequest {
        filter: Some(question.filter()),
        start_time: Some(find::stamp(question.start(view.now))),
        page_token: question.page.clone(),
        page_size: 100,
        ..ListDiagnosesRequest::default()
    };
    let mut list = sources.queries.list(request, reader).await?;
    list.diagnoses.retain(|diagnosis| question.finds(diagnosis, view));
    let value = json::to_value(&list).map_err(|_| Status::internal("a stored diagnosis cannot be written as JSON"))?;
    Ok(answer::json_of(&value))
}

/// The causes of each part of the catalogue.
fn chapters() -> BTreeMap<Chapter, Vec<String>> {
    let mut chapters: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in catalogue::rows().filter(|row| row.chapter != Chapter::Contributing) {
        chapters.entry(row.chapter).or_default().push(words::cause(row.cause.into()));
    }
    chapters
}

fn filters(question: &Question, status: &GetStatusResponse, view: &View) -> Markup {
    let text = |message| view.text(&message);
    html! {
        form.filters #filters method="get" action="/" role="search" {
            input #search type="search" name="q" value=(question.search) placeholder=(text(texts::search()))
                aria-label=(text(texts::search())) aria-keyshortcuts="/";
            select name="since" aria-label=(text(texts::range())) {
                @for (range, span) in RANGES {
                    option value=(range) selected[range == question.range.0] { (text(texts::last(span))) }
                }
            }
            select name="severity" aria-label=(text(texts::severity())) {
                option value="" { (text(texts::severity_any())) }
                @for (name, severity) in words::SEVERITIES.into_iter().skip(1) {
                    option value=(name) selected[severity == question.severity] {
                        (text(texts::at_least(words::severity(severity))))
                    }
                }
            }
            select name="cause" aria-label=(text(texts::cause())) {
                option value="" { (text(texts::cause_any())) }
                @for (chapter, rows) in chapters() {
                    optgroup label=(localized::message(&chapter.title(), view.language)) {
                        @for name in rows { option value=(name) selected[name == question.cause] { (name) } }
                    }
                }
            }
            input type="text" name="ns" value=(question.namespace) placeholder=(text(texts::namespace()))
                aria-label=(text(texts::namespace())) autocomplete="off" spellcheck="false";
            input type="text" name="node" value=(question.node) placeholder=(text(texts::node()))
                aria-label=(text(texts::node())) list="node-names" autocomplete="off" spellcheck="false";
            @if status.nodes.len() <= 100 {
                datalist #node-names { @for node in &status.nodes { option value=(node.node) {} } }
            }
            button.primary type="submit" { (text(texts::filter())) }
            @if question.is_narrow() { a.clear href="/" { (text(texts::clear())) } }
        }
    }
}

fn drawing(question: &Question, found: &Found, gaps: &[Gap], status: &GetStatusResponse, view: &View) -> Markup {
    let asked = question.start(view.now);
    let (start, end) = axis(asked, view.now, found.looked_to());
    let label = |message| view.text(&message);
    let mark = |diagnosis: &Diagnosis| {
        let subject = words::subject(&diagnosis.subject.clone().unwrap_or_default());
        let time = words::event(diagnosis)?;
        let title = format!("{}  {}\n{subject}", words::moment(time), words::summary(diagnosis, view.language));
        let class = words::class(diagnosis.severity());
        Some(Mark { time, class, link: words::of_diagnosis(&diagnosis.uid), title })
    };
    let mut spans: Vec<Span> =
        gaps.iter().filter_map(|gap| span_of(gap, view)).filter(|span| span.end >= start).collect();
    // What is older than the oldest record is not known, whatever happened.
    if let Some(oldest) = words::time(status.oldest_time.as_ref()).filter(|oldest| *oldest > start) {
        spans.push(Span { start, end: oldest, title: label(texts::before_records()) });
    }
    let timeline = Timeline {
        start,
        end,
        marks: found.diagnoses.iter().filter_map(mark).collect(),
        gaps: spans,
        bands: Vec::new(),
    };
    html! {
        section #timeline {
            (timeline.draw(&label(texts::timeline_label(found.diagnoses.len()))))
            div.legend {
                @for (name, severity) in words::SEVERITIES.into_iter().rev() {
                    span { span class={ "dot " (name) } {} (label(words::severity(severity))) }
                }
                @if !timeline.gaps.is_empty() {
                    details.gaps {
                        summary { span.dot.gap {} (label(texts::gaps(timeline.gaps.len()))) }
                        ul { @for gap in timeline.gaps.iter().take(50) { li { (gap.title) } } }
                    }
                }
                @if found.looked_to().is_some() && asked < start {
                    span { (label(texts::axis_is_cut(words::moment(start)))) }
                }
            }
        }
    }
}

/// A loss, from when to when.
pub(super) fn span_of(gap: &Gap, view: &View) -> Option<Span> {
    let end = words::time(gap.end_time.as_ref()).or_else(|| words::time(gap.start_time.as_ref()))?;
    let start = words::time(gap.start_time.as_ref()).unwrap_or(end).min(end);
    Some(Span { start, end, title: gap_title(gap, start, end, view) })
}

fn gap_title(gap: &Gap, start: Timestamp, end: Timestamp, view: &View) -> String {
    let of = if gap.node.is_empty() { view.text(&texts::the_aggregator()) } else { gap.node.clone() };
    let what = localized::gap(gap, view.language);
    format!("{} – {}  {of} · {}  {what}", words::moment(start), words::clock(end, Some(start)), gap.source)
}

fn list(question: &Question, found: &Found, view: &View) -> Markup {
    let label = |message| view.text(&message);
    html! {
        section.deaths aria-label=(label(texts::diagnoses())) {
            @if found.unreadable > 0 {
                p.problem { (label(texts::unreadable(found.unreadable))) }
            }
            (parts::list(&found.diagnoses, view))
            @if found.diagnoses.is_empty() {
                div.empty #empty {
                    @let nothing = if question.is_narrow() { texts::nothing_matches() } else { texts::nothing_ended() };
                    p.strong { (label(nothing)) }
                    @match found.looked_to() {
                        Some(moment) => p { (label(texts::nothing_since(words::moment(moment)))) },
                        None => p { (label(texts::nothing_in(question.range.1))) },
                    }
                }
            }
            @if !found.next.is_empty() {
                p.older { a href=(question.older(&found.next, view.now).address("/", &[])) { (label(texts::older())) } }
            }
        }
    }
}
