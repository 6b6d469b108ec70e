//! containerd's own event stream: who started, ran out of memory and ended, before the CRI tells.
//!
//! containerd keeps an unbounded queue per subscriber (`core/events/exchange/exchange.go`), so the stream is always read on:
//! what the agent has no room for is dropped and counted here, never left in containerd. There is no replay: what happens
//! while the stream is broken is a gap.

use std::time::Duration;

use containerd_client::{
    events,
    services::v1::{SubscribeRequest, events_client::EventsClient, version_client::VersionClient},
    types::Envelope,
};
use coroner_diagnosis::{
    containerd::{TaskEvent, TaskEventKind},
    cri::ContainerId,
    observation::{Fact, Health, Observation},
};
use jiff::Timestamp;
use prost::{DecodeError, Message};
use tokio::{select, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::Channel;

use super::{
    outlet::Outlet,
    runtime::{self, Connection, RuntimeError},
};

/// The topics that are asked for.
const TOPICS: [&str; 5] = ["/tasks/start", "/tasks/exec-started", "/tasks/oom", "/tasks/exit", "/tasks/delete"];

/// How often containerd is asked whether it still answers: a quiet stream and a dead one look the same.
const LIVENESS: Duration = Duration::from_secs(10);

/// Ids longer than this are cut; containerd's own limit is 76.
const MAX_ID: usize = 256;

/// Which containerd to listen to.
#[derive(Clone, Debug)]
pub struct Config {
    /// `unix:///path`; `None` where the node has no containerd.
    pub endpoint: Option<String>,
    /// containerd's namespace: `k8s.io` for the kubelet's containers.
    pub namespace: String,
}

/// Starts the source. `hints` also get each event of a task, so that the CRI is asked at once; they may be lost.
pub fn spawn(
    tracker: &TaskTracker,
    cancel: CancellationToken,
    outlet: Outlet,
    config: Config,
    hints: mpsc::Sender<TaskEvent>,
) {
    tracker.spawn(async move {
        select! {
            () = cancel.cancelled() => {}
            () = run(outlet, config, hints) => {}
        }
    });
}

async fn run(outlet: Outlet, config: Config, hints: mpsc::Sender<TaskEvent>) {
    let mut connection = Connection::new(outlet.clone());
    let Some(endpoint) = config.endpoint else {
        return connection.tell(Health::Absent("this node has no containerd socket".to_owned())).await;
    };
    let stream = Stream { outlet, hints, filters: filters(&config.namespace) };
    loop {
        let broken = match stream.listen(&endpoint, &mut connection).await {
            Ok(never) => match never {},
            Err(broken) => broken,
        };
        connection.broke(&broken).await;
    }
}

/// containerd's filters: the items of one are joined by AND, the list by OR.
fn filters(namespace: &str) -> Vec<String> {
    TOPICS.map(|topic| format!("namespace=={namespace:?},topic=={topic:?}")).into()
}

/// What one subscription needs.
struct Stream {
    outlet: Outlet,
    hints: mpsc::Sender<TaskEvent>,
    filters: Vec<String>,
}

impl Stream {
    /// Connects and listens until something breaks.
    async fn listen(
        &self,
        endpoint: &str,
        connection: &mut Connection,
    ) -> Result<std::convert::Infallible, RuntimeError> {
        let channel = runtime::connect(endpoint).await?;
        ask(&channel).await?; // says by its code if this is no containerd
        let (contact, mut contacts) = mpsc::channel(1);
        let reading = self.read(EventsClient::new(channel.clone()), contact);
        tokio::pin!(reading);
        // The answer to this question comes after the subscription was taken, since both travel in one connection and the
        // subscription is answered only with the first event.
        select! {
            biased;
            broken = &mut reading => return broken,
            answered = ask(&channel) => answered?,
        }
        connection.stands(Health::Ok).await;
        loop {
            select! {
                biased;
                broken = &mut reading => return broken,
                Some(()) = contacts.recv() => connection.heard(),
                () = tokio::time::sleep(LIVENESS) => {
                    select! {
                        biased;
                        broken = &mut reading => return broken,
                        answered = ask(&channel) => answered?,
                    }
                    connection.heard();
                }
            }
        }
    }

    /// Reads events on and on, never waiting for the agent.
    async fn read(
        &self,
        mut client: EventsClient<Channel>,
        contact: mpsc::Sender<()>,
    ) -> Result<std::convert::Infallible, RuntimeError> {
        let failed = |status| RuntimeError::Call { call: "Subscribe", status: Box::new(status) };
        let request = SubscribeRequest { filters: self.filters.clone() };
        let mut stream = client.subscribe(request).await.map_err(failed)?.into_inner();
        while let Some(envelope) = stream.message().await.map_err(failed)? {
            let seen_at = Timestamp::now();
            let _full = contact.try_send(());
            let happened_at = envelope.timestamp.as_ref().and_then(timestamp).unwrap_or(seen_at);
            match task_event(&envelope) {
                Ok(Some(event)) => {
                    let _lost = self.hints.try_send(event.clone());
                    self.outlet.offer(Observation { seen_at, happened_at, fact: Fact::Task(event) });
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(topic = %envelope.topic, %error, "Event of containerd is not readable"),
            }
        }
        Err(RuntimeError::Ended("events"))
    }
}

async fn ask(channel: &Channel) -> Result<(), RuntimeError> {
    runtime::answer("Version", VersionClient::new(channel.clone()).version(())).await.map(|_version| ())
}

/// The event in an envelope; `None` for kinds that were not asked for.
fn task_event(envelope: &Envelope) -> Result<Option<TaskEvent>, DecodeError> {
    let Some(any) = &envelope.event else { return Ok(None) };
    let bytes = any.value.as_slice();
    let (container, kind) = match any.type_url.rsplit('/').next().unwrap_or_default() {
        "containerd.events.TaskStart" => {
            let event = events::TaskStart::decode(bytes)?;
            (event.container_id, TaskEventKind::Start { pid: pid(event.pid) })
        }
        "containerd.events.TaskExecStarted" => {
            let event = events::TaskExecStarted::decode(bytes)?;
            let exec_id = runtime::cut(event.exec_id, MAX_ID);
            (event.container_id, TaskEventKind::ExecStarted { exec_id, pid: pid(event.pid) })
        }
        "containerd.events.TaskOOM" => (events::TaskOom::decode(bytes)?.container_id, TaskEventKind::Oom),
        "containerd.events.TaskExit" => {
            let event = events::TaskExit::decode(bytes)?;
            let exited_at = event.exited_at.as_ref().and_then(timestamp);
            let process_id = runtime::cut(event.id, MAX_ID);
            let kind = TaskEventKind::Exit { process_id, pid: pid(event.pid), status: event.exit_status, exited_at };
            (event.container_id, kind)
        }
        "containerd.events.TaskDelete" => {
            let event = events::TaskDelete::decode(bytes)?;
            if !event.id.is_empty() && event.id != event.container_id {
                return Ok(None); // an exec's remains, not the main process'
            }
            let exited_at = event.exited_at.as_ref().and_then(timestamp);
            (event.container_id, TaskEventKind::Delete { status: event.exit_status, exited_at })
        }
        _ => return Ok(None),
    };
    Ok(Some(TaskEvent { container: ContainerId(runtime::cut(container, MAX_ID)), kind }))
}

/// A pid; 0, which no process of a container has, where the number is none.
fn pid(number: u32) -> i32 {
    i32::try_from(number).unwrap_or_default()
}

/// `None` for Go's zero time and for what is no time at all.
fn timestamp(time: &prost_types::Timestamp) -> Option<Timestamp> {
    if time.seconds <= 0 { None } else { Timestamp::new(time.seconds, time.nanos).ok() }
}
