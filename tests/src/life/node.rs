//! A busy node, without end: pods come, crash, are restarted and go, sources come and go, the host has troubles of its
//! own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use coroner_diagnosis::observation::{
    Fact, Observation, Source,
    cri::ContainerId,
    kernel_log::Record,
    process::{Exit, NodeMemory, WaitStatus},
    trace::{Signal, Thread},
};
use coroner_proto::v1::Cause;
use jiff::{SignedDuration, Timestamp};

use super::{
    pod::{End, Pod},
    random::Random,
    sources::{SOURCES, Sources},
};

/// Pids are given out in a circle, as with the kernel's smallest default of `pid_max`.
const PIDS: std::ops::Range<i32> = 300..31_000;
/// Pods that are there from the first minute and never go.
const RESIDENTS: u64 = 20;
/// Time between two readings of the files of a cgroup in which nothing happens.
const SAMPLING: SignedDuration = SignedDuration::from_mins(30);

/// A death that was made, and what is to be reported of it.
#[derive(Clone, Debug)]
pub struct Death {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// It ended the container.
    pub fatal: bool,
    /// The sources that were away then.
    pub away: BTreeSet<Source>,
}

/// Whose death: the container, and the pid of the process if the container lived on.
pub type Victim = (ContainerId, Option<i32>);

/// The node. As an iterator it gives what is observed, in the order in which it is seen.
#[derive(Debug)]
pub struct BusyNode {
    /// Deaths of which nothing has been taken out yet.
    pub deaths: BTreeMap<Victim, Death>,
    /// Pods that have come.
    pub pods_so_far: u64,
    /// When a source was away last.
    pub blind_until: Timestamp,
    random: Random,
    boot: Timestamp,
    /// Mean time between two pods.
    between: SignedDuration,
    now: Timestamp,
    /// What happens, and what is seen, by time and order.
    agenda: BTreeMap<(Timestamp, u64), Step>,
    steps: u64,
    pods: BTreeMap<u64, Pod>,
    /// When instances were started within the last hour.
    started: VecDeque<Timestamp>,
    sources: Sources,
    pid: i32,
    pids: BTreeSet<i32>,
}

#[derive(Debug)]
enum Step {
    Seen(Box<Observation>),
    Arrive,
    Start(u64),
    End(u64, End),
    ChildOutOfMemory(u64),
    Restart(u64),
    Leave(u64),
    Sample(u64),
    Noise,
    SourceLeaves,
    SourceIsBack(Source),
}

impl BusyNode {
    /// A node that `pods_a_day` come to, drawn by `seed`.
    pub fn new(seed: u64, start: Timestamp, pods_a_day: u32) -> Self {
        let mut node = Self {
            deaths: BTreeMap::new(),
            pods_so_far: 0,
            blind_until: Timestamp::MIN,
            random: Random::new(seed),
            boot: start - SignedDuration::from_mins(2),
            between: SignedDuration::from_hours(24) / i32::try_from(pods_a_day).unwrap_or(i32::MAX),
            now: start,
            agenda: BTreeMap::new(),
            steps: 0,
            pods: BTreeMap::new(),
            started: VecDeque::new(),
            sources: Sources::default(),
            pid: PIDS.start,
            pids: BTreeSet::new(),
        };
        node.see(Sources::arrive(start));
        for _ in 0..RESIDENTS {
            node.after(1, Step::Arrive);
        }
        node.after(2, Step::Noise);
        node.after(3600, Step::SourceLeaves);
        node
    }

    /// Pods that are on the node.
    pub fn living(&self) -> usize {
        self.pods.len()
    }

    /// Instances of containers that were started within the last hour.
    pub fn started_within_an_hour(&self) -> usize {
        self.started.len()
    }

    fn at(&mut self, at: Timestamp, step: Step) {
        self.steps += 1;
        self.agenda.insert((at, self.steps), step);
    }

    fn after(&mut self, seconds: u64, step: Step) {
        self.at(self.now + SignedDuration::from_secs(seconds.cast_signed()), step);
    }

    fn see(&mut self, observations: impl IntoIterator<Item = Observation>) {
        for observation in observations {
            self.at(observation.seen_at, Step::Seen(Box::new(observation)));
        }
    }

    fn new_pid(&mut self) -> i32 {
        loop {
            self.pid = if self.pid + 1 < PIDS.end { self.pid + 1 } else { PIDS.start };
            if self.pids.insert(self.pid) {
                return self.pid;
            }
        }
    }

