//! The feed: what the ledger holds, as streams that lose nothing.

mod frames;
mod plan;
mod slots;
mod stream;
mod timing;

use std::sync::Arc;

use coroner_proto::v1::WatchDiagnosesRequest;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Status;

pub(crate) use self::frames::Frames;
pub use self::timing::Timing;
use self::{
    plan::Plan,
    slots::{Kind, Slots},
    stream::Task,
};
use crate::{
    auth::Caller,
    budget::Budget,
    ledger::{self, Ledger},
    token::ResumeToken,
    unavailable::unavailable,
};

/// The streams of the feed, and how many may be open.
#[derive(Clone, Debug)]
pub struct Feed {
    ledger: Arc<Ledger>,
    timing: Timing,
    slots: Arc<Slots>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Feed {
    /// A feed from a ledger. Its streams end when `stop` is cancelled, and run as `tasks`.
    pub fn new(
        ledger: Arc<Ledger>,
        timing: Timing,
        budget: Budget,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self { ledger, timing, slots: Arc::new(Slots::new(budget)), tasks, stop }
    }

    /// The number of open streams.
    pub fn open_count(&self) -> usize {
        self.slots.open_count()
    }

    /// The token of a stream from now on.
    ///
    /// # Errors
    /// If the ledger cannot be read.
    pub(crate) async fn now(&self) -> Result<String, ledger::Error> {
        let position = self.ledger.stream(ledger::last).await?;
        Ok(ResumeToken { epoch: self.ledger.epoch(), position }.encode())
    }

    /// Opens a stream for this request and caller.
    pub(crate) fn watch(&self, request: WatchDiagnosesRequest, caller: &Caller) -> Result<Frames, Status> {
        self.open(Plan::new(request, caller.reader()?)?, Kind::Program, caller)
    }

    /// Opens a stream for a browser, of which there may be many: its batches are small.
    pub(crate) fn watch_lightly(&self, request: WatchDiagnosesRequest, caller: &Caller) -> Result<Frames, Status> {
        self.open(Plan::new(request, caller.reader()?)?.light(), Kind::Browser, caller)
    }

    fn open(&self, plan: Plan, kind: Kind, caller: &Caller) -> Result<Frames, Status> {
        let own = caller.stream_slot()?;
        let slot = self.slots.of(caller, kind);
        let slot = slot.ok_or_else(|| unavailable("as many streams are open as there may be"))?;
        let (task, frames) = Task::new(Arc::clone(&self.ledger), plan, self.timing, self.stop.clone(), (slot, own));
        self.tasks.spawn(task.run());
        Ok(frames)
    }
}
