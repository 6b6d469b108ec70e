//! The state machine: files what is seen, asks the rules about what it concerns, and reports what is new.

mod kills;
mod times;

use std::collections::{BTreeMap, BTreeSet};

use coroner_proto::v1::{Diagnosis, Node};
use jiff::{SignedDuration, Timestamp};

use self::kills::{Kills, ONE_BY_ONE, STORM};
use crate::{
    aspect::Aspect,
    case::{NodeFile, Subject},
    due::DueQueue,
    observation::{Fact, Health, Observation, Source, cri::ContainerId},
    report,
    revisions::{Content, Outcome, Revisions},
    rules::{self, ChildKilled, Finding},
    verdict::Verdict,
};

/// How long a verdict waits, when it rests on the silence of witnesses or on a name that is not known yet.
const SETTLE: SignedDuration = SignedDuration::from_millis(1500);
/// How long the file of a container is kept after anything was last observed of it once it has ended.
const KEEP: SignedDuration = SignedDuration::from_mins(10);
/// Deaths by container name that are counted, to tell repetitions.
const NAMES: usize = 4096;

/// Keeps the case files of one node and decides. Memory is bounded by construction: see [`NodeFile`].
#[derive(Debug)]
pub struct Examiner {
    file: NodeFile,
    /// What has been reported of each container and pod.
    revisions: Revisions<Subject, Statement>,
    /// Kills in containers that live on.
    kills: BTreeMap<ContainerId, Kills>,
    /// What to examine again, and when.
    waiting: DueQueue<Subject>,
    /// How often each container name of each pod has ended: pod uid, container, cause.
    ends: BTreeMap<(String, String, i32), BTreeSet<ContainerId>>,
    now: Timestamp,
}

/// How much an [`Examiner`] keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Files of containers.
    pub containers: usize,
    /// Files of pods.
    pub pods: usize,
    /// Statements about processes.
    pub statements: usize,
    /// Containers and pods that something was reported of.
    pub subjects: usize,
    /// Containers and pods that wait to be examined again.
    pub waiting: usize,
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
            ends: BTreeMap::new(),
            now: Timestamp::MIN,
        }
    }

    /// Takes in what was seen. Gives the diagnoses that are new or better because of it: first revisions and higher ones.
    pub fn observe(&mut self, mut observation: Observation) -> Vec<Diagnosis> {
        times::make_sane(&mut observation);
        let seen_at = observation.seen_at;
        self.now = self.now.max(seen_at);
        let removed = match &observation.fact {
            Fact::ContainerRemoved(id) => Some(id.clone()),
            _ => None,
        };
        let concerned = self.file.hear(observation);
        let mut diagnoses = Vec::new();
        for subject in concerned {
            self.examine(&subject, &mut diagnoses);
        }
        if let Some(id) = removed {
            self.waiting.wait(&Subject::Container(id), self.now + KEEP);
        }
        diagnoses
    }

    /// Lets time pass to `now`. Gives the diagnoses that only waited for witnesses that might still have come.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Diagnosis> {
        self.now = self.now.max(now);
        let mut diagnoses = Vec::new();
        for subject in self.waiting.take_due(self.now) {
            self.examine(&subject, &mut diagnoses);
            self.close_if_old(&subject);
        }
        diagnoses
    }

    /// When [`tick`](Self::tick) should be called next; `None` if nothing waits.
    pub fn next_tick(&self) -> Option<Timestamp> {
        self.waiting.next()
    }

    /// How much is kept.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            containers: self.file.containers.len(),
            pods: self.file.pods.len(),
            statements: self.file.statements(),
            subjects: self.revisions.len(),
            waiting: self.waiting.len(),
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
        let Some(pod) = self.file.pods.get(uid) else { return };
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
        if self.file.pods.get(uid).is_some_and(|pod| pod.gone.is_some()) {
            self.waiting.wait(subject, self.now + KEEP);
        }
    }

    fn examine_container(&mut self, id: &ContainerId, subject: &Subject, diagnoses: &mut Vec<Diagnosis>) {
        if self.file.is_sandbox(id) {
            return;
        }
        let Some(file) = self.file.containers.get(id) else { return };
        let named = file.name().is_some();
        let nameless = Nameless::of(&self.file, file.pod_uid.is_some());
        let end = rules::end(&self.file, file);
        let children = rules::children(&self.file, file);
        let ended_at = end.as_ref().map(|verdict| verdict.at);
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
        if ended_at.is_some() {
            self.waiting.wait(subject, self.now + KEEP);
        }
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
        let Some(file) = self.file.containers.get(id) else { return };
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
        let occurrences = if *aspect == Aspect::End { self.count_end(subject, &statement.verdict) } else { 1 };
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
                let file = self.file.containers.get(id);
                file.map(|file| report::of_container(&self.file, file, aspect, verdict, revision))
            }
            Subject::Pod(uid) => {
                let file = self.file.pods.get(uid);
                file.map(|file| report::of_pod(&self.file, uid, file, aspect, verdict, revision))
            }
        });
    }

    /// How often a container of this name in this pod has ended by this cause, this time included.
    fn count_end(&mut self, subject: &Subject, verdict: &Verdict) -> u32 {
        let Subject::Container(id) = subject else { return 1 };
        let Some(file) = self.file.containers.get(id) else { return 1 };
        let (Some(uid), Some(name)) = (file.pod_uid(), file.name()) else { return 1 };
        let key = (uid.to_owned(), name.to_owned(), i32::from(verdict.cause));
        if self.ends.len() >= NAMES && !self.ends.contains_key(&key) {
            self.ends.pop_first();
        }
        let ends = self.ends.entry(key).or_default();
        ends.insert(id.clone());
        u32::try_from(ends.len()).unwrap_or(u32::MAX)
    }

    /// Forgets what ended long ago.
    fn close_if_old(&mut self, subject: &Subject) {
        let last = match subject {
            Subject::Container(id) => self.file.containers.get(id).map(|file| file.last_seen),
            Subject::Pod(uid) => self.file.pods.get(uid).filter(|pod| pod.gone.is_some()).map(|pod| pod.heard),
        };
        let Some(last) = last else { return };
        if self.now < last + KEEP {
            return self.waiting.wait(subject, last + KEEP);
        }
        match subject {
            Subject::Container(id) => {
                self.file.forget(id);
                self.kills.remove(id);
            }
            Subject::Pod(uid) => self.file.forget_pod(uid),
        }
        self.revisions.forget(subject);
        self.waiting.remove(subject);
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
        let runtime_answers = node.sources.get(&Source::Cri).is_some_and(|file| file.health == Health::Ok);
        Self { in_pod, runtime_answers }
    }

    /// A kill in a pod's cgroup is worth reporting even nameless. Anything else may be a sandbox, or no pod's at all; and where
    /// the runtime answers, what it never named is no container.
    fn may_be_reported(&self, verdict: &Verdict) -> bool {
        let by_kernel = verdict.memory.is_some();
        self.in_pod && by_kernel || self.in_pod && !self.runtime_answers && verdict.process.is_some()
    }
}
