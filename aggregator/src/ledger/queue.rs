//! The way to the writer: what it is asked to do, and its answers.

use tokio::sync::{mpsc, oneshot};

use super::{
    Offset,
    error::Error,
    push::{Logged, Push},
};

/// Pushes that may wait for the writer: no more should be under way at once.
pub const MAX_PUSHES: usize = 64;

/// A job for the writer of the ledger.
#[derive(Debug)]
pub(super) enum Job {
    /// Store, commit, answer. If it cannot be stored, the answer is dropped.
    Append { push: Push, reply: oneshot::Sender<i64> },
    /// Take over what a log holds next, commit, answer with how far it is taken over. If it cannot be, the answer is
    /// dropped.
    Follow { logged: Vec<Logged>, reply: oneshot::Sender<Offset> },
    /// Index all that waits, commit, answer. If it cannot be indexed, the answer is dropped.
    File { reply: oneshot::Sender<()> },
    /// Look for what has become too old; answer with the time to judge that by.
    Expire { reply: oneshot::Sender<i64> },
    /// End behind what came before.
    Close,
}

/// The bounded queue of the writer's jobs.
#[derive(Clone, Debug)]
pub(super) struct Queue(mpsc::Sender<Job>);

impl Queue {
    /// A queue, and the end that its writer reads from.
    pub(super) fn new() -> (Self, mpsc::Receiver<Job>) {
        let (jobs, queue) = mpsc::channel(MAX_PUSHES);
        (Self(jobs), queue)
    }

    /// Stores a push in this aggregator's own file; gives what is acknowledged.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the queue is full, or it cannot be stored now.
    pub(super) async fn append(&self, push: Push) -> Result<i64, Error> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(Job::Append { push, reply }).map_err(|_| Error::Unavailable)?;
        answer.await.map_err(|_| Error::Unavailable)
    }

    /// Appends a push; waits for space in the queue.
    pub(super) async fn append_in_turn(&self, push: Push) -> Result<i64, Error> {
        self.ask(|reply| Job::Append { push, reply }).await
    }

    /// Takes over what a log holds next; gives how far it is taken over.
    pub(super) async fn follow(&self, logged: Vec<Logged>) -> Result<Offset, Error> {
        self.ask(|reply| Job::Follow { logged, reply }).await
    }

    /// Has the writer index all that is acknowledged by now, if it can.
    pub(super) async fn file(&self) {
        let _not_now = self.ask(|reply| Job::File { reply }).await;
    }

    /// Makes the writer look for what has become too old; `None` if the queue is full, or the writer has ended.
    pub(super) async fn expire(&self) -> Option<i64> {
        let (reply, answer) = oneshot::channel();
        // A full queue has it look soon enough by itself.
        self.0.try_send(Job::Expire { reply }).ok()?;
        answer.await.ok()
    }

    /// Has the writer end behind what it was given.
    pub(super) async fn close(&self) {
        let _ended = self.0.send(Job::Close).await;
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.0.send(job(reply)).await.map_err(|_| Error::Unavailable)?;
        answer.await.map_err(|_| Error::Unavailable)
    }
}
