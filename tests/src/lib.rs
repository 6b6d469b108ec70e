//! What the tests across crates stand on: a real containerd with the tests in the kubelet's place, the real agent and
//! aggregator beside it, and a virtual machine with a real cgroup v2 kernel. `tests/README.md` shows the whole.

pub mod api_server;
pub mod case;
use anyhow::Context;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

mod cgroup;
mod containerd;
pub mod coroner;
mod daemon;
pub mod docker;
pub mod flow;
pub mod http;
mod image;
mod kubelet;
pub mod kubelet_server;
pub mod large_cluster;
pub mod life;
pub mod machine;
mod node;
mod scratch;
pub mod secured;
pub mod stand_ins;
mod verdict;
pub mod virtual_node;

pub use cgroup::{Cgroup, Version};
pub use daemon::Daemon;
pub use kubelet::{Container, ContainerSpec, Kubelet, Pod, PodSpec};
pub use node::Node;
pub use scratch::Scratch;
pub use verdict::{Verdict, describe};

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

/// Waits until a process has `signal` in a mask of its /proc/PID/status: `SigCgt` (caught), `SigBlk` (blocked). Before
/// that, most signals do nothing to the PID 1 of a container. Started containers are `runc init` for another moment,
/// which catches most signals for its Go runtime.
///
/// # Errors
/// That it does not come, or that the process is gone.
pub async fn until_it_handles(pid: Pid, mask: &str, signal: Signal) -> anyhow::Result<()> {
    let what = format!("{signal} is in {mask} of {pid}");
    until(&what, async || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("reading the victim's status")?;
        if status.starts_with("Name:\trunc") {
            return Ok(None);
        }
        let line = status.lines().find_map(|line| line.strip_prefix(mask)?.strip_prefix(':'));
        let bits = u64::from_str_radix(line.context("no such mask")?.trim(), 16).context("a mask is a number")?;
        Ok((bits & 1 << (signal as u64 - 1) != 0).then_some(()))
    })
    .await
}
