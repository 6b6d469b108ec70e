//! States of the node over made-up observations: what recorded cases do not show.

use coroner_diagnosis::{
    examiner::Examiner,
    localized,
    messages::{Language, health::health_no_socket},
    observation::{
        Fact, Observation, Reason,
        kernel_log::Record,
        kube::{self, Change, Condition, Object},
        node::{
            Answer, ApiServer, BlockedProcess, Daemon, Fill, Pressure, Process, Reading, Reference, Step, Table,
            Validity,
        },
        process::NodeMemory,
        trace::{Signal, Thread},
    },
};
use coroner_proto::v1::{Cause, Confidence, Diagnosis, Node, SubjectKind};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("within jiff's range")
}

/// An examiner, and what it has reported.
struct Run {
    examiner: Examiner,
    reported: Vec<Diagnosis>,
}

impl Run {
    fn new() -> Self {
        let node = Node { name: "worker-1".to_owned(), machine_id: "m".to_owned(), ..Node::default() };
        Self { examiner: Examiner::new(node), reported: Vec::new() }
    }

    /// Lets time pass to `millis`, and then observes.
    fn observe(&mut self, millis: i64, fact: Fact) -> &mut Self {
        self.pass(millis);
        let observation = Observation { seen_at: at(millis), happened_at: at(millis), fact };
        self.reported.extend(self.examiner.observe(observation));
        self
    }

    fn state(&mut self, millis: i64, reading: Reading) -> &mut Self {
        self.observe(millis, Fact::Node(reading))
    }

    fn process(&mut self, millis: i64, daemon: Daemon, pid: i32) -> &mut Self {
        self.state(millis, Reading::Process(daemon, (pid > 0).then_some(Process { pid, stopped: false })))
    }

    fn answer(&mut self, millis: i64, daemon: Daemon, answer: Answer) -> &mut Self {
        self.state(millis, Reading::Answer(daemon, answer))
    }

    fn line(&mut self, millis: i64, text: &str) -> &mut Self {
        let record = Record { sequence: None, boot_micros: 0, facility: 0, level: 3, text: text.to_owned() };
        self.observe(millis, Fact::KernelLog(record))
    }

    /// Gives no time before `millis`, as if the agent had got no processor.
    fn resume(&mut self, millis: i64) -> &mut Self {
        self.reported.extend(self.examiner.tick(at(millis)));
        self
    }

    fn pass(&mut self, millis: i64) -> &mut Self {
        while let Some(due) = self.examiner.next_tick().filter(|due| *due <= at(millis)) {
            self.reported.extend(self.examiner.tick(due));
        }
        self
    }

    /// Cause, confidence and whether it is over of each revision that differs in these from the one before.
    fn revisions(&self) -> Vec<(Cause, Confidence, bool)> {
        let revisions = self.reported.iter().map(|d| (d.cause(), d.confidence(), d.resolve_time.is_some()));
        let mut revisions: Vec<_> = revisions.collect();
        revisions.dedup();
        revisions
    }
}

const REFUSED: &str = "connection refused";

fn refused() -> Answer {
    Answer::Refused(Reason::quote(REFUSED))
}

#[test]
fn a_kubelet_that_ends_is_down_within_a_second_until_it_answers_again() {
    let mut run = Run::new();
    run.process(0, Daemon::Kubelet, 70).answer(10, Daemon::Kubelet, Answer::Ok);
    run.process(5000, Daemon::Kubelet, 0).pass(5400);
    assert_eq!(run.revisions(), []);
    run.pass(5600);
    assert_eq!(run.revisions(), [(Cause::KubeletDown, Confidence::Certain, false)]);
    let [down] = run.reported.as_slice() else { unreachable!() };
    assert_eq!((down.subject.as_ref().unwrap().kind(), down.fatal), (SubjectKind::Node, false));
    assert_eq!(down.event_time.unwrap().seconds, at(5000).as_second());
    // The next one is there and does not listen yet.
    run.answer(5950, Daemon::Kubelet, refused()).process(15_000, Daemon::Kubelet, 80).pass(16_000);
    assert!(run.revisions().iter().all(|(_, _, is_over)| !is_over));
    run.answer(17_000, Daemon::Kubelet, Answer::Ok);
    assert_eq!(run.revisions().last(), Some(&(Cause::KubeletDown, Confidence::Certain, true)));
    assert!(run.reported.iter().all(|diagnosis| diagnosis.uid == run.reported[0].uid));
}