    fn take(&mut self, step: Step) -> Option<Observation> {
        match step {
            Step::Seen(observation) => return self.sources.pass(*observation),
            Step::Arrive => self.arrive(),
            Step::Start(serial) => self.start(serial),
            Step::End(serial, end) => self.end(serial, end),
            Step::ChildOutOfMemory(serial) => self.kill_child(serial),
            Step::Restart(serial) => {
                let now = self.now;
                if let Some(pod) = self.pods.get_mut(&serial) {
                    let removed = pod.replace(now);
                    self.see(removed);
                    self.start(serial);
                }
            }
            Step::Leave(serial) => {
                if let Some(pod) = self.pods.remove(&serial) {
                    self.pids.remove(&pod.pid());
                    self.pids.remove(&pod.sandbox_pid());
                    let mut last = pod.leave(self.now);
                    // Some runtimes never report that a sandbox is gone.
                    if serial.is_multiple_of(20) {
                        last.retain(|observation| !matches!(observation.fact, Fact::SandboxRemoved(_)));
                    }
                    self.see(last);
                }
            }
            Step::Sample(serial) => {
                let usage = (4 << 20) + self.random.below(32 << 20);
                if let Some(pod) = self.pods.get(&serial) {
                    let sample = pod.sampled(self.now, usage);
                    self.see([sample]);
                    self.at(self.now + SAMPLING, Step::Sample(serial));
                }
            }
            Step::Noise => self.noise(),
            Step::SourceLeaves => self.source_leaves(),
            Step::SourceIsBack(source) => {
                let back = self.sources.come_back(self.now, source);
                self.blind_until = self.now;
                self.see(back);
            }
        }
        None
    }

    fn arrive(&mut self) {
        let serial = self.pods_so_far;
        self.pods_so_far += 1;
        let stays = serial < RESIDENTS || serial.is_multiple_of(4);
        let mut pod = Pod::new(
            serial,
            if stays { "services" } else { "jobs" },
            if stays { "Always" } else { "Never" },
            self.boot,
        );
        let pid = self.new_pid();
        let arrival = pod.arrive(self.now, pid);
        self.see(arrival);
        self.pods.insert(serial, pod);
        self.after(1, Step::Start(serial));
        if serial >= RESIDENTS.saturating_sub(1) {
            let mean = self.between.as_millis().unsigned_abs();
            let wait = self.random.below(u64::try_from(mean * 2).unwrap_or(u64::MAX).max(1));
            self.at(self.now + SignedDuration::from_millis(wait.cast_signed()), Step::Arrive);
        }
    }

    /// Starts an instance, and decides how it will end.
    fn start(&mut self, serial: u64) {
        let pid = self.new_pid();
        let now = self.now;
        let Some(pod) = self.pods.get_mut(&serial) else { return };
        self.started.push_back(now);
        while self.started.front().is_some_and(|at| *at < now - SignedDuration::from_hours(1)) {
            self.started.pop_front();
        }
        let first = pod.attempt() == 0;
        let begin = pod.start(now, pid);
        self.see(begin);
        let fatal = [End::Exits(1), End::Exits(137), End::OutOfMemory, End::Segfaults, End::KilledFromOutside];
        if serial < RESIDENTS {
            if first {
                self.at(now + SAMPLING, Step::Sample(serial));
            }
            let wait = 3600 + self.random.below(5 * 86_400);
            self.after(wait, Step::ChildOutOfMemory(serial));
        } else if serial.is_multiple_of(4) {
            if first {
                self.at(now + SAMPLING, Step::Sample(serial));
            }
            // One in eight crashes, and most of these again: a crash loop.
            let crashes = if first { self.random.once_in(8) } else { !self.random.once_in(5) };
            let (wait, end) = if crashes {
                (3 + self.random.below(600), self.random.of(&fatal))
            } else {
                (600 + self.random.below(86_400), End::Stopped)
            };
            if !crashes && self.random.once_in(10) {
                let kill = self.random.below(wait - 60).max(30);
                self.after(kill, Step::ChildOutOfMemory(serial));
            }
            self.after(wait, Step::End(serial, end));
        } else {
            let end = if self.random.once_in(20) { self.random.of(&fatal) } else { End::Exits(0) };
            let wait = 2 + self.random.below(400);
            self.after(wait, Step::End(serial, end));
        }
    }

