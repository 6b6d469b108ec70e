//! The connection from the outbox to the aggregator: pushes what is not acknowledged, oldest first, and retries without
//! limit.
//!
//! - Each connection begins with an empty push: the answer states where to continue. Without records one follows at
//!   least every [`HEARTBEAT`], since it also reports that the agent is running and the health of its sources.
//! - Only the aggregator's `acknowledged_sequence` advances the outbox. Each push states what the last one was: a
//!   connection may be re-established to another ledger, which then refuses instead of accepting records behind a hole.
//! - What a status means follows the table in `ARCHITECTURE.md`: wait and try again; or cut the batch in two until the
//!   record that is refused stands alone, and put a gap in its place; or hold, for an operator has to act. Holding
//!   deviates from OTLP's rules, by which an unauthenticated client drops its data.

use std::{error::Error as _, time::Duration};

use coroner_diagnosis::{
    messages::{self, gaps},
    text,
};
use coroner_proto::v1::{
    Gap, GapReason, OutboxRecord, PushDiagnosesRequest, PushDiagnosesResponse, RejectedRecord, SourceStatus,
    ingest_service_client::IngestServiceClient, outbox_record,
};
use coroner_runtime::{
    backoff::{Backoff, Pace, jittered},
    error::chain,
};
use jiff::Timestamp;
use tokio::{
    select,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    metadata::AsciiMetadataValue,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tracing::{error, info, warn};

use crate::{
    config::{Aggregator, Tls},
    outbox::{Batch, Closed, Keeper, Limit},
    status::{Board, Changes, OUTBOX, wire_time},
};

/// How often the agent pushes when it has no records.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// A change of a source's health is reported at once, but no more often than this.
const NEWS: Duration = Duration::from_millis(500);
/// The contract's bound of a push.
const MAX_RECORDS: usize = 500;
/// Stays below the 4 MiB that gRPC servers take by default.
const MAX_BYTES: usize = 1 << 20;
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// The task that pushes the records of the outbox.
#[derive(Debug)]
pub struct Uplink {
    node: String,
    aggregator: Aggregator,
    outbox: Keeper,
    board: Board,
    /// Of the board, since the aggregator was informed of it.
    changes: Changes,
    pace: Pace,
    client: Option<IngestServiceClient<Channel>>,
    /// The last answer of the aggregator.
    synchronized: Option<Synchronized>,
    /// Records of the next batch: fewer while looking for one that is refused.
    limit: usize,
    /// The last push was answered.
    connected: bool,
    /// The delays of failures in a row.
    delays: Backoff,
    /// The last push has failed.
    failing: bool,
    /// It was logged that an operator has to act.
    holding: bool,
}

/// How far the aggregator has a stream, by its own word.
#[derive(Debug)]
struct Synchronized {
    stream_id: String,
    acknowledged: u64,
    at: Instant,
}

/// What one step has come to.
enum Step {
    /// Go on at once.
    More,
    /// All is acknowledged.
    Done,
    /// Try again then.
    Later(Duration),
}

/// What a refusal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// Nothing is wrong with the push.
    Retry,
    /// One of its records will never be taken.
    Bisect,
    /// An operator has to act.
    Hold,
}

impl Uplink {
    /// An uplink of this node. Does nothing before it is run.
    pub fn new(node: String, aggregator: Aggregator, outbox: Keeper, board: Board, pace: Pace) -> Self {
        Self {
            node,
            aggregator,
            outbox,
            changes: board.changes(),
            board,
            pace,
            client: None,
            synchronized: None,
            limit: MAX_RECORDS,
            connected: false,
            delays: pace.backoff(),
            failing: false,
            holding: false,
        }
    }

    /// Pushes until stopped; then what is left, once.
    ///
    /// # Errors
    /// If the outbox' owner has ended.
    pub async fn run(mut self, finish: CancellationToken) -> Result<(), Closed> {
        let mut batch = None;
        loop {
            match self.step(batch.take()).await? {
                Step::More => {}
                Step::Done => {
                    let (heartbeat, next_news) = (self.until(HEARTBEAT), self.until(NEWS));
                    let limit = self.batch_limit();
                    let changed = async {
                        sleep(next_news).await;
                        self.changes.wait().await;
                    };
                    select! {
                        next = self.outbox.next_batch(limit) => batch = Some(next?),
                        () = sleep(heartbeat) => {}
                        () = changed => {}
                        () = finish.cancelled() => break,
                    }
                }
                Step::Later(delay) => select! {
                    () = sleep(delay) => {}
                    () = finish.cancelled() => break,
                },
            }
        }
        while let Step::More = self.step(None).await? {}
        Ok(())
    }

    /// How long until the last push that was answered is so old.
    fn until(&self, age: Duration) -> Duration {
        self.synchronized.as_ref().map_or(Duration::ZERO, |found| age.saturating_sub(found.at.elapsed()))
    }

    /// Whether the aggregator should get a push even if there is no record for it.
    fn has_to_report(&self) -> bool {
        self.until(HEARTBEAT).is_zero() || (self.changes.any() && self.until(NEWS).is_zero())
    }

