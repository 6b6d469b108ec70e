//! The state machine: files what is seen, asks the rules about what it concerns, and reports what is new.

mod children;
mod ends;
mod kills;
mod times;

use std::collections::{BTreeMap, BTreeSet};

use coroner_proto::v1::{Cause, ContainerKind, Diagnosis, Node};
use jiff::{SignedDuration, Timestamp};

use self::{children::Children, ends::Ends, kills::Kills};
use crate::{
    aspect::Aspect,
    case::{NodeFile, Subject},
    due::DueQueue,
    explanation::{Conclusion, Considered, Journal, Reason, Reported, Step, Wait},
    observation::{Fact, Observation, Source, cri::ContainerId},
    report,
    revisions::{Content, Outcome, Revisions},
    rules::{self, Finding},
    verdict::Verdict,
};

/// How long a verdict waits, when it rests on the absence of reports or on a name that is not known yet.
const SETTLE: SignedDuration = SignedDuration::from_millis(1500);
/// How much longer it waits for sources that have not read up to then.
const BEHIND: SignedDuration = SignedDuration::from_secs(10);
/// Time is given at least when it is asked for. If it comes so much later, the agent itself got no processor, its
/// machine was suspended, or its clock was set ahead.
const PAUSE: SignedDuration = SignedDuration::from_secs(2);
/// Every check of the node has then been made again within this time: until then it is not known what still holds of
/// the node.
const CATCH_UP: SignedDuration = SignedDuration::from_secs(6);

/// Keeps the case files of one node and decides. Memory is bounded by that of the files: what else is kept of a
/// container or pod is forgotten when its file is closed.
#[derive(Debug)]
pub struct Examiner {
    file: NodeFile,
    /// What has been reported of each container and pod.
    revisions: Revisions<Subject, Statement>,
    /// Kills in containers that live on.
    kills: BTreeMap<ContainerId, Kills>,
    /// What to examine again, and when.
    waiting: DueQueue<Subject>,
    /// Ends whose verdict rests on the silence of sources that have not read so far, and when they were.
    unread: BTreeMap<Subject, Timestamp>,
    /// How often containers have ended.
    ends: Ends,
    /// How the verdicts came about, if that was asked for.
    journal: Option<Journal>,
    /// Before this, nothing new is reported of the node itself.
    caught_up: Timestamp,
    now: Timestamp,
}

/// How many entries an [`Examiner`] keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The number of files of containers.
    pub containers: usize,
    /// The number of files of pods.
    pub pods: usize,
    /// The number of workloads that its pods belong to.
    pub objects: usize,
    /// The number of statements about processes.
    pub statements: usize,
    /// The number of containers and pods with reported diagnoses.
    pub subjects: usize,
    /// Containers and pods that wait to be examined again.
    pub waiting: usize,
    /// How often a container or pod was refused, because as many are running as files can be kept: diagnoses may be
    /// missing.
    pub refused: u64,
}

/// What is reported of a container or pod.
#[derive(Debug, PartialEq)]
struct Statement {
    verdict: Verdict,
    /// Whether the subject's name is known.
    named: bool,
    /// What kind of container it is; of others, and before its pod is known, unspecified.
    kind: ContainerKind,
}

