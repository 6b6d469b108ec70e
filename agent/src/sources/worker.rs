//! What a source works with on an OS thread of its own, for interfaces that are read by poll(2).

use std::{
    cell::Cell,
    convert::Infallible,
    fmt::Display,
    io,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use coroner_diagnosis::{
    messages::{Message, health},
    observation::{Fact, Health, Observation, Reason},
};
use coroner_runtime::{
    backoff::Backoff,
    tasks::{NoThread, on_thread},
};
use jiff::Timestamp;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{outlet::Outlet, readers::Readers};

/// The first pause before an interface that failed is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: an interface that appears later is found within this time.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A run that lasted so long was a good one: the next pause is the first again.
const GOOD_RUN: Duration = Duration::from_mins(1);

/// Why a run of a source ended.
#[derive(Debug, Error)]
pub(crate) enum End {
    /// The agent stops.
    #[error("the agent stops")]
    Stopped,
    /// The node does not have the interface, or does not let the agent use it.
    #[error("{0}")]
    Absent(Reason),
    /// It worked or should have.
    #[error("{0}")]
    Failed(Reason),
}

impl End {
    /// The node does not have the interface, or does not let the agent use it.
    pub(crate) fn absent(reason: impl Into<Reason>) -> Self {
        Self::Absent(reason.into())
    }

    /// For `map_err`: the call that failed.
    pub(crate) fn failed<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> Self {
        move |error| {
            let error: io::Error = error.into();
            Self::Failed(health::health_call_failed(call, error.to_string()).into())
        }
    }

    /// For `map_err`: the file or directory that could not be read.
    pub(crate) fn unreadable<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> Self {
        move |error| {
            let error: io::Error = error.into();
            Self::Failed(unreadable(path, &error).into())
        }
    }

    /// The end as the reason of something else.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::Stopped => Reason::quote(self.to_string()),
            Self::Absent(reason) | Self::Failed(reason) => reason,
        }
    }
}

/// Why a file or directory could not be read.
pub(crate) fn unreadable(path: &Path, error: &dyn Display) -> Message {
    health::health_unreadable(path.display().to_string(), error.to_string())
}

/// What the thread of a source works with: its outlet, its stop signal and its wake-ups.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The outlet for its observations.
    pub(crate) outlet: Outlet,
    stop: Arc<EventFd>,
    /// Wakes it to read, and to confirm how far it has.
    ask: Arc<EventFd>,
    /// When it was asked last, until it has confirmed.
    asked: Cell<Option<Timestamp>>,
}

/// Runs a source on a thread, and again after growing pauses when its interface failed or is not there, until stopped.
///
/// # Errors
/// If the source panicked, or there is no thread for it.
pub(super) async fn run_on_thread<F>(
    outlet: Outlet,
    run: Arc<Mutex<F>>,
    readers: Readers,
    stop: CancellationToken,
) -> Result<(), NoThread>
where
    F: FnMut(&mut Worker) -> Result<Infallible, End> + Send + 'static,
{
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let started = Instant::now();
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map(Arc::new)
            .map_err(|error| NoThread::Refused(error.into()))?;
        let ask = readers.add().map_err(|error| NoThread::Refused(error.into()))?;
        // The first confirmation shows that the source gives any.
        let asked = Cell::new(Some(Timestamp::now()));
        let mut worker = Worker { outlet: outlet.clone(), stop: Arc::clone(&wake), ask, asked };
        let run = Arc::clone(&run);
        // What a run that panicked has left is what the next one starts from.
        let work = move || run.lock().unwrap_or_else(PoisonError::into_inner)(&mut worker);
        let running = on_thread(outlet.source().name(), work);
        let mut running = std::pin::pin!(running);
        let end = tokio::select! {
            end = &mut running => end?,
            () = stop.cancelled() => {
                if let Err(error) = wake.write(1) {
                    error!(%error, "Cannot stop the thread of a source");
                }
                running.await?
            }
        };
        let health = match end {
            Ok(never) => match never {},
            Err(End::Stopped) => return Ok(()),
            Err(End::Absent(reason)) => Health::Absent(reason),
            Err(End::Failed(reason)) => Health::Degraded(reason),
        };
        if started.elapsed() >= GOOD_RUN {
            backoff.reset();
        }
        outlet.health(health).await;
        if stop.run_until_cancelled(tokio::time::sleep(backoff.next())).await.is_none() {
            return Ok(());
        }
    }
}

impl Worker {
    /// Reports how well the source sees, if that is news.
    pub(crate) fn health(&self, health: Health) -> Result<(), End> {
        if self.outlet.health_blocking(health) { Ok(()) } else { Err(End::Stopped) }
    }

    /// Passes an observation on. Waits for space.
    pub(crate) fn send(&self, observation: Observation) -> Result<(), End> {
        if self.outlet.send_blocking(observation) { Ok(()) } else { Err(End::Stopped) }
    }

    /// Waits until `fd` can be read, or is broken, which reading it then shows, or should be read to confirm that there
    /// is nothing. False when `timeout` came first. Everything that was there must have been read before.
    pub(crate) fn readable(&self, fd: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<bool, End> {
        self.outlet.touch_now();
        if let Some(at) = self.asked.take() {
            let fact = Fact::ReadUpTo(self.outlet.source());
            self.send(Observation { seen_at: Timestamp::now(), happened_at: at, fact })?;
        }
        self.wait(Some(fd), timeout)
    }

    /// Waits for this duration, or until the source has to stop.
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
        let ask = PollFd::new(self.ask.as_fd(), PollFlags::POLLIN);
        // Rounded up, so that a wait never becomes a spin of waits of 0 ms.
        let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
            PollTimeout::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = [stop, watched, ask];
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(End::failed("poll")(error)),
        }
        if fds[0].any() == Some(true) {
            return Err(End::Stopped);
        }
        let is_asked = fds[2].any() == Some(true);
        if is_asked {
            self.ask.read().map_err(End::failed("read an eventfd"))?;
            self.asked.set(Some(Timestamp::now()));
        }
        Ok(is_asked || fds[1].any() == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    use coroner_diagnosis::observation::{Source, disk::Pids};

    use super::*;
    use crate::sources::testing::Running;

    #[tokio::test]
    async fn a_reader_that_is_asked_reads_what_is_there_before_it_confirms() {
        let (mut writer, reader) = UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        let (mut running, mut readers) = (Running::new(), None);
        let start = running.start(Source::Signals, |site| {
            readers = Some(site.readers());
            site.thread(&site.outlet(Source::Signals), move |worker| {
                worker.health(Health::Ok)?;
                loop {
                    match (&reader).read(&mut [0]) {
                        Ok(_) => worker.send(worker.outlet.now(Fact::Pids(Pids { max: 1, current: 1 })))?,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            worker.readable(reader.as_fd(), None)?;
                        }
                        Err(error) => return Err(End::failed("read")(error)),
                    }
                }
            });
        });
        start.await;
        let readers = readers.unwrap();
        for written in 1..=3 {
            writer.write_all(b"x").unwrap();
            let asked = Timestamp::now();
            readers.ask();
            let confirms = Fact::ReadUpTo(Source::Signals);
            running.until(|seen| (seen.fact == confirms && seen.happened_at >= asked).then_some(())).await;
            assert_eq!(running.seen.iter().filter(|seen| matches!(seen.fact, Fact::Pids(_))).count(), written);
        }
        running.stop().await;
    }
}
