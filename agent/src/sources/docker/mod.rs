//! Docker's API, on nodes where cri-dockerd stands between the kubelet and Docker: OOMs, signals that were sent on
//! request, and ends, before the CRI reports them, and what Docker itself records of them.
//!
//! Docker waits for a subscriber that does not read (`pkg/pubsub`: 100 ms an event), so its events are read on whatever
//! else is in progress: what does not fit into the agent's queue is dropped and counted here. A reconnection requests
//! the events since the last contact. Docker keeps the last 256, and none over its own restart, so a break is a gap all
//! the same.
//!
//! Some things have no event, such as a start that failed: a listing now and then finds them.

mod client;
mod convert;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use coroner_diagnosis::{
    messages::health,
    observation::{
        Fact, GapReason, Health, Observation, Source,
        cri::{ContainerId, State},
        docker::{Event, Report},
    },
};
use coroner_runtime::error::chain;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use tokio::{select, sync::mpsc, time::Instant};

use self::{
    client::Client,
    convert::{Notice, What},
};
use super::{
    connection::{Connection, RuntimeError},
    outlet::Outlet,
    site::Site,
    socket::Socket,
};

/// Containers and sandboxes that are followed.
const CAPACITY: usize = 4096;
/// How often all of them are listed: a quiet stream and a dead one look the same.
const LISTING: Duration = Duration::from_secs(10);
/// Events that may wait while Docker is asked something.
const QUEUE: usize = 1024;
/// Questions about containers that may fail in one listing: Docker can hang over a single one.
const FAILURES: usize = 3;
/// How far before the last contact events are requested again. Duplicates are the same statement.
const OVERLAP: SignedDuration = SignedDuration::from_secs(1);

/// Starts the source `docker` as a task.
pub fn spawn(site: &Site, socket: Socket) {
    let outlet = site.outlet(Source::Docker);
    site.task(&outlet.clone(), move || run(outlet.clone(), socket.clone()));
}

async fn run(outlet: Outlet, socket: Socket) -> Infallible {
    let connection = Connection::new(outlet.clone());
    let mut docker = Docker { outlet, connection, known: BTreeMap::new(), answered: Timestamp::now() };
    loop {
        let Err(broken) = docker.session(&socket).await;
        docker.connection.broke(&broken).await;
    }
}

/// The source: outlives connections.
struct Docker {
    outlet: Outlet,
    connection: Connection,
    known: BTreeMap<ContainerId, Known>,
    /// When Docker last answered.
    answered: Timestamp,
}

/// A container or sandbox that was reported.
#[derive(Debug)]
struct Known {
    sandbox: bool,
    state: State,
    may_forge: bool,
}

impl Docker {
    /// Connects and goes on until something breaks.
    async fn session(&mut self, socket: &Socket) -> Result<Infallible, RuntimeError> {
        let endpoint = socket.find("Docker")?;
        let (events, client) = (Client::for_events(&endpoint)?, Client::for_questions(&endpoint)?);
        let (sender, queue) = mpsc::channel(QUEUE);
        let lost = AtomicU64::new(0);
        select! {
            broken = read(&events, self.answered - OVERLAP, sender, &lost) => broken,
            broken = self.follow(&client, queue, &lost) => broken,
        }
    }

