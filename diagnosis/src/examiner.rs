//! The state machine: files what is seen, asks the rules about what it concerns, and tells what is new.

use std::collections::{BTreeMap, BTreeSet};

use coroner_proto::v1::{Diagnosis, Node};
use jiff::{SignedDuration, Timestamp};

use crate::{
    aspect::Aspect,
    case::{NodeFile, Subject},
    observation::{
        Fact, Health, Observation, Source,
        containerd::{TaskEvent, TaskEventKind},
        cri::{Container, ContainerId},
        docker,
    },
    report,
    rules::{self, ChildKilled, Finding},
    verdict::Verdict,
};

/// How long a verdict waits, when it rests on the silence of witnesses or on a name that is not known yet.
const SETTLE: SignedDuration = SignedDuration::from_millis(1500);
/// How long the file of a container is kept after anything was last heard of it once it has ended.
const KEEP: SignedDuration = SignedDuration::from_mins(10);
/// Diagnoses about processes of one container that are told one by one within [`STORM`].
const PROCESSES: usize = 4;
/// After so many, further kills in a container that lives on are counted into the newest diagnosis, told this often.
const STORM: SignedDuration = SignedDuration::from_secs(10);
/// Diagnoses about one container that may still be revised.
const ASPECTS: usize = 64;
/// Deaths by container name that are counted, to tell repetitions.
const NAMES: usize = 4096;

/// Keeps the case files of one node and decides. Memory is bounded by construction: see [`NodeFile`].
#[derive(Debug)]
pub struct Examiner {
    file: NodeFile,
    told: BTreeMap<Subject, Told>,
    /// What to look at again, and when.
    waiting: BTreeMap<Subject, Timestamp>,
    /// How often each container name of each pod has ended: pod uid, container, cause.
    ends: BTreeMap<(String, String, i32), BTreeSet<ContainerId>>,
    now: Timestamp,
}

/// What has been told of one subject.
#[derive(Debug, Default)]
struct Told {
    aspects: BTreeMap<Aspect, Telling>,
    /// Kills up to this moment that were not told one by one have been counted.
    counted_until: Option<Timestamp>,
    /// Kills that were told or counted.
    kills: u64,
    /// Of these, such as only the counter knows: one that is attributed later is among them.
    unnamed: u64,
}

impl Told {
    /// The kill of a process as it was told before, or as it is told from now on: told by the tracepoint alone, it stays what it was
    /// when its line is read at last.
    fn kill(&self, pid: i32, boot_micros: Option<u64>, at: Timestamp) -> Aspect {
        let unwritten = Aspect::Process { pid, boot_micros: None };
        let is_same = |told: &Telling| told.verdict.at.duration_since(at).abs() < SETTLE;
        if self.aspects.get(&unwritten).is_some_and(is_same) { unwritten } else { Aspect::Process { pid, boot_micros } }
    }

    /// Counts more kills into the newest that was told.
    fn count(&mut self, kills: u32) {
        let newest = self.aspects.iter_mut().filter(|(aspect, _)| matches!(aspect, Aspect::Process { .. }));
        if let Some((_, telling)) = newest.max_by_key(|(_, t)| t.first_seen) {
            telling.occurrences = telling.occurrences.saturating_add(kills);
        }
    }

    /// Keeps what is told of one subject bounded. The end is never forgotten.
    fn forget_oldest(&mut self) {
        while self.aspects.len() > ASPECTS {
            let processes = self.aspects.iter().filter(|(aspect, _)| **aspect != Aspect::End);
            let Some(oldest) = processes.min_by_key(|(_, t)| t.first_seen).map(|(aspect, _)| aspect.clone()) else {
                return;
            };
            self.aspects.remove(&oldest);
        }
    }
}

#[derive(Debug)]
struct Telling {
    revision: u32,
    verdict: Verdict,
    first_seen: Timestamp,
    last_told: Timestamp,
    occurrences: u32,
    /// How many of them its last revision told.
    told_occurrences: u32,
    /// When the state was over.
    resolved: Option<Timestamp>,
    /// Everybody has had time to speak: what still comes must change the verdict to be worth a revision.
    settled: bool,
    /// The subject's name as it was told.
    named: bool,
}

