//! One stream of `WatchDiagnoses`: a task that reads the ledger from its own position on and hands over frame after frame,
//! woken by the last committed offset. Every frame carries the token behind it, so that resuming at any frame gives exactly
//! the rest.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use coroner_proto::v1::{
    Bookmark, DiagnosisBatch, Gap, GapReason, WatchDiagnosesRequest, WatchDiagnosesResponse,
    watch_diagnoses_request::Start, watch_diagnoses_response::Frame,
};
use futures::{FutureExt, Stream};
use prost::Message;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Timing, decode, size, status, time};
use crate::{
    auth::{Reader, StreamSlot},
    cursor::ResumeToken,
    filter::{Selection, timestamp},
    gate::busy,
    ledger::{self, Body, Chunk, Item, Ledger, Limits, Offset, Position},
    mask::Mask,
};

/// Diagnoses of one batch, if the client does not say, and at most.
const BATCH_SIZE: (usize, usize) = (100, 500);
/// Bytes of one batch, roughly.
const BATCH_BYTES: usize = 1 << 20;
/// Records looked at in one go; many when few of them are wanted.
const SCAN: usize = 2_000;

/// What a client asked for.
#[derive(Debug)]
pub(super) struct Plan {
    start: From,
    selection: Arc<Selection>,
    mask: Mask,
    stop_at_end: bool,
    limits: Limits,
    reader: Reader,
}

#[derive(Clone, Copy, Debug)]
enum From {
    Token(ResumeToken),
    Time(i64),
    Oldest,
    Now,
}

impl Plan {
    pub(super) fn new(request: WatchDiagnosesRequest, reader: Reader) -> Result<Self, Status> {
        let WatchDiagnosesRequest { start, include, exclude, read_mask, stop_at_end, max_batch_size } = request;
        let start = match start {
            Some(Start::ResumeToken(token)) => From::Token(ResumeToken::decode(&token)?),
            Some(Start::StartTime(start)) => From::Time(time("start_time", &start)?),
            Some(Start::FromOldest(true)) => From::Oldest,
            Some(Start::FromOldest(false) | Start::FromNow(_)) | None => From::Now,
        };
        let records = size("max_batch_size", max_batch_size, BATCH_SIZE)?;
        Ok(Self {
            start,
            selection: Arc::new(Selection::new(include, exclude)?),
            mask: Mask::new(read_mask)?,
            stop_at_end,
            limits: Limits { scan: SCAN, records, bytes: BATCH_BYTES },
            reader,
        })
    }
}

/// A stream's place among all, and among those of its caller.
type Slots = (OwnedSemaphorePermit, StreamSlot);

/// The task of one stream.
#[derive(Debug)]
pub(super) struct Watch {
    ledger: Arc<Ledger>,
    plan: Plan,
    timing: Timing,
    stop: CancellationToken,
    frames: mpsc::Sender<WatchDiagnosesResponse>,
    end: oneshot::Sender<Status>,
    bookmark_at: Instant,
}

/// Why a stream ends.
enum End {
    /// All that was asked for is sent.
    Done,
    /// The client has gone.
    Gone,
    /// Something that the client must know.
    Failed(Status),
}