#[test]
fn a_restart_on_purpose_is_no_outage_not_even_after_one() {
    let mut run = Run::new();
    run.process(0, Daemon::Kubelet, 70).answer(10, Daemon::Kubelet, Answer::Ok);
    run.process(5000, Daemon::Kubelet, 0).process(5300, Daemon::Kubelet, 71);
    run.answer(5400, Daemon::Kubelet, refused()).answer(7000, Daemon::Kubelet, Answer::Ok).pass(30_000);
    assert_eq!(run.revisions(), []);
    run.process(40_000, Daemon::Kubelet, 0).pass(45_000).process(45_000, Daemon::Kubelet, 72);
    run.answer(46_000, Daemon::Kubelet, Answer::Ok).pass(50_000);
    let outage = run.revisions();
    assert_eq!(outage.last(), Some(&(Cause::KubeletDown, Confidence::Certain, true)));
    run.process(60_000, Daemon::Kubelet, 0).process(60_300, Daemon::Kubelet, 73);
    run.answer(61_000, Daemon::Kubelet, Answer::Ok).pass(90_000);
    assert_eq!(run.revisions(), outage);
}

#[test]
fn a_daemon_that_ends_again_and_again_is_one_outage() {
    let mut run = Run::new();
    run.process(0, Daemon::Kubelet, 70).answer(10, Daemon::Kubelet, Answer::Ok);
    for round in 1..=20 {
        let start = i64::from(round) * 10_000;
        run.process(start, Daemon::Kubelet, 0).answer(start + 1000, Daemon::Kubelet, refused());
        run.process(start + 9000, Daemon::Kubelet, 70 + round);
    }
    assert!(run.reported.iter().all(|d| d.cause() == Cause::KubeletDown && d.resolve_time.is_none()));
    assert!(run.reported.len() < 5, "{:?}", run.revisions());
    // Its own last lines contain the reason.
    let why = r#"E1128 09:12:01.1 4711 run.go:72] "command failed" err="failed to run Kubelet: running with swap on is not supported""#;
    run.state(220_000, Reading::LastLines(Daemon::Kubelet, vec![why.to_owned()]));
    assert_eq!(run.reported.last().unwrap().cause(), Cause::KubeletMisconfigured);
}

/// SIGTERM by systemd, as the tracepoint shows it.
fn sigterm(pid: i32) -> Fact {
    let thread = |tid, comm: &str| Thread { tid, comm: comm.to_owned() };
    Fact::Signal(Signal {
        signal: 15,
        code: 0,
        result: 0,
        sender: thread(1, "systemd"),
        target: thread(pid, "kubelet"),
        group: true,
        sender_process: None,
    })
}

#[test]
fn a_daemon_that_was_asked_to_stop_may_be_started_again_or_go_with_its_host() {
    let started = || {
        let mut run = Run::new();
        run.process(0, Daemon::Kubelet, 70).answer(10, Daemon::Kubelet, Answer::Ok);
        run
    };
    let mut run = started();
    run.observe(4900, sigterm(70)).process(5000, Daemon::Kubelet, 0).pass(14_000);
    assert_eq!(run.revisions(), [], "an upgrade takes so long");
    run.pass(16_000);
    assert_eq!(run.revisions(), [(Cause::KubeletDown, Confidence::Certain, false)]);
    assert!(run.reported[0].explanation.contains("SIGTERM"), "{}", run.reported[0].explanation);

    let mut run = started();
    run.state(4990, Reading::Shutdown(true)).process(5000, Daemon::Kubelet, 0).pass(60_000);
    assert_eq!(run.revisions(), [], "the host is shut down");
    run.state(60_000, Reading::Shutdown(false)).pass(62_000);
    assert_eq!(run.revisions(), [(Cause::KubeletDown, Confidence::Certain, false)], "which was cancelled");

    let mut run = started();
    let message = "[container runtime is down, node is shutting down]".to_owned();
    let ready = Condition { kind: "Ready".to_owned(), status: Some(false), message, ..Condition::default() };
    let mut node = kube::Node { conditions: vec![ready], ..kube::Node::default() };
    node.meta.name = "worker-1".to_owned();
    run.observe(4990, Fact::Object(Change::Applied, Object::Node(Box::new(node))));
    run.process(5000, Daemon::Kubelet, 0).pass(60_000);
    assert_eq!(run.revisions(), [], "by the kubelet's own words");
}

