//! Moments as people write them: an age, a date, a time of day, or a time with or without its zone.

use std::str::FromStr;

use jiff::{
    SignedDuration, Span, SpanRelativeTo, Timestamp, ToSpan,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

use crate::messages::{self, command};
use coroner_runtime::problem::Problem;

/// A moment. What names no zone is in that of the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// So long before now.
    Ago(SignedDuration),
    /// An instant, whatever the zone.
    At(Timestamp),
    /// A date and time; a date alone begins at 00:00.
    On(DateTime),
    /// A time of today.
    Today(Time),
    /// The beginning of yesterday.
    Yesterday,
}

impl Moment {
    pub(crate) fn resolve(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        let instant = |time: DateTime| zone.to_ambiguous_zoned(time).compatible().map_or(now, |time| time.timestamp());
        let today = || zone.to_datetime(now).date();
        match self {
            Self::Ago(age) => now.saturating_sub(age).unwrap_or(now),
            Self::At(time) => time,
            Self::On(time) => instant(time),
            Self::Today(time) => instant(today().to_datetime(time)),
            Self::Yesterday => instant(today().saturating_sub(1.day()).to_datetime(Time::midnight())),
        }
    }
}

impl FromStr for Moment {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text {
            "now" => return Ok(Self::Ago(SignedDuration::ZERO)),
            "today" => return Ok(Self::Today(Time::midnight())),
            "yesterday" => return Ok(Self::Yesterday),
            _ => {}
        }
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        // A civil time ignores a zone that it cannot be parsed with, so an instant is tried first.
        if let Ok(time) = text.parse::<DateTime>() {
            return Ok(Self::On(time));
        }
        if let Ok(date) = text.parse::<Date>() {
            return Ok(Self::On(date.to_datetime(Time::midnight())));
        }
        let clock = ["%H:%M", "%H:%M:%S", "%H:%M:%S%.f"];
        if let Some(time) = clock.iter().find_map(|format| Time::strptime(format, text).ok()) {
            return Ok(Self::Today(time));
        }
        age(text).map(Self::Ago).ok_or_else(not_a_moment)
    }
}

/// What is accepted.
pub(super) fn not_a_moment() -> Problem {
    messages::problem(command::not_a_moment())
}

/// `90s`, `1h30m`, `2d`, `1w`, `1.5h`, `2 hours ago`.
fn age(text: &str) -> Option<SignedDuration> {
    let text = text.strip_suffix("ago").unwrap_or(text).trim();
    let span = text.parse::<Span>().ok()?;
    let age = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    (!age.is_negative()).then_some(age)
}

/// A duration of at least a second, such as `90s` or `1h30m`.
pub(super) fn parse_duration(text: &str) -> Result<SignedDuration, Problem> {
    let at_least = |duration: &SignedDuration| *duration >= SignedDuration::from_secs(1);
    age(text).filter(at_least).ok_or_else(|| messages::problem(command::not_a_duration()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str, zone: &TimeZone) -> String {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        text.parse::<Moment>().unwrap().resolve(now, zone).to_string()
    }

    #[test]
    fn ages_count_back_from_now() {
        for (text, wanted) in [
            ("90s", "2026-11-20T09:58:30Z"),
            ("1h30m", "2026-11-20T08:30:00Z"),
            ("1.5h", "2026-11-20T08:30:00Z"),
            ("2h ago", "2026-11-20T08:00:00Z"),
            ("2d", "2026-11-18T10:00:00Z"),
            ("1w", "2026-11-13T10:00:00Z"),
            ("now", "2026-11-20T10:00:00Z"),
        ] {
            assert_eq!(resolved(text, &TimeZone::UTC), wanted, "{text}");
        }
    }

    #[test]
    fn what_names_no_zone_is_in_that_of_the_reader() {
        let shanghai = TimeZone::fixed(jiff::tz::offset(8));
        for (text, wanted) in [
            ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"),
            ("2026-01-31T10:00:00+01:00", "2026-01-31T09:00:00Z"),
            ("2026-01-31T10:00", "2026-01-31T02:00:00Z"),
            ("2026-01-31 10:00:30", "2026-01-31T02:00:30Z"),
            ("2026-01-31", "2026-01-30T16:00:00Z"),
            ("10:00", "2026-11-20T02:00:00Z"),
            ("10:00:30", "2026-11-20T02:00:30Z"),
            ("today", "2026-11-19T16:00:00Z"),
            ("yesterday", "2026-11-18T16:00:00Z"),
        ] {
            assert_eq!(resolved(text, &shanghai), wanted, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_is_accepted() {
        for text in ["", "soon", "-1h", "3600", "2026-13-01", "25:00", "99999999999999y", "ago"] {
            let error = text.parse::<Moment>().unwrap_err().to_string();
            assert!(error.contains("2026-11-20"), "{text}: {error}");
        }
    }
}
