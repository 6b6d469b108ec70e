//! The examiner over made-up observations: what recorded cases do not show.

mod one_container;

use std::{collections::BTreeSet, sync::Arc};

use coroner_diagnosis::{
    examiner::Examiner,
    observation::{
        Fact, Gap, GapReason, Health, Observation, Reason, Source,
        cgroup::{Limit, Sample},
        containerd::TaskEventKind,
        cri::{Container, ContainerId, State},
        kube::{self, Change, Event, Meta, Object, Probe, Probes, Reference},
        process::{Exit, NodeMemory, WaitStatus},
        trace::{OomVictim, SI_KERNEL, SenderProcess, Thread},
    },
};
use coroner_proto::v1::{Cause, Confidence, Diagnosis, Node, StopRequester};
use jiff::Timestamp;

use one_container::*;

#[test]
fn a_kill_of_the_main_process_is_reported_as_soon_as_a_second_source_confirms_it() {
    let status = Fact::ProcessExit(Exit { pid: MAIN, status: WaitStatus::Signaled(9) });
    let seconds: [&[Observation]; 5] = [
        &[signal(5_001, 9, SI_KERNEL, (MAIN, "web"), MAIN)],
        &[seen_ending(5_002, MAIN)],
        &[seen(5_003, status)],
        &[exit(5_004, id(), MAIN, 137)],
        &[counter(4_000, 0), counter(5_005, 1)],
    ];
    for second in seconds {
        let mut examiner = Examiner::new(Node::default());
        let (before, second) = second.split_at(second.len() - 1);
        for observation in node(EVERYBODY).into_iter().chain(before.to_vec()) {
            assert!(examiner.observe(observation).is_empty());
        }
        for line in oom(5_000, 0, POD, MAIN) {
            assert_eq!(examiner.observe(line), [], "the text of the log alone");
        }
        let reported = second.iter().flat_map(|second| examiner.observe(second.clone())).collect::<Vec<_>>();
        let [reported] = reported.as_slice() else { panic!("{second:?}: {reported:#?}") };
        assert_eq!((reported.cause(), reported.fatal), (Cause::OomContainerLimit, true));
        assert_eq!(reported.confidence(), Confidence::Certain, "{second:?}");
    }
}

#[test]
fn a_kill_that_only_the_log_reports_is_likely_after_a_while() {
    for pid in [MAIN, 150] {
        let mut examiner = Examiner::new(Node::default());
        let observations = node(EVERYBODY).into_iter().chain(oom(5_000, 0, POD, pid));
        assert!(observations.into_iter().all(|observation| examiner.observe(observation).is_empty()));
        let reported = examiner.tick(at(7_000));
        assert_eq!(reported.len(), 1);
        assert_eq!((reported[0].cause(), reported[0].confidence()), (Cause::OomContainerLimit, Confidence::Likely));
    }
}

/// As if a program could make the kernel print whole records of its choice.
#[test]
fn a_kill_that_another_source_refutes_is_not_reported() {
    let below = |millis, oom_kills_below| {
        let path = format!("{POD}/{}", id());
        seen(millis, Fact::Cgroup(Sample { path, oom_kills_below: Some(oom_kills_below), ..Sample::default() }))
    };
    for pid in [MAIN, 150] {
        let exited = Fact::ProcessExit(Exit { pid, status: WaitStatus::Exited(0) });
        let refutations: [&[Observation]; 3] = [
            &[process(1_000, pid, 1), process(5_050, pid, 1)],
            &[below(1_000, 0), below(9_000, 0)],
            &[process(1_000, pid, 1), seen(5_900, exited)],
        ];
        for refutation in refutations {
            let mut observations = node(EVERYBODY);
            observations.extend(oom(5_000, 0, POD, pid));
            observations.extend(refutation.iter().cloned());
            observations.sort_by_key(|observation| observation.seen_at);
            let reported = run(observations);
            // The counter of v2 is read again only when it changes, or after the log's word has been passed on.
            let only_later = refutation.iter().any(|observation| observation.seen_at > at(7_000));
            assert!(only_later || reported.is_empty(), "{refutation:?}: {reported:#?}");
            assert!(reported.iter().all(|d| d.confidence() != Confidence::Certain), "{reported:#?}");
        }
    }
}

#[test]
fn a_main_process_that_exits_by_itself_was_not_killed_before() {
    let mut observations = node(EVERYBODY);
    observations.extend(oom(5_000, 0, POD, MAIN));
    observations.push(exit(5_500, id(), MAIN, 3));
    assert_eq!(only(observations).cause(), Cause::ApplicationExit);
}

