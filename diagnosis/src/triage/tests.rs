//! A small cluster in virtual time: nodes report every 5 s, renew their Leases every 10 s and answer probes, unless
//! they do not.

use coroner_proto::v1::{Cause, Confidence, PreviousEnd, ProbeOutcome};

use super::*;

mod false_alarms;

/// How a node is.
#[derive(Clone)]
struct Machine {
    reports: bool,
    renews: bool,
    /// What probes of its kubelet and its agent get.
    answers: [ProbeOutcome; 2],
    report: Report,
    booted: i64,
    node: kube::Node,
    pods: Vec<Pod>,
}

struct Cluster {
    triage: Triage,
    second: i64,
    machines: BTreeMap<Arc<str>, Machine>,
    /// Probes under way: when they end.
    probes: Vec<(i64, Prober, Arc<str>)>,
    /// Whether the aggregator, and agents, get through to others.
    reach: [bool; 2],
    /// Whether what the nodes report arrives, and what the API server reports.
    arrives: [bool; 2],
    revisions: Vec<Diagnosis>,
}

const UP: [ProbeOutcome; 2] = [ProbeOutcome::Answered; 2];
const GONE: [ProbeOutcome; 2] = [ProbeOutcome::TimedOut; 2];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn named(n: usize) -> Arc<str> {
    format!("n{n:02}").into()
}

fn agent_pod() -> Pod {
    Pod { name: "coroner/agent".to_owned(), of_node: true, agent: true, ..Pod::default() }
}

fn pod(name: &str, tolerated: i64) -> Pod {
    Pod { name: name.to_owned(), tolerated: Some(SignedDuration::from_secs(tolerated)), ..Pod::default() }
}

impl Cluster {
    fn new(nodes: usize) -> Self {
        let machine = |n: usize| {
            let mut node = kube::Node { boot_id: format!("boot-{n}"), ..kube::Node::default() };
            (node.meta.name, node.meta.uid) = (named(n).to_string(), format!("uid-{n}"));
            node.conditions = vec![kube::Condition { status: Some(true), ..ready() }];
            let report = Report { boot_id: node.boot_id.as_str().into(), ..Report::default() };
            let pods = vec![agent_pod(), pod("shop/web", 300), pod("shop/db", 15)];
            let machine = Machine { reports: true, renews: true, answers: UP, report, booted: -86_400, node, pods };
            (named(n), machine)
        };
        let mut cluster = Self {
            triage: Triage::new("c"),
            second: 0,
            machines: (0..nodes).map(machine).collect(),
            probes: Vec::new(),
            reach: [true; 2],
            arrives: [true; 2],
            revisions: Vec::new(),
        };
        cluster.fact(Fact::Watch(Health::Ok));
        for machine in cluster.machines.clone().into_values() {
            cluster.fact(Fact::Node(Change::Applied, Box::new(machine.node)));
        }
        cluster.run(60);
        assert!(cluster.revisions.is_empty(), "{:?}", cluster.revisions);
        cluster
    }

    fn fact(&mut self, fact: Fact) {
        let diagnoses = self.triage.observe(at(self.second), fact);
        self.revisions.extend(diagnoses);
    }

    fn machine(&mut self, n: usize) -> &mut Machine {
        self.machines.get_mut(&named(n)).unwrap()
    }

    /// Its power is lost, or its network.
    fn cut(&mut self, n: usize) {
        let machine = self.machine(n);
        (machine.reports, machine.renews, machine.answers) = (false, false, GONE);
    }

    fn restore(&mut self, n: usize) {
        let machine = self.machine(n);
        (machine.reports, machine.renews, machine.answers) = (true, true, UP);
    }

    fn reboot(&mut self, n: usize, boot_id: &str, end: PreviousEnd) {
        let second = self.second;
        let machine = self.machine(n);
        machine.report = Report { boot_id: boot_id.into(), previous_end: end, ..Report::default() };
        machine.booted = second;
        self.restore(n);
    }

    /// Writes the Node object.
    fn apply(&mut self, n: usize, change: impl FnOnce(&mut kube::Node)) {
        let node = &mut self.machine(n).node;
        change(node);
        let node = Box::new(node.clone());
        self.fact(Fact::Node(Change::Applied, node));
    }

