//! What only the API server knows: pods that no node takes, workloads whose pods cannot be created, Services and Ingresses
//! through which nothing gets. The sibling of [`Examiner`](crate::examiner::Examiner), for where the whole cluster is watched.

mod file;
mod route;
mod scheduling;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use coroner_proto::v1::{Diagnosis, Node, Pod, Subject as Named, SubjectKind, Workload};
use jiff::{SignedDuration, Timestamp};

use crate::{
    aspect::Aspect,
    observation::{Fact, Observation, kube::Meta},
    report, text,
    verdict::Verdict,
};
use file::ClusterFile;

/// What changes around a subject is looked at together: a rollout changes hundreds of pods within seconds.
const TOGETHER: SignedDuration = SignedDuration::from_secs(1);
/// Subjects of which something may be told at once.
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
    /// Before this moment it may still pass: it is not told.
    ripe: Timestamp,
}

/// Keeps the objects of a cluster and decides. Memory is bounded: see [`ClusterFile`].
#[derive(Debug)]
pub struct ClusterExaminer {
    /// The cluster, in every diagnosis' uid.
    cluster_uid: String,
    file: ClusterFile,
    told: BTreeMap<Subject, Telling>,
    /// What to look at again, and when.
    waiting: BTreeMap<Subject, Timestamp>,
    now: Timestamp,
}

#[derive(Debug)]
struct Telling {
    finding: Finding,
    revision: u32,
    first_seen: Timestamp,
    occurrences: u32,
    resolved: Option<Timestamp>,
}

impl ClusterExaminer {
    /// An examiner for this cluster: the uid of its namespace `kube-system`.
    pub fn new(cluster_uid: impl Into<String>) -> Self {
        Self {
            cluster_uid: cluster_uid.into(),
            file: ClusterFile::default(),
            told: BTreeMap::new(),
            waiting: BTreeMap::new(),
            now: Timestamp::MIN,
        }
    }

    /// Takes in what was seen; only the API server's words concern it. Gives the diagnoses that are new or better.
    pub fn observe(&mut self, observation: Observation) -> Vec<Diagnosis> {
        let Observation { seen_at, fact, .. } = observation;
        self.now = self.now.max(seen_at);
        let concerned = match fact {
            Fact::Object(change, object) => self.file.hear(seen_at, change, object),
            Fact::Health(source, health) => self.file.hear_health(seen_at, source, &health),
            _ => BTreeSet::new(),
        };
        for subject in concerned {
            self.look_again(subject, seen_at + TOGETHER);
        }
        Vec::new()
    }

    /// Lets time pass to `now`. Gives the diagnoses that are due.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Diagnosis> {
        self.now = self.now.max(now);
        let due = self.waiting.iter().filter(|(_, at)| **at <= self.now).map(|(subject, _)| subject.clone());
        let due: Vec<_> = due.collect();
        let mut diagnoses = Vec::new();
        for subject in due {
            self.waiting.remove(&subject);
            diagnoses.extend(self.examine(subject));
        }
        diagnoses
    }

    /// When [`tick`](Self::tick) should be called next; `None` if nothing waits.
    pub fn next_tick(&self) -> Option<Timestamp> {
        self.waiting.values().min().copied()
    }

    fn examine(&mut self, subject: Subject) -> Option<Diagnosis> {
        let now = self.now;
        let finding = match &subject {
            Subject::Pod { namespace, name } => scheduling::finding(&self.file, namespace, name),
            Subject::Workload(uid) => workload::finding(&self.file, uid),
            Subject::Service { namespace, name } => route::service(&self.file, namespace, name),
            Subject::Ingress { namespace, name } => route::ingress(&self.file, namespace, name),
        };
        let known = self.told.get_mut(&subject);
        let (telling, changed) = match (finding, known) {
            (None, None) => return None,
            (None, Some(telling)) => {
                if telling.resolved.is_some() {
                    return None;
                }
                telling.resolved = Some(now);
                (telling, true)
            }
            (Some(finding), None) => {
                if finding.ripe > now || self.told.len() >= SUBJECTS {
                    self.look_again(subject, finding.ripe.max(now + TOGETHER));
                    return None;
                }
                let telling = Telling { finding, revision: 0, first_seen: now, occurrences: 1, resolved: None };
                (self.told.entry(subject.clone()).or_insert(telling), true)
            }
            (Some(finding), Some(telling)) => {
                let again = telling.resolved.is_some();
                if again && finding.ripe > now {
                    let ripe = finding.ripe;
                    self.look_again(subject, ripe);
                    return None;
                }
                let other = telling.finding.verdict.differs_from(&finding.verdict);
                telling.occurrences += u32::from(again);
                telling.resolved = None;
                telling.finding = finding;
                (telling, again || other)
            }
        };
        if !changed {
            return None;
        }
        telling.revision += 1;
        let diagnosis = tell(&self.cluster_uid, telling);
        // What is over and gone need not be kept.
        if telling.resolved.is_some() && !self.file.knows(&subject) {
            self.told.remove(&subject);
        }
        Some(diagnosis)
    }

    fn look_again(&mut self, subject: Subject, at: Timestamp) {
        let due = self.waiting.entry(subject).or_insert(at);
        *due = (*due).min(at);
    }
}

fn tell(cluster: &str, telling: &Telling) -> Diagnosis {
    let Finding { meta, kind, workloads, aspect, verdict, .. } = &telling.finding;
    let name = |text: &str| text::clean(text, 253);
    let said = report::Telling {
        revision: telling.revision,
        first_seen: telling.first_seen,
        occurrences: telling.occurrences,
        resolved: telling.resolved,
    };
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
        ..report::told(verdict, said)
    }
}
