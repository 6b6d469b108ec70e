//! Sources whose tasks panic: by the real supervision, outlets and examiner.

use std::{
    convert::Infallible,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use coroner_diagnosis::{
    observation::{
        Fact, Health, Observation, Reason, Source,
        containerd::{TaskEvent, TaskEventKind},
        cri::{Container, ContainerId, Pod, Sandbox, State},
    },
    replay::replay,
};
use coroner_proto::v1::{Confidence, Diagnosis, Node};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::{all, testing::Running, worker::End};

/// What a source's health and gaps were, in the order in which they were reported.
fn story(seen: &[Observation], source: Source) -> Vec<String> {
    seen.iter()
        .filter_map(|observation| match &observation.fact {
            Fact::Health(of, health) if *of == source => Some(match health {
                Health::Ok => "ok".to_owned(),
                Health::Degraded(reason) | Health::Absent(reason) => reason.text(),
            }),
            Fact::Gap(gap) if gap.source == source => {
                assert!(gap.from <= gap.to);
                Some("gap".to_owned())
            }
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn any_source_that_panics_is_degraded_at_once_with_a_gap_and_recovers() {
    let mut running = Running::new();
    for source in all() {
        let runs = Arc::new(AtomicU32::new(0));
        running
            .start(source, |site| {
                let outlet = site.outlet(source);
                site.task(&outlet.clone(), move || {
                    let (outlet, run) = (outlet.clone(), runs.fetch_add(1, Ordering::Relaxed));
                    async move {
                        outlet.health(Health::Ok).await;
                        match run {
                            0 => panic!("a fault of {}", outlet.source().name()),
                            1 => (),
                            _ => pending().await,
                        }
                    }
                });
            })
            .await;
    }
    for source in all() {
        let mut ok = 0;
        running
            .until(|seen| {
                ok += u32::from(matches!(&seen.fact, Fact::Health(of, Health::Ok) if *of == source));
                (ok == 3).then_some(())
            })
            .await;
        let again = "its task is started again:";
        let panicked = format!("{again} it panicked: a fault of {}", source.name());
        let ended = format!("{again} it ended");
        assert_eq!(story(&running.seen, source), ["ok", &panicked, "gap", "ok", &ended, "gap", "ok"]);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_source_on_a_thread_is_run_again_after_failures_and_panics() {
    let mut running = Running::new();
    let runs = AtomicU32::new(0);
    running
        .start(Source::Procfs, |site| {
            let outlet = site.outlet(Source::Procfs);
            site.thread(&outlet, move |worker| match runs.fetch_add(1, Ordering::Relaxed) {
                0 => Err(End::absent(Reason::quote("not there"))),
                1 => panic!("a fault"),
                _ => {
                    worker.health(Health::Ok)?;
                    worker.health(Health::Ok)?;
                    worker.health(Health::Degraded(Reason::quote("half")))?;
                    worker.pause(std::time::Duration::from_hours(1))?;
                    unreachable!("an hour is longer than this test")
                }
            });
        })
        .await;
    running
        .until(|seen| {
            (seen.fact == Fact::Health(Source::Procfs, Health::Degraded(Reason::quote("half")))).then_some(())
        })
        .await;
    let panicked = "its task is started again: it panicked: a fault";
    assert_eq!(story(&running.seen, Source::Procfs), ["not there", panicked, "gap", "ok", "half"]);
    running.stop().await;
}

fn fail() -> Infallible {
    panic!("a fault of the source")
}

/// What is observed of a container that is started at `at` and ends by SIGSEGV a second later.
fn crash(at: Timestamp) -> Vec<Observation> {
    let (id, sandbox) = (ContainerId("a".repeat(64)), ContainerId("b".repeat(64)));
    let pod = Pod { namespace: "shop".to_owned(), name: "web-0".to_owned(), uid: "uid-of-web-0".to_owned() };
    let seen = |millis: i64, fact: Fact| {
        let at = at + SignedDuration::from_millis(millis);
        Observation { seen_at: at, happened_at: at, fact }
    };
    let container = |state: State, exit_code: i32| {
        let finished_at = (state == State::Exited).then_some(at + SignedDuration::from_secs(1));
        Fact::Container(Container {
            id: id.clone(),
            pod: pod.clone(),
            name: "web".to_owned(),
            attempt: 0,
            state,
            created_at: Some(at),
            started_at: Some(at),
            finished_at,
            exit_code,
            reason: String::new(),
            message: String::new(),
            image: "r.example/web:1".to_owned(),
            pid: (state == State::Running).then_some(100),
            cgroups_path: None,
            memory_limit: None,
            limits_known: true,
            sandbox_id: Some(sandbox.clone()),
            grace_period_seconds: Some(30),
        })
    };
    let exit = TaskEventKind::Exit {
        process_id: id.0.clone(),
        pid: 100,
        status: 139,
        exited_at: Some(at + SignedDuration::from_secs(1)),
    };
    vec![
        seen(0, Fact::Sandbox(Sandbox { id: sandbox.clone(), pod: pod.clone(), ready: true, created_at: Some(at) })),
        seen(0, Fact::Task(TaskEvent { container: id.clone(), kind: TaskEventKind::Start { pid: 100 } })),
        seen(1, container(State::Running, 0)),
        seen(1000, Fact::Task(TaskEvent { container: id.clone(), kind: exit })),
        seen(1010, container(State::Exited, 139)),
    ]
}

/// The verdict about a crash, given all that was seen of the sources.
fn verdict(seen: &[Observation], crash: Vec<Observation>) -> Diagnosis {
    let mut observations = seen.to_vec();
    observations.extend(crash);
    let end = Timestamp::now() + SignedDuration::from_mins(20);
    replay(Node { name: "n1".to_owned(), ..Node::default() }, observations, end).pop().expect("it is reported")
}

#[tokio::test]
async fn verdicts_are_less_certain_while_a_source_is_down() {
    let mut running = Running::new();
    for source in [Source::KernelLog, Source::Containerd, Source::Cri, Source::Cgroups] {
        running
            .start(source, |site| {
                let outlet = site.outlet(source);
                site.task(&outlet.clone(), move || {
                    let outlet = outlet.clone();
                    async move {
                        outlet.health(Health::Ok).await;
                        pending::<()>().await
                    }
                });
            })
            .await;
    }
    let (fault, back) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let runs = AtomicU32::new(0);
    running
        .start(Source::Signals, |site| {
            let outlet = site.outlet(Source::Signals);
            let (fault, back) = (Arc::clone(&fault), Arc::clone(&back));
            site.task(&outlet.clone(), move || {
                let (outlet, fault, back) = (outlet.clone(), Arc::clone(&fault), Arc::clone(&back));
                let run = runs.fetch_add(1, Ordering::Relaxed);
                async move {
                    if run > 0 {
                        back.notified().await;
                    }
                    outlet.health(Health::Ok).await;
                    fault.notified().await;
                    fail()
                }
            });
        })
        .await;

    let before = Timestamp::now();
    let healthy = verdict(&running.seen, crash(before));
    assert_eq!(healthy.missing_sources, [""; 0], "{healthy:?}");

    fault.notify_one();
    running.until(|seen| matches!(&seen.fact, Fact::Gap(gap) if gap.source == Source::Signals).then_some(())).await;
    let now = Timestamp::now();
    for started in [before, now] {
        let blind = verdict(&running.seen, crash(started));
        assert!(blind.confidence() < healthy.confidence(), "{blind:?}");
        assert_ne!(blind.confidence(), Confidence::Unspecified);
        assert!(blind.missing_sources.contains(&"signals".to_owned()), "{blind:?}");
    }

    back.notify_one();
    let mut ok = 0;
    running
        .until(|seen| {
            ok += u32::from(seen.fact == Fact::Health(Source::Signals, Health::Ok));
            (ok == 2).then_some(())
        })
        .await;
    let recovered = verdict(&running.seen, crash(Timestamp::now()));
    assert_eq!((recovered.confidence(), recovered.missing_sources.len()), (healthy.confidence(), 0));
    running.stop().await;
}
