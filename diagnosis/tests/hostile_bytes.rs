//! Parsers of foreign bytes: whatever comes, they neither panic nor loop, and what programs choose for themselves
//! changes nothing that is read of the kernel.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::LazyLock;

use coroner_diagnosis::observation::cgroup::{Level, Path, Sample};
use coroner_diagnosis::observation::kernel_log::{Event, Record};
use coroner_diagnosis::observation::kube::amount;
use coroner_diagnosis::observation::trace::{TraceEventKind, TraceLine, parse_line};
use coroner_diagnosis::recording::Recording;
use coroner_diagnosis::replay::replay;
use coroner_diagnosis::text::clean;
use coroner_diagnosis::{observation::log, redact};
use coroner_proto::v1::Node;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

mod support;

const CASE: &str =
    r#"{"start": 1795211830000000000, "end": 1795211838000000000, "boot_offset_ns": 1795209865000000000}"#;
const FILES: [&str; 27] = [
    "kmsg",
    "trace",
    "cgroups",
    "procfs",
    "containerd_events",
    "cri_containers",
    "cri_events",
    "cri_sandboxes",
    "kubelet_configz",
    "kubelet_healthz",
    "kubelet_pods",
    "kubelet_summary",
    "pods",
    "events",
    "node_events",
    "nodes",
    "deployments",
    "replicasets",
    "statefulsets",
    "daemonsets",
    "jobs",
    "services",
    "endpointslices",
    "ingresses",
    "resourcequotas",
    "limitranges",
    "pvcs",
];

/// Some lines of each file of a case, with the file's name.
static LINES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let lines = |(file, text): (String, String)| {
        let lines: Vec<_> = text.lines().take(40).map(|line| (file.clone(), line.to_owned())).collect();
        lines
    };
    support::cases(&FILES).flat_map(|case| case.files.into_iter().flat_map(lines)).collect()
});

/// What the recorder quotes: whole records and lines as their interface gave them.
fn quoted(file: &'static str, key: &'static str) -> impl Strategy<Value = String> {
    let quotes: Vec<String> = LINES
        .iter()
        .filter(|(of, _)| of == file)
        .map(|(_, line)| serde_json::from_str::<serde_json::Value>(line).unwrap()[key].as_str().unwrap().to_owned())
        .collect();
    select(quotes)
}

/// A change to bytes: what stands in a range is replaced.
#[derive(Clone, Debug)]
struct Edit {
    from: Index,
    length: usize,
    by: Vec<u8>,
}

fn edit() -> impl Strategy<Value = Edit> {
    let words = select(vec![
        "",
        "\n",
        " ",
        ": ",
        "=",
        ",",
        ";",
        "-",
        "]",
        "[",
        ")",
        " (",
        "\\x",
        "\\x0a",
        "kB",
        ",task=",
        ",pid=",
        " pid=",
        " comm=",
        ",task_memcg=/",
        ",oom_memcg=/",
        ",global_oom",
        " ip ",
        " in ",
        "Killed process ",
        "]: segfault at ",
        "99999999999999999999",
        "-1",
        "/pod",
        ".slice",
        ".scope",
        "\"",
        "{",
        "null",
    ]);
    let by = prop_oneof![words.prop_map(|word| word.as_bytes().to_vec()), vec(any::<u8>(), 0..6)];
    (any::<Index>(), 0..24_usize, by).prop_map(|(from, length, by)| Edit { from, length, by })
}

fn edited(original: &str, edits: &[Edit]) -> Vec<u8> {
    let mut bytes = original.as_bytes().to_vec();
    for Edit { from, length, by } in edits {
        let from = from.index(bytes.len() + 1);
        let to = bytes.len().min(from + length);
        bytes.splice(from..to, by.iter().copied());
    }
    bytes
}

