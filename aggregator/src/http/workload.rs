//! One workload: its deaths over thirty days by cause, and by the image and the revision that they happened to.

use std::collections::BTreeMap;

use axum::{
    Extension,
    extract::{Path, State},
    response::Response,
};
use coroner_proto::{
    json,
    v1::{Diagnosis, DiagnosisFilter, ListDiagnosesRequest, ListDiagnosesResponse},
};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use tonic::Status;

use super::{
    Shared,
    answer::{self, Refused},
    find::{self, Found},
    layout::Chrome,
    messages::texts,
    parts,
    view::{Form, View},
    words,
};
use crate::auth::Caller;

/// Days that are looked back to.
const DAYS: usize = 30;
/// Diagnoses of them that are counted.
const MOST: i32 = 1_000;
/// Diagnoses that are listed.
const LISTED: usize = 100;
/// Causes that have a colour of their own.
const COLOURS: usize = 6;
/// Pixels of the columns.
const HEIGHT: usize = 120;

pub(super) async fn show(
    State(sources): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path((namespace, kind, name)): Path<(String, String, String)>,
    view: View,
) -> Result<Response, Refused> {
    let reader = caller.reader()?;
    let filter = DiagnosisFilter {
        namespaces: vec![namespace.clone()],
        workloads: vec![format!("{kind}/{name}")],
        ..DiagnosisFilter::default()
    };
    let midnight = view.now.as_second().div_euclid(86_400) * 86_400;
    let start = Timestamp::from_second(midnight - 86_400 * (DAYS as i64 - 1)).unwrap_or(Timestamp::UNIX_EPOCH);
    let request = ListDiagnosesRequest {
        filter: Some(filter),
        start_time: Some(find::stamp(start)),
        page_size: MOST,
        read_mask: (view.form == Form::Html).then(|| find::row_mask(&["container"])),
        ..ListDiagnosesRequest::default()
    };
    let found = find::list(&sources, &reader, request).await?;
    if found.diagnoses.is_empty() {
        return Err(Status::not_found("nothing is recorded of this workload within thirty days").into());
    }
    if view.form != Form::Html {
        let Found { diagnoses, next: next_page_token, unreadable: unreadable_count } = found;
        let list = ListDiagnosesResponse { diagnoses, next_page_token, unreadable_count };
        let value = json::to_value(&list);
        let value = value.map_err(|_| Status::internal("a stored diagnosis cannot be written as JSON"))?;
        return Ok(answer::json_of(&value));
    }
    let title = format!("{namespace}/{kind} {name}");
    let body = draw(&namespace, &kind, &name, &found, start, &view);
    Ok(answer::page(&view, &Chrome::titled(&title), &body))
}

/// Diagnoses that have something in common.
#[derive(Debug, Default)]
struct Tally {
    count: usize,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Tally {
    fn add(&mut self, diagnosis: &Diagnosis) {
        let time = words::event(diagnosis);
        self.count += 1;
        self.first = self.first.into_iter().chain(time).min();
        self.last = self.last.into_iter().chain(time).max();
    }
}

fn tallied<K: Ord>(diagnoses: &[Diagnosis], key: impl Fn(&Diagnosis) -> K) -> Vec<(K, Tally)> {
    let mut tallies: BTreeMap<K, Tally> = BTreeMap::new();
    for diagnosis in diagnoses {
        tallies.entry(key(diagnosis)).or_default().add(diagnosis);
    }
    let mut tallies: Vec<_> = tallies.into_iter().collect();
    tallies.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.count));
    tallies
}