    fn run(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.second += 1;
            self.step();
        }
    }

    fn step(&mut self) {
        let second = self.second;
        let machines: Vec<_> =
            self.machines.iter().map(|(name, machine)| (Arc::clone(name), machine.clone())).collect();
        for (n, (name, machine)) in machines.into_iter().enumerate() {
            let n = i64::try_from(n).unwrap();
            if machine.renews && (second + n) % 10 == 0 && self.arrives[1] {
                self.fact(Fact::Lease { node: Arc::clone(&name), renewal: Some(at(second)) });
            }
            if machine.reports && (second + n) % 5 == 0 && self.arrives[0] {
                let uptime = SignedDuration::from_secs(second - machine.booted);
                self.fact(Fact::Report { node: Arc::clone(&name), report: Report { uptime, ..machine.report } });
                for target in self.triage.targets(&name) {
                    self.probes.push((second + 2, Prober::Node(Arc::clone(&name)), target));
                }
            }
        }
        let (ended, pending) = std::mem::take(&mut self.probes).into_iter().partition(|(end, ..)| *end <= second);
        self.probes = pending;
        for (_, by, target) in ended {
            self.end_probe(by, target);
        }
        let diagnoses = self.triage.tick(at(second));
        self.revisions.extend(diagnoses);
        for request in self.triage.take_requests() {
            match request {
                Request::Pods(node) => {
                    let pods = self.machines[&node].pods.clone();
                    self.fact(Fact::Pods { node, pods });
                }
                Request::Probe(node) => {
                    let control = self.triage.control(&node).cloned();
                    self.probes.extend(control.map(|control| (second + 1, Prober::Aggregator, control)));
                    self.probes.push((second + 2, Prober::Aggregator, node));
                }
            }
        }
    }

    fn end_probe(&mut self, by: Prober, target: Arc<str>) {
        let reaches = self.reach[usize::from(by != Prober::Aggregator)];
        let [kubelet, agent] = if reaches { self.machines[&target].answers } else { GONE };
        let at = at(self.second);
        self.fact(Fact::Probe(Probe { target, by, kubelet, agent, at }));
    }

    /// Cause and subject of each revision.
    fn reported(&self) -> Vec<(Cause, &str)> {
        let name = |diagnosis: &Diagnosis| (diagnosis.cause(), diagnosis.resolve_time.is_some());
        let mut reported: Vec<(Cause, &str)> = Vec::new();
        for diagnosis in &self.revisions {
            let (cause, over) = name(diagnosis);
            let subject = diagnosis.subject.as_ref().map_or("", |subject| subject.name.as_str());
            let entry = (cause, if over { "over" } else { subject });
            if reported.last() != Some(&entry) {
                reported.push(entry);
            }
        }
        reported
    }

    fn last(&self) -> &Diagnosis {
        self.revisions.last().unwrap()
    }
}

fn ready() -> kube::Condition {
    kube::Condition { kind: "Ready".to_owned(), ..kube::Condition::default() }
}

fn unknown(node: &mut kube::Node) {
    node.conditions = vec![kube::Condition { reason: "NodeStatusUnknown".to_owned(), ..ready() }];
}

fn is_ready(node: &mut kube::Node) {
    node.conditions = vec![kube::Condition { status: Some(true), ..ready() }];
}

#[test]
fn a_node_that_is_cut_off_is_unreachable_within_15_s_and_was_not_restarted_when_it_returns() {
    let mut cluster = Cluster::new(8);
    cluster.cut(3);
    cluster.run(15);
    let first = cluster.last().clone();
    assert_eq!((first.cause(), first.confidence()), (Cause::NodeUnreachable, Confidence::Certain), "{first:?}");
    assert_eq!(first.subject.as_ref().unwrap().name, "n03");
    assert!(first.explanation.contains("3 pods"), "{}", first.explanation);
    assert!(
        first.related.iter().any(|pod| pod.namespace == "shop" && pod.pod.starts_with("db")),
        "{:?}",
        first.related
    );
    assert!(first.explanation.contains("the first in about 4"), "{}", first.explanation);
    assert!(first.evidence.iter().filter(|e| e.source == "probes").count() >= 2, "{:?}", first.evidence);
    cluster.run(600);
    assert!(cluster.revisions.len() <= 2, "{:?}", cluster.reported());
    cluster.restore(3);
    cluster.run(60);
    let last = cluster.last();
    assert!(last.resolve_time.is_some() && last.uid == first.uid);
    assert!(last.explanation.contains("same boot ID"), "{}", last.explanation);
    assert_eq!(cluster.reported(), [(Cause::NodeUnreachable, "n03"), (Cause::NodeUnreachable, "over")]);
    cluster.cut(3);
    cluster.run(30);
    assert_eq!((cluster.last().uid.as_str(), cluster.last().occurrence_count), (first.uid.as_str(), 2));
}

