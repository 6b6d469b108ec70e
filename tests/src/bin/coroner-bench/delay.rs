//! How long after the kernel's kill each of them knows: a subscriber of Coroner, a subscriber of containerd, and who
//! asks the CRI again and again, as the kubelet does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use containerd_client::events::{TaskExit, TaskOom};
use containerd_client::services::v1::SubscribeRequest;
use containerd_client::services::v1::events_client::EventsClient;
use coroner_proto::v1::watch_diagnoses_request::Start;
use coroner_proto::v1::watch_diagnoses_response::Frame;
use coroner_proto::v1::{Cause, Confidence, WatchDiagnosesRequest};
use coroner_tests::coroner::Coroner;
use coroner_tests::{ContainerSpec, MIB, Node, PodSpec, until_it_handles};
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{ContainerState, ListContainersRequest};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use prost::Message;
use tonic::transport::Channel;

use crate::kills::{Recorder, now};
use crate::table;

const KILLS: usize = 200;
/// How often the kubelet lists containers (`genericPlegRelistPeriod`, pkg/kubelet/kubelet.go).
const RELIST: Duration = Duration::from_secs(1);
/// After so long a source counts as having missed it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    First,
    Certain,
    TaskOom,
    TaskExit,
    Relist,
}

const SOURCES: [(Source, &str); 5] = [
    (Source::First, "Coroner's first revision at a gRPC subscriber, whatever its confidence"),
    (Source::Certain, "Coroner's certain diagnosis at the same"),
    (Source::TaskOom, "containerd's `/tasks/oom`"),
    (Source::TaskExit, "containerd's `/tasks/exit`"),
    (Source::Relist, "the CRI, listed every second as by the kubelet"),
];

/// When each source first reported each container.
#[derive(Clone, Debug, Default)]
struct Times(Arc<Mutex<HashMap<(Source, String), Duration>>>);

impl Times {
    fn note(&self, source: Source, container: String) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.entry((source, container)).or_insert_with(now);
    }

    fn when(&self, source: Source, container: &str) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(source, container.to_owned())).copied()
    }
}

pub(crate) async fn measure() -> Result<String> {
    let node = Node::start().await?;
    let coroner = Coroner::start(&node).await?;
    let recorder = Recorder::start()?;
    let times = Times::default();
    let listeners = [
        tokio::spawn(listen_to_coroner(coroner.clone_client(), times.clone())),
        tokio::spawn(listen_to_containerd(node.channel(), times.clone())),
        tokio::spawn(list_again_and_again(node.channel(), times.clone())),
    ];
    let mut victims = vec![];
    for i in 0..KILLS {
        let container = ContainerSpec::new("app", ["victim", "eat-on-usr1", "64"]).memory_limit(16 * MIB);
        let pod = node.kubelet().run(&PodSpec::new(&format!("victim-{i}"), [container])).await?;
        let container = pod.only_container();
        let pid = node.kubelet().pid(container).await?;
        until_it_handles(Pid::from_raw(pid), "SigCgt", Signal::SIGUSR1).await?;
        kill(Pid::from_raw(pid), Signal::SIGUSR1).context("waking the victim")?;
        let deadline = now() + PATIENCE;
        while now() < deadline && SOURCES.iter().any(|(source, _)| times.when(*source, &container.id).is_none()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        victims.push((pid, container.id.clone()));
        node.kubelet().remove(&pod).await?;
    }
    for listener in &listeners {
        ensure!(!listener.is_finished(), "a listener lost its connection");
        listener.abort();
    }
    let killed: HashMap<i32, Duration> = recorder.kills()?.into_iter().map(|kill| (kill.pid, kill.at)).collect();
    let rows = SOURCES.map(|(source, name)| {
        let spans =
            victims.iter().filter_map(|(pid, container)| times.when(source, container)?.checked_sub(*killed.get(pid)?));
        let spans: Vec<Duration> = spans.collect();
        let never = KILLS - spans.len();
        (name, spans, never)
    });
    Ok(table::spans(&format!("{KILLS} OOM kills, from the kernel's kill to"), &rows))
}

async fn listen_to_coroner(mut client: coroner_tests::coroner::Client, times: Times) -> Result<()> {
    let request = WatchDiagnosesRequest { start: Some(Start::FromNow(true)), ..Default::default() };
    let mut frames = client.watch_diagnoses(request).await?.into_inner();
    while let Some(frame) = frames.message().await? {
        let Some(Frame::Batch(batch)) = frame.frame else { continue };
        for diagnosis in batch.diagnoses {
            let container = diagnosis.container.clone().unwrap_or_default().id;
            if diagnosis.cause() == Cause::OomContainerLimit && diagnosis.confidence() == Confidence::Certain {
                times.note(Source::Certain, container.clone());
            }
            times.note(Source::First, container);
        }
    }
    Ok(())
}

async fn listen_to_containerd(channel: Channel, times: Times) -> Result<()> {
    let filters = ["/tasks/oom", "/tasks/exit"].map(|topic| format!(r#"namespace==k8s.io,topic=="{topic}""#)).to_vec();
    let mut events = EventsClient::new(channel).subscribe(SubscribeRequest { filters }).await?.into_inner();
    while let Some(envelope) = events.message().await? {
        let event = envelope.event.context("an envelope without an event")?;
        match envelope.topic.as_str() {
            "/tasks/oom" => times.note(Source::TaskOom, TaskOom::decode(event.value.as_slice())?.container_id),
            _ => {
                let exit = TaskExit::decode(event.value.as_slice())?;
                // Others are processes of exec.
                if exit.id == exit.container_id {
                    times.note(Source::TaskExit, exit.container_id);
                }
            }
        }
    }
    Ok(())
}

async fn list_again_and_again(channel: Channel, times: Times) -> Result<()> {
    let mut runtime = RuntimeServiceClient::new(channel);
    let mut relist = tokio::time::interval(RELIST);
    loop {
        relist.tick().await;
        let containers = runtime.list_containers(ListContainersRequest::default()).await?.into_inner().containers;
        for container in containers {
            if container.state == ContainerState::ContainerExited as i32 {
                times.note(Source::Relist, container.id);
            }
        }
    }
}
