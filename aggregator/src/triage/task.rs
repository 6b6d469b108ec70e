//! The task that decides about silent nodes: it watches Nodes and Leases, probes, lists pods, and stores what it
//! concludes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use coroner_diagnosis::{
    continuation::Continuation,
    messages::health,
    observation::{Health, kube::Change},
    triage::{Fact, Request},
};
use coroner_proto::v1::{Diagnosis, SubjectKind};
use coroner_runtime::tasks::caught;
use coroner_watch::Report;
use futures::StreamExt as _;
use kube::Client;
use tokio::{
    select,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    bus::Bus,
    hub::Hub,
    objects::{self, Seen},
    probe::probe,
};
use crate::{
    cluster::{Earlier, Failed, Reporter, find_uid},
    intake::{Intake, NODE_WATCH},
    ledger,
    nodes::Nodes,
};

/// What triage reports on.
const KINDS: [SubjectKind; 2] = [SubjectKind::Node, SubjectKind::Cluster];
/// Probes and lists that are under way at once.
const AT_ONCE: usize = 64;
/// Requests that wait for their turn. Of more, the oldest are dropped: they are made again while a node is silent.
const REQUESTS: usize = 4_096;
/// Time is let pass at least so often.
const TICK: Duration = Duration::from_secs(1);
/// What was reported before a restart and is not found again so long after it, is over: a Lease must be silent for 40
/// s, and the node controller takes 50 s.
const FOUND_AGAIN: Duration = Duration::from_mins(3);

/// Decides until stopped.
///
/// # Errors
/// If it cannot go on; no node is judged then until it runs again.
pub async fn run(
    hub: Arc<Hub>,
    intake: Intake,
    client: Client,
    bus: Option<(Bus, Arc<Nodes>)>,
    stop: CancellationToken,
) -> Result<(), Failed> {
    let mut reporter = Reporter::new(intake.clone(), NODE_WATCH);
    let passed_on = async {
        match &bus {
            Some((bus, nodes)) => bus.serve(&hub, nodes, &stop).await,
            None => stop.cancelled().await,
        }
    };
    let deciding = caught(decide(&hub, intake, client, &mut reporter));
    let ended = select! {
        ended = deciding => ended,
        () = passed_on => {
            hub.end();
            let ended = || Failed::Error("the subscription of reports has ended".to_owned());
            return if stop.is_cancelled() { Ok(()) } else { Err(ended()) };
        }
        () = stop.cancelled() => {
            hub.end();
            return Ok(());
        }
    };
    hub.end();
    let failed = Failed::of(ended);
    reporter.degrade(failed.message());
    let _stopped = stop.run_until_cancelled(reporter.push()).await;
    Err(failed)
}

async fn decide(hub: &Arc<Hub>, intake: Intake, client: Client, reporter: &mut Reporter) -> Result<(), ledger::Error> {
    let mut recorded = intake.recorded();
    let earlier = Earlier::read(intake.ledger(), &KINDS).await?;
    let uid = find_uid(&client, earlier.cluster_uid(), reporter).await;
    let (continuation, open) = earlier.of_cluster(&uid);
    hub.begin(&uid);
    let mut watches = objects::watch(&client);
    let mut state = Deciding {
        hub,
        reporter,
        continuation,
        open,
        health: [not_listed(), not_listed()],
        listed: None,
        requests: VecDeque::new(),
        jobs: JoinSet::new(),
        client,
        began: Instant::now(),
    };
    state.show();
    let mut changed = true;
    loop {
        let due = state.tick();
        if changed || state.reporter.has_waiting() {
            state.reporter.push().await;
            changed = false;
        }
        select! {
            seen = watches.next() => match seen {
                Some(seen) => changed |= state.take(seen),
                None => return Ok(()),
            },
            Some(_) = state.jobs.join_next() => {}
            // What a slow reader misses, the next report of the node shows.
            Ok(fact) = recorded.recv() => hub.observe(fact),
            () = hub.changed.notified() => {}
            () = sleep(due) => {}
        }
    }
}

fn not_listed() -> Health {
    Health::Degraded(health::health_not_listed().into())
}

