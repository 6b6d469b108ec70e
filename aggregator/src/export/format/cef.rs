//! ArcSight Common Event Format, version 0: a line whose texts cannot end it or begin another field.

use coroner_diagnosis::text::is_unsafe;
use coroner_proto::v1::{Diagnosis, Gap, Severity};

use super::super::item::{Item, Record};
use super::{Levels, Names, PRODUCT, VERSION, confidence_name, event_time, known, reason, severity, store_time};

const SEVERITY: Levels<u8> = Levels { info: 2, warning: 5, error: 7, critical: 9 };
/// Bytes of one value: what CEF allows to `msg`.
const MAX_VALUE: usize = 1023;
/// Bytes of a part of the header.
const MAX_HEADER: usize = 512;

pub(in super::super) fn line(item: &Item) -> String {
    let severity = SEVERITY.of(severity(&item.record));
    let mut extension = Extension(String::new());
    extension.add("externalId", Some(&item.id));
    extension.add("rt", Some(&store_time(item).as_millisecond().to_string()));
    extension.add("end", Some(&event_time(item).as_millisecond().to_string()));
    let (class, name) = match &item.record {
        Record::Diagnosis(diagnosis) => {
            add_diagnosis(&mut extension, diagnosis);
            (reason(diagnosis.cause()), diagnosis.summary.as_str())
        }
        Record::Gap(gap) => {
            add_gap(&mut extension, gap);
            ("Gap".into(), "Records were lost")
        }
    };
    format!("CEF:0|{PRODUCT}|{PRODUCT}|{VERSION}|{class}|{}|{severity}|{}", header(name), extension.0.trim_end())
}

fn add_diagnosis(extension: &mut Extension, diagnosis: &Diagnosis) {
    let names = Names::of(diagnosis);
    extension.add("dvchost", names.node);
    extension.add(
        "cat",
        Some(&super::short_name(diagnosis.subject.as_ref().map_or("", |s| s.kind().as_str_name()), "SUBJECT_KIND_")),
    );
    extension.add("msg", known(&diagnosis.summary));
    extension.add("reason", known(&diagnosis.explanation));
    extension.add("act", Some(&confidence_name(diagnosis.confidence())));
    extension.add("outcome", Some(if diagnosis.severity() == Severity::Info { "success" } else { "failure" }));
    if let Some(process) = &diagnosis.process {
        extension.add("dproc", known(&process.name));
        extension.add("dpid", Some(&process.pid.to_string()).filter(|_| process.pid > 0).map(String::as_str));
    }
    let workload = diagnosis.workloads.last().map(|workload| format!("{}/{}", workload.kind, workload.name));
    let texts = [
        ("namespace", names.namespace),
        ("pod", names.pod.or_else(|| diagnosis.subject.as_ref().and_then(|s| known(&s.name)))),
        ("container", names.container),
        ("workload", workload.as_deref()),
        ("cluster", names.cluster),
        ("image", names.image),
    ];
    for (number, (label, text)) in (1..).zip(texts) {
        extension.custom("cs", number, label, text);
    }
    let exit = diagnosis.exit.as_ref();
    let numbers = [
        ("exitCode", exit.map(|exit| exit.code.to_string())),
        ("signal", exit.filter(|exit| exit.signal > 0).map(|exit| exit.signal.to_string())),
        ("limitBytes", diagnosis.memory.as_ref().and_then(|memory| memory.limit_bytes).map(|bytes| bytes.to_string())),
    ];
    for (number, (label, value)) in (1..).zip(numbers) {
        extension.custom("cn", number, label, value.as_deref());
    }
}

fn add_gap(extension: &mut Extension, gap: &Gap) {
    extension.add("dvchost", known(&gap.node));
    extension.add("cat", Some("gap"));
    extension.add("msg", known(&gap.text));
    extension.add("reason", Some(&super::short_name(gap.reason().as_str_name(), "GAP_REASON_")));
    extension.custom("cs", 1, "source", known(&gap.source));
    extension.custom("cn", 1, "lostCount", gap.lost_count.map(|count| count.to_string()).as_deref());
}

struct Extension(String);

impl Extension {
    fn add(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.0.push_str(key);
            self.0.push('=');
            escape(value, MAX_VALUE, &mut self.0, |c| match c {
                '\\' | '=' => Some(format!("\\{c}")),
                '\n' => Some("\\n".into()),
                '\r' => Some("\\r".into()),
                _ => None,
            });
            self.0.push(' ');
        }
    }

    /// One of the few fields for what has no name in CEF.
    fn custom(&mut self, kind: &str, number: u8, label: &str, value: Option<&str>) {
        if value.is_some() {
            self.add(&format!("{kind}{number}"), value);
            self.add(&format!("{kind}{number}Label"), Some(label));
        }
    }
}

