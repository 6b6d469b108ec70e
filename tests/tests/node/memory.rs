//! Memory.

use anyhow::{Context, Result};
use coroner_proto::v1::{Cause, OomScope};
use coroner_tests::{ContainerSpec, MIB, PodSpec, Verdict};

use crate::{run_one, watched_node};

/// The pod's cgroup has the same limit and holds the sandbox too, so the kernel names the pod's cgroup. It is the
/// container's limit all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_at_its_limit_dies_of_its_own_limit() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let pod =
        run_one(&node, "cart", ContainerSpec::new("app", ["victim", "eat", "200"]).memory_limit(64 * MIB)).await?;
    let verdict = Verdict::fatal(&pod, Cause::OomContainerLimit).exit_code(137).signal(9).measured();
    let [diagnosis] = coroner.conclude([verdict]).await?;
    let memory = diagnosis.memory.context("an OOM verdict has memory")?;
    assert_eq!(memory.scope(), OomScope::Container);
    assert_eq!(memory.container_limit_bytes, Some(64 * MIB));
    assert_eq!(memory.limit_bytes, Some(64 * MIB));
    let process = diagnosis.process.context("an OOM verdict names the victim")?;
    assert_eq!((process.name.as_str(), process.is_main), ("victim", Some(true)));
    assert!(process.anon_rss_bytes.is_some_and(|bytes| bytes > 32 * MIB && bytes <= 64 * MIB), "{process:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_is_killed_alone_does_not_count_as_the_containers_end() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let container = ContainerSpec::new("app", ["victim", "child-eat", "200"]).memory_limit(64 * MIB);
    let pod = run_one(&node, "cart", container.single_process_oom_kill()).await?;
    let [diagnosis] = coroner.conclude([Verdict::survived(&pod, Cause::OomContainerLimit).signal(9)]).await?;
    let process = diagnosis.process.context("an OOM verdict names the victim")?;
    assert_eq!((process.name.as_str(), process.is_main), ("victim", Some(false)));
    node.kubelet().pid(pod.only_container()).await.context("the container lives on")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_main_process_that_gives_up_after_its_childs_oom_kill_died_of_it() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let container = ContainerSpec::new("app", ["victim", "child-eat-then-exit", "200", "1"]).memory_limit(64 * MIB);
    let pod = run_one(&node, "cart", container.single_process_oom_kill()).await?;
    coroner.conclude([Verdict::fatal(&pod, Cause::OomContainerLimit).exit_code(1)]).await?;
    Ok(())
}

/// On cgroup v1 the kernel notifies every container of the pod, and its sandbox, that the pod ran out of memory. The
/// neighbour is unharmed, and nothing may be reported about it.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_at_its_own_limit_loses_the_greedy_container_only() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let neighbour = ContainerSpec::new("quiet", ["victim", "sleep"]);
    let greedy = ContainerSpec::new("greedy", ["victim", "eat", "300"]);
    let pod = node.kubelet().run(&PodSpec::new("cart", [neighbour, greedy]).memory_limit(96 * MIB)).await?;
    let verdict = Verdict::about(&pod, &pod.containers[1], Cause::OomPodLimit, true).exit_code(137).signal(9);
    let [diagnosis] = coroner.conclude([verdict]).await?;
    let memory = diagnosis.memory.context("an OOM verdict has memory")?;
    assert_eq!(memory.scope(), OomScope::Pod);
    assert_eq!(memory.pod_limit_bytes, Some(96 * MIB));
    node.kubelet().pid(&pod.containers[0]).await.context("the neighbour lives on")?;
    Ok(())
}
