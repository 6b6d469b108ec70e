//! From a verdict to the diagnosis that is reported: names, uid, revision, severity, next steps.

use std::collections::BTreeSet;

use coroner_proto::v1::{
    Container, ContainerKind, Diagnosis, Node, Pod, Redaction, Severity, Subject, SubjectKind, Workload,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    aspect::Aspect,
    case::{ContainerFile, NodeFile, PodFile},
    catalogue::{self, Language},
    observation::{
        cri,
        kube::{self, Controller},
    },
    redact, text,
    verdict::Verdict,
    wire,
};

/// The namespace of the uids of diagnoses: itself derived from the project's name.
const UIDS: Uuid = Uuid::from_u128(0x6f3c_1b52_8d5e_5a0e_9c57_c0c0_4e52_0001);

/// What is reported beside the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Counts from 1.
    pub number: u32,
    /// When it was first reported.
    pub first_seen: Timestamp,
    /// How often it happened.
    pub occurrences: u32,
    /// When the state was over.
    pub resolved: Option<Timestamp>,
}

/// The uid of what concerns this aspect of this container: the same facts always give the same. A container's id is unique
/// across restarts of the node, and what the runtime still lists after one has been diagnosed before; the kernel's clock, by
/// which the kill of a process is known, begins anew with each boot.
pub fn container_uid(node: &Node, id: &cri::ContainerId, aspect: &Aspect) -> String {
    let machine = if node.machine_id.is_empty() { &node.name } else { &node.machine_id };
    let boot = if matches!(aspect, Aspect::Process { .. }) { node.boot_id.as_str() } else { "" };
    uid(&[&node.cluster_uid, machine, boot, &id.0, &aspect.key()])
}

/// The same for an object of the API, whose uid is unique by itself.
pub fn object_uid(cluster: &str, object: &str, aspect: &Aspect) -> String {
    uid(&[cluster, object, &aspect.key()])
}

fn uid(parts: &[&str]) -> String {
    Uuid::new_v5(&UIDS, parts.join("\n").as_bytes()).to_string()
}

/// The diagnosis that reports this verdict about a container.
pub fn of_container(
    file: &NodeFile,
    container: &ContainerFile,
    aspect: &Aspect,
    verdict: &Verdict,
    revision: Revision,
) -> Diagnosis {
    let node = &file.node;
    let pod = container.pod();
    let kind = kind(file, container);
    Diagnosis {
        uid: container_uid(node, &container.id, aspect),
        subject: Some(Subject {
            kind: SubjectKind::Container.into(),
            namespace: pod.map(|pod| name(&pod.namespace)).unwrap_or_default(),
            // Without a name, the uid from its cgroup is what kubectl and the log directory can be searched by.
            name: pod.map(|pod| name(&pod.name)).or_else(|| container.pod_uid.clone()).unwrap_or_default(),
            node: node.name.clone(),
            container: container.name().map(name).unwrap_or_default(),
            container_kind: kind.into(),
        }),
        node: Some(node.clone()),
        pod: Some(Pod {
            namespace: pod.map(|pod| name(&pod.namespace)).unwrap_or_default(),
            name: pod.map(|pod| name(&pod.name)).unwrap_or_default(),
            uid: container.pod_uid().map(name).unwrap_or_default(),
        }),
        container: Some(instance(container)),
        workloads: file
            .pod_of(container)
            .and_then(PodFile::object)
            .map(|pod| workloads_of(pod, |uid| file.objects.workload(uid)))
            .unwrap_or_default(),
        ..diagnosis(verdict, revision)
    }
}

/// The diagnosis that reports this verdict about a pod, or one of its containers that has no instance.
pub fn of_pod(
    file: &NodeFile,
    uid: &str,
    pod: &PodFile,
    aspect: &Aspect,
    verdict: &Verdict,
    revision: Revision,
) -> Diagnosis {
    let names = pod.pod.as_ref();
    let object = pod.object();
    let container = aspect.container();
    let wanted = object.and_then(|object| object.container(container));
    Diagnosis {
        uid: object_uid(&file.node.cluster_uid, uid, aspect),
        subject: Some(Subject {
            kind: if container.is_empty() { SubjectKind::Pod } else { SubjectKind::Container }.into(),
            namespace: names.map(|pod| name(&pod.namespace)).unwrap_or_default(),
            name: names.map(|pod| name(&pod.name)).unwrap_or_default(),
            node: file.node.name.clone(),
            container: name(container),
            container_kind: wanted.map_or(ContainerKind::Unspecified, |wanted| wanted.kind.into()).into(),
        }),
        node: Some(file.node.clone()),
        pod: Some(Pod {
            namespace: names.map(|pod| name(&pod.namespace)).unwrap_or_default(),
            name: names.map(|pod| name(&pod.name)).unwrap_or_default(),
            uid: name(uid),
        }),
        container: wanted.map(|wanted| Container {
            name: name(&wanted.name),
            image: text::clean(&wanted.image, 512),
            ..Container::default()
        }),
        workloads: object.map(|object| workloads_of(object, |uid| file.objects.workload(uid))).unwrap_or_default(),
        ..diagnosis(verdict, revision)
    }
}

