//! The wire's enums and times in words.

use coroner_diagnosis::catalogue::Text;
use coroner_proto::v1::{Cause, Confidence, Diagnosis, Severity, Subject, SubjectKind};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use nix::sys::signal::Signal;

use crate::page::Look;

/// The code of a cause without the prefix of the wire. A newer aggregator may know causes that this program does not.
pub(crate) fn cause(code: i32) -> String {
    match Cause::try_from(code) {
        Ok(cause) => cause.as_str_name().trim_start_matches("CAUSE_").to_owned(),
        Err(_) => format!("CAUSE_{code}"),
    }
}

/// How sure a diagnosis is.
pub(crate) fn confidence(diagnosis: &Diagnosis) -> Text {
    if matches!(diagnosis.cause(), Cause::Unattributed) {
        return Text::new("undetermined", "无法判定");
    }
    match diagnosis.confidence() {
        Confidence::Certain => Text::new("certain", "确定"),
        Confidence::Likely => Text::new("likely", "很可能"),
        Confidence::Possible => Text::new("possible", "可能"),
        Confidence::Unspecified => Text::new("not said how sure", "未说明把握"),
    }
}

/// The severity in one word.
pub(crate) fn severity(severity: Severity) -> Text {
    match severity {
        Severity::Unspecified => Text::new("-", "-"),
        Severity::Info => Text::new("info", "提示"),
        Severity::Warning => Text::new("warning", "警告"),
        Severity::Error => Text::new("error", "错误"),
        Severity::Critical => Text::new("critical", "严重"),
    }
}

/// The look of something this severe.
pub(crate) fn look(severity: Severity) -> Look {
    match severity {
        Severity::Unspecified => Look::Plain,
        Severity::Info => Look::Good,
        Severity::Warning => Look::Notice,
        Severity::Error | Severity::Critical => Look::Bad,
    }
}

/// `shop/web-1`, `node/worker-3`: what a subject is called in one word.
pub(crate) fn subject_name(subject: &Subject) -> String {
    let name = if subject.name.is_empty() { "(unnamed)" } else { &subject.name };
    let kind = match subject.kind() {
        SubjectKind::Unspecified | SubjectKind::Container | SubjectKind::Pod => "",
        SubjectKind::Node => "node/",
        SubjectKind::Workload => "workload/",
        SubjectKind::Service => "service/",
        SubjectKind::Ingress => "ingress/",
    };
    match subject.namespace.as_str() {
        "" => format!("{kind}{name}"),
        namespace => format!("{namespace}/{kind}{name}"),
    }
}

/// `SIGKILL`; the number alone for what has no name.
pub(crate) fn signal(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {number}"),
    }
}

/// The wire's time; `None` for one that is absent or impossible.
pub(crate) fn time(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
}

/// `2026-11-20T10:02:11.482Z`.
pub(crate) fn moment(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// `10:02:11.482Z`, or the whole moment if it was on another day (UTC) than `beside`.
pub(crate) fn clock(time: Timestamp, beside: Option<Timestamp>) -> String {
    let day = |time: Timestamp| TimeZone::UTC.to_datetime(time).date();
    let moment = moment(time);
    match moment.split_once('T') {
        Some((_, clock)) if beside.is_none_or(|beside| day(beside) == day(time)) => clock.to_owned(),
        _ => moment,
    }
}

/// How long ago, in at most two units: `12s`, `5m12s`, `3h`, `2d4h`. The future, as a fast clock makes it, is `0s`.
pub(crate) fn age(time: Timestamp, now: Timestamp) -> String {
    duration(now.duration_since(time))
}

/// A duration in at most two units, without milliseconds from a second on.
pub(crate) fn duration(duration: SignedDuration) -> String {
    let millis = duration.as_millis().max(0);
    let seconds = millis / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |big, unit, small, small_unit| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{small_unit}"),
    };
    match () {
        () if days >= 10 => format!("{days}d"),
        () if days > 0 => two(days, "d", hours % 24, "h"),
        () if hours >= 10 => format!("{hours}h"),
        () if hours > 0 => two(hours, "h", minutes % 60, "m"),
        () if minutes >= 10 => format!("{minutes}m"),
        () if minutes > 0 => two(minutes, "m", seconds % 60, "s"),
        () => format!("{seconds}s"),
    }
}

/// `4th`.
pub(crate) fn ordinal(number: u32) -> String {
    let suffix = match (number % 10, number % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_at_most_two_units() {
        let age = |seconds| duration(SignedDuration::from_secs(seconds));
        let ages = [-5, 0, 59, 60, 312, 660, 3600, 7500, 36_061, 90_000, 180_000, 900_000].map(age);
        assert_eq!(ages, ["0s", "0s", "59s", "1m", "5m12s", "11m", "1h", "2h5m", "10h", "1d1h", "2d2h", "10d"]);
    }

    #[test]
    fn ordinals_know_their_exceptions() {
        assert_eq!(
            [1, 2, 3, 4, 11, 12, 13, 21, 112].map(ordinal).join(" "),
            "1st 2nd 3rd 4th 11th 12th 13th 21st 112th"
        );
    }

    #[test]
    fn what_a_newer_wire_says_is_not_hidden() {
        assert_eq!((cause(999), cause(12), signal(64)), ("CAUSE_999".into(), "OOM_NODE".into(), "signal 64".into()));
    }

    #[test]
    fn a_clock_time_on_another_day_shows_its_day() {
        let event: Timestamp = "2026-11-20T00:00:01Z".parse().unwrap();
        let before: Timestamp = "2026-11-19T23:59:59.5Z".parse().unwrap();
        assert_eq!(clock(event, Some(event)), "00:00:01.000Z");
        assert_eq!(clock(before, Some(event)), "2026-11-19T23:59:59.500Z");
    }
}