#[test]
fn one_probe_is_not_certain_and_none_proves_nothing() {
    let mut cluster = Cluster::new(8);
    cluster.reach = [true, false];
    cluster.cut(3);
    cluster.run(30);
    assert_eq!(cluster.reported(), []);
    cluster.run(20);
    assert_eq!(cluster.last().confidence(), Confidence::Likely);
    assert!(cluster.last().explanation.contains("No second prober"), "{}", cluster.last().explanation);
    // Where probes reach no node at all, that they do not reach this one means nothing.
    let mut cluster = Cluster::new(8);
    cluster.reach = [false, false];
    cluster.cut(3);
    cluster.run(120);
    assert_eq!(cluster.reported(), []);
    cluster.apply(3, unknown);
    cluster.run(5);
    assert_eq!((cluster.last().cause(), cluster.last().confidence()), (Cause::NodeUnreachable, Confidence::Likely));
}

#[test]
fn in_a_cluster_too_small_for_two_sources_a_silent_node_is_unreachable_likely_at_most() {
    let mut cluster = Cluster::new(2);
    cluster.cut(1);
    cluster.run(60);
    cluster.apply(1, unknown);
    cluster.run(60);
    assert_eq!(cluster.reported(), [(Cause::NodeUnreachable, "n01")]);
    assert!(cluster.revisions.iter().all(|of| of.confidence() == Confidence::Likely));
    assert!(cluster.last().explanation.contains("No second prober"), "{}", cluster.last().explanation);
}

#[test]
fn a_host_that_answers_is_reported_when_neither_kubelet_nor_agent_does_anything() {
    let (host, kubelet) = ("its kernel accepts connections", "the kubelet answers probes");
    for (answers, what) in [
        ([ProbeOutcome::Refused, ProbeOutcome::Refused], host),
        ([ProbeOutcome::Silent, ProbeOutcome::TimedOut], host),
        ([ProbeOutcome::TimedOut, ProbeOutcome::Silent], host),
        ([ProbeOutcome::Answered, ProbeOutcome::TimedOut], kubelet),
    ] {
        let mut cluster = Cluster::new(8);
        cluster.machine(3).report.stalled = true;
        cluster.run(10);
        cluster.cut(3);
        cluster.machine(3).answers = answers;
        cluster.run(34);
        assert_eq!(cluster.reported(), [], "{answers:?}");
        cluster.run(14);
        assert_eq!(cluster.revisions.is_empty(), what == kubelet, "a kubelet that answers may be watched badly");
        cluster.run(5);
        cluster.apply(3, unknown);
        cluster.run(600);
        assert_eq!(cluster.reported(), [(Cause::NodeUnreachable, "n03")], "{answers:?}");
        assert!(cluster.last().revision <= 2, "pods are added, and nothing alternates: {:?}", cluster.revisions);
        assert_eq!(cluster.last().confidence(), Confidence::Likely);
        assert!(cluster.last().summary.contains(what), "{answers:?}: {}", cluster.last().summary);
        assert!(cluster.last().explanation.contains("for lack of memory"), "{}", cluster.last().explanation);
        assert!(cluster.last().evidence.iter().any(|of| of.source == "probes"), "{:?}", cluster.last().evidence);
        // Then its power is lost.
        cluster.cut(3);
        cluster.run(120);
        assert_eq!(cluster.last().confidence(), Confidence::Certain, "{answers:?}");
        assert!(cluster.last().summary.starts_with("Unreachable"), "{}", cluster.last().summary);
        cluster.restore(3);
        cluster.apply(3, is_ready);
        cluster.run(20);
        assert_eq!(cluster.reported().last(), Some(&(Cause::NodeUnreachable, "over")));
    }
    // Its kubelet works: it is its agent that is silent.
    let mut cluster = Cluster::new(8);
    cluster.machine(3).reports = false;
    cluster.run(600);
    assert_eq!(cluster.reported(), [(Cause::AgentSilent, "n03")]);
}

