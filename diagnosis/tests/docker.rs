//! What Docker reports about signals that it was asked to send, where no other source observed them.

use coroner_diagnosis::{
    examiner::Examiner,
    observation::{
        Fact, Gap, GapReason, Health, Observation, Source,
        cri::{Container, ContainerId, Pod, State},
        docker::{Event, Report},
        trace::{Signal, Thread},
    },
    replay::replay,
};
use coroner_proto::v1::{Cause, Confidence, Diagnosis, Node, StopRequester};
use jiff::Timestamp;

const MAIN: i32 = 100;

fn id() -> ContainerId {
    ContainerId("a".repeat(64))
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("within jiff's range")
}

fn seen(millis: i64, fact: Fact) -> Observation {
    Observation { seen_at: at(millis), happened_at: at(millis), fact }
}

fn container(state: State, exit_code: i32) -> Fact {
    let exited = state == State::Exited;
    Fact::Docker(Report::Container(Box::new(Container {
        id: id(),
        pod: Pod {
            namespace: "shop".to_owned(),
            name: "web-0".to_owned(),
            uid: "11111111-2222-3333-4444-555555555555".to_owned(),
        },
        name: "web".to_owned(),
        attempt: 0,
        state,
        created_at: Some(at(0)),
        started_at: Some(at(10)),
        finished_at: exited.then(|| at(60_000)),
        exit_code,
        reason: if exited { "Error".to_owned() } else { String::new() },
        message: String::new(),
        image: "localhost/web:1".to_owned(),
        pid: (!exited).then_some(MAIN),
        cgroups_path: None,
        memory_limit: None,
        limits_known: true,
        sandbox_id: None,
        grace_period_seconds: Some(30),
    })))
}

fn event(millis: i64, event: Event) -> Observation {
    seen(millis, Fact::Docker(Report::Event(id(), event)))
}

/// A container that ends after a minute with this status, on a node of which these sources see.
fn life(status: u32, sources: &[Source]) -> Vec<Observation> {
    let mut observations: Vec<_> =
        sources.iter().map(|source| seen(-10_000, Fact::Health(*source, Health::Ok))).collect();
    let code = i32::try_from(status).expect("a status has eight bits");
    observations.push(seen(20, container(State::Running, 0)));
    observations.push(event(60_010, Event::Die { status }));
    observations.push(seen(60_020, container(State::Exited, code)));
    observations
}

fn verdict(mut observations: Vec<Observation>) -> Diagnosis {
    observations.sort_by_key(|observation| observation.seen_at);
    let node = Node { name: "n1".to_owned(), ..Node::default() };
    let diagnoses = replay(node, observations, at(600_000));
    let last = diagnoses.into_iter().max_by_key(|diagnosis| diagnosis.revision);
    last.expect("it ended in a way that is reported")
}

const DOCKER: &[Source] = &[Source::KernelLog, Source::Docker];

fn kill(millis: i64, signal: i32) -> Observation {
    event(millis, Event::Kill { signal })
}

/// SIGKILL from a shell.
fn sigkill(millis: i64, target: (i32, &str)) -> Observation {
    let thread = |(tid, comm): (i32, &str)| Thread { tid, comm: comm.to_owned() };
    let (sender, target) = (thread((7, "bash")), thread(target));
    let signal = Signal { signal: 9, code: 0, result: 0, sender, target, group: true, sender_process: None };
    seen(millis, Fact::Signal(signal))
}

#[test]
fn a_stop_signal_and_then_sigkill_is_a_grace_period_that_was_exceeded() {
    let mut observations = life(137, DOCKER);
    observations.extend([kill(29_900, 15), kill(59_990, 9)]);
    let verdict = verdict(observations);
    assert_eq!((verdict.cause(), verdict.confidence()), (Cause::GracePeriodExceeded, Confidence::Likely));
    assert_eq!(
        (verdict.requested_by(), &*verdict.missing_sources),
        (StopRequester::Runtime, &["signals".to_owned()][..])
    );
    let statement: Vec<_> = verdict
        .evidence
        .iter()
        .filter(|statement| statement.source == "docker")
        .map(|statement| &*statement.text)
        .collect();
    assert_eq!(statement, ["kill, signal 15", "kill, signal 9"]);
}

#[test]
fn a_stop_signal_that_was_obeyed_is_a_stop_on_request_whatever_the_status() {
    for status in [143, 1] {
        let mut observations = life(status, DOCKER);
        observations.push(kill(58_000, 15));
        let verdict = verdict(observations);
        assert_eq!((verdict.cause(), verdict.confidence()), (Cause::StoppedByRequest, Confidence::Likely), "{status}");
    }
}

