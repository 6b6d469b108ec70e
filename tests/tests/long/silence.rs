//! A large cluster in virtual time: reports and probes come late or never, clocks are set, nodes are restarted and
//! agents replaced in turn, a third of all nodes falls silent at once, and the aggregator is replaced. Only what is
//! really lost is reported, and nothing else ever is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::{Result, ensure};
use coroner_diagnosis::{
    observation::{
        Health,
        kube::{self, Change},
    },
    triage::{Fact, Pod, Probe, Prober, Report, Request, Stopping, Triage},
};
use coroner_proto::v1::{Cause, Diagnosis, PreviousEnd, ProbeOutcome};
use jiff::{SignedDuration, Timestamp};

const HOUR: usize = 3_600;
/// Reports come so many seconds late at most.
const LATE: u64 = 10;
/// Of a hundred reports, and of a hundred results of probes, so many are lost.
const LOST: u64 = 5;
/// A node that is lost is reported so many seconds after its last sign at the latest.
const BAR: i64 = 15;

#[test]
fn an_hour_of_300_nodes() -> Result<()> {
    live(300, HOUR)
}

#[test]
#[ignore = "takes minutes: make soak"]
fn a_week_of_5_000_nodes() -> Result<()> {
    live(5_000, 7 * 24 * HOUR)
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

struct Machine {
    name: Arc<str>,
    /// It can be reached, and reaches others.
    up: bool,
    /// Its agent runs.
    agent: bool,
    boot: u32,
    booted: usize,
    stopping: bool,
    /// Its wall clock minus the true time.
    clock: i64,
    /// When its agent's pod was made.
    pod_since: usize,
    last_sign: usize,
}

struct Cluster {
    triage: Triage,
    machines: Vec<Machine>,
    names: BTreeMap<Arc<str>, usize>,
    random: Random,
    /// Reports under way, by the second in which they arrive.
    arriving: Vec<Vec<(usize, Report)>>,
    /// Probes under way: when they end, who probes whom.
    probing: Vec<(usize, Prober, Arc<str>)>,
    second: usize,
    found: Vec<Diagnosis>,
}

fn at(second: usize) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + i64::try_from(second).unwrap_or(0)).unwrap_or(Timestamp::MAX)
}

impl Cluster {
    fn new(nodes: usize) -> Self {
        let machine = |n: usize| Machine {
            name: format!("node-{n}").into(),
            up: true,
            agent: true,
            boot: 0,
            booted: 0,
            stopping: false,
            clock: 0,
            pod_since: 0,
            last_sign: 0,
        };
        let machines: Vec<Machine> = (0..nodes).map(machine).collect();
        let names = machines.iter().enumerate().map(|(n, machine)| (Arc::clone(&machine.name), n)).collect();
        let mut cluster = Self {
            triage: Triage::new("c"),
            machines,
            names,
            random: Random(0x9e37_79b9_7f4a_7c15),
            arriving: (0..16).map(|_| Vec::new()).collect(),
            probing: Vec::new(),
            second: 0,
            found: Vec::new(),
        };
        cluster.replace_aggregator();
        cluster
    }

    fn observe(&mut self, fact: Fact) {
        let found = self.triage.observe(at(self.second), fact);
        self.found.extend(found);
    }

    /// Writes its Node object.
    fn apply(&mut self, n: usize) {
        let machine = &self.machines[n];
        let meta = kube::Meta { name: machine.name.to_string(), uid: format!("uid-{n}"), ..kube::Meta::default() };
        let ready = kube::Condition { kind: "Ready".to_owned(), status: Some(true), ..kube::Condition::default() };
        let boot_id = format!("boot-{n}-{}", machine.boot);
        let node = kube::Node { meta, boot_id, conditions: vec![ready], ..kube::Node::default() };
        self.observe(Fact::Node(Change::Applied, Box::new(node)));
    }

