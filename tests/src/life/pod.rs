//! A pod of one container, and what the sources of a node report while it lives and ends.

use std::sync::Arc;

use coroner_diagnosis::observation::{
    Fact, Observation,
    cgroup::{self, Limit, Sample},
    containerd::{TaskEvent, TaskEventKind},
    cri::{self, ContainerId, Sandbox},
    kernel_log::Record,
    kube::{self, Change, Object},
    process::{Exit, Process, WaitStatus},
    trace::{OomVictim, SI_KERNEL, Signal, Thread},
};
use jiff::{SignedDuration, Timestamp};

/// The limit of the container's memory, in bytes.
const LIMIT: u64 = 64 << 20;
/// The container's name in its pod.
const NAME: &str = "app";
/// Name and pid of what stops containers on request: it is gone before it can be inspected.
const RUNTIME: (&str, i32) = ("runc", 31_999);
/// Name and pid of a shell on the host.
const SHELL: (&str, i32) = ("bash", 31_998);

/// How a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Exits(u8),
    /// The kernel kills its main process at its own memory limit.
    OutOfMemory,
    /// Its main process reads an address that does not exist.
    Segfaults,
    /// A process of the host kills it.
    KilledFromOutside,
    /// Its pod is deleted, and it obeys SIGTERM at once.
    Stopped,
}

impl End {
    /// What wait(2) gives for it.
    fn status(self) -> WaitStatus {
        match self {
            Self::Exits(status) => WaitStatus::Exited(status),
            Self::OutOfMemory | Self::KilledFromOutside => WaitStatus::Signaled(9),
            Self::Segfaults => WaitStatus::Signaled(11),
            Self::Stopped => WaitStatus::Signaled(15),
        }
    }

    /// The runtime's reason.
    fn reason(self) -> &'static str {
        match self {
            Self::Exits(0) => "Completed",
            Self::OutOfMemory => "OOMKilled",
            _ => "Error",
        }
    }
}

/// A pod, and the instance of its container that runs or ran last.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its names.
    pub names: cri::Pod,
    /// The id of the present instance of its container.
    pub container: ContainerId,
    sandbox: ContainerId,
    restart_policy: &'static str,
    /// When the kernel's clock was at zero.
    boot: Timestamp,
    /// Pids of the sandbox and of the instance.
    pids: (i32, i32),
    serial: u64,
    attempt: u32,
    created: Timestamp,
    started: Timestamp,
    /// Processes of the present instance that were killed for memory.
    kills: u64,
    /// How the instance before ended.
    last: Option<kube::Terminated>,
}

impl Pod {
    /// The pod of this number: `serial` makes all its ids.
    pub fn new(serial: u64, namespace: &str, restart_policy: &'static str, boot: Timestamp) -> Self {
        Self {
            names: cri::Pod {
                namespace: namespace.to_owned(),
                name: format!("pod-{serial}"),
                uid: format!("{:08x}-0000-4000-8000-{:012x}", serial % 0xffff_ffff, serial),
            },
            sandbox: ContainerId(format!("5{serial:063x}")),
            container: ContainerId(format!("c{serial:055x}{:08x}", 0)),
            restart_policy,
            boot,
            pids: (0, 0),
            serial,
            attempt: 0,
            created: boot,
            started: boot,
            kills: 0,
            last: None,
        }
    }

    /// The pid of its main process.
    pub fn pid(&self) -> i32 {
        self.pids.1
    }

    /// The pid of its sandbox' process.
    pub fn sandbox_pid(&self) -> i32 {
        self.pids.0
    }

    /// Which instance of its container runs, from 0.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// It comes to the node, with a sandbox whose process is `pid`, and is ready to start its container after half a
    /// second.
    pub fn arrive(&mut self, at: Timestamp, pid: i32) -> Vec<Observation> {
        (self.created, self.pids.0) = (at, pid);
        let sandbox = Sandbox {
            id: self.sandbox.clone(),
            pod: self.names.clone(),
            ready: true,
            created_at: Some(at + millis(300)),
        };
        vec![
            seen(at, self.object("Pending", kube::State::default(), None)),
            seen(at + millis(300), task(&self.sandbox, TaskEventKind::Start { pid })),
            seen(at + millis(310), Fact::Sandbox(sandbox)),
            seen(at + millis(320), Fact::Cgroup(Sample { path: self.pod_path(), ..Sample::default() })),
        ]
    }