/// The workloads of a pod by its own word and that of its controller, where that `is_known` by uid.
pub(crate) fn workloads_of<'a>(
    pod: &kube::Pod,
    is_known: impl FnOnce(&str) -> Option<&'a kube::Workload>,
) -> Vec<Workload> {
    let Some(nearest) = &pod.meta.controller else { return Vec::new() };
    let above = is_known(&nearest.uid).and_then(|workload| workload.meta.controller.clone());
    workloads([
        Some(nearest),
        above.or_else(|| deployment_of(nearest, pod.labels.get("pod-template-hash").map(String::as_str))).as_ref(),
    ])
}

/// The Deployment of a ReplicaSet that is not known itself: `NewRSName` in `pkg/controller/deployment/sync.go` names it
/// after the Deployment and the hash that its pods carry as a label.
pub(crate) fn deployment_of(replica_set: &Controller, hash: Option<&str>) -> Option<Controller> {
    let hash = hash.filter(|hash| !hash.is_empty())?;
    let name = replica_set.name.strip_suffix(hash)?.strip_suffix('-')?;
    let is_one = replica_set.kind == "ReplicaSet" && !name.is_empty();
    is_one.then(|| Controller { kind: "Deployment".to_owned(), name: name.to_owned(), uid: String::new() })
}

/// The nearest first. The node that is the owner of a static pod's mirror is no workload.
pub(crate) fn workloads(from_below: [Option<&Controller>; 2]) -> Vec<Workload> {
    let workloads = from_below.into_iter().flatten().filter(|controller| controller.kind != "Node");
    workloads
        .map(|controller| Workload { kind: text::clean(&controller.kind, 63), name: name(&controller.name) })
        .collect()
}

/// What does not hang on whom it is about.
pub(crate) fn diagnosis(verdict: &Verdict, revision: Revision) -> Diagnosis {
    let row = catalogue::find(verdict.cause);
    let severity = match (row, verdict.fatal) {
        (Some(row), true) => row.severity,
        (Some(row), false) => row.severity.min(Severity::Warning),
        (None, _) => Severity::Warning,
    };
    let mut diagnosis = Diagnosis {
        revision: revision.number,
        cause: verdict.cause.into(),
        contributing: verdict.contributing.iter().map(|cause| (*cause).into()).collect(),
        fatal: verdict.fatal,
        confidence: verdict.confidence.into(),
        severity: severity.into(),
        exit: verdict.exit.clone(),
        event_time: Some(wire::time(verdict.at)),
        observe_time: Some(wire::time(revision.first_seen)),
        resolve_time: revision.resolved.map(wire::time),
        occurrence_count: revision.occurrences,
        requested_by: verdict.requested_by.into(),
        summary: verdict.summary.clone(),
        explanation: verdict.explanation.clone(),
        suggestions: row
            .map(|row| row.next.iter().map(|step| step.to(Language::English).to_owned()).collect())
            .unwrap_or_default(),
        process: verdict.process.clone(),
        other_victims: verdict.other_victims.clone(),
        memory: verdict.memory.clone(),
        evidence: verdict.evidence.clone(),
        against: verdict.against.clone(),
        candidates: verdict.candidates.clone(),
        missing_sources: verdict.missing.iter().map(|source| source.name().to_owned()).collect(),
        ..Diagnosis::default()
    };
    withhold_secrets(&mut diagnosis);
    diagnosis
}

/// Takes secrets out of all that somebody else worded, and tells where that was done, here or by the source before.
fn withhold_secrets(diagnosis: &mut Diagnosis) {
    let Diagnosis { summary, explanation, exit, evidence, against, candidates, redactions, .. } = diagnosis;
    let texts = [("summary", summary), ("explanation", explanation)].into_iter();
    let texts = texts
        .chain(exit.iter_mut().map(|exit| ("exit.reported_reason", &mut exit.reported_reason)))
        .chain(evidence.iter_mut().map(|evidence| ("evidence.text", &mut evidence.text)))
        .chain(against.iter_mut().map(|evidence| ("against.text", &mut evidence.text)))
        .chain(candidates.iter_mut().map(|candidate| ("candidates.reason", &mut candidate.reason)));
    let mut withheld = BTreeSet::new();
    for (field, text) in texts {
        *text = redact::clean(text).0;
        withheld.extend(redact::rules_in(text).map(|rule| (field, rule)));
    }
    redactions.extend(withheld.into_iter().map(|(field, rule)| Redaction { field: field.into(), rule: rule.into() }));
}

