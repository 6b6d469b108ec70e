//! Where reports of agents and the task that decides meet.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use coroner_diagnosis::{
    observation::kube::{Change, Node},
    triage::{self, Fact, INTERVAL, NODES, Probe, Prober, Request, Triage},
};
use coroner_proto::v1::{Diagnosis, NodeReport, ProbeOutcome, ProbeResult, ReportNodeResponse};
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Notify, time::Instant};

use super::{
    addresses::{Address, Addresses, agent},
    clock::Clock,
};

/// Reports that one node may send within [`WINDOW`]: one every 5 s, and more while its state changes.
const REPORTS: u32 = 30;
/// See [`REPORTS`].
const WINDOW: std::time::Duration = std::time::Duration::from_secs(10);
/// Diagnoses that wait to be stored. Others are made again when a state is next examined, so none of a state is lost.
const WAITING: usize = 10_000;
/// The oldest result of a probe that is of use.
const OLDEST: SignedDuration = SignedDuration::from_mins(1);
/// Results of probes in one report.
const RESULTS: usize = 3;

/// All that is known of nodes, while this aggregator is the one that decides.
#[derive(Debug, Default)]
pub struct Hub {
    state: Mutex<Option<State>>,
    /// How often each node has reported of late.
    rates: Mutex<BTreeMap<String, (Instant, u32)>>,
    /// Notified when something waits for the task.
    pub(super) changed: Notify,
}

#[derive(Debug)]
struct State {
    triage: Triage,
    clock: Clock,
    addresses: Addresses,
    found: VecDeque<Diagnosis>,
}

impl State {
    fn observe(&mut self, fact: Fact) {
        let diagnoses = self.triage.observe(self.clock.now(), fact);
        self.keep(diagnoses);
    }

    fn keep(&mut self, diagnoses: Vec<Diagnosis>) {
        let room = WAITING.saturating_sub(self.found.len());
        self.found.extend(diagnoses.into_iter().take(room).map(|diagnosis| self.clock.on_wall(diagnosis)));
    }
}

impl Hub {
    /// Makes this aggregator the one that decides, from now on.
    pub(super) fn begin(&self, cluster_uid: &str) {
        let triage = Triage::new(cluster_uid);
        let state = State { triage, clock: Clock::new(), addresses: Addresses::default(), found: VecDeque::new() };
        *self.state() = Some(state);
    }

    /// It does not decide any more, and forgets.
    pub(super) fn end(&self) {
        *self.state() = None;
    }

    /// Whether this aggregator decides.
    pub(super) fn decides(&self) -> bool {
        self.state().is_some()
    }

    /// How many nodes have stopped to report; 0 while another aggregator decides.
    pub fn silent_count(&self) -> usize {
        self.state().as_ref().map_or(0, |state| state.triage.counts().1)
    }

