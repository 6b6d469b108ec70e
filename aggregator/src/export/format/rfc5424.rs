//! Syslog by RFC 5424: the facts as structured data, and the summary, or the record in another format, as the message.
//!
//! A frame is bounded: receivers cut what is too long for them, and some take the rest for messages of its own. What is
//! too long loses its evidence first, then its explanation, then its form.

use coroner_diagnosis::text;
use coroner_proto::v1::Diagnosis;
use jiff::Timestamp;

use super::super::item::{Item, Record};
use super::super::target::{Format, Layout};
use super::{Levels, Names, PRODUCT, confidence_name, event_time, known, reason, severity};

const SEVERITY: Levels<u8> = Levels { info: 6, warning: 4, error: 3, critical: 2 };
/// Marks the message as UTF-8.
const BOM: &str = "\u{feff}";
/// Bytes that are left for the message, the blank before it included.
const MIN_MESSAGE: usize = 64;
/// Bytes of one value of the structured data, before it is escaped.
const MAX_VALUE: usize = 256;

pub(in super::super) fn frame(item: &Item, layout: &Layout) -> Vec<u8> {
    let priority = layout.facility * 8 + SEVERITY.of(severity(&item.record));
    let (node, id) = match &item.record {
        Record::Diagnosis(diagnosis) => (Names::of(diagnosis).node, reason(diagnosis.cause())),
        Record::Gap(gap) => (known(&gap.node), "Gap".into()),
    };
    let time = timestamp(event_time(item));
    let head = format!("<{priority}>1 {time} {} {PRODUCT} - {} ", token(node, 255), token(Some(&id), 32));
    let mut frame = head.into_bytes();
    let available = layout.max_bytes.saturating_sub(frame.len() + MIN_MESSAGE);
    frame.extend_from_slice(&structured_data(item, &layout.enterprise, available));
    frame.push(b' ');
    let available = layout.max_bytes.saturating_sub(frame.len());
    frame.extend_from_slice(&message(item, layout.format, available));
    frame
}

fn message(item: &Item, format: Option<Format>, available: usize) -> Vec<u8> {
    if let Some(format) = format {
        for more in [false, true] {
            let slimmed = slim(item, more);
            let line = super::line(&slimmed, format);
            if line.len() <= available {
                return line;
            }
        }
    }
    let summary = match &item.record {
        Record::Diagnosis(diagnosis) => &diagnosis.summary,
        Record::Gap(gap) => &gap.text,
    };
    format!("{BOM}{}", text::clean(summary, available.saturating_sub(BOM.len()))).into_bytes()
}

/// The record as it is, or without what it can do without.
fn slim(item: &Item, more: bool) -> Item {
    let mut item = item.clone();
    if more && let Record::Diagnosis(diagnosis) = &mut item.record {
        diagnosis.evidence.clear();
        diagnosis.against.clear();
        diagnosis.candidates.clear();
        diagnosis.other_victims.clear();
        diagnosis.redactions.clear();
    }
    item
}

