//! What agent and aggregator cost when nothing dies.

use std::time::Duration;

use anyhow::Result;
use coroner_tests::coroner::Coroner;
use coroner_tests::{ContainerSpec, MIB, Node, PodSpec};

use crate::{process, table};

const PODS: usize = 50;
const MINUTE: Duration = Duration::from_secs(60);
/// How long the programs have before it for what a start, and the start of all containers, entails.
const START: Duration = Duration::from_secs(15);

pub(crate) async fn measure() -> Result<String> {
    let node = Node::start().await?;
    let coroner = Coroner::start(&node).await?;
    for i in 0..PODS {
        let containers =
            ["app", "sidecar"].map(|name| ContainerSpec::new(name, ["victim", "sleep"]).memory_limit(16 * MIB));
        node.kubelet().run(&PodSpec::new(&format!("idle-{i}"), containers)).await?;
    }
    minute(&format!("{} idle containers in {PODS} pods, over a minute", 2 * PODS), &coroner).await
}

/// What agent and aggregator cost in a minute.
pub(crate) async fn minute(title: &str, coroner: &Coroner) -> Result<String> {
    // Neither to wait for anything: these are the minute that is measured, and what it does not include.
    tokio::time::sleep(START).await;
    let processes = [("agent", coroner.agent_pid()), ("aggregator", coroner.aggregator_pid())];
    let before = processes.map(|(_, pid)| process::cpu(pid));
    tokio::time::sleep(MINUTE).await;
    let mut rows = vec![];
    for ((name, pid), before) in processes.into_iter().zip(before) {
        let share = (process::cpu(pid)? - before?).as_secs_f64() / MINUTE.as_secs_f64();
        let (resident, most) = process::memory(pid)?;
        let value = format!(
            "{} ({} without the program's file), most {}, {:.2} % of a core",
            table::mebibytes(resident),
            table::mebibytes(process::anonymous(pid)?),
            table::mebibytes(most),
            share * 100.0
        );
        rows.push((name, value));
    }
    Ok(table::values(title, &rows))
}
