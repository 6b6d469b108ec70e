//! What is reported late, or is of long ago: it changes what was concluded, and nothing is concluded from what is
//! forgotten.

mod one_container;

use std::{collections::BTreeSet, sync::Arc};

use coroner_diagnosis::{
    examiner::Examiner,
    observation::{
        Fact, Gap, GapReason, Health, Reason, Source,
        cri::{Container, State},
        kube::{self, Change, Deletion, Kind, Meta, Object},
        trace::{OomVictim, Thread},
    },
};
use coroner_proto::v1::{Cause, Confidence, ContainerKind, Diagnosis, Node};
use one_container::*;

/// All revisions of what these observations lead to.
fn revisions(observations: Vec<coroner_diagnosis::observation::Observation>, end: i64) -> Vec<Diagnosis> {
    let mut examiner = Examiner::new(Node { name: "n1".to_owned(), ..Node::default() });
    let mut revisions = Vec::new();
    for observation in observations {
        revisions.extend(examiner.tick(observation.seen_at));
        revisions.extend(examiner.observe(observation));
    }
    while let Some(next) = examiner.next_tick().filter(|next| *next <= at(end)) {
        revisions.extend(examiner.tick(next));
    }
    revisions
}

#[test]
fn the_kill_of_a_child_that_ends_the_container_is_one_diagnosis() {
    for apart in [100, 4_000] {
        let mut observations = node(EVERYBODY);
        observations.extend([process(1_000, 150, 1), counter(2_000, 0)]);
        observations.extend(oom(5_000, 0, &format!("{POD}/{}", id()), 150));
        observations.extend([counter(5_010, 1), exit(5_010 + apart, id(), MAIN, 3)]);
        let revisions = revisions(observations.clone(), 60_000);
        let uids: BTreeSet<_> = revisions.iter().map(|diagnosis| &diagnosis.uid).collect();
        assert_eq!(uids.len(), 1, "{revisions:#?}");
        assert_eq!(revisions[0].fatal, apart < 1_500, "what runs on is reported before it ends");
        let last = revisions.last().unwrap();
        assert_eq!((last.cause(), last.fatal), (Cause::OomContainerLimit, true));
        assert_eq!(last.exit.as_ref().unwrap().code, 3);
        // Examined again from the beginning, as after a restart of the agent.
        assert_eq!(only(observations).uid, last.uid);
    }
}

#[test]
fn a_child_that_is_killed_long_before_the_end_is_another_diagnosis() {
    let mut observations = node(EVERYBODY);
    observations.extend([process(1_000, 150, 1), counter(2_000, 0)]);
    observations.extend(oom(5_000, 0, &format!("{POD}/{}", id()), 150));
    observations.extend([counter(5_010, 1), exit(40_000, id(), MAIN, 3)]);
    let causes: Vec<_> = run(observations).iter().map(|diagnosis| (diagnosis.cause(), diagnosis.fatal)).collect();
    assert_eq!(causes, [(Cause::OomContainerLimit, false), (Cause::ApplicationExit, true)]);
}

#[test]
fn a_loss_that_is_reported_minutes_later_revises_what_rested_on_silence() {
    let lost = |from, to| {
        let (from, to) = (at(from), at(to));
        Fact::Gap(Gap { source: Source::Signals, reason: GapReason::Overrun, from, to, lost: None })
    };
    let ended = || node(EVERYBODY).into_iter().chain([exit(5_000, id(), MAIN, 137)]);
    let cause = |loss: Option<Fact>| only(ended().chain(loss.map(|loss| seen(200_000, loss))).collect()).cause();
    assert_eq!(cause(None), Cause::ApplicationExit, "no signal was sent");
    assert_eq!(cause(Some(lost(60_000, 61_000))), Cause::ApplicationExit, "nothing ended then");
    assert_eq!(cause(Some(lost(4_000, 6_000))), Cause::Unattributed);
}

/// The Pod is known a moment after the end of its container was reported.
#[test]
fn the_kind_of_a_container_is_reported_as_soon_as_it_is_known() {
    let object = kube::Pod {
        meta: Meta { namespace: pod().namespace, name: pod().name, uid: pod().uid, ..Meta::default() },
        node_uid: pod().uid,
        node: "n1".to_owned(),
        containers: vec![kube::Container {
            name: "web".to_owned(),
            kind: kube::ContainerKind::Init,
            ..kube::Container::default()
        }],
        phase: "Pending".to_owned(),
        ..kube::Pod::default()
    };
    let mut observations = node(EVERYBODY);
    observations.extend(oom(5_000, 0, POD, MAIN));
    observations.push(exit(5_010, id(), MAIN, 137));
    observations.push(seen(5_500, Fact::Object(Change::Applied, Object::Pod(Arc::new(object)))));
    let revisions = revisions(observations, 60_000);
    let kinds: Vec<_> = revisions.iter().map(|d| d.subject.as_ref().unwrap().container_kind()).collect();
    assert_eq!(kinds.first(), Some(&ContainerKind::Unspecified), "reported at once");
    assert_eq!(kinds.last(), Some(&ContainerKind::Init));
}

