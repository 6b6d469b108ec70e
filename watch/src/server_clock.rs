//! The API server's clock, as the answers show it that are received anyway: nothing is asked for it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use coroner_runtime::clock::since_boot;
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

/// What was read for longer than this is no measurement any more: the two clocks drift. Watches are asked for again
/// about every five minutes.
const AGE: Duration = Duration::from_mins(30);

/// The clock: the time that the last answer showed, and when it did, since the boot of this machine. Cloned freely; all
/// clones are one.
#[derive(Clone, Debug, Default)]
pub struct ServerClock(Arc<Mutex<Option<(Timestamp, Duration)>>>);

impl ServerClock {
    /// What it shows now, to the second; `None` if no answer has shown it for half an hour. That the clock of this
    /// machine is set, or the machine suspended, changes nothing.
    pub fn now(&self) -> Option<Timestamp> {
        self.after(since_boot()?)
    }

    /// What it shows so long after the boot of this machine.
    fn after(&self, boot: Duration) -> Option<Timestamp> {
        let (then, at) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let since = boot.checked_sub(at).filter(|since| *since <= AGE)?;
        then.checked_add(SignedDuration::try_from(since).ok()?).ok()
    }

    /// Takes the time of the header `Date` (RFC 9110), if there is one.
    pub(crate) fn read<B>(&self, answer: http::Response<B>) -> http::Response<B> {
        if let Some(known) = date(&answer).zip(since_boot()) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        }
        answer
    }
}

/// The time of an answer's header `Date`, to the second.
pub fn date<B>(answer: &http::Response<B>) -> Option<Timestamp> {
    let date = answer.headers().get(http::header::DATE)?.to_str().ok()?;
    rfc2822::parse(date).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_header_is_a_time() {
        let of = |text: &str| date(&http::Response::builder().header("date", text).body(()).unwrap());
        assert_eq!(of("Sun, 29 Nov 2026 06:50:17 GMT").map(Timestamp::as_second), Some(1_795_935_017));
        assert_eq!(of("yesterday"), None);
    }

    #[test]
    fn the_header_of_an_answer_shows_the_clock_until_it_is_too_old() {
        let clock = ServerClock::default();
        let answer = |date: &str| http::Response::builder().header("date", date).body(()).unwrap();
        assert_eq!(clock.now(), None);
        let _answer = clock.read(answer("yesterday"));
        assert_eq!(clock.now(), None);
        let _answer = clock.clone().read(answer("Sun, 29 Nov 2026 06:50:17 GMT"));
        let shown = |clock: &ServerClock| clock.now().map(Timestamp::as_second);
        assert!(shown(&clock).is_some_and(|shown| (1_795_935_017..1_795_935_047).contains(&shown)));
        let _answer = clock.read(http::Response::new(()));
        let (then, at) = clock.0.lock().unwrap().unwrap();
        assert_eq!(clock.after(at + AGE), Some(then + SignedDuration::try_from(AGE).unwrap()));
        assert_eq!(clock.after(at + AGE + Duration::from_secs(1)), None);
    }
}
