//! A storm of OOM kills: what it costs, whether everything is accounted for, and whether the aggregator still answers.

use std::time::Duration;

use anyhow::{Context, Result};
use coroner_proto::v1::{Diagnosis, ListDiagnosesRequest};
use coroner_tests::coroner::{Coroner, Received};
use coroner_tests::{ContainerSpec, MIB, Node, Pod, PodSpec};
use tokio::time::Instant;

use crate::{process, table};

/// Together 4,500 kills a minute: one child of each every 200 ms.
const CONTAINERS: usize = 15;
const PERIOD_MILLISECONDS: &str = "200";
const DURATION: Duration = Duration::from_secs(120);
/// How long the agent may take to report the rest once the storm is over.
const REST: Duration = Duration::from_secs(30);

pub(crate) async fn measure() -> Result<String> {
    let node = Node::start().await?;
    let coroner = Coroner::start(&node).await?;
    let kills_before = oom_kills()?;
    let (before, _) = process::memory(coroner.agent_pid())?;
    let cpu_before = process::cpu(coroner.agent_pid())?;
    let mut pods = vec![];
    for i in 0..CONTAINERS {
        let container = ContainerSpec::new("app", ["victim", "child-eat-every", "64", PERIOD_MILLISECONDS]);
        let container = container.memory_limit(16 * MIB).single_process_oom_kill();
        pods.push(node.kubelet().run(&PodSpec::new(&format!("storm-{i}"), [container])).await?);
    }
    let storm = Instant::now();
    let mut answers = vec![];
    let mut failures = 0;
    while storm.elapsed() < DURATION {
        let asked = Instant::now();
        let request = ListDiagnosesRequest { page_size: 100, ..Default::default() };
        match coroner.clone_client().list_diagnoses(request).await {
            Ok(_) => answers.push(asked.elapsed()),
            Err(_) => failures += 1,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seconds = storm.elapsed().as_secs_f64();
    for pod in &pods {
        node.kubelet().stop(pod.only_container(), 0).await?;
    }
    let cpu = process::cpu(coroner.agent_pid())? - cpu_before;
    let kills = oom_kills()? - kills_before;
    let rested = Instant::now();
    while rested.elapsed() < REST && accounted(&coroner.everything().await?, &pods).0 < kills {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let received = coroner.everything().await?;
    let (reported, in_gaps) = accounted(&received, &pods);
    let (after, most) = process::memory(coroner.agent_pid())?;
    let (_, aggregator_most) = process::memory(coroner.aggregator_pid())?;
    let query = |part| table::quantile(&answers, part).map(table::milliseconds).context("no query was answered");
    let rows = [
        ("kills by the kernel", format!("{kills}, {:.0} a minute", kills as f64 / seconds * 60.0)),
        ("of these reported in diagnoses (sum of occurrence counts)", reported.to_string()),
        (
            "diagnoses, and records that the aggregator keeps of them",
            format!("{}, {}", received.last_revisions().len(), received.diagnoses.len()),
        ),
        ("reported as lost in gaps", in_gaps.to_string()),
        ("agent's memory before, most, after", [before, most, after].map(table::mebibytes).join(", ")),
        ("agent's processor time", format!("{:.1} % of a core", cpu.as_secs_f64() / seconds * 100.0)),
        ("aggregator's memory, most", table::mebibytes(aggregator_most)),
        (
            "queries meanwhile: median, p99, failed",
            format!("{}, {}, {failures} of {}", query(0.5)?, query(0.99)?, answers.len() + failures),
        ),
    ];
    Ok(table::values(&format!("a storm of OOM kills in {CONTAINERS} containers, {} s", DURATION.as_secs()), &rows))
}

/// Kills for memory since the machine was started: the kernel counts each of them, whatever its log drops.
fn oom_kills() -> Result<u64> {
    let counters = std::fs::read_to_string("/proc/vmstat").context("reading /proc/vmstat")?;
    let count = counters.lines().find_map(|line| line.strip_prefix("oom_kill ")).context("no oom_kill in it")?;
    count.parse().context("oom_kill is no number")
}

/// How many kills diagnoses account for, and how many gaps.
fn accounted(received: &Received, pods: &[Pod]) -> (u64, u64) {
    let is_ours = |diagnosis: &&&Diagnosis| {
        let uid = diagnosis.pod.as_ref().map(|pod| &pod.uid);
        !diagnosis.fatal && pods.iter().any(|ours| Some(&ours.uid) == uid)
    };
    let revisions = received.last_revisions();
    let reported = revisions.iter().filter(is_ours).map(|diagnosis| u64::from(diagnosis.occurrence_count)).sum();
    (reported, received.gaps.iter().filter_map(|gap| gap.lost_count).sum())
}
