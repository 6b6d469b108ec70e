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
use coroner_tests::{ContainerSpec, MIB, Node, PodSpec, until_it_minds};
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
/// After so long a witness counts as silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Witness {
    First,
    Certain,
    TaskOom,
    TaskExit,
    Relist,
}

const WITNESSES: [(Witness, &str); 5] = [
    (Witness::First, "Coroner's first revision at a gRPC subscriber, whatever its confidence"),
    (Witness::Certain, "Coroner's certain diagnosis at the same"),
    (Witness::TaskOom, "containerd's `/tasks/oom`"),
    (Witness::TaskExit, "containerd's `/tasks/exit`"),
    (Witness::Relist, "the CRI, listed every second as by the kubelet"),
];

/// When each witness first spoke of each container.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<HashMap<(Witness, String), Duration>>>);

impl Heard {
    fn note(&self, witness: Witness, container: String) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.entry((witness, container)).or_insert_with(now);
    }

    fn when(&self, witness: Witness, container: &str) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(witness, container.to_owned())).copied()
    }
}

pub(crate) async fn measure() -> Result<String> {
    let node = Node::start().await?;
    let coroner = Coroner::start(&node).await?;
    let recorder = Recorder::start()?;
    let heard = Heard::default();
    let listeners = [
        tokio::spawn(listen_to_coroner(coroner.clone_client(), heard.clone())),
        tokio::spawn(listen_to_containerd(node.channel(), heard.clone())),
        tokio::spawn(list_again_and_again(node.channel(), heard.clone())),
    ];
    let mut victims = vec![];
    for i in 0..KILLS {
        let container = ContainerSpec::new("app", ["victim", "eat-on-usr1", "64"]).memory_limit(16 * MIB);
        let pod = node.kubelet().run(&PodSpec::new(&format!("victim-{i}"), [container])).await?;
        let container = pod.only_container();
        let pid = node.kubelet().pid(container).await?;
        until_it_minds(Pid::from_raw(pid), "SigCgt", Signal::SIGUSR1).await?;
        kill(Pid::from_raw(pid), Signal::SIGUSR1).context("waking the victim")?;
        let deadline = now() + PATIENCE;
        while now() < deadline && WITNESSES.iter().any(|(witness, _)| heard.when(*witness, &container.id).is_none()) {
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
    let rows = WITNESSES.map(|(witness, name)| {
        let spans = victims
            .iter()
            .filter_map(|(pid, container)| heard.when(witness, container)?.checked_sub(*killed.get(pid)?));
        let spans: Vec<Duration> = spans.collect();
        let never = KILLS - spans.len();
        (name, spans, never)
    });
    Ok(table::spans(&format!("{KILLS} OOM kills, from the kernel's kill to"), &rows))
}

async fn listen_to_coroner(mut client: coroner_tests::coroner::Client, heard: Heard) -> Result<()> {
    let request = WatchDiagnosesRequest { start: Some(Start::FromNow(true)), ..Default::default() };
    let mut frames = client.watch_diagnoses(request).await?.into_inner();
    while let Some(frame) = frames.message().await? {
        let Some(Frame::Batch(batch)) = frame.frame else { continue };
        for diagnosis in batch.diagnoses {
            let container = diagnosis.container.clone().unwrap_or_default().id;
            if diagnosis.cause() == Cause::OomContainerLimit && diagnosis.confidence() == Confidence::Certain {
                heard.note(Witness::Certain, container.clone());
            }
            heard.note(Witness::First, container);
        }
    }
    Ok(())
}

async fn listen_to_containerd(channel: Channel, heard: Heard) -> Result<()> {
    let filters = ["/tasks/oom", "/tasks/exit"].map(|topic| format!(r#"namespace==k8s.io,topic=="{topic}""#)).to_vec();
    let mut events = EventsClient::new(channel).subscribe(SubscribeRequest { filters }).await?.into_inner();
    while let Some(envelope) = events.message().await? {
        let event = envelope.event.context("an envelope without an event")?;
        match envelope.topic.as_str() {
            "/tasks/oom" => heard.note(Witness::TaskOom, TaskOom::decode(event.value.as_slice())?.container_id),
            _ => {
                let exit = TaskExit::decode(event.value.as_slice())?;
                // Others are processes of exec.
                if exit.id == exit.container_id {
                    heard.note(Witness::TaskExit, exit.container_id);
                }
            }
        }
    }
    Ok(())
}

async fn list_again_and_again(channel: Channel, heard: Heard) -> Result<()> {
    let mut runtime = RuntimeServiceClient::new(channel);
    let mut relist = tokio::time::interval(RELIST);
    loop {
        relist.tick().await;
        let containers = runtime.list_containers(ListContainersRequest::default()).await?.into_inner().containers;
        for container in containers {
            if container.state == ContainerState::ContainerExited as i32 {
                heard.note(Witness::Relist, container.id);
            }
        }
    }
}