    fn step(&mut self) {
        let second = self.second;
        for n in 0..self.machines.len() {
            let machine = &mut self.machines[n];
            if machine.up && (second + n).is_multiple_of(10) {
                machine.last_sign = second;
                let wall = i64::try_from(second).unwrap_or(0) + machine.clock;
                let renewal = Timestamp::from_second(1_800_000_000 + wall).ok();
                let node = Arc::clone(&machine.name);
                self.observe(Fact::Lease { node, renewal });
            }
            let machine = &self.machines[n];
            if machine.up && machine.agent && (second + n).is_multiple_of(5) {
                self.send(n);
            }
        }
        let slot = second % self.arriving.len();
        for (n, report) in std::mem::take(&mut self.arriving[slot]) {
            let name = Arc::clone(&self.machines[n].name);
            self.machines[n].last_sign = second;
            self.observe(Fact::Report { node: Arc::clone(&name), report });
            for target in self.triage.targets(&name) {
                self.probing.push((second + 2, Prober::Node(Arc::clone(&name)), target));
            }
        }
        let (ended, pending) = std::mem::take(&mut self.probing).into_iter().partition(|(end, ..)| *end <= second);
        self.probing = pending;
        for (_, by, target) in ended {
            self.end_probe(by, target);
        }
        let found = self.triage.tick(at(second));
        self.found.extend(found);
        for request in self.triage.take_requests() {
            match request {
                Request::Probe(node) => {
                    let control = self.triage.control(&node).cloned();
                    self.probing.extend(control.map(|control| (second + 1, Prober::Aggregator, control)));
                    self.probing.push((second + 2, Prober::Aggregator, node));
                }
                Request::Pods(node) => {
                    let created = Some(at(self.machines[self.names[&node]].pod_since));
                    let agent = Pod { agent: true, of_node: true, created, ..Pod::default() };
                    let pods = vec![agent, Pod { name: "shop/web".to_owned(), ..Pod::default() }];
                    self.observe(Fact::Pods { node, pods });
                }
            }
        }
        self.second += 1;
    }

    fn send(&mut self, n: usize) {
        // What announces an end is sent again until it is answered.
        if self.random.below(100) < LOST && !self.machines[n].stopping {
            return;
        }
        let late = usize::try_from(self.random.below(LATE + 1)).unwrap_or(0);
        let machine = &self.machines[n];
        let uptime = i64::try_from(self.second - machine.booted).unwrap_or(0);
        let report = Report {
            boot_id: format!("boot-{n}-{}", machine.boot).into(),
            uptime: SignedDuration::from_secs(uptime),
            previous_end: if machine.boot > 0 { PreviousEnd::Clean } else { PreviousEnd::Unspecified },
            stopping: machine.stopping.then_some(Stopping::Host),
            ..Report::default()
        };
        let late = if machine.stopping { 0 } else { late };
        let slot = (self.second + late) % self.arriving.len();
        self.arriving[slot].push((n, report));
    }

    fn end_probe(&mut self, by: Prober, target: Arc<str>) {
        let prober_is_up = match &by {
            Prober::Aggregator => true,
            Prober::Node(node) => self.machines[self.names[node]].up,
        };
        let is_lost = self.random.below(100) < LOST;
        let n = self.names[&target];
        let machine = &mut self.machines[n];
        let outcome = |answers: bool, otherwise| if answers { ProbeOutcome::Answered } else { otherwise };
        let refused = if machine.up { ProbeOutcome::Refused } else { ProbeOutcome::TimedOut };
        let (kubelet, agent) =
            (outcome(machine.up, ProbeOutcome::TimedOut), outcome(machine.up && machine.agent, refused));
        if !prober_is_up || is_lost {
            return;
        }
        if machine.up {
            machine.last_sign = self.second;
        }
        let at = at(self.second);
        self.observe(Fact::Probe(Probe { target, by, kubelet, agent, at }));
    }

    /// Another aggregator decides from now on, which knows nothing.
    fn replace_aggregator(&mut self) {
        self.triage = Triage::new("c");
        self.observe(Fact::Watch(Health::Ok));
        (0..self.machines.len()).for_each(|n| self.apply(n));
    }

    fn reboot(&mut self, n: usize) {
        let machine = &mut self.machines[n];
        (machine.up, machine.stopping, machine.booted) = (true, false, self.second);
        machine.boot += 1;
        self.apply(n);
    }

    /// Goes on for so long; gives cause, node and time of all that is found meanwhile, but of nodes that were
    /// `expected` to restart.
    fn run(&mut self, seconds: usize) -> Vec<(Cause, String, usize, bool)> {
        let mut found = Vec::new();
        for _ in 0..seconds {
            // One clock is set each minute, by up to an hour.
            if self.second.is_multiple_of(60) {
                let n = usize::try_from(self.random.below(self.machines.len() as u64)).unwrap_or(0);
                self.machines[n].clock = i64::try_from(self.random.below(7200)).unwrap_or(0) - 3600;
            }
            self.step();
            for diagnosis in std::mem::take(&mut self.found) {
                let subject = diagnosis.subject.clone().unwrap_or_default();
                found.push((diagnosis.cause(), subject.name, self.second, diagnosis.resolve_time.is_some()));
            }
        }
        found
    }
}

