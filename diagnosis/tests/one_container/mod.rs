//! Observations of a node with one running container, made up.
#![allow(dead_code, reason = "each test uses a part")]

use coroner_diagnosis::{
    observation::{
        Fact, Health, Observation, Source,
        cgroup::{Limit, Sample},
        containerd::{TaskEvent, TaskEventKind},
        cri::{Container, ContainerId, Pod, Sandbox, State},
        kernel_log::Record,
        process::Process,
        trace::{Signal, Thread},
    },
    replay::replay,
};
use coroner_proto::v1::{Diagnosis, Node};
use jiff::Timestamp;

pub(crate) const POD: &str = "/kubepods/burstable/pod11111111-2222-3333-4444-555555555555";
pub(crate) const MAIN: i32 = 100;
pub(crate) const SHIM: i32 = 90;

pub(crate) fn id() -> ContainerId {
    ContainerId("a".repeat(64))
}

pub(crate) fn sandbox_id() -> ContainerId {
    ContainerId("b".repeat(64))
}

pub(crate) fn pod() -> Pod {
    let uid = "11111111-2222-3333-4444-555555555555".to_owned();
    Pod { namespace: "shop".to_owned(), name: "web-0".to_owned(), uid }
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("within jiff's range")
}

pub(crate) fn seen(millis: i64, fact: Fact) -> Observation {
    Observation { seen_at: at(millis), happened_at: at(millis), fact }
}

pub(crate) fn seen_late(seen: i64, happened: i64, fact: Fact) -> Observation {
    Observation { seen_at: at(seen), happened_at: at(happened), fact }
}

pub(crate) fn container(state: State) -> Container {
    Container {
        id: id(),
        pod: pod(),
        name: "web".to_owned(),
        attempt: 0,
        state,
        created_at: Some(at(0)),
        started_at: Some(at(10)),
        finished_at: None,
        exit_code: 0,
        reason: String::new(),
        message: String::new(),
        image: "localhost/web:1".to_owned(),
        pid: Some(MAIN),
        cgroups_path: None,
        memory_limit: Some(64 << 20),
        limits_known: true,
        sandbox_id: Some(sandbox_id()),
        grace_period_seconds: Some(30),
    }
}

/// A node of which `sources` see, with one running container.
pub(crate) fn node(sources: &[Source]) -> Vec<Observation> {
    let mut observations: Vec<_> =
        sources.iter().map(|source| seen(-10_000, Fact::Health(*source, Health::Ok))).collect();
    let sandbox = Sandbox { id: sandbox_id(), pod: pod(), ready: true, created_at: Some(at(0)) };
    observations.push(seen(0, Fact::Sandbox(sandbox)));
    observations.push(seen(10, task(id(), TaskEventKind::Start { pid: MAIN })));
    observations.push(seen(20, Fact::Container(container(State::Running))));
    for (path, limit) in [(format!("{POD}/{}", id()), 64 << 20), (POD.to_owned(), 64 << 20)] {
        let sample = Sample { path, memory_limit: Some(Limit::Limited(limit)), ..Sample::default() };
        observations.push(seen(30, Fact::Cgroup(sample)));
    }
    observations
}

pub(crate) const EVERYBODY: &[Source] =
    &[Source::KernelLog, Source::Cgroups, Source::Cri, Source::Containerd, Source::Signals];

pub(crate) fn task(container: ContainerId, kind: TaskEventKind) -> Fact {
    Fact::Task(TaskEvent { container, kind })
}

pub(crate) fn exit(millis: i64, container: ContainerId, pid: i32, status: u32) -> Observation {
    let process_id = container.0.clone();
    seen(millis, task(container, TaskEventKind::Exit { process_id, pid, status, exited_at: Some(at(millis)) }))
}

pub(crate) fn kernel(millis: i64, facility: u32, text: String) -> Observation {
    let boot_micros = 1_000_000_000 + millis.unsigned_abs() * 1000;
    seen(millis, Fact::KernelLog(Record { sequence: None, boot_micros, facility, level: 6, text }))
}

pub(crate) fn oom(millis: i64, facility: u32, limit: &str, pid: i32) -> Vec<Observation> {
    let victim = format!("{POD}/{}", id());
    let summary = format!(
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg={limit},\
         task_memcg={victim},task=worker,pid={pid},uid=0"
    );
    let killed = format!(
        "Memory cgroup out of memory: Killed process {pid} (worker) total-vm:100000kB, anon-rss:64000kB, file-rss:4kB, \
         shmem-rss:0kB, UID:0 pgtables:160kB oom_score_adj:900"
    );
    vec![kernel(millis, facility, summary), kernel(millis + 1, facility, killed)]
}

pub(crate) fn process(millis: i64, pid: i32, start_ticks: u64) -> Observation {
    let cgroup = format!("{POD}/{}", id());
    let name = "worker".to_owned();
    let process = Process { pid, parent: 1, start_ticks, name, namespaced_pid: None, cgroup, ending: false };
    seen(millis, Fact::Process(process))
}

pub(crate) fn seen_ending(millis: i64, pid: i32) -> Observation {
    let mut observation = process(millis, pid, 1);
    if let Fact::Process(process) = &mut observation.fact {
        process.ending = true;
    }
    observation
}

pub(crate) fn signal(millis: i64, number: i32, code: i32, sender: (i32, &str), target: i32) -> Observation {
    let thread = |tid, comm: &str| Thread { tid, comm: comm.to_owned() };
    let (sender, target) = (thread(sender.0, sender.1), thread(target, "web"));
    let fact = Signal { signal: number, code, result: 0, sender, target, group: true, sender_process: None };
    seen(millis, Fact::Signal(fact))
}

/// The counter of kills of the container's cgroup.
pub(crate) fn counter(millis: i64, oom_kills: u64) -> Observation {
    let path = format!("{POD}/{}", id());
    seen(millis, Fact::Cgroup(Sample { path, oom_kills: Some(oom_kills), ..Sample::default() }))
}

pub(crate) fn run(observations: Vec<Observation>) -> Vec<Diagnosis> {
    replay(Node { name: "n1".to_owned(), ..Node::default() }, observations, at(600_000))
}

pub(crate) fn only(observations: Vec<Observation>) -> Diagnosis {
    let mut diagnoses = run(observations);
    assert_eq!(diagnoses.len(), 1, "{diagnoses:#?}");
    diagnoses.remove(0)
}