/// Hands the bytes to every parser.
fn parse_all(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for record in Record::parse(bytes).into_iter().chain(Record::parse_syslog(bytes, None)) {
        Event::parse(&record.text);
    }
    Event::parse(&text);
    drop(parse_line(&text));
    let path = Path(text.clone().into_owned());
    if let Some(container) = path.container() {
        assert!(path.0.starts_with(&container.0));
        assert_eq!(container.level(), path.level());
    }
    if let Some(pod) = path.pod() {
        assert!(path.0.starts_with(&pod.0));
        assert!(matches!(pod.level(), Level::Pod { .. }));
    }
    for file in Sample::FILES_V1.iter().chain(Sample::FILES_V2) {
        Sample::from_files("/", [(file, &text)]);
    }
    assert!(clean(&text, 64).len() <= 64);
    let (withheld, _) = redact::clean(&text);
    assert_eq!(redact::clean(&withheld).0, withheld);
    log::Line::parse_all(&text);
    amount(&text);
    drop(Recording::new(&text));
    let recording = Recording::new(CASE).unwrap();
    for file in FILES {
        drop(recording.read(file, &text));
    }
}

/// Texts of an object, however deep.
fn texts(value: &mut Value) -> Vec<&mut String> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter_mut().flat_map(texts).collect(),
        Value::Object(fields) => fields.values_mut().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// What a cluster's users can write into objects, events and probes' answers.
fn hostile() -> impl Strategy<Value = String> {
    let wording = select(vec![
        "",
        "0/0 nodes are available: ",
        "99999999999999999999/3 nodes are available: 1 Insufficient cpu, 18446744073709551616 node(s) had taint {}",
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. preemption: ",
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: -1e99Ki. ",
        "The node was low on resource: . Threshold quantity: , available: ",
        "failed to resolve reference \"",
        "Back-off pulling image",
        "Liveness probe failed: ",
        "exceeded quota: ",
        "1e400Gi",
        "-0",
        "\u{202e}\u{1b}]52;c;AA==\u{7}",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999Z",
    ]);
    prop_oneof![wording.prop_map(str::to_owned), "\\PC{0,300}", "[ -~]{0,60}"]
}

/// A name as prctl(2) takes it, and as it looks in text.
fn comm() -> impl Strategy<Value = Vec<u8>> {
    let wording = select(vec![
        ") total-vm:1kB",
        ",task=",
        ",pid=1,uid=0",
        " pid=1 grp=0",
        "x-1 [000] 1.0:",
        "[1] trap x ip:1",
        "a[1]: segfault",
        "]: segfault at ",
        "x comm=y",
        ",task_memcg=/",
        "Killed process ",
        " total-vm=1kB",
        "\n<3>[    1.0] ",
        "\\x0a",
    ]);
    let wording = wording.prop_map(|word| word.as_bytes().to_vec());
    prop_oneof![wording, vec(1..=255_u8, 0..=15), "[ -~]{0,15}".prop_map(String::into_bytes)]
}