#[test]
fn a_kubelet_that_denies_the_agent_is_alive() {
    let mut run = Run::new();
    run.process(0, Daemon::Kubelet, 70).answer(10, Daemon::Kubelet, Answer::Denied(Reason::quote("status 401")));
    run.pass(100_000);
    assert_eq!(run.revisions(), []);
    run.answer(100_000, Daemon::Kubelet, Answer::Timeout).pass(101_000);
    assert_eq!(run.revisions(), [(Cause::KubeletHung, Confidence::Likely, false)]);
}

#[test]
fn a_certificate_expires_by_its_time_or_by_the_kubelets_last_words() {
    let mut run = Run::new();
    run.state(0, Reading::KubeletCertificate(at(60_000))).pass(60_000);
    assert_eq!(run.revisions(), []);
    run.pass(71_000);
    assert_eq!(run.revisions(), [(Cause::CertificateExpired, Confidence::Certain, false)]);
    run.state(80_000, Reading::KubeletCertificate(at(900_000))).pass(81_000);
    assert_eq!(run.revisions().last(), Some(&(Cause::CertificateExpired, Confidence::Certain, true)));

    let mut run = Run::new();
    run.process(0, Daemon::Kubelet, 70).answer(10, Daemon::Kubelet, Answer::Ok).process(5000, Daemon::Kubelet, 0);
    let why = "F1128 09:12:01.1 70 transport.go:110] The currently active client certificate has expired and the server \
               is responsive, exiting.";
    run.state(5001, Reading::LastLines(Daemon::Kubelet, vec![why.to_owned()])).pass(20_000);
    let causes: Vec<_> = run.reported.iter().map(Diagnosis::cause).collect();
    assert!(causes.contains(&Cause::CertificateExpired) && causes.contains(&Cause::KubeletDown), "{causes:?}");
}

const DAY: i64 = 86_400_000;

/// The Node object with this condition `Ready`, since then.
fn ready(status: Option<bool>, since: i64) -> Fact {
    let ready = Condition { kind: "Ready".to_owned(), status, since: Some(at(since)), ..Condition::default() };
    let mut node = kube::Node { conditions: vec![ready], ..kube::Node::default() };
    node.meta.name = "worker-1".to_owned();
    Fact::Object(Change::Applied, Object::Node(Box::new(node)))
}

/// A client certificate with a year's life, of which a week is left after `days`, and that has expired a week later.
fn client_certificate(days: i64) -> Reading {
    Reading::KubeletClientCertificate(Validity { from: at((days - 358) * DAY), until: at((days + 7) * DAY) })
}

#[test]
fn a_client_certificate_that_is_not_renewed_in_time_is_reported_before_it_expires() {
    let mut run = Run::new();
    run.state(0, client_certificate(30)).pass(30 * DAY - 1);
    assert_eq!(run.revisions(), []);
    run.pass(30 * DAY);
    assert_eq!(run.revisions(), [(Cause::CertificateExpiring, Confidence::Likely, false)]);
    let text = &run.reported[0].explanation;
    assert!(text.contains("/var/lib/kubelet/pki/kubelet-client-current.pem"), "{text}");
    run.state(31 * DAY, client_certificate(400)).pass(100 * DAY);
    assert_eq!(run.revisions()[1..], [(Cause::CertificateExpiring, Confidence::Likely, true)]);
    // Of a short life, a part is left.
    let mut run = Run::new();
    run.state(0, Reading::KubeletClientCertificate(Validity { from: at(0), until: at(1_000_000) })).pass(949_999);
    assert_eq!(run.revisions(), []);
    run.pass(950_000);
    assert_eq!(run.revisions(), [(Cause::CertificateExpiring, Confidence::Likely, false)]);
}

