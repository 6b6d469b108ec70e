//! The examiner over made-up observations: what recorded cases do not show.

use std::collections::BTreeSet;

use coroner_diagnosis::{
    examiner::Examiner,
    observation::{
        Fact, Gap, GapReason, Health, Observation, Source,
        cgroup::{Limit, Sample},
        containerd::{TaskEvent, TaskEventKind},
        cri::{Container, ContainerId, Pod, Sandbox, State},
        kernel_log::Record,
        process::{NodeMemory, Process},
        trace::{OomVictim, SI_KERNEL, Signal, Thread},
    },
    replay::replay,
};
use coroner_proto::v1::{Cause, Confidence, Diagnosis, Node, StopRequester};
use jiff::Timestamp;

const POD: &str = "/kubepods/burstable/pod11111111-2222-3333-4444-555555555555";
const MAIN: i32 = 100;
const SHIM: i32 = 90;

fn id() -> ContainerId {
    ContainerId("a".repeat(64))
}

fn sandbox_id() -> ContainerId {
    ContainerId("b".repeat(64))
}

fn pod() -> Pod {
    let uid = "11111111-2222-3333-4444-555555555555".to_owned();
    Pod { namespace: "shop".to_owned(), name: "web-0".to_owned(), uid }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("within jiff's range")
}

fn seen(millis: i64, fact: Fact) -> Observation {
    Observation { seen_at: at(millis), happened_at: at(millis), fact }
}

fn container(state: State) -> Container {
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
fn node(sources: &[Source]) -> Vec<Observation> {
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

const EVERYBODY: &[Source] = &[Source::KernelLog, Source::Cgroups, Source::Cri, Source::Containerd, Source::Signals];

fn task(container: ContainerId, kind: TaskEventKind) -> Fact {
    Fact::Task(TaskEvent { container, kind })
}

fn exit(millis: i64, container: ContainerId, pid: i32, status: u32) -> Observation {
    let process_id = container.0.clone();
    seen(millis, task(container, TaskEventKind::Exit { process_id, pid, status, exited_at: Some(at(millis)) }))
}

fn kernel(millis: i64, facility: u32, text: String) -> Observation {
    let boot_micros = 1_000_000_000 + millis.unsigned_abs() * 1000;
    seen(millis, Fact::KernelLog(Record { sequence: None, boot_micros, facility, level: 6, text }))
}

fn oom(millis: i64, facility: u32, limit: &str, pid: i32) -> Vec<Observation> {
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

fn process(millis: i64, pid: i32, start_ticks: u64) -> Observation {
    let cgroup = format!("{POD}/{}", id());
    let name = "worker".to_owned();
    seen(millis, Fact::Process(Process { pid, parent: 1, start_ticks, name, namespaced_pid: None, cgroup }))
}

fn signal(millis: i64, number: i32, code: i32, sender: (i32, &str), target: i32) -> Observation {
    let thread = |tid, comm: &str| Thread { tid, comm: comm.to_owned() };
    let (sender, target) = (thread(sender.0, sender.1), thread(target, "web"));
    let fact = Signal { signal: number, code, result: 0, sender, target, group: true, sender_process: None };
    seen(millis, Fact::Signal(fact))
}

/// What the counter of kills of the container's cgroup said.
fn counter(millis: i64, oom_kills: u64) -> Observation {
    let path = format!("{POD}/{}", id());
    seen(millis, Fact::Cgroup(Sample { path, oom_kills: Some(oom_kills), ..Sample::default() }))
}

fn run(observations: Vec<Observation>) -> Vec<Diagnosis> {
    replay(Node { name: "n1".to_owned(), ..Node::default() }, observations, at(600_000))
}

fn only(observations: Vec<Observation>) -> Diagnosis {
    let mut diagnoses = run(observations);
    assert_eq!(diagnoses.len(), 1, "{diagnoses:#?}");
    diagnoses.remove(0)
}

#[test]
fn the_kernels_word_on_the_main_process_is_told_at_once() {
    let mut examiner = Examiner::new(Node::default());
    for observation in node(EVERYBODY) {
        assert!(examiner.observe(observation).is_empty());
    }
    let [summary, killed] = <[_; 2]>::try_from(oom(5_000, 0, POD, MAIN)).unwrap();
    assert!(examiner.observe(summary).is_empty(), "a summary announces a kill and is none");
    let told = examiner.observe(killed);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].cause(), told[0].fatal), (Cause::OomContainerLimit, true));
    assert_eq!(told[0].confidence(), Confidence::Certain);
}

