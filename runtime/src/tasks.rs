//! Supervised tasks: every task that a program runs for long has a name, runs under a [`Group`], and never ends
//! unnoticed.
//!
//! - A *restarting* task that panics or ends is run again after a delay ([`Backoff`]); meanwhile it counts as down.
//! - A *fatal* task is run once; if it panics, fails, or ends before it was asked to, [`Supervisor::failed`] reports
//!   it, and the program has to end with that error.
//!
//! What a task's work needs (a socket, a peer) may come and go without the task ending: that is the task's own
//! business. An end is a fault of the program.

mod caught;
mod table;
mod thread;

use std::{
    borrow::Cow,
    convert::Infallible,
    error::Error,
    fmt,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    select,
    sync::watch,
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument as _, error, info_span, warn};

use self::table::{Row, Table};
pub use self::{
    caught::{Panicked, caught},
    table::{End, Need, TaskState, TaskStatus},
    thread::{NoThread, on_thread},
};
use crate::{backoff::Backoff, error::chain, messages, metrics::Metrics, problem::Problem};

/// The first delay before a task is run again,
const FIRST_DELAY: Duration = Duration::from_millis(500);
/// the longest,
const LONGEST_DELAY: Duration = Duration::from_mins(1);
/// and how long a run has to last for the next delay to be a first one again.
const GOOD_RUN: Duration = Duration::from_mins(1);
/// How long an aborted task may take to reach its next point of waiting.
const ABORT: Duration = Duration::from_secs(1);

/// Whether the result of a task is a success: `()` always is, an `Err` is a failure.
pub trait Ending {
    /// The failure, in one line.
    fn failure(self) -> Option<String>;
}

impl Ending for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl Ending for Infallible {
    fn failure(self) -> Option<String> {
        match self {}
    }
}

impl<T, E: Error> Ending for Result<T, E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| chain(&error))
    }
}

/// A task without which the program cannot go on has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The name by which it was started, as in logs and metrics.
    pub task: String,
    /// Why the task has ended.
    pub reason: String,
}

impl From<Failure> for Problem {
    fn from(Failure { task, reason }: Failure) -> Self {
        messages::problem(messages::task_cannot_go_on(task, reason))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Problem::from(self.clone()).fmt(formatter)
    }
}

impl Error for Failure {}

/// Knows all tasks of the program. Cloned freely; all clones are one.
#[derive(Clone, Debug)]
pub struct Supervisor {
    table: Table,
    failure: Arc<watch::Sender<Option<Failure>>>,
}

impl Supervisor {
    /// A supervisor without tasks, which shows them as `task_up{task}` and `task_restarts_total{task}`.
    pub fn new(metrics: &Metrics) -> Self {
        Self { table: Table::new(metrics), failure: Arc::new(watch::Sender::new(None)) }
    }

    /// A group of tasks that are stopped together.
    pub fn group(&self) -> Group {
        Group {
            supervisor: self.clone(),
            stop: CancellationToken::new(),
            tracker: TaskTracker::new(),
            handles: Arc::default(),
        }
    }

    /// All tasks as they are, in the order in which they were started.
    pub fn tasks(&self) -> Vec<TaskStatus> {
        self.table.all()
    }

    /// Whether every required task runs.
    pub fn is_ready(&self) -> bool {
        self.table.is_ready() && self.failure().is_none()
    }

    /// The first failure of a fatal task, if there was one.
    pub fn failure(&self) -> Option<Failure> {
        self.failure.borrow().clone()
    }

    /// Waits for a fatal task to fail.
    pub async fn failed(&self) -> Failure {
        let mut failure = self.failure.subscribe();
        match failure.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone()) {
            Some(failure) => failure,
            // The sender lives in `self`.
            None => std::future::pending().await,
        }
    }

    fn fail(&self, task: String, reason: String) {
        error!(task, reason, "A task cannot go on");
        self.failure.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(Failure { task, reason });
            is_first
        });
    }
}

/// Tasks that are stopped together. Cloned freely; all clones are one.
#[derive(Clone, Debug)]
pub struct Group {
    supervisor: Supervisor,
    stop: CancellationToken,
    tracker: TaskTracker,
    /// Of tasks that may still run.
    handles: Arc<Mutex<Vec<(String, AbortHandle)>>>,
}