/// The state of one run.
struct Deciding<'a> {
    hub: &'a Arc<Hub>,
    reporter: &'a mut Reporter,
    continuation: Continuation,
    /// Reported before a restart, not over then, and not found again yet.
    open: BTreeMap<String, Diagnosis>,
    /// How well Nodes and Leases are watched.
    health: [Health; 2],
    /// The Nodes that a list has named so far.
    listed: Option<BTreeSet<Arc<str>>>,
    requests: VecDeque<Request>,
    jobs: JoinSet<()>,
    client: Client,
    began: Instant,
}

impl Deciding<'_> {
    /// Lets time pass, and starts what is asked for. Gives when to do so again.
    fn tick(&mut self) -> Duration {
        let (found, requests, due) = self.hub.tick();
        self.report(found);
        if self.began.elapsed() >= FOUND_AGAIN && !self.open.is_empty() {
            let now = Some(crate::time::timestamp(crate::time::now()));
            let over = std::mem::take(&mut self.open).into_values();
            self.report(over.map(|diagnosis| Diagnosis { resolve_time: now, ..diagnosis }).collect());
        }
        self.requests.extend(requests);
        let surplus = self.requests.len().saturating_sub(REQUESTS);
        self.requests.drain(..surplus);
        while self.jobs.len() < AT_ONCE
            && let Some(request) = self.requests.pop_front()
        {
            let (hub, client) = (Arc::clone(self.hub), self.client.clone());
            self.jobs.spawn(async move {
                match request {
                    Request::Pods(node) => objects::pods(&hub, client, node).await,
                    Request::Probe(node) => {
                        for (name, address) in hub.to_probe(&node) {
                            let outcomes = probe(address).await;
                            hub.probed(name, outcomes);
                        }
                    }
                }
            });
        }
        due.unwrap_or(TICK).min(TICK)
    }

    fn report(&mut self, found: Vec<Diagnosis>) {
        for diagnosis in found {
            self.open.remove(&diagnosis.uid);
            if let Some(diagnosis) = self.continuation.follow(diagnosis) {
                self.reporter.add(diagnosis);
            }
        }
    }

    /// Takes what a watch reports. Whether its health has changed.
    fn take(&mut self, seen: Seen) -> bool {
        match seen {
            Seen::Node(Report::ListBegun) => self.listed = Some(BTreeSet::new()),
            Seen::Node(Report::ListDone) => {
                if let Some(listed) = self.listed.take() {
                    self.hub.keep_nodes(&listed);
                }
            }
            Seen::Node(Report::Applied(node)) => {
                let name: Arc<str> = node.meta.name.as_str().into();
                if let Some(listed) = &mut self.listed {
                    listed.insert(Arc::clone(&name));
                }
                self.hub.put_node(Change::Applied, &name, node);
            }
            Seen::Node(Report::Deleted(node)) => {
                let name = node.meta.name.as_str().into();
                self.hub.put_node(Change::Deleted, &name, node);
            }
            Seen::Lease(Report::Applied(lease)) => {
                self.hub.observe(Fact::Lease { node: lease.node.as_str().into(), renewal: lease.renewal });
            }
            Seen::Lease(Report::Deleted(lease)) => {
                self.hub.observe(Fact::Lease { node: lease.node.as_str().into(), renewal: None });
            }
            Seen::Lease(Report::ListBegun | Report::ListDone) => {}
            Seen::Node(Report::Health(health)) => return self.put_health(0, health),
            Seen::Lease(Report::Health(health)) => return self.put_health(1, health),
        }
        false
    }

    fn put_health(&mut self, index: usize, health: Health) -> bool {
        self.health[index] = health;
        let broken = self.health.iter().find(|health| matches!(health, Health::Degraded(_)));
        let absent = self.health.iter().find(|health| matches!(health, Health::Absent(_)));
        // Before all was listed once, nothing is broken.
        let was_listed = !self.health.contains(&not_listed());
        if was_listed {
            self.hub.observe(Fact::Watch(absent.or(broken).cloned().unwrap_or(Health::Ok)));
        }
        self.show()
    }

    /// Shows the health of the watches. True if that is news.
    fn show(&mut self) -> bool {
        let mut is_news = false;
        for (name, health) in ["nodes", "leases"].into_iter().zip(&self.health) {
            is_news |= self.reporter.set_status(name, health);
        }
        is_news
    }
}
