//! What only cgroup v2 does, and what only a machine of its own may suffer. The virtual machine runs these.

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::{Cause, OomScope};
use coroner_tests::{ContainerSpec, MIB, Verdict, Version};

use crate::{run_one, watched_node};

#[test]
#[ignore = "needs cgroup v2: the virtual machine runs it"]
fn the_machine_has_cgroup_v2() -> Result<()> {
    ensure!(Version::here() == Version::V2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs cgroup v2: the virtual machine runs it"]
async fn with_oom_group_one_greedy_child_takes_the_whole_container_along() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let container = ContainerSpec::new("app", ["victim", "child-eat", "200"]).memory_limit(64 * MIB);
    let pod = run_one(&node, "cart", container).await?;
    let verdict = Verdict::fatal(&pod, Cause::OomContainerLimit).exit_code(137).signal(9);
    let [diagnosis] = coroner.conclude([verdict]).await?;
    let memory = diagnosis.memory.context("an OOM verdict has memory")?;
    assert_eq!(memory.oom_group, Some(true));
    let process = diagnosis.process.context("an OOM verdict names a victim")?;
    let victims: Vec<_> = diagnosis.other_victims.iter().chain([&process]).collect();
    assert_eq!(victims.len(), 2, "parent and child: {victims:?}");
    assert_eq!(victims.iter().filter(|victim| victim.is_main == Some(true)).count(), 1, "{victims:?}");
    Ok(())
}

/// Two pods without limits, one of which takes all that the machine has.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes the whole machine's memory: the virtual machine runs it"]
async fn a_node_out_of_memory_is_not_the_containers_limit() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let quiet = run_one(&node, "quiet", ContainerSpec::new("app", ["victim", "sleep"])).await?;
    let greedy = run_one(&node, "greedy", ContainerSpec::new("app", ["victim", "eat", "100000"])).await?;
    let verdict = Verdict::fatal(&greedy, Cause::OomNode).exit_code(137).signal(9);
    let [diagnosis] = coroner.conclude([verdict]).await?;
    let memory = diagnosis.memory.context("an OOM verdict has memory")?;
    assert_eq!(memory.scope(), OomScope::Node);
    node.kubelet().pid(quiet.only_container()).await.context("the other pod lives on")?;
    Ok(())
}
