//! What the views list, through the same queries as gRPC.

use coroner_diagnosis::catalogue::{self, Chapter};
use coroner_proto::v1::{Diagnosis, DiagnosisFilter, ListDiagnosesRequest};
use jiff::{SignedDuration, Timestamp};
use prost_types::FieldMask;
use tonic::Status;

use super::{Sources, question::Question, view::View, words};
use crate::{auth::Reader, time, token::PageToken};

/// Diagnoses on one page of the overview.
pub(super) const LISTED: usize = 200;
/// Pages that are looked through for a text in one request, and diagnoses of one.
const LOOKS: usize = 4;
const LOOK: i32 = 500;
/// What rows show.
const ROW: [&str; 14] = [
    "uid",
    "revision",
    "subject",
    "cause",
    "confidence",
    "severity",
    "fatal",
    "event_time",
    "observe_time",
    "resolve_time",
    "occurrence_count",
    "summary",
    "summary_message",
    "workloads",
];

/// The diagnoses of a page of the overview, and how far back it looked.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The diagnoses, the newest first.
    pub(super) diagnoses: Vec<Diagnosis>,
    /// Of the next page; empty where there is none.
    pub(super) next: String,
    /// Diagnoses that can no longer be read back.
    pub(super) unreadable: u32,
}

impl Found {
    /// Where looking ended, if there may be more behind it.
    pub(super) fn looked_to(&self) -> Option<Timestamp> {
        Timestamp::from_nanosecond(PageToken::time(&self.next)?.into()).ok()
    }
}

/// A time as the services take it.
pub(super) fn stamp(moment: Timestamp) -> prost_types::Timestamp {
    time::timestamp(i64::try_from(moment.as_nanosecond().max(0)).unwrap_or(i64::MAX))
}

/// Asks for what rows show of at most `limit` diagnoses.
pub(super) async fn rows(
    sources: &Sources,
    reader: &Reader,
    filter: DiagnosisFilter,
    (start, end): (Timestamp, Option<Timestamp>),
    limit: usize,
) -> Result<Found, Status> {
    let request = ListDiagnosesRequest {
        filter: Some(filter),
        start_time: Some(stamp(start)),
        end_time: end.map(stamp),
        page_size: i32::try_from(limit).unwrap_or(i32::MAX),
        read_mask: Some(row_mask(&[])),
        ..ListDiagnosesRequest::default()
    };
    list(sources, reader, request).await
}

/// A mask of the fields that rows show, and of these others.
pub(super) fn row_mask(others: &[&str]) -> FieldMask {
    FieldMask { paths: ROW.iter().chain(others).map(ToString::to_string).collect() }
}

/// Asks the query service for one page of a list.
pub(super) async fn list(sources: &Sources, reader: &Reader, request: ListDiagnosesRequest) -> Result<Found, Status> {
    let answer = sources.queries.list(request, reader).await?;
    Ok(Found { diagnoses: answer.diagnoses, next: answer.next_page_token, unreadable: answer.unreadable_count })
}

/// The answer to a question, in rows. For a text only so many diagnoses are looked through: then there is a next page,
/// with more of what was looked for or without.
pub(super) async fn answer(
    sources: &Sources,
    reader: &Reader,
    question: &Question,
    view: &View,
) -> Result<Found, Status> {
    let searches = !question.search.is_empty();
    let mut request = ListDiagnosesRequest {
        filter: Some(question.filter()),
        start_time: Some(stamp(question.start(view.now))),
        page_size: if searches { LOOK } else { i32::try_from(LISTED).unwrap_or(i32::MAX) },
        page_token: question.page.clone(),
        read_mask: Some(row_mask(&[])),
        ..ListDiagnosesRequest::default()
    };
    let mut found = Found::default();
    for _ in 0..if searches { LOOKS } else { 1 } {
        let page = list(sources, reader, request.clone()).await?;
        found.unreadable += page.unreadable;
        found.next = page.next;
        found.diagnoses.extend(page.diagnoses.into_iter().filter(|diagnosis| question.finds(diagnosis, view)));
        if found.next.is_empty() || found.diagnoses.len() >= LISTED {
            break;
        }
        request.page_token.clone_from(&found.next);
    }
    Ok(found)
}

/// States of nodes that last, and what happened to nodes just now.
pub(super) async fn of_nodes(sources: &Sources, reader: &Reader, now: Timestamp) -> Result<Vec<Diagnosis>, Status> {
    let causes = catalogue::rows().filter(|row| row.chapter == Chapter::Node).map(|row| row.cause.into()).collect();
    let filter = DiagnosisFilter { causes, ..DiagnosisFilter::default() };
    let before = |span: SignedDuration| now.checked_sub(span).unwrap_or(Timestamp::UNIX_EPOCH);
    let found = rows(sources, reader, filter, (before(SignedDuration::from_hours(24)), None), 100).await?;
    let just_now = before(SignedDuration::from_hours(1));
    let lasts = |diagnosis: &Diagnosis| {
        let is_state = words::is_state(diagnosis);
        diagnosis.resolve_time.is_none() && (is_state || words::event(diagnosis).is_some_and(|time| time >= just_now))
    };
    Ok(found.diagnoses.into_iter().filter(lasts).collect())
}