fn structured_data(item: &Item, enterprise: &str, available: usize) -> Vec<u8> {
    let mut data = format!("[{PRODUCT}@{enterprise}").into_bytes();
    let mut add = |name: &str, value: Option<&str>| {
        let Some(value) = value else { return };
        let mut param = format!(" {name}=\"").into_bytes();
        for c in text::clean(value, MAX_VALUE).chars() {
            if matches!(c, '"' | '\\' | ']') {
                param.push(b'\\');
            }
            param.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        param.push(b'"');
        // What does not fit is left out as a whole; the first ones name the record.
        if data.len() + param.len() < available {
            data.extend_from_slice(&param);
        }
    };
    add("id", Some(&item.id));
    add("sequence", Some(&item.position.offset.to_string()));
    match &item.record {
        Record::Diagnosis(diagnosis) => add_diagnosis(&mut add, diagnosis),
        Record::Gap(gap) => {
            add("reason", Some(&super::short_name(gap.reason().as_str_name(), "GAP_REASON_")));
            add("source", known(&gap.source));
            add("lost", gap.lost_count.map(|count| count.to_string()).as_deref());
        }
    }
    data.push(b']');
    data
}

fn add_diagnosis(add: &mut impl FnMut(&str, Option<&str>), diagnosis: &Diagnosis) {
    let names = Names::of(diagnosis);
    add("cause", Some(&reason(diagnosis.cause())));
    add("confidence", Some(&confidence_name(diagnosis.confidence())));
    add("node", names.node);
    add("namespace", names.namespace);
    add("pod", names.pod.or_else(|| diagnosis.subject.as_ref().and_then(|subject| known(&subject.name))));
    add("container", names.container);
    let workload = diagnosis.workloads.last().map(|workload| format!("{}/{}", workload.kind, workload.name));
    add("workload", workload.as_deref());
    add("cluster", names.cluster);
    if let Some(exit) = &diagnosis.exit {
        add("exit", Some(&exit.code.to_string()));
        add("signal", Some(&exit.signal.to_string()).filter(|_| exit.signal > 0).map(String::as_str));
    }
}

/// Microseconds are the finest that RFC 5424 allows.
fn timestamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// A header field: printable ASCII without blanks; `-` for what is not known.
fn token(text: Option<&str>, max_bytes: usize) -> String {
    let token: String = text.unwrap_or_default().chars().filter(char::is_ascii_graphic).take(max_bytes).collect();
    if token.is_empty() { "-".into() } else { token }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples;
    use super::*;

    fn layout(format: Option<Format>, max_bytes: usize) -> Layout {
        Layout { facility: 3, enterprise: "32473".into(), max_bytes, format }
    }

    fn text(item: &Item, layout: &Layout) -> String {
        String::from_utf8(frame(item, layout)).unwrap()
    }

    #[test]
    fn an_oom_kill_reads_so() {
        assert_eq!(
            text(&samples::oom(), &layout(None, 7168)),
            format!(
                "<27>1 2026-08-01T10:00:00.123456Z node-1 coroner - OomContainerLimit \
                 [coroner@32473 id=\"{}:2\" sequence=\"7\" cause=\"OomContainerLimit\" confidence=\"certain\" \
                 node=\"node-1\" namespace=\"shop\" pod=\"web-5d9c-x7k2\" container=\"app\" \
                 workload=\"Deployment/web\" cluster=\"c1u57e12\" exit=\"137\" signal=\"9\"] \
                 \u{feff}app ran out of its own memory limit of 64 MiB",
                samples::UID
            )
        );
    }

    #[test]
    fn evidence_is_dropped_first_where_space_is_short() {
        let item = samples::oom();
        let whole = text(&item, &layout(Some(Format::Native), 7168));
        assert!(whole.contains("Killed process 4711"));
        let short = text(&item, &layout(Some(Format::Native), whole.len() - 1));
        assert!(short.contains("\"diagnosis\":{") && !short.contains("Killed process 4711"), "{short}");
        let shortest = text(&item, &layout(Some(Format::Native), 512));
        assert!(shortest.len() <= 512 && shortest.contains("\u{feff}app ran out"), "{shortest}");
    }

    proptest! {
        #[test]
        fn no_text_ends_the_structured_data_or_the_frame(item in samples::hostile(), max_bytes in 480_usize..7168) {
            for format in [None, Some(Format::Cef), Some(Format::Native), Some(Format::Ecs), Some(Format::Ocsf)] {
                let frame = text(&item, &layout(format, max_bytes));
                prop_assert!(frame.len() <= max_bytes, "{} bytes", frame.len());
                prop_assert!(!frame.contains(['\n', '\r', '\0']));
                let mut fields = frame.splitn(7, ' ');
                let header: Vec<&str> = fields.by_ref().take(6).collect();
                prop_assert_eq!((header[0], header[3], header[4], header[5]), ("<27>1", "coroner", "-", "OomContainerLimit"));
                // By RFC 5424 6.3.3 only `"`, `\` and `]` are special, and only within a value.
                let rest = fields.next().unwrap();
                let (mut quoted, mut escaped, mut end) = (false, false, None);
                for (at, c) in rest.char_indices() {
                    match c {
                        _ if escaped => escaped = false,
                        '\\' if quoted => escaped = true,
                        '"' => quoted = !quoted,
                        ']' if !quoted => { end = Some(at); break }
                        ']' => prop_assert!(false, "a bracket within a value"),
                        _ => {}
                    }
                }
                let message = &rest[end.expect("it ends") + 1..];
                let is_form = message.starts_with(" \u{feff}") || message.starts_with(" {") || message.starts_with(" CEF:0|");
                prop_assert!(is_form, "{}", message);
            }
        }
    }
}
