//! From a verdict to the diagnosis that is told: names, uid, revision, severity, next steps.

use coroner_proto::v1::{Container, Diagnosis, Node, Pod, Severity, Subject, SubjectKind};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{case::ContainerFile, catalogue, cri, text, verdict::Verdict, wire};

/// The namespace of the uids of diagnoses: itself derived from the project's name.
const UIDS: Uuid = Uuid::from_u128(0x6f3c_1b52_8d5e_5a0e_9c57_c0c0_4e52_0001);

/// What of a container a diagnosis is about. Part of its uid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// The end of the instance.
    End,
    /// The kill of one of its processes.
    Process {
        /// Pid.
        pid: i32,
        /// When the kernel logged the kill, in microseconds since boot: with it, a pid that is used again is another process.
        boot_micros: Option<u64>,
    },
}

/// The uid of what concerns this aspect of this container: the same facts always give the same.
pub fn uid(node: &Node, id: &cri::ContainerId, aspect: &Aspect) -> String {
    let aspect = match aspect {
        Aspect::End => "end".to_owned(),
        Aspect::Process { pid, boot_micros } => format!("process/{pid}/{}", boot_micros.unwrap_or_default()),
    };
    let machine = if node.machine_id.is_empty() { &node.name } else { &node.machine_id };
    let name = [&node.cluster_uid, machine, &node.boot_id, &id.0, &aspect].map(String::as_str).join("\n");
    Uuid::new_v5(&UIDS, name.as_bytes()).to_string()
}

/// The diagnosis that tells this verdict about a container.
pub fn diagnosis(
    node: &Node,
    file: &ContainerFile,
    aspect: &Aspect,
    verdict: &Verdict,
    seen_at: Timestamp,
) -> Diagnosis {
    let pod = file.pod();
    let row = catalogue::row(verdict.cause);
    let severity = match (row, verdict.fatal) {
        (Some(row), true) => row.severity,
        (Some(row), false) => row.severity.min(Severity::Warning),
        (None, _) => Severity::Warning,
    };
    let clean = |text: &str| text::clean(text, 253);
    Diagnosis {
        uid: uid(node, &file.id, aspect),
        subject: Some(Subject {
            kind: SubjectKind::Container.into(),
            namespace: pod.map(|pod| clean(&pod.namespace)).unwrap_or_default(),
            // Without a name, the uid from its cgroup is what kubectl and the log directory can be searched by.
            name: pod.map(|pod| clean(&pod.name)).or_else(|| file.pod_uid.clone()).unwrap_or_default(),
            node: node.name.clone(),
            container: file.name().map(clean).unwrap_or_default(),
            ..Subject::default()
        }),
        cause: verdict.cause.into(),
        fatal: verdict.fatal,
        confidence: verdict.confidence.into(),
        severity: severity.into(),
        exit: verdict.exit.clone(),
        event_time: Some(wire::time(verdict.at)),
        observe_time: Some(wire::time(seen_at)),
        requested_by: verdict.requested_by.into(),
        summary: verdict.summary.clone(),
        explanation: verdict.explanation.clone(),
        suggestions: row.map(|row| row.next.iter().map(|step| (*step).to_owned()).collect()).unwrap_or_default(),
        node: Some(node.clone()),
        pod: Some(Pod {
            namespace: pod.map(|pod| clean(&pod.namespace)).unwrap_or_default(),
            name: pod.map(|pod| clean(&pod.name)).unwrap_or_default(),
            uid: file.pod_uid().map(clean).unwrap_or_default(),
        }),
        container: Some(container(file)),
        process: verdict.process.clone(),
        other_victims: verdict.other_victims.clone(),
        memory: verdict.memory.clone(),
        evidence: verdict.evidence.clone(),
        against: verdict.against.clone(),
        candidates: verdict.candidates.clone(),
        missing_sources: verdict.missing.iter().map(|source| source.name().to_owned()).collect(),
        ..Diagnosis::default()
    }
}

fn container(file: &ContainerFile) -> Container {
    let status = file.status.as_ref();
    let started = status.and_then(|status| status.started_at).or(file.task_started);
    let by_log = file.log_name.as_ref().and_then(|(_, _, attempt)| *attempt);
    Container {
        name: file.name().map(|name| text::clean(name, 253)).unwrap_or_default(),
        id: text::clean(&file.id.0, 128),
        attempt: status.map(|status| status.attempt).or(by_log).unwrap_or_default(),
        image: status.map(|status| text::clean(&status.image, 512)).unwrap_or_default(),
        start_time: started.map(wire::time),
        cgroup_path: file.cgroup.as_ref().map(|path| text::clean(&path.0, 1024)).unwrap_or_default(),
    }
}
