//! Measures what Coroner costs and how fast it is, on the machine at hand, beside what was there before it. Prints
//! Markdown; docs/benchmarks.md keeps results.

mod aggregator;
mod cluster;
mod delay;
mod full_node;
mod idle;
mod ingest;
mod kills;
mod process;
mod storm;
mod table;

use anyhow::{Context, Result};

#[tokio::main]
async fn main() -> Result<()> {
    println!("{}\n", machine()?);
    let (settings, wanted): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.contains('='));
    let scale = ingest::Scale::new(&settings)?;
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    if is_wanted("delay") {
        println!("{}", delay::measure().await.context("measuring the delay")?);
    }
    if is_wanted("idle") {
        println!("{}", idle::measure().await.context("measuring the agent at rest")?);
    }
    if is_wanted("full") {
        println!("{}", full_node::measure().await.context("measuring the agent of a full node")?);
    }
    if is_wanted("storm") {
        println!("{}", storm::measure().await.context("measuring a storm of OOM kills")?);
    }
    if is_wanted("cluster") {
        println!("{}", cluster::measure().await.context("measuring the watch of a large cluster")?);
    }
    if is_wanted("ingest") {
        println!("{}", ingest::measure(&scale).await.context("measuring ingest and feed")?);
    }
    Ok(())
}

/// In a line: when and where.
fn machine() -> Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").context("reading /proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("an unknown processor");
    let memory = std::fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    let memory =
        memory.lines().next().and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse::<u64>().ok());
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").context("reading the kernel's release")?;
    let containerd =
        std::process::Command::new("containerd").arg("--version").output().context("asking containerd's version")?;
    let containerd =
        String::from_utf8_lossy(&containerd.stdout).split_whitespace().nth(2).unwrap_or_default().to_owned();
    Ok(format!(
        "{}: {} × {}, {} MiB, Linux {}, cgroup {:?}, containerd {containerd}",
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        std::thread::available_parallelism().context("counting processors")?,
        model.trim_start_matches([' ', '\t', ':']),
        memory.unwrap_or_default() / 1024,
        release.trim(),
        coroner_tests::Version::here(),
    ))
}
