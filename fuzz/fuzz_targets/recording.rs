//! Recorded cases: `case.json` and each of the files that are read.
#![no_main]

use coroner_diagnosis::recording::Recording;
use libfuzzer_sys::fuzz_target;

const CASE: &str = r#"{"start": 1795211830000000000, "end": 1795211838000000000, "boot_offset_ns": 1795209865000000000}"#;
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

fuzz_target!(|contents: String| {
    drop(Recording::new(&contents));
    let recording = Recording::new(CASE).expect("it is well-formed");
    for file in FILES {
        drop(recording.read(file, &contents));
    }
});
