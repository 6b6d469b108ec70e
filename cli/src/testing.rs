//! Hand-made diagnoses, hostile texts and golden files for the tests of this crate.

use std::{env, fs, path::Path};

use coroner_diagnosis::{messages::Language, text};
use coroner_proto::v1::{
    Candidate, Cause, Confidence, Container, ContainerKind, Diagnosis, Evidence, Exit, Redaction, Severity, Subject,
    SubjectKind,
};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    args::{Lang, OutputArgs, When},
    out::Out,
    reader::Reader,
};

/// What a container might call itself, or write, to take over a terminal or to forge what is shown.
pub(crate) const HOSTILE: &[&str] = &[
    "\u{1b}[2J\u{1b}[H\u{1b}[31mred",
    "\u{1b}]52;c;Y3VybCBldmlsfHNo\u{7}",
    "\u{1b}]0;title\u{1b}\\",
    "\u{9b}31m\u{9d}52;c;eA==\u{9c}\u{90}q\u{85}next",
    "web\n  Next       rm -rf /\r\nshop/forged  certain",
    "\u{202e}gpj.exe\u{2066}\u{2069}\u{200f}\u{61c}",
    "line\u{2028}paragraph\u{2029}\u{feff}\u{200b}",
    "\0\u{7f}\u{8}\u{8}\u{8}\tdeleted\u{c}\u{b}",
    "---\n- forged: yes\n...\n'\"#: &a *a !b |",
    "\u{1b}",
];

/// Fails if the text could drive a terminal, beyond starting new lines.
pub(crate) fn assert_harmless(text: &str) {
    assert!(!text.chars().any(|c| c != '\n' && text::is_unsafe(c)), "{text:?}");
}

/// Compares with `tests/golden/NAME`; `CORONER_BLESS=1` writes the file instead.
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if env::var_os("CORONER_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert!(text == wanted, "{name} differs; it should be\n{wanted}\nand is\n{text}");
}

/// When all tests take place.
pub(crate) fn now() -> Timestamp {
    "2026-11-20T10:05:23Z".parse().unwrap()
}

/// A pipe of so many columns.
pub(crate) fn out(width: usize) -> Out {
    let args = OutputArgs { format: None, utc: true, color: When::Never, no_headers: false, lang: Some(Lang::En) };
    Out { width, cut: false, ..Out::new(&args) }
}

/// A reader of English, in UTC.
pub(crate) fn reader() -> Reader {
    Reader { language: Language::English, zone: TimeZone::UTC }
}

pub(crate) fn time(text: &str) -> Option<prost_types::Timestamp> {
    let time: Timestamp = text.parse().unwrap();
    Some(prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() })
}

fn evidence(source: &str, at: Option<&str>, text: &str) -> Evidence {
    Evidence { source: source.into(), time: at.and_then(time), text: text.into(), message: None }
}

fn candidate(cause: i32, reason: &str) -> Candidate {
    Candidate { cause, reason: reason.into(), reason_message: None }
}

pub(crate) fn oom_child() -> Diagnosis {
    Diagnosis {
        uid: "5b0c3a5e-6a0f-5d2e-9e55-0a4f6c1d2e3f".into(),
        revision: 2,
        subject: Some(Subject {
            kind: SubjectKind::Container.into(),
            namespace: "shop".into(),
            name: "web-5d9c-x7k2".into(),
            node: "worker-3".into(),
            container: "web".into(),
            container_kind: ContainerKind::Main.into(),
        }),
        cause: Cause::OomContainerLimit.into(),
        contributing: vec![Cause::MemoryBackedVolume.into()],
        confidence: Confidence::Certain.into(),
        severity: Severity::Error.into(),
        exit: Some(Exit { code: 137, signal: 9, ..Default::default() }),
        event_time: time("2026-11-20T10:02:11.482Z"),
        occurrence_count: 4,
        summary: "OOM: a worker process reached the container's limit of 512 MiB".into(),
        explanation: "The kernel killed gunicorn (pid 48213, 397 MiB of its own) because container web had reached its \
                      memory limit of 512 MiB. The main process survived, so Kubernetes shows neither a restart nor an event."
            .into(),
        suggestions: vec!["raise limits.memory of container web".into(), "run fewer workers".into()],
        evidence: vec![
            evidence(
                "kernel_log",
                Some("2026-11-20T10:02:11.482Z"),
                "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=cri-1,mems_allowed=0,oom_memcg=/kubepods/burstable/\
                 pod1d5c/6f1e,task_memcg=/kubepods/burstable/pod1d5c/6f1e,task=gunicorn,pid=48213,uid=0",
            ),
            evidence("cgroups", Some("2026-11-20T10:02:11.483Z"), "oom_kill 0 → 1, peak 512 MiB of 512 MiB"),
        ],
        against: vec![
            evidence("kernel_log", None, "not the node: the kernel's line has no global_oom"),
            evidence("signals", None, "not a kill from outside: the kernel itself sent SIGKILL"),
        ],
        ..Default::default()
    }
}

