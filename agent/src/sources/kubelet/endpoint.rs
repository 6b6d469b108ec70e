//! One endpoint of the kubelet: when it is asked, and why it has no answer.

use std::time::Duration;

use coroner_diagnosis::messages::Message;
use tokio::time::Instant;

use super::client::Failure;

/// An endpoint that failed is asked again after so long, if its turn does not come sooner.
const RETRY: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) path: &'static str,
    interval: Duration,
    /// When it is asked next; `None`: as soon as possible.
    due: Option<Instant>,
    /// Why it has no answer.
    pub(super) failure: Option<Message>,
}

impl Endpoint {
    /// An endpoint that is asked every `interval`, at once for the first time.
    pub(super) fn new(path: &'static str, interval: Duration) -> Self {
        Self { path, interval, due: None, failure: None }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// Takes the outcome of a question that was asked at `now`.
    pub(super) fn answered<T>(&mut self, answer: Result<T, Failure>, now: Instant) -> Option<T> {
        let (answer, failure) = match answer {
            Ok(answer) => (Some(answer), None),
            Err(failure) => (None, Some(failure.at(self.path))),
        };
        let wait = if failure.is_some() { self.interval.min(RETRY) } else { self.interval };
        (self.due, self.failure) = (Some(now + wait), failure);
        answer
    }

    /// What was known of it is of no use any more.
    pub(super) fn start_over(&mut self) {
        (self.due, self.failure) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use coroner_diagnosis::messages::english;

    use super::*;

    #[test]
    fn a_failure_lasts_until_the_next_answer_which_is_asked_for_soon() {
        let now = Instant::now();
        let mut endpoint = Endpoint::new("/configz", Duration::from_mins(10));
        assert!(endpoint.is_due(now));
        assert_eq!(endpoint.answered::<()>(Err(Failure::Timeout), now), None);
        assert_eq!(endpoint.failure.as_ref().map(english).as_deref(), Some("/configz: no answer within 4 s"));
        assert!(!endpoint.is_due(now + RETRY / 2) && endpoint.is_due(now + RETRY));
        assert_eq!(endpoint.answered(Ok(7), now), Some(7));
        assert_eq!(endpoint.failure, None);
        assert!(!endpoint.is_due(now + RETRY) && endpoint.is_due(now + Duration::from_mins(10)));
    }
}