    /// An instance of its container starts, with `pid` as its main process.
    pub fn start(&mut self, at: Timestamp, pid: i32) -> Vec<Observation> {
        self.container = ContainerId(format!("c{:055x}{:08x}", self.serial, self.attempt));
        (self.started, self.pids.1, self.kills) = (at, pid, 0);
        let running = kube::State::Running { since: Some(whole(at)) };
        vec![
            seen(at - millis(50), Fact::Container(self.status(cri::State::Created, None))),
            seen(at, task(&self.container, TaskEventKind::Start { pid })),
            seen(at + millis(5), self.sample(2 << 20)),
            seen(at + millis(6), Fact::Process(self.process(at, pid, 1))),
            seen(at + millis(20), Fact::Container(self.status(cri::State::Running, None))),
            seen(at + millis(40), self.object("Running", running, None)),
        ]
    }

    /// The files of its container's cgroup, as they are read now and then.
    pub fn sampled(&self, at: Timestamp, memory_usage: u64) -> Observation {
        seen(at, self.sample(memory_usage))
    }

    /// A child `pid` of its main process is killed for memory; the container lives on.
    pub fn child_out_of_memory(&mut self, at: Timestamp, pid: i32) -> Vec<Observation> {
        let born = seen(at - millis(200), Fact::Process(self.process(at - millis(200), pid, 17)));
        let mut observations = vec![born];
        observations.extend(self.out_of_memory(at, pid));
        observations
    }

    /// The present instance ends.
    pub fn end(&mut self, at: Timestamp, end: End) -> Vec<Observation> {
        let pid = self.pid();
        let mut observations = Vec::new();
        match end {
            End::Exits(_) => {}
            End::OutOfMemory => observations.extend(self.out_of_memory(at - millis(20), pid)),
            End::Segfaults => {
                let text = format!(
                    "{NAME}[{pid}]: segfault at 0 ip 000000000040113a sp 00007ffc error 4 in {NAME}[401000+1000]"
                );
                observations.push(self.kernel(at - millis(2), text));
                observations.push(seen(at - millis(2), signal((11, 1), (NAME, pid), pid)));
            }
            End::KilledFromOutside => observations.push(seen(at - millis(2), signal((9, 0), SHELL, pid))),
            End::Stopped => {
                let deletion = kube::Deletion { due: whole(at) + SignedDuration::from_secs(30), grace_seconds: 30 };
                let running = kube::State::Running { since: Some(whole(self.started)) };
                observations.push(seen(at - millis(900), self.object("Running", running, Some(deletion))));
                observations.push(seen(at - millis(2), signal((15, 0), RUNTIME, pid)));
            }
        }
        let status = end.status();
        let code = status.as_exit_code();
        observations.push(seen(at, Fact::ProcessExit(Exit { pid, status })));
        let exit = TaskEventKind::Exit {
            process_id: self.container.0.clone(),
            pid,
            status: code.unsigned_abs(),
            exited_at: Some(at),
        };
        observations.push(seen(at + millis(5), task(&self.container, exit)));
        observations.push(seen(at + millis(30), Fact::CgroupRemoved(cgroup::Path(self.path()))));
        let deleted = TaskEventKind::Delete { status: code.unsigned_abs(), exited_at: Some(at) };
        observations.push(seen(at + millis(40), task(&self.container, deleted)));
        observations.push(seen(at + millis(60), Fact::Container(self.status(cri::State::Exited, Some((at, end))))));
        let terminated = kube::Terminated {
            id: self.container.0.clone(),
            code,
            signal: 0,
            reason: end.reason().to_owned(),
            message: String::new(),
            started: Some(whole(self.started)),
            finished: Some(whole(at)),
        };
        let (phase, state) = match (self.restart_policy, end) {
            ("Always", _) if end != End::Stopped => {
                self.last = Some(terminated);
                let message = "back-off restarting failed container".to_owned();
                ("Running", kube::State::Waiting { reason: "CrashLoopBackOff".to_owned(), message })
            }
            (_, End::Exits(0)) => ("Succeeded", kube::State::Terminated(terminated)),
            _ => ("Failed", kube::State::Terminated(terminated)),
        };
        let deletion = kube::Deletion { due: whole(at) + SignedDuration::from_secs(30), grace_seconds: 30 };
        let deletion = (end == End::Stopped).then_some(deletion);
        observations.push(seen(at + millis(200), self.object(phase, state, deletion)));
        observations
    }

