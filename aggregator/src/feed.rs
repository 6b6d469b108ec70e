//! The feed: what the ledger holds, as streams, lists and single diagnoses.

mod watch;

pub(crate) use self::watch::{corrupt_gap, retention_gap};

use std::{collections::BTreeSet, pin::Pin, sync::Arc, time::Duration};

use coroner_proto::v1::{
    Diagnosis, GetDiagnosisRequest, GetDiagnosisResponse, GetStatusRequest, GetStatusResponse, ListDiagnosesRequest,
    ListDiagnosesResponse, WatchDiagnosesRequest, WatchDiagnosesResponse, diagnosis_service_server::DiagnosisService,
};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use prost::Message;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Code, Request, Response, Status, async_trait};
use uuid::Uuid;

use crate::{
    auth::{Caller, Reader, Refusals},
    cursor::{PageToken, question},
    export::{Counters, Target},
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
/// Namespaces that are asked for one by one, for a reader who may not see all.
const MAX_NAMESPACES: usize = 5_000;
/// Of these at once.
const QUESTIONS: usize = 8;
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

/// What there is to tell of the aggregator beside its ledger.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// All agents.
    pub nodes: Arc<Nodes>,
    /// What was refused.
    pub refusals: Arc<Refusals>,
    /// All exporters.
    pub exporters: Vec<(Target, Arc<Counters>)>,
}

/// `coroner.v1.DiagnosisService`.
#[derive(Debug)]
pub struct Feed {
    ledger: Arc<Ledger>,
    standing: Standing,
    timing: Timing,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Feed {
    /// A feed from a ledger. Its streams end when `stop` is cancelled, and run as `tasks`.
    pub fn new(
        ledger: Arc<Ledger>,
        standing: Standing,
        timing: Timing,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self { ledger, standing, timing, slots: Arc::new(Semaphore::new(MAX_STREAMS)), tasks, stop }
    }
}

impl Feed {
    /// Leaves of a filter what its reader may see; false if that is nothing.
    async fn narrow(&self, filter: &mut Filter, reader: &Reader) -> Result<bool, Status> {
        if reader.sees_everything().await? {
            return Ok(true);
        }
        let asked = match filter.namespaces.is_empty() {
            false => filter.namespaces.iter().cloned().collect(),
            true => self.ledger.query(|c| ledger::namespaces(c, MAX_NAMESPACES + 1)).await.map_err(status)?,
        };
        if asked.len() > MAX_NAMESPACES {
            return Err(Status::failed_precondition("there are too many namespaces to ask for each: name some"));
        }
        let answers = stream::iter(asked).map(|namespace: String| {
            let reader = reader.clone();
            async move { Ok::<_, Status>((reader.sees(&namespace).await?, namespace)) }
        });
        let answers: Vec<(bool, String)> = answers.buffer_unordered(QUESTIONS).try_collect().await?;
        filter.namespaces = answers.into_iter().filter(|(sees, _)| *sees).map(|(_, namespace)| namespace).collect();
        Ok(!filter.namespaces.is_empty())
    }
}

#[async_trait]
impl DiagnosisService for Feed {
    type WatchDiagnosesStream = Pin<Box<dyn Stream<Item = Result<WatchDiagnosesResponse, Status>> + Send>>;

    async fn watch_diagnoses(
        &self,
        request: Request<WatchDiagnosesRequest>,
    ) -> Result<Response<Self::WatchDiagnosesStream>, Status> {
        let caller = Caller::of(request.extensions())?;
        let reader = caller.reader()?;
        let plan = watch::Plan::new(request.into_inner(), reader)?;
        let own = caller.stream_slot()?;
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let slot = slot.map_err(|_| busy(format!("{MAX_STREAMS} streams are open, which is the most")))?;
        let stop = self.stop.clone();
        let (watch, stream) = watch::Watch::new(Arc::clone(&self.ledger), plan, self.timing, stop, (slot, own));
        self.tasks.spawn(watch.run());
        Ok(Response::new(Box::pin(stream)))
    }

    async fn list_diagnoses(
        &self,
        request: Request<ListDiagnosesRequest>,
    ) -> Result<Response<ListDiagnosesResponse>, Status> {
        let reader = Caller::of(request.extensions())?.reader()?;
        let ListDiagnosesRequest { filter, start_time, end_time, page_size, page_token, read_mask } =
            request.into_inner();
        let filter = filter.unwrap_or_default();
        let question = question((filter.encode_to_vec(), start_time, end_time));
        let mask = Mask::new(read_mask)?;
        let after = match page_token.as_str() {
            "" => None,
            token => Some(PageToken::decode(token, question)?.position),
        };
        let mut filter = Filter::new(filter)?;
        if !self.narrow(&mut filter, &reader).await? {
            return Ok(Response::new(ListDiagnosesResponse::default()));
        }
        let query = Query {
            filter,
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
        let reader = Caller::of(request.extensions())?.reader()?;
        let uid = request.into_inner().uid;
        let uid = Uuid::parse_str(&uid).map_err(|_| Status::invalid_argument("uid is not a UUID"))?;
        let look = move |c: &_| ledger::revisions(c, uid, MAX_REVISIONS + 1, MAX_ANSWER_BYTES);
        let bodies = self.ledger.query(look).await.map_err(status)?;
        let none = || Status::not_found(format!("there is no diagnosis {uid}"));
        for namespace in bodies.iter().map(|body| namespace_of(body)).collect::<Result<BTreeSet<_>, _>>()? {
            // As if there were none: that there is one is not theirs to know.
            if !reader.sees(&namespace).await? {
                return Err(none());
            }
        }
        let mut revisions = bodies.iter().map(|body| decode(body, &Mask::default()));
        let newest = revisions.next().ok_or_else(none)?;
        let earlier_revisions = revisions.collect::<Result<_, _>>()?;
        Ok(Response::new(GetDiagnosisResponse { diagnosis: Some(newest?), earlier_revisions }))
    }

    async fn get_status(&self, request: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        let reader = Caller::of(request.extensions())?.reader()?;
        let (mut nodes, mut exporters, mut refusals) = Default::default();
        if reader.sees("").await? {
            let committed = *self.ledger.committed().borrow();
            let all = &self.standing.exporters;
            exporters = all.iter().map(|(target, counters)| counters.status(target, committed)).collect();
            (nodes, refusals) = (self.standing.nodes.all(), self.standing.refusals.all());
        }
        let extent = self.ledger.query(ledger::extent).await.map_err(status)?;
        Ok(Response::new(GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").into(),
            oldest_time: extent.oldest_time.map(timestamp),
            record_count: extent.record_count,
            waiting_count: extent.waiting_count,
            nodes,
            exporters,
            refusals,
        }))
    }
}

fn namespace_of(body: &[u8]) -> Result<String, Status> {
    Ok(decode(body, &Mask::default())?.subject.unwrap_or_default().namespace)
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
