//! What the tests stand on, without any agent: if this fails, nothing else can be trusted.

use anyhow::Result;
use coroner_tests::{ContainerSpec, MIB, Node};

use crate::run_one;

#[tokio::test(flavor = "multi_thread")]
async fn victims_end_as_they_are_meant_to() -> Result<()> {
    let node = Node::start().await?;
    let ends = [
        (ContainerSpec::new("app", ["victim", "eat", "200"]), 137),
        (ContainerSpec::new("app", ["victim", "child-eat-then-exit", "200", "3"]).single_process_oom_kill(), 3),
        (ContainerSpec::new("app", ["victim", "exit", "137"]), 137),
        (ContainerSpec::new("app", ["victim", "segv"]), 139),
        (ContainerSpec::new("app", ["no-such-command"]), 128),
        (ContainerSpec::new("app", ["sh", "-c", "victim exit 5"]), 5),
    ];
    for (i, (container, code)) in ends.into_iter().enumerate() {
        let pod = run_one(&node, &format!("pod-{i}"), container.memory_limit(64 * MIB)).await?;
        let status = node.kubelet().ended(pod.only_container()).await?;
        assert_eq!(status.exit_code, code, "{status:?}");
        node.kubelet().remove(&pod).await?;
    }
    Ok(())
}
