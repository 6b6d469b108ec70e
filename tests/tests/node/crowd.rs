//! Many at once, and many that live.

use anyhow::Result;
use coroner_proto::v1::{Cause, Confidence};
use coroner_tests::{ContainerSpec, MIB, Pod, PodSpec, Verdict};

use crate::{run_one, watched_node};

/// Five ways to die or suffer, and one to live.
#[derive(Clone, Copy)]
enum Fate {
    OutOfMemory,
    ChildOutOfMemory,
    ExitsWith137,
    Segfaults,
    CommandNotFound,
    Lives,
}

impl Fate {
    const ALL: [Self; 6] = [
        Self::OutOfMemory,
        Self::ChildOutOfMemory,
        Self::ExitsWith137,
        Self::Segfaults,
        Self::CommandNotFound,
        Self::Lives,
    ];

    fn container(self) -> ContainerSpec {
        let container = match self {
            Self::OutOfMemory => ContainerSpec::new("app", ["victim", "eat", "200"]),
            Self::ChildOutOfMemory => ContainerSpec::new("app", ["victim", "child-eat", "200"]),
            Self::ExitsWith137 => ContainerSpec::new("app", ["victim", "exit", "137"]),
            Self::Segfaults => ContainerSpec::new("app", ["victim", "segv"]),
            Self::CommandNotFound => ContainerSpec::new("app", ["no-such-command"]),
            Self::Lives => ContainerSpec::new("app", ["victim", "sleep"]),
        };
        container.memory_limit(64 * MIB).single_process_oom_kill()
    }

    fn verdict(self, pod: &Pod) -> Option<Verdict> {
        match self {
            Self::OutOfMemory => Some(Verdict::fatal(pod, Cause::OomContainerLimit).exit_code(137).signal(9)),
            Self::ChildOutOfMemory => Some(Verdict::survived(pod, Cause::OomContainerLimit).signal(9)),
            Self::ExitsWith137 => Some(Verdict::fatal(pod, Cause::ApplicationExit).exit_code(137).signal(0)),
            Self::Segfaults => Some(Verdict::fatal(pod, Cause::CrashSegfault).exit_code(139).signal(11)),
            Self::CommandNotFound => Some(Verdict::fatal(pod, Cause::CommandNotFound).exit_code(128).signal(0)),
            Self::Lives => None,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_containers_at_once_are_not_mistaken_for_each_other() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let fates: Vec<(String, Fate)> = (0..30).map(|i| (format!("pod-{i}"), Fate::ALL[i % Fate::ALL.len()])).collect();
    let pods = fates.iter().map(|(name, fate)| run_one(&node, name, fate.container()));
    let pods = futures::future::try_join_all(pods).await?;
    let verdicts: Vec<Verdict> = pods.iter().zip(&fates).filter_map(|(pod, (_, fate))| fate.verdict(pod)).collect();
    assert_eq!(coroner.conclude_all(&verdicts).await?.len(), 25);
    Ok(())
}

/// The death of another pod shows that the agent was awake.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reported_about_running_containers() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let living = [
        ContainerSpec::new("app", ["victim", "sleep"]).memory_limit(64 * MIB),
        ContainerSpec::new("full", ["victim", "eat", "40"]).memory_limit(64 * MIB),
        ContainerSpec::new("many", ["victim", "fork", "20"]),
    ];
    node.kubelet().run(&PodSpec::new("healthy", living)).await?;
    let dead = run_one(&node, "dead", ContainerSpec::new("app", ["victim", "exit", "3"])).await?;
    // The program's own log might name a better cause for an everyday status.
    let verdict = Verdict::fatal(&dead, Cause::ApplicationExit).exit_code(3).signal(0);
    coroner.conclude([verdict.at_least(Confidence::Likely)]).await?;
    Ok(())
}
