//! The state machine: files what is seen, asks the rules about what it concerns, and reports what is new.

mod ends;
mod kills;
mod times;

use std::collections::{BTreeMap, BTreeSet};

use coroner_proto::v1::{Diagnosis, Node};
use jiff::{SignedDuration, Timestamp};

use self::{
    ends::Ends,
    kills::{Kills, ONE_BY_ONE, STORM},
};
use crate::{
    aspect::Aspect,
    case::{NodeFile, Subject},
    due::DueQueue,
    observation::{Observation, Source, cri::ContainerId},
    report,
    revisions::{Content, Outcome, Revisions},
    rules::{self, ChildKilled, Finding},
    verdict::Verdict,
};

/// How long a verdict waits, when it rests on the silence of witnesses or on a name that is not known yet.
const SETTLE: SignedDuration = SignedDuration::from_millis(1500);
/// Keeps the case files of one node and decides. Memory is bounded by that of the files: what else is kept of a container or
/// pod is forgotten when its file is closed.
#[derive(Debug)]
pub struct Examiner {
    file: NodeFile,
    /// What has been reported of each container and pod.
    revisions: Revisions<Subject, Statement>,
    /// Kills in containers that live on.
    kills: BTreeMap<ContainerId, Kills>,
    /// What to examine again, and when.
    waiting: DueQueue<Subject>,
    /// How often containers have ended.
    ends: Ends,
    now: Timestamp,
}

/// How much an [`Examiner`] keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Files of containers.
    pub containers: usize,
    /// Files of pods.
    pub pods: usize,
    /// Workloads that its pods belong to.
    pub objects: usize,
    /// Statements about processes.
    pub statements: usize,
    /// Containers and pods that something was reported of.
    pub subjects: usize,
    /// Containers and pods that wait to be examined again.
    pub waiting: usize,
    /// How often there was no room for a container or pod, because as many live as files can be kept: diagnoses may be missing.
    pub refused: u64,
}

/// What is reported of a container or pod.
#[derive(Debug, PartialEq)]
struct Statement {
    verdict: Verdict,
    /// Whether the subject's name is known.
    named: bool,
}

impl Content for Statement {
    fn supersedes(&self, reported: &Self) -> bool {
        self.verdict.differs_from(&reported.verdict) || self.named != reported.named
    }

    fn at(&self) -> Timestamp {
        self.verdict.at
    }
}

impl Examiner {
    /// An examiner for this node. Its names go into every diagnosis and its uid.
    pub fn new(node: Node) -> Self {
        Self {
            file: NodeFile::new(node),
            revisions: Revisions::new(Some(SETTLE)),
            kills: BTreeMap::new(),
            waiting: DueQueue::default(),
            ends: Ends::default(),
            now: Timestamp::MIN,
        }
    }

    /// Takes in what was seen. Gives the diagnoses that are new or better because of it: first revisions and higher ones.
    pub fn observe(&mut self, mut observation: Observation) -> Vec<Diagnosis> {
        times::make_sane(&mut observation);
        let seen_at = observation.seen_at;
        self.now = self.now.max(seen_at);
        let concerned = self.file.record(observation);
        self.forget_closed();
        let mut diagnoses = Vec::new();
        for subject in concerned {
            self.examine(&subject, &mut diagnoses);
        }
        diagnoses
    }

