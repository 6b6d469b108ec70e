//! A network that is cut between an agent, the real program, and the aggregator. Each lives in a network namespace of
//! its own, which ends with them.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use coroner_tests::{Daemon, until};
use nix::sched::{CloneFlags, setns};
use tokio::net::TcpListener;

use crate::feeder::Feeder;
use crate::stage::{Stage, listens};

/// More than passes before the cut.
const RECORDS: u64 = 40_000;
/// So slow is the link.
const RATE: &str = "8mbit";

/// A network namespace that lives as long as its daemon.
pub(crate) struct Network(Daemon);

impl Network {
    pub(crate) async fn start(stage: &Stage, name: &str) -> Result<Self> {
        let mut daemon = stage.start(name, &["unshare", "--net", "sleep", "infinity"].map(str::to_owned))?;
        let own = std::fs::read_link("/proc/self/ns/net")?;
        until("the namespace is there", async || {
            daemon.check()?;
            let of_daemon = std::fs::read_link(format!("/proc/{}/ns/net", daemon.pid()));
            Ok(of_daemon.is_ok_and(|of_daemon| of_daemon != own).then_some(()))
        })
        .await?;
        Ok(Self(daemon))
    }

    /// These words as a program in this namespace.
    pub(crate) fn command(&self, command: Vec<String>) -> Vec<String> {
        let enter = ["nsenter", &format!("--net=/proc/{}/ns/net", self.0.pid()), "--"].map(str::to_owned);
        enter.into_iter().chain(command).collect()
    }

    pub(crate) fn run(&self, command: &str) -> Result<()> {
        let command = self.command(command.split(' ').map(str::to_owned).collect());
        let output =
            Command::new(&command[0]).args(&command[1..]).output().with_context(|| format!("running {command:?}"))?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// The process that keeps it.
    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// A listener in this namespace: a socket belongs to the one in which it was made.
    pub(crate) fn listener(&self, address: &str) -> Result<TcpListener> {
        let (pid, address) = (self.pid(), address.to_owned());
        let bound = std::thread::spawn(move || {
            setns(std::fs::File::open(format!("/proc/{pid}/ns/net"))?, CloneFlags::CLONE_NEWNET)?;
            let listener = std::net::TcpListener::bind(&address)?;
            listener.set_nonblocking(true)?;
            anyhow::Ok(listener)
        });
        let listener = bound.join().map_err(|_| anyhow::anyhow!("the thread panicked"))??;
        Ok(TcpListener::from_std(listener)?)
    }

    /// Whether a connection of TCP is open in it.
    fn is_connected(&self) -> Result<bool> {
        const ESTABLISHED: &str = "01";
        let connections = std::fs::read_to_string(format!("/proc/{}/net/tcp", self.0.pid()))?;
        Ok(connections.lines().any(|line| line.split_whitespace().nth(3) == Some(ESTABLISHED)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_cut_off_for_longer_than_keepalive_goes_on_where_it_was() -> Result<()> {
    let stage = Stage::new()?;
    let (of_agent, of_aggregator) =
        (Network::start(&stage, "agents-network").await?, Network::start(&stage, "aggregators-network").await?);
    of_aggregator.run(&format!("ip link add net0 type veth peer name net0 netns {}", of_agent.0.pid()))?;
    for (network, address) in [(&of_agent, "192.0.2.1/30"), (&of_aggregator, "192.0.2.2/30")] {
        network.run(&format!("ip address add {address} dev net0"))?;
        network.run("ip link set net0 up")?;
    }
    of_agent.run(&format!("tc qdisc add dev net0 root tbf rate {RATE} burst 16kb latency 100ms"))?;

    let command = stage.aggregator_command(&stage.path("ledger.db"), &["--listen", "192.0.2.2:7070", "--insecure"])?;
    let mut aggregator = stage.start("aggregator", &of_aggregator.command(command))?;
    listens(&mut aggregator).await?;
    let subscriber = stage.subscriber()?;

    let outbox = stage.path("outbox.db");
    let mut feeder = Feeder::start(1, stage.unused_url(), &outbox, 64 << 20)?;
    let last = feeder.push_next(RECORDS).await?;
    feeder.end().await?;
    let command = stage.agent_command(1, &outbox, &["--aggregator", "http://192.0.2.2:7070", "--insecure"])?;
    let mut agent = stage.start("agent", &of_agent.command(command))?;
    subscriber.until("some have come", |received| received.of(1).len() > 1_000).await?;
    of_aggregator.run("ip link set net0 down")?;
    until("the agent notices", async || {
        agent.check()?;
        Ok(agent.output().contains("does not take records").then_some(()))
    })
    .await?;
    until("the aggregator gives the connection up", async || Ok((!of_aggregator.is_connected()?).then_some(())))
        .await?;
    ensure!(subscriber.received().of(1).last() < Some(&last), "all have come before the cut");

    of_aggregator.run("ip link set net0 up")?;
    let received = subscriber.until_all(1, last).await.with_context(|| agent.tail())?;
    ensure!(received.gaps.is_empty(), "nothing was lost: {:?}", received.gaps);
    ensure!(agent.output().matches("The aggregator takes records").count() >= 2, "{}", agent.tail());
    ensure!(agent.stop()?.success() && aggregator.stop()?.success());
    Ok(())
}