#[test]
fn sigkill_alone_is_a_stop_at_once_only_if_docker_was_observed_throughout() {
    let mut observations = life(137, DOCKER);
    observations.push(kill(59_990, 9));
    assert_eq!(verdict(observations.clone()).cause(), Cause::StoppedByRequest);
    let (from, to) = (at(40_000), at(41_000));
    let gap = Gap { source: Source::Docker, reason: GapReason::Disconnected, from, to, lost: None };
    observations.push(seen(41_000, Fact::Gap(gap)));
    assert_eq!(verdict(observations).cause(), Cause::GracePeriodExceeded);
}

#[test]
fn signals_of_long_ago_and_kills_that_docker_did_not_send_are_no_request() {
    let mut long_ago = life(1, DOCKER);
    long_ago.push(kill(5_000, 15));
    assert_eq!(verdict(long_ago).cause(), Cause::ApplicationExit);
    let mut asked = life(137, DOCKER);
    asked.push(kill(50_000, 15));
    assert_eq!(verdict(asked).cause(), Cause::Unattributed);
    assert_eq!(verdict(life(137, DOCKER)).cause(), Cause::Unattributed);
}

/// Signals are kept for six hours, what Docker was asked to send as long as the container's file.
#[test]
fn a_signal_that_is_forgotten_was_sent_all_the_same() {
    const HOURS: i64 = 14 * 3_600_000;
    let mut examiner = Examiner::new(Node { name: "n1".to_owned(), ..Node::default() });
    let Fact::Docker(Report::Container(mut patient)) = container(State::Running, 0) else { unreachable!() };
    patient.grace_period_seconds = Some(20 * 3_600);
    for source in [Source::KernelLog, Source::Docker, Source::Signals] {
        examiner.observe(seen(-10_000, Fact::Health(source, Health::Ok)));
    }
    examiner.observe(seen(20, Fact::Docker(Report::Container(patient.clone()))));
    let thread = |tid, comm: &str| Thread { tid, comm: comm.to_owned() };
    let (sender, target) = (thread(90, "runc"), thread(MAIN, "web"));
    let sent = Signal { signal: 15, code: 0, result: 0, sender, target, group: true, sender_process: None };
    examiner.observe(kill(50_000, 15));
    examiner.observe(seen(50_010, Fact::Signal(sent)));
    for hour in 1..14 {
        examiner.tick(at(hour * 3_600_000));
    }
    examiner.observe(event(HOURS, Event::Die { status: 143 }));
    patient.state = State::Exited;
    (patient.exit_code, patient.finished_at, patient.pid) = (143, Some(at(HOURS)), None);
    let mut reported = examiner.observe(seen(HOURS + 20, Fact::Docker(Report::Container(patient))));
    reported.extend(examiner.tick(at(HOURS + 10_000)));
    let last = reported.pop().unwrap();
    assert_eq!((last.cause(), last.confidence()), (Cause::StoppedByRequest, Confidence::Likely), "{last:#?}");
    assert!(last.missing_sources.is_empty(), "{last:#?}");
}

#[test]
fn the_signals_source_takes_precedence() {
    let mut observations = life(137, &[Source::KernelLog, Source::Docker, Source::Signals]);
    observations.push(kill(59_990, 9));
    observations.push(sigkill(59_980, (MAIN, "web")));
    assert_eq!(verdict(observations).cause(), Cause::KilledExternally);
}

#[test]
fn times_that_cannot_be_are_survived() {
    for time in [Timestamp::MIN, Timestamp::MAX] {
        let mut observations = life(137, DOCKER);
        let fact = Fact::Docker(Report::Event(id(), Event::Kill { signal: 9 }));
        observations.push(Observation { seen_at: at(59_000), happened_at: time, fact });
        verdict(observations);
    }
}

/// The shim may have died under it.
#[test]
fn a_255_of_docker_is_not_taken_for_an_observed_status() {
    let verdict = verdict(life(255, DOCKER));
    assert_eq!(verdict.cause(), Cause::Unattributed);
    assert!(verdict.candidates.iter().any(|other| other.cause() == Cause::StatusFabricated), "{verdict:#?}");
}

#[test]
fn a_255_after_the_death_of_a_shim_is_made_up() {
    let mut observations = life(255, &[Source::KernelLog, Source::Docker, Source::Signals]);
    observations.push(sigkill(59_900, (90, "containerd-shim")));
    let verdict = verdict(observations);
    assert_eq!((verdict.cause(), verdict.confidence()), (Cause::StatusFabricated, Confidence::Likely));
    assert!(verdict.exit.is_some_and(|exit| exit.fabricated));
}