impl Content for Statement {
    fn supersedes(&self, reported: &Self) -> bool {
        let kind_known = reported.kind == ContainerKind::Unspecified && self.kind != reported.kind;
        self.verdict.differs_from(&reported.verdict) || self.named != reported.named || kind_known
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
            unread: BTreeMap::new(),
            ends: Ends::default(),
            journal: None,
            caught_up: Timestamp::MIN,
            now: Timestamp::MIN,
        }
    }

    /// The same, which keeps how its verdicts come about.
    #[must_use]
    pub fn explaining(self) -> Self {
        Self { journal: Some(Journal::default()), ..self }
    }

    /// How the verdicts of an [`explaining`](Self::explaining) examiner came about, in order.
    pub fn into_steps(self) -> Vec<Step> {
        self.journal.map(Journal::into_steps).unwrap_or_default()
    }

    /// Takes in what was seen. Gives the diagnoses that are new or better because of it: first revisions and higher
    /// ones.
    pub fn observe(&mut self, mut observation: Observation) -> Vec<Diagnosis> {
        times::make_sane(&mut observation);
        self.advance(observation.seen_at);
        let is_read = matches!(observation.fact, Fact::ReadUpTo(_));
        let mut concerned = self.file.record(observation);
        self.forget_closed();
        if is_read {
            let coverage = &self.file.coverage;
            concerned.extend(self.unread.extract_if(.., |_, at| !coverage.is_behind(*at)).map(|(subject, _)| subject));
        }
        let mut diagnoses = Vec::new();
        for subject in concerned {
            self.examine(&subject, &mut diagnoses);
        }
        diagnoses
    }

    /// Advances the time to `now`. Gives the diagnoses that only waited for reports that might still have come.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Diagnosis> {
        self.advance(now);
        let mut diagnoses = Vec::new();
        for subject in self.waiting.take_due(self.now) {
            self.examine(&subject, &mut diagnoses);
        }
        self.file.expire(self.now);
        self.forget_closed();
        diagnoses
    }

    fn advance(&mut self, now: Timestamp) {
        if self.next_tick().is_some_and(|due| now.duration_since(due.max(self.now)) > PAUSE) {
            self.caught_up = now.saturating_add(CATCH_UP).unwrap_or(now);
        }
        self.now = self.now.max(now);
    }

    /// When [`tick`](Self::tick) should be called next; `None` if nothing waits.
    pub fn next_tick(&self) -> Option<Timestamp> {
        [self.waiting.next(), self.file.next_expiry()].into_iter().flatten().min()
    }

    /// Up to when the sources should read, and confirm it, for what waits for that alone; `None` if nothing does.
    pub fn unread(&self) -> Option<Timestamp> {
        self.unread.values().max().copied()
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
            Subject::Node => self.examine_node(diagnoses),
        }
    }

    fn examine_node(&mut self, diagnoses: &mut Vec<Diagnosis>) {
        let mut findings = rules::node(&self.file, self.now);
        for finding in &mut findings {
            finding.ripe = finding.ripe.max(self.caught_up);
        }
        if let Some(change) = self.file.state.next_change(self.now) {
            self.waiting.wait(&Subject::Node, change);
        }
        self.report_states(&Subject::Node, findings, true, diagnoses);
    }

    fn examine_pod(&mut self, uid: &str, subject: &Subject, diagnoses: &mut Vec<Diagnosis>) {
        let Some(pod) = self.file.registry.pod(uid) else { return };
        let beside = rules::beside_containers(&self.file, pod);
        let findings = rules::pod(&self.file, pod, self.now);
        let is_known = findings.is_some();
        self.report_states(subject, findings.into_iter().flatten().chain(beside).collect(), is_known, diagnoses);
    }

    /// Reports what holds of a subject. Unless `is_known` what else could hold of it, nothing is over.
    fn report_states(
        &mut self,
        subject: &Subject,
        findings: Vec<Finding>,
        is_known: bool,
        diagnoses: &mut Vec<Diagnosis>,
    ) {
        let mut holding = BTreeSet::new();
        for Finding { aspect, verdict, ripe } in findings {
            holding.insert(aspect.clone());
            let ripe = if verdict.waits { ripe.max(verdict.at + SETTLE) } else { ripe };
            if let Some(until) = verdict.usual_until {
                self.waiting.wait(subject, until);
            }
            // Until then, what was reported before stands.
            if ripe <= self.now {
                self.report(subject, &aspect, verdict, true, diagnoses);
            } else {
                let wait = if verdict.waits && verdict.at + SETTLE == ripe { Wait::Absence } else { Wait::Ripening };
                self.hold(subject, &aspect, verdict.cause, ripe, wait);
            }
        }
        if !is_known {
            return;
        }
        // A state is over when it holds no longer.
        let is_over = |aspect: &Aspect| aspect.is_state() && !holding.contains(aspect);
        for aspect in self.revisions.resolve(self.now, subject, is_over) {
            self.revise(subject, &aspect, Reason::Over, diagnoses);
        }
    }

    /// Asks the rules again later.
    fn hold(&mut self, subject: &Subject, aspect: &Aspect, cause: Cause, until: Timestamp, wait: Wait) {
        self.waiting.wait(subject, until);
        if let Some(journal) = &mut self.journal {
            journal.hold(self.now, subject, aspect, (cause, until, wait));
        }
    }

    fn examine_container(&mut self, id: &ContainerId, subject: &Subject, diagnoses: &mut Vec<Diagnosis>) {
        let end = self.end(id, subject);
        let runs = end.is_none();
        let Some(file) = self.file.registry.container(id) else { return };
        let named = file.name().is_some();
        let nameless = Nameless::of(&self.file, file.pod_uid.is_some());
        let mut children = rules::children(&self.file, file);
        if let Some(verdict) = end {
            let begun_by = verdict.begun_by.as_ref().map(|begun| &begun.aspect);
            children.retain(|child| begun_by != Some(&child.aspect()));
            let aspect = self.aspect_of_end(subject, &verdict);
            let known = self.revisions.get(subject, &aspect).is_some();
            // The first report of an end by silence, or of something without a name yet, waits; corrections do not.
            let ready = verdict.at + SETTLE;
            let hold = (verdict.waits || !named) && self.now < ready;
            if hold && !known {
                let wait = if verdict.waits { Wait::Absence } else { Wait::Name };
                self.hold(subject, &aspect, verdict.cause, ready, wait);
            } else if named || known || nameless.may_be_reported(&verdict) {
                self.report(subject, &aspect, verdict, named, diagnoses);
            }
        }
        self.report_children(id, subject, Children { killed: children, runs, named, nameless }, diagnoses);
        self.count_unnamed(id, subject, named, diagnoses);
        self.report_counts(subject, diagnoses);
    }

    /// Why a container ended. A verdict that rests on silence waits for sources that are behind.
    fn end(&mut self, id: &ContainerId, subject: &Subject) -> Option<Verdict> {
        self.unread.remove(subject);
        let verdict = rules::end(&self.file, self.file.registry.container(id)?)?;
        let ready = verdict.at + SETTLE;
        if !verdict.waits || self.now < ready || !self.file.coverage.is_behind(verdict.at) {
            return Some(verdict);
        }
        if self.now < ready + BEHIND {
            self.unread.insert(subject.clone(), verdict.at);
            self.hold(subject, &Aspect::End, verdict.cause, ready + BEHIND, Wait::Absence);
            return None;
        }
        self.file.coverage.give_up(verdict.at, self.now);
        rules::end(&self.file, self.file.registry.container(id)?)
    }

    fn report(
        &mut self,
        subject: &Subject,
        aspect: &Aspect,
        verdict: Verdict,
        named: bool,
        diagnoses: &mut Vec<Diagnosis>,
    ) {
        let container = match subject {
            Subject::Container(id) => self.file.registry.container(id),
            Subject::Pod(_) | Subject::Node => None,
        };
        let kind = container.map_or(ContainerKind::Unspecified, |file| report::kind(&self.file, file));
        let is_end = *aspect == Aspect::End || verdict.fatal && matches!(aspect, Aspect::Process { .. });
        let ended = container.filter(|file| is_end && self.file.pod_of(file).is_some());
        let occurrences = ended.map_or(1, |file| self.ends.count(file, verdict.cause));
        let statement = Statement { verdict, named, kind };
        let outcome = self.revisions.report(self.now, subject, aspect, statement, occurrences);
        match outcome {
            Outcome::First => self.revise(subject, aspect, Reason::First, diagnoses),
            Outcome::Revised => self.revise(subject, aspect, Reason::Better, diagnoses),
            Outcome::Known => {}
        }
        if outcome == Outcome::First {
            // Once more when every source has had time to report.
            self.waiting.wait(subject, self.now + SETTLE);
        }
    }

    fn revise(&mut self, subject: &Subject, aspect: &Aspect, reason: Reason, diagnoses: &mut Vec<Diagnosis>) {
        let Some((statement, revision)) = self.revisions.revise(self.now, subject, aspect) else { return };
        let verdict = &statement.verdict;
        let diagnosis = match subject {
            Subject::Container(id) => {
                let file = self.file.registry.container(id);
                file.map(|file| report::of_container(&self.file, file, aspect, verdict, revision))
            }
            Subject::Pod(uid) => {
                let file = self.file.registry.pod(uid);
                file.map(|file| report::of_pod(&self.file, uid, file, aspect, verdict, revision))
            }
            Subject::Node => Some(report::of_node(&self.file.node, aspect, verdict, revision)),
        };
        let Some(diagnosis) = diagnosis else { return };
        if let Some(journal) = &mut self.journal {
            journal.report(self.now, subject, explain(&self.file, self.now, (subject, aspect), reason, &diagnosis));
        }
        diagnoses.push(diagnosis);
    }

    /// Forgets all about what is on file no more.
    fn forget_closed(&mut self) {
        for (subject, closing) in self.file.take_closed() {
            if let Some(journal) = &mut self.journal {
                journal.close(self.now, &subject, closing);
            }
            self.revisions.forget(&subject);
            self.waiting.remove(&subject);
            self.unread.remove(&subject);
            match &subject {
                Subject::Container(id) => {
                    self.kills.remove(id);
                    self.ends.close(id);
                }
                Subject::Pod(uid) => self.ends.forget(uid),
                Subject::Node => {}
            }
        }
    }
}

