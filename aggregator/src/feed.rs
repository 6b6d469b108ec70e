//! The feed: what the ledger holds, as streams, lists and single diagnoses.

mod watch;

pub(crate) use self::watch::{corrupt_gap, retention_gap};

use std::{pin::Pin, sync::Arc, time::Duration};

use coroner_proto::v1::{
    Diagnosis, GetDiagnosisRequest, GetDiagnosisResponse, GetStatusRequest, GetStatusResponse, ListDiagnosesRequest,
    ListDiagnosesResponse, WatchDiagnosesRequest, WatchDiagnosesResponse, diagnosis_service_server::DiagnosisService,
};
use futures::Stream;
use prost::Message;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Code, Request, Response, Status, async_trait};
use uuid::Uuid;

use crate::{
    cursor::{PageToken, question},
    filter::{Filter, nanoseconds, timestamp},
    gate::busy,
    ledger::{self, Error, Ledger, Query},
    mask::Mask,
    nodes::Nodes,
};

/// Streams at once. Each holds two batches at most: one on its way and one that waits.
const MAX_STREAMS: usize = 256;
/// Bytes of one answer or batch, roughly: clients take messages of 4 MiB by default.
const MAX_ANSWER_BYTES: usize = 3 << 20;
/// Diagnoses of one page, if the client does not say, and at most.
const PAGE_SIZE: (usize, usize) = (100, 1000);
/// Earlier revisions of one diagnosis that are given.
const MAX_REVISIONS: usize = 100;

/// How streams keep time.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A stream that has sent nothing for so long sends a bookmark.
    pub bookmark_interval: Duration,
    /// A stream whose client takes nothing for so long is ended.
    pub stall_limit: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { bookmark_interval: Duration::from_secs(15), stall_limit: Duration::from_secs(60) }
    }
}

/// `coroner.v1.DiagnosisService`.
#[derive(Debug)]
pub struct Feed {
    ledger: Arc<Ledger>,
    nodes: Arc<Nodes>,
    timing: Timing,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Feed {
    /// A feed from a ledger. Its streams end when `stop` is cancelled, and run as `tasks`.
    pub fn new(
        ledger: Arc<Ledger>,
        nodes: Arc<Nodes>,
        timing: Timing,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self { ledger, nodes, timing, slots: Arc::new(Semaphore::new(MAX_STREAMS)), tasks, stop }
    }
}

#[async_trait]
impl DiagnosisService for Feed {
    type WatchDiagnosesStream = Pin<Box<dyn Stream<Item = Result<WatchDiagnosesResponse, Status>> + Send>>;

    async fn watch_diagnoses(
        &self,
        request: Request<WatchDiagnosesRequest>,
    ) -> Result<Response<Self::WatchDiagnosesStream>, Status> {
        let plan = watch::Plan::new(request.into_inner())?;
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let slot = slot.map_err(|_| busy(format!("{MAX_STREAMS} streams are open, which is the most")))?;
        let stop = self.stop.clone();
        let (watch, stream) = watch::Watch::new(Arc::clone(&self.ledger), plan, self.timing, stop, slot);
        self.tasks.spawn(watch.run());
        Ok(Response::new(Box::pin(stream)))
    }

    async fn list_diagnoses(
        &self,
        request: Request<ListDiagnosesRequest>,
    ) -> Result<Response<ListDiagnosesResponse>, Status> {
        let ListDiagnosesRequest { filter, start_time, end_time, page_size, page_token, read_mask } =
            request.into_inner();
        let filter = filter.unwrap_or_default();
        let question = question((filter.encode_to_vec(), start_time, end_time));
        let mask = Mask::new(read_mask)?;
        let after = match page_token.as_str() {
            "" => None,
            token => Some(PageToken::decode(token, question)?.position),
        };
        let query = Query {
            filter: Filter::new(filter)?,
            start_time: start_time.map(|t| time("start_time", &t)).transpose()?,
            end_time: end_time.map(|t| time("end_time", &t)).transpose()?,
            after,
            limit: size("page_size", page_size, PAGE_SIZE)?,
            bytes: MAX_ANSWER_BYTES,
        };
        let page = self.ledger.query(move |c| ledger::list(c, &query)).await.map_err(status)?;
        let diagnoses = page.bodies.iter().map(|body| decode(body, &mask)).collect::<Result<_, _>>()?;
        let next_page_token = page.next.map(|position| PageToken { position, question }.encode()).unwrap_or_default();
        Ok(Response::new(ListDiagnosesResponse { diagnoses, next_page_token }))
    }

    async fn get_diagnosis(
        &self,
        request: Request<GetDiagnosisRequest>,
    ) -> Result<Response<GetDiagnosisResponse>, Status> {
        let uid = request.into_inner().uid;
        let uid = Uuid::parse_str(&uid).map_err(|_| Status::invalid_argument("uid is not a UUID"))?;
        let look = move |c: &_| ledger::revisions(c, uid, MAX_REVISIONS + 1, MAX_ANSWER_BYTES);
        let bodies = self.ledger.query(look).await.map_err(status)?;
        let mut revisions = bodies.iter().map(|body| decode(body, &Mask::default()));
        let newest = revisions.next().ok_or_else(|| Status::not_found(format!("there is no diagnosis {uid}")))?;
        let earlier_revisions = revisions.collect::<Result<_, _>>()?;
        Ok(Response::new(GetDiagnosisResponse { diagnosis: Some(newest?), earlier_revisions }))
    }

    async fn get_status(&self, _request: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        let extent = self.ledger.query(ledger::extent).await.map_err(status)?;
        Ok(Response::new(GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").into(),
            oldest_time: extent.oldest_time.map(timestamp),
            record_count: extent.record_count,
            nodes: self.nodes.all(),
        }))
    }
}

fn decode(body: &[u8], mask: &Mask) -> Result<Diagnosis, Status> {
    let diagnosis = mask.apply(body).and_then(|body| Diagnosis::decode(&*body).ok());
    diagnosis.ok_or_else(|| Status::internal("a stored diagnosis cannot be read back"))
}

fn time(field: &str, time: &prost_types::Timestamp) -> Result<i64, Status> {
    nanoseconds(time).ok_or_else(|| Status::invalid_argument(format!("{field} is out of range")))
}

/// A size from a request: the default for 0, the most for more.
fn size(field: &str, asked: i32, (default, most): (usize, usize)) -> Result<usize, Status> {
    match usize::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(asked) => Ok(asked.min(most)),
        Err(_) => Err(Status::invalid_argument(format!("{field} must not be negative"))),
    }
}

fn status(error: Error) -> Status {
    match error {
        Error::Deadline => Status::new(Code::DeadlineExceeded, error.to_string()),
        Error::Unavailable => busy(error.to_string()),
        _ => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "Cannot read the ledger");
            Status::internal("the ledger cannot be read")
        }
    }
}
