//! The state machine: files what is seen, asks the rules about what it concerns, and tells what is new.

use std::collections::{BTreeMap, BTreeSet};

use coroner_proto::v1::{Diagnosis, Node};
use jiff::{SignedDuration, Timestamp};

use crate::{
    case::NodeFile,
    containerd::{TaskEvent, TaskEventKind},
    cri::ContainerId,
    observation::{Fact, Health, Observation, Source},
    report::{self, Aspect},
    rules::{self, ChildKilled},
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
    told: BTreeMap<ContainerId, Told>,
    /// Containers to look at again, and when.
    waiting: BTreeMap<ContainerId, Timestamp>,
    /// How often each container name of each pod has ended: pod uid, container, cause.
    ends: BTreeMap<(String, String, i32), BTreeSet<ContainerId>>,
    now: Timestamp,
}

/// What has been told of one container.
#[derive(Debug, Default)]
struct Told {
    aspects: BTreeMap<Aspect, Telling>,
    /// Kills up to this moment that were not told one by one have been counted.
    counted_until: Option<Timestamp>,
}

impl Told {
    /// Keeps what is told of one container bounded. The end is never forgotten.
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
        for id in concerned {
            self.examine(&id, &mut diagnoses);
        }
        if let Some(id) = removed {
            self.look_again(&id, self.now + KEEP);
        }
        diagnoses
    }

    /// Lets time pass to `now`. Gives the diagnoses that only waited for witnesses that might still have come.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Diagnosis> {
        self.now = self.now.max(now);
        let due: Vec<_> = self.waiting.iter().filter(|(_, at)| **at <= self.now).map(|(id, _)| id.clone()).collect();
        let mut diagnoses = Vec::new();
        for id in due {
            self.waiting.remove(&id);
            self.examine(&id, &mut diagnoses);
            self.close_if_old(&id);
        }
        diagnoses
    }

    /// When [`tick`](Self::tick) should be called next; `None` if nothing waits.
    pub fn next_tick(&self) -> Option<Timestamp> {
        self.waiting.values().min().copied()
    }

    /// Asks the rules about one container.
    fn examine(&mut self, id: &ContainerId, diagnoses: &mut Vec<Diagnosis>) {
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
            let known = self.told.get(id).is_some_and(|told| told.aspects.contains_key(&Aspect::End));
            // The first word on an end by silence, or on something without a name yet, waits; corrections do not.
            let ready = verdict.at + SETTLE;
            let hold = (verdict.waits || !named) && self.now < ready;
            if hold && !known {
                self.look_again(id, ready);
            } else if named || known || nameless.may_be_told(&verdict) {
                self.tell(id, Aspect::End, verdict, named, diagnoses);
            }
        }
        let log_tells = self.file.covered(Source::KernelLog, self.now - SETTLE, self.now);
        for child in children {
            let ready = child.verdict.at + SETTLE;
            // The tracepoint is faster than the log, whose time of the kill is part of the uid.
            let hold = !named || (child.boot_micros.is_none() && log_tells);
            if hold && self.now < ready {
                self.look_again(id, ready);
            } else if named || nameless.may_be_told(&child.verdict) {
                self.tell_child(id, child, named, diagnoses);
            }
        }
        self.tell_counts(id, diagnoses);
        if ended_at.is_some() {
            self.look_again(id, self.now + KEEP);
        }
    }

    /// Tells a kill in a container that lives on, or only counts it when there are too many.
    fn tell_child(&mut self, id: &ContainerId, child: ChildKilled, named: bool, diagnoses: &mut Vec<Diagnosis>) {
        let ChildKilled { pid, boot_micros, verdict } = child;
        let now = self.now;
        let told = self.told.entry(id.clone()).or_default();
        let aspect = Aspect::Process { pid, boot_micros };
        if told.aspects.contains_key(&aspect) {
            return self.tell(id, aspect, verdict, named, diagnoses);
        }
        if told.counted_until.is_some_and(|until| verdict.at <= until) {
            return;
        }
        let is_process = |aspect: &Aspect| matches!(aspect, Aspect::Process { .. });
        if told.aspects.iter().filter(|(a, t)| is_process(a) && t.first_seen > now - STORM).count() < PROCESSES {
            return self.tell(id, aspect, verdict, named, diagnoses);
        }
        told.counted_until = Some(verdict.at);
        let newest = told.aspects.iter_mut().filter(|(a, _)| is_process(a)).max_by_key(|(_, t)| t.first_seen);
        if let Some((_, telling)) = newest {
            telling.occurrences += 1;
        }
    }

    /// Tells of kills that were only counted, now and then.
    fn tell_counts(&mut self, id: &ContainerId, diagnoses: &mut Vec<Diagnosis>) {
        let Some(told) = self.told.get(id) else { return };
        let counted = told.aspects.iter().filter(|(_, t)| t.occurrences > t.told_occurrences);
        let counted: Vec<_> = counted.map(|(aspect, t)| (aspect.clone(), t.last_told + STORM)).collect();
        for (aspect, due) in counted {
            if due <= self.now {
                self.retell(id, &aspect, diagnoses);
            } else {
                self.look_again(id, due);
            }
        }
    }

    fn tell(
        &mut self,
        id: &ContainerId,
        aspect: Aspect,
        verdict: Verdict,
        named: bool,
        diagnoses: &mut Vec<Diagnosis>,
    ) {
        let now = self.now;
        let occurrences = if aspect == Aspect::End { self.count_end(id, &verdict) } else { 1 };
        let told = self.told.entry(id.clone()).or_default();
        match told.aspects.get_mut(&aspect) {
            None => {
                let telling = Telling {
                    revision: 0,
                    verdict,
                    first_seen: now,
                    last_told: now,
                    occurrences,
                    told_occurrences: 0,
                    settled: false,
                    named,
                };
                told.aspects.insert(aspect.clone(), telling);
                told.forget_oldest();
                self.retell(id, &aspect, diagnoses);
                // Once more when everybody has spoken.
                self.look_again(id, now + SETTLE);
            }
            Some(telling) if telling.verdict != verdict || telling.named != named => {
                let decisive = telling.verdict.differs_from(&verdict) || telling.named != named;
                let settles = now >= telling.first_seen + SETTLE;
                if decisive || (settles && !telling.settled) {
                    telling.verdict = verdict;
                    telling.named = named;
                    telling.settled = settles;
                    telling.occurrences = telling.occurrences.max(occurrences);
                    self.retell(id, &aspect, diagnoses);
                }
            }
            Some(_) => {}
        }
    }

    fn retell(&mut self, id: &ContainerId, aspect: &Aspect, diagnoses: &mut Vec<Diagnosis>) {
        let Some(file) = self.file.containers.get(id) else { return };
        let Some(telling) = self.told.get_mut(id).and_then(|told| told.aspects.get_mut(aspect)) else { return };
        telling.revision += 1;
        telling.last_told = self.now;
        telling.told_occurrences = telling.occurrences;
        let mut diagnosis = report::diagnosis(&self.file.node, file, aspect, &telling.verdict, telling.first_seen);
        diagnosis.revision = telling.revision;
        diagnosis.occurrence_count = telling.occurrences;
        diagnoses.push(diagnosis);
    }

    /// How often a container of this name in this pod has ended by this cause, this time included.
    fn count_end(&mut self, id: &ContainerId, verdict: &Verdict) -> u32 {
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

    fn look_again(&mut self, id: &ContainerId, at: Timestamp) {
        let due = self.waiting.entry(id.clone()).or_insert(at);
        *due = (*due).min(at);
    }

    /// Forgets a container that ended long ago.
    fn close_if_old(&mut self, id: &ContainerId) {
        let Some(file) = self.file.containers.get(id) else { return };
        if self.now >= file.last_seen + KEEP {
            self.file.forget(id);
            self.told.remove(id);
        } else {
            let due = file.last_seen + KEEP;
            self.look_again(id, due);
        }
    }
}

/// Times that cannot be true are those of a broken witness: what it saw was seen when it was heard. Arithmetic on what
/// remains cannot overflow.
fn make_sane(observation: &mut Observation) {
    let heard = observation.seen_at;
    let possible = |at: &Timestamp| (0..=4_102_444_800).contains(&at.as_second()); // 1970 to 2100
    if !possible(&observation.happened_at) {
        observation.happened_at = heard;
    }
    match &mut observation.fact {
        Fact::Container(container) => {
            for time in [&mut container.created_at, &mut container.started_at, &mut container.finished_at] {
                *time = time.filter(|at| possible(at) && at.as_second() > 0);
            }
        }
        Fact::Task(TaskEvent {
            kind: TaskEventKind::Exit { exited_at, .. } | TaskEventKind::Delete { exited_at, .. },
            ..
        }) => *exited_at = exited_at.filter(possible),
        _ => {}
    }
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
