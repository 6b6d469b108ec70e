//! The runtime's CRI (v1): the containers and sandboxes, their states, and what the runtime reports about their ends.
//!
//! Three ways lead to a question: the CRI's own event stream where it can be had, hints (containerd's events, or else
//! the starts and ends of main processes), and a listing of everything, which repairs what the other two missed. Only
//! changes are reported. The runtime gets one query at a time.
//!
//! containerd 1.7 hands each event of `GetContainerEvents` to only one of its subscribers (containerd#7318): listening
//! there could steal from a kubelet with EventedPLEG, so there the source lists.

mod convert;
mod events;
mod followups;
mod register;

use std::{
    collections::BTreeSet,
    convert::Infallible,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use coroner_diagnosis::{
    messages::health,
    observation::{
        GapReason, Health, Observation, Source,
        containerd::TaskEvent,
        cri::{ContainerId, State},
    },
};
use coroner_runtime::error::chain;
use jiff::Timestamp;
use k8s_cri::v1::{
    ContainerStatusRequest, ListContainersRequest, ListPodSandboxRequest, VersionRequest, VersionResponse,
    runtime_service_client::RuntimeServiceClient,
};
use tokio::{
    select,
    sync::{Mutex, OwnedMutexGuard, mpsc},
    time::Instant,
};
use tonic::{Code, transport::Channel};

use self::{
    events::{Event, Events},
    followups::Followups,
    register::Register,
};
use super::{
    connection::{self, Connection, RuntimeError},
    outlet::Outlet,
    site::Site,
    socket::Socket,
};
use crate::report::NodeState;

/// How often everything is listed where the runtime reports changes.
const LISTING_WITH_EVENTS: Duration = Duration::from_mins(1);
/// The same while a container waits for its start, and how soon after one was created or removed: containerd reports
/// tasks, and one that never starts has none.
const LISTING_OF_CREATED: Duration = Duration::from_secs(10);
/// How often everything is listed where there are no events.
const LISTING: Duration = Duration::from_secs(2);
/// How soon everything is listed when something unknown turned up: long enough to gather a burst.
const LISTING_SOON: Duration = Duration::from_millis(100);

/// Hints that may wait; what is lost shows in the next listing.
const HINTS: usize = 1024;

/// What another source knows before the CRI is asked.
#[derive(Clone, Debug)]
pub(super) enum Hint {
    /// Something happened to a task.
    Task(TaskEvent),
    /// A container or sandbox was created or removed.
    Listing,
}

/// The way of containerd's events to this source. Cloned freely; all clones are one.
#[derive(Clone, Debug)]
pub struct Hints {
    sender: mpsc::Sender<Hint>,
    receiver: Arc<Mutex<mpsc::Receiver<Hint>>>,
    /// Whether containerd's events are subscribed to just now.
    flow: Arc<AtomicBool>,
}

impl Default for Hints {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(HINTS);
        Self { sender, receiver: Arc::new(Mutex::new(receiver)), flow: Arc::default() }
    }
}

impl Hints {
    /// Passes a hint on; it is dropped if the queue is full.
    pub(super) fn give(&self, hint: Hint) {
        let _lost = self.sender.try_send(hint);
    }

    /// The same from a source that stands in for containerd's events, while those do not flow.
    pub(super) fn stand_in(&self, event: TaskEvent) {
        if !self.flow.load(Ordering::Relaxed) {
            self.give(Hint::Task(event));
        }
    }

    /// Hints flow for as long as this lives.
    pub(super) fn flowing(&self) -> Flowing<'_> {
        self.flow.store(true, Ordering::Relaxed);
        Flowing(self)
    }
}

/// Marks hints as flowing until it is dropped.
#[derive(Debug)]
pub(super) struct Flowing<'a>(&'a Hints);

impl Drop for Flowing<'_> {
    fn drop(&mut self) {
        self.0.flow.store(false, Ordering::Relaxed);
    }
}

/// Starts the source `cri` as a task.
pub fn spawn(site: &Site, socket: Socket, hints: Hints, state: NodeState) {
    let outlet = site.outlet(Source::Cri);
    site.task(&outlet.clone(), move || run(outlet.clone(), socket.clone(), hints.clone(), state.clone()));
}

