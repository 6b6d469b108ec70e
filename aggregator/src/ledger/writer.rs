//! The thread that writes: all pushes that wait go into one transaction, and each is answered after the commit. What
//! they bring is filed in it or, where there is much, [later](super::flood). What has to go by retention goes in small
//! steps between two transactions, so that no push waits for more than one step.

use std::{
    fs::File,
    io,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use coroner_runtime::error::chain;
use tokio::{
    runtime::{self, Runtime},
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Offset,
    calendar::Calendar,
    error::Error,
    flood::Flood,
    push::{Logged, Push},
    queue::Job,
    retention::Retention,
    store::Store,
};
use crate::time::now;

/// Records of one transaction, roughly: it takes no further push behind this many.
const GROUP_RECORDS: usize = 4_000;
/// Records that are filed in one transaction, roughly: pushes wait for about a second. More at once are cheaper each,
/// as they share pages of the indexes.
const FILE_RECORDS: i64 = 50_000;
/// Records that one step of retention removes, beside as many as were just stored.
const STEP_RECORDS: usize = 500;
/// How long to leave the disk alone after an error.
const PAUSE: Duration = Duration::from_millis(200);

/// The thread of the ledger's one writer.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<Result<(), Error>>,
    ended: CancellationToken,
}

impl Writer {
    /// Starts it. It keeps `held` until it has ended.
    pub(super) fn start(
        store: Store,
        jobs: mpsc::Receiver<Job>,
        committed: watch::Sender<Offset>,
        retention: Retention,
        held: File,
    ) -> io::Result<Self> {
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let timer = runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = thread::Builder::new().name("ledger".into()).spawn(move || {
            let _held = (held, guard);
            run(store, jobs, &committed, retention, &timer)
        })?;
        Ok(Self { thread, ended })
    }