fn name(text: &str) -> String {
    text::clean(text, 253)
}

fn kind(file: &NodeFile, container: &ContainerFile) -> ContainerKind {
    let object = file.pod_of(container).and_then(|pod| pod.object());
    let wanted = object.zip(container.name()).and_then(|(pod, name)| pod.container(name)).map(|wanted| wanted.kind);
    let told = wanted.or_else(|| container.kubelet.as_ref().map(|word| word.kind));
    told.map_or(ContainerKind::Unspecified, Into::into)
}

impl From<kube::ContainerKind> for ContainerKind {
    fn from(kind: kube::ContainerKind) -> Self {
        match kind {
            kube::ContainerKind::Main => Self::Main,
            kube::ContainerKind::Init => Self::Init,
            kube::ContainerKind::Sidecar => Self::Sidecar,
            kube::ContainerKind::Ephemeral => Self::Ephemeral,
        }
    }
}

fn instance(file: &ContainerFile) -> Container {
    let status = file.status.as_ref();
    let started = status.and_then(|status| status.started_at).or(file.task_started);
    let image = status.map(|status| &status.image).or_else(|| file.kubelet.as_ref().map(|word| &word.image));
    Container {
        name: file.name().map(name).unwrap_or_default(),
        id: text::clean(&file.id.0, 128),
        attempt: file.attempt().unwrap_or_default(),
        image: image.map(|image| text::clean(image, 512)).unwrap_or_default(),
        start_time: started.map(wire::time),
        cgroup_path: file.cgroup.as_ref().map(|path| text::clean(&path.0, 1024)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller(kind: &str, name: &str) -> Controller {
        Controller { kind: kind.to_owned(), name: name.to_owned(), uid: format!("uid-of-{name}") }
    }

    fn named(kind: &str, name: &str) -> Workload {
        Workload { kind: kind.to_owned(), name: name.to_owned() }
    }

    fn pod(controller: Controller, hash: &str) -> kube::Pod {
        let mut pod = kube::Pod::default();
        pod.meta.controller = Some(controller);
        pod.labels = [("pod-template-hash".to_owned(), hash.to_owned())].into();
        pod
    }

    #[test]
    fn secrets_in_what_others_worded_stay_on_the_node() {
        let at = Timestamp::UNIX_EPOCH;
        let verdict =
            Verdict::new(coroner_proto::v1::Cause::CommandNotFound, coroner_proto::v1::Confidence::Certain, at)
                .told("Never started", "The runtime said: srv --password=hunter2")
                .by(crate::observation::Source::Cri, at, "exec: \"srv --password=hunter2\"")
                .by(crate::observation::Source::Logs, at, "token=[redacted:named]");
        let revision = Revision { number: 1, first_seen: at, occurrences: 1, resolved: None };
        let told = diagnosis(&verdict, revision);
        assert!(!format!("{told:?}").contains("hunter2"), "{told:?}");
        let redactions: Vec<_> = told.redactions.iter().map(|r| (r.field.as_str(), r.rule.as_str())).collect();
        assert_eq!(redactions, [("evidence.text", "named"), ("explanation", "named")]);
    }

    #[test]
    fn a_deployment_is_named_by_its_replica_sets_name_and_the_hash_in_it() {
        let of = |kind: &str, name: &str, hash: &str| workloads_of(&pod(controller(kind, name), hash), |_| None);
        let both = [named("ReplicaSet", "web-5d9c"), named("Deployment", "web")];
        assert_eq!(of("ReplicaSet", "web-5d9c", "5d9c"), both);
        assert_eq!(of("ReplicaSet", "web-5d9c", ""), both[..1]);
        assert_eq!(of("ReplicaSet", "web-5d9c", "9c"), both[..1], "the hash is not what stands behind the hyphen");
        assert_eq!(of("ReplicaSet", "-5d9c", "5d9c"), [named("ReplicaSet", "-5d9c")]);
        assert_eq!(of("Job", "load-29", "29"), [named("Job", "load-29")]);
        assert_eq!(of("Node", "worker-3", ""), []);
    }

    #[test]
    fn what_the_controller_says_of_its_own_controller_counts_more_than_names() {
        let pod = pod(controller("ReplicaSet", "web-5d9c"), "5d9c");
        let mut known = kube::Workload::from(&k8s_openapi::api::apps::v1::ReplicaSet::default());
        known.meta.controller = Some(controller("Rollout", "canary"));
        let found = workloads_of(&pod, |uid| (uid == "uid-of-web-5d9c").then_some(&known));
        assert_eq!(found, [named("ReplicaSet", "web-5d9c"), named("Rollout", "canary")]);
    }
}
