//! containerd's own event stream: starts, OOMs and ends of containers, before the CRI reports them.
//!
//! containerd keeps an unbounded queue per subscriber (`core/events/exchange/exchange.go`), so the stream is always
//! read on: what does not fit into the agent's queue is dropped and counted here, never left in containerd. There is no
//! replay: what happens while the stream is broken is a gap.

use std::{convert::Infallible, time::Duration};

use containerd_client::{
    events,
    services::v1::{SubscribeRequest, events_client::EventsClient, version_client::VersionClient},
    types::Envelope,
};
use coroner_diagnosis::observation::{
    Fact, Health, Observation, Source,
    containerd::{TaskEvent, TaskEventKind},
    cri::ContainerId,
};
use jiff::Timestamp;
use prost::{DecodeError, Message};
use tokio::{select, sync::mpsc};
use tonic::{Code, transport::Channel};

use super::{
    cgroups::Endings,
    connection::{self, Connection, RuntimeError},
    cri::{Hint, Hints},
    outlet::Outlet,
    site::Site,
    socket::Socket,
};

/// The topics that are asked for: what happens to tasks, and what comes and goes.
const TOPICS: [&str; 7] = [
    "/tasks/start",
    "/tasks/exec-started",
    "/tasks/oom",
    "/tasks/exit",
    "/tasks/delete",
    "/containers/create",
    "/containers/delete",
];

/// How often containerd is asked whether it still answers: a quiet stream and a dead one look the same.
const LIVENESS: Duration = Duration::from_secs(10);

/// Ids longer than this are cut; containerd's own limit is 76.
const MAX_ID: usize = 256;

/// The containerd whose events are observed.
#[derive(Clone, Debug)]
pub struct Config {
    /// The socket on which containerd listens.
    pub socket: Socket,
    /// containerd's namespace: `k8s.io` for the kubelet's containers.
    pub namespace: String,
}

/// Starts the source. `hints` also get each event, so that the CRI is asked in time, and `endings` each end of a
/// container, so that its cgroup is read at once; both may be lost.
pub fn spawn(site: &Site, config: Config, hints: Hints, endings: Endings) {
    let outlet = site.outlet(Source::Containerd);
    site.task(&outlet.clone(), move || run(outlet.clone(), config.clone(), hints.clone(), endings.clone()));
}

async fn run(outlet: Outlet, config: Config, hints: Hints, endings: Endings) -> Infallible {
    let mut connection = Connection::new(outlet.clone());
    let stream = Stream { outlet, hints, endings, filters: filters(&config.namespace) };
    loop {
        let Err(broken) = stream.listen(&config.socket, &mut connection).await;
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
    hints: Hints,
    endings: Endings,
    filters: Vec<String>,
}

impl Stream {
    /// Connects and listens until something breaks.
    async fn listen(&self, socket: &Socket, connection: &mut Connection) -> Result<Infallible, RuntimeError> {
        let channel = connection::connect(&socket.find("containerd")?).await?;
        ask(&channel).await.map_err(|error| match error.code() {
            Some(Code::Unimplemented) => RuntimeError::Another("containerd"),
            _ => error,
        })?;
        let (contact, mut contacts) = mpsc::channel(1);
        let reading = self.read(EventsClient::new(channel.clone()), contact);
        tokio::pin!(reading);
        // The answer to this question comes after the subscription was taken, since both travel in one connection and
        // the subscription is answered only with the first event.
        select! {
            biased;
            broken = &mut reading => return broken,
            answered = ask(&channel) => answered?,
        }
        connection.stands(Health::Ok).await;
        let _hints = self.hints.flowing();
        loop {
            select! {
                biased;
                broken = &mut reading => return broken,
                Some(()) = contacts.recv() => connection.answered(),
                () = tokio::time::sleep(LIVENESS) => {
                    select! {
                        biased;
                        broken = &mut reading => return broken,
                        answered = ask(&channel) => answered?,
                    }
                    connection.answered();
                }
            }
        }
    }

    /// Reads events on and on, never waiting for the agent.
    async fn read(
        &self,
        mut client: EventsClient<Channel>,
        contact: mpsc::Sender<()>,
    ) -> Result<Infallible, RuntimeError> {
        let failed = |status| RuntimeError::Call { call: "Subscribe", status: Box::new(status) };
        let request = SubscribeRequest { filters: self.filters.clone() };
        let mut stream = client.subscribe(request).await.map_err(failed)?.into_inner();
        while let Some(envelope) = stream.message().await.map_err(failed)? {
            let seen_at = Timestamp::now();
            let _full = contact.try_send(());
            let happened_at = envelope.timestamp.as_ref().and_then(timestamp).unwrap_or(seen_at);
            match task_event(&envelope) {
                Ok(Some(event)) => {
                    if event.is_end() {
                        self.endings.give(event.container.clone());
                    }
                    self.hints.give(Hint::Task(event.clone()));
                    self.outlet.offer(Observation { seen_at, happened_at, fact: Fact::Task(event) });
                }
                Ok(None) if envelope.topic.starts_with("/containers/") => self.hints.give(Hint::Listing),
                Ok(None) => {}
                Err(error) => tracing::debug!(topic = %envelope.topic, %error, "Event of containerd is not readable"),
            }
        }
        Err(RuntimeError::Ended("events"))
    }
}

async fn ask(channel: &Channel) -> Result<(), RuntimeError> {
    connection::answer("Version", VersionClient::new(channel.clone()).version(())).await.map(|_version| ())
}

/// The event of a task in an envelope; `None` if it is another one.
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
            let exec_id = connection::cut(event.exec_id, MAX_ID);
            (event.container_id, TaskEventKind::ExecStarted { exec_id, pid: pid(event.pid) })
        }
        "containerd.events.TaskOOM" => (events::TaskOom::decode(bytes)?.container_id, TaskEventKind::Oom),
        "containerd.events.TaskExit" => {
            let event = events::TaskExit::decode(bytes)?;
            let exited_at = event.exited_at.as_ref().and_then(timestamp);
            let process_id = connection::cut(event.id, MAX_ID);
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
    Ok(Some(TaskEvent { container: ContainerId(connection::cut(container, MAX_ID)), kind }))
}

