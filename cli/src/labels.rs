//! The wire's enums and times for people.

use coroner_diagnosis::messages::Message;
use coroner_proto::v1::{Cause, Confidence, Diagnosis, Severity, Subject, SubjectKind};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use nix::sys::signal::Signal;

use crate::{messages::page, page::Look};

/// The code of a cause without the prefix of the wire. A newer aggregator may know causes that this program does not.
pub(crate) fn cause(code: i32) -> String {
    match Cause::try_from(code) {
        Ok(cause) => cause.as_str_name().trim_start_matches("CAUSE_").to_owned(),
        Err(_) => format!("CAUSE_{code}"),
    }
}

/// The confidence of a diagnosis, one word.
pub(crate) fn confidence(diagnosis: &Diagnosis) -> Message {
    if matches!(diagnosis.cause(), Cause::Unattributed) {
        return page::confidence_undetermined();
    }
    match diagnosis.confidence() {
        Confidence::Certain => page::confidence_certain(),
        Confidence::Likely => page::confidence_likely(),
        Confidence::Possible => page::confidence_possible(),
        Confidence::Unspecified => page::confidence_unknown(),
    }
}

/// The severity in one word; `None` where it is not given.
pub(crate) fn severity(severity: Severity) -> Option<Message> {
    match severity {
        Severity::Unspecified => None,
        Severity::Info => Some(page::severity_info()),
        Severity::Warning => Some(page::severity_warning()),
        Severity::Error => Some(page::severity_error()),
        Severity::Critical => Some(page::severity_critical()),
    }
}

/// The look of a text about something of this severity.
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
    if subject.kind() == SubjectKind::Cluster {
        return "cluster".to_owned();
    }
    let name = if subject.name.is_empty() { "(unnamed)" } else { &subject.name };
    let kind = match subject.kind() {
        SubjectKind::Unspecified | SubjectKind::Container | SubjectKind::Pod | SubjectKind::Cluster => "",
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

/// `2026-11-20T10:02:11.482Z`, `2026-11-20T18:02:11.482+08:00`: the time with its offset, as `--since` accepts it.
pub(crate) fn moment(time: Timestamp, zone: &TimeZone) -> String {
    if zone.to_offset(time).is_zero() {
        return format!("{time:.3}");
    }
    time.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S.%3f%:z").to_string()
}

/// How long ago, in whole seconds. The future, as a fast clock makes it, is 0.
pub(crate) fn elapsed(time: Timestamp, now: Timestamp) -> SignedDuration {
    SignedDuration::from_secs(now.duration_since(time).as_secs().max(0))
}

/// The same for a table, in at most two units: `12s`, `5m12s`, `3h`, `2d4h`.
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
    fn unknown_values_of_a_newer_version_are_shown() {
        assert_eq!((cause(999), cause(12), signal(64)), ("CAUSE_999".into(), "OOM_NODE".into(), "signal 64".into()));
    }
}
