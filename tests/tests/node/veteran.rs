//! A container that was there before all the others.

use anyhow::{Context, Result, ensure};
use coroner_proto::v1::{Cause, Diagnosis};
use coroner_tests::coroner::Received;
use coroner_tests::{ContainerSpec, MIB, Pod, Verdict, until_it_handles};
use futures::{StreamExt, TryStreamExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{run_one, watched_node};

/// Short containers that are made at the same time.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_killed_after_sixty_others_have_lived() -> Result<()> {
    a_child_is_killed_after(60).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour: make soak"]
async fn a_child_is_killed_after_two_thousand_others_have_lived() -> Result<()> {
    a_child_is_killed_after(2_000).await
}

async fn a_child_is_killed_after(others: usize) -> Result<()> {
    let (node, coroner) = watched_node().await?;
    let container = ContainerSpec::new("app", ["victim", "child-eat-on-usr1", "200"]).memory_limit(64 * MIB);
    let veteran = run_one(&node, "veteran", container.single_process_oom_kill()).await?;
    let pid = Pid::from_raw(node.kubelet().pid(veteran.only_container()).await?);
    until_it_handles(pid, "SigCgt", Signal::SIGUSR1).await?;
    for kills in 1..=2 {
        kill(pid, Signal::SIGUSR1).context("waking the veteran")?;
        let what = format!("kill {kills} of a child");
        coroner.wait_for(&what, |received| (killed(received, &veteran).len() == kills).then_some(())).await?;
        if kills == 1 {
            let names = (0..others).map(|i| format!("short-{i}"));
            let lives = names.map(|name| {
                let node = &node;
                async move {
                    let pod = run_one(node, &name, ContainerSpec::new("app", ["victim", "exit", "0"])).await?;
                    node.kubelet().ended(pod.only_container()).await?;
                    node.kubelet().remove(&pod).await
                }
            });
            futures::stream::iter(lives).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        }
    }
    let received = coroner.everything().await?;
    let first: Vec<_> = received.diagnoses.iter().filter(|d| d.revision == 1 && is_about(d, &veteran)).collect();
    ensure!(first.len() == 2, "{} diagnoses were begun: {first:#?}", first.len());
    coroner.conclude([Verdict::survived(&veteran, Cause::OomContainerLimit).signal(9)]).await?;
    Ok(())
}

fn killed(received: &Received, pod: &Pod) -> Vec<Diagnosis> {
    let last = received.last_revisions().into_iter();
    last.filter(|d| is_about(d, pod) && d.cause() == Cause::OomContainerLimit).cloned().collect()
}

fn is_about(diagnosis: &Diagnosis, pod: &Pod) -> bool {
    diagnosis.pod.as_ref().is_some_and(|about| about.uid == pod.uid)
}