    /// Whether a node may send a report now, by its rate.
    pub(super) fn may_report(&self, node: &str) -> bool {
        let now = Instant::now();
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= NODES && !rates.contains_key(node) {
            rates.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        let (since, count) = rates.entry(node.to_owned()).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= REPORTS
    }

    /// How long no renewal of a node's Lease has been observed; `None` where it is not known, or another aggregator
    /// decides.
    pub(super) fn lease_age(&self, node: &str) -> Option<prost_types::Duration> {
        let state = self.state();
        let state = state.as_ref()?;
        let age = state.triage.lease_age(node, state.clock.now())?;
        Some(prost_types::Duration { seconds: age.as_secs().max(0), nanos: 0 })
    }

    /// Takes a report and returns the next steps of the agent; `None` if another aggregator decides.
    pub(super) fn report(
        &self,
        node: &str,
        report: Option<&NodeReport>,
        results: Vec<ProbeResult>,
    ) -> Option<ReportNodeResponse> {
        let mut state = self.state();
        let state = state.as_mut()?;
        let name: Arc<str> = node.into();
        let now = state.clock.now();
        for result in results.into_iter().take(RESULTS) {
            state.observe(Fact::Probe(probe(result, Prober::Node(Arc::clone(&name)), now)));
        }
        if let Some(report) = report {
            state.addresses.put_agent(&name, agent(&report.health_address, None));
            state.observe(Fact::Report { node: Arc::clone(&name), report: triage::Report::from(report) });
        }
        let targets = state.triage.targets(&name);
        let probe_targets = targets.iter().filter_map(|target| state.addresses.target(target)).collect();
        if !state.found.is_empty() || state.triage.has_requests() {
            self.changed.notify_one();
        }
        Some(response(probe_targets))
    }

    /// Takes what a watch or a probe found.
    pub(super) fn observe(&self, fact: Fact) {
        if let Some(state) = self.state().as_mut() {
            state.observe(fact);
        }
        self.changed.notify_one();
    }

    /// Takes a Node object, with where it can be probed.
    pub(super) fn put_node(&self, change: Change, name: &Arc<str>, node: Box<Node>) {
        if let Some(state) = self.state().as_mut() {
            match change {
                Change::Applied => state.addresses.put_node(name, &node),
                Change::Deleted => state.addresses.remove(name),
            }
            state.observe(Fact::Node(change, node));
        }
        self.changed.notify_one();
    }

    /// All Node objects were listed: those that were not among them are gone.
    pub(super) fn keep_nodes(&self, listed: &BTreeSet<Arc<str>>) {
        if let Some(state) = self.state().as_mut() {
            for node in state.triage.missing(listed) {
                state.addresses.remove(&node.meta.name);
                state.observe(Fact::Node(Change::Deleted, node));
            }
        }
    }

    /// Lets time pass. Gives what is to be stored, what is asked for, and when to come back.
    pub(super) fn tick(&self) -> (Vec<Diagnosis>, Vec<Request>, Option<std::time::Duration>) {
        let mut state = self.state();
        let Some(state) = state.as_mut() else { return (Vec::new(), Vec::new(), None) };
        let diagnoses = state.triage.tick(state.clock.now());
        state.keep(diagnoses);
        let due = state.triage.next_tick().map(|at| state.clock.until(at));
        (state.found.drain(..).collect(), state.triage.take_requests(), due)
    }

    /// Where to probe a node, and another one that is known to answer.
    pub(super) fn to_probe(&self, node: &Arc<str>) -> Vec<(Arc<str>, Address)> {
        let state = self.state();
        let Some(state) = state.as_ref() else { return Vec::new() };
        let control = state.triage.control(node).cloned();
        let names = [control, Some(Arc::clone(node))].into_iter().flatten();
        names.map(|name| (Arc::clone(&name), state.addresses.of(&name))).collect()
    }

    /// Takes the result of a probe of the aggregator's own.
    pub(super) fn probed(&self, target: Arc<str>, [kubelet, agent]: [ProbeOutcome; 2]) {
        let mut state = self.state();
        if let Some(state) = state.as_mut() {
            let at = state.clock.now();
            state.observe(Fact::Probe(Probe { target, by: Prober::Aggregator, kubelet, agent, at }));
        }
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to an agent in any case.
pub(super) fn response(probe_targets: Vec<coroner_proto::v1::ProbeTarget>) -> ReportNodeResponse {
    let next_interval = prost_types::Duration { seconds: INTERVAL.as_secs(), nanos: 0 };
    let time = crate::time::timestamp(crate::time::now());
    ReportNodeResponse { next_interval: Some(next_interval), probe_targets, time: Some(time) }
}

fn probe(result: ProbeResult, by: Prober, now: Timestamp) -> Probe {
    let age = result.age.as_ref().map_or(0, |age| age.seconds.clamp(0, 3600));
    let age = SignedDuration::from_secs(age).min(OLDEST);
    let (kubelet, agent) = (result.kubelet(), result.agent());
    let target = coroner_diagnosis::text::clean(&result.node, 253).into();
    Probe { target, by, kubelet, agent, at: now.checked_sub(age).unwrap_or(now) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use coroner_diagnosis::observation::{Health, kube::Meta};
    use coroner_proto::v1::{Cause, Confidence};
    use tokio::time::advance;

    use super::*;

    fn node(n: u8) -> Box<Node> {
        let meta = Meta { name: format!("n{n}"), uid: format!("u{n}"), ..Meta::default() };
        Box::new(Node { meta, internal_ip: format!("10.0.0.{n}"), kubelet_port: 10_250, ..Node::default() })
    }

    fn report(node: &str) -> NodeReport {
        let health_address = format!("{}:8081", node.replace('n', "10.1.0."));
        NodeReport { boot_id: "b".into(), health_address, ..NodeReport::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_agents_and_the_aggregator_do_not_reach_is_reported_within_15_s() {
        let hub = Hub::default();
        assert!(hub.report("n1", Some(&report("n1")), Vec::new()).is_none(), "another decides");
        hub.begin("c");
        hub.observe(Fact::Watch(Health::Ok));
        (1..=6).for_each(|n| hub.put_node(Change::Applied, &format!("n{n}").into(), node(n)));
        let mut results: BTreeMap<String, Vec<ProbeResult>> = BTreeMap::new();
        let mut found = Vec::new();
        for second in 0..30 {
            // The last of them reports once.
            for n in (1..=6).filter(|n| second == 0 || *n != 6 && second % 5 == 0) {
                let name = format!("n{n}");
                let results_of = results.remove(&name).unwrap_or_default();
                let answer = hub.report(&name, Some(&report(&name)), results_of).unwrap();
                assert_eq!(answer.next_interval.unwrap().seconds, 5);
                for target in answer.probe_targets {
                    assert!(target.kubelet_address.starts_with("10.0.0."), "{target:?}");
                    assert_eq!(target.agent_address, report(&target.node).health_address);
                    let reached = if target.node == "n6" { ProbeOutcome::TimedOut } else { ProbeOutcome::Answered };
                    let result = ProbeResult { node: target.node, kubelet: reached.into(), ..ProbeResult::default() };
                    results.entry(name.clone()).or_default().push(result);
                }
            }
            let (diagnoses, requests, due) = hub.tick();
            assert!(due.is_some());
            for request in requests {
                let Request::Probe(node) = request else { continue };
                let targets = hub.to_probe(&node);
                assert_eq!(targets.len(), 2, "a node that answers is probed beside it");
                for (name, address) in targets {
                    assert!(address.kubelet.is_some());
                    let outcome = if *name == *"n6" { ProbeOutcome::TimedOut } else { ProbeOutcome::Answered };
                    hub.probed(name, [outcome, ProbeOutcome::Unspecified]);
                }
            }
            found.extend(diagnoses.into_iter().map(|diagnosis| (second, diagnosis)));
            advance(Duration::from_secs(1)).await;
        }
        let [(second, diagnosis)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((diagnosis.cause(), diagnosis.confidence()), (Cause::NodeUnreachable, Confidence::Certain));
        assert!(*second <= 15 && diagnosis.subject.as_ref().unwrap().name == "n6", "{second}: {diagnosis:?}");
        hub.keep_nodes(&BTreeSet::new());
        assert!(hub.tick().0.iter().any(|diagnosis| diagnosis.cause() == Cause::NodeRemoved));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_reports_as_often_as_it_needs_and_takes_nothing_from_others() {
        let hub = Hub::default();
        assert!((0..REPORTS).all(|_| hub.may_report("n1")));
        assert!(!hub.may_report("n1") && hub.may_report("n2"));
        advance(WINDOW).await;
        assert!(hub.may_report("n1"));
    }
}
