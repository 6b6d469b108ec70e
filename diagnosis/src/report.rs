//! From a verdict to the diagnosis that is reported: names, uid, revision, severity, texts.

mod before;
mod wording;

use coroner_proto::v1::{
    Container, ContainerKind, Diagnosis, Message, Node, Pod, Severity, Subject, SubjectKind, Workload,
};
use jiff::Timestamp;
use uuid::Uuid;

pub(crate) use self::wording::cleaned;
use crate::{
    aspect::Aspect,
    case::{ContainerFile, NodeFile, PodFile},
    catalogue::{self, Place},
    observation::{
        cri,
        kube::{self, Controller},
    },
    text,
    verdict::Verdict,
    wire,
};

/// The namespace of the uids of diagnoses: itself derived from the project's name.
const UIDS: Uuid = Uuid::from_u128(0x6f3c_1b52_8d5e_5a0e_9c57_c0c0_4e52_0001);

/// The history of a diagnosis, beside its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The number of this revision, from 1.
    pub number: u32,
    /// When its first revision was made (`observe_time`).
    pub first_seen: Timestamp,
    /// How often it happened, at least once.
    pub occurrences: u32,
    /// When the state was over; `None` while it lasts.
    pub resolved: Option<Timestamp>,
}

/// The uid of what concerns this aspect of this container: the same facts always give the same. A container's id is
/// unique across restarts of the node, and what the runtime still lists after one has been diagnosed before; the
/// kernel's clock, by which the kill of a process is known, begins again with each boot.
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
    let object = file.pod_of(container).and_then(PodFile::object);
    let workloads = object.map(|pod| workloads_of(pod, |uid| file.objects.workload(uid)));
    let subject = Subject {
        kind: SubjectKind::Container.into(),
        namespace: pod.map(|pod| name(&pod.namespace)).unwrap_or_default(),
        // Without a name, the uid from its cgroup is what kubectl and the log directory can be searched by.
        name: pod.map(|pod| name(&pod.name)).or_else(|| container.pod_uid.clone()).unwrap_or_default(),
        node: node.name.clone(),
        container: container.name().map(name).unwrap_or_default(),
        container_kind: kind.into(),
    };
    let place = Place::of(&subject).restarting(restarts(file, container, verdict));
    let next = steps(&workloads.as_deref().map_or(place, |workloads| place.of_workloads(workloads)), verdict);
    Diagnosis {
        uid: container_uid(node, &container.id, aspect),
        node: Some(node.clone()),
        pod: Some(Pod {
            namespace: pod.map(|pod| name(&pod.namespace)).unwrap_or_default(),
            name: pod.map(|pod| name(&pod.name)).unwrap_or_default(),
            uid: container.pod_uid().map(name).unwrap_or_default(),
        }),
        container: Some(instance(container)),
        workloads: workloads.unwrap_or_default(),
        memory: verdict.memory.clone().map(|memory| before::add(memory, file, container, verdict.at)),
        ..with_steps(next, subject, verdict, revision)
    }
}

/// The same for a state of a node, which outlives its boots.
pub fn node_uid(node: &Node, aspect: &Aspect) -> String {
    let machine = if node.machine_id.is_empty() { &node.name } else { &node.machine_id };
    uid(&[&node.cluster_uid, machine, &aspect.key()])
}

/// The diagnosis that reports this verdict about a node.
pub fn of_node(node: &Node, aspect: &Aspect, verdict: &Verdict, revision: Revision) -> Diagnosis {
    let subject = Subject {
        kind: SubjectKind::Node.into(),
        name: name(&node.name),
        node: name(&node.name),
        ..Subject::default()
    };
    Diagnosis { uid: node_uid(node, aspect), node: Some(node.clone()), ..diagnosis(subject, verdict, revision) }
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
    // Where neither the object nor its sandbox is known, its containers name it.
    let names = pod.pod.as_ref().or_else(|| file.registry.instances(pod).find_map(ContainerFile::pod));
    let object = pod.object();
    let container = aspect.container();
    let wanted = object.and_then(|object| object.container(container));
    let subject = Subject {
        kind: if container.is_empty() { SubjectKind::Pod } else { SubjectKind::Container }.into(),
        namespace: names.map(|pod| name(&pod.namespace)).unwrap_or_default(),
        name: names.map(|pod| name(&pod.name)).unwrap_or_default(),
        node: file.node.name.clone(),
        container: name(container),
        container_kind: wanted.map_or(ContainerKind::Unspecified, |wanted| wanted.kind.into()).into(),
    };
    Diagnosis {
        uid: object_uid(&file.node.cluster_uid, uid, aspect),
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
        ..diagnosis(subject, verdict, revision)
    }
}

