//! What only the API server knows: pods that no node takes, workloads whose pods cannot be created, Services and Ingresses
//! through which nothing gets. The sibling of [`Examiner`](crate::examiner::Examiner), for where the whole cluster is watched.

mod file;
mod route;
mod scheduling;
mod workload;

use std::collections::BTreeSet;

use coroner_proto::v1::{Diagnosis, Node, Pod, Subject as Named, SubjectKind, Workload};
use jiff::{SignedDuration, Timestamp};

use crate::{
    aspect::Aspect,
    due::DueQueue,
    observation::{Fact, Observation, kube::Meta},
    report::{self, Revision},
    revisions::{Content, Outcome, Revisions},
    text,
    verdict::Verdict,
};
use file::ClusterFile;

/// What changes around a subject is looked at together: a rollout changes hundreds of pods within seconds.
const TOGETHER: SignedDuration = SignedDuration::from_secs(1);
/// Subjects of which something may be reported at once.
const SUBJECTS: usize = 16_384;

/// Whom a diagnosis of the cluster may be about, by namespace and name; a workload by its uid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Pod { namespace: String, name: String },
    Workload(String),
    Service { namespace: String, name: String },
    Ingress { namespace: String, name: String },
}

/// What a rule found: it holds now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    /// The object.
    meta: Meta,
    /// Its kind.
    kind: SubjectKind,
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
    /// An examiner for this cluster: the uid of its namespace `kube-system`.
    pub fn new(cluster_uid: impl Into<String>) -> Self {
        Self {
            cluster_uid: cluster_uid.into(),
            file: ClusterFile::default(),
            revisions: Revisions::new(None),
            waiting: DueQueue::default(),
            now: Timestamp::MIN,
        }
    }

    /// Takes in what was seen; only what the API server reports concerns it. Gives the diagnoses that are new or better.
    pub fn observe(&mut self, observation: Observation) -> Vec<Diagnosis> {
        let Observation { seen_at, fact, .. } = observation;
        self.now = self.now.max(seen_at);
        let concerned = match fact {
            Fact::Object(change, object) => self.file.hear(seen_at, change, object),
            Fact::Health(source, health) => self.file.hear_health(seen_at, source, &health),
            _ => BTreeSet::new(),
        };
        for subject in concerned {
            self.waiting.wait(&subject, seen_at + TOGETHER);
        }
        Vec::new()
    }

    /// Lets time pass to `now`. Gives the diagnoses that are due.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Diagnosis> {
        self.now = self.now.max(now);
        let due = self.waiting.take_due(self.now);
        due.into_iter().filter_map(|subject| self.examine(&subject)).collect()
    }

    /// When [`tick`](Self::tick) should be called next; `None` if nothing waits.
    pub fn next_tick(&self) -> Option<Timestamp> {
        self.waiting.next()
    }

    fn examine(&mut self, subject: &Subject) -> Option<Diagnosis> {
        let now = self.now;
        let finding = match subject {
            Subject::Pod { namespace, name } => scheduling::finding(&self.file, namespace, name),
            Subject::Workload(uid) => workload::finding(&self.file, uid),
            Subject::Service { namespace, name } => route::service(&self.file, namespace, name),
            Subject::Ingress { namespace, name } => route::ingress(&self.file, namespace, name),
        };
        let Some(finding) = finding else {
            let over = self.revisions.resolve(now, subject, |_| true).pop();
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
            let over = self.revisions.resolve(now, subject, |_| true).pop();
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

    fn revise(&mut self, subject: &Subject, aspect: &Aspect) -> Option<Diagnosis> {
        let (finding, revision) = self.revisions.revise(self.now, subject, aspect)?;
        Some(diagnosis(&self.cluster_uid, finding, revision))
    }
}

fn diagnosis(cluster: &str, finding: &Finding, revision: Revision) -> Diagnosis {
    let Finding { meta, kind, workloads, aspect, verdict, .. } = finding;
    let name = |text: &str| text::clean(text, 253);
    let pod = Pod { namespace: name(&meta.namespace), name: name(&meta.name), uid: name(&meta.uid) };
    Diagnosis {
        uid: report::object_uid(cluster, &meta.uid, aspect),
        subject: Some(Named {
            kind: (*kind).into(),
            namespace: name(&meta.namespace),
            name: name(&meta.name),
            ..Named::default()
        }),
        node: Some(Node { cluster_uid: cluster.to_owned(), ..Node::default() }),
        pod: (*kind == SubjectKind::Pod).then_some(pod),
        workloads: workloads.clone(),
        ..report::diagnosis(verdict, revision)
    }
}