    /// Waits until it has ended: when the ledger is closed, or by itself if the stored data is damaged.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// A token that is cancelled when the writer has ended.
    pub fn ending(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// What it ended with. Blocks until it has.
    ///
    /// # Errors
    /// If the stored data is damaged, or the writer has panicked.
    pub fn join(self) -> Result<(), Error> {
        self.thread.join().unwrap_or(Err(Error::WriterFailed))
    }
}

/// Writes until it is asked to close or every sender is gone. Ends early, with an error, only if the stored data itself
/// is damaged. Of `timer` only the clock is used.
fn run(
    store: Store,
    mut jobs: mpsc::Receiver<Job>,
    committed: &watch::Sender<Offset>,
    retention: Retention,
    timer: &Runtime,
) -> Result<(), Error> {
    let calendar = Calendar::new(store.due(retention)?, now(), Instant::now());
    let flood = Flood::new(retention);
    let mut state = State { store, committed, retention, calendar, flood, expiring: true, filed: 0, asked: Vec::new() };
    let mut failing = false;
    loop {
        let first = match state.patience() {
            None => jobs.blocking_recv().map(Some),
            Some(patience) => match timer.block_on(async { timeout(patience, jobs.recv()).await }) {
                Ok(job) => job.map(Some),
                Err(_) => Some(None),
            },
        };
        let Some(first) = first else { return Ok(()) };
        let mut group = Group::default();
        if let Some(job) = first {
            group.add(job);
        }
        while group.records < GROUP_RECORDS && !group.close {
            let Ok(job) = jobs.try_recv() else { break };
            group.add(job);
        }
        let turn = state.turn(&mut group, &jobs);
        if group.close {
            return turn;
        }
        match turn {
            Ok(()) => {
                // Who only asks where to go on is answered by a disk that is full, too.
                if (group.writes || state.filed > 0) && std::mem::take(&mut failing) {
                    tracing::info!("Ledger can be written again");
                }
            }
            Err(error) if error.is_about_data() => return Err(error),
            Err(error) => {
                // The agents keep what was not answered and come again.
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(error = chain(&error), "Ledger cannot be written; pushes are refused until it can");
                }
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// Pushes that are committed together.
#[derive(Default)]
struct Group {
    pushes: Vec<Push>,
    replies: Vec<oneshot::Sender<i64>>,
    logged: Vec<Logged>,
    followers: Vec<oneshot::Sender<Offset>>,
    records: usize,
    /// Whether any of them changes the ledger.
    writes: bool,
    file: Vec<oneshot::Sender<()>>,
    expire: Vec<oneshot::Sender<i64>>,
    close: bool,
}

impl Group {
    fn is_empty(&self) -> bool {
        self.records == 0 && self.file.is_empty() && self.expire.is_empty() && !self.close
    }

    fn add(&mut self, job: Job) {
        match job {
            Job::Append { push, reply } => {
                self.records += push.entries.len().max(1);
                self.writes |= push.acknowledge > 0 || !push.entries.is_empty() || push.status.is_some();
                self.pushes.push(push);
                self.replies.push(reply);
            }
            Job::Follow { logged, reply } => {
                self.records += logged.len();
                self.writes |= !logged.is_empty();
                self.logged.extend(logged);
                self.followers.push(reply);
            }
            Job::File { reply } => self.file.push(reply),
            Job::Expire { reply } => self.expire.push(reply),
            Job::Close => self.close = true,
        }
    }
}

/// What the writer works with.
struct State<'a> {
    store: Store,
    committed: &'a watch::Sender<Offset>,
    retention: Retention,
    calendar: Calendar,
    flood: Flood,
    /// Whether retention may have more to remove.
    expiring: bool,
    /// Records that the last turn filed.
    filed: usize,
    /// Who waits until all is filed.
    asked: Vec<oneshot::Sender<()>>,
}

impl State<'_> {
    /// How long to wait for the next job before doing something else; `None` if there is nothing else to do.
    fn patience(&mut self) -> Option<Duration> {
        let patience = self.flood.patience(self.store.waiting(), Instant::now());
        if self.expiring && patience.is_none() || !self.asked.is_empty() { Some(Duration::ZERO) } else { patience }
    }

    /// Commits one group and answers it, takes one step of retention if there is need, and files what waits if it is
    /// time to.
    fn turn(&mut self, group: &mut Group, jobs: &mpsc::Receiver<Job>) -> Result<(), Error> {
        let expiring = std::mem::take(&mut self.expiring);
        let is_quiet = group.is_empty();
        if !group.logged.is_empty() {
            self.store.follow(&group.logged)?;
            self.publish()?;
            for follower in group.followers.drain(..) {
                let _gone = follower.send(self.store.followed());
            }
        }
        if !group.pushes.is_empty() {
            let pushes = std::mem::take(&mut group.pushes);
            let acknowledged = if self.flood.allows_at_once(group.records) {
                self.store.append(pushes, now())?
            } else {
                self.store.receive(pushes, now())?
            };
            self.publish()?;
            for (reply, acknowledged) in group.replies.drain(..).zip(acknowledged) {
                // A client that has gone asks again.
                let _gone = reply.send(acknowledged);
            }
        }
        // Before filing, which a full disk may need.
        if expiring || !group.expire.is_empty() || self.store.is_over(self.retention)? {
            let step = self.filed + group.records + STEP_RECORDS;
            let time = self.calendar.now(now(), Instant::now());
            for asked in group.expire.drain(..) {
                let _gone = asked.send(time);
            }
            self.expiring = self.store.expire(self.retention, time, u32::try_from(step).unwrap_or(u32::MAX))?;
        }
        self.file(group, is_quiet, jobs)
    }

    /// Files what waits if it is time to.
    fn file(&mut self, group: &mut Group, is_quiet: bool, jobs: &mpsc::Receiver<Job>) -> Result<(), Error> {
        // If it cannot be filed, who asked is answered at once.
        let mut asked = std::mem::take(&mut self.asked);
        asked.append(&mut group.file);
        let before = self.store.waiting();
        let is_time = is_quiet || !asked.is_empty() || self.flood.is_due(before, Instant::now());
        if is_time && !before.is_empty() {
            self.store.file(FILE_RECORDS, || is_quiet && !jobs.is_empty())?;
            self.publish()?;
            self.expiring |= self.store.is_over(self.retention)?;
        }
        let waiting = self.store.waiting();
        self.filed = usize::try_from(before.records - waiting.records).unwrap_or(0);
        if waiting.is_empty() {
            for asked in asked.drain(..) {
                let _gone = asked.send(());
            }
        }
        self.asked = asked;
        Ok(())
    }

    /// Wakes the readers if there is something new for them.
    fn publish(&self) -> Result<(), Error> {
        let last = self.store.last_offset()?;
        self.committed.send_if_modified(|offset| std::mem::replace(offset, last) != last);
        Ok(())
    }
}