#[test]
fn an_agent_that_stops_is_silent_unless_it_is_replaced() {
    let mut cluster = Cluster::new(8);
    cluster.machine(3).reports = false;
    cluster.run(50);
    assert_eq!(cluster.reported(), []);
    cluster.run(60);
    assert_eq!(cluster.reported(), [(Cause::AgentSilent, "n03")]);
    cluster.restore(3);
    cluster.run(10);
    assert_eq!(cluster.reported(), [(Cause::AgentSilent, "n03"), (Cause::AgentSilent, "over")]);
    // A roll-out: all agents in turn, each away for 50 s while its pod is replaced.
    let mut cluster = Cluster::new(40);
    for n in 0..40 {
        cluster.machine(n).reports = false;
        cluster.machine(n).answers[1] = ProbeOutcome::Refused;
        cluster.run(25);
        let created = Some(at(cluster.second));
        cluster.machine(n).pods = vec![Pod { created, ..agent_pod() }];
        cluster.run(25);
        cluster.restore(n);
    }
    // One that is uninstalled.
    cluster.machine(0).reports = false;
    cluster.machine(0).pods.clear();
    cluster.run(900);
    assert_eq!(cluster.reported(), []);
}

#[test]
fn many_that_fall_silent_at_once_are_one_verdict_and_none_of_them_is_accused() {
    for (nodes, cut) in [(30, 10), (9, 9), (3, 2), (60, 5)] {
        let mut cluster = Cluster::new(nodes);
        (0..cut).for_each(|n| cluster.cut(n));
        cluster.run(300);
        assert_eq!(cluster.reported(), [(Cause::ControlPlaneUnreachable, "")], "{cut} of {nodes}");
        (0..cut).for_each(|n| cluster.restore(n));
        cluster.run(30);
        let over = (Cause::ControlPlaneUnreachable, "over");
        assert_eq!(cluster.reported(), [(Cause::ControlPlaneUnreachable, ""), over], "{cut} of {nodes}");
    }
    // All agents, while the kubelets go on.
    let mut cluster = Cluster::new(30);
    cluster.machines.values_mut().for_each(|machine| machine.reports = false);
    cluster.run(600);
    assert_eq!(cluster.reported(), [(Cause::ControlPlaneUnreachable, "")]);
    assert!(cluster.last().summary.contains("agents"), "{}", cluster.last().summary);
}

#[test]
fn an_aggregator_that_is_cut_off_accuses_no_node() {
    let mut cluster = Cluster::new(12);
    cluster.arrives = [true, false];
    cluster.fact(Fact::Watch(Health::Degraded(Reason::quote("connection refused"))));
    cluster.cut(3);
    cluster.run(300);
    assert_eq!(cluster.reported(), [(Cause::ControlPlaneUnreachable, "")]);
    cluster.arrives = [true, true];
    cluster.restore(3);
    cluster.fact(Fact::Watch(Health::Ok));
    cluster.run(60);
    let over = (Cause::ControlPlaneUnreachable, "over");
    assert_eq!(cluster.reported(), [(Cause::ControlPlaneUnreachable, ""), over]);
    // The API server goes away for a moment, as at each of its upgrades.
    cluster.fact(Fact::Watch(Health::Degraded(Reason::quote("connection refused"))));
    cluster.run(10);
    cluster.fact(Fact::Watch(Health::Ok));
    // Everything is cut, its reports as well, and the watch does not notice.
    (cluster.arrives, cluster.reach) = ([false, false], [false, false]);
    cluster.run(300);
    assert_eq!(cluster.reported().len(), 3, "{:?}", cluster.reported());
    assert_eq!(cluster.reported()[2], (Cause::ControlPlaneUnreachable, ""));
}

