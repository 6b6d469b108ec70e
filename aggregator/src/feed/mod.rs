//! The feed: what the ledger holds, as streams that lose nothing.

mod frames;
mod plan;
mod stream;
mod timing;

use std::sync::Arc;

use coroner_proto::v1::WatchDiagnosesRequest;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Status;

pub(crate) use self::frames::Frames;
pub use self::timing::Timing;
use self::{plan::Plan, stream::Task};
use crate::{auth::Caller, ledger::Ledger, unavailable::unavailable};

/// Streams at once. Each holds two batches at most: one on its way and one that waits.
const MAX_STREAMS: usize = 256;

/// All streams of the aggregator.
#[derive(Clone, Debug)]
pub struct Feed {
    ledger: Arc<Ledger>,
    timing: Timing,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Feed {
    /// A feed from a ledger. Its streams end when `stop` is cancelled, and run as `tasks`.
    pub fn new(ledger: Arc<Ledger>, timing: Timing, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { ledger, timing, slots: Arc::new(Semaphore::new(MAX_STREAMS)), tasks, stop }
    }

    /// Streams that are open.
    pub fn open_count(&self) -> usize {
        MAX_STREAMS - self.slots.available_permits()
    }

    /// Opens a stream.
    pub(crate) fn watch(&self, request: WatchDiagnosesRequest, caller: &Caller) -> Result<Frames, Status> {
        let plan = Plan::new(request, caller.reader()?)?;
        let own = caller.stream_slot()?;
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let slot = slot.map_err(|_| unavailable(format!("{MAX_STREAMS} streams are open, which is the most")))?;
        let (task, frames) = Task::new(Arc::clone(&self.ledger), plan, self.timing, self.stop.clone(), (slot, own));
        self.tasks.spawn(task.run());
        Ok(frames)
    }
}