impl Examiner {
    /// An examiner for this node. Its names go into every diagnosis and its uid.
    pub fn new(node: Node) -> Self {
        Self {
            file: NodeFile::new(node),
            told: BTreeMap::new(),
            waiting: BTreeMap::new(),
            ends: BTreeMap::new(),
            now: Timestamp::MIN,
        }
    }

    /// Takes in what was seen. Gives the diagnoses that are new or better because of it: first revisions and higher ones.
    pub fn observe(&mut self, mut observation: Observation) -> Vec<Diagnosis> {
        make_sane(&mut observation);
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
            self.look_again(Subject::Container(id), self.now + KEEP);
        }
        diagnoses
    }

    /// Lets time pass to `now`. Gives the diagnoses that only waited for witnesses that might still have come.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Diagnosis> {
        self.now = self.now.max(now);
        let due = self.waiting.iter().filter(|(_, at)| **at <= self.now).map(|(subject, _)| subject.clone());
        let due: Vec<_> = due.collect();
        let mut diagnoses = Vec::new();
        for subject in due {
            self.waiting.remove(&subject);
            self.examine(&subject, &mut diagnoses);
            self.close_if_old(&subject);
        }
        diagnoses
    }

    /// When [`tick`](Self::tick) should be called next; `None` if nothing waits.
    pub fn next_tick(&self) -> Option<Timestamp> {
        self.waiting.values().min().copied()
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
            let known = self.told.get(subject).is_some_and(|told| told.aspects.contains_key(&aspect));
            let ripe = if verdict.waits { ripe.max(verdict.at + SETTLE) } else { ripe };
            if known || ripe <= self.now {
                self.tell(subject, aspect, verdict, true, diagnoses);
            } else {
                self.look_again(subject.clone(), ripe);
            }
        }
        self.resolve(subject, &holding, diagnoses);
        if self.file.pods.get(uid).is_some_and(|pod| pod.gone.is_some()) {
            self.look_again(subject.clone(), self.now + KEEP);
        }
    }

    /// Tells that states are over which hold no longer.
    fn resolve(&mut self, subject: &Subject, holding: &BTreeSet<Aspect>, diagnoses: &mut Vec<Diagnosis>) {
        let now = self.now;
        let Some(told) = self.told.get_mut(subject) else { return };
        let over = told
            .aspects
            .iter_mut()
            .filter(|(aspect, telling)| aspect.is_state() && telling.resolved.is_none() && !holding.contains(*aspect));
        let over: Vec<_> = over
            .map(|(aspect, telling)| {
                telling.resolved = Some(now);
                aspect.clone()
            })
            .collect();
        for aspect in over {
            self.retell(subject, &aspect, diagnoses);
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
            let known = self.told.get(subject).is_some_and(|told| told.aspects.contains_key(&Aspect::End));
            // The first word on an end by silence, or on something without a name yet, waits; corrections do not.
            let ready = verdict.at + SETTLE;
            let hold = (verdict.waits || !named) && self.now < ready;
            if hold && !known {
                self.look_again(subject.clone(), ready);
            } else if named || known || nameless.may_be_told(&verdict) {
                self.tell(subject, Aspect::End, verdict, named, diagnoses);
            }
        }
        for child in children {
            let ready = child.verdict.at + SETTLE;
            // The tracepoint is faster than the log, whose time of the kill is part of the uid. It also tells of a process that was
            // found exiting already: of such the kernel writes no line and counts no kill (mm/oom_kill.c, oom_kill_process).
            let unwritten = child.boot_micros.is_none();
            let log_heard = |from, to| self.file.covered(Source::KernelLog, from, to);
            if (unwritten && log_heard(self.now, self.now) || !named) && self.now < ready {
                self.look_again(subject.clone(), ready);
            } else if unwritten && log_heard(child.verdict.at - SETTLE, ready) {
                continue;
            } else if named || nameless.may_be_told(&child.verdict) {
                self.tell_child(subject, child, named, diagnoses);
            }
        }
        self.count_untold(id, subject);
        self.tell_counts(subject, diagnoses);
        if ended_at.is_some() {
            self.look_again(subject.clone(), self.now + KEEP);
        }
    }

    /// Tells a kill in a container that lives on, or only counts it when there are too many.
    fn tell_child(&mut self, subject: &Subject, child: ChildKilled, named: bool, diagnoses: &mut Vec<Diagnosis>) {
        let ChildKilled { pid, boot_micros, verdict } = child;
        let now = self.now;
        let told = self.told.entry(subject.clone()).or_default();
        let aspect = told.kill(pid, boot_micros, verdict.at);
        if told.aspects.contains_key(&aspect) {
            return self.tell(subject, aspect, verdict, named, diagnoses);
        }
        if told.counted_until.is_some_and(|until| verdict.at <= until) {
            return;
        }
        if told.unnamed > 0 {
            told.unnamed -= 1;
            return;
        }
        told.kills += 1;
        let is_process = |aspect: &Aspect| matches!(aspect, Aspect::Process { .. });
        if told.aspects.iter().filter(|(a, t)| is_process(a) && t.first_seen > now - STORM).count() < PROCESSES {
            return self.tell(subject, aspect, verdict, named, diagnoses);
        }
        told.counted_until = Some(verdict.at);
        told.count(1);
    }

    /// In a storm some victims die before anybody has learned whose they are. The counter of their cgroup knows them: what it
    /// counted beyond those that were told is told with the newest of them, once nothing more comes.
    fn count_untold(&mut self, id: &ContainerId, subject: &Subject) {
        let Some(file) = self.file.containers.get(id) else { return };
        let Some(told) = self.told.get_mut(subject) else { return };
        let kills = &file.samples.oom_kills;
        let Some((_, grown)) = kills.grown().or_else(|| kills.watched()) else { return };
        // Of a cgroup that was made under our eyes, every kill is ours to tell; else those since the first look.
        let whole = file.task_started.is_some();
        let counted = if whole { kills.count().unwrap_or(0) } else { kills.growth() };
        let untold = counted.saturating_sub(told.kills);
        // A kill that ended the container is told with its end.
        let ended_by_it = told.aspects.get(&Aspect::End).is_some_and(|end| end.verdict.memory.is_some());
        if told.kills == 0 || untold == 0 || ended_by_it {
            return;
        }
        if self.now < grown + SETTLE {
            return self.look_again(subject.clone(), grown + SETTLE);
        }
        told.kills += untold;
        told.unnamed += untold;
        told.count(u32::try_from(untold).unwrap_or(u32::MAX));
    }

    /// Tells of kills that were only counted, now and then.
    fn tell_counts(&mut self, subject: &Subject, diagnoses: &mut Vec<Diagnosis>) {
        let Some(told) = self.told.get(subject) else { return };
        let counted = told.aspects.iter().filter(|(_, t)| t.occurrences > t.told_occurrences);
        let counted: Vec<_> = counted.map(|(aspect, t)| (aspect.clone(), t.last_told + STORM)).collect();
        for (aspect, due) in counted {
            if due <= self.now {
                self.retell(subject, &aspect, diagnoses);
            } else {
                self.look_again(subject.clone(), due);
            }
        }
    }

    fn tell(
        &mut self,
        subject: &Subject,
        aspect: Aspect,
        verdict: Verdict,
        named: bool,
        diagnoses: &mut Vec<Diagnosis>,
    ) {
        let now = self.now;
        let occurrences = if aspect == Aspect::End { self.count_end(subject, &verdict) } else { 1 };
        let told = self.told.entry(subject.clone()).or_default();
        match told.aspects.get_mut(&aspect) {
            None => {
                let telling = Telling {
                    revision: 0,
                    verdict,
                    first_seen: now,
                    last_told: now,
                    occurrences,
                    told_occurrences: 0,
                    resolved: None,
                    settled: false,
                    named,
                };
                told.aspects.insert(aspect.clone(), telling);
                told.forget_oldest();
                self.retell(subject, &aspect, diagnoses);
                // Once more when everybody has spoken.
                self.look_again(subject.clone(), now + SETTLE);
            }
            Some(telling) if telling.resolved.is_some() => {
                // It holds again.
                telling.resolved = None;
                telling.verdict = verdict;
                telling.occurrences += 1;
                self.retell(subject, &aspect, diagnoses);
            }
            Some(telling) if telling.verdict != verdict || telling.named != named => {
                let decisive = telling.verdict.differs_from(&verdict) || telling.named != named;
                let settles = now >= telling.first_seen + SETTLE;
                if decisive || (settles && !telling.settled) {
                    telling.verdict = verdict;
                    telling.named = named;
                    telling.settled = settles;
                    telling.occurrences = telling.occurrences.max(occurrences);
                    self.retell(subject, &aspect, diagnoses);
                }
            }
            Some(_) => {}
        }
    }

    fn retell(&mut self, subject: &Subject, aspect: &Aspect, diagnoses: &mut Vec<Diagnosis>) {
        let Some(telling) = self.told.get_mut(subject).and_then(|told| told.aspects.get_mut(aspect)) else { return };
        let said = report::Telling {
            revision: telling.revision + 1,
            first_seen: telling.first_seen,
            occurrences: telling.occurrences,
            resolved: telling.resolved,
        };
        let diagnosis = match subject {
            Subject::Container(id) => {
                let file = self.file.containers.get(id);
                file.map(|file| report::of_container(&self.file, file, aspect, &telling.verdict, said))
            }
            Subject::Pod(uid) => {
                let file = self.file.pods.get(uid);
                file.map(|file| report::of_pod(&self.file, uid, file, aspect, &telling.verdict, said))
            }
        };
        if let Some(diagnosis) = diagnosis {
            telling.revision += 1;
            telling.last_told = self.now;
            telling.told_occurrences = telling.occurrences;
            diagnoses.push(diagnosis);
        }
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

    fn look_again(&mut self, subject: Subject, at: Timestamp) {
        let due = self.waiting.entry(subject).or_insert(at);
        *due = (*due).min(at);
    }

    /// Forgets what ended long ago.
    fn close_if_old(&mut self, subject: &Subject) {
        let last = match subject {
            Subject::Container(id) => self.file.containers.get(id).map(|file| file.last_seen),
            Subject::Pod(uid) => self.file.pods.get(uid).filter(|pod| pod.gone.is_some()).map(|pod| pod.heard),
        };
        let Some(last) = last else { return };
        if self.now < last + KEEP {
            return self.look_again(subject.clone(), last + KEEP);
        }
        match subject {
            Subject::Container(id) => self.file.forget(id),
            Subject::Pod(uid) => self.file.forget_pod(uid),
        }
        self.told.remove(subject);
    }
}

