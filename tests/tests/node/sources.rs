//! The agent's sources of containers, each by itself: what they report of a real container's life, and of a containerd
//! that stops.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use coroner_agent::{
    host::HostRoot,
    report::NodeState,
    sources::{cgroups, container_names, containerd, cri, site::Site, socket::Socket},
};
use coroner_diagnosis::observation::{
    Fact, Gap, GapReason, Health, Observation, Source,
    cgroup::Limit,
    containerd::TaskEventKind,
    cri::{Container, State},
};
use coroner_runtime::{
    metrics::Metrics,
    tasks::{Group, Supervisor},
};
use coroner_tests::{ContainerSpec, MIB, Node, PATIENCE, PodSpec, until_it_handles};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::mpsc;

/// The sources of a node, and everything that they have reported.
struct Sources {
    group: Group,
    receiver: mpsc::Receiver<Observation>,
    observed: Vec<Observation>,
}

impl Sources {
    /// Starts them; `capacity` observations may wait.
    fn start(node: &Node, capacity: usize) -> Self {
        Self::start_with(node, capacity, true)
    }

    /// The same with or without containerd's own events.
    fn start_with(node: &Node, capacity: usize, with_containerd: bool) -> Self {
        let (sender, receiver) = mpsc::channel(capacity);
        let group = Supervisor::new(&Metrics::default()).group();
        let site = Site::new(group.clone(), sender);
        let socket = Socket::At(format!("unix://{}", node.socket().display()));
        let (hints, endings) = (cri::Hints::default(), cgroups::Endings::default());
        let own_events = if with_containerd { socket.clone() } else { Socket::Off };
        containerd::spawn(
            &site,
            containerd::Config { socket: own_events, namespace: "k8s.io".to_owned() },
            hints.clone(),
            endings.clone(),
        );
        cri::spawn(&site, socket, hints, NodeState::default());
        cgroups::spawn(&site, HostRoot::at("/".as_ref()), endings);
        let links = node.kubelet().container_logs().clone();
        container_names::spawn(&site, links);
        Self { group, receiver, observed: vec![] }
    }

    /// Waits until something like that is reported, or was reported before.
    async fn expect<T>(&mut self, what: &str, like: impl Fn(&Fact) -> Option<T>) -> Result<T> {
        if let Some(found) = self.observed.iter().find_map(|observed| like(&observed.fact)) {
            return Ok(found);
        }
        self.expect_next(what, like).await
    }