/// The pid that the log names belongs to another process by now.
#[test]
fn a_process_that_began_after_the_kill_does_not_refute_it() {
    let mut observations = node(EVERYBODY);
    observations.extend([process(1_000, 150, 1)]);
    observations.extend(oom(5_000, 0, POD, 150));
    observations.push(process(5_500, 150, 1_000_000));
    assert_eq!(only(observations).confidence(), Confidence::Likely);
}

/// The tracepoint is there before the kernel has printed. A victim that was ending already is marked too, but gets no
/// SIGKILL.
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
    let verdict = only(observations);
    assert_eq!((verdict.cause(), verdict.requested_by()), (Cause::KilledExternally, StopRequester::External));
}

/// The kill of a child is observed before any source reported which process is the main one.
#[test]
fn a_child_is_not_taken_for_the_main_process_while_the_runtime_is_only_late() {
    let mut observations: Vec<_> = EVERYBODY.iter().map(|s| seen(-10_000, Fact::Health(*s, Health::Ok))).collect();
    observations.push(process(900, 4243, 7));
    observations.extend(oom(1000, 0, &format!("{POD}/{}", id()), 4243));
    let diagnoses = run(observations.clone());
    assert!(diagnoses.iter().all(|d| !d.fatal && d.confidence() != Confidence::Certain), "{diagnoses:#?}");

    // The runtime's word comes at last.
    observations.push(seen(60_000, Fact::Container(container(State::Running))));
    let verdict = only(observations);
    assert_eq!((verdict.cause(), verdict.fatal), (Cause::OomContainerLimit, false));
    assert_eq!(verdict.process.unwrap().is_main, Some(false));
}

/// The cgroup was read between its making and the setting of its limit, and never again.
#[test]
fn a_limit_that_was_not_set_yet_is_not_missing() {
    let path = format!("{POD}/{}", id());
    let sample = Sample { path: path.clone(), memory_limit: Some(Limit::Unlimited), ..Sample::default() };
    let mut observations = vec![seen(5, Fact::Cgroup(sample))];
    let later = |seen: &Observation| matches!(&seen.fact, Fact::Cgroup(sample) if sample.path == path);
    observations.extend(node(EVERYBODY).into_iter().filter(|observation| !later(observation)));
    observations.extend(oom(5_000, 0, POD, MAIN));
    observations.push(exit(5_010, id(), MAIN, 137));
    let verdict = only(observations);
    assert_eq!((verdict.cause(), verdict.confidence()), (Cause::OomContainerLimit, Confidence::Certain));
}

#[test]
fn where_no_runtime_can_be_asked_the_oldest_process_is_the_main_one() {
    let absent = |source| seen(-10_000, Fact::Health(source, Health::Absent(Reason::quote("no socket"))));
    let mut observations = vec![absent(Source::Cri), absent(Source::Containerd)];
    observations.push(seen(-10_000, Fact::Health(Source::KernelLog, Health::Ok)));
    observations.extend([process(900, 4243, 9), process(900, MAIN, 7)]);
    observations.extend(oom(1000, 0, &format!("{POD}/{}", id()), MAIN));
    let verdict = only(observations);
    assert_eq!((verdict.cause(), verdict.fatal), (Cause::OomContainerLimit, true));
}

#[test]
fn what_rests_on_absence_waits_until_the_absence_has_lasted() {
    let mut examiner = Examiner::new(Node::default());
    let mut observations = node(EVERYBODY);
    observations.push(exit(5_000, id(), MAIN, 3));
    let verdict: Vec<_> = observations.into_iter().flat_map(|observation| examiner.observe(observation)).collect();
    assert!(verdict.is_empty());
    let due = examiner.next_tick().unwrap();
    assert!(due > at(5_000) && due <= at(7_000));
    assert_eq!(examiner.tick(due)[0].cause(), Cause::ApplicationExit);
}