    /// Takes events as they come, and lists everything now and then.
    async fn follow(
        &mut self,
        client: &Client,
        mut queue: mpsc::Receiver<Notice>,
        lost: &AtomicU64,
    ) -> Result<Infallible, RuntimeError> {
        let health = self.list(client).await?;
        self.connection.stands(health).await;
        let mut listing_at = Instant::now() + LISTING;
        loop {
            select! {
                Some(notice) = queue.recv() => {
                    self.answered();
                    if self.event(client, notice).await.is_err() {
                        listing_at = Instant::now(); // shows whether Docker answers at all
                    }
                }
                () = tokio::time::sleep_until(listing_at) => {
                    let health = self.list(client).await?;
                    self.outlet.health(health).await;
                    listing_at = Instant::now() + LISTING;
                }
            }
            let lost = lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                let now = Timestamp::now();
                self.pass_on(self.outlet.gap(GapReason::Overload, now, now, Some(lost))).await;
                listing_at = Instant::now();
            }
        }
    }

    fn answered(&mut self) {
        self.answered = Timestamp::now();
        self.connection.answered();
    }

    /// Lists everything and asks about what is not known as it is listed.
    async fn list(&mut self, client: &Client) -> Result<Health, RuntimeError> {
        let listed = client.list().await?;
        self.answered();
        let beyond = listed.len() > CAPACITY;
        let listed: BTreeMap<ContainerId, bool> =
            listed.into_iter().take(CAPACITY).filter_map(convert::listed).collect();
        let gone: Vec<_> = self.known.keys().filter(|id| !listed.contains_key(*id)).cloned().collect();
        for id in gone {
            self.removed(&id).await;
        }
        let mut failures = 0;
        for (id, runs) in listed {
            let is_passed_on = match self.known.get(&id).map(|known| known.state) {
                Some(State::Exited) => true,
                Some(State::Running) => runs,
                Some(State::Created | State::Unknown) | None => false,
            };
            if is_passed_on {
                continue;
            }
            if let Err(error) = self.inspect(client, &id).await {
                failures += 1;
                if failures == FAILURES {
                    return Ok(Health::Degraded(error.reason()));
                }
            }
        }
        Ok(match failures {
            0 if beyond => Health::Degraded(health::health_containers_beyond(CAPACITY).into()),
            0 => Health::Ok,
            n => Health::Degraded(health::health_containers_uninspected(n).into()),
        })
    }

    /// Takes one event. An error is that of a question about the container.
    async fn event(&mut self, client: &Client, notice: Notice) -> Result<(), RuntimeError> {
        let Notice { id, seen_at, happened_at, what } = notice;
        let event = match what {
            What::Event(event) => event,
            What::Changed => return self.inspect(client, &id).await,
            What::Destroyed => {
                self.removed(&id).await;
                return Ok(());
            }
        };
        let was_known = self.known.contains_key(&id);
        if !was_known {
            self.inspect(client, &id).await?;
        }
        if event == Event::Oom || self.known.get(&id).is_some_and(|known| !known.may_forge) {
            let fact = Fact::Docker(Report::Event(id.clone(), event));
            self.pass_on(Observation { seen_at, happened_at, fact }).await;
        }
        // A signal changes nothing that could be asked for.
        if was_known && !matches!(event, Event::Kill { .. }) { self.inspect(client, &id).await } else { Ok(()) }
    }

    /// Queries one container or sandbox and reports it.
    async fn inspect(&mut self, client: &Client, id: &ContainerId) -> Result<(), RuntimeError> {
        let answer = client.inspect(id).await.inspect_err(|error| {
            tracing::debug!(container = %id, reason = chain(error), "Docker has no status of a container");
        })?;
        let Some(inspected) = answer.and_then(convert::inspected) else {
            self.removed(id).await;
            return Ok(());
        };
        let sandbox = matches!(inspected.statement, Report::Sandbox(_));
        let known = Known { sandbox, state: inspected.state, may_forge: inspected.may_forge };
        if self.known.len() < CAPACITY || self.known.contains_key(id) {
            self.known.insert(id.clone(), known);
        }
        let seen_at = Timestamp::now();
        let happened_at = inspected.since.unwrap_or(seen_at);
        self.pass_on(Observation { seen_at, happened_at, fact: Fact::Docker(inspected.statement) }).await;
        Ok(())
    }

    async fn removed(&mut self, id: &ContainerId) {
        if let Some(known) = self.known.remove(id) {
            let fact =
                if known.sandbox { Fact::SandboxRemoved(id.clone()) } else { Fact::ContainerRemoved(id.clone()) };
            self.pass_on(self.outlet.now(fact)).await;
        }
    }

    async fn pass_on(&self, observation: Observation) {
        let _going_away = self.outlet.send(observation).await;
    }
}

/// Reads events on and on, never waiting for the agent.
async fn read(
    client: &Client,
    since: Timestamp,
    queue: mpsc::Sender<Notice>,
    lost: &AtomicU64,
) -> Result<Infallible, RuntimeError> {
    let mut events = pin!(client.events(since));
    while let Some(event) = events.next().await.transpose()? {
        if let Some(notice) = convert::event(event, Timestamp::now())
            && queue.try_send(notice).is_err()
        {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
    Err(RuntimeError::Ended("events"))
}