/// The tracepoint is there before the kernel has printed. A victim that was ending already is marked too, but gets no SIGKILL.
#[test]
fn a_kill_of_the_main_process_is_reported_by_its_tracepoints_before_the_log_is_read() {
    for (code, at_once) in [(SI_KERNEL, true), (0, false)] {
        let mut examiner = Examiner::new(Node::default());
        let roomy = NodeMemory { total: 8 << 30, available: 4 << 30 };
        for observation in node(EVERYBODY).into_iter().chain([seen(40, Fact::NodeMemory(roomy))]) {
            assert!(examiner.observe(observation).is_empty());
        }
        assert!(examiner.observe(signal(5_000, 9, code, (MAIN, "web"), MAIN)).is_empty());
        let allocator = Thread { tid: MAIN, comm: "web".to_owned() };
        let victim = Fact::OomVictim(OomVictim { pid: MAIN, comm: None, allocator });
        let mut diagnoses = examiner.observe(seen(5_000, victim));
        let early: Vec<_> = diagnoses.iter().map(|d| (d.cause(), d.confidence())).collect();
        let expected = at_once.then_some((Cause::OomContainerLimit, Confidence::Likely));
        assert_eq!(early, Vec::from_iter(expected));
        diagnoses.extend(oom(5_000, 0, POD, MAIN).into_iter().flat_map(|line| examiner.observe(line)));
        let last = diagnoses.last().unwrap();
        assert_eq!((last.cause(), last.confidence()), (Cause::OomContainerLimit, Confidence::Certain));
        assert!(diagnoses.iter().all(|diagnosis| diagnosis.uid == last.uid), "one kill, one diagnosis");
    }
}

#[test]
fn a_line_that_the_kernel_did_not_write_is_not_believed() {
    let mut observations = node(EVERYBODY);
    observations.extend(oom(5_000, 1, POD, MAIN));
    assert!(run(observations.clone()).is_empty());
    observations.push(signal(5_010, 9, 0, (7, "bash"), MAIN));
    observations.push(exit(5_020, id(), MAIN, 137));
    let told = only(observations);
    assert_eq!((told.cause(), told.requested_by()), (Cause::KilledExternally, StopRequester::External));
}

/// The kill of a child reaches us before anybody told which process is the main one.
#[test]
fn a_child_is_not_taken_for_the_main_process_while_the_runtime_is_only_late() {
    let mut observations: Vec<_> = EVERYBODY.iter().map(|s| seen(-10_000, Fact::Health(*s, Health::Ok))).collect();
    observations.push(process(900, 4243, 7));
    observations.extend(oom(1000, 0, &format!("{POD}/{}", id()), 4243));
    let diagnoses = run(observations.clone());
    assert!(diagnoses.iter().all(|d| !d.fatal && d.confidence() != Confidence::Certain), "{diagnoses:#?}");

    // The runtime's word comes at last.
    observations.push(seen(60_000, Fact::Container(container(State::Running))));
    let told = only(observations);
    assert_eq!((told.cause(), told.fatal), (Cause::OomContainerLimit, false));
    assert_eq!(told.process.unwrap().is_main, Some(false));
}

#[test]
fn where_no_runtime_can_be_asked_the_oldest_process_is_the_main_one() {
    let absent = |source| seen(-10_000, Fact::Health(source, Health::Absent("no socket".to_owned())));
    let mut observations = vec![absent(Source::Cri), absent(Source::Containerd)];
    observations.push(seen(-10_000, Fact::Health(Source::KernelLog, Health::Ok)));
    observations.extend([process(900, 4243, 9), process(900, MAIN, 7)]);
    observations.extend(oom(1000, 0, &format!("{POD}/{}", id()), MAIN));
    let told = only(observations);
    assert_eq!((told.cause(), told.fatal), (Cause::OomContainerLimit, true));
}

