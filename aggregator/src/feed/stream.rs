//! One stream of `WatchDiagnoses`: a task that reads the ledger from its own position on and hands over frame after
//! frame, woken by the last committed offset. Every frame carries the token behind it, so that resuming at any frame
//! gives exactly the rest.

use std::{convert::Infallible, sync::Arc};

use coroner_proto::v1::{Bookmark, DiagnosisBatch, Gap, WatchDiagnosesResponse, watch_diagnoses_response::Frame};
use prost::Message;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{
    frames::{Frames, Places},
    plan::{Plan, Start},
    timing::Timing,
};
use crate::{
    auth::{Sight, withhold_related},
    gap,
    ledger::{self, Body, Chunk, Item, Ledger, Offset, Position},
    token::ResumeToken,
    unavailable::unavailable,
};

/// The task of one stream.
#[derive(Debug)]
pub(super) struct Task {
    ledger: Arc<Ledger>,
    plan: Plan,
    timing: Timing,
    stop: CancellationToken,
    frames: mpsc::Sender<WatchDiagnosesResponse>,
    end: oneshot::Sender<Result<(), Status>>,
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

impl Task {
    pub(super) fn new(
        ledger: Arc<Ledger>,
        plan: Plan,
        timing: Timing,
        stop: CancellationToken,
        places: Places,
    ) -> (Self, Frames) {
        let (frames, end, client) = Frames::new(places);
        let bookmark_at = Instant::now() + timing.bookmark_interval;
        let task = Self { ledger, plan, timing, stop, frames, end, bookmark_at };
        (task, client)
    }

    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        let end = tokio::select! {
            biased;
            () = stop.cancelled() => End::Failed(unavailable("the aggregator is stopping")),
            Err(end) = self.stream() => end,
        };
        let ended = match end {
            End::Done | End::Gone => Ok(()),
            End::Failed(status) => Err(status),
        };
        // The receiver is gone only if the client is.
        let _gone = self.end.send(ended);
    }

    async fn stream(&mut self) -> Result<Infallible, End> {
        let mut committed = self.ledger.committed();
        let (mut position, until) = self.start().await?;
        let mut live = false;
        loop {
            let chunk = self.visible(self.read(position, until).await?).await?;
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
                        changed.map_err(|_| End::Failed(unavailable("the ledger has stopped")))?;
                    }
                    () = sleep_until(self.bookmark_at) => {}
                    () = self.frames.closed() => return Err(End::Gone),
                }
            }
        }
    }

    /// Where to start, and where to stop. Sends what the client has missed that no position shows.
    async fn start(&mut self) -> Result<(Position, Option<Offset>), End> {
        if self.plan.stop_at_end {
            self.ledger.filed().await;
        }
        let start = self.plan.start;
        let look = move |connection: &_| {
            let (expired, last) = (ledger::expired(connection)?, ledger::last(connection)?);
            let position = match start {
                Start::Token(token) => token.position,
                Start::Time(time) => ledger::seek(connection, time)?,
                Start::Oldest => expired,
                Start::Now => last,
            };
            Ok((expired, last, position))
        };
        let (expired, last, position) = self.ledger.stream(look).await.map_err(|e| End::Failed(e.into()))?;
        let until = self.plan.stop_at_end.then_some(last.offset);
        let (gap, position) = match start {
            Start::Token(token)
                if token.epoch != self.ledger.epoch()
                    || (token.position.offset > last.offset && !self.ledger.is_shared()) =>
            {
                (Some(gap::of_other_ledger(token.position.time, expired.time)), expired)
            }
            Start::Time(time) if expired.offset > 0 && expired.time >= time => {
                (Some(gap::of_retention(time, expired.time, None)), position)
            }
            Start::Token(_) | Start::Time(_) | Start::Oldest | Start::Now => (None, position),
        };
        if let Some(gap) = gap {
            self.send(Frame::Gap(gap), position).await?;
        }
        Ok((position, until))
    }

    async fn read(&self, after: Position, until: Option<Offset>) -> Result<Chunk, End> {
        let (selection, limits) = (Arc::clone(&self.plan.selection), self.plan.limits);
        let look = move |connection: &_| ledger::read(connection, after, until, &selection, limits);
        self.ledger.stream(look).await.map_err(|e| End::Failed(e.into()))
    }

    /// Sends what one look found; gives the place behind it.
    async fn send_chunk(&mut self, after: Position, chunk: Chunk) -> Result<Position, End> {
        if let Some(lost) = chunk.lost {
            let place = Position { offset: lost.offset, time: lost.end_time };
            self.send(Frame::Gap(gap::of_retention(after.time, lost.end_time, Some(lost.count))), place).await?;
        }
        for missing in chunk.missing {
            self.send(Frame::Gap(missing), after).await?;
        }
        let mut items = chunk.items.into_iter().peekable();
        while let Some(Item { position, body, .. }) = items.next() {
            let mut place = position;
            let frame = match body {
                Body::Gap(body) => {
                    Frame::Gap(Gap::decode(&*body).unwrap_or_else(|_| gap::of_corrupt_record(position.time)))
                }
                Body::Diagnosis(body) => match self.plan.mask.decode(&body) {
                    Err(_) => Frame::Gap(gap::of_corrupt_record(position.time)),
                    Ok(first) => {
                        let mut diagnoses = vec![first];
                        while let Some(Item { position, body: Body::Diagnosis(body), .. }) = items.peek() {
                            let Ok(diagnosis) = self.plan.mask.decode(body) else { break };
                            diagnoses.push(diagnosis);
                            place = *position;
                            items.next();
                        }
                        withhold_related(&self.plan.reader, &mut diagnoses).await.map_err(End::Failed)?;
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

    /// What the reader may see. Gaps are for all, since the loss may concern them; the text of a gap is for
    /// those who see nodes.
    /// Of a chunk no more than what is found out about at once; the rest is read again.
    async fn visible(&self, mut chunk: Chunk) -> Result<Chunk, End> {
        let reader = &self.plan.reader;
        if chunk.items.is_empty() || reader.sees_everything().await.map_err(End::Failed)? {
            return Ok(chunk);
        }
        let mut sight = Sight::of(reader);
        sight.learn(chunk.items.iter().map(|item| item.namespace.as_str())).await.map_err(End::Failed)?;
        let mut visible = Vec::new();
        let mut position = None;
        for mut item in chunk.items {
            let Some(sees) = sight.sees(&item.namespace) else {
                (chunk.position, chunk.at_end) = (position.unwrap_or(chunk.position), false);
                break;
            };
            position = Some(item.position);
            match &mut item.body {
                Body::Gap(body) if !sees => {
                    let gap = Gap::decode(&**body).unwrap_or_else(|_| gap::of_corrupt_record(item.position.time));
                    *body = Gap { text: String::new(), text_message: None, ..gap }.encode_to_vec();
                }
                Body::Diagnosis(_) if !sees => continue,
                Body::Diagnosis(_) | Body::Gap(_) => {}
            }
            visible.push(item);
        }
        Ok(Chunk { items: visible, ..chunk })
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
                Err(End::Failed(unavailable("the stream was not read for too long; resume it")))
            }
        }
    }
}