async fn run(outlet: Outlet, socket: Socket, hints: Hints, state: NodeState) -> Infallible {
    let connection = Connection::new(outlet.clone());
    let (register, followups) = (Register::default(), Followups::default());
    let flow = hints.flow;
    let hints = hints.receiver.lock_owned().await;
    let mut cri = Cri { outlet, state, connection, hints, flow, register, followups, listing_at: Instant::now() };
    loop {
        let Err(broken) = cri.session(&socket).await;
        cri.connection.broke(&broken).await;
    }
}

/// The source: outlives connections, so that a reconnection reports only what changed meanwhile.
struct Cri {
    outlet: Outlet,
    /// For the node report.
    state: NodeState,
    connection: Connection,
    hints: OwnedMutexGuard<mpsc::Receiver<Hint>>,
    /// Whether hints come.
    flow: Arc<AtomicBool>,
    register: Register,
    followups: Followups,
    /// When everything is listed next.
    listing_at: Instant,
}

type Client = RuntimeServiceClient<Channel>;

impl Cri {
    /// Connects and goes on until something breaks.
    async fn session(&mut self, socket: &Socket) -> Result<Infallible, RuntimeError> {
        let channel = connection::connect(&socket.find("CRI")?).await?;
        let mut client = Client::new(channel).max_decoding_message_size(connection::MAX_MESSAGE);
        let version =
            connection::answer("Version", client.version(VersionRequest { version: "v1".to_owned() })).await?;
        tracing::debug!(runtime = %version.runtime_name, version = %version.runtime_version, "Connected to the runtime");
        let mut events = may_subscribe(&version).then(|| Events::subscribe(client.clone()));
        self.list(&mut client, events.is_some()).await?;
        self.connection.stands(self.health()).await;
        loop {
            let wake = self.followups.next().map_or(self.listing_at, |at| at.min(self.listing_at));
            select! {
                event = next(&mut events) => match event {
                    Ok(event) => self.event(&mut client, event, events.as_ref().map_or(0, Events::take_lost)).await?,
                    Err(error) if events.as_ref().is_some_and(|events| events.proven) => return Err(error),
                    Err(error) => {
                        tracing::debug!(reason = %chain(&error), "The runtime has no stream of events");
                        events = None;
                        self.list_within(LISTING);
                    }
                },
                Some(hint) = self.hints.recv() => match hint {
                    Hint::Task(event) if self.register.is_sandbox(&event.container) => self.list_within(LISTING_SOON),
                    Hint::Task(event) => self.followups.hint(event, Instant::now()),
                    Hint::Listing => self.list_within(LISTING_OF_CREATED),
                },
                () = tokio::time::sleep_until(wake) => {
                    if let Some(id) = self.followups.due(Instant::now()) {
                        self.follow_up(&mut client, &id).await?;
                    } else if self.listing_at <= Instant::now() {
                        self.list(&mut client, events.is_some()).await?;
                        self.connection.answered();
                        self.outlet.health(self.health()).await;
                    }
                }
            }
        }
    }

    fn list_within(&mut self, wait: Duration) {
        self.listing_at = self.listing_at.min(Instant::now() + wait);
    }

    /// Lists everything and asks for what is new or changed.
    async fn list(&mut self, client: &mut Client, with_events: bool) -> Result<(), RuntimeError> {
        let sandboxes = client.list_pod_sandbox(ListPodSandboxRequest { filter: None });
        let sandboxes = connection::answer("ListPodSandbox", sandboxes).await?.items;
        let containers = client.list_containers(ListContainersRequest { filter: None });
        let containers = connection::answer("ListContainers", containers).await?.containers;
        let seen_at = Timestamp::now();
        let listed =
            sandboxes.iter().map(|sandbox| &sandbox.id).chain(containers.iter().map(|container| &container.id));
        let listed: BTreeSet<ContainerId> = listed.cloned().filter_map(convert::id).collect();
        for id in self.register.missing(&listed) {
            self.removed(&id).await;
        }
        for sandbox in sandboxes.into_iter().filter_map(convert::sandbox) {
            let news = self.register.sandbox(sandbox, seen_at);
            self.pass_on(news).await;
        }
        for container in containers {
            let state = convert::state(container.state());
            let Some(id) = convert::id(container.id) else { continue };
            if self.register.is_news(&id, state) {
                self.ask(client, &id, convert::id(container.pod_sandbox_id)).await?;
            }
        }
        let wait = if !with_events && !self.flow.load(Ordering::Relaxed) {
            LISTING
        } else if self.register.awaits_start() {
            LISTING_OF_CREATED
        } else {
            LISTING_WITH_EVENTS
        };
        self.listing_at = Instant::now() + wait;
        Ok(())
    }