#[test]
fn what_rests_on_silence_waits_until_the_silence_has_lasted() {
    let mut examiner = Examiner::new(Node::default());
    let mut observations = node(EVERYBODY);
    observations.push(exit(5_000, id(), MAIN, 3));
    let told: Vec<_> = observations.into_iter().flat_map(|observation| examiner.observe(observation)).collect();
    assert!(told.is_empty());
    let due = examiner.next_tick().unwrap();
    assert!(due > at(5_000) && due <= at(7_000));
    assert_eq!(examiner.tick(due)[0].cause(), Cause::ApplicationExit);
}

#[test]
fn a_witness_that_lost_something_cannot_be_silent() {
    let mut observations = node(EVERYBODY);
    let (from, to) = (at(4_000), at(6_000));
    let gap = Gap { source: Source::Signals, reason: GapReason::Overrun, from, to, lost: None };
    observations.push(seen(4_500, Fact::Gap(gap)));
    observations.push(exit(5_000, id(), MAIN, 137));
    let told = only(observations);
    assert_eq!(told.cause(), Cause::Unattributed);
    let candidates: Vec<_> = told.candidates.iter().map(coroner_proto::v1::Candidate::cause).collect();
    assert!(candidates.contains(&Cause::KilledExternally) && candidates.contains(&Cause::ApplicationExit));
    assert_eq!(told.missing_sources, ["signals"]);
}

#[test]
fn the_same_facts_give_the_same_uids() {
    let observations = || {
        let mut observations = node(EVERYBODY);
        observations.extend(oom(5_000, 0, POD, 150));
        observations.extend(oom(60_000, 0, POD, MAIN));
        observations
    };
    let uids = |diagnoses: Vec<Diagnosis>| diagnoses.into_iter().map(|d| d.uid).collect::<Vec<_>>();
    let once = uids(run(observations()));
    assert_eq!(once.len(), 2);
    assert_eq!(once, uids(run(observations())));
    // Heard after a restart of the agent: the container's life before is unknown, the end is the same.
    let late = observations().into_iter().filter(|o| matches!(o.fact, Fact::Health(..) | Fact::Container(_)));
    let late: Vec<_> = late.chain(oom(60_000, 0, POD, MAIN)).collect();
    assert_eq!(uids(run(late)), once[1..]);
}

#[test]
fn a_pid_that_is_killed_again_much_later_is_another_process() {
    let mut observations = node(EVERYBODY);
    observations.extend(oom(5_000, 0, POD, 150));
    observations.extend(oom(500_000, 0, POD, 150));
    let told = run(observations);
    assert!(told.iter().all(|d| d.cause() == Cause::OomContainerLimit && !d.fatal));
    assert_eq!(told.len(), 2, "{told:#?}");
}

#[test]
fn a_storm_of_kills_in_a_container_that_lives_on_is_counted() {
    let mut observations = node(EVERYBODY);
    for n in 0..100 {
        observations.extend(oom(5_000 + 50 * i64::from(n), 0, POD, 1_000 + n));
    }
    let told = run(observations);
    assert!(told.len() <= 8, "{} diagnoses", told.len());
    assert_eq!(told.iter().map(|d| d.occurrence_count).sum::<u32>(), 100);
}

#[test]
fn a_limit_of_the_pods_own_below_its_containers_is_told_from_theirs() {
    for (pod_limit, expected) in [(64 << 20, Cause::OomContainerLimit), (48 << 20, Cause::OomPodLimit)] {
        let mut observations = node(EVERYBODY);
        let memory_limit = Some(Limit::Limited(pod_limit));
        observations.push(seen(40, Fact::Cgroup(Sample { path: POD.to_owned(), memory_limit, ..Sample::default() })));
        observations.extend(oom(5_000, 0, POD, MAIN));
        assert_eq!(only(observations).cause(), expected);
    }
}