fn header(text: &str) -> String {
    let mut out = String::new();
    escape(text, MAX_HEADER, &mut out, |c| match c {
        '\\' | '|' => Some(format!("\\{c}")),
        '\n' | '\r' => Some(" ".into()),
        _ => None,
    });
    out
}

/// Appends what is special as `special` has it, what could drive a terminal or disguise something as its code, and all
/// else as it is; at most so many bytes.
fn escape(text: &str, max_bytes: usize, out: &mut String, special: impl Fn(char) -> Option<String>) {
    let end = out.len() + max_bytes;
    for c in text.chars() {
        let piece = match special(c) {
            Some(piece) => piece,
            None if is_unsafe(c) => format!("\\\\u{:04x}", u32::from(c)),
            None => c.into(),
        };
        if out.len() + piece.len() > end {
            break;
        }
        out.push_str(&piece);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples;
    use super::*;

    /// The parts of the header and the fields of the extension, by CEF's own rules.
    fn parse(line: &str) -> (Vec<String>, Vec<(String, String)>) {
        let mut header = vec![String::new()];
        let mut chars = line.chars();
        while header.len() < 8 {
            match chars.next().expect("the header is whole") {
                '\\' => header.last_mut().unwrap().push(chars.next().unwrap()),
                '|' => header.push(String::new()),
                c => header.last_mut().unwrap().push(c),
            }
        }
        header.pop();
        let rest: Vec<char> = chars.collect();
        // Each `=` that is not escaped ends a key, which began behind the last blank.
        let is_escaped = |at: usize| rest[..at].iter().rev().take_while(|c| **c == '\\').count() % 2 == 1;
        let equals: Vec<usize> = (0..rest.len()).filter(|at| rest[*at] == '=' && !is_escaped(*at)).collect();
        let begins: Vec<usize> =
            equals.iter().map(|at| rest[..*at].iter().rposition(|c| *c == ' ').map_or(0, |blank| blank + 1)).collect();
        let fields = (0..equals.len()).map(|n| {
            let key: String = rest[begins[n]..equals[n]].iter().collect();
            let end = begins.get(n + 1).map_or(rest.len(), |begin| begin - 1);
            (key, rest[equals[n] + 1..end].iter().collect())
        });
        (header, fields.collect())
    }

    #[test]
    fn an_oom_kill_reads_so() {
        let (version, uid) = (VERSION, samples::UID);
        assert_eq!(
            line(&samples::oom()),
            format!(
                "CEF:0|coroner|coroner|{version}|OomContainerLimit|app ran out of its own memory limit of 64 MiB|7|\
                 externalId={uid}:2 rt=1785578402500 end=1785578400123 dvchost=node-1 cat=container \
                 msg=app ran out of its own memory limit of 64 MiB \
                 reason=The kernel killed java (pid 4711) because the container reached its limit of 64 MiB. \
                 act=certain outcome=failure dproc=java dpid=4711 cs1=shop cs1Label=namespace \
                 cs2=web-5d9c-x7k2 cs2Label=pod cs3=app cs3Label=container cs4=Deployment/web cs4Label=workload \
                 cs5=c1u57e12 cs5Label=cluster cs6=registry:5000/shop/web:1.2@sha256:0a0b cs6Label=image \
                 cn1=137 cn1Label=exitCode cn2=9 cn2Label=signal cn3=67108864 cn3Label=limitBytes"
            )
        );
    }

    #[test]
    fn what_would_end_a_field_is_escaped() {
        assert_eq!(header("a|b\\c=d\r\ne"), "a\\|b\\\\c=d  e");
        let mut extension = Extension(String::new());
        extension.add("msg", Some("a|b\\c=d\r\ne\u{1b}"));
        assert_eq!(extension.0, "msg=a|b\\\\c\\=d\\r\\ne\\\\u001b ");
    }

    proptest! {
        #[test]
        fn no_text_adds_a_line_or_a_field(item in samples::hostile()) {
            let line = line(&item);
            prop_assert!(!line.contains(['\n', '\r', '\0']));
            let (header, fields) = parse(&line);
            prop_assert_eq!(&header[..5], ["CEF:0", PRODUCT, PRODUCT, VERSION, "OomContainerLimit"]);
            prop_assert_eq!(&header[6], "7");
            let known = ["externalId", "rt", "end", "dvchost", "cat", "msg", "reason", "act", "outcome", "dproc", "dpid"];
            let mut seen = std::collections::BTreeSet::new();
            for (key, value) in fields {
                let custom = key.trim_end_matches("Label");
                prop_assert!(known.contains(&key.as_str()) || custom.starts_with("cs") || custom.starts_with("cn"), "{}", key);
                prop_assert!(value.len() <= MAX_VALUE);
                prop_assert!(seen.insert(key));
            }
        }
    }
}
