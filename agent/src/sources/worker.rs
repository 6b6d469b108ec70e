//! A source on an OS thread of its own, for interfaces that are read by poll(2).
//!
//! The thread runs the source's `run` function, and again after growing pauses when it ends, until it is told to stop. What
//! one run of a source ends by never reaches another source. Health is told at start and at each change only.

use std::{
    convert::Infallible,
    hash::{BuildHasher, RandomState},
    io,
    os::fd::{AsFd, BorrowedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use coroner_diagnosis::observation::{Fact, Health, Observation};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};
use thiserror::Error;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::error;

use super::outlet::Outlet;

/// The first pause before a source is run again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: an interface that appears later is found within this time.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A run that lasted so long was a good one: the next pause is the first again.
const GOOD_RUN: Duration = Duration::from_mins(1);

/// Why a run of a source ended.
#[derive(Debug, Error)]
pub(crate) enum End {
    /// The agent stops.
    #[error("told to stop")]
    Stopped,
    /// The node does not have the interface, or does not let the agent use it.
    #[error("{0}")]
    Absent(String),
    /// It worked or should have.
    #[error("{action}: {error}")]
    Failed {
        /// What was being done to what.
        action: String,
        /// What came of it.
        error: io::Error,
    },
}

impl End {
    /// For `map_err`: what was being done when the error came.
    pub(crate) fn failed<E: Into<io::Error>>(action: impl Into<String>) -> impl FnOnce(E) -> Self {
        let action = action.into();
        |error| Self::Failed { action, error: error.into() }
    }
}

/// What a source's thread works with.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Where observations go.
    pub(crate) outlet: Outlet,
    stop: Arc<EventFd>,
    health: Option<Health>,
}

impl Worker {
    /// Starts the thread `name` (at most 15 bytes). `run` ends only by an [`End`].
    pub(crate) fn spawn(
        tracker: &TaskTracker,
        cancel: &CancellationToken,
        outlet: Outlet,
        name: &'static str,
        run: impl FnMut(&mut Self) -> Result<Infallible, End> + Send + 'static,
    ) {
        let started =
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(Arc::new).and_then(|stop| {
                let mut worker = Self { outlet: outlet.clone(), stop: Arc::clone(&stop), health: None };
                // Cancelled with `cancel`, and when the thread has ended by itself.
                let ended = cancel.child_token();
                let (alive, guard) = (tracker.token(), ended.clone().drop_guard());
                thread::Builder::new()
                    .name(name.to_owned())
                    .spawn(move || {
                        let _until_the_end = (guard, alive);
                        worker.run_until_stopped(name, run);
                    })
                    .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or_default()))?;
                tracker.spawn(async move {
                    ended.cancelled().await;
                    if let Err(error) = stop.write(1) {
                        error!(%error, name, "Cannot stop the thread of a source");
                    }
                });
                Ok(())
            });
        if let Err(error) = started {
            error!(%error, name, "Cannot start the thread of a source");
            tracker.spawn(async move { outlet.health(Health::Absent(format!("no thread for it: {error}"))).await });
        }
    }

    fn run_until_stopped(&mut self, name: &str, mut run: impl FnMut(&mut Self) -> Result<Infallible, End>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let started = Instant::now();
            let end = catch_unwind(AssertUnwindSafe(|| run(self)));
            let health = match end {
                Ok(Ok(never)) => match never {},
                Ok(Err(End::Stopped)) => return,
                Ok(Err(End::Absent(reason))) => Health::Absent(reason),
                Ok(Err(failed @ End::Failed { .. })) => Health::Degraded(failed.to_string()),
                Err(_) => {
                    error!(name, "The thread of a source panicked; it is run again");
                    Health::Degraded("it panicked, and is run again".to_owned())
                }
            };
            if started.elapsed() >= GOOD_RUN {
                pause = FIRST_PAUSE;
            }
            if self.health(health).is_err() || self.pause(jittered(pause)).is_err() {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Tells how well the source sees, if that is news.
    pub(crate) fn health(&mut self, health: Health) -> Result<(), End> {
        if self.health.as_ref() == Some(&health) {
            return Ok(());
        }
        self.health = Some(health.clone());
        self.send(self.outlet.now(Fact::Health(self.outlet.source(), health)))
    }

    /// Hands an observation on. Waits for room.
    pub(crate) fn send(&self, observation: Observation) -> Result<(), End> {
        if self.outlet.send_blocking(observation) { Ok(()) } else { Err(End::Stopped) }
    }

    /// Waits until `fd` can be read, or is broken, which reading it then tells. False when `timeout` came first.
    pub(crate) fn readable(&self, fd: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<bool, End> {
        self.wait(Some(fd), timeout)
    }

    /// Waits for so long.
    pub(crate) fn pause(&self, duration: Duration) -> Result<(), End> {
        let end = Instant::now() + duration;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.wait(None, Some(left))?;
        }
    }

    fn wait(&self, fd: Option<BorrowedFd<'_>>, timeout: Option<Duration>) -> Result<bool, End> {
        let stop = PollFd::new(self.stop.as_fd(), PollFlags::POLLIN);
        let watched = PollFd::new(fd.unwrap_or_else(|| self.stop.as_fd()), PollFlags::POLLIN);
        // Rounded up, so that a wait never becomes a spin of waits of 0 ms.
        let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
            PollTimeout::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = [stop, watched];
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(End::failed("poll")(error)),
        }
        if fds[0].any() == Some(true) { Err(End::Stopped) } else { Ok(fds[1].any() == Some(true)) }
    }
}

/// Between a half and the whole of `pause`: sources that fell together do not rise together.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1000;
    pause / 2 + pause.mul_f64(f64::from(u32::try_from(random).unwrap_or_default()) / 2000.0)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use coroner_diagnosis::observation::Source;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn runs_again_after_failures_and_panics_and_tells_health_only_when_it_changes() {
        let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
        let (sender, mut receiver) = mpsc::channel(16);
        let runs = AtomicU32::new(0);
        Worker::spawn(&tracker, &cancel, Outlet::new(Source::Procfs, sender), "test", move |worker| {
            match runs.fetch_add(1, Ordering::Relaxed) {
                0 => Err(End::Absent("not there".to_owned())),
                1 => panic!("a fault of the source"),
                _ => {
                    worker.health(Health::Ok)?;
                    worker.health(Health::Ok)?;
                    worker.health(Health::Degraded("half".to_owned()))?;
                    worker.pause(Duration::from_hours(1))?;
                    unreachable!("an hour is longer than this test")
                }
            }
        });
        let mut told = Vec::new();
        while told.len() < 4 {
            match receiver.recv().await.unwrap().fact {
                Fact::Health(Source::Procfs, health) => told.push(health),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(told[0], Health::Absent("not there".to_owned()));
        assert!(matches!(&told[1], Health::Degraded(reason) if reason.contains("panicked")));
        assert_eq!(told[2..], [Health::Ok, Health::Degraded("half".to_owned())]);

        cancel.cancel();
        tracker.close();
        tracker.wait().await;
    }

    #[tokio::test]
    async fn ends_when_nobody_listens_any_more() {
        let tracker = TaskTracker::new();
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        Worker::spawn(&tracker, &CancellationToken::new(), Outlet::new(Source::Procfs, sender), "test", |worker| {
            loop {
                worker.send(worker.outlet.now(Fact::Health(Source::Procfs, Health::Ok)))?;
            }
        });
        tracker.close();
        tracker.wait().await;
    }
}
