use std::{
    future::pending,
    io,
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::sync::mpsc;

use super::*;

fn supervisor() -> (Supervisor, Metrics) {
    let metrics = Metrics::default();
    (Supervisor::new(&metrics), metrics)
}

fn only(supervisor: &Supervisor) -> TaskStatus {
    let mut tasks = supervisor.tasks();
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    tasks.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_fails_or_ends_is_started_again_and_meanwhile_shown_as_down() {
    let (supervisor, metrics) = supervisor();
    let group = supervisor.group();
    let (runs, mut run_begins) = mpsc::unbounded_channel();
    let count = AtomicU32::new(0);
    group.restarting("worker", Need::Ready, move |_stop| {
        let run = count.fetch_add(1, Ordering::Relaxed);
        let _open = runs.send(run);
        async move {
            match run {
                0 => panic!("a fault"),
                1 => Err(io::Error::other("broken")),
                2 => Ok(()),
                _ => pending().await,
            }
        }
    });
    let ends = [End::Panicked("a fault".to_owned()), End::Failed("broken".to_owned()), End::Ended];
    for (run, end) in (0..).zip(ends) {
        assert_eq!(run_begins.recv().await, Some(run));
        // Time is paused: it passes only when every task waits, so the task is in its delay now.
        tokio::task::yield_now().await;
        let task = only(&supervisor);
        assert_eq!(task.state, TaskState::Down { end });
        assert_eq!(task.restarts, u64::from(run));
        assert!(!supervisor.is_ready());
        assert!(metrics.text().contains("coroner_task_up{task=\"worker\"} 0"));
    }
    assert_eq!(run_begins.recv().await, Some(3));
    let task = only(&supervisor);
    assert_eq!((task.state, task.restarts), (TaskState::Running, 3));
    assert!(supervisor.is_ready());
    assert!(metrics.text().contains("coroner_task_restarts_total{task=\"worker\"} 3"));
    assert_eq!(group.stop(Duration::from_secs(1)).await, ["worker"], "it takes no notice of the token, and is aborted");
    assert!(supervisor.tasks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lasted_makes_the_next_delay_a_first_one() {
    let (supervisor, _) = supervisor();
    let group = supervisor.group();
    let (runs, mut run_begins) = mpsc::unbounded_channel();
    group.restarting("worker", Need::Optional, move |_stop| {
        let runs = runs.clone();
        async move {
            let _open = runs.send(Instant::now());
            sleep(GOOD_RUN).await;
        }
    });
    let mut last = run_begins.recv().await.unwrap();
    for _ in 0..20 {
        let begun = run_begins.recv().await.unwrap();
        assert!(begun - last <= GOOD_RUN + FIRST_DELAY);
        last = begun;
    }
    assert!(supervisor.is_ready(), "what is optional does not keep the program from being ready");
    group.stop(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn tasks_that_stop_when_asked_are_waited_for() {
    let (supervisor, _) = supervisor();
    let group = supervisor.group();
    group.restarting("restarting", Need::Ready, |stop| async move {
        stop.cancelled().await;
        sleep(Duration::from_secs(1)).await;
    });
    group.fatal("fatal", |stop| async move { stop.cancelled().await });
    assert_eq!(group.stop(Duration::from_secs(2)).await, [""; 0]);
    assert_eq!(supervisor.failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_fatal_task_that_ends_is_the_programs_failure() {
    let (supervisor, _) = supervisor();
    let group = supervisor.group();
    group.fatal("panics", |stop| async move {
        if !stop.is_cancelled() {
            panic!("a fault");
        }
    });
    let failure = supervisor.failed().await;
    assert_eq!(failure.to_string(), "the task panics cannot go on: it panicked: a fault");
    assert!(!supervisor.is_ready());

    group.fatal("ends", |_stop| async {});
    tokio::task::yield_now().await;
    assert_eq!(supervisor.failure(), Some(failure), "the first one counts");
    let ended = supervisor.tasks().into_iter().find(|task| task.name == "ends").unwrap();
    assert_eq!(ended.state, TaskState::Down { end: End::Ended });
    assert_eq!(group.stop(Duration::from_secs(1)).await, [""; 0]);
}

#[tokio::test]
async fn a_fatal_task_may_fail_while_it_stops() {
    let (supervisor, _) = supervisor();
    let group = supervisor.group();
    group.fatal("writer", |stop| async move {
        stop.cancelled().await;
        Err::<(), _>(io::Error::other("disk full"))
    });
    group.stop(Duration::from_secs(60)).await;
    assert_eq!(supervisor.failure().unwrap().reason, "disk full");
}

#[tokio::test]
async fn work_on_a_thread_has_an_outcome_even_if_it_panics() {
    let name = || std::thread::current().name().map(str::to_owned);
    assert_eq!(on_thread("a-thread", name).await.unwrap(), Some("a-thread".to_owned()));
    let panicked = on_thread("a-thread", || -> () { panic!("a fault of {}", 7) }).await;
    assert_eq!(panicked.unwrap_err().to_string(), "it panicked: a fault of 7");
}
