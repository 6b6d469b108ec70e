//! New records as server-sent events: the frames of `WatchDiagnoses`, drawn. The id of an event is the token of its
//! frame, so a browser that reconnects by itself resumes where it was and misses nothing.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use coroner_proto::v1::{
    WatchDiagnosesRequest, WatchDiagnosesResponse, watch_diagnoses_request::Start, watch_diagnoses_response::Frame,
};
use futures::StreamExt as _;
use url::form_urlencoded;

use super::{Shared, answer::Refused, find, overview, parts, question::Question, view::View};
use crate::auth::Caller;

/// When a browser tries again.
const RETRY: Duration = Duration::from_secs(3);
/// Diagnoses of one event.
const BATCH: i32 = 20;
/// The header by which a browser resumes.
const LAST_EVENT_ID: &str = "last-event-id";

pub(super) async fn stream(
    State(sources): State<Shared>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    view: View,
) -> Result<Response, Refused> {
    let query = query.unwrap_or_default();
    let question = Question::of(&query)?;
    let resumed = headers.get(LAST_EVENT_ID).and_then(|token| token.to_str().ok()).map(str::to_owned);
    let after = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "after");
    let token = resumed.or_else(|| after.map(|(_, token)| token.into_owned())).filter(|token| !token.is_empty());
    let request = WatchDiagnosesRequest {
        start: Some(token.map_or(Start::FromNow(true), Start::ResumeToken)),
        include: vec![question.filter()],
        read_mask: Some(find::row_mask(&[])),
        max_batch_size: BATCH,
        ..WatchDiagnosesRequest::default()
    };
    let frames = sources.feed.watch_lightly(request, &caller)?;
    // A stream that breaks off ends: the browser resumes it, and learns by the status if it must not.
    let frames = frames.take_while(|frame| std::future::ready(frame.is_ok())).filter_map(move |frame| {
        let event = frame.ok().map(|frame| Ok::<_, Infallible>(event(&frame, &question, &view)));
        std::future::ready(event)
    });
    let begin = futures::stream::once(async { Ok(Event::default().retry(RETRY).comment("")) });
    let mut answer = Sse::new(begin.chain(frames)).into_response();
    // A proxy must not collect events.
    answer.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(answer)
}

/// A frame as an event. Bookmarks, which come every 15 s at least, have only an id.
fn event(frame: &WatchDiagnosesResponse, question: &Question, view: &View) -> Event {
    let view = &View { now: jiff::Timestamp::now(), ..view.clone() };
    let event = Event::default().id(&frame.resume_token);
    match &frame.frame {
        Some(Frame::Batch(batch)) => {
            let wanted: Vec<_> =
                batch.diagnoses.iter().filter(|diagnosis| question.finds(diagnosis, view)).cloned().collect();
            // The list has the newest first, and each is put before those that are there.
            let groups: String = parts::each(&wanted).map(|group| group.draw(view).into_string()).collect();
            if groups.is_empty() { event } else { event.event("rows").data(groups) }
        }
        Some(Frame::Gap(gap)) => match overview::span_of(gap, view) {
            Some(span) => event.event("gap").data(span.title),
            None => event,
        },
        Some(Frame::Bookmark(bookmark)) if bookmark.live => event.event("live").data("1"),
        Some(Frame::Bookmark(_)) | None => event,
    }
}