    fn batch_limit(&self) -> Limit {
        Limit { records: self.limit, bytes: MAX_BYTES }
    }

    /// Deals with this batch, or with what waits now.
    async fn step(&mut self, batch: Option<Batch>) -> Result<Step, Closed> {
        let batch = match batch {
            Some(batch) => batch,
            None => self.outbox.batch(self.batch_limit()).await?,
        };
        let synchronized = self.synchronized.as_ref().is_some_and(|found| found.stream_id == batch.stream_id);
        if !synchronized || (batch.records.is_empty() && self.has_to_report()) {
            return self.synchronize(batch.stream_id).await;
        }
        if batch.records.is_empty() {
            return Ok(Step::Done);
        }
        self.push_records(batch.stream_id, batch.records).await
    }

    /// Queries how far the aggregator has this stream, which also shows that the agent is running.
    async fn synchronize(&mut self, stream_id: String) -> Result<Step, Closed> {
        match self.push(&stream_id, Vec::new()).await {
            Ok(answer) => {
                let acknowledged = answer.acknowledged_sequence;
                self.outbox.synchronize(stream_id.clone(), acknowledged).await?;
                self.synchronized = Some(Synchronized { stream_id, acknowledged, at: Instant::now() });
                self.succeeded();
                Ok(Step::More)
            }
            Err(status) => Ok(self.failed(&status, false)),
        }
    }

    async fn push_records(&mut self, stream_id: String, records: Vec<OutboxRecord>) -> Result<Step, Closed> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(Step::Done) };
        let (first, last, count) = (first.sequence, last.sequence, records.len());
        let is_gap = matches!(records.as_slice(), [OutboxRecord { record: Some(outbox_record::Record::Gap(_)), .. }]);
        match self.push(&stream_id, records).await {
            Ok(answer) if answer.acknowledged_sequence < first => {
                Ok(self.failed(&Status::internal("the push was answered, but nothing of it acknowledged"), false))
            }
            Ok(answer) => {
                // The aggregator has put a gap in their place.
                if let Some(RejectedRecord { sequence, reason }) = answer.rejected.first() {
                    self.refused(answer.rejected.len(), *sequence, reason);
                }
                let acknowledged = answer.acknowledged_sequence.min(last);
                self.outbox.acknowledge(stream_id.clone(), acknowledged).await?;
                self.synchronized = Some(Synchronized { stream_id, acknowledged, at: Instant::now() });
                self.limit = (self.limit * 2).min(MAX_RECORDS);
                self.succeeded();
                Ok(Step::More)
            }
            Err(status) => match remedy(&status) {
                Remedy::Retry | Remedy::Hold => Ok(self.failed(&status, false)),
                Remedy::Bisect if count > 1 => {
                    self.limit = count / 2;
                    Ok(Step::More)
                }
                Remedy::Bisect => self.give_up(stream_id, first, is_gap, &status).await,
            },
        }
    }

    /// A record alone was refused. If it is the record's fault, which an empty push shows, a gap takes its place.
    async fn give_up(
        &mut self,
        stream_id: String,
        sequence: u64,
        is_gap: bool,
        refusal: &Status,
    ) -> Result<Step, Closed> {
        if is_gap {
            return Ok(self.failed(refusal, true));
        }
        match self.push(&stream_id, Vec::new()).await {
            Ok(_) => {
                let reason = self.refused(1, sequence, refusal.message());
                let now = wire_time(Timestamp::now());
                let gap = Gap {
                    node: self.node.clone(),
                    source: OUTBOX.into(),
                    reason: GapReason::Rejected.into(),
                    start_time: Some(now),
                    end_time: Some(now),
                    lost_count: Some(1),
                    ..Gap::default()
                };
                let gap = messages::worded(gap, gaps::gap_refused(reason));
                self.outbox.replace(stream_id, sequence, gap).await?;
                Ok(Step::More)
            }
            Err(status) => Ok(self.failed(&status, remedy(&status) == Remedy::Bisect)),
        }
    }

    fn refused(&self, count: usize, sequence: u64, reason: &str) -> String {
        let reason = text::clean(reason, 256);
        error!(count, sequence, reason, "The aggregator refuses records for good");
        self.board.count_gap(OUTBOX);
        reason
    }

    /// The current sources, which count as reported: a push that fails is followed by another.
    fn reported_sources(&mut self) -> Vec<SourceStatus> {
        self.changes.mark_reported();
        self.board.sources()
    }

    /// One call, with its deadline.
    async fn push(&mut self, stream_id: &str, records: Vec<OutboxRecord>) -> Result<PushDiagnosesResponse, Status> {
        let found = self.synchronized.as_ref().filter(|found| found.stream_id == stream_id);
        let request = PushDiagnosesRequest {
            node: self.node.clone(),
            stream_id: stream_id.to_owned(),
            records,
            after_sequence: found.map_or(0, |found| found.acknowledged),
            sources: self.reported_sources(),
        };
        let request = signed(request, self.aggregator.token.as_deref())?;
        let client = match &mut self.client {
            Some(client) => client,
            none => none.insert(connect(&self.aggregator)?),
        };
        match timeout(CALL_DEADLINE, client.push_diagnoses(request)).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }

    fn succeeded(&mut self) {
        if !self.connected {
            info!(aggregator = self.aggregator.url, "The aggregator takes records");
        }
        self.connected = true;
        self.delays.reset();
        self.failing = false;
        self.holding = false;
    }

    /// Starts over after a while: another connection, and a new query for where to continue.
    fn failed(&mut self, status: &Status, must_hold: bool) -> Step {
        self.client = None;
        self.synchronized = None;
        self.connected = false;
        let aggregator = &self.aggregator.url;
        let why = describe(status);
        if must_hold || remedy(status) == Remedy::Hold {
            if !self.holding {
                error!(aggregator, code = ?status.code(), why, "The aggregator refuses this agent: records are held");
            }
            self.holding = true;
            return Step::Later(jittered(self.pace.hold));
        }
        if !self.failing {
            warn!(aggregator, code = ?status.code(), why, "The aggregator does not take records: trying again");
        }
        self.failing = true;
        Step::Later(self.delays.next())
    }
}