#[test]
fn kernels_before_5_0_name_the_cgroups_in_a_line_of_their_own() {
    let mut observations = node(EVERYBODY);
    let victim = format!("{POD}/{}", id());
    let lines = [
        format!("Task in {victim} killed as a result of limit of {victim}"),
        "memory: usage 65536kB, limit 65536kB, failcnt 20".to_owned(),
        format!("Memory cgroup out of memory: Kill process {MAIN} (worker) score 1000 or sacrifice child"),
        format!("Killed process {MAIN} (worker) total-vm:100000kB, anon-rss:64000kB, file-rss:4kB, shmem-rss:0kB"),
    ];
    let lines = lines.into_iter().enumerate();
    observations.extend(lines.map(|(n, line)| kernel(5_000 + i64::try_from(n).unwrap(), 0, line)));
    let told = only(observations);
    assert_eq!((told.cause(), told.confidence()), (Cause::OomContainerLimit, Confidence::Certain));
    assert_eq!(told.memory.unwrap().usage_bytes, Some(64 << 20));
}

#[test]
fn a_sticking_oomkilled_is_contradicted() {
    let mut observations = node(EVERYBODY);
    observations.extend(oom(5_000, 0, POD, 150));
    observations.push(signal(60_000, 15, 0, (SHIM, "runc"), MAIN));
    observations.push(exit(60_100, id(), MAIN, 143));
    let status = Container { finished_at: Some(at(60_100)), exit_code: 143, ..container(State::Exited) };
    observations.push(seen(60_200, Fact::Container(Container { reason: "OOMKilled".to_owned(), ..status })));
    let told = run(observations);
    let end = told.iter().find(|d| d.fatal).unwrap();
    assert_eq!(end.cause(), Cause::StoppedByRequest);
    assert!(end.against.iter().any(|e| e.source == "cri" && e.text.contains("OOMKilled")), "{end:#?}");
}

#[test]
fn a_process_that_calls_itself_runc_inside_a_container_is_no_runtime() {
    let mut observations = node(EVERYBODY);
    let other = Container { id: ContainerId("c".repeat(64)), pid: Some(300), ..container(State::Running) };
    observations.push(seen(100, Fact::Container(other)));
    observations.push(signal(5_000, 9, 0, (300, "runc"), MAIN));
    observations.push(exit(5_010, id(), MAIN, 137));
    assert_eq!(only(observations).cause(), Cause::KilledExternally);
}

#[test]
fn a_sandbox_that_dies_first_takes_its_containers_along() {
    let mut observations = node(EVERYBODY);
    observations.push(exit(5_000, sandbox_id(), 80, 137));
    observations.push(signal(5_500, 15, 0, (SHIM, "runc"), MAIN));
    observations.push(exit(5_600, id(), MAIN, 143));
    assert_eq!(only(observations).cause(), Cause::SandboxDied);
}

#[test]
fn a_sandbox_is_never_told_of() {
    let mut observations = node(EVERYBODY);
    observations.push(seen(4_990, task(sandbox_id(), TaskEventKind::Oom)));
    observations.push(exit(5_000, sandbox_id(), 80, 137));
    assert!(run(observations).is_empty());
}

#[test]
fn a_refused_fork_explains_a_program_that_gives_up() {
    let mut observations = node(EVERYBODY);
    let text = format!("cgroup: fork rejected by pids controller in {POD}/{}", id());
    observations.push(kernel(5_000, 0, text));
    observations.push(exit(6_000, id(), MAIN, 2));
    assert_eq!(only(observations).cause(), Cause::PidsLimitReached);
}

#[test]
fn times_that_cannot_be_true_harm_nothing() {
    let mut observations = node(EVERYBODY);
    for time in [Timestamp::MIN, Timestamp::MAX] {
        let status = Container { finished_at: Some(time), started_at: Some(time), ..container(State::Exited) };
        observations.push(Observation { seen_at: at(5_000), happened_at: time, fact: Fact::Container(status) });
        let kind = TaskEventKind::Exit { process_id: id().0, pid: MAIN, status: 1, exited_at: Some(time) };
        observations.push(Observation { seen_at: at(5_000), happened_at: time, fact: task(id(), kind) });
    }
    assert_eq!(only(observations).cause(), Cause::ApplicationExit);
}