#[test]
fn a_restart_is_a_diagnosis_of_its_own_and_states_how_the_previous_boot_ended() {
    for (end, text) in [
        (PreviousEnd::Clean, "regular shutdown"),
        (PreviousEnd::Panic, "kernel panic"),
        (PreviousEnd::Abrupt, "without a shutdown"),
        (PreviousEnd::Unspecified, "Rebooted"),
    ] {
        let mut cluster = Cluster::new(8);
        cluster.machine(3).report.stopping = (end == PreviousEnd::Clean).then_some(Stopping::Host);
        cluster.run(5);
        cluster.cut(3);
        cluster.run(if end == PreviousEnd::Clean { 240 } else { 4 });
        cluster.reboot(3, "boot-new", end);
        cluster.run(6);
        cluster.apply(3, |node| node.boot_id = "boot-new".to_owned());
        cluster.run(60);
        assert_eq!(cluster.reported(), [(Cause::NodeRebooted, "n03")], "{end:?}");
        assert!(cluster.last().summary.contains(text), "{}", cluster.last().summary);
        let boot = cluster.last().node.as_ref().unwrap().boot_id.clone();
        assert_eq!((cluster.revisions.len(), boot.as_str()), (1, "boot-new"));
    }
    // A long absence is both. The pods that were there are named.
    let mut cluster = Cluster::new(8);
    let (now, before) = (at(cluster.second), at(-1000));
    cluster.machine(3).pods = vec![
        Pod { created: Some(before), ..pod("shop/web", 300) },
        Pod { created: Some(before), ended: true, ..pod("shop/job", 300) },
        Pod { created: Some(now + SignedDuration::from_hours(1)), ..pod("shop/new", 300) },
    ];
    cluster.cut(3);
    cluster.run(60);
    cluster.reboot(3, "boot-new", PreviousEnd::Abrupt);
    cluster.run(60);
    let causes: Vec<_> = cluster.reported().into_iter().map(|(cause, _)| cause).collect();
    let (silent, restarted) = (Cause::NodeUnreachable, Cause::NodeRebooted);
    assert_eq!(causes, [silent, restarted, silent, restarted]);
    let over = &cluster.revisions[2].explanation;
    assert!(over.contains("another boot ID"), "{over}");
    let rebooted: Vec<_> = cluster.revisions.iter().filter(|of| of.cause() == Cause::NodeRebooted).collect();
    let [first, second] = rebooted.as_slice() else { panic!("{rebooted:?}") };
    assert!(first.related.is_empty() && second.explanation.contains("One pod was bound to it."), "{second:?}");
    assert_eq!(second.related.iter().map(|of| of.pod.as_str()).collect::<Vec<_>>(), ["web"]);
}

#[test]
fn what_arrives_late_takes_back_nothing_that_was_reported_since() {
    let mut cluster = Cluster::new(8);
    let before = Report { uptime: SignedDuration::from_secs(90_000), ..cluster.machine(3).report.clone() };
    let node = named(3);
    cluster
        .fact(Fact::Report { node: node.clone(), report: Report { stopping: Some(Stopping::Host), ..before.clone() } });
    let earlier = Report { uptime: SignedDuration::from_secs(89_999), ..before };
    cluster.fact(Fact::Report { node: node.clone(), report: earlier.clone() });
    cluster.cut(3);
    cluster.run(60);
    assert_eq!(cluster.reported(), []);
    cluster.reboot(3, "boot-new", PreviousEnd::Clean);
    cluster.run(6);
    cluster.fact(Fact::Report { node, report: earlier });
    cluster.run(30);
    assert_eq!(cluster.reported(), [(Cause::NodeRebooted, "n03")]);
}

#[test]
fn rolling_restarts_that_were_announced_are_no_outage() {
    let mut cluster = Cluster::new(30);
    for n in 0..30 {
        cluster.apply(n, |node| node.cordoned = true);
        cluster.machine(n).report.stopping = Some(Stopping::Host);
        cluster.run(6);
        cluster.cut(n);
        cluster.run(120);
        cluster.reboot(n, &format!("again-{n}"), PreviousEnd::Clean);
        cluster.apply(n, |node| node.cordoned = false);
    }
    cluster.run(60);
    assert!(cluster.reported().iter().all(|(cause, _)| *cause == Cause::NodeRebooted), "{:?}", cluster.reported());
    assert_eq!(cluster.revisions.len(), 30);
}

#[test]
fn a_node_that_was_to_go_is_removed_and_no_outage() {
    let taint = |key: &str| kube::Taint { key: key.to_owned(), ..kube::Taint::default() };
    for key in ["ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted", "aws-node-termination-handler/spot-itn", ""]
    {
        let mut cluster = Cluster::new(8);
        cluster.apply(3, |node| {
            node.cordoned = true;
            node.taints = if key.is_empty() { Vec::new() } else { vec![taint(key)] };
        });
        cluster.machine(3).pods = vec![agent_pod()];
        cluster.cut(3);
        cluster.run(300);
        let node = Box::new(cluster.machine(3).node.clone());
        cluster.fact(Fact::Node(Change::Deleted, node));
        cluster.run(300);
        assert_eq!(cluster.reported(), [(Cause::NodeRemoved, "n03")], "{key}");
        assert_eq!(cluster.last().severity(), coroner_proto::v1::Severity::Info);
    }
    // Another machine of the same name is no restart.
    let mut cluster = Cluster::new(8);
    let node = Box::new(cluster.machine(3).node.clone());
    cluster.fact(Fact::Node(Change::Deleted, node));
    cluster.apply(3, |node| (node.meta.uid, node.boot_id) = ("uid-new".to_owned(), "boot-new".to_owned()));
    cluster.machine(3).report.boot_id = "boot-new".into();
    cluster.run(60);
    assert_eq!(cluster.reported(), [(Cause::NodeRemoved, "n03")]);
}