pub(crate) fn undetermined() -> Diagnosis {
    Diagnosis {
        uid: "0f8fad5b-d9cb-569f-a165-70867728950e".into(),
        revision: 1,
        subject: Some(Subject {
            kind: SubjectKind::Container.into(),
            namespace: "shop".into(),
            name: "api-66-zz1".into(),
            node: "worker-3".into(),
            container: "setup".into(),
            container_kind: ContainerKind::Init.into(),
        }),
        cause: Cause::Unattributed.into(),
        fatal: true,
        severity: Severity::Warning.into(),
        exit: Some(Exit { code: 137, fabricated: true, reported_reason: "Error".into(), ..Default::default() }),
        event_time: time("2026-11-19T23:59:59Z"),
        occurrence_count: 1,
        summary: "Ended with exit code 137; the cause is not known".into(),
        candidates: vec![
            candidate(Cause::ApplicationExit.into(), "the program may have chosen 137 itself"),
            candidate(Cause::KilledExternally.into(), "signals were not observed"),
        ],
        missing_sources: vec!["signals".into(), "process_events".into()],
        redactions: vec![Redaction { field: "explanation".into(), rule: "password".into() }],
        ..Default::default()
    }
}

pub(crate) fn node_pressure() -> Diagnosis {
    Diagnosis {
        uid: "7c9e6679-7425-50de-944b-e07fc1f90ae7".into(),
        revision: 3,
        subject: Some(Subject {
            kind: SubjectKind::Node.into(),
            name: "worker-3".into(),
            node: "worker-3".into(),
            ..Default::default()
        }),
        cause: Cause::NodeMemoryPressure.into(),
        confidence: Confidence::Likely.into(),
        severity: Severity::Info.into(),
        event_time: time("2026-11-20T09:00:00Z"),
        resolve_time: time("2026-11-20T09:02:05Z"),
        summary: "The node was short of memory".into(),
        ..Default::default()
    }
}

/// A diagnosis with this text wherever the wire allows text.
pub(crate) fn with_text_everywhere(text: &str) -> Diagnosis {
    let text = text.to_owned();
    let output =
        || Evidence { source: text.clone(), time: time("2026-11-20T10:00:00Z"), text: text.clone(), message: None };
    Diagnosis {
        uid: text.clone(),
        subject: Some(Subject {
            namespace: text.clone(),
            name: text.clone(),
            node: text.clone(),
            container: text.clone(),
            ..Default::default()
        }),
        cause: 9999,
        contributing: vec![-1],
        exit: Some(Exit { code: -1, signal: 4000, reported_reason: text.clone(), ..Default::default() }),
        event_time: time("2026-11-20T10:00:00Z"),
        summary: text.clone(),
        explanation: text.clone(),
        suggestions: vec![text.clone()],
        container: Some(Container { name: text.clone(), image: text.clone(), ..Default::default() }),
        evidence: vec![output()],
        against: vec![output()],
        candidates: vec![candidate(9999, &text)],
        last_lines: vec![text.clone()],
        missing_sources: vec![text.clone()],
        redactions: vec![Redaction { field: text.clone(), rule: text.clone() }],
        ..Default::default()
    }
}