/// In a storm, victims die before anybody has learned whose they are: the kernel's rate limit leaves only pids.
#[test]
fn kills_that_nobody_could_attribute_are_told_by_the_counter_also_after_the_end() {
    let mut observations = node(EVERYBODY);
    observations.push(counter(1_000, 0));
    observations.extend(oom(5_000, 0, POD, 150));
    observations.push(counter(5_010, 1));
    observations.push(counter(6_000, 40));
    observations.push(signal(7_000, 9, 0, (SHIM, "runc"), MAIN));
    observations.push(exit(7_010, id(), MAIN, 137));
    let told = run(observations);
    let kills: u32 = told.iter().filter(|d| !d.fatal).map(|d| d.occurrence_count).sum();
    assert_eq!(kills, 40, "{told:#?}");
}

#[test]
fn a_kill_that_is_attributed_after_it_was_counted_is_not_told_twice() {
    let mut observations = node(EVERYBODY);
    observations.push(counter(1_000, 0));
    observations.extend(oom(5_000, 0, POD, 150));
    // Of the second one the kernel's rate limit left a pid alone; whose it was is heard ten seconds later.
    let killed = oom(5_500, 0, POD, 151).pop().unwrap();
    observations.push(killed);
    observations.push(counter(5_600, 2));
    observations.push(process(15_500, 151, 1));
    let kills: u32 = run(observations).iter().map(|told| told.occurrence_count).sum();
    assert_eq!(kills, 2);
}

/// The kernel marks such a process as a victim, but writes no line of it and counts no kill.
#[test]
fn a_victim_that_was_exiting_already_is_no_kill_unless_the_log_has_a_gap() {
    let mut observations = node(EVERYBODY);
    observations.push(process(4_000, 150, 1));
    let allocator = Thread { tid: 150, comm: "worker".to_owned() };
    observations.push(seen(5_000, Fact::OomVictim(OomVictim { pid: 150, comm: None, allocator })));
    assert_eq!(run(observations.clone()), []);
    let (from, to) = (at(4_900), at(5_000));
    let gap = Gap { source: Source::KernelLog, reason: GapReason::Overrun, from, to, lost: None };
    observations.push(seen(5_000, Fact::Gap(gap)));
    assert_eq!(run(observations).len(), 1);
}

/// Also when the agent has just begun to read the log, reads only some of it, or has missed something.
#[test]
fn a_kill_is_told_once_whether_its_line_is_read_at_once_or_late() {
    for (since, well) in [(-10_000, true), (4_500, true), (4_500, false)] {
        for line in [5_010, 5_900] {
            for gap in [false, true] {
                let mut observations = node(EVERYBODY);
                let degraded = Health::Degraded("read once a second".into());
                observations.push(seen(since, Fact::Health(Source::KernelLog, degraded)));
                observations.extend(well.then(|| seen(since, Fact::Health(Source::KernelLog, Health::Ok))));
                observations.push(process(4_900, 150, 1));
                let allocator = Thread { tid: 150, comm: "worker".to_owned() };
                observations.push(seen(5_000, Fact::OomVictim(OomVictim { pid: 150, comm: None, allocator })));
                let lost = Gap {
                    source: Source::KernelLog,
                    reason: GapReason::Overrun,
                    from: at(4_990),
                    to: at(5_000),
                    lost: None,
                };
                observations.extend(gap.then(|| seen(5_001, Fact::Gap(lost))));
                for mut told in oom(5_000, 0, POD, 150) {
                    told.seen_at = at(line);
                    observations.push(told);
                }
                observations.sort_by_key(|observation| observation.seen_at);
                let uids: BTreeSet<_> = run(observations).into_iter().map(|told| told.uid).collect();
                assert_eq!(uids.len(), 1, "log since {since}, well: {well}, line at {line}, gap: {gap}");
            }
        }
    }
}

#[test]
fn a_container_that_the_runtime_cleans_up_after_its_shim_was_not_stopped_on_request() {
    let mut observations = node(EVERYBODY);
    let mut shim = signal(5_000, 9, 0, (400, "python3"), SHIM);
    if let Fact::Signal(signal) = &mut shim.fact {
        signal.target.comm = "containerd-shim".to_owned();
    }
    observations.push(shim);
    observations.push(signal(5_040, 9, 0, (401, "runc"), MAIN));
    observations.push(exit(5_060, id(), MAIN, 137));
    let told = only(observations);
    assert_eq!((told.cause(), told.confidence()), (Cause::StatusFabricated, Confidence::Likely));
    assert!(told.exit.unwrap().fabricated);
}