impl Watch {
    pub(super) fn new(
        ledger: Arc<Ledger>,
        plan: Plan,
        timing: Timing,
        stop: CancellationToken,
        slots: Slots,
    ) -> (Self, Frames) {
        // One frame waits while the connection sends the one before.
        let (frames, receiver) = mpsc::channel(1);
        let (end, ended) = oneshot::channel();
        let bookmark_at = Instant::now() + timing.bookmark_interval;
        let watch = Self { ledger, plan, timing, stop, frames, end, bookmark_at };
        (watch, Frames { frames: receiver, end: Some(ended), _slots: slots })
    }

    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        let end = tokio::select! {
            biased;
            () = stop.cancelled() => End::Failed(busy("the aggregator is stopping")),
            Err(end) = self.stream() => end,
        };
        if let End::Failed(status) = end {
            // The receiver is gone only if the client is.
            let _gone = self.end.send(status);
        }
    }

    async fn stream(&mut self) -> Result<Infallible, End> {
        let mut committed = self.ledger.committed();
        let (mut position, until) = self.start().await?;
        let mut live = false;
        loop {
            let chunk = self.read(position, until).await?;
            let at_end = chunk.at_end;
            position = self.send_chunk(position, chunk).await?;
            if at_end && !live {
                live = true;
                self.send(Frame::Bookmark(Bookmark { live }), position).await?;
            }
            if at_end && until.is_some() {
                return Err(End::Done);
            }
            if Instant::now() >= self.bookmark_at {
                self.send(Frame::Bookmark(Bookmark { live }), position).await?;
            }
            if at_end {
                tokio::select! {
                    changed = committed.changed() => {
                        changed.map_err(|_| End::Failed(busy("the ledger has stopped")))?;
                    }
                    () = sleep_until(self.bookmark_at) => {}
                    () = self.frames.closed() => return Err(End::Gone),
                }
            }
        }
    }

    /// Where to start, and where to stop. Tells what the client has missed that no position can tell.
    async fn start(&mut self) -> Result<(Position, Option<Offset>), End> {
        if self.plan.stop_at_end {
            self.ledger.filed().await;
        }
        let start = self.plan.start;
        let look = move |connection: &_| {
            let (expired, last) = (ledger::expired(connection)?, ledger::last(connection)?);
            let position = match start {
                From::Token(token) => token.position,
                From::Time(time) => ledger::seek(connection, time)?,
                From::Oldest => expired,
                From::Now => last,
            };
            Ok((expired, last, position))
        };
        let (expired, last, position) = self.ledger.stream(look).await.map_err(|e| End::Failed(status(e)))?;
        let until = self.plan.stop_at_end.then_some(last.offset);
        let (gap, position) = match start {
            From::Token(token)
                if token.epoch != self.ledger.epoch()
                    || (token.position.offset > last.offset && !self.ledger.is_shared()) =>
            {
                let text = "the ledger is another one than the resume token was given for; its oldest record follows";
                (Some(Gap { text: text.into(), ..retention_gap(token.position.time, expired.time, None) }), expired)
            }
            From::Time(time) if expired.offset > 0 && expired.time >= time => {
                (Some(retention_gap(time, expired.time, None)), position)
            }
            From::Token(_) | From::Time(_) | From::Oldest | From::Now => (None, position),
        };
        if let Some(gap) = gap {
            self.send(Frame::Gap(gap), position).await?;
        }
        Ok((position, until))
    }

    async fn read(&self, after: Position, until: Option<Offset>) -> Result<Chunk, End> {
        let (selection, limits) = (Arc::clone(&self.plan.selection), self.plan.limits);
        let look = move |connection: &_| ledger::read(connection, after, until, &selection, limits);
        self.ledger.stream(look).await.map_err(|e| End::Failed(status(e)))
    }

    /// Sends what one look found; gives the place behind it.
    async fn send_chunk(&mut self, after: Position, chunk: Chunk) -> Result<Position, End> {
        if let Some(lost) = chunk.lost {
            let place = Position { offset: lost.offset, time: lost.end_time };
            self.send(Frame::Gap(retention_gap(after.time, lost.end_time, Some(lost.count))), place).await?;
        }
        let mut items = self.visible(chunk.items).await?.into_iter().peekable();
        while let Some(Item { position, body, .. }) = items.next() {
            let mut place = position;
            let frame = match body {
                Body::Gap(body) => Frame::Gap(Gap::decode(&*body).unwrap_or_else(|_| corrupt_gap(position))),
                Body::Diagnosis(body) => match decode(&body, &self.plan.mask) {
                    Err(_) => Frame::Gap(corrupt_gap(position)),
                    Ok(first) => {
                        let mut diagnoses = vec![first];
                        while let Some(Item { position, body: Body::Diagnosis(body), .. }) = items.peek() {
                            let Ok(diagnosis) = decode(body, &self.plan.mask) else { break };
                            diagnoses.push(diagnosis);
                            place = *position;
                            items.next();
                        }
                        Frame::Batch(DiagnosisBatch { diagnoses })
                    }
                },
            };
            // Behind the last one lies nothing that is wanted, up to the end of the look.
            let place = if items.peek().is_none() { chunk.position } else { place };
            self.send(frame, place).await?;
        }
        Ok(chunk.position)
    }

    /// What the reader may see. Gaps are for all, since they tell of what may have been theirs; what a gap says in words is for
    /// those who see nodes.
    async fn visible(&self, items: Vec<Item>) -> Result<Vec<Item>, End> {
        let reader = &self.plan.reader;
        if items.is_empty() || reader.sees_everything().await.map_err(End::Failed)? {
            return Ok(items);
        }
        let mut seen = BTreeMap::new();
        let mut visible = Vec::new();
        for mut item in items {
            let sees = match seen.get(&item.namespace) {
                Some(sees) => *sees,
                None => {
                    let sees = reader.sees(&item.namespace).await.map_err(End::Failed)?;
                    seen.insert(item.namespace.clone(), sees);
                    sees
                }
            };
            match &mut item.body {
                Body::Gap(body) if !sees => {
                    let gap = Gap::decode(&**body).unwrap_or_else(|_| corrupt_gap(item.position));
                    *body = Gap { text: String::new(), ..gap }.encode_to_vec();
                }
                Body::Diagnosis(_) if !sees => continue,
                Body::Diagnosis(_) | Body::Gap(_) => {}
            }
            visible.push(item);
        }
        Ok(visible)
    }

    async fn send(&mut self, frame: Frame, position: Position) -> Result<(), End> {
        let resume_token = ResumeToken { epoch: self.ledger.epoch(), position }.encode();
        let response = WatchDiagnosesResponse { frame: Some(frame), resume_token };
        match self.frames.send_timeout(response, self.timing.stall_limit).await {
            Ok(()) => {
                self.bookmark_at = Instant::now() + self.timing.bookmark_interval;
                Ok(())
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(End::Gone),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                tracing::warn!(after = ?self.timing.stall_limit, "A reader was cut off: it takes nothing");
                Err(End::Failed(busy("the stream was not read for too long; resume it")))
            }
        }
    }
}