    fn health(&self) -> Health {
        match self.register.beyond() {
            0 => Health::Ok,
            n => Health::Degraded(health::health_containers_beyond_count(n, register::CAPACITY).into()),
        }
    }

    /// Takes an event of the CRI's own stream.
    async fn event(&mut self, client: &mut Client, event: Event, lost: u64) -> Result<(), RuntimeError> {
        self.connection.answered();
        let seen_at = Timestamp::now();
        if lost > 0 {
            self.pass_on(Some(self.outlet.gap(GapReason::Overload, seen_at, seen_at, Some(lost)))).await;
            self.list_within(Duration::ZERO);
        }
        let sandbox_id = event.sandbox.as_ref().map(|sandbox| sandbox.id.clone());
        if let Some(sandbox) = event.sandbox {
            let news = self.register.sandbox(sandbox, seen_at);
            self.pass_on(news).await;
        }
        for container in event.containers {
            if container.state != State::Exited && self.register.wants_details(&container.id) {
                self.ask(client, &container.id, sandbox_id.clone()).await?;
                continue;
            }
            if let Some(sandbox) = &sandbox_id {
                self.register.belongs(&container.id, sandbox);
            }
            let news = self.register.container(container, None, seen_at);
            self.pass_on(news).await;
        }
        if let (true, Some(id)) = (event.deleted, event.id) {
            self.removed(&id).await;
        }
        Ok(())
    }

    /// Queries a container after an event of containerd.
    async fn follow_up(&mut self, client: &mut Client, id: &ContainerId) -> Result<(), RuntimeError> {
        let answer = self.ask(client, id, None).await?;
        if answer.is_none() {
            self.list_within(LISTING_SOON); // gone, a sandbox, or too new
        }
        let answer = answer.as_ref().map(|(state, reason)| (*state, reason.as_str()));
        self.followups.answered(id, answer, Instant::now());
        Ok(())
    }

    /// Queries a container's status and reports what is new. `None` if the runtime does not know it.
    async fn ask(
        &mut self,
        client: &mut Client,
        id: &ContainerId,
        sandbox: Option<ContainerId>,
    ) -> Result<Option<(State, String)>, RuntimeError> {
        let verbose = self.register.wants_details(id);
        let request = ContainerStatusRequest { container_id: id.0.clone(), verbose };
        let response = match connection::answer("ContainerStatus", client.container_status(request)).await {
            Ok(response) => response,
            Err(error) => match error.code() {
                Some(Code::NotFound) => {
                    if !self.register.is_sandbox(id) {
                        self.removed(id).await;
                    }
                    return Ok(None);
                }
                Some(Code::Unknown | Code::Internal) => {
                    tracing::debug!(container = %id, reason = %chain(&error), "The runtime has no status of a container");
                    return Ok(None);
                }
                _ => return Err(error),
            },
        };
        let mut details = verbose.then(|| convert::details(&response.info));
        if let Some(details) = &mut details {
            details.sandbox = details.sandbox.take().or(sandbox);
        }
        let Some(container) = response.status.and_then(convert::container) else { return Ok(None) };
        let answer = (container.state, container.reason.clone());
        let sandbox = details.as_ref().and_then(|details| details.sandbox.as_ref());
        if sandbox.is_some_and(|sandbox| !self.register.is_sandbox(sandbox)) {
            self.list_within(LISTING_SOON);
        }
        let news = self.register.container(container, details, Timestamp::now());
        self.pass_on(news).await;
        Ok(Some(answer))
    }

    async fn removed(&mut self, id: &ContainerId) {
        if let Some(fact) = self.register.removed(id) {
            self.pass_on(Some(self.outlet.now(fact))).await;
        }
    }

    async fn pass_on(&self, news: Option<Observation>) {
        if let Some(news) = news {
            self.state.update(|report| report.running_container_count = self.register.running());
            let _going_away = self.outlet.send(news).await;
        }
    }
}

/// The next event, if there is a stream of them.
async fn next(events: &mut Option<Events>) -> Result<Event, RuntimeError> {
    match events {
        Some(events) => events.next().await,
        None => pending().await,
    }
}

/// Whether subscribing to `GetContainerEvents` takes no events from others.
fn may_subscribe(version: &VersionResponse) -> bool {
    version.runtime_name != "containerd" || !version.runtime_version.trim_start_matches('v').starts_with("1.")
}