#[test]
fn a_client_certificate_that_has_expired_is_in_use_if_the_node_becomes_unknown() {
    let about_to = (Cause::CertificateExpiring, Confidence::Likely, false);
    let expired = 7 * DAY;
    let started = || {
        let mut run = Run::new();
        run.observe(0, ready(Some(true), 0)).process(0, Daemon::Kubelet, 70).answer(10, Daemon::Kubelet, Answer::Ok);
        run.state(20, client_certificate(0)).pass(expired + 80_000);
        assert_eq!(run.revisions(), [about_to], "what was reported before stands until it shows");
        run
    };
    let mut run = started();
    run.observe(expired + 80_000, ready(None, expired + 50_000)).pass(expired + 120_000);
    assert_eq!(run.revisions()[1..], [(Cause::CertificateExpired, Confidence::Likely, false)]);
    assert!(run.reported.iter().all(|of| of.uid == run.reported[0].uid));
    run.state(expired + 200_000, client_certificate(400)).pass(expired + 300_000);
    assert_eq!(run.revisions()[2..], [(Cause::CertificateExpired, Confidence::Likely, true)]);

    // It uses another one, its node is Unknown for another reason, or it is down.
    let mut run = started();
    run.pass(expired + 120_000);
    let over = (Cause::CertificateExpiring, Confidence::Likely, true);
    assert_eq!(run.revisions(), [about_to, over]);
    run.observe(expired + 200_000, ready(None, expired - 10_000)).pass(expired + 300_000);
    assert_eq!(run.revisions(), [about_to, over]);
    let mut run = started();
    let cut = ApiServer { address: "10.0.0.1:443".to_owned(), failed: Some((Step::Tcp, Reason::quote("no route"))) };
    run.state(expired + 80_000, Reading::ApiServer(cut)).observe(expired + 80_001, ready(None, expired + 50_000));
    run.pass(expired + 120_000);
    assert!(run.revisions().iter().all(|(cause, ..)| *cause != Cause::CertificateExpired), "{:?}", run.revisions());
    let mut run = started();
    run.process(expired + 80_000, Daemon::Kubelet, 0).observe(expired + 80_001, ready(None, expired + 50_000));
    run.pass(expired + 120_000);
    assert!(run.revisions().iter().all(|(cause, ..)| *cause != Cause::CertificateExpired), "{:?}", run.revisions());
}

#[test]
fn an_agent_that_got_no_processor_looks_again_before_it_accuses() {
    let stopped_after = |reading: Reading| {
        let mut run = Run::new();
        run.process(0, Daemon::Kubelet, 70).answer(10, Daemon::Kubelet, Answer::Ok);
        run.state(5000, reading).resume(60_000);
        run
    };
    let api = |failed| Reading::ApiServer(ApiServer { address: "10.0.0.1:443".to_owned(), failed });
    let cut = || api(Some((Step::Tcp, Reason::quote("no route"))));
    // Meanwhile it was over.
    let mut run = stopped_after(Reading::Process(Daemon::Kubelet, None));
    run.state(60_100, Reading::Uptime(SignedDuration::from_hours(1))).process(60_200, Daemon::Kubelet, 71);
    run.answer(60_900, Daemon::Kubelet, Answer::Ok).pass(90_000);
    assert_eq!(run.revisions(), []);
    let mut run = stopped_after(cut());
    run.state(63_000, api(None)).pass(90_000);
    assert_eq!(run.revisions(), []);
    // It still holds.
    let mut run = stopped_after(Reading::Process(Daemon::Kubelet, None));
    run.pass(65_900);
    assert_eq!(run.revisions(), []);
    run.pass(66_100);
    assert_eq!(run.revisions(), [(Cause::KubeletDown, Confidence::Certain, false)]);
    let mut run = stopped_after(cut());
    run.state(63_000, cut()).pass(70_000);
    assert_eq!(run.revisions(), [(Cause::ApiServerUnreachable, Confidence::Certain, false)]);
}

#[test]
fn a_stopped_process_is_hung_for_certain_and_a_silent_one_likely() {
    for daemon in [Daemon::Kubelet, Daemon::Runtime] {
        let hung = if daemon == Daemon::Kubelet { Cause::KubeletHung } else { Cause::RuntimeHung };
        let mut run = Run::new();
        run.process(0, daemon, 70).answer(10, daemon, Answer::Ok);
        run.state(2000, Reading::Process(daemon, Some(Process { pid: 70, stopped: true }))).pass(3500);
        assert_eq!(run.revisions(), [(hung, Confidence::Certain, false)]);
        assert!(run.reported[0].suggestions[0].ends_with("kill -CONT 70"), "{:?}", run.reported[0].suggestions);
        run.answer(5000, daemon, Answer::Timeout).process(9000, daemon, 70).answer(9500, daemon, Answer::Ok);
        assert_eq!(run.revisions(), [(hung, Confidence::Certain, false), (hung, Confidence::Certain, true)]);
        let mut run = Run::new();
        run.process(0, daemon, 70).answer(10, daemon, Answer::Ok).answer(5000, daemon, Answer::Timeout);
        assert_eq!(run.revisions(), [(hung, Confidence::Likely, false)]);
    }
}