/// The way of a text into a record of /dev/kmsg, and out again.
fn through_kmsg(text: &[u8]) -> String {
    let mut record = b"6,1,1,-;".to_vec();
    for &byte in text {
        match byte {
            b' '..=b'[' | b']'..=b'~' => record.push(byte),
            _ => record.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    Record::parse(&record).unwrap().text
}

fn line(before: &str, comm: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), comm, after.as_bytes()].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_survived(bytes in vec(any::<u8>(), 0..600)) {
        parse_all(&bytes);
    }

    #[test]
    fn mutated_records_of_the_kernel_log_are_survived(record in quoted("kmsg", "record"), edits in vec(edit(), 0..5)) {
        parse_all(&edited(&record, &edits));
    }

    #[test]
    fn mutated_lines_of_a_trace_are_survived(line in quoted("trace", "line"), edits in vec(edit(), 0..5)) {
        parse_all(&edited(&line, &edits));
    }

    #[test]
    fn mutated_lines_of_a_recording_are_survived(at in any::<Index>(), edits in vec(edit(), 0..3)) {
        let (file, line) = at.get(&LINES);
        let bytes = edited(line, &edits);
        drop(Recording::new(CASE).unwrap().read(file, &String::from_utf8_lossy(&bytes)));
    }

    #[test]
    fn mutated_paths_are_survived(at in any::<Index>(), edits in vec(edit(), 0..5)) {
        const PATHS: [&str; 3] = [
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod5dd8aa25_f7a5_416d_b8f4_5e1f709c1da9.slice/\
             cri-containerd-8ac06afe71ed6afe71ed8ac06afe71ed8ac06afe71ed8ac06afe71ed8ac06afe.scope/init.scope",
            "/kubepods/pod5dd8aa25-f7a5-416d-b8f4-5e1f709c1da9/8ac06afe71ed6afe71ed8ac06afe71ed8ac06afe71ed8ac06afe71ed8ac06afe",
            "/kubepods-pod0123456789abcdef0123456789abcdef.slice:cri-containerd:\
             8ac06afe71ed6afe71ed8ac06afe71ed8ac06afe71ed8ac06afe71ed8ac06afe",
        ];
        parse_all(&edited(PATHS[at.index(PATHS.len())], &edits));
    }

    #[test]
    fn any_text_survives_the_kernels_escapes(text in vec(any::<u8>(), 0..200)) {
        let end = text.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(0, |at| at + 1);
        prop_assert_eq!(through_kmsg(&text), String::from_utf8_lossy(&text[..end]));
    }

    #[test]
    fn no_name_changes_what_is_read_of_an_oom_report(comm in comm(), pid in 1..i32::MAX) {
        let name = String::from_utf8_lossy(&comm).into_owned();
        let before = format!("Memory cgroup out of memory: Killed process {pid} (");
        let after = ") total-vm:8kB, anon-rss:4kB, file-rss:2kB, shmem-rss:1kB, UID:7 pgtables:4kB oom_score_adj:-5";
        let Some(Event::Killed(killed)) = Event::parse(&through_kmsg(&line(&before, &comm, after))) else { panic!() };
        prop_assert_eq!((killed.pid, &killed.comm, killed.total_vm, killed.oom_score_adj), (pid, &name, 8192, Some(-5)));

        let before = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=a,mems_allowed=0,oom_memcg=/kubepods/p,\
                      task_memcg=/kubepods/p/c,task=";
        let after = format!(",pid={pid},uid=3");
        let Some(Event::OomSummary(summary)) = Event::parse(&through_kmsg(&line(before, &comm, &after))) else { panic!() };
        prop_assert_eq!((summary.pid, &summary.comm, summary.uid), (pid, &name, 3));
        prop_assert_eq!((summary.limit_cgroup.as_deref(), summary.global), (Some("/kubepods/p"), false));
        prop_assert_eq!(summary.victim_cgroup.as_deref(), Some("/kubepods/p/c"));

        let text = line("", &comm, " invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0");
        let Some(Event::OomInvoked { comm }) = Event::parse(&through_kmsg(&text)) else { panic!() };
        prop_assert_eq!(comm, name);
    }

    #[test]
    fn no_name_moves_a_fault(comm in comm(), tid in 1..i32::MAX, place in "[ -~]{0,40}") {
        let name = String::from_utf8_lossy(&comm).into_owned();
        for (before, after) in [
            ("", format!("[{tid}]: segfault at 10 ip 401966 sp 7ffd error 6 in {place}[1966,401000+8c000] likely on CPU 0 (core 0, socket 0)")),
            ("traps: ", format!("[{tid}] trap int3 ip:401966 sp:7ffd error:6 in {place}[1966,401000+8c000]")),
            ("traps: ", format!("[{tid}] general protection fault ip:401966 sp:7ffd error:6")),
            ("", format!("[{tid}]: unhandled exception: DABT (lower EL), ESR 0x0000000092000046, level 2 translation fault in {place}[1+2]")),
        ] {
            let text = through_kmsg(&line(before, &comm, &after));
            // A name that makes the line begin as another kind of line.
            if before.is_empty() && ["traps: ", "audit: type", "Killed process "].iter().any(|other| text.starts_with(other)) {
                continue;
            }
            let Some(Event::Fault(fault)) = Event::parse(&text) else { panic!("{text}") };
            prop_assert_eq!((fault.tid, &fault.comm), (tid, &name));
            prop_assert!(fault.error.is_none_or(|error| error == 6));
        }
    }

    #[test]
    fn no_name_moves_a_line_of_a_trace(sender in comm(), target in comm(), tid in 1..i32::MAX, pid in 1..i32::MAX) {
        // trace_pipe is read by lines, so a line end in a name ends its line; such names cannot be distinguished from a
        // cut.
        prop_assume!(!sender.contains(&b'\n') && !target.contains(&b'\n'));
        let padding = " ".repeat(16 - sender.len());
        let text = [
            line(&padding, &sender, &format!("-{tid:<7} [001] d..1.  2282.179561: signal_generate: sig=9 errno=0 code=-6 comm=")),
            line("", &target, &format!(" pid={pid} grp=1 res=2")),
        ].concat();
        let text = String::from_utf8_lossy(&text);
        let Ok(TraceLine::Event(event)) = parse_line(&text) else { panic!("{text:?}") };
        let TraceEventKind::Signal(signal) = event.kind else { panic!("{text:?}") };
        prop_assert_eq!((event.cpu, event.boot_micros, event.thread.tid), (1, 2_282_179_561, tid));
        prop_assert_eq!((signal.signal, signal.code, signal.result, signal.group), (9, -6, 2, true));
        prop_assert_eq!((signal.target.tid, signal.target.comm), (pid, String::from_utf8_lossy(&target).into_owned()));
        let sender = String::from_utf8_lossy(&sender);
        prop_assert_eq!(event.thread.comm, sender.trim_start_matches(' '));
    }

    #[test]
    fn text_that_is_clean_drives_no_terminal_and_fits(text in "\\PC{0,40}|.{0,40}", max in 0..80_usize) {
        let cleaned = clean(&text, max);
        prop_assert!(cleaned.len() <= max);
        prop_assert!(!cleaned.chars().any(char::is_control));
        prop_assert!(text.chars().any(|c| c.is_control() || !c.is_ascii()) || text.len() > max || cleaned == text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    /// Texts of objects reach the rules, and their reports drive no terminal.
    #[test]
    fn cases_with_hostile_texts_are_survived(
        case in any::<Index>(), edits in vec((any::<Index>(), any::<Index>(), hostile()), 1..12)
    ) {
        const OBJECTS: [&str; 6] = ["pods", "events", "kubelet_pods", "nodes", "services", "kubelet_summary"];
        let dirs = support::dirs();
        let mut case = support::case(&dirs[case.index(dirs.len())], &FILES);
        for (line, text, by) in edits {
            let lines: Vec<(&str, usize)> = OBJECTS
                .iter()
                .flat_map(|file| (0..case.files[*file].lines().count()).map(move |number| (*file, number)))
                .collect();
            prop_assume!(!lines.is_empty());
            let (file, number) = *line.get(&lines);
            let mut contents: Vec<String> = case.files[file].lines().map(str::to_owned).collect();
            let mut object: Value = serde_json::from_str(&contents[number]).unwrap();
            let mut found = texts(&mut object["object"]);
            if found.is_empty() {
                continue;
            }
            let at = text.index(found.len());
            *found[at] = by;
            contents[number] = object.to_string();
            case.files.insert(file.to_owned(), contents.join("\n"));
        }
        let recording = Recording::new(&case.case_json).unwrap();
        // A time that is none makes its line unusable, which is an answer too.
        if let Ok(observations) = recording.observations(case.files) {
            for diagnosis in replay(Node::default(), observations, recording.end) {
                let texts = [&diagnosis.summary, &diagnosis.explanation].into_iter().chain(diagnosis.evidence.iter().map(|e| &e.text));
                for text in texts.chain(diagnosis.subject.iter().flat_map(|subject| [&subject.name, &subject.namespace])) {
                    prop_assert!(!text.chars().any(coroner_diagnosis::text::is_unsafe), "{text:?}");
                }
            }
        }
    }
}
