//! Ended by a signal or by itself, and never started.

use anyhow::{Context, Result};
use coroner_proto::v1::{Cause, Confidence};
use coroner_tests::{ContainerSpec, MIB, Verdict, until_it_handles};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{run_one, watched_node};

#[tokio::test(flavor = "multi_thread")]
async fn a_segmentation_fault_is_reported_as_such() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let pod = run_one(&node, "cart", ContainerSpec::new("app", ["victim", "segv"])).await?;
    coroner.conclude([Verdict::fatal(&pod, Cause::CrashSegfault).exit_code(139).signal(11)]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_with_137_is_not_a_kill() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let container = ContainerSpec::new("app", ["victim", "exit", "137"]).memory_limit(64 * MIB);
    let pod = run_one(&node, "cart", container).await?;
    coroner.conclude([Verdict::fatal(&pod, Cause::ApplicationExit).exit_code(137).signal(0)]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sigkill_from_outside_is_reported_with_its_sender() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let container = ContainerSpec::new("app", ["victim", "sleep"]).memory_limit(64 * MIB);
    let pod = run_one(&node, "cart", container).await?;
    kill(Pid::from_raw(node.kubelet().pid(pod.only_container()).await?), Signal::SIGKILL)?;
    let verdict = Verdict::fatal(&pod, Cause::KilledExternally).exit_code(137).signal(9);
    let [diagnosis] = coroner.conclude([verdict]).await?;
    // The sender is this test program.
    let sender = std::process::id().to_string();
    let reported =
        diagnosis.evidence.iter().any(|evidence| evidence.source == "signals" && evidence.text.contains(&sender));
    assert!(reported, "pid {sender} sent it: {:#?}", diagnosis.evidence);
    Ok(())
}

/// PID 1 of a container ignores SIGTERM unless it asks for it, so this one is not PID 1.
#[tokio::test(flavor = "multi_thread")]
async fn a_sigterm_from_outside_that_kills_is_reported_as_such() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let pod = run_one(&node, "cart", ContainerSpec::new("app", ["victim", "default-term"]).host_pid()).await?;
    kill(Pid::from_raw(node.kubelet().pid(pod.only_container()).await?), Signal::SIGTERM)?;
    coroner.conclude([Verdict::fatal(&pod, Cause::KilledExternally).exit_code(143).signal(15)]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sigterm_from_outside_that_is_obeyed_is_no_stop_by_request() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let pod = run_one(&node, "cart", ContainerSpec::new("app", ["victim", "sleep", "143"])).await?;
    let pid = Pid::from_raw(node.kubelet().pid(pod.only_container()).await?);
    until_it_handles(pid, "SigCgt", Signal::SIGTERM).await?;
    kill(pid, Signal::SIGTERM)?;
    let verdict = Verdict::fatal(&pod, Cause::KilledExternally).exit_code(143).at_least(Confidence::Likely);
    coroner.conclude([verdict]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_is_obeyed_needs_no_fix() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let pod = run_one(&node, "cart", ContainerSpec::new("app", ["victim", "sleep", "143"])).await?;
    let pid = Pid::from_raw(node.kubelet().pid(pod.only_container()).await?);
    until_it_handles(pid, "SigCgt", Signal::SIGTERM).await?;
    node.kubelet().stop(pod.only_container(), 30).await?;
    let verdict = Verdict::fatal(&pod, Cause::StoppedByRequest).exit_code(143).at_least(Confidence::Likely);
    coroner.conclude([verdict]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_is_not_obeyed_ends_with_the_grace_period() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let pod =
        run_one(&node, "cart", ContainerSpec::new("app", ["victim", "ignore-term"]).memory_limit(64 * MIB)).await?;
    node.kubelet().stop(pod.only_container(), 1).await?;
    let verdict = Verdict::fatal(&pod, Cause::GracePeriodExceeded).exit_code(137).signal(9);
    coroner.conclude([verdict.at_least(Confidence::Likely)]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_exist_is_reported_as_such() -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let pod = run_one(&node, "cart", ContainerSpec::new("app", ["no-such-command"])).await?;
    pod.only_container().start_error.as_ref().context("it cannot have started")?;
    coroner.conclude([Verdict::fatal(&pod, Cause::CommandNotFound).exit_code(128).signal(0)]).await?;
    Ok(())
}