#[test]
fn without_agents_leases_and_the_node_controller_decide() {
    let mut cluster = Cluster::new(8);
    cluster.machines.values_mut().for_each(|machine| machine.reports = false);
    cluster.triage = Triage::new("c");
    cluster.fact(Fact::Watch(Health::Ok));
    for machine in cluster.machines.clone().into_values() {
        cluster.fact(Fact::Node(Change::Applied, Box::new(machine.node)));
    }
    cluster.run(30);
    cluster.cut(3);
    // A renewal that is late is nothing.
    cluster.run(35);
    cluster.restore(3);
    cluster.machine(3).reports = false;
    cluster.run(30);
    cluster.cut(3);
    cluster.run(45);
    cluster.apply(3, unknown);
    cluster.run(10);
    assert_eq!(cluster.reported(), [(Cause::NodeUnreachable, "n03")]);
    cluster.restore(3);
    cluster.machine(3).reports = false;
    cluster.run(12);
    cluster.apply(3, is_ready);
    cluster.run(30);
    assert_eq!(cluster.reported(), [(Cause::NodeUnreachable, "n03"), (Cause::NodeUnreachable, "over")]);
    assert!(cluster.last().explanation.contains("same boot ID"), "{}", cluster.last().explanation);
}

#[test]
fn a_kubelet_that_hangs_is_for_its_agent_to_report() {
    let mut cluster = Cluster::new(8);
    cluster.machines.values_mut().for_each(|machine| machine.renews = false);
    let mut cluster = Cluster { triage: Triage::new("c"), ..cluster };
    cluster.fact(Fact::Watch(Health::Ok));
    cluster.apply(3, is_ready);
    cluster.machine(3).reports = false;
    cluster.machine(3).renews = true;
    cluster.run(20);
    cluster.machine(3).renews = false;
    cluster.run(20);
    cluster.fact(Fact::Recorded { node: named(3), kubelet: coroner_proto::v1::DaemonState::Hung });
    cluster.apply(3, unknown);
    cluster.run(60);
    assert_eq!(cluster.reported(), []);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut triage = Triage::new("c");
    for n in 0..NODES + 10 {
        triage.observe(at(0), Fact::Report { node: format!("n{n}").into(), report: Report::default() });
    }
    assert_eq!(triage.counts().0, NODES);
    let mut triage = Triage::new("c");
    for n in 0..20 {
        triage.observe(at(0), Fact::Report { node: named(n), report: Report::default() });
    }
    for second in 0..3700 {
        triage.tick(at(second));
        triage.take_requests();
    }
    assert_eq!(triage.counts(), (0, 0), "nodes without an object are forgotten");
    assert_eq!(triage.next_tick(), None);
}

#[test]
fn a_report_that_was_sent_before_the_silence_and_arrives_after_its_verdict_is_no_return() {
    let mut cluster = Cluster::new(8);
    cluster.run(3);
    let name = named(3);
    let machine = cluster.machine(3).clone();
    let report = move |second: i64| Fact::Report {
        node: Arc::clone(&name),
        report: Report { uptime: SignedDuration::from_secs(second - machine.booted), ..machine.report.clone() },
    };
    // The last one that it sends is on its way.
    let sent = cluster.second + 1;
    cluster.cut(3);
    cluster.run(15);
    assert_eq!(cluster.reported(), [(Cause::NodeUnreachable, "n03")]);
    cluster.fact(report(sent));
    cluster.run(30);
    assert_eq!(cluster.reported(), [(Cause::NodeUnreachable, "n03")], "it is still lost");
    cluster.restore(3);
    cluster.run(6);
    assert_eq!(cluster.reported(), [(Cause::NodeUnreachable, "n03"), (Cause::NodeUnreachable, "over")]);
    // One that was paused, and has not counted the time.
    cluster.cut(3);
    cluster.run(40);
    cluster.machine(3).booted += 40;
    cluster.restore(3);
    cluster.run(46);
    assert_eq!(cluster.reported().len(), 4, "{:?}", cluster.reported());
}
