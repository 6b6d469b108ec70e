//! The thread that writes: all pushes that wait go into one transaction, and each is answered after the commit. What has to
//! go by retention goes in small steps between two transactions, so that no push waits for more than one step.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Error, Logged, Offset, Push, Retention, Store, calendar::Calendar};

/// Records of one transaction, roughly: it takes no further push behind this many.
const GROUP_RECORDS: usize = 4_000;
/// Records that one step of retention removes, beside as many as were just stored.
const STEP_RECORDS: usize = 500;
/// How long to leave the disk alone after an error.
const PAUSE: Duration = Duration::from_millis(200);

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Store, commit, answer. If it cannot be stored, the answer is dropped.
    Append { push: Push, reply: oneshot::Sender<i64> },
    /// Take over what a log holds next, commit, answer with how far it is taken over. If it cannot be, the answer is dropped.
    Follow { logged: Vec<Logged>, reply: oneshot::Sender<Offset> },
    /// Look for what has become too old; answer with the time to judge that by.
    Expire { reply: oneshot::Sender<i64> },
    /// End behind what came before.
    Close,
}

/// Writes until it is told to close or every sender is gone. Ends early, with an error, only if the stored data itself is damaged.
pub(super) fn run(
    mut store: Store,
    mut jobs: mpsc::Receiver<Job>,
    committed: &watch::Sender<Offset>,
    retention: Retention,
) -> Result<(), Error> {
    let mut calendar = Calendar::new(store.due(retention)?, now(), Instant::now());
    let mut expiring = true;
    let mut failing = false;
    loop {
        let first = if expiring {
            match jobs.try_recv() {
                Ok(job) => Some(job),
                Err(mpsc::error::TryRecvError::Empty) => None,
                Err(mpsc::error::TryRecvError::Disconnected) => return Ok(()),
            }
        } else {
            match jobs.blocking_recv() {
                Some(job) => Some(job),
                None => return Ok(()),
            }
        };
        let mut group = Group::default();
        if let Some(job) = first {
            group.add(job);
        }
        while group.records < GROUP_RECORDS && !group.close {
            let Ok(job) = jobs.try_recv() else { break };
            group.add(job);
        }
        let turn = turn(&mut store, &mut group, committed, retention, &mut calendar, expiring);
        if group.close {
            return turn.map(drop);
        }
        expiring = match turn {
            Ok(more) => {
                // Who only asks where to go on is answered by a disk that is full, too.
                if group.writes && std::mem::take(&mut failing) {
                    tracing::info!("Ledger can be written again");
                }
                more
            }
            Err(error) if error.is_about_data() => return Err(error),
            Err(error) => {
                // The agents keep what was not answered and come again.
                if !std::mem::replace(&mut failing, true) {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, "Ledger cannot be written; pushes are refused until it can");
                }
                std::thread::sleep(PAUSE);
                false
            }
        };
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
    expire: Vec<oneshot::Sender<i64>>,
    close: bool,
}

impl Group {
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
            Job::Expire { reply } => self.expire.push(reply),
            Job::Close => self.close = true,
        }
    }
}

/// Commits one group, answers it, and takes one step of retention if there is need. True if another step may be needed.
fn turn(
    store: &mut Store,
    group: &mut Group,
    committed: &watch::Sender<Offset>,
    retention: Retention,
    calendar: &mut Calendar,
    expiring: bool,
) -> Result<bool, Error> {
    if !group.logged.is_empty() {
        store.follow(&group.logged)?;
        tell(store, committed)?;
        for follower in group.followers.drain(..) {
            let _gone = follower.send(store.followed());
        }
    }
    if !group.pushes.is_empty() {
        let acknowledged = store.append(&group.pushes, now())?;
        tell(store, committed)?;
        for (reply, acknowledged) in group.replies.drain(..).zip(acknowledged) {
            // A client that has gone asks again.
            let _gone = reply.send(acknowledged);
        }
    }
    if expiring || !group.expire.is_empty() || store.is_over(retention)? {
        let step = u32::try_from(group.records + STEP_RECORDS).unwrap_or(u32::MAX);
        let time = calendar.now(now(), Instant::now());
        for asked in group.expire.drain(..) {
            let _gone = asked.send(time);
        }
        return store.expire(retention, time, step);
    }
    Ok(false)
}

/// Wakes the readers if there is something new for them.
fn tell(store: &Store, committed: &watch::Sender<Offset>) -> Result<(), Error> {
    let last = store.last_offset()?;
    committed.send_if_modified(|offset| std::mem::replace(offset, last) != last);
    Ok(())
}

/// Nanoseconds since 1970.
fn now() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}
