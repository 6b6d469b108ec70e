//! `coroner list`: what was diagnosed, the newest first.

use coroner_proto::v1::{Diagnosis, DiagnosisFilter, ListDiagnosesRequest};
use jiff::Timestamp;

use crate::{
    args::{AggregatorArgs, Format, ListArgs},
    client::{self, Client},
    data,
    exit::{Failure, Outcome},
    out::Out,
    table::{self, Shape},
};

/// Diagnoses that are asked for at once.
const PAGE_SIZE: usize = 500;

pub(crate) async fn run(args: &ListArgs, aggregator: &AggregatorArgs, out: &mut Out) -> Result<Outcome, Failure> {
    let now = Timestamp::now();
    let ListArgs { filter, since, limit } = args;
    let limit = if *limit == 0 { usize::MAX } else { *limit };
    let request = ListDiagnosesRequest {
        filter: Some(DiagnosisFilter::from(filter)),
        start_time: since.map(|since| wire_time(since.resolve(now))),
        ..ListDiagnosesRequest::default()
    };
    let shape = Shape { wide: out.format == Some(Format::Wide), growing: false };
    let mut rows = table::diagnoses(shape);
    let mut count = 0;
    let mut client = client::connect(aggregator).await?;
    let mut pages = Pages::new(request, limit);
    while let Some(page) = pages.next(&mut client, aggregator).await? {
        count += page.len();
        for diagnosis in &page {
            match data::render(out.format, diagnosis)? {
                Some(text) => out.write(&text)?,
                None => rows.push(table::row(diagnosis, shape, now)),
            }
        }
    }
    if count == 0 {
        out.tell("No such diagnosis is recorded.");
        return Ok(Outcome::Nothing);
    }
    if matches!(out.format, None | Some(Format::Table | Format::Wide)) {
        let text = rows.render(out);
        out.write(&text)?;
    }
    if pages.cut {
        out.tell(&format!("Only the newest {limit} are shown; --limit 0 shows all."));
        return Ok(Outcome::Partial);
    }
    Ok(Outcome::Answered)
}

/// A time of this program on the wire.
pub(crate) fn wire_time(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

/// The answers to one question, page by page.
#[derive(Debug)]
pub(crate) struct Pages {
    request: ListDiagnosesRequest,
    left: usize,
    done: bool,
    /// Whether there was more than was asked for.
    pub(crate) cut: bool,
}

impl Pages {
    /// At most `limit` of the diagnoses that answer the request.
    pub(crate) fn new(request: ListDiagnosesRequest, limit: usize) -> Self {
        Self { request, left: limit, done: false, cut: false }
    }

    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// The aggregator did not answer, or refused.
    pub(crate) async fn next(
        &mut self,
        client: &mut Client,
        aggregator: &AggregatorArgs,
    ) -> Result<Option<Vec<Diagnosis>>, Failure> {
        if self.done {
            return Ok(None);
        }
        self.request.page_size =
            i32::try_from(self.left.min(PAGE_SIZE)).expect("a page is far smaller than i32's range");
        let answer = client.list_diagnoses(client::request(self.request.clone())).await;
        let mut answer = answer.map_err(|status| client::refused(aggregator, &status))?.into_inner();
        let more = !answer.next_page_token.is_empty();
        self.cut = answer.diagnoses.len() > self.left || (more && answer.diagnoses.len() == self.left);
        answer.diagnoses.truncate(self.left);
        self.left -= answer.diagnoses.len();
        self.done = !more || self.left == 0;
        self.request.page_token = answer.next_page_token;
        Ok(Some(answer.diagnoses))
    }
}
