//! The wire's values for people, and the addresses of what they name.

use coroner_diagnosis::{
    localized,
    messages::{Language, Message},
};
use coroner_proto::v1::{Cause, Confidence, Diagnosis, Severity, Subject, SubjectKind, Workload};
use jiff::{SignedDuration, Timestamp};
use url::form_urlencoded;

use super::messages::texts;

/// Severities, as they stand in addresses and as classes of the style.
pub(super) const SEVERITIES: [(&str, Severity); 4] = [
    ("info", Severity::Info),
    ("warning", Severity::Warning),
    ("error", Severity::Error),
    ("critical", Severity::Critical),
];

/// The code of a cause without the prefix of the wire.
pub(super) fn cause(code: i32) -> String {
    match Cause::try_from(code) {
        Ok(cause) => cause.as_str_name().trim_start_matches("CAUSE_").to_owned(),
        Err(_) => format!("CAUSE_{code}"),
    }
}

/// What happened, in one phrase; the cause's code where a record has none.
pub(super) fn summary(diagnosis: &Diagnosis, language: Language) -> String {
    let summary = localized::summary(diagnosis, language);
    if summary.is_empty() { cause(diagnosis.cause) } else { summary }
}

/// Whether a diagnosis is of something that lasts, and not of an event.
pub(super) fn is_state(diagnosis: &Diagnosis) -> bool {
    !diagnosis.fatal && diagnosis.cause() != Cause::NodeRebooted
}

/// The confidence of a diagnosis, one word.
pub(super) fn confidence(diagnosis: &Diagnosis) -> Message {
    match diagnosis.confidence() {
        _ if diagnosis.cause() == Cause::Unattributed => texts::undetermined(),
        Confidence::Certain => texts::certain(),
        Confidence::Likely => texts::likely(),
        Confidence::Possible => texts::possible(),
        Confidence::Unspecified => texts::confidence_unknown(),
    }
}

/// The severity in one word.
pub(super) fn severity(severity: Severity) -> Message {
    match severity {
        Severity::Unspecified => texts::severity_unknown(),
        Severity::Info => texts::info(),
        Severity::Warning => texts::warning(),
        Severity::Error => texts::error(),
        Severity::Critical => texts::critical(),
    }
}

/// The severity as a class of the style.
pub(super) fn class(severity: Severity) -> &'static str {
    SEVERITIES.into_iter().find(|(_, known)| *known == severity).map_or("unknown", |(name, _)| name)
}

/// The name of a subject: `shop/web-1`, `node worker-3`.
pub(super) fn subject(subject: &Subject) -> String {
    let kind = match subject.kind() {
        SubjectKind::Unspecified | SubjectKind::Container | SubjectKind::Pod => "",
        SubjectKind::Node => "node ",
        SubjectKind::Workload => "workload ",
        SubjectKind::Service => "service ",
        SubjectKind::Ingress => "ingress ",
        SubjectKind::Cluster => "cluster ",
    };
    let Subject { namespace, name, .. } = subject;
    let name = if name.is_empty() { "?" } else { name };
    if namespace.is_empty() { format!("{kind}{name}") } else { format!("{kind}{namespace}/{name}") }
}

/// The workload that people know: the uppermost of those that make a pod.
pub(super) fn workload(diagnosis: &Diagnosis) -> Option<&Workload> {
    diagnosis.workloads.last().filter(|workload| !workload.name.is_empty())
}

/// The node that a diagnosis is about, or on which its subject was; empty for none.
pub(super) fn node(diagnosis: &Diagnosis) -> &str {
    crate::key::node_of(diagnosis)
}

/// The wire's time; `None` for one that is absent or impossible.
pub(super) fn time(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
}

/// When it happened, or was seen where that is not known.
pub(super) fn event(diagnosis: &Diagnosis) -> Option<Timestamp> {
    time(diagnosis.event_time.as_ref()).or_else(|| time(diagnosis.observe_time.as_ref()))
}

/// A moment in UTC: `2026-11-20 10:02:11`.
pub(super) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `10:02:11.482`, or with its day if that is another one than `beside`.
pub(super) fn clock(time: Timestamp, beside: Option<Timestamp>) -> String {
    let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    let is_same_day = beside.is_none_or(|beside| day(beside) == day(time));
    time.strftime(if is_same_day { "%H:%M:%S%.3f" } else { "%Y-%m-%d %H:%M:%S%.3f" }).to_string()
}

/// How long ago a moment was, in words.
pub(super) fn age(time: Timestamp, now: Timestamp) -> Message {
    texts::ago(span(now.duration_since(time)))
}

/// A span of time, rounded down to seconds, minutes, hours or days; up to two hours in minutes, up to two days in
/// hours.
pub(super) fn span(span: SignedDuration) -> SignedDuration {
    let seconds = span.as_secs().max(0);
    let unit = match seconds {
        0..60 => 1,
        60..7_200 => 60,
        7_200..172_800 => 3_600,
        _ => 86_400,
    };
    SignedDuration::from_secs(seconds / unit * unit)
}

/// A path of encoded parts: `/node/n1`.
fn path(parts: &[&str]) -> String {
    let encoded = parts.iter().map(|part| form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>());
    // A space is `+` in a query alone.
    encoded.map(|part| format!("/{}", part.replace('+', "%20"))).collect()
}

/// The path of the page of a diagnosis.
pub(super) fn of_diagnosis(uid: &str) -> String {
    path(&["d", uid])
}

/// The path of the page of a node.
pub(super) fn of_node(name: &str) -> String {
    path(&["node", name])
}

/// The path of the page of a workload.
pub(super) fn of_workload(namespace: &str, workload: &Workload) -> String {
    path(&["workload", namespace, &workload.kind, &workload.name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(of_node("a/../b c?\"<"), "/node/a%2F..%2Fb%20c%3F%22%3C");
        assert_eq!(of_node(".."), "/node/..");
    }

    #[test]
    fn spans_are_as_precise_as_they_are_read() {
        let of = |seconds| span(SignedDuration::from_secs(seconds)).as_secs();
        assert_eq!([-5, 59, 3_599, 7_199, 90_061, 180_000].map(of), [0, 59, 3_540, 7_140, 90_000, 172_800]);
    }
}
