//! The CRI's own event stream, always drained.
//!
//! containerd 2.x publishes synchronously (`internal/eventq/eventq.go`): a subscriber that stops reading would hold up
//! the start and end of every container of the node. So a task of its own reads on whatever else the agent does, prunes
//! each event to what is needed, and drops what does not fit into a bounded queue; the drop is counted and makes the
//! source list everything again.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use coroner_diagnosis::observation::cri::{Container, ContainerId, Sandbox};
use k8s_cri::v1::{
    ContainerEventResponse, ContainerEventType, GetEventsRequest, runtime_service_client::RuntimeServiceClient,
};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;

use super::{super::connection::RuntimeError, convert};

/// Events that may wait. One holds the containers of one pod, a few KiB.
const QUEUE: usize = 256;

/// A container event of the CRI, without what is not used.
#[derive(Debug)]
pub(super) struct Event {
    /// The container, or sandbox, that it is about.
    pub(super) id: Option<ContainerId>,
    /// Whether the container was deleted.
    pub(super) deleted: bool,
    /// The sandbox of its pod.
    pub(super) sandbox: Option<Sandbox>,
    /// All containers of its pod.
    pub(super) containers: Vec<Container>,
}

/// The receiving end of the task that reads events.
#[derive(Debug)]
pub(super) struct Events {
    queue: mpsc::Receiver<Event>,
    lost: Arc<AtomicU64>,
    reader: AbortOnDropHandle<RuntimeError>,
    /// Whether any event ever came: if not, the runtime may not have the stream at all.
    pub(super) proven: bool,
}

impl Events {
    /// Subscribes to the runtime's container events, and reads them in a task.
    pub(super) fn subscribe(client: RuntimeServiceClient<Channel>) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        let lost = Arc::<AtomicU64>::default();
        let reader = AbortOnDropHandle::new(tokio::spawn(read(client, sender, lost.clone())));
        Self { queue, lost, reader, proven: false }
    }

    /// The next event, or why there will be none.
    pub(super) async fn next(&mut self) -> Result<Event, RuntimeError> {
        match self.queue.recv().await {
            Some(event) => {
                self.proven = true;
                Ok(event)
            }
            None => Err((&mut self.reader).await.unwrap_or(RuntimeError::Reader("GetContainerEvents"))),
        }
    }

    /// How many events were dropped since this was last asked.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

async fn read(
    mut client: RuntimeServiceClient<Channel>,
    sender: mpsc::Sender<Event>,
    lost: Arc<AtomicU64>,
) -> RuntimeError {
    let failed = |status| RuntimeError::Call { call: "GetContainerEvents", status: Box::new(status) };
    // No deadline: the answer to the call comes with the first event.
    let mut stream = match client.get_container_events(GetEventsRequest {}).await {
        Ok(response) => response.into_inner(),
        Err(status) => return failed(status),
    };
    loop {
        match stream.message().await {
            Ok(Some(response)) => {
                if sender.try_send(prune(response)).is_err() {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(None) => return RuntimeError::Ended("GetContainerEvents"),
            Err(status) => return failed(status),
        }
    }
}

fn prune(response: ContainerEventResponse) -> Event {
    Event {
        deleted: response.container_event_type() == ContainerEventType::ContainerDeletedEvent,
        id: convert::id(response.container_id),
        sandbox: response.pod_sandbox_status.and_then(convert::sandbox_status),
        containers: response.containers_statuses.into_iter().filter_map(convert::container).collect(),
    }
}
