//! The container runtime of a node that is stopped, cannot be reached, and is killed, under a running agent.

use anyhow::{Context, Result};
use coroner_proto::v1::{Cause, Confidence, Diagnosis, SubjectKind};
use coroner_tests::coroner::{Coroner, Received};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::watched_node;

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_stopped_unreachable_and_killed_is_named_each_time_until_it_is_back() -> Result<()> {
    let (mut node, coroner) = watched_node().await?;
    let pid = Pid::from_raw(i32::try_from(node.containerd_pid()).context("a pid")?);

    kill(pid, Signal::SIGSTOP).context("stopping containerd")?;
    let hung = until(&coroner, Cause::RuntimeHung, false).await?;
    kill(pid, Signal::SIGCONT).context("continuing containerd")?;
    anyhow::ensure!(hung.confidence() == Confidence::Certain, "state T is certain: {hung:?}");
    anyhow::ensure!(hung.subject.as_ref().is_some_and(|subject| subject.kind() == SubjectKind::Node), "{hung:?}");
    until(&coroner, Cause::RuntimeHung, true).await?;

    let (socket, aside) = (node.socket().to_owned(), node.directory().join("aside.sock"));
    std::fs::rename(&socket, &aside).context("removing the socket")?;
    let gone = until(&coroner, Cause::RuntimeHung, false).await?;
    std::fs::rename(&aside, &socket).context("putting the socket back")?;
    anyhow::ensure!(gone.explanation.contains("cannot be reached"), "{}", gone.explanation);
    until(&coroner, Cause::RuntimeHung, true).await?;

    kill(pid, Signal::SIGKILL).context("killing containerd")?;
    let down = until(&coroner, Cause::RuntimeDown, false).await?;
    anyhow::ensure!(down.uid == hung.uid, "one state of one part of the node has one uid");
    node.stop_containerd()?;
    node.start_containerd().await?;
    until(&coroner, Cause::RuntimeDown, true).await?;
    Ok(())
}

/// Waits until the last revision of a state has this cause, and is over or is not.
async fn until(coroner: &Coroner, cause: Cause, is_over: bool) -> Result<Diagnosis> {
    let last = |received: &Received| {
        let found = received.last_revisions().into_iter();
        let mut found = found.filter(|d| d.cause() == cause && d.resolve_time.is_some() == is_over);
        found.next().cloned()
    };
    coroner.wait_for(&format!("{cause:?}, over: {is_over}"), last).await
}