fn live(nodes: usize, seconds: usize) -> Result<()> {
    let mut cluster = Cluster::new(nodes);
    let quiet = cluster.run(600);
    ensure!(quiet.is_empty(), "at first: {quiet:?}");
    while cluster.second < seconds {
        // Nodes are restarted in turn, twenty at a time.
        let rolling = 200.min(nodes / 3);
        for first in (0..rolling).step_by(20) {
            let range = first..(first + 20).min(rolling);
            for n in range.clone() {
                cluster.machines[n].stopping = true;
                cluster.send(n);
            }
            let mut found = cluster.run(2);
            range.clone().for_each(|n| cluster.machines[n].up = false);
            found.extend(cluster.run(120));
            range.for_each(|n| cluster.reboot(n));
            found.extend(cluster.run(40));
            let others: Vec<_> = found.iter().filter(|(cause, ..)| *cause != Cause::NodeRebooted).collect();
            ensure!(others.is_empty(), "while nodes restart: {others:?}");
            // Once when it is known, and once with its pods.
            let restarted: BTreeSet<&str> = found.iter().map(|(_, name, ..)| name.as_str()).collect();
            ensure!(restarted.len() == 20 && found.len() <= 40, "{} of 20 restarts: {found:?}", restarted.len());
        }
        // Agents are replaced, a tenth of them at a time.
        for tenth in 0..10 {
            let range: Vec<usize> = (0..nodes).filter(|n| n % 10 == tenth).collect();
            range.iter().for_each(|n| cluster.machines[*n].agent = false);
            let mut found = cluster.run(20);
            range.iter().for_each(|n| cluster.machines[*n].pod_since = cluster.second);
            found.extend(cluster.run(20));
            range.iter().for_each(|n| cluster.machines[*n].agent = true);
            found.extend(cluster.run(20));
            ensure!(found.is_empty(), "while agents are replaced: {found:?}");
        }
        // A third falls silent at once.
        (0..nodes / 3).for_each(|n| cluster.machines[n].up = false);
        let mut found = cluster.run(300);
        (0..nodes / 3).for_each(|n| cluster.machines[n].up = true);
        found.extend(cluster.run(120));
        // Some whose reports happened to be lost just before may be known to be lost when the others are not yet.
        let together = found.iter().position(|(cause, ..)| *cause == Cause::ControlPlaneUnreachable);
        let accused: BTreeSet<&str> = (found.iter())
            .filter(|(cause, ..)| *cause != Cause::ControlPlaneUnreachable)
            .map(|(_, name, ..)| name.as_str())
            .collect();
        let is_true = accused.len() <= 2 && accused.iter().all(|name| cluster.names[*name] < nodes / 3);
        let later = found
            .iter()
            .skip(together.unwrap_or(0))
            .find(|(cause, _, _, over)| *cause != Cause::ControlPlaneUnreachable && !over);
        ensure!(is_true && together.is_some() && later.is_none(), "while a third is silent: {found:?}");
        ensure!(found.last().is_some_and(|(.., over)| *over), "it is over: {found:?}");
        // One node is lost.
        let lost = nodes / 2;
        cluster.machines[lost].up = false;
        let found = cluster.run(120);
        let [(cause, name, second, false)] = found.as_slice() else { anyhow::bail!("one node is lost: {found:?}") };
        ensure!(*cause == Cause::NodeUnreachable && **name == *cluster.machines[lost].name, "{found:?}");
        let took = i64::try_from(*second)? - i64::try_from(cluster.machines[lost].last_sign)?;
        ensure!(took <= BAR, "it took {took} s");
        cluster.machines[lost].up = true;
        let found = cluster.run(60);
        ensure!(matches!(found.as_slice(), [(Cause::NodeUnreachable, _, _, true)]), "it is back: {found:?}");
        let quiet = cluster.run(HOUR.min(seconds / 4));
        ensure!(quiet.is_empty(), "nothing happens: {quiet:?}");
        cluster.replace_aggregator();
        let quiet = cluster.run(180);
        ensure!(quiet.is_empty(), "another aggregator decides: {quiet:?}");
    }
    println!("{nodes} nodes, {} s", cluster.second);
    Ok(())
}