#[test]
fn a_headline_states_what_a_hung_kubelet_does() {
    let headline = |reading: Reading| {
        let mut run = Run::new();
        run.process(0, Daemon::Kubelet, 70).answer(10, Daemon::Kubelet, Answer::Ok).state(5000, reading).pass(60_000);
        assert_eq!(run.reported[0].cause(), Cause::KubeletHung);
        run.reported[0].summary.clone()
    };
    let silent = headline(Reading::Answer(Daemon::Kubelet, Answer::Timeout));
    let unwell = "[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed";
    let unwell = headline(Reading::Answer(Daemon::Kubelet, Answer::Unwell(Reason::quote(unwell))));
    let stopped = headline(Reading::Process(Daemon::Kubelet, Some(Process { pid: 70, stopped: true })));
    assert_eq!(silent, "The kubelet is running but does not answer");
    assert_eq!(unwell, "The kubelet answers, but has not synchronized its pods for minutes");
    assert_eq!(stopped, "The kubelet is suspended by a signal");
}

#[test]
fn who_never_answered_is_not_accused() {
    let mut run = Run::new();
    for answer in [refused(), Answer::Timeout, Answer::Unwell(Reason::quote("status 401"))] {
        run.answer(1000, Daemon::Kubelet, answer).pass(600_000);
    }
    run.process(700_000, Daemon::Runtime, 0).pass(800_000);
    assert_eq!(run.revisions(), []);
}

#[test]
fn a_node_short_of_memory_is_not_two_hung_daemons() {
    let mut run = Run::new();
    for daemon in [Daemon::Kubelet, Daemon::Runtime] {
        run.process(0, daemon, 70).answer(10, daemon, Answer::Ok);
    }
    run.observe(1000, Fact::NodeMemory(NodeMemory { total: 2 << 30, available: 11 << 20 }));
    let stalled = Pressure { memory_some: 50.0, ..Pressure::default() };
    run.state(1000, Reading::Pressure(stalled));
    run.answer(4000, Daemon::Kubelet, Answer::Timeout).answer(4100, Daemon::Runtime, Answer::Timeout);
    run.state(6000, Reading::Pressure(stalled)).state(30_000, Reading::Pressure(stalled));
    assert_eq!(run.revisions(), [(Cause::NodeMemoryPressure, Confidence::Certain, false)]);
    run.state(31_000, Reading::Pressure(Pressure::default()));
    run.answer(31_000, Daemon::Kubelet, Answer::Ok).answer(31_000, Daemon::Runtime, Answer::Ok);
    assert_eq!(run.revisions()[1..], [(Cause::NodeMemoryPressure, Confidence::Certain, true)]);
}

#[test]
fn a_socket_that_is_gone_under_a_running_process_is_no_dead_runtime() {
    let mut run = Run::new();
    run.process(0, Daemon::Runtime, 70).answer(10, Daemon::Runtime, Answer::Ok);
    run.answer(5000, Daemon::Runtime, Answer::Refused(Reason::quote("no such file"))).pass(9000);
    assert_eq!(run.revisions(), [(Cause::RuntimeHung, Confidence::Certain, false)]);
    assert!(run.reported[0].explanation.contains("“no such file”"), "{}", run.reported[0].explanation);
}

#[test]
fn what_a_daemon_answered_is_in_the_language_of_the_reader_and_quoted_only_if_others_wrote_it() {
    let mut run = Run::new();
    run.process(0, Daemon::Runtime, 70).answer(10, Daemon::Runtime, Answer::Ok);
    run.answer(5000, Daemon::Runtime, Answer::Refused(health_no_socket("CRI").into())).pass(9000);
    let diagnosis = &run.reported[0];
    assert!(diagnosis.explanation.contains("reached: this node has no CRI socket."), "{}", diagnosis.explanation);
    let chinese = localized::explanation(diagnosis, Language::Chinese);
    assert!(chinese.contains("无法连接其接口：该节点没有 CRI 的套接字。"), "{chinese}");
}

#[test]
fn the_way_to_the_api_server_names_its_broken_step_and_ends_with_it() {
    let reached = |failed: Option<(Step, &str)>| {
        let failed = failed.map(|(step, error)| (step, Reason::quote(error)));
        Reading::ApiServer(ApiServer { address: "10.0.0.1:443".to_owned(), failed })
    };
    let mut run = Run::new();
    run.state(0, reached(Some((Step::Tcp, "no route to host")))).pass(10_000);
    run.state(10_000, reached(None)).pass(60_000);
    assert_eq!(run.revisions(), [], "it was back in time");
    run.state(60_000, reached(Some((Step::Tcp, "timed out")))).pass(76_000);
    run.state(77_000, reached(Some((Step::Tls, "certificate expired")))).state(90_000, reached(None));
    let causes: Vec<_> = run.revisions();
    assert!(causes.iter().all(|(cause, ..)| *cause == Cause::ApiServerUnreachable), "{causes:?}");
    assert!(!causes[0].2 && causes.last().unwrap().2, "{causes:?}");
}

