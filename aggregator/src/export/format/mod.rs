//! What a record looks like elsewhere. Pure functions; one format a file.

pub(super) mod alertmanager;
pub(super) mod cef;
pub(super) mod cloud_events;
pub(super) mod ecs;
pub(super) mod native;
pub(super) mod ocsf;
pub(super) mod otlp;
pub(super) mod rfc5424;
pub(super) mod splunk;

use coroner_diagnosis::text::escape_json;
use coroner_proto::v1::{Cause, Confidence, Diagnosis, Evidence, Severity, Subject};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    item::{Item, Record},
    target::{Body, Format},
};
use crate::time::nanoseconds;

/// The record as one line, without its end.
pub(super) fn line(item: &Item, format: Format) -> Vec<u8> {
    let line = match format {
        Format::Native => escape_json(&native::object(item).to_string()),
        Format::Ecs => escape_json(&ecs::object(item).to_string()),
        Format::Ocsf => escape_json(&ocsf::object(item).to_string()),
        Format::CloudEvents => escape_json(&cloud_events::object(item).to_string()),
        Format::Cef => cef::line(item),
    };
    line.into_bytes()
}

/// A batch as the body of one request.
pub(super) fn body(batch: &[Item], body: &Body) -> Vec<u8> {
    match body {
        Body::Array(format) => {
            let lines: Vec<_> = batch.iter().map(|item| line(item, *format)).collect();
            [b"[".as_slice(), &lines.join(&b','), b"]"].concat()
        }
        Body::Lines(format) => batch.iter().flat_map(|item| line(item, *format).into_iter().chain([b'\n'])).collect(),
        Body::Alerts { hold } => {
            let alerts = alertmanager::alerts(batch, *hold);
            if alerts.is_empty() { Vec::new() } else { escape_json(&Value::Array(alerts).to_string()).into_bytes() }
        }
        Body::Splunk { index } => {
            let event = |item| escape_json(&splunk::object(item, index.as_deref()).to_string()) + "\n";
            batch.iter().map(event).collect::<String>().into_bytes()
        }
    }
}

/// The name of this product in exported records.
pub(super) const PRODUCT: &str = "coroner";
/// The version of this product in exported records.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `CAUSE_OOM_CONTAINER_LIMIT` as `OomContainerLimit`, the way Kubernetes writes reasons.
pub(super) fn reason(cause: Cause) -> String {
    let parts = cause.as_str_name().trim_start_matches("CAUSE_").split('_');
    parts.map(|short_name| format!("{}{}", &short_name[..1], short_name[1..].to_lowercase())).collect()
}

/// `SEVERITY_INFO` as `info`: the name of a value of an enum without its prefix.
pub(super) fn short_name(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

pub(super) fn confidence_name(confidence: Confidence) -> String {
    short_name(confidence.as_str_name(), "CONFIDENCE_")
}

/// Something that a severity is in another format.
pub(super) struct Levels<T> {
    pub(super) info: T,
    pub(super) warning: T,
    pub(super) error: T,
    pub(super) critical: T,
}

impl<T: Copy> Levels<T> {
    /// A severity that was not given counts as a warning.
    pub(super) fn of(&self, severity: Severity) -> T {
        match severity {
            Severity::Info => self.info,
            Severity::Unspecified | Severity::Warning => self.warning,
            Severity::Error => self.error,
            Severity::Critical => self.critical,
        }
    }
}

/// The severity of a record. A loss is at least as severe as what could have been lost is as a rule.
pub(super) fn severity(record: &Record) -> Severity {
    match record {
        Record::Diagnosis(diagnosis) => diagnosis.severity(),
        Record::Gap(_) => Severity::Error,
    }
}

/// Empty as nothing: what is not known is left out of every format.
pub(super) fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

pub(super) fn time(time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    Timestamp::from_nanosecond(nanoseconds(time?)?.into()).ok()
}

/// When it happened; for want of that, when it was stored.
pub(super) fn event_time(item: &Item) -> Timestamp {
    let reported = match &item.record {
        Record::Diagnosis(diagnosis) => time(diagnosis.event_time.as_ref()),
        Record::Gap(gap) => time(gap.end_time.as_ref().or(gap.start_time.as_ref())),
    };
    reported.unwrap_or_else(|| store_time(item))
}

/// When the ledger stored the record.
pub(super) fn store_time(item: &Item) -> Timestamp {
    Timestamp::from_nanosecond(item.position.time.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The names and times of a diagnosis, with defaults for absent parts.
#[derive(Debug)]
pub(super) struct Names<'a> {
    pub(super) cluster: Option<&'a str>,
    pub(super) node: Option<&'a str>,
    pub(super) namespace: Option<&'a str>,
    /// Of the pod; none where the subject is no pod and none of its containers.
    pub(super) pod: Option<&'a str>,
    pub(super) pod_uid: Option<&'a str>,
    pub(super) container: Option<&'a str>,
    pub(super) container_id: Option<&'a str>,
    pub(super) image: Option<&'a str>,
}

impl<'a> Names<'a> {
    pub(super) fn of(diagnosis: &'a Diagnosis) -> Self {
        let subject = diagnosis.subject.as_ref();
        let (node, pod, container) = (diagnosis.node.as_ref(), diagnosis.pod.as_ref(), diagnosis.container.as_ref());
        let of_subject = |field: fn(&Subject) -> &String| subject.and_then(|s| known(field(s)));
        Self {
            cluster: node.and_then(|n| known(&n.cluster_uid)),
            node: node.and_then(|n| known(&n.name)).or_else(|| of_subject(|s| &s.node)),
            namespace: pod.and_then(|p| known(&p.namespace)).or_else(|| of_subject(|s| &s.namespace)),
            pod: pod.and_then(|p| known(&p.name)),
            pod_uid: pod.and_then(|p| known(&p.uid)),
            container: container.and_then(|c| known(&c.name)).or_else(|| of_subject(|s| &s.container)),
            container_id: container.and_then(|c| known(&c.id)),
            image: container.and_then(|c| known(&c.image)),
        }
    }
}

/// The evidence for a verdict, then against others, each with the name of its list.
pub(super) fn statements(diagnosis: &Diagnosis) -> impl Iterator<Item = (&'static str, &Evidence)> {
    let supporting = diagnosis.evidence.iter().map(|evidence| ("evidence", evidence));
    supporting.chain(diagnosis.against.iter().map(|evidence| ("against", evidence)))
}

#[cfg(test)]
pub(super) mod samples;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_written_as_kubernetes_writes_reasons() {
        assert_eq!(reason(Cause::OomContainerLimit), "OomContainerLimit");
        assert_eq!(reason(Cause::ApiServerUnreachable), "ApiServerUnreachable");
        assert_eq!(reason(Cause::Unspecified), "Unspecified");
    }
}
