//! Real deaths on a real node, each explained at a gRPC subscriber: containerd and runc, the tests in the kubelet's
//! place, the kernel's own OOM kills and signals.
//!
//! The same tests run on the host's kernel, whatever its cgroups, and once more in a virtual machine with cgroup v2,
//! together with those of `cgroup_v2`, which would harm a host or need what it may not have.

mod cgroup_v2;
mod crowd;
mod daemons;
mod ends;
mod memory;
mod record;
mod sources;
mod veteran;
mod victims;
mod virtual_machine;

use anyhow::Result;
use coroner_tests::coroner::Coroner;
use coroner_tests::{ContainerSpec, Node, Pod, PodSpec};

/// A node that an agent watches.
async fn watched_node() -> Result<(Node, Coroner)> {
    let node = Node::start().await?;
    let coroner = Coroner::start(&node).await?;
    Ok((node, coroner))
}

/// Runs a pod of one container.
async fn run_one(node: &Node, pod: &str, container: ContainerSpec) -> Result<Pod> {
    node.kubelet().run(&PodSpec::new(pod, [container])).await
}