#[test]
fn pressure_by_the_kubelet_is_reported_as_long_as_it_holds() {
    let node = |status| {
        let condition = Condition {
            kind: "DiskPressure".to_owned(),
            status: Some(status),
            message: "kubelet has disk pressure".to_owned(),
            since: Some(at(0)),
            ..Condition::default()
        };
        let mut node = kube::Node { conditions: vec![condition], ..kube::Node::default() };
        node.meta.name = "worker-1".to_owned();
        Fact::Object(Change::Applied, Object::Node(Box::new(node)))
    };
    let mut run = Run::new();
    run.observe(0, node(true)).observe(1000, node(true)).observe(2000, node(false)).observe(90_000, node(true));
    let pressure = |over| (Cause::NodeDiskPressure, Confidence::Certain, over);
    assert_eq!(run.revisions(), [pressure(false), pressure(true), pressure(false)]);
    assert_eq!(run.reported.last().unwrap().occurrence_count, 2);
}

#[test]
fn a_certificate_expires_when_its_time_has_come_unless_the_clock_is_wrong() {
    let mut run = Run::new();
    run.state(0, Reading::KubeletCertificate(at(60_000))).pass(59_000);
    assert_eq!(run.revisions(), []);
    run.pass(71_000);
    assert_eq!(run.revisions(), [(Cause::CertificateExpired, Confidence::Certain, false)]);
    run.state(80_000, Reading::KubeletCertificate(at(90_000_000)));
    assert_eq!(run.revisions()[1..], [(Cause::CertificateExpired, Confidence::Certain, true)]);

    let mut run = Run::new();
    run.state(0, Reading::Clock(Reference::ApiServer, SignedDuration::from_hours(2)));
    run.state(1000, Reading::KubeletCertificate(at(-1000))).pass(20_000);
    assert_eq!(run.revisions(), [(Cause::ClockSkewed, Confidence::Likely, false)]);
    run.state(20_000, Reading::Clock(Reference::Aggregator, SignedDuration::from_hours(2)));
    assert_eq!(run.revisions()[1..], [(Cause::ClockSkewed, Confidence::Certain, false)]);
    run.state(30_000, Reading::Clock(Reference::Aggregator, SignedDuration::ZERO));
    assert!(run.revisions().contains(&(Cause::ClockSkewed, Confidence::Certain, true)));
    assert!(run.revisions().contains(&(Cause::CertificateExpired, Confidence::Certain, false)));
}

#[test]
fn a_clock_that_is_set_is_not_right_by_what_it_was_compared_with_before() {
    let mut run = Run::new();
    run.state(0, Reading::Uptime(SignedDuration::from_mins(60)));
    run.state(1000, Reading::Clock(Reference::Aggregator, SignedDuration::ZERO));
    run.state(1000, Reading::Clock(Reference::ApiServer, SignedDuration::ZERO));
    // Set ahead by a day: the aggregator's certificate has expired by that.
    run.state(DAY, Reading::Uptime(SignedDuration::from_mins(61)));
    run.state(DAY + 1000, Reading::Clock(Reference::ApiServer, SignedDuration::from_hours(24))).pass(DAY + 30_000);
    assert_eq!(run.revisions(), [(Cause::ClockSkewed, Confidence::Likely, false)]);
}

#[test]
fn a_wrong_clock_of_the_aggregator_accuses_no_node_that_sees_another() {
    let mut run = Run::new();
    run.state(0, Reading::Clock(Reference::ApiServer, SignedDuration::from_secs(1)));
    for second in 0..100 {
        run.state(1000 * second, Reading::Clock(Reference::Aggregator, SignedDuration::from_hours(1)));
    }
    run.pass(200_000);
    assert_eq!(run.revisions(), []);
    // The node's own is another matter: both show it.
    for reference in [Reference::Aggregator, Reference::ApiServer] {
        run.state(210_000, Reading::Clock(reference, SignedDuration::from_secs(-600)));
    }
    run.pass(225_000);
    assert_eq!(run.revisions(), [(Cause::ClockSkewed, Confidence::Certain, false)]);
    // Set by more than that, it is wrong in the other direction.
    for reference in [Reference::Aggregator, Reference::ApiServer] {
        run.state(300_000, Reading::Clock(reference, SignedDuration::from_secs(600)));
    }
    run.pass(330_000);
    let headlines: Vec<_> = run.reported.iter().map(|of| of.summary.as_str()).collect();
    assert!(headlines[0].contains("behind") && headlines.last().unwrap().contains("ahead"), "{headlines:?}");
}