fn draw(namespace: &str, kind: &str, name: &str, found: &Found, start: Timestamp, view: &View) -> Markup {
    let label = |message| view.text(&message);
    let causes = tallied(&found.diagnoses, |diagnosis| diagnosis.cause);
    let image = |diagnosis: &Diagnosis| {
        diagnosis.container.as_ref().map_or_else(String::new, |container| container.image.clone())
    };
    let revision = |diagnosis: &Diagnosis| match &*diagnosis.workloads {
        [nearest, _above, ..] => nearest.name.clone(),
        _ => String::new(),
    };
    let versions = tallied(&found.diagnoses, |diagnosis| (diagnosis.cause, image(diagnosis), revision(diagnosis)));
    html! {
        header.subject {
            p.place { span { (namespace) } span.step {} span { (kind) } }
            h1 { (name) }
            p.verdict { (label(texts::over_thirty_days(found.diagnoses.len()))) }
            @if !found.next.is_empty() { p.problem { (label(texts::only_newest(found.diagnoses.len()))) } }
        }
        (columns(&found.diagnoses, &causes, start, view))
        section {
            h2 { (label(texts::by_cause())) }
            div.scroll tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { (label(texts::cause())) }
                        th scope="col" { (label(texts::image())) }
                        th scope="col" { (label(texts::revision_of_workload())) }
                        th.number scope="col" { (label(texts::count())) }
                        th scope="col" { (label(texts::first())) }
                        th scope="col" { (label(texts::last_time())) }
                    } }
                    tbody {
                        @for ((cause, image, revision), tally) in versions.iter().take(100) {
                            tr {
                                td {
                                    span class={ "dot " (colour(*cause, &causes)) } {}
                                    code { (words::cause(*cause)) }
                                }
                                td { @if !image.is_empty() { code { (image) } } }
                                td { (revision) }
                                td.number { (tally.count) }
                                td { @if let Some(time) = tally.first { (parts::moment(time)) } }
                                td { @if let Some(time) = tally.last { (parts::moment(time)) } }
                            }
                        }
                    }
                }
            }
        }
        section.deaths {
            h2 { (label(texts::diagnoses())) }
            (parts::list(found.diagnoses.get(..LISTED).unwrap_or(&found.diagnoses), view))
        }
    }
}

/// The class of a cause: its place among the most frequent.
fn colour(cause: i32, causes: &[(i32, Tally)]) -> String {
    let place = causes.iter().take(COLOURS).position(|(known, _)| *known == cause);
    place.map_or_else(|| "other".to_owned(), |place| format!("c{place}"))
}

/// A column a day, of its causes above one another.
fn columns(diagnoses: &[Diagnosis], causes: &[(i32, Tally)], start: Timestamp, view: &View) -> Markup {
    let mut days = vec![BTreeMap::<String, usize>::new(); DAYS];
    for diagnosis in diagnoses {
        let Some(time) = words::event(diagnosis) else { continue };
        let day = usize::try_from((time.as_second() - start.as_second()).div_euclid(86_400)).unwrap_or(0);
        if let Some(day) = days.get_mut(day) {
            *day.entry(colour(diagnosis.cause, causes)).or_default() += 1;
        }
    }
    let most = days.iter().map(|day| day.values().sum::<usize>()).max().unwrap_or(0).max(1);
    let day_of = |day: usize| {
        let time = start.checked_add(SignedDuration::from_hours(24 * i64::try_from(day).unwrap_or(0)));
        time.unwrap_or(start).strftime("%m-%d").to_string()
    };
    let place = |day: usize| super::chart::share(day * 100 + 8, DAYS * 100);
    html! {
        section {
            svg.columns-by-day width="100%" height=(HEIGHT + 24) role="img"
                aria-label=(view.text(&texts::columns_label(most))) {
                line.axis x1="0" x2="100%" y1=(HEIGHT) y2=(HEIGHT) {}
                @for (day, counts) in days.iter().enumerate() {
                    @let stacked = stack(counts, most);
                    @for (class, y, height, count) in stacked {
                        rect class={ "cause " (class) } x=(place(day)) y=(y)
                            width=(super::chart::share(84, DAYS * 100)) height=(height) {
                            title { (day_of(day)) ": " (count) }
                        }
                    }
                    @if day % 7 == 1 {
                        text x=(super::chart::share(day * 100 + 50, DAYS * 100)) y=(HEIGHT + 17)
                            text-anchor="middle" { (day_of(day)) }
                    }
                }
                text x="0" y="11" { (most) }
            }
            div.legend {
                @for (cause, tally) in causes.iter().take(COLOURS) {
                    span {
                        span class={ "dot " (colour(*cause, causes)) } {}
                        code { (words::cause(*cause)) } " " (tally.count)
                    }
                }
                @if causes.len() > COLOURS { span { span.dot.other {} (view.text(&texts::other_causes())) } }
            }
        }
    }
}

/// Class, place, height and count of each part of a column, from below.
fn stack(counts: &BTreeMap<String, usize>, most: usize) -> Vec<(&str, usize, usize, usize)> {
    let mut below = 0;
    let mut parts = Vec::with_capacity(counts.len());
    for (class, count) in counts {
        let (from, to) = (below * (HEIGHT - 16) / most, (below + count) * (HEIGHT - 16) / most);
        below += count;
        let height = (to - from).max(1);
        parts.push((&**class, HEIGHT - from - height, height, *count));
    }
    parts
}