/// What the rules make of an aspect now that it is reported.
fn explain(
    node: &NodeFile,
    now: Timestamp,
    (subject, aspect): (&Subject, &Aspect),
    reason: Reason,
    diagnosis: &Diagnosis,
) -> Reported {
    let (mut rules, mut known, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    match subject {
        // What happens to one process of a container that keeps running is the business of one rule.
        Subject::Container(_) if is_process(aspect) => {
            rules.push(Considered { rule: "memory", conclusion: Conclusion::Decided });
        }
        Subject::Container(id) => {
            if let Some(file) = node.registry.container(id) {
                rules = rules::considered(node, file);
                known = rules::known(node, file);
                missing = rules::missing(node, file);
            }
        }
        Subject::Pod(uid) => {
            rules.extend(
                node.registry
                    .pod(uid)
                    .map(|pod| rules::considered_of_pod(node, pod, now, aspect))
                    .into_iter()
                    .flatten(),
            );
        }
        Subject::Node => rules = rules::considered_of_node(node, now, aspect),
    }
    Reported {
        uid: diagnosis.uid.clone(),
        revision: diagnosis.revision,
        aspect: aspect.clone(),
        cause: diagnosis.cause(),
        reason,
        rules,
        known,
        missing,
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

    /// A kill in a pod's cgroup is worth reporting even nameless. Anything else may be a sandbox, or no pod's at all;
    /// and where the runtime answers, what it never named is no container.
    fn may_be_reported(&self, verdict: &Verdict) -> bool {
        let by_kernel = verdict.memory.is_some();
        self.in_pod && by_kernel || self.in_pod && !self.runtime_answers && verdict.process.is_some()
    }
}