/// A reader that is late is waited for: what it reports then is in the first revision.
#[test]
fn the_silence_of_a_source_counts_once_it_has_read_so_far() {
    let read = |millis, until| seen_late(millis, until, Fact::ReadUpTo(Source::Signals));
    let start = || {
        let mut examiner = Examiner::new(Node::default());
        let observations = node(EVERYBODY).into_iter().chain([read(4_000, 4_000), exit(5_000, id(), MAIN, 137)]);
        let diagnoses: Vec<_> = observations.flat_map(|observation| examiner.observe(observation)).collect();
        assert!(diagnoses.is_empty() && examiner.unread().is_none());
        assert!(examiner.tick(at(7_000)).is_empty(), "the signals were not read up to then");
        assert_eq!(examiner.unread(), Some(at(5_000)));
        examiner
    };

    let mut examiner = start();
    let Fact::Signal(late) = signal(4_990, 9, 0, (7, "bash"), MAIN).fact else { panic!("a signal") };
    let mut diagnoses = examiner.observe(seen_late(8_000, 4_990, Fact::Signal(late)));
    diagnoses.extend(examiner.observe(read(8_001, 8_000)));
    let first = diagnoses.first().expect("it is reported now");
    assert_eq!((first.cause(), first.revision, diagnoses.len()), (Cause::KilledExternally, 1, 1));
    assert!(examiner.unread().is_none());

    // One that does not read at all counts as one that has lost it.
    let mut examiner = start();
    assert!(examiner.tick(at(16_000)).is_empty());
    let [verdict] = examiner.tick(at(17_000)).try_into().expect("it is reported without");
    assert_eq!((verdict.cause(), verdict.missing_sources), (Cause::Unattributed, vec!["signals".to_owned()]));
    assert!(examiner.unread().is_none());
}

#[test]
fn the_absence_of_a_statement_of_a_source_that_lost_something_proves_nothing() {
    let mut observations = node(EVERYBODY);
    let (from, to) = (at(4_000), at(6_000));
    let gap = Gap { source: Source::Signals, reason: GapReason::Overrun, from, to, lost: None };
    observations.push(seen(4_500, Fact::Gap(gap)));
    observations.push(exit(5_000, id(), MAIN, 137));
    let verdict = only(observations);
    assert_eq!(verdict.cause(), Cause::Unattributed);
    let candidates: Vec<_> = verdict.candidates.iter().map(coroner_proto::v1::Candidate::cause).collect();
    assert!(candidates.contains(&Cause::KilledExternally) && candidates.contains(&Cause::ApplicationExit));
    assert_eq!(verdict.missing_sources, ["signals"]);
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
    // Observed after a restart of the agent: the container's life before is unknown, the end is the same.
    let late = observations().into_iter().filter(|o| matches!(o.fact, Fact::Health(..) | Fact::Container(_)));
    let late: Vec<_> = late.chain(oom(60_000, 0, POD, MAIN)).collect();
    assert_eq!(uids(run(late)), once[1..]);
}

#[test]
fn a_pid_that_is_killed_again_much_later_is_another_process() {
    let mut observations = node(EVERYBODY);
    observations.extend(oom(5_000, 0, POD, 150));
    observations.extend(oom(500_000, 0, POD, 150));
    let verdict = run(observations);
    assert!(verdict.iter().all(|d| d.cause() == Cause::OomContainerLimit && !d.fatal));
    assert_eq!(verdict.len(), 2, "{verdict:#?}");
}

#[test]
fn a_storm_of_kills_in_a_container_that_lives_on_is_counted() {
    let mut observations = node(EVERYBODY);
    for n in 0..100 {
        observations.extend(oom(5_000 + 50 * i64::from(n), 0, POD, 1_000 + n));
        observations.push(seen_ending(5_002 + 50 * i64::from(n), 1_000 + n));
    }
    let verdict = run(observations);
    assert!(verdict.len() <= 8, "{} diagnoses", verdict.len());
    assert_eq!(verdict.iter().map(|d| d.occurrence_count).sum::<u32>(), 100);
}

#[test]
fn a_limit_of_the_pods_own_is_distinguished_from_its_containers_limits() {
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
    observations.push(exit(5_010, id(), MAIN, 137));
    let verdict = run(observations).pop().unwrap();
    assert_eq!((verdict.cause(), verdict.confidence()), (Cause::OomContainerLimit, Confidence::Certain));
    assert_eq!(verdict.memory.unwrap().usage_bytes, Some(64 << 20));
}