    /// The present instance, which has ended, is removed, because the next one takes its place.
    pub fn replace(&mut self, at: Timestamp) -> Vec<Observation> {
        self.attempt += 1;
        vec![seen(at, Fact::ContainerRemoved(self.container.clone()))]
    }

    /// The pod, whose container has ended, goes: its sandbox ends, and all is removed.
    pub fn leave(&self, at: Timestamp) -> Vec<Observation> {
        let pid = self.sandbox_pid();
        let exit = TaskEventKind::Exit { process_id: self.sandbox.0.clone(), pid, status: 137, exited_at: Some(at) };
        vec![
            seen(at - millis(2), signal((9, 0), RUNTIME, pid)),
            seen(at, Fact::ProcessExit(Exit { pid, status: WaitStatus::Signaled(9) })),
            seen(at + millis(5), task(&self.sandbox, exit)),
            seen(at + millis(100), Fact::ContainerRemoved(self.container.clone())),
            seen(at + millis(110), Fact::SandboxRemoved(self.sandbox.clone())),
            seen(at + millis(120), Fact::CgroupRemoved(cgroup::Path(self.pod_path()))),
            seen(at + millis(200), Fact::Object(Change::Deleted, Object::Pod(Arc::new(self.spec("Succeeded"))))),
        ]
    }

    /// All that is reported when the kernel kills `pid`, a process of it.
    fn out_of_memory(&mut self, at: Timestamp, pid: i32) -> Vec<Observation> {
        self.kills += 1;
        let (path, id) = (self.path(), &self.container);
        let invoked = format!("{NAME} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=998");
        let usage = format!("memory: usage {limit}kB, limit {limit}kB, failcnt 31", limit = LIMIT >> 10);
        let summary = format!(
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={id},mems_allowed=0,oom_memcg={path},\
             task_memcg={path},task={NAME},pid={pid},uid=0"
        );
        let killed = format!(
            "Memory cgroup out of memory: Killed process {pid} ({NAME}) total-vm:100000kB, anon-rss:64000kB, file-rss:4kB, \
             shmem-rss:0kB, UID:0 pgtables:160kB oom_score_adj:998"
        );
        let victim =
            OomVictim { pid, comm: Some(NAME.to_owned()), allocator: Thread { tid: pid, comm: NAME.to_owned() } };
        let mut observations = vec![
            seen(at, signal((9, SI_KERNEL), (NAME, pid), pid)),
            seen(at, Fact::OomVictim(victim)),
            self.kernel(at, invoked),
            self.kernel(at, usage),
            self.kernel(at, summary),
            self.kernel(at, killed),
            seen(at + millis(2), task(id, TaskEventKind::Oom)),
            seen(at + millis(4), self.sample(LIMIT)),
        ];
        if pid != self.pid() {
            observations.push(seen(at + millis(3), Fact::ProcessExit(Exit { pid, status: WaitStatus::Signaled(9) })));
        }
        observations
    }

    fn kernel(&self, at: Timestamp, text: String) -> Observation {
        let boot_micros = u64::try_from(at.duration_since(self.boot).as_micros()).unwrap_or(0);
        seen(at, Fact::KernelLog(Record { sequence: None, boot_micros, facility: 0, level: 6, text }))
    }

    fn pod_path(&self) -> String {
        format!("/kubepods/burstable/pod{}", self.names.uid)
    }

    fn path(&self) -> String {
        format!("{}/{}", self.pod_path(), self.container)
    }