/// A pid; 0, which no process of a container has, where the number is none.
fn pid(number: u32) -> i32 {
    i32::try_from(number).unwrap_or_default()
}

/// `None` for Go's zero time and for what is no time at all.
fn timestamp(time: &prost_types::Timestamp) -> Option<Timestamp> {
    if time.seconds <= 0 { None } else { Timestamp::new(time.seconds, time.nanos).ok() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost_types::Any;

    use super::*;

    fn envelope(name: &str, value: Vec<u8>) -> Envelope {
        // containerd leaves out the host of a type's URL.
        let event = Some(Any { type_url: format!("containerd.events.{name}"), value });
        Envelope { timestamp: None, namespace: "k8s.io".to_owned(), topic: "/tasks/exit".to_owned(), event }
    }

    #[test]
    fn an_exit_keeps_what_distinguishes_the_main_process_from_an_exec() {
        let exited_at = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 5 });
        let exit = events::TaskExit {
            container_id: "c1".to_owned(),
            id: "exec-1".to_owned(),
            pid: 4242,
            exit_status: 137,
            exited_at,
        };
        let kind = TaskEventKind::Exit {
            process_id: "exec-1".to_owned(),
            pid: 4242,
            status: 137,
            exited_at: Some(Timestamp::new(1_700_000_000, 5).unwrap()),
        };
        let expected = TaskEvent { container: ContainerId("c1".to_owned()), kind };
        assert_eq!(task_event(&envelope("TaskExit", exit.encode_to_vec())), Ok(Some(expected)));
    }

    #[test]
    fn the_remains_of_an_exec_are_not_taken_for_those_of_the_container() {
        let delete = |id: &str| {
            let event = events::TaskDelete { container_id: "c1".to_owned(), id: id.to_owned(), ..Default::default() };
            task_event(&envelope("TaskDelete", event.encode_to_vec())).unwrap().is_some()
        };
        assert_eq!([delete(""), delete("c1"), delete("exec-1")], [true, true, false]);
    }

    #[test]
    fn a_namespace_cannot_break_out_of_the_filters() {
        assert_eq!(filters("k8s.io")[0], r#"namespace=="k8s.io",topic=="/tasks/start""#);
        assert_eq!(filters(r#"a",topic=="b"#)[2], r#"namespace=="a\",topic==\"b",topic=="/tasks/oom""#);
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_without_panic(
            name in "Task(Start|ExecStarted|OOM|Exit|Delete|Paused)", value in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let _result = task_event(&envelope(&name, value));
        }

        #[test]
        fn any_time_and_pid_are_taken(seconds in any::<i64>(), nanos in any::<i32>(), number in any::<u32>()) {
            let exited_at = Some(prost_types::Timestamp { seconds, nanos });
            let exit = events::TaskExit { pid: number, exited_at, ..Default::default() };
            let event = task_event(&envelope("TaskExit", exit.encode_to_vec())).unwrap().unwrap();
            let is_sane = matches!(event.kind, TaskEventKind::Exit { pid, .. } if pid >= 0);
            prop_assert!(is_sane);
        }
    }
}