#[test]
fn a_sticking_oomkilled_is_contradicted() {
    let mut observations = node(EVERYBODY);
    observations.extend(oom(5_000, 0, POD, 150));
    observations.push(signal(60_000, 15, 0, (SHIM, "runc"), MAIN));
    observations.push(exit(60_100, id(), MAIN, 143));
    let status = Container { finished_at: Some(at(60_100)), exit_code: 143, ..container(State::Exited) };
    observations.push(seen(60_200, Fact::Container(Container { reason: "OOMKilled".to_owned(), ..status })));
    let verdict = run(observations);
    let end = verdict.iter().find(|d| d.fatal).unwrap();
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
fn a_sandbox_is_never_reported() {
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

/// In a storm, victims end before their container is known: the kernel's rate limit leaves only pids.
#[test]
fn unattributed_kills_are_reported_by_the_counter_also_after_the_end() {
    let mut observations = node(EVERYBODY);
    observations.push(counter(1_000, 0));
    observations.extend(oom(5_000, 0, POD, 150));
    observations.push(counter(5_010, 1));
    observations.push(counter(6_000, 40));
    observations.push(signal(7_000, 9, 0, (SHIM, "runc"), MAIN));
    observations.push(exit(7_010, id(), MAIN, 137));
    let verdict = run(observations);
    let kills: u32 = verdict.iter().filter(|d| !d.fatal).map(|d| d.occurrence_count).sum();
    assert_eq!(kills, 40, "{verdict:#?}");
}

#[test]
fn a_kill_that_is_attributed_after_it_was_counted_is_not_reported_twice() {
    let mut observations = node(EVERYBODY);
    observations.push(counter(1_000, 0));
    observations.extend(oom(5_000, 0, POD, 150));
    // Of the second one the kernel's rate limit left a pid alone; its container is reported ten seconds later.
    let killed = oom(5_500, 0, POD, 151).pop().unwrap();
    observations.push(killed);
    observations.push(counter(5_600, 2));
    observations.push(process(15_500, 151, 1));
    let reported = run(observations);
    let kills: u32 = reported.iter().map(|verdict| verdict.occurrence_count).sum();
    assert_eq!(kills, 2, "{reported:#?}");
}

/// As with the smallest set of privileges, and where the kernel log cannot be read.
#[test]
fn without_the_kernel_log_the_counter_reports_a_kill_in_a_container_that_goes_on() {
    let without = |source| EVERYBODY.iter().copied().filter(|other| *other != source).collect::<Vec<_>>();
    let kernel_log = without(Source::KernelLog);
    let counted = |sources: &[Source], end: Option<i64>| {
        let mut observations = node(sources);
        let path = format!("{POD}/{}", id());
        let sample = |oom_kills| Sample { oom_kills: Some(oom_kills), limit_hits: Some(7), ..Sample::default() };
        let reading = |(at, kills)| seen(at, Fact::Cgroup(Sample { path: path.clone(), ..sample(kills) }));
        observations.extend([(1_000, 0), (5_000, 1), (9_000, 3), (20_000, 3)].map(reading));
        observations.extend(end.map(|at| exit(at, id(), MAIN, 0)));
        observations.push(reading((90_000, 3)));
        run(observations)
    };
    let [reported] = &*counted(&kernel_log, None) else { panic!("{:#?}", counted(&kernel_log, None)) };
    assert_eq!((reported.cause(), reported.confidence()), (Cause::OomContainerLimit, Confidence::Likely));
    assert_eq!((reported.fatal, reported.occurrence_count), (false, 3));
    let ended = counted(&kernel_log, Some(12_000));
    assert!(ended.iter().all(|diagnosis| diagnosis.fatal), "what ended does not go on: {ended:#?}");
    assert_eq!(counted(EVERYBODY, None), [], "a log that was read would have a line");
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
fn a_kill_is_reported_once_whether_its_line_is_read_at_once_or_late() {
    for (since, well) in [(-10_000, true), (4_500, true), (4_500, false)] {
        for line in [5_010, 5_900] {
            for gap in [false, true] {
                let mut observations = node(EVERYBODY);
                let degraded = Health::Degraded(Reason::quote("read once a second"));
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
                for mut verdict in oom(5_000, 0, POD, 150) {
                    verdict.seen_at = at(line);
                    observations.push(verdict);
                }
                observations.sort_by_key(|observation| observation.seen_at);
                let uids: BTreeSet<_> = run(observations).into_iter().map(|verdict| verdict.uid).collect();
                assert_eq!(uids.len(), 1, "log since {since}, well: {well}, line at {line}, gap: {gap}");
            }
        }
    }
}

#[test]
fn a_container_that_the_runtime_cleans_up_after_its_shim_was_not_stopped_on_request() {
    let after_shim = |shim_at: i64| {
        let mut observations = node(EVERYBODY);
        let mut shim = signal(shim_at, 9, 0, (400, "python3"), SHIM);
        if let Fact::Signal(signal) = &mut shim.fact {
            signal.target.comm = "containerd-shim".to_owned();
        }
        observations.push(shim);
        observations.push(signal(5_040, 9, 0, (401, "runc"), MAIN));
        observations.push(exit(5_060, id(), MAIN, 137));
        only(observations)
    };
    let verdict = after_shim(5_000);
    assert_eq!((verdict.cause(), verdict.confidence()), (Cause::StatusFabricated, Confidence::Likely));
    assert!(verdict.exit.unwrap().fabricated);
    assert_ne!(after_shim(4_000).cause(), Cause::StatusFabricated, "that was the shim of another container");
}

#[test]
fn a_program_of_a_container_is_neither_a_runtime_nor_a_daemon_whatever_its_file_is_called() {
    let service = "/system.slice/some.service".to_owned();
    // Of a container that no source has reported yet.
    let contained = format!("{POD}/{}", "c".repeat(64));
    for (file, cgroup, cause, confidence) in [
        ("/usr/bin/earlyoom", &service, Cause::KilledByOomDaemon, Confidence::Certain),
        ("/usr/bin/earlyoom", &contained, Cause::KilledExternally, Confidence::Certain),
        ("/usr/bin/earlyoom.sh", &service, Cause::KilledExternally, Confidence::Certain),
        ("/usr/sbin/runc", &contained, Cause::KilledExternally, Confidence::Certain),
    ] {
        let mut observations = node(EVERYBODY);
        let mut kill = signal(5_000, 9, 0, (400, "x"), MAIN);
        if let Fact::Signal(signal) = &mut kill.fact {
            let (exe, cgroup) = (Some(file.to_owned()), Some(cgroup.clone()));
            signal.sender_process = Some(SenderProcess { pid: 400, exe, cgroup });
        }
        observations.push(kill);
        observations.push(exit(5_040, id(), MAIN, 137));
        let reported = only(observations);
        assert_eq!((reported.cause(), reported.confidence()), (cause, confidence), "{file} in {cgroup}");
    }
}

#[test]
fn a_pod_that_its_node_refuses_leads_to_what_is_the_reason() {
    let step = |reason: &str, message: &str| {
        let object = kube::Pod {
            meta: Meta { namespace: pod().namespace, name: pod().name, uid: pod().uid, ..Meta::default() },
            node_uid: pod().uid,
            node: "n1".to_owned(),
            phase: "Failed".to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            ..kube::Pod::default()
        };
        let reported = only(vec![seen(40, Fact::Object(Change::Applied, Object::Pod(Arc::new(object))))]);
        assert_eq!(reported.cause(), Cause::RejectedByNode, "{reason}");
        reported.suggestions.join(" ")
    };
    let shutdown = step("NodeShutdown", "Pod was rejected as the node is shutting down.");
    let pressure = step("Evicted", "The node had condition: [DiskPressure]. ");
    for step in [shutdown, pressure] {
        assert!(step.ends_with("coroner why node/n1"), "{step}");
    }
    assert!(step("OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu").contains("describe node n1"));
}

#[test]
fn failures_of_an_earlier_instance_do_not_mean_that_the_probe_ended_this_one() {
    let probe = Probe { failure_threshold: 3, period_seconds: 1, timeout_seconds: 1, ..Probe::default() };
    let probes = Probes { liveness: Some(probe), ..Probes::default() };
    let object = kube::Pod {
        meta: Meta { namespace: pod().namespace, name: pod().name, uid: pod().uid, ..Meta::default() },
        node_uid: pod().uid,
        node: "n1".to_owned(),
        containers: vec![kube::Container { name: "web".to_owned(), probes, ..kube::Container::default() }],
        phase: "Running".to_owned(),
        ..kube::Pod::default()
    };
    // Before: how many of them were observed before this instance ran.
    for (first, before, count, cause) in [
        (1_000, None, 3, Cause::LivenessProbeFailed),
        (1_000, None, 2, Cause::Unattributed),
        (-60_000, None, 7, Cause::Unattributed),
        (-60_000, Some(5), 7, Cause::Unattributed),
        (-60_000, Some(4), 7, Cause::LivenessProbeFailed),
    ] {
        let event = Event {
            meta: Meta { uid: "event".to_owned(), ..Meta::default() },
            about: Reference {
                kind: "Pod".to_owned(),
                uid: pod().uid,
                field: "spec.containers{web}".to_owned(),
                ..Reference::default()
            },
            reason: "Unhealthy".to_owned(),
            message: "Liveness probe failed: HTTP probe failed with statuscode: 500".to_owned(),
            first: Some(at(first)),
            last: Some(at(4_000)),
            count,
            ..Event::default()
        };
        let mut observations = node(&[Source::KernelLog, Source::Cgroups, Source::Cri, Source::Containerd]);
        observations.push(seen(40, Fact::Object(Change::Applied, Object::Pod(Arc::new(object.clone())))));
        if let Some(before) = before {
            let event = Event { last: Some(at(-30_000)), count: before, ..event.clone() };
            observations.push(seen(41, Fact::Object(Change::Applied, Object::Event(Box::new(event)))));
        }
        observations.push(seen(4_100, Fact::Object(Change::Applied, Object::Event(Box::new(event)))));
        observations.push(exit(5_000, id(), MAIN, 143));
        let reported = only(observations);
        assert_eq!(reported.cause(), cause, "{count} since {first}, {before:?} before");
        assert_ne!(reported.confidence(), Confidence::Certain);
    }
}

/// As CRI-O reports a container: no events of its process, and a pid also when it has ended.
fn ended_on_cri_o(code: i32, seen_before: bool, beside: Vec<Observation>) -> Diagnosis {
    let sources = [Source::KernelLog, Source::Cgroups, Source::Cri, Source::Signals, Source::ProcessEvents];
    let mut observations = node(&sources);
    observations.retain(|observed| match observed.fact {
        Fact::Task(_) => false,
        Fact::Container(_) => seen_before,
        _ => true,
    });
    observations.extend(beside);
    let ended = Container {
        exit_code: code,
        reason: "Error".to_owned(),
        finished_at: Some(at(5_000)),
        ..container(State::Exited)
    };
    observations.push(seen(5_020, Fact::Container(ended)));
    only(observations)
}

#[test]
fn a_code_that_cri_o_gives_without_having_seen_the_end_is_not_the_programs() {
    let waited = |status| seen(5_000, Fact::ProcessExit(Exit { pid: MAIN, status }));
    let asked = || signal(4_900, 15, 0, (400, "runc"), MAIN);
    for (beside, cause, confidence, code, fabricated) in [
        (vec![], Cause::StatusFabricated, Confidence::Certain, -1, true),
        (vec![asked()], Cause::StoppedByRequest, Confidence::Likely, -1, true),
        (vec![asked(), waited(WaitStatus::Exited(0))], Cause::StoppedByRequest, Confidence::Likely, 0, false),
        (vec![signal(4_990, 9, 0, (400, "sh"), MAIN)], Cause::KilledExternally, Confidence::Certain, -1, true),
        (vec![waited(WaitStatus::Exited(3))], Cause::ApplicationExit, Confidence::Likely, 3, false),
    ] {
        let what = format!("{beside:?}");
        let reported = ended_on_cri_o(-1, true, beside);
        let exit = reported.exit.clone().unwrap_or_default();
        let verdict = (reported.cause(), reported.confidence(), exit.code, exit.fabricated);
        assert_eq!(verdict, (cause, confidence, code, fabricated), "{what}: {reported:#?}");
    }
}

#[test]
fn events_that_only_containerd_has_are_not_missed_on_cri_o() {
    let absent = Health::Absent(Reason::quote("the container runtime is not containerd"));
    let blind = [Source::Signals, Source::ProcessEvents].map(|source| Fact::Health(source, absent.clone()));
    let mut beside: Vec<_> = blind.into_iter().map(|fact| seen(-9_000, fact)).collect();
    for (is_cri_o, missing) in [(false, vec!["containerd", "signals"]), (true, vec!["signals"])] {
        if is_cri_o {
            beside.push(seen(-9_000, Fact::Health(Source::Containerd, absent.clone())));
        }
        beside.sort_by_key(|observed| observed.seen_at);
        let mut reported = ended_on_cri_o(255, true, beside.clone());
        reported.missing_sources.sort();
        assert_eq!(
            (reported.cause(), reported.missing_sources),
            (Cause::Unattributed, missing.iter().map(|m| (*m).to_owned()).collect())
        );
    }
}

#[test]
fn the_end_of_a_process_is_its_containers_though_that_is_known_only_afterwards() {
    for (status, code) in [(WaitStatus::Exited(137), 137), (WaitStatus::Exited(255), 255)] {
        let waited = seen(5_000, Fact::ProcessExit(Exit { pid: MAIN, status }));
        let reported = ended_on_cri_o(code, false, vec![waited]);
        assert_eq!((reported.cause(), reported.exit.unwrap_or_default().code), (Cause::ApplicationExit, code));
    }
}
