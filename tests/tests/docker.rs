//! Real deaths on a node whose runtime is Docker, each explained at a gRPC subscriber: dockerd, the tests in the place
//! of kubelet and cri-dockerd, and an agent that knows only Docker's socket.

use anyhow::{Context, Result, ensure};
use coroner_agent::sources::docker;
use coroner_agent::sources::site::Site;
use coroner_agent::sources::socket::Socket;
use coroner_diagnosis::observation::cri;
use coroner_diagnosis::observation::docker::{Event, Report};
use coroner_diagnosis::observation::{Fact, Health, Observation, Source};
use coroner_proto::v1::{Cause, Confidence, Diagnosis, OomScope, StopRequester};
use coroner_runtime::metrics::Metrics;
use coroner_runtime::tasks::Supervisor;
use coroner_tests::coroner::Received;
use coroner_tests::docker::DockerNode;
use coroner_tests::{ContainerSpec, MIB, Pod, Verdict, until_it_handles};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::mpsc;

/// Whether Docker is among the sources of the evidence.
fn by_docker(diagnosis: &Diagnosis, observed: &str) -> bool {
    diagnosis.evidence.iter().any(|evidence| evidence.source == "docker" && evidence.text.contains(observed))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_at_its_limit_dies_of_its_own_limit() -> Result<()> {
    let node = DockerNode::start().await?;
    let coroner = node.coroner().await?;
    let pod = node.run("cart", &ContainerSpec::new("app", ["victim", "eat", "200"]).memory_limit(64 * MIB)).await?;
    let verdict = Verdict::fatal(&pod, Cause::OomContainerLimit).exit_code(137).signal(9);
    let [diagnosis] = coroner.conclude([verdict]).await?;
    let memory = diagnosis.memory.clone().context("an OOM verdict has memory")?;
    assert_eq!((memory.scope(), memory.container_limit_bytes), (OomScope::Container, Some(64 * MIB)));
    Ok(())
}

/// What Docker's source reports until `until`.
async fn observed(
    receiver: &mut mpsc::Receiver<Observation>,
    until: impl Fn(&Fact) -> bool + Send,
) -> Result<Vec<Observation>> {
    let mut observed = vec![];
    let observing = async {
        while let Some(observation) = receiver.recv().await {
            let enough = until(&observation.fact);
            observed.push(observation);
            if enough {
                return;
            }
        }
    };
    let in_time = tokio::time::timeout(coroner_tests::PATIENCE, observing).await;
    ensure!(in_time.is_ok(), "it reported only {observed:#?}");
    Ok(observed)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_follows_a_container_from_its_start_to_its_removal() -> Result<()> {
    let node = DockerNode::start().await?;
    let (sender, mut receiver) = mpsc::channel(4096);
    let group = Supervisor::new(&Metrics::default()).group();
    docker::spawn(&Site::new(group.clone(), sender), Socket::At(node.endpoint()));
    observed(&mut receiver, |fact| *fact == Fact::Health(Source::Docker, Health::Ok)).await?;

    let pod = node.run("cart", &child_eater()).await?;
    wake(&node, &pod).await?;
    let id = cri::ContainerId(pod.only_container().id.clone());
    let is = |event: Event| Fact::Docker(Report::Event(id.clone(), event));
    let oom = is(Event::Oom);
    let until_oom = observed(&mut receiver, |fact| *fact == oom).await?;
    let sandboxes = until_oom.iter().filter_map(|observed| match &observed.fact {
        Fact::Docker(Report::Sandbox(sandbox)) => Some(sandbox),
        _ => None,
    });
    assert!(sandboxes.into_iter().any(|sandbox| sandbox.id.0 == pod.sandbox_id && sandbox.ready), "{until_oom:#?}");
    let containers = |observed: &[Observation]| -> Vec<cri::Container> {
        let listed = observed.iter().filter_map(|observed| match &observed.fact {
            Fact::Docker(Report::Container(container)) => Some((**container).clone()),
            _ => None,
        });
        listed.collect()
    };
    let running = containers(&until_oom).into_iter().rfind(|listed| listed.state == cri::State::Running);
    let running = running.context("it is reported while it runs")?;
    let named = (running.pod.namespace.as_str(), running.pod.name.as_str(), running.pod.uid.as_str());
    assert_eq!(named, (pod.namespace.as_str(), "cart", pod.uid.as_str()));
    assert_eq!((running.name.as_str(), running.attempt, running.grace_period_seconds), ("app", 0, Some(30)));
    assert_eq!((running.memory_limit, running.limits_known), (Some(64 * MIB), true));
    assert_eq!(running.pid, Some(node.pid(pod.only_container()).await?));
    assert_eq!(running.sandbox_id.map(|id| id.0), Some(pod.sandbox_id.clone()));
    let path = running.cgroups_path.context("its cgroup is reported")?;
    assert!(path.ends_with(&format!("/burstable/pod{}/{}", pod.uid, id.0)), "{path}");

    // It heeds no SIGTERM.
    node.stop(pod.only_container(), 1).await?;
    let ended = observed(
        &mut receiver,
        |fact| matches!(fact, Fact::Docker(Report::Container(listed)) if listed.state == cri::State::Exited),
    );
    let ended = ended.await?;
    for event in [Event::Kill { signal: 15 }, Event::Kill { signal: 9 }, Event::Die { status: 137 }] {
        assert!(ended.iter().any(|observed| observed.fact == is(event)), "{event:?}: {ended:#?}");
    }
    let exited = containers(&ended).pop().context("it is reported when it ended")?;
    assert_eq!((exited.exit_code, exited.reason.as_str(), exited.pid), (137, "OOMKilled", None), "the flag sticks");
    assert!(exited.finished_at > exited.started_at);

    node.remove(pod.only_container()).await?;
    observed(&mut receiver, |fact| *fact == Fact::ContainerRemoved(id.clone())).await?;
    ensure!(group.stop(coroner_tests::PATIENCE).await.is_empty(), "the source does not end");
    Ok(())
}

/// A container that does this on SIGUSR1.
fn on_usr1(action: &str) -> ContainerSpec {
    let script = format!("trap '{action}' USR1; while :; do sleep 1; done");
    ContainerSpec::new("app", ["sh", "-c", &script]).memory_limit(64 * MIB).single_process_oom_kill()
}

/// A container whose main process keeps running while a child of it is killed for memory. Docker gets an OOM event only
/// after the start.
fn child_eater() -> ContainerSpec {
    on_usr1("victim eat 200")
}

async fn wake(node: &DockerNode, pod: &Pod) -> Result<()> {
    let pid = Pid::from_raw(node.pid(pod.only_container()).await?);
    until_it_handles(pid, "SigCgt", Signal::SIGUSR1).await?;
    Ok(kill(pid, Signal::SIGUSR1)?)
}

/// Docker's flag OOMKilled sticks to the container from then on: it is reported as Docker's statement, and the kernel's
/// decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_is_killed_alone_is_reported_and_the_later_end_is_not_its() -> Result<()> {
    let node = DockerNode::start().await?;
    let coroner = node.coroner().await?;
    let pod = node.run("cart", &child_eater()).await?;
    wake(&node, &pod).await?;
    let child = Verdict::survived(&pod, Cause::OomContainerLimit).signal(9);
    coroner.wait_for_verdicts(std::slice::from_ref(&child)).await?;
    kill(Pid::from_raw(node.pid(pod.only_container()).await?), Signal::SIGKILL)?;
    let flagged = |received: &Received| {
        let mut exits = received.last_revisions().into_iter().filter_map(|diagnosis| diagnosis.exit.as_ref());
        exits.any(|exit| exit.reported_reason == "OOMKilled").then_some(())
    };
    coroner.wait_for("Docker's statement is reported", flagged).await?;
    let end = Verdict::fatal(&pod, Cause::KilledExternally).exit_code(137).signal(9);
    let [_child, end] = coroner.conclude([child, end]).await?;
    let doubted = end.against.iter().any(|evidence| evidence.source == "docker" && evidence.text.contains("OOMKilled"));
    ensure!(doubted, "{end:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_with_137_is_not_a_kill() -> Result<()> {
    let node = DockerNode::start().await?;
    let coroner = node.coroner().await?;
    // Not at once: Docker has the pid of a main process only while that runs.
    let pod = node.run("cart", &on_usr1("exit 137")).await?;
    wake(&node, &pod).await?;
    let [diagnosis] = coroner.conclude([Verdict::fatal(&pod, Cause::ApplicationExit).exit_code(137).signal(0)]).await?;
    ensure!(by_docker(&diagnosis, "die, exitCode 137"), "{diagnosis:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_is_obeyed_is_a_stop_on_request() -> Result<()> {
    let node = DockerNode::start().await?;
    let coroner = node.coroner().await?;
    let pod = node.run("cart", &ContainerSpec::new("app", ["victim", "sleep", "143"])).await?;
    let container = pod.only_container();
    until_it_handles(Pid::from_raw(node.pid(container).await?), "SigCgt", Signal::SIGTERM).await?;
    node.stop(container, 30).await?;
    let verdict = Verdict::fatal(&pod, Cause::StoppedByRequest).exit_code(143).at_least(Confidence::Likely);
    let [diagnosis] = coroner.conclude([verdict]).await?;
    assert_eq!(diagnosis.requested_by(), StopRequester::Runtime);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_is_not_obeyed_ends_with_the_grace_period() -> Result<()> {
    let node = DockerNode::start().await?;
    let coroner = node.coroner().await?;
    let pod = node.run("cart", &ContainerSpec::new("app", ["victim", "ignore-term"]).memory_limit(64 * MIB)).await?;
    node.stop(pod.only_container(), 1).await?;
    let verdict = Verdict::fatal(&pod, Cause::GracePeriodExceeded).exit_code(137).signal(9);
    coroner.conclude([verdict.at_least(Confidence::Likely)]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_through_docker_is_a_request_and_no_stranger() -> Result<()> {
    let node = DockerNode::start().await?;
    let coroner = node.coroner().await?;
    let pod = node.run("cart", &ContainerSpec::new("app", ["victim", "sleep"])).await?;
    node.kill(pod.only_container()).await?;
    let verdict = Verdict::fatal(&pod, Cause::StoppedByRequest).exit_code(137).signal(9);
    let [diagnosis] = coroner.conclude([verdict.at_least(Confidence::Likely)]).await?;
    assert_eq!(diagnosis.requested_by(), StopRequester::Runtime);
    Ok(())
}

/// Docker has no event for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_exist_is_reported_as_such() -> Result<()> {
    let node = DockerNode::start().await?;
    let coroner = node.coroner().await?;
    let pod = node.run("cart", &ContainerSpec::new("app", ["no-such-command"])).await?;
    pod.only_container().start_error.as_ref().context("it cannot have started")?;
    coroner.conclude([Verdict::fatal(&pod, Cause::CommandNotFound).exit_code(127).signal(0)]).await?;
    Ok(())
}

/// Docker writes a container's labels over the attributes of its events, and an image may bring any labels.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_cannot_forge_how_its_container_ended() -> Result<()> {
    let node = DockerNode::start().await?;
    let coroner = node.coroner().await?;
    let forged = [("exitCode", "0"), ("signal", "15")];
    let pod = node.run_labelled("cart", &ContainerSpec::new("app", ["victim", "exit", "3"]), &forged).await?;
    coroner.conclude([Verdict::fatal(&pod, Cause::ApplicationExit).exit_code(3).at_least(Confidence::Likely)]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_while_docker_is_away_is_reported_once_it_is_back() -> Result<()> {
    let mut node = DockerNode::start().await?;
    let coroner = node.coroner().await?;
    let pod = node.run("cart", &ContainerSpec::new("app", ["victim", "sleep"]).memory_limit(64 * MIB)).await?;
    let pid = Pid::from_raw(node.pid(pod.only_container()).await?);
    node.stop_docker()?;
    kill(pid, Signal::SIGKILL)?;
    node.start_docker().await?;
    let gap = |received: &Received| received.gaps.iter().find(|gap| gap.source == "docker").cloned();
    coroner.wait_for("the break is reported", gap).await?;
    coroner.conclude([Verdict::fatal(&pod, Cause::KilledExternally).exit_code(137).signal(9)]).await?;
    Ok(())
}