    fn end(&mut self, serial: u64, end: End) {
        let now = self.now;
        let Some(pod) = self.pods.get_mut(&serial) else { return };
        let (victim, pid) = ((pod.container.clone(), None), pod.pid());
        let attempt = pod.attempt();
        let observations = pod.end(now + SignedDuration::from_secs(1), end);
        let cause = match end {
            End::Exits(0) => None,
            End::Exits(_) => Some(Cause::ApplicationExit),
            End::OutOfMemory => Some(Cause::OomContainerLimit),
            End::Segfaults => Some(Cause::CrashSegfault),
            End::KilledFromOutside => Some(Cause::KilledExternally),
            End::Stopped => Some(Cause::StoppedByRequest),
        };
        if let Some(cause) = cause {
            self.deaths.insert(victim, Death { at: now, cause, fatal: true, away: self.sources.away() });
        }
        self.pids.remove(&pid);
        self.see(observations);
        if serial.is_multiple_of(4) && end != End::Stopped {
            // The kubelet waits 10 s, then twice as long each time, up to five minutes.
            self.after((10_u64 << attempt.min(5)).min(300) + 2, Step::Restart(serial));
        } else {
            let wait = 3 + self.random.below(120);
            self.after(wait, Step::Leave(serial));
        }
    }

    fn kill_child(&mut self, serial: u64) {
        let pid = self.new_pid();
        let now = self.now;
        let Some(pod) = self.pods.get_mut(&serial) else { return };
        let observations = pod.child_out_of_memory(now + SignedDuration::from_secs(1), pid);
        let victim = (pod.container.clone(), Some(pid));
        self.deaths.insert(
            victim,
            Death { at: now, cause: Cause::OomContainerLimit, fatal: false, away: self.sources.away() },
        );
        self.pids.remove(&pid);
        self.see(observations);
        if serial < RESIDENTS {
            let wait = 60 + self.random.below(5 * 86_400);
            self.after(wait, Step::ChildOutOfMemory(serial));
        }
    }

    /// What does not concern any pod.
    fn noise(&mut self) {
        let pid = self.new_pid();
        self.pids.remove(&pid);
        let seen = |fact| Observation { seen_at: self.now, happened_at: self.now, fact };
        let boot_micros = u64::try_from(self.now.duration_since(self.boot).as_micros()).unwrap_or(0);
        let kernel =
            |text: String| Fact::KernelLog(Record { sequence: None, boot_micros, facility: 0, level: 6, text });
        let thread = |tid, comm: &str| Thread { tid, comm: comm.to_owned() };
        let killed = |scope: &str| {
            format!(
                "{scope}: Killed process {pid} (updatedb) total-vm:9000kB, anon-rss:8000kB, file-rss:4kB, shmem-rss:0kB, UID:0 \
                 pgtables:60kB oom_score_adj:0"
            )
        };
        let path = "/system.slice/updatedb.service";
        let facts = match self.random.below(40) {
            0 => vec![
                kernel("updatedb invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0".to_owned()),
                kernel(format!(
                    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={path},\
                     task_memcg={path},task=updatedb,pid={pid},uid=0"
                )),
                kernel(killed("Memory cgroup out of memory")),
            ],
            1 => vec![
                kernel(format!(
                    "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,\
                     task_memcg={path},task=updatedb,pid={pid},uid=0"
                )),
                kernel(killed("Out of memory")),
            ],
            2..=9 => vec![Fact::Signal(Signal {
                signal: self.random.of(&[9, 15, 2]),
                code: 0,
                result: 0,
                sender: thread(1, "systemd"),
                target: thread(pid, "updatedb"),
                group: true,
                sender_process: None,
            })],
            10..=24 => vec![Fact::NodeMemory(NodeMemory { total: 16 << 30, available: 8 << 30 })],
            _ => vec![kernel("cni0: port 1(veth0) entered forwarding state".to_owned())],
        };
        let mut observations: Vec<_> = facts.into_iter().map(seen).collect();
        let status = WaitStatus::Exited(0);
        observations.push(seen(Fact::ProcessExit(Exit { pid, status })));
        self.see(observations);
        let wait = 10 + self.random.below(50);
        self.after(wait, Step::Noise);
    }

    fn source_leaves(&mut self) {
        let source = self.random.of(&SOURCES);
        let lasts = 2 + self.random.below(300);
        let gone = self.sources.leave(self.now, source);
        self.blind_until = self.now + SignedDuration::from_secs(lasts.cast_signed());
        self.see(gone);
        self.after(lasts, Step::SourceIsBack(source));
        let wait = 1800 + self.random.below(6 * 3600);
        self.after(wait, Step::SourceLeaves);
    }
}

impl Iterator for BusyNode {
    type Item = Observation;

    fn next(&mut self) -> Option<Observation> {
        loop {
            let ((at, _), step) = self.agenda.pop_first()?;
            self.now = self.now.max(at);
            if let Some(observation) = self.take(step) {
                return Some(observation);
            }
        }
    }
}