    /// Lets time pass to `now`. Gives the diagnoses that only waited for witnesses that might still have come.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Diagnosis> {
        self.now = self.now.max(now);
        let mut diagnoses = Vec::new();
        for subject in self.waiting.take_due(self.now) {
            self.examine(&subject, &mut diagnoses);
        }
        self.file.expire(self.now);
        self.forget_closed();
        diagnoses
    }

    /// When [`tick`](Self::tick) should be called next; `None` if nothing waits.
    pub fn next_tick(&self) -> Option<Timestamp> {
        [self.waiting.next(), self.file.next_expiry()].into_iter().flatten().min()
    }

    /// How much is kept.
    pub fn sizes(&self) -> Sizes {
        let (containers, pods, refused) = self.file.registry.counts();
        Sizes {
            containers,
            pods,
            objects: self.file.objects.count(),
            statements: self.file.processes.count(),
            subjects: self.revisions.len(),
            waiting: self.waiting.len(),
            refused,
        }
    }

    /// Asks the rules.
    fn examine(&mut self, subject: &Subject, diagnoses: &mut Vec<Diagnosis>) {
        match subject {
            Subject::Container(id) => self.examine_container(id, subject, diagnoses),
            Subject::Pod(uid) => self.examine_pod(uid, subject, diagnoses),
        }
    }

    fn examine_pod(&mut self, uid: &str, subject: &Subject, diagnoses: &mut Vec<Diagnosis>) {
        let Some(pod) = self.file.registry.pod(uid) else { return };
        let findings = rules::pod(&self.file, pod, self.now);
        let Some(findings) = findings else { return };
        let mut holding = BTreeSet::new();
        for Finding { aspect, verdict, ripe } in findings {
            holding.insert(aspect.clone());
            let known = self.revisions.get(subject, &aspect).is_some();
            let ripe = if verdict.waits { ripe.max(verdict.at + SETTLE) } else { ripe };
            if known || ripe <= self.now {
                self.report(subject, &aspect, Statement { verdict, named: true }, diagnoses);
            } else {
                self.waiting.wait(subject, ripe);
            }
        }
        // A state is over when it holds no longer.
        let is_over = |aspect: &Aspect| aspect.is_state() && !holding.contains(aspect);
        for aspect in self.revisions.resolve(self.now, subject, is_over) {
            self.revise(subject, &aspect, diagnoses);
        }
    }

    fn examine_container(&mut self, id: &ContainerId, subject: &Subject, diagnoses: &mut Vec<Diagnosis>) {
        let Some(file) = self.file.registry.container(id) else { return };
        let named = file.name().is_some();
        let nameless = Nameless::of(&self.file, file.pod_uid.is_some());
        let end = rules::end(&self.file, file);
        let children = rules::children(&self.file, file);
        if let Some(verdict) = end {
            let known = self.revisions.get(subject, &Aspect::End).is_some();
            // The first report of an end by silence, or of something without a name yet, waits; corrections do not.
            let ready = verdict.at + SETTLE;
            let hold = (verdict.waits || !named) && self.now < ready;
            if hold && !known {
                self.waiting.wait(subject, ready);
            } else if named || known || nameless.may_be_reported(&verdict) {
                self.report(subject, &Aspect::End, Statement { verdict, named }, diagnoses);
            }
        }
        for child in children {
            let ready = child.verdict.at + SETTLE;
            // The tracepoint is faster than the log, whose time of the kill is part of the uid. It also reports a process that was
            // found exiting already: of such the kernel writes no line and counts no kill (mm/oom_kill.c, oom_kill_process).
            let unwritten = child.boot_micros.is_none();
            let log_read = |from, to| self.file.covered(Source::KernelLog, from, to);
            if (unwritten && log_read(self.now, self.now) || !named) && self.now < ready {
                self.waiting.wait(subject, ready);
            } else if unwritten && log_read(child.verdict.at - SETTLE, ready) {
                continue;
            } else if named || nameless.may_be_reported(&child.verdict) {
                self.report_child(id, subject, child, named, diagnoses);
            }
        }
        self.count_unnamed(id, subject);
        self.report_counts(subject, diagnoses);
    }

    /// Reports a kill in a container that lives on, or only counts it when there are too many.
    fn report_child(
        &mut self,
        id: &ContainerId,
        subject: &Subject,
        child: ChildKilled,
        named: bool,
        diagnoses: &mut Vec<Diagnosis>,
    ) {
        let ChildKilled { pid, boot_micros, verdict } = child;
        // Reported by the tracepoint alone, a kill stays what it was when its line is read at last.
        let unwritten = Aspect::Process { pid, boot_micros: None };
        let is_same = |at: Timestamp| at.duration_since(verdict.at).abs() < SETTLE;
        let by_tracepoint = self.revisions.get(subject, &unwritten).is_some_and(|known| is_same(known.content.at()));
        let aspect = if by_tracepoint { unwritten } else { Aspect::Process { pid, boot_micros } };
        let statement = Statement { verdict, named };
        if self.revisions.get(subject, &aspect).is_some() {
            return self.report(subject, &aspect, statement, diagnoses);
        }
        let at = statement.at();
        let kills = self.kills.entry(id.clone()).or_default();
        if !kills.is_new(at) {
            return;
        }
        let since = self.now - STORM;
        let recent =
            self.revisions.of(subject).filter(|(aspect, known)| is_process(aspect) && known.first_seen() > since);
        if recent.count() < ONE_BY_ONE {
            return self.report(subject, &aspect, statement, diagnoses);
        }
        kills.count(at);
        self.count(subject, 1);
    }

    /// In a storm some victims die before anybody has learned whose they are. The counter of their cgroup knows them: what it
    /// counted beyond those that were reported is reported with the newest of them, once nothing more comes.
    fn count_unnamed(&mut self, id: &ContainerId, subject: &Subject) {
        let Some(file) = self.file.registry.container(id) else { return };
        let Some(known) = self.kills.get_mut(id) else { return };
        let kills = &file.samples.oom_kills;
        let Some((_, grown)) = kills.grown().or_else(|| kills.watched()) else { return };
        // Of a cgroup that was made under our eyes, every kill is ours to report; else those since the first look.
        let whole = file.task_started.is_some();
        let counted = if whole { kills.count().unwrap_or(0) } else { kills.growth() };
        let unnamed = counted.saturating_sub(known.known);
        // A kill that ended the container is reported with its end.
        let end = self.revisions.get(subject, &Aspect::End);
        if known.known == 0 || unnamed == 0 || end.is_some_and(|end| end.content.verdict.memory.is_some()) {
            return;
        }
        if self.now < grown + SETTLE {
            return self.waiting.wait(subject, grown + SETTLE);
        }
        known.count_unnamed(unnamed, grown);
        self.count(subject, u32::try_from(unnamed).unwrap_or(u32::MAX));
    }

    /// Counts more kills into the newest that was reported.
    fn count(&mut self, subject: &Subject, kills: u32) {
        let processes = self.revisions.of(subject).filter(|(aspect, _)| is_process(aspect));
        let newest = processes.max_by_key(|(_, known)| known.first_seen()).map(|(aspect, _)| aspect.clone());
        if let Some(aspect) = newest {
            self.revisions.count(subject, &aspect, kills);
        }
    }

    /// Reports kills that were only counted, now and then.
    fn report_counts(&mut self, subject: &Subject, diagnoses: &mut Vec<Diagnosis>) {
        for (aspect, revised_at) in self.revisions.uncounted(subject) {
            if revised_at + STORM <= self.now {
                self.revise(subject, &aspect, diagnoses);
            } else {
                self.waiting.wait(subject, revised_at + STORM);
            }
        }
    }

    fn report(&mut self, subject: &Subject, aspect: &Aspect, statement: Statement, diagnoses: &mut Vec<Diagnosis>) {
        let occurrences = match (aspect, subject) {
            (Aspect::End, Subject::Container(id)) => {
                let file = self.file.registry.container(id);
                let file = file.filter(|file| self.file.pod_of(file).is_some());
                file.map_or(1, |file| self.ends.count(file, statement.verdict.cause))
            }
            _ => 1,
        };
        let outcome = self.revisions.report(self.now, subject, aspect, statement, occurrences);
        if outcome != Outcome::Known {
            self.revise(subject, aspect, diagnoses);
        }
        if outcome == Outcome::First {
            // Once more when every source has had time to report.
            self.waiting.wait(subject, self.now + SETTLE);
        }
    }

    fn revise(&mut self, subject: &Subject, aspect: &Aspect, diagnoses: &mut Vec<Diagnosis>) {
        let Some((statement, revision)) = self.revisions.revise(self.now, subject, aspect) else { return };
        let verdict = &statement.verdict;
        diagnoses.extend(match subject {
            Subject::Container(id) => {
                let file = self.file.registry.container(id);
                file.map(|file| report::of_container(&self.file, file, aspect, verdict, revision))
            }
            Subject::Pod(uid) => {
                let file = self.file.registry.pod(uid);
                file.map(|file| report::of_pod(&self.file, uid, file, aspect, verdict, revision))
            }
        });
    }

    /// Forgets all about what is on file no more.
    fn forget_closed(&mut self) {
        for subject in self.file.take_closed() {
            self.revisions.forget(&subject);
            self.waiting.remove(&subject);
            match &subject {
                Subject::Container(id) => {
                    self.kills.remove(id);
                    self.ends.close(id);
                }
                Subject::Pod(uid) => self.ends.forget(uid),
            }
        }
    }
}

fn is_process(aspect: &Aspect) -> bool {
    matches!(aspect, Aspect::Process { .. })
}

/// Whether something without a name may be reported at all.
struct Nameless {
    in_pod: bool,
    runtime_answers: bool,
}

impl Nameless {
    fn of(node: &NodeFile, in_pod: bool) -> Self {
        Self { in_pod, runtime_answers: node.coverage.answers(Source::Cri) }
    }

    /// A kill in a pod's cgroup is worth reporting even nameless. Anything else may be a sandbox, or no pod's at all; and where
    /// the runtime answers, what it never named is no container.
    fn may_be_reported(&self, verdict: &Verdict) -> bool {
        let by_kernel = verdict.memory.is_some();
        self.in_pod && by_kernel || self.in_pod && !self.runtime_answers && verdict.process.is_some()
    }
}
