//! What only the API server knows: pods that no node takes, workloads whose pods cannot be created, Services and
//! Ingresses through which nothing gets. The sibling of [`Examiner`](crate::examiner::Examiner), for where the whole
//! cluster is watched.

mod failures;
mod file;
mod groups;
mod held;
mod intern;
mod listing;
mod lost;
mod namespace;
mod pods;
mod route;
mod scheduling;
mod workload;

use std::sync::Arc;

use coroner_proto::v1::{Diagnosis, Node, Pod, Subject as Named, SubjectKind, Workload};
use jiff::Timestamp;

use crate::{
    aspect::Aspect,
    due::DueQueue,
    observation::{
        Fact, Health, Observation, Source,
        kube::{Kind, Meta},
    },
    report::{self, Revision},
    revisions::{Content, Outcome, Revisions},
    text,
    verdict::Verdict,
};
use file::{ClusterFile, Concerned, TOGETHER};

/// Subjects of which something may be reported at once.
const SUBJECTS: usize = 16_384;

/// How much of a cluster is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything that a rule reads.
    #[default]
    All,
    /// Of pods only those without a node, and neither Services nor Ingresses: a small part of the memory.
    Unscheduled,
}

/// Whom a diagnosis of the cluster may be about: pods and workloads by uid, others by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Pod(Arc<str>),
    Workload(Arc<str>),
    Service { namespace: Arc<str>, name: Arc<str> },
    Ingress { namespace: Arc<str>, name: Arc<str> },
}

/// What a rule found: it holds now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// The object.
    meta: Meta,
    /// Its kind.
    kind: SubjectKind,
    /// The node that it is bound to, where that matters; else empty.
    node: Box<str>,
    /// The workloads that it belongs to, the nearest first.
    workloads: Vec<Workload>,
    /// What of it.
    aspect: Aspect,
    /// Why.
    verdict: Verdict,
    /// Before this moment it may still pass: it is not reported.
    ripe: Timestamp,
}

impl Content for Finding {
    fn supersedes(&self, reported: &Self) -> bool {
        self.verdict.differs_from(&reported.verdict)
            || (&self.meta.name, &self.workloads) != (&reported.meta.name, &reported.workloads)
    }

    fn at(&self) -> Timestamp {
        self.verdict.at
    }
}

/// Keeps the objects of a cluster and decides. Memory is bounded: see [`ClusterFile`].
#[derive(Debug)]
pub struct ClusterExaminer {
    /// The cluster, in every diagnosis' uid.
    cluster_uid: String,
    file: ClusterFile,
    /// What has been reported. Nothing settles here: objects are examined [`TOGETHER`] after their last change.
    revisions: Revisions<Subject, Finding>,
    /// What to examine, and when.
    waiting: DueQueue<Subject>,
    now: Timestamp,
}

impl ClusterExaminer {
    /// An examiner for all of this cluster: the uid of its namespace `kube-system`.
    pub fn new(cluster_uid: impl Into<String>) -> Self {
        Self::with_scope(cluster_uid, Scope::All)
    }

    /// An examiner that is given no more than this of a cluster.
    pub fn with_scope(cluster_uid: impl Into<String>, scope: Scope) -> Self {
        Self {
            cluster_uid: cluster_uid.into(),
            file: ClusterFile::new(scope),
            revisions: Revisions::new(None),
            waiting: DueQueue::default(),
            now: Timestamp::MIN,
        }
    }

    /// Takes in what was seen; only what the API server reports concerns it. Gives the diagnoses that are new or
    /// better.
    pub fn observe(&mut self, observation: Observation) -> Vec<Diagnosis> {
        let Observation { seen_at, fact, .. } = observation;
        self.now = self.now.max(seen_at);
        let concerned = match fact {
            Fact::Object(change, object) => self.file.record(seen_at, change, object),
            Fact::Health(source, health) => self.record_health(seen_at, source, &health),
            _ => return Vec::new(),
        };
        self.wait(concerned);
        Vec::new()
    }

    /// All objects of a kind are about to be listed; of events, those of this reason.
    pub fn begin_list(&mut self, kind: Kind, reason: &str) {
        self.file.begin_list(kind, reason);
    }

    /// All were listed: what was not among them is gone.
    pub fn end_list(&mut self, at: Timestamp, kind: Kind, reason: &str) {
        self.now = self.now.max(at);
        let concerned = self.file.end_list(at, kind, reason);
        self.wait(concerned);
    }

    /// Kinds of which there are more objects than are held: absence means nothing there.
    pub fn overfull(&self) -> impl Iterator<Item = Kind> {
        self.file.overfull()
    }

    /// How many failures of workloads and claims were forgotten before their end, because there were too many.
    pub fn evicted_failures(&self) -> u64 {
        self.file.failures.evicted()
    }

