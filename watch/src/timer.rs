//! The timer of connections. A process that gets no processor reads late what has long arrived: that an answer was not
//! read in time is then no statement about who was asked.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use coroner_runtime::clock::LATE;
use hyper::rt::{Sleep, Timer};
use tokio::time::{self, Instant};

/// A process that was late reads within this time what has arrived meanwhile.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Gives a process that was late itself the time to catch up before a deadline counts as passed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PatientTimer;

impl Timer for PatientTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(PatientSleep(Box::pin(time::sleep_until(deadline.into()))))
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }
}

struct PatientSleep(Pin<Box<time::Sleep>>);

impl Future for PatientSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.0.as_mut().poll(context));
            let now = Instant::now();
            if now.duration_since(self.0.deadline()) <= LATE {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(now + CATCH_UP);
        }
    }
}

impl Sleep for PatientSleep {}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll};

    use super::*;

    /// Whether the time has come.
    async fn is_over(sleep: &mut Pin<Box<dyn Sleep>>) -> bool {
        poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context).is_ready())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_passes_when_it_is_noticed_in_time_and_otherwise_after_what_has_arrived_was_read() {
        let asked = Duration::from_secs(10);
        for noticed_after in [Duration::ZERO, LATE] {
            let mut sleep = PatientTimer.sleep(asked);
            assert!(!is_over(&mut sleep).await);
            time::advance(asked + noticed_after).await;
            assert!(is_over(&mut sleep).await, "{noticed_after:?}");
        }
        let mut sleep = PatientTimer.sleep(asked);
        time::advance(asked + 2 * LATE).await;
        assert!(!is_over(&mut sleep).await);
        time::advance(CATCH_UP).await;
        assert!(is_over(&mut sleep).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_stays_late_concludes_nothing() {
        let mut sleep = PatientTimer.sleep(Duration::from_secs(10));
        for _ in 0..5 {
            time::advance(Duration::from_secs(20)).await;
            assert!(!is_over(&mut sleep).await);
        }
    }
}
