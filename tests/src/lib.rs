//! What the tests across crates stand on: a real containerd with the tests in the kubelet's place, the real agent and
//! aggregator beside it, and a virtual machine with a real cgroup v2 kernel. `tests/README.md` shows the whole.

pub mod case;
mod cgroup;
mod containerd;
pub mod coroner;
mod daemon;
mod image;
mod kubelet;
pub mod machine;
mod node;
mod scratch;
mod verdict;

pub use cgroup::{Cgroup, Version};
pub use kubelet::{Container, ContainerSpec, Kubelet, Pod, PodSpec};
pub use node::Node;
pub use verdict::Verdict;

/// 2^20 bytes.
pub const MIB: u64 = 1 << 20;

/// How long anything that a test waits for may take on a slow and busy machine. No test passes sooner or later by it.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// Asks `question` until it has an answer; fails with `what` after [`PATIENCE`].
///
/// # Errors
/// The first error of `question`, or that the time is up.
pub async fn until<T>(what: &str, mut question: impl AsyncFnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = question().await? {
            return Ok(answer);
        }
        anyhow::ensure!(tokio::time::Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