fn remedy(status: &Status) -> Remedy {
    match status.code() {
        // Servers of tonic answer OutOfRange to a message that is too large, those of grpc-go ResourceExhausted. With
        // details (RetryInfo) the latter requests a delay instead.
        Code::InvalidArgument | Code::OutOfRange | Code::DataLoss => Remedy::Bisect,
        Code::ResourceExhausted if status.details().is_empty() => Remedy::Bisect,
        Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented
        | Code::FailedPrecondition
        | Code::NotFound
        | Code::AlreadyExists => Remedy::Hold,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable => Remedy::Retry,
    }
}

/// A connection that is made when it is first used, to what the name resolves to then.
fn connect(aggregator: &Aggregator) -> Result<IngestServiceClient<Channel>, Status> {
    channel(aggregator).map(IngestServiceClient::new)
}

/// A connection for any service of the aggregator, made when it is first used.
pub(crate) fn channel(aggregator: &Aggregator) -> Result<Channel, Status> {
    let mut endpoint = Endpoint::from_shared(aggregator.url.clone())
        .map_err(|error| Status::failed_precondition(format!("{}: {error}", aggregator.url)))?
        .connect_timeout(CONNECT_DEADLINE)
        .timeout(CALL_DEADLINE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true);
    if let Some(Tls { ca, identity }) = &aggregator.tls {
        let read = |path| {
            std::fs::read(path).map_err(|error| Status::unavailable(format!("cannot read {}: {error}", display(path))))
        };
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
        if let Some((certificate, key)) = identity {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        endpoint =
            endpoint.tls_config(tls).map_err(|error| Status::failed_precondition(format!("TLS files: {error}")))?;
    }
    Ok(endpoint.connect_lazy())
}

/// A request with the token of this file, which the kubelet renews before it expires.
pub(crate) fn signed<M>(message: M, token: Option<&std::path::Path>) -> Result<tonic::Request<M>, Status> {
    let mut request = tonic::Request::new(message);
    if let Some(path) = token {
        let cannot = |why: &dyn std::fmt::Display| Status::unavailable(format!("the token {}: {why}", display(path)));
        let token = std::fs::read_to_string(path).map_err(|error| cannot(&error))?;
        let mut value: AsciiMetadataValue =
            format!("Bearer {}", token.trim()).parse().map_err(|_| cannot(&"holds more than a token"))?;
        // Kept out of what is printed of requests, and out of HTTP/2's table of headers.
        value.set_sensitive(true);
        request.metadata_mut().insert("authorization", value);
    }
    Ok(request)
}

fn display(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// The status and its sources as one text, fit for a log.
pub(crate) fn describe(status: &Status) -> String {
    let message = status.message();
    match status.source().map(chain) {
        Some(cause) if !message.contains(&cause) => text::clean(&format!("{message}: {cause}"), 512),
        _ => text::clean(message, 512),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_read_for_each_push() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let token = || {
            let request = signed((), Some(&path)).map_err(|status| status.code())?;
            assert!(!format!("{request:?}").contains("first"), "the token is printed");
            Ok(request.metadata().get("authorization").unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(token(), Err(Code::Unavailable), "there is none yet");
        for written in ["first", "second\n"] {
            std::fs::write(&path, written).unwrap();
            assert_eq!(token(), Ok(format!("Bearer {}", written.trim())));
        }
        std::fs::write(&path, "two\nlines").unwrap();
        assert_eq!(token(), Err(Code::Unavailable));
        assert!(signed((), None).unwrap().metadata().is_empty());
    }

    #[test]
    fn a_quota_asks_for_patience_and_a_size_for_bisection() {
        let size = Status::resource_exhausted("message larger than max");
        let quota = Status::with_details(Code::ResourceExhausted, "quota", vec![1].into());
        assert_eq!((remedy(&size), remedy(&quota)), (Remedy::Bisect, Remedy::Retry));
    }
}