#[test]
fn the_lines_of_one_bug_of_the_kernel_are_one_report() {
    for (after, are_two) in [(2, false), (1500, true)] {
        let mut run = Run::new();
        run.line(0, "BUG: kernel NULL pointer dereference, address: 0000000000000008");
        run.line(after, "Oops: 0000 [#1] PREEMPT SMP PTI").pass(5000);
        let explanation = &run.reported.last().unwrap().explanation;
        assert!(explanation.contains("Oops") && explanation.contains("2 times") == are_two, "{explanation}");
    }
}

#[test]
fn a_fault_of_the_kernel_is_over_when_it_has_been_quiet_and_a_read_only_file_system_stays() {
    let mut run = Run::new();
    run.line(0, "watchdog: BUG: soft lockup - CPU#3 stuck for 23s! [a:1]");
    run.line(30_000, "watchdog: BUG: soft lockup - CPU#3 stuck for 53s! [a:1]");
    run.line(40_000, "EXT4-fs (vda1): Remounting filesystem read-only").pass(3_600_000);
    let over: Vec<_> = run.reported.iter().filter(|d| d.resolve_time.is_some()).collect();
    assert_eq!(over.len(), 1, "{:?}", run.revisions());
    assert!(over[0].summary.contains("stuck"), "{}", over[0].summary);
    assert_eq!(over[0].resolve_time.unwrap().seconds, at(630_000).as_second());
    // Until it is writable again.
    let read_only = |read_only| Reading::ReadOnly { path: "/".to_owned(), read_only, forced: read_only };
    let mut run = Run::new();
    run.state(0, read_only(false)).line(1000, "EXT4-fs (vda1): Remounting filesystem read-only");
    run.state(5000, read_only(true)).pass(60_000).state(60_000, read_only(false));
    let fault = |over| (Cause::KernelFault, Confidence::Certain, over);
    assert_eq!(run.revisions(), [fault(false), fault(true)]);
    run.line(70_000, "EXT4-fs (vda1): Remounting filesystem read-only");
    assert_eq!(run.revisions()[2..], [fault(false)]);
    // Linux 6.12 to 6.14 do not show it in the mounts: there the kernel's line stands, whenever they are read.
    for is_read_before in [false, true] {
        let mut run = Run::new();
        if is_read_before {
            run.state(0, read_only(false));
        }
        run.line(1000, "EXT4-fs error (device vda1): ext4_journal_check_start:84: comm a: Detected aborted journal");
        run.line(1000, "EXT4-fs (vda1): Remounting filesystem read-only");
        run.state(60_000, read_only(false)).pass(3_600_000);
        let open: Vec<_> = run.reported.iter().filter(|of| of.summary.contains("read-only")).collect();
        assert_eq!(open.len(), 1, "{:?}", run.revisions());
        assert!(open[0].resolve_time.is_none(), "{:?}", run.revisions());
    }
    // One that is not mounted any more, as a volume that was detached, is no fault of the node.
    let unmounted = |device: &str| Reading::ReadOnly { path: device.to_owned(), read_only: false, forced: false };
    let mut run = Run::new();
    run.state(0, read_only(false)).line(1000, "EXT4-fs (sdk): Remounting filesystem read-only");
    run.state(30_000, unmounted("/dev/sdb")).pass(30_000);
    assert_eq!(run.revisions(), [fault(false)]);
    run.state(60_000, unmounted("/dev/sdk")).pass(60_000);
    assert_eq!(run.revisions()[1..], [fault(true)]);
    // It is one also if it was so before the agent was started, unless it was mounted so.
    let mut run = Run::new();
    run.state(0, Reading::ReadOnly { path: "/iso".to_owned(), read_only: true, forced: false }).pass(1000);
    assert_eq!(run.revisions(), []);
    run.state(1000, read_only(true));
    assert_eq!(run.revisions(), [fault(false)]);
    // Written by a program, it is no line of the kernel.
    let mut run = Run::new();
    let text = "EXT4-fs (vda1): Remounting filesystem read-only".to_owned();
    run.observe(0, Fact::KernelLog(Record { sequence: None, boot_micros: 0, facility: 1, level: 3, text }));
    assert_eq!(run.revisions(), []);
}