/// The tracepoint reports the kill at once, the kernel log is read late, and the container goes on for seconds.
#[test]
fn a_kill_whose_line_is_read_late_and_the_end_that_follows_from_it_are_one_diagnosis() {
    for line in [8_000, 12_000, 20_000] {
        let mut observations = node(EVERYBODY);
        let degraded = Health::Degraded(Reason::quote("read once a minute"));
        observations.push(seen(-9_000, Fact::Health(Source::KernelLog, degraded)));
        observations.push(process(1_000, 150, 1));
        let allocator = Thread { tid: 150, comm: "worker".to_owned() };
        observations.push(seen(5_000, Fact::OomVictim(OomVictim { pid: 150, comm: None, allocator })));
        for mut record in oom(5_000, 0, &format!("{POD}/{}", id()), 150) {
            record.seen_at = at(line);
            observations.push(record);
        }
        observations.push(exit(10_000, id(), MAIN, 3));
        // Each leads to another examination.
        observations.extend([counter(11_500, 1), counter(14_000, 1), counter(25_000, 1)]);
        observations.sort_by_key(|observation| observation.seen_at);
        let revisions = revisions(observations, 60_000);
        let uids: BTreeSet<_> = revisions.iter().map(|diagnosis| &diagnosis.uid).collect();
        assert_eq!(uids.len(), 1, "line at {line}: {revisions:#?}");
        assert!(!revisions[0].fatal, "reported before it ends: {:#?}", revisions[0]);
        let last = revisions.last().unwrap();
        assert_eq!((last.cause(), last.fatal), (Cause::OomContainerLimit, true), "line at {line}");
    }
}

/// No statement about a container is older than the container itself.
#[test]
fn a_long_grace_period_makes_no_request_of_before_the_container_possible() {
    // When the container started, in seconds; signals are observed from 10 s before 0 on.
    let end = |started: i64| {
        let mut observations = node(EVERYBODY);
        let patient = Container {
            started_at: Some(at(started * 1_000)),
            grace_period_seconds: Some(86_400),
            ..container(State::Running)
        };
        observations.push(seen(30, Fact::Container(patient)));
        observations.push(signal(600_000, 9, 0, (SHIM, "runc"), MAIN));
        observations.push(exit(600_100, id(), MAIN, 137));
        revisions(observations, 700_000).pop().unwrap()
    };
    assert_eq!(end(0).cause(), Cause::StoppedByRequest);
    assert_eq!(end(-600).cause(), Cause::GracePeriodExceeded, "it may have been asked to stop before");
}

#[test]
fn a_request_that_is_forgotten_is_not_missing() {
    const HOUR: i64 = 3_600_000;
    let mut examiner = Examiner::new(Node { name: "n1".to_owned(), ..Node::default() });
    let patient = Container { grace_period_seconds: Some(14 * 3_600), ..container(State::Running) };
    for observation in node(EVERYBODY).into_iter().chain([seen(30, Fact::Container(patient))]) {
        examiner.observe(observation);
    }
    examiner.observe(signal(60_000, 15, 0, (SHIM, "runc"), MAIN));
    for hour in 1..14 {
        examiner.tick(at(hour * HOUR));
    }
    examiner.observe(signal(14 * HOUR + 60_000, 9, 0, (SHIM, "runc"), MAIN));
    let mut reported = examiner.observe(exit(14 * HOUR + 60_100, id(), MAIN, 137));
    reported.extend(examiner.tick(at(14 * HOUR + 70_000)));
    let last = reported.last().unwrap();
    assert_eq!((last.cause(), last.confidence()), (Cause::GracePeriodExceeded, Confidence::Likely), "{last:#?}");
}

/// Signals are kept for six hours; a pod may have longer to end, and to obey what it was sent.
#[test]
fn what_ends_long_after_a_request_may_have_been_sent_a_signal_that_is_forgotten() {
    const HOUR: i64 = 3_600_000;
    let end = |after: i64, code: u32| {
        let mut examiner = Examiner::new(Node { name: "n1".to_owned(), ..Node::default() });
        let deleted = Deletion { due: at(60_000 + 20 * HOUR), grace_seconds: 20 * 3_600 };
        let object = kube::Pod {
            meta: Meta { namespace: pod().namespace, name: pod().name, uid: pod().uid, ..Meta::default() },
            node_uid: pod().uid,
            node: "n1".to_owned(),
            deletion: Some(deleted),
            grace_seconds: Some(20 * 3_600),
            ..kube::Pod::default()
        };
        let patient = Container { grace_period_seconds: Some(20 * 3_600), ..container(State::Running) };
        let facts = [
            seen(-10_000, Fact::Health(Source::Api(Kind::Pods), Health::Ok)),
            seen(30, Fact::Container(patient)),
            seen(60_000, Fact::Object(Change::Applied, Object::Pod(Arc::new(object)))),
            signal(60_100, 15, 0, (SHIM, "runc"), MAIN),
        ];
        for observation in node(EVERYBODY).into_iter().chain(facts) {
            examiner.observe(observation);
        }
        for hour in 1..=after {
            examiner.tick(at(hour * HOUR));
        }
        let mut reported = examiner.observe(exit(after * HOUR + 60_100, id(), MAIN, code));
        reported.extend(examiner.tick(at(after * HOUR + 70_000)));
        reported.pop().unwrap()
    };
    for code in [0, 3, 143] {
        let (soon, late) = (end(4, code), end(14, code));
        assert_eq!((soon.cause(), soon.confidence()), (Cause::StoppedByRequest, Confidence::Certain), "{soon:#?}");
        assert_eq!((late.cause(), late.confidence()), (Cause::StoppedByRequest, Confidence::Likely), "{late:#?}");
        assert!(late.explanation.contains("not kept"), "{late:#?}");
        assert!(!late.missing_sources.contains(&"signals".to_owned()), "they were observed: {late:#?}");
    }
}