/// What retention has taken from a reader.
pub(crate) fn retention_gap(start: i64, end: i64, lost_count: Option<u64>) -> Gap {
    Gap {
        source: "ledger".into(),
        reason: GapReason::Retention.into(),
        start_time: (start > 0).then(|| timestamp(start)),
        end_time: (end > 0).then(|| timestamp(end)),
        lost_count,
        text: "records were removed by the ledger's retention before they were read".into(),
        ..Gap::default()
    }
}

/// A stored record that is no message.
pub(crate) fn corrupt_gap(position: Position) -> Gap {
    Gap {
        source: "ledger".into(),
        reason: GapReason::Corrupt.into(),
        start_time: Some(timestamp(position.time)),
        end_time: Some(timestamp(position.time)),
        lost_count: Some(1),
        text: "a stored record could not be read back".into(),
        ..Gap::default()
    }
}

/// The client's end of a stream.
#[derive(Debug)]
pub(super) struct Frames {
    frames: mpsc::Receiver<WatchDiagnosesResponse>,
    /// The last word of the task, if it has one.
    end: Option<oneshot::Receiver<Status>>,
    _slots: Slots,
}

impl Stream for Frames {
    type Item = Result<WatchDiagnosesResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.frames.poll_recv(context) {
            Poll::Ready(Some(frame)) => Poll::Ready(Some(Ok(frame))),
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                let Some(end) = &mut self.end else { return Poll::Ready(None) };
                match end.poll_unpin(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(word) => {
                        self.end = None;
                        Poll::Ready(word.ok().map(Err))
                    }
                }
            }
        }
    }
}