/// The workloads of a pod by its own owner reference and that of its controller, where that `is_known` by uid.
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

/// The diagnosis that reports this verdict about this subject, without the names of its pod, container and node.
pub(crate) fn diagnosis(subject: Subject, verdict: &Verdict, revision: Revision) -> Diagnosis {
    let next = steps(&Place::of(&subject), verdict);
    with_steps(next, subject, verdict, revision)
}

/// What to do next: as the verdict has it, else as its cause has it at this place.
fn steps(place: &Place<'_>, verdict: &Verdict) -> Vec<Message> {
    match verdict.next.as_slice() {
        [] => catalogue::find(verdict.cause).map(|row| (row.next)(place)).unwrap_or_default(),
        next => next.to_vec(),
    }
}

fn with_steps(next: Vec<Message>, subject: Subject, verdict: &Verdict, revision: Revision) -> Diagnosis {
    let row = catalogue::find(verdict.cause);
    let severity = match (row, verdict.fatal) {
        _ if verdict.usual_until.is_some() => Severity::Info,
        (Some(row), true) => row.severity,
        // Nothing ends by it directly, and much may.
        (Some(row), false) if row.chapter == catalogue::Chapter::Node => row.severity,
        (Some(row), false) => row.severity.min(Severity::Warning),
        (None, _) => Severity::Warning,
    };
    let mut diagnosis = Diagnosis {
        subject: Some(subject),
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
        process: verdict.process.clone(),
        other_victims: verdict.other_victims.clone(),
        memory: verdict.memory.clone(),
        missing_sources: verdict.missing.iter().map(|source| source.name().to_owned()).collect(),
        ..Diagnosis::default()
    };
    wording::render(&mut diagnosis, verdict, next);
    diagnosis
}

fn name(text: &str) -> String {
    text::clean(text, 253)
}

/// Whether the kubelet starts the container again after this end, as far as its Pod is known.
fn restarts(file: &NodeFile, container: &ContainerFile, verdict: &Verdict) -> bool {
    let object = file.pod_of(container).and_then(PodFile::object);
    let wanted = object.zip(container.name()).and_then(|(pod, name)| Some((pod, pod.container(name)?)));
    let code = verdict.exit.as_ref().map(|exit| exit.code);
    wanted.is_none_or(|(pod, wanted)| pod.restarts(wanted, code))
}

/// What kind of container it is, as far as its pod is known.
pub fn kind(file: &NodeFile, container: &ContainerFile) -> ContainerKind {
    let object = file.pod_of(container).and_then(|pod| pod.object());
    let wanted = object.zip(container.name()).and_then(|(pod, name)| pod.container(name)).map(|wanted| wanted.kind);
    let reported = wanted.or_else(|| container.kubelet.as_ref().map(|status| status.kind));
    reported.map_or(ContainerKind::Unspecified, Into::into)
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
    let image = status.map(|status| &status.image).or_else(|| file.kubelet.as_ref().map(|status| &status.image));
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
    fn the_owner_reference_of_a_controller_counts_more_than_names() {
        let pod = pod(controller("ReplicaSet", "web-5d9c"), "5d9c");
        let mut known = kube::Workload::from(&k8s_openapi::api::apps::v1::ReplicaSet::default());
        known.meta.controller = Some(controller("Rollout", "canary"));
        let found = workloads_of(&pod, |uid| (uid == "uid-of-web-5d9c").then_some(&known));
        assert_eq!(found, [named("ReplicaSet", "web-5d9c"), named("Rollout", "canary")]);
    }
}
