//! How severe it is that a container is not ready follows the settings of its workload.

mod one_container;

use std::sync::Arc;

use coroner_diagnosis::{
    examiner::Examiner,
    observation::{
        Fact, Source,
        kube::{self, Change, ContainerStatus, Controller, Meta, Object, Probe, Probes, State, Workload},
    },
};
use coroner_proto::v1::{Cause, Node, Severity};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use one_container::*;

fn controller(kind: &str, uid: &str) -> Option<Controller> {
    Some(Controller { kind: kind.to_owned(), name: uid.to_owned(), uid: uid.to_owned() })
}

fn meta(uid: &str, controller: Option<Controller>) -> Meta {
    Meta { namespace: pod().namespace, name: uid.to_owned(), uid: uid.to_owned(), controller, ..Meta::default() }
}

/// When it is reported how severely, in seconds after the start of the container.
fn reported(deadline: Option<i32>, startup: Option<Probe>, until: i64) -> Vec<(i64, Severity)> {
    let mut deployment = Workload::from(&Deployment::default());
    deployment.meta = meta("d", None);
    deployment.progress_deadline_seconds = deadline;
    let mut replica_set = Workload::from(&ReplicaSet::default());
    replica_set.meta = meta("rs", controller("Deployment", "d"));
    let readiness = Probe { failure_threshold: 3, period_seconds: 10, ..Probe::default() };
    let probes = Probes { readiness: Some(readiness), startup, ..Probes::default() };
    let object = kube::Pod {
        meta: Meta { name: pod().name, uid: pod().uid, ..meta("", controller("ReplicaSet", "rs")) },
        node_uid: pod().uid,
        node: "n1".to_owned(),
        containers: vec![kube::Container { name: "web".to_owned(), probes, ..kube::Container::default() }],
        statuses: vec![ContainerStatus {
            name: "web".to_owned(),
            id: id().0,
            state: State::Running { since: Some(at(0)) },
            started: Some(true),
            ..ContainerStatus::default()
        }],
        phase: "Running".to_owned(),
        ..kube::Pod::default()
    };
    let mut examiner = Examiner::new(Node { name: "n1".to_owned(), ..Node::default() });
    let mut observations = node(&[Source::KernelLog, Source::Cgroups, Source::Cri, Source::Containerd]);
    let objects = [Object::Workload(Box::new(deployment)), Object::Workload(Box::new(replica_set))];
    let objects = objects.into_iter().chain([Object::Pod(Arc::new(object))]);
    observations.extend(objects.map(|object| seen(40, Fact::Object(Change::Applied, object))));
    let mut revisions: Vec<_> = observations.into_iter().flat_map(|observed| examiner.observe(observed)).collect();
    let mut times = vec![0; revisions.len()];
    while let Some(next) = examiner.next_tick().filter(|next| *next <= at(until * 1_000)) {
        revisions.extend(examiner.tick(next));
        times.resize(revisions.len(), next.duration_since(at(0)).as_secs());
    }
    assert!(revisions.iter().all(|diagnosis| diagnosis.cause() == Cause::ReadinessProbeFailed), "{revisions:#?}");
    let mut reported: Vec<_> = times.into_iter().zip(revisions.iter().map(|diagnosis| diagnosis.severity())).collect();
    reported.dedup_by_key(|(_, severity)| *severity);
    reported
}

#[test]
fn it_is_information_as_long_as_the_rollout_waits() {
    let of = |deadline| reported(deadline, None, 1_800);
    assert_eq!(of(Some(60)), [(30, Severity::Info), (60, Severity::Warning)]);
    assert_eq!(of(Some(1_200)), [(30, Severity::Info), (1_200, Severity::Warning)]);
    assert_eq!(of(None), [(30, Severity::Info), (600, Severity::Warning)]);
    // So Kubernetes writes that there is no deadline.
    assert_eq!(of(Some(i32::MAX)), of(None));
    // However long the rollout waits, it is for people to look at after a day.
    assert_eq!(reported(Some(i32::MAX - 1), None, 90_000), [(30, Severity::Info), (86_400, Severity::Warning)]);
    // Sooner than the probe counts as failed.
    assert_eq!(of(Some(5)), [(30, Severity::Warning)]);
}

#[test]
fn and_as_long_as_its_own_probes_allow() {
    let startup = Probe { failure_threshold: 90, period_seconds: 10, ..Probe::default() };
    assert_eq!(reported(Some(60), Some(startup), 1_800), [(30, Severity::Info), (930, Severity::Warning)]);
}