    fn sample(&self, usage: u64) -> Fact {
        Fact::Cgroup(Sample {
            path: self.path(),
            memory_limit: Some(Limit::Limited(LIMIT)),
            memory_usage: Some(usage),
            anon: Some(usage),
            oom_kills: Some(self.kills),
            ..Sample::default()
        })
    }

    fn process(&self, at: Timestamp, pid: i32, namespaced_pid: i32) -> Process {
        Process {
            pid,
            parent: if namespaced_pid == 1 { RUNTIME.1 } else { self.pid() },
            start_ticks: u64::try_from(at.duration_since(self.boot).as_millis() / 10).unwrap_or(0),
            name: NAME.to_owned(),
            namespaced_pid: Some(namespaced_pid),
            cgroup: self.path(),
            ending: false,
        }
    }

    fn status(&self, state: cri::State, ended: Option<(Timestamp, End)>) -> cri::Container {
        cri::Container {
            id: self.container.clone(),
            pod: self.names.clone(),
            name: NAME.to_owned(),
            attempt: self.attempt,
            state,
            created_at: Some(self.started - millis(60)),
            started_at: (state != cri::State::Created).then_some(self.started),
            finished_at: ended.map(|(at, _)| at),
            exit_code: ended.map_or(0, |(_, end)| end.status().as_exit_code()),
            reason: ended.map(|(_, end)| end.reason().to_owned()).unwrap_or_default(),
            message: String::new(),
            image: "localhost/app:1".to_owned(),
            pid: (state == cri::State::Running).then_some(self.pid()),
            cgroups_path: Some(self.path()),
            memory_limit: Some(LIMIT),
            limits_known: true,
            sandbox_id: Some(self.sandbox.clone()),
            grace_period_seconds: Some(30),
        }
    }

    fn spec(&self, phase: &str) -> kube::Pod {
        kube::Pod {
            meta: kube::Meta {
                namespace: self.names.namespace.clone(),
                name: self.names.name.clone(),
                uid: self.names.uid.clone(),
                created: Some(whole(self.created)),
                controller: None,
            },
            node_uid: self.names.uid.clone(),
            node: "node1".to_owned(),
            restart_policy: self.restart_policy.to_owned(),
            grace_seconds: Some(30),
            containers: vec![kube::Container {
                name: NAME.to_owned(),
                image: "localhost/app:1".to_owned(),
                ..kube::Container::default()
            }],
            phase: phase.to_owned(),
            qos: "Burstable".to_owned(),
            started: Some(whole(self.created)),
            ..kube::Pod::default()
        }
    }

    fn object(&self, phase: &str, state: kube::State, deletion: Option<kube::Deletion>) -> Fact {
        let runs = matches!(state, kube::State::Running { .. });
        let status = kube::ContainerStatus {
            name: NAME.to_owned(),
            id: if phase == "Pending" { String::new() } else { self.container.0.clone() },
            image: "localhost/app:1".to_owned(),
            ready: runs,
            started: Some(runs),
            restarts: i32::try_from(self.attempt).unwrap_or(i32::MAX),
            state,
            last: self.last.clone(),
            ..kube::ContainerStatus::default()
        };
        Fact::Object(
            Change::Applied,
            Object::Pod(Arc::new(kube::Pod { deletion, statuses: vec![status], ..self.spec(phase) })),
        )
    }
}

fn seen(at: Timestamp, fact: Fact) -> Observation {
    Observation { seen_at: at, happened_at: at, fact }
}

fn task(container: &ContainerId, kind: TaskEventKind) -> Fact {
    Fact::Task(TaskEvent { container: container.clone(), kind })
}

/// A signal with its si_code, from a thread to a process.
fn signal((number, code): (i32, i32), (name, sender): (&str, i32), target: i32) -> Fact {
    let thread = |tid, comm: &str| Thread { tid, comm: comm.to_owned() };
    Fact::Signal(Signal {
        signal: number,
        code,
        result: 0,
        sender: thread(sender, name),
        target: thread(target, NAME),
        group: true,
        sender_process: None,
    })
}

/// The API gives times in whole seconds, cut off.
fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn millis(millis: i64) -> SignedDuration {
    SignedDuration::from_millis(millis)
}