/// Times that cannot be true are those of a broken witness: what it saw was seen when it was heard. Arithmetic on what
/// remains cannot overflow.
fn make_sane(observation: &mut Observation) {
    let heard = observation.seen_at;
    if !possible(&observation.happened_at) {
        observation.happened_at = heard;
    }
    match &mut observation.fact {
        Fact::Container(container) => make_times_sane(container),
        Fact::Docker(docker::Word::Container(container)) => make_times_sane(container),
        Fact::Task(TaskEvent {
            kind: TaskEventKind::Exit { exited_at, .. } | TaskEventKind::Delete { exited_at, .. },
            ..
        }) => *exited_at = exited_at.filter(possible),
        _ => {}
    }
}

fn make_times_sane(container: &mut Container) {
    for time in [&mut container.created_at, &mut container.started_at, &mut container.finished_at] {
        *time = time.filter(|at| possible(at) && at.as_second() > 0);
    }
}

/// From 1970 to 2100.
fn possible(at: &Timestamp) -> bool {
    (0..=4_102_444_800).contains(&at.as_second())
}

/// Whether something without a name may be told at all.
struct Nameless {
    in_pod: bool,
    runtime_answers: bool,
}

impl Nameless {
    fn of(node: &NodeFile, in_pod: bool) -> Self {
        let runtime_answers = node.sources.get(&Source::Cri).is_some_and(|file| file.health == Health::Ok);
        Self { in_pod, runtime_answers }
    }

    /// A kill in a pod's cgroup is worth telling even nameless. Anything else may be a sandbox, or no pod's at all; and where
    /// the runtime answers, what it never named is no container.
    fn may_be_told(&self, verdict: &Verdict) -> bool {
        let by_kernel = verdict.memory.is_some();
        self.in_pod && by_kernel || self.in_pod && !self.runtime_answers && verdict.process.is_some()
    }
}
