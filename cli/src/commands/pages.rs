//! The answers to one list request, page by page.

use coroner_proto::v1::{Diagnosis, ListDiagnosesRequest};
use jiff::Timestamp;

use crate::{
    args::AggregatorArgs,
    client::{self, Client},
    exit::Failure,
    messages::notes,
    out::Out,
};

/// Diagnoses that are asked for at once.
const PAGE_SIZE: usize = 500;

/// A time of this program on the wire.
pub(crate) fn wire_time(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

/// The diagnoses that answer one request.
#[derive(Debug)]
pub(crate) struct Pages {
    request: ListDiagnosesRequest,
    left: usize,
    done: bool,
    /// Whether there was more than was asked for.
    pub(crate) cut: bool,
    /// Diagnoses on the pages so far that the ledger holds and cannot read.
    pub(crate) unreadable: u64,
}

impl Pages {
    /// At most `limit` of the diagnoses that answer the request.
    pub(crate) fn new(request: ListDiagnosesRequest, limit: usize) -> Self {
        Self { request, left: limit, done: false, cut: false, unreadable: 0 }
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
        self.unreadable += u64::from(answer.unreadable_count);
        answer.diagnoses.truncate(self.left);
        self.left -= answer.diagnoses.len();
        self.done = !more || self.left == 0;
        self.request.page_token = answer.next_page_token;
        Ok(Some(answer.diagnoses))
    }

    /// Notes how many diagnoses the answer lacks because they cannot be read.
    pub(crate) fn note_unreadable(&self, out: &Out) {
        if self.unreadable > 0 {
            out.note(&notes::unreadable(self.unreadable));
        }
    }
}