#[test]
fn processes_that_wait_for_a_server_are_a_hung_volume_once_they_have_waited_long() {
    let waiting = |since| {
        let (name, wait_channel) = ("postgres".to_owned(), "rpc_wait_bit_killable".to_owned());
        Reading::Blocked(vec![BlockedProcess { pid: 9, name, wait_channel, since: at(since), pod_uid: String::new() }])
    };
    let mut run = Run::new();
    run.state(5000, waiting(0)).pass(29_000);
    assert_eq!(run.revisions(), []);
    run.pass(31_000).line(32_000, "nfs: server nas-1 not responding, still trying").state(33_000, waiting(0));
    let hung = |confidence, over| (Cause::VolumeHung, confidence, over);
    assert_eq!(run.revisions()[..2], [hung(Confidence::Likely, false), hung(Confidence::Certain, false)]);
    run.state(60_000, Reading::Blocked(Vec::new()));
    assert_eq!(run.revisions().last(), Some(&hung(Confidence::Certain, true)));
}

#[test]
fn a_full_table_is_certain_only_where_it_is_the_hosts() {
    let mut run = Run::new();
    run.line(0, "nf_conntrack: nf_conntrack: table full, dropping packet");
    assert_eq!(run.revisions(), [(Cause::ConntrackFull, Confidence::Likely, false)]);
    run.state(1000, Reading::Table(Table::Conntrack, Fill { count: 65_530, limit: 65_536 }));
    assert_eq!(run.revisions()[1..], [(Cause::ConntrackFull, Confidence::Certain, false)]);
    let mut run = Run::new();
    run.state(0, Reading::Table(Table::Files, Fill { count: 10, limit: 0 })).line(1, "VFS: file-max limit 9 reached");
    assert_eq!(run.revisions(), [(Cause::FilesExhausted, Confidence::Certain, false)]);
}

fn reading() -> impl Strategy<Value = Reading> {
    let daemon = || prop_oneof![Just(Daemon::Kubelet), Just(Daemon::Runtime)];
    let answer = prop_oneof![
        Just(Answer::Ok),
        Just(Answer::Timeout),
        Just(refused()),
        "[a-z\\[\\]-]{0,20}".prop_map(|text| Answer::Unwell(Reason::quote(text)))
    ];
    let process = (1..5, any::<bool>()).prop_map(|(pid, stopped)| Process { pid, stopped });
    prop_oneof![
        (daemon(), proptest::option::of(process)).prop_map(|(daemon, process)| Reading::Process(daemon, process)),
        (daemon(), answer).prop_map(|(daemon, answer)| Reading::Answer(daemon, answer)),
        (any::<i64>()).prop_map(|n| Reading::Clock(Reference::ApiServer, SignedDuration::from_secs(n / 1_000_000))),
        (any::<u64>(), any::<u64>()).prop_map(|(count, limit)| Reading::Table(Table::Files, Fill { count, limit })),
        ("/[a-z]?", any::<bool>()).prop_map(|(path, read_only)| Reading::ReadOnly { path, read_only, forced: false }),
    ]
}

proptest! {
    /// Whatever is reported, nothing panics, what is over was reported before, and after a minute of health nothing of
    /// the daemons holds.
    #[test]
    fn health_ends_every_state_of_a_daemon(readings in proptest::collection::vec((reading(), 1_i64..20_000), 0..40)) {
        let mut run = Run::new();
        let mut now = 0;
        for (reading, pause) in readings {
            now += pause;
            run.state(now, reading);
        }
        for daemon in [Daemon::Kubelet, Daemon::Runtime] {
            run.process(now + 1, daemon, 99).answer(now + 2, daemon, Answer::Ok);
        }
        run.pass(now + 60_000);
        let mut open = std::collections::BTreeMap::new();
        for diagnosis in &run.reported {
            let is_over = diagnosis.resolve_time.is_some();
            prop_assert!(!is_over || open.contains_key(&diagnosis.uid));
            open.insert(diagnosis.uid.clone(), (diagnosis.cause(), is_over));
        }
        let daemons = [Cause::KubeletDown, Cause::KubeletHung, Cause::RuntimeDown, Cause::RuntimeHung];
        prop_assert!(open.values().all(|(cause, is_over)| *is_over || !daemons.contains(cause)), "{open:?}");
    }
}