    /// Lets time pass to `now`. Gives the diagnoses that are due.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Diagnosis> {
        self.now = self.now.max(now);
        let due = self.waiting.take_due(self.now);
        let mut diagnoses = Vec::new();
        for subject in due {
            diagnoses.extend(self.examine(&subject));
            if let Subject::Pod(uid) = &subject {
                self.examine_removal(uid, &subject, &mut diagnoses);
            }
        }
        diagnoses
    }

    /// When [`tick`](Self::tick) should be called next; `None` if nothing waits.
    pub fn next_tick(&self) -> Option<Timestamp> {
        self.waiting.next()
    }

    fn examine(&mut self, subject: &Subject) -> Option<Diagnosis> {
        let now = self.now;
        let finding = match subject {
            Subject::Pod(uid) => scheduling::finding(&self.file, uid).or_else(|| lost::finding(&self.file, uid)),
            Subject::Workload(uid) => workload::finding(&self.file, uid),
            Subject::Service { namespace, name } => route::service(&self.file, namespace, name),
            Subject::Ingress { namespace, name } => route::ingress(&self.file, namespace, name),
        };
        if finding.is_none() && !self.file.decides(subject) {
            return None;
        }
        let Some(finding) = finding else {
            let over = self.revisions.resolve(now, subject, Aspect::is_state).pop();
            let diagnosis = over.and_then(|aspect| self.revise(subject, &aspect));
            // What is over and gone need not be kept.
            if !self.file.knows(subject) {
                self.revisions.forget(subject);
            }
            return diagnosis;
        };
        // Another object of the same name, or the object that stands above the one that was reported.
        let reported = self.revisions.of(subject).next().map(|(_, known)| &known.content.meta.uid);
        if reported.is_some_and(|uid| *uid != finding.meta.uid) {
            let over = self.revisions.resolve(now, subject, Aspect::is_state).pop();
            let diagnosis = over.and_then(|aspect| self.revise(subject, &aspect));
            self.revisions.forget(subject);
            self.waiting.wait(subject, now + TOGETHER);
            return diagnosis;
        }
        let aspect = finding.aspect.clone();
        let holds = self.revisions.get(subject, &aspect).is_some_and(|known| !known.is_resolved());
        let is_new = self.revisions.of(subject).next().is_none();
        if !holds && finding.ripe > now || is_new && self.revisions.len() >= SUBJECTS {
            self.waiting.wait(subject, finding.ripe.max(now + TOGETHER));
            return None;
        }
        match self.revisions.report(now, subject, &aspect, finding, 1) {
            Outcome::First | Outcome::Revised => self.revise(subject, &aspect),
            Outcome::Known => None,
        }
    }

    /// Reports once that a pod was removed without its node's part, behind the end of its states.
    fn examine_removal(&mut self, uid: &Arc<str>, subject: &Subject, diagnoses: &mut Vec<Diagnosis>) {
        let Some(removed) = self.file.removed.get_mut(uid) else { return };
        if !removed.is_reported {
            removed.is_reported = true;
            let finding = removed.finding();
            self.revisions.report(self.now, subject, &Aspect::Removal, finding, 1);
            diagnoses.extend(self.revise(subject, &Aspect::Removal));
        }
        if self.file.take_gone(uid) {
            self.revisions.forget(subject);
        }
    }

    /// What could not be decided without a kind can be once it is watched.
    fn record_health(&mut self, at: Timestamp, source: Source, health: &Health) -> Concerned {
        let Some(mut concerned) = self.file.record_health(at, source, health) else { return Concerned::new() };
        concerned.extend(self.revisions.subjects().map(|subject| (subject.clone(), at + TOGETHER)));
        concerned
    }

    fn wait(&mut self, concerned: Concerned) {
        concerned.iter().for_each(|(subject, at)| self.waiting.wait(subject, *at));
    }

    fn revise(&mut self, subject: &Subject, aspect: &Aspect) -> Option<Diagnosis> {
        let (finding, revision) = self.revisions.revise(self.now, subject, aspect)?;
        Some(diagnosis(&self.cluster_uid, finding, revision))
    }
}

fn diagnosis(cluster: &str, finding: &Finding, revision: Revision) -> Diagnosis {
    let Finding { meta, kind, node, workloads, aspect, verdict, .. } = finding;
    let name = |text: &str| text::clean(text, 253);
    let pod = Pod { namespace: name(&meta.namespace), name: name(&meta.name), uid: name(&meta.uid) };
    let subject = Named {
        kind: (*kind).into(),
        namespace: name(&meta.namespace),
        name: name(&meta.name),
        node: name(node),
        ..Named::default()
    };
    Diagnosis {
        uid: report::object_uid(cluster, &meta.uid, aspect),
        node: Some(Node { cluster_uid: cluster.to_owned(), ..Node::default() }),
        pod: (*kind == SubjectKind::Pod).then_some(pod),
        workloads: workloads.clone(),
        ..report::diagnosis(subject, verdict, revision)
    }
}
