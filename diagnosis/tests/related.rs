//! Pods of other namespaces are named where an aggregator can leave them out, and nowhere else.

use coroner_diagnosis::{
    observation::{
        Fact, Health, Observation, Source,
        cgroup::Sample,
        containerd::{TaskEvent, TaskEventKind},
        cri::{Container, ContainerId, Pod, State},
        kernel_log::Record,
        process::Process,
        trace::{SI_KERNEL, Signal, Thread},
    },
    replay::replay,
};
use coroner_proto::v1::{Cause, Diagnosis, Node};
use jiff::Timestamp;

/// A container by the letter that its names are made of, its namespace and the pid of its main process.
struct Place(char, &'static str, i32);

const VICTIM: Place = Place('a', "shop", 100);
const OTHER: Place = Place('b', "bank", 200);

impl Place {
    fn id(&self) -> ContainerId {
        ContainerId(self.0.to_string().repeat(64))
    }

    fn pod(&self) -> Pod {
        let Self(letter, namespace, _) = self;
        let uid = format!("{}-2222-3333-4444-555555555555", letter.to_string().repeat(8));
        Pod { namespace: (*namespace).to_owned(), name: format!("pod-of-{namespace}"), uid }
    }

    fn cgroup(&self) -> String {
        format!("/kubepods/burstable/pod{}/{}", self.pod().uid, self.id())
    }

    /// It runs, and uses this much memory at these moments, in milliseconds.
    fn runs(&self, usage: [(i64, u64); 2]) -> Vec<Observation> {
        let container = Container {
            id: self.id(),
            pod: self.pod(),
            name: format!("container-of-{}", self.1),
            attempt: 0,
            state: State::Running,
            created_at: Some(at(0)),
            started_at: Some(at(10)),
            finished_at: None,
            exit_code: 0,
            reason: String::new(),
            message: String::new(),
            image: format!("image-of-{}", self.1),
            pid: Some(self.2),
            cgroups_path: None,
            memory_limit: None,
            limits_known: true,
            sandbox_id: None,
            grace_period_seconds: None,
        };
        let process = Process {
            pid: self.2,
            parent: 1,
            start_ticks: 1,
            name: "worker".to_owned(),
            namespaced_pid: None,
            cgroup: self.cgroup(),
            ending: false,
        };
        let start = TaskEvent { container: self.id(), kind: TaskEventKind::Start { pid: self.2 } };
        let sample = |used| Sample { path: self.cgroup(), memory_usage: Some(used), ..Sample::default() };
        [seen(10, Fact::Task(start)), seen(20, Fact::Container(container)), seen(25, Fact::Process(process))]
            .into_iter()
            .chain(usage.map(|(millis, used)| seen(millis, Fact::Cgroup(sample(used)))))
            .collect()
    }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("within jiff's range")
}

fn seen(millis: i64, fact: Fact) -> Observation {
    Observation { seen_at: at(millis), happened_at: at(millis), fact }
}

fn kernel(millis: i64, text: String) -> Observation {
    let boot_micros = 1_000_000_000 + millis.unsigned_abs() * 1000;
    seen(millis, Fact::KernelLog(Record { sequence: None, boot_micros, facility: 0, level: 6, text }))
}

/// The diagnosis of the victim after these observations and its end by SIGKILL.
fn diagnosed(more: Vec<Observation>) -> Diagnosis {
    let sources = [Source::KernelLog, Source::Cgroups, Source::Cri, Source::Containerd, Source::Signals];
    let mut observations: Vec<_> = sources.map(|source| seen(-1_000, Fact::Health(source, Health::Ok))).into();
    observations.extend(VICTIM.runs([(30, 100 << 20), (15_000, 100 << 20)]));
    observations.extend(OTHER.runs([(30, 1 << 30), (15_000, 3 << 30)]));
    observations.extend(more);
    let exit =
        TaskEventKind::Exit { process_id: VICTIM.id().0, pid: VICTIM.2, status: 137, exited_at: Some(at(20_010)) };
    observations.push(seen(20_010, Fact::Task(TaskEvent { container: VICTIM.id(), kind: exit })));
    let diagnoses = replay(Node { name: "n1".to_owned(), ..Node::default() }, observations, at(600_000));
    let of_victim = diagnoses.into_iter().filter(|d| d.subject.as_ref().is_some_and(|s| s.namespace == VICTIM.1));
    of_victim.max_by_key(|diagnosis| diagnosis.revision).expect("it ended")
}

/// Its related containers, and that only these name the other namespace.
fn related(mut diagnosis: Diagnosis) -> Vec<(String, String, String)> {
    let related = std::mem::take(&mut diagnosis.related);
    let rest = format!("{diagnosis:?}");
    assert!(!rest.contains(OTHER.1) && !rest.contains(&OTHER.pod().uid), "{rest}");
    related.into_iter().map(|related| (related.namespace, related.pod, related.container)).collect()
}

fn other() -> (String, String, String) {
    ("bank".to_owned(), "pod-of-bank".to_owned(), "container-of-bank".to_owned())
}

#[test]
fn who_took_the_nodes_memory_is_related() {
    let summary = format!(
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=x,mems_allowed=0,global_oom,task_memcg={},\
         task=worker,pid=100,uid=0",
        VICTIM.cgroup()
    );
    let killed = "Out of memory: Killed process 100 (worker) total-vm:100000kB, anon-rss:64000kB, file-rss:4kB, \
                  shmem-rss:0kB, UID:0 pgtables:160kB oom_score_adj:900";
    let diagnosis = diagnosed(vec![kernel(20_000, summary), kernel(20_001, killed.to_owned())]);
    assert_eq!(diagnosis.cause(), Cause::OomNode);
    assert!(diagnosis.explanation.contains("another container"), "{}", diagnosis.explanation);
    assert_eq!(related(diagnosis), [other()]);
}

#[test]
fn who_sent_the_signal_from_another_pod_is_related() {
    let thread = |tid| Thread { tid, comm: "worker".to_owned() };
    let signal = Signal {
        signal: 9,
        code: 0,
        result: 0,
        sender: thread(OTHER.2),
        target: thread(VICTIM.2),
        group: true,
        sender_process: None,
    };
    assert_ne!(signal.code, SI_KERNEL);
    let diagnosis = diagnosed(vec![seen(20_000, Fact::Signal(signal))]);
    assert_eq!(diagnosis.cause(), Cause::KilledExternally);
    assert!(diagnosis.explanation.contains("another pod"), "{}", diagnosis.explanation);
    assert!(diagnosis.suggestions[0].contains("in the container"), "{:?}", diagnosis.suggestions);
    assert_eq!(related(diagnosis), [other()]);
}
