//! CloudEvents 1.0, JSON: our own JSON in the envelope that brokers route by.

use coroner_proto::v1::Severity;
use serde_json::{Value, json};

use super::super::item::{Item, Record};
use super::{Levels, Names, event_time, native, severity, store_time};

/// The numbers of OpenTelemetry.
const SEVERITY: Levels<u8> = Levels { info: 9, warning: 13, error: 17, critical: 21 };

pub(in super::super) fn object(item: &Item) -> Value {
    let data = native::object(item);
    let severity = severity(&item.record);
    let (kind, source, subject) = match &item.record {
        Record::Diagnosis(diagnosis) => {
            let Names { cluster, node, namespace, pod, container, .. } = Names::of(diagnosis);
            let name = diagnosis.subject.as_ref().map(|subject| subject.name.as_str());
            let subject = [namespace, pod.or(name), container].into_iter().flatten().collect::<Vec<_>>().join("/");
            ("diagnosis", source(cluster, node), subject)
        }
        Record::Gap(gap) => ("gap", source(None, super::known(&gap.node)), gap.source.clone()),
    };
    let mut event = json!({
        "specversion": "1.0",
        "id": item.id,
        "source": source,
        "type": format!("coroner.{kind}.v1"),
        "time": event_time(item).to_string(),
        "datacontenttype": "application/json",
        "severitytext": super::short_name(Severity::as_str_name(&severity), "SEVERITY_"),
        "severitynumber": SEVERITY.of(severity),
        // It sorts as text.
        "sequence": format!("{:020}", item.position.offset),
        "recordedtime": store_time(item).to_string(),
        "data": data[kind],
    });
    // It must not be empty.
    if !subject.is_empty() {
        event["subject"] = subject.into();
    }
    event
}

/// A URI reference; what is not known is left out.
fn source(cluster: Option<&str>, node: Option<&str>) -> String {
    let part = |kind: &str, name: Option<&str>| name.map(|name| format!("/{kind}/{}", encoded(name)));
    let source: String = [part("clusters", cluster), part("nodes", node)].into_iter().flatten().collect();
    if source.is_empty() { "/coroner".to_owned() } else { source }
}

/// A segment of a path.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded += &format!("%{byte:02X}"),
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_diagnosis_is_an_event_with_what_brokers_route_by() {
        let event = object(&samples::oom());
        assert_eq!(event["id"], format!("{}:2", samples::UID));
        assert_eq!(event["type"], "coroner.diagnosis.v1");
        assert_eq!(event["source"], "/clusters/c1u57e12/nodes/node-1");
        assert_eq!(event["subject"], "shop/web-5d9c-x7k2/app");
        assert_eq!(event["severitynumber"], 17);
        assert_eq!(event["sequence"], "00000000000000000007");
        assert_eq!(event["data"]["cause"], "CAUSE_OOM_CONTAINER_LIMIT");
    }

    #[test]
    fn a_gap_is_one_too_and_names_of_attributes_are_lower_case() {
        let event = object(&samples::gap());
        assert_eq!((event["type"].as_str(), event["subject"].as_str()), (Some("coroner.gap.v1"), Some("ledger")));
        for name in event.as_object().unwrap().keys() {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), "{name}");
        }
        assert_eq!(encoded("a b/é"), "a%20b%2F%C3%A9");
    }
}