    /// Waits until something like that is reported from now on.
    async fn expect_next<T>(&mut self, what: &str, like: impl Fn(&Fact) -> Option<T>) -> Result<T> {
        let waiting = async {
            loop {
                let observation = self.receiver.recv().await?;
                let found = like(&observation.fact);
                self.observed.push(observation);
                if found.is_some() {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await.ok().flatten();
        found.with_context(|| format!("never reported: {what}"))
    }

    async fn ready(&mut self) -> Result<()> {
        for source in [Source::Containerd, Source::Cri, Source::Cgroups, Source::ContainerLogs] {
            self.expect("that it sees", |fact| (*fact == Fact::Health(source, Health::Ok)).then_some(())).await?;
        }
        Ok(())
    }

    async fn stop(self) -> Result<()> {
        drop(self.receiver);
        let late = self.group.stop(Duration::from_secs(30)).await;
        ensure!(late.is_empty(), "these do not end when they are asked to: {late:?}");
        Ok(())
    }
}

fn container(id: &str, state: State) -> impl Fn(&Fact) -> Option<Container> {
    move |fact| match fact {
        Fact::Container(container) if container.id.0 == id && container.state == state => Some(container.clone()),
        _ => None,
    }
}

fn task<T>(id: &str, like: impl Fn(&TaskEventKind) -> Option<T>) -> impl Fn(&Fact) -> Option<T> {
    move |fact| match fact {
        Fact::Task(event) if event.container.0 == id => like(&event.kind),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_follow_a_container_from_its_start_to_its_removal() -> Result<()> {
    let node = Node::start().await?;
    let mut sources = Sources::start(&node, 4096);
    sources.ready().await?;
    let victim = ContainerSpec::new("app", ["victim", "eat-on-usr1", "200"]).memory_limit(64 * MIB);
    let pod = node.kubelet().run(&PodSpec::new("cart", [victim])).await?;
    let id = pod.only_container().id.as_str();

    let started = |kind: &TaskEventKind| matches!(kind, TaskEventKind::Start { pid } if *pid > 1).then_some(());
    sources.expect("task started", task(id, started)).await?;
    // Before that event, the shim does not watch for OOM kills yet.
    let pid = Pid::from_raw(node.kubelet().pid(pod.only_container()).await?);
    until_it_handles(pid, "SigCgt", Signal::SIGUSR1).await?;
    kill(pid, Signal::SIGUSR1).context("waking the victim")?;
    sources.expect("task out of memory", task(id, |kind| (*kind == TaskEventKind::Oom).then_some(()))).await?;
    let status = |kind: &TaskEventKind| match kind {
        TaskEventKind::Exit { process_id, status, .. } if process_id == id => Some(*status),
        _ => None,
    };
    assert_eq!(sources.expect("task ended", task(id, status)).await?, 137);

    let ended = sources.expect("container ended", container(id, State::Exited)).await?;
    assert_eq!((ended.exit_code, ended.pod.name.as_str(), ended.pod.uid.as_str()), (137, "cart", pod.uid.as_str()));
    assert_eq!((ended.memory_limit, ended.limits_known), (Some(64 * MIB), true));
    assert_eq!((ended.name.as_str(), ended.grace_period_seconds), ("app", Some(30)));
    assert_eq!(ended.sandbox_id.map(|id| id.0), Some(pod.sandbox_id.clone()));
    let path = ended.cgroups_path.context("its cgroup")?;
    let is_ready = |fact: &Fact| match fact {
        Fact::Sandbox(sandbox) if sandbox.id.0 == pod.sandbox_id && sandbox.ready => Some(sandbox.pod.clone()),
        _ => None,
    };
    assert_eq!(sources.expect("the sandbox", is_ready).await?, ended.pod);
    let named = |fact: &Fact| match fact {
        Fact::ContainerName { id: named, pod, name, attempt } if named.0 == id => {
            Some((pod.clone(), name.clone(), *attempt))
        }
        _ => None,
    };
    assert_eq!(sources.expect("its name", named).await?, (ended.pod, "app".to_owned(), Some(0)));

    let limit = |fact: &Fact| match fact {
        Fact::Cgroup(sample) if sample.path == path => sample.memory_limit.filter(|limit| *limit != Limit::Unlimited),
        _ => None,
    };
    assert_eq!(sources.expect("the cgroup's limit", limit).await?, Limit::Limited(64 * MIB));
    let removed = |fact: &Fact| matches!(fact, Fact::CgroupRemoved(removed) if removed.0 == path).then_some(());
    sources.expect("the cgroup is gone", removed).await?;
    node.kubelet().remove(&pod).await?;
    let removed = |fact: &Fact| matches!(fact, Fact::ContainerRemoved(removed) if removed.0 == id).then_some(());
    sources.expect("the container is removed", removed).await?;
    let removed = |fact: &Fact| matches!(fact, Fact::SandboxRemoved(id) if id.0 == pod.sandbox_id).then_some(());
    sources.expect("the sandbox is removed", removed).await?;
    sources.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_child_moves_the_counters_of_a_container_that_lives_on() -> Result<()> {
    let node = Node::start().await?;
    let mut sources = Sources::start(&node, 4096);
    sources.ready().await?;
    let spec =
        ContainerSpec::new("app", ["victim", "child-eat", "200"]).memory_limit(64 * MIB).single_process_oom_kill();
    let pod = node.kubelet().run(&PodSpec::new("cart", [spec])).await?;
    let id = pod.only_container().id.as_str();
    let running = sources.expect("container runs", container(id, State::Running)).await?;
    assert!(running.pid.is_some_and(|pid| pid > 1), "{running:?}");
    let path = running.cgroups_path.context("its cgroup")?;
    let killed = |fact: &Fact| match fact {
        Fact::Cgroup(sample) if sample.path == path && sample.oom_kills > Some(0) => Some(sample.clone()),
        _ => None,
    };
    let killed = sources.expect("a kill is counted", killed).await?;
    assert!(killed.memory_peak >= Some(60 * MIB), "{killed:?}");
    sources.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_containerd_that_goes_away_is_reported_and_what_ended_meanwhile_is_recovered() -> Result<()> {
    let mut node = Node::start().await?;
    let mut sources = Sources::start(&node, 4096);
    sources.ready().await?;
    let pod = node.kubelet().run(&PodSpec::new("cart", [ContainerSpec::new("app", ["victim", "sleep"])])).await?;
    let id = pod.only_container().id.clone();
    let running = sources.expect("container runs", container(&id, State::Running)).await?;

    node.stop_containerd()?;
    for source in [Source::Containerd, Source::Cri] {
        let absent = |fact: &Fact| match fact {
            Fact::Health(of, Health::Absent(reason)) if *of == source => Some(reason.clone()),
            _ => None,
        };
        sources.expect("that containerd is gone", absent).await?;
    }
    let pid = running.pid.context("its pid")?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)?;
    let observed = sources.observed.len();
    node.start_containerd().await?;
    for source in [Source::Containerd, Source::Cri] {
        let gap = |fact: &Fact| match fact {
            Fact::Gap(gap) if gap.source == source => Some(gap.clone()),
            _ => None,
        };
        let Gap { reason, from, to, .. } = sources.expect("the gap", gap).await?;
        assert_eq!(reason, GapReason::Disconnected);
        assert!(from < to, "{from} {to}");
        let again = |observed: &Observation| observed.fact == Fact::Health(source, Health::Ok);
        if !sources.observed[observed..].iter().any(again) {
            let again = |fact: &Fact| (*fact == Fact::Health(source, Health::Ok)).then_some(());
            sources.expect_next("that it sees again", again).await?;
        }
    }
    let ended = sources.expect("container ended", container(&id, State::Exited)).await?;
    assert_eq!(ended.pod, running.pod);
    // containerd 2 does not know how it ended, and makes up a status.
    assert!(matches!((ended.exit_code, ended.reason.as_str()), (137, "Error") | (255, "Unknown")), "{ended:?}");
    sources.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cri_alone_reports_how_a_container_ran_and_ended() -> Result<()> {
    let node = Node::start().await?;
    let mut sources = Sources::start_with(&node, 4096, false);
    sources.expect("that it sees", |fact| (*fact == Fact::Health(Source::Cri, Health::Ok)).then_some(())).await?;
    let pod = node.kubelet().run(&PodSpec::new("cart", [ContainerSpec::new("app", ["victim", "sleep"])])).await?;
    let id = pod.only_container().id.clone();
    let running = sources.expect("container runs", container(&id, State::Running)).await?;
    assert!(running.pid.is_some() && running.cgroups_path.is_some() && running.sandbox_id.is_some(), "{running:?}");
    node.kubelet().stop(pod.only_container(), 0).await?;
    let ended = sources.expect("container ended", container(&id, State::Exited)).await?;
    assert_eq!((ended.exit_code, ended.cgroups_path), (137, running.cgroups_path));
    sources.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_takes_nothing_holds_up_no_container_and_learns_what_it_lost() -> Result<()> {
    let node = Node::start().await?;
    let mut sources = Sources::start(&node, 1);
    sources.ready().await?;
    // From now on the reports of the sources are not read.
    for name in ["one", "two", "three"] {
        let pod = node.kubelet().run(&PodSpec::new(name, [ContainerSpec::new("app", ["true"])])).await?;
        node.kubelet().ended(pod.only_container()).await?;
    }
    let spec = PodSpec::new("four", [ContainerSpec::new("app", ["true"])]);
    let pod = node.kubelet().run(&spec);
    let lost = |fact: &Fact| match fact {
        Fact::Gap(Gap { source: Source::Containerd, reason: GapReason::Overload, lost, .. }) => *lost,
        _ => None,
    };
    let (pod, lost) = tokio::join!(pod, sources.expect_next("what was lost", lost));
    assert!(lost? > 0);
    let id = pod?.only_container().id.clone();
    sources.expect("the CRI's word on the last container", container(&id, State::Exited)).await?;
    sources.stop().await
}