impl Group {
    /// Runs a task, and again whenever it panics or ends, until the group stops. `run` gets the token that is cancelled
    /// then; after that, its end is a regular one.
    pub fn restarting<F, R>(&self, name: impl Into<Cow<'static, str>>, need: Need, mut run: F)
    where
        F: FnMut(CancellationToken) -> R + Send + 'static,
        R: Future<Output: Ending> + Send,
    {
        let row = self.supervisor.table.enter(name.into().into_owned(), need);
        let stop = self.stop.clone();
        self.spawn(row, |row| async move {
            let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
            loop {
                let started = Instant::now();
                // Within the block, so that a panic before the future is made is caught too.
                let failure = failure_of(async { Box::pin(run(stop.clone())).await }).await;
                if stop.is_cancelled() {
                    if let Some(end) = failure {
                        warn!(reason = %end, "A task failed while it stopped");
                    }
                    return;
                }
                if started.elapsed() >= GOOD_RUN {
                    backoff.reset();
                }
                let delay = backoff.next();
                let end = failure.unwrap_or(End::Ended);
                warn!(reason = %end, ?delay, "A task ended and is started again");
                row.fell(end);
                if stop.run_until_cancelled(sleep(delay)).await.is_none() {
                    return;
                }
                row.restarted();
            }
        });
    }

    /// Runs a task once. If it panics or fails, or ends before the group stops, [`Supervisor::failed`] reports it.
    pub fn fatal<R>(
        &self,
        name: impl Into<Cow<'static, str>>,
        run: impl FnOnce(CancellationToken) -> R + Send + 'static,
    ) where
        R: Future<Output: Ending> + Send,
    {
        let row = self.supervisor.table.enter(name.into().into_owned(), Need::Ready);
        let (supervisor, stop) = (self.supervisor.clone(), self.stop.clone());
        self.spawn(row, |row| async move {
            let failure = failure_of(async { Box::pin(run(stop.clone())).await }).await;
            let failure = failure.or_else(|| (!stop.is_cancelled()).then_some(End::Ended));
            if let Some(end) = failure {
                let reason = end.to_string();
                row.fell(end);
                supervisor.fail(row.name().to_owned(), reason);
                // Shown as down for as long as the program still lives.
                stop.cancelled().await;
            }
        });
    }

    /// Cancelled when the group stops.
    pub fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// For the short-lived children of a group's tasks, such as connections, which have no name of their own: waited
    /// for as tasks are.
    pub fn children(&self) -> &TaskTracker {
        &self.tracker
    }

    /// Asks all tasks to stop, and waits for their end. Who is late is aborted; their names.
    pub async fn stop(&self, deadline: Duration) -> Vec<String> {
        self.stop.cancel();
        self.tracker.close();
        let mut ended = pin!(self.tracker.wait());
        select! {
            () = &mut ended => return Vec::new(),
            () = sleep(deadline) => {}
        }
        let handles = std::mem::take(&mut *self.handles.lock().unwrap_or_else(PoisonError::into_inner));
        let late: Vec<_> = handles.into_iter().filter(|(_, task)| !task.is_finished()).collect();
        let names = late.iter().map(|(name, task)| {
            task.abort();
            name.clone()
        });
        let names = names.collect();
        // A child that hangs is left behind.
        let _left_behind = timeout(ABORT, ended).await;
        names
    }

    fn spawn<R: Future<Output = ()> + Send + 'static>(&self, row: Row, task: impl FnOnce(Row) -> R) {
        let name = row.name().to_owned();
        let span = info_span!("task", name);
        let handle = self.tracker.spawn(task(row).instrument(span)).abort_handle();
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.retain(|(_, task)| !task.is_finished());
        handles.push((name, handle));
    }
}

/// Why a run of a task failed, if it did.
async fn failure_of<R: Future<Output: Ending>>(run: R) -> Option<End> {
    match caught(run).await {
        Ok(ending) => ending.failure().map(End::Failed),
        Err(panicked) => Some(End::Panicked(panicked.message().to_owned())),
    }
}

#[cfg(test)]
mod tests;
