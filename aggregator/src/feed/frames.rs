//! The client's end of a stream.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use coroner_proto::v1::WatchDiagnosesResponse;
use futures::{FutureExt, Stream};
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

use super::slots;
use crate::{auth::Slot, unavailable::unavailable};

/// A stream's place among all, and among those of its caller.
pub(super) type Places = (slots::Slot, Slot);

/// The receiving end of a stream: the frames for its client.
#[derive(Debug)]
pub(crate) struct Frames {
    frames: mpsc::Receiver<WatchDiagnosesResponse>,
    /// How the task has ended; none once that is given.
    end: Option<oneshot::Receiver<Result<(), Status>>>,
    _places: Places,
}

impl Frames {
    /// A client's end, and the task's two.
    pub(super) fn new(
        places: Places,
    ) -> (mpsc::Sender<WatchDiagnosesResponse>, oneshot::Sender<Result<(), Status>>, Self) {
        // One frame waits while the connection sends the one before.
        let (sender, frames) = mpsc::channel(1);
        let (end, ended) = oneshot::channel();
        (sender, end, Self { frames, end: Some(ended), _places: places })
    }
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
                    Poll::Ready(ended) => {
                        self.end = None;
                        // A task that has panicked sends nothing: its client must not take that for the end.
                        let ended = ended.unwrap_or_else(|_| Err(unavailable("the stream broke off; resume it")));
                        Poll::Ready(ended.err().map(Err))
                    }
                }
            }
        }
    }
}
