//! Where a fault happens: a directory of its own and an aggregator, the real program, in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use coroner_proto::v1::ingest_service_client::IngestServiceClient;
use coroner_tests::coroner::{Client, agent, aggregator};
use coroner_tests::flow::name;
use coroner_tests::{Daemon, Scratch, until};
use tonic::transport::{Channel, Endpoint};

use crate::feeder::Feeder;
use crate::subscriber::Subscriber;

/// A directory, and the programs that run over it.
pub(crate) struct Stage {
    scratch: Scratch,
}

impl Stage {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { scratch: Scratch::new()? })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.directory().join(name)
    }

    /// Starts a program with this command line, with its log in `NAME.log`.
    pub(crate) fn start(&self, name: &str, command: &[String]) -> Result<Daemon> {
        let (program, arguments) = command.split_first().context("no program is named")?;
        let log = self.path(name).with_extension("log");
        Daemon::start(Path::new(program), arguments, &self.scratch.daemons(), log)
    }

    /// Starts an aggregator over this ledger and waits until it listens, on the unix socket at least.
    pub(crate) async fn aggregator(&self, ledger: &Path, flags: &[&str]) -> Result<Daemon> {
        let mut daemon = self.start("aggregator", &self.aggregator_command(ledger, flags)?)?;
        listens(&mut daemon).await?;
        Ok(daemon)
    }

    pub(crate) fn aggregator_command(&self, ledger: &Path, flags: &[&str]) -> Result<Vec<String>> {
        let command =
            [&aggregator()?.display().to_string(), "--cluster-watch=off", "--listen", &self.url(), "--ledger"];
        let command = command.into_iter().chain([text(ledger)?]).chain(flags.iter().copied());
        Ok(command.map(str::to_owned).collect())
    }

    /// A real agent over this outbox, on a node where there is nothing to see. What it still sees (the kernel's own log
    /// is not a file of the node) is none of the test's numbers.
    pub(crate) fn agent_command(&self, node: u16, outbox: &Path, flags: &[&str]) -> Result<Vec<String>> {
        let nothing = self.path("nothing");
        fs::create_dir_all(&nothing)?;
        let command = [&agent()?.display().to_string(), "--node-name", &name(node), "--host-root"];
        let command =
            command.into_iter().chain([text(&nothing)?, "--outbox", text(outbox)?]).chain(flags.iter().copied());
        Ok(command.map(str::to_owned).collect())
    }

    /// An address without a listener.
    pub(crate) fn unused_url(&self) -> String {
        format!("unix://{}", self.path("unused.sock").display())
    }

    /// The aggregator's.
    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.path("feed.sock").display())
    }

    /// A way to the aggregator, made when it is used.
    pub(crate) fn channel(&self) -> Result<Channel> {
        Ok(Endpoint::from_shared(self.url())?.connect_lazy())
    }

    pub(crate) fn feed(&self) -> Result<Client> {
        Ok(Client::new(self.channel()?).max_decoding_message_size(64 << 20))
    }

    pub(crate) fn ingest(&self) -> Result<IngestServiceClient<Channel>> {
        Ok(IngestServiceClient::new(self.channel()?))
    }

    /// Follows the feed from its oldest record on, whatever happens to the aggregator.
    pub(crate) fn subscriber(&self) -> Result<Subscriber> {
        Ok(Subscriber::start(self.feed()?))
    }

    /// The outbox and the uplink of this node's agent, with the outbox in a directory of its own.
    pub(crate) fn feeder(&self, node: u16) -> Result<Feeder> {
        Feeder::start(node, self.url(), &self.path(&format!("agent-{node}/outbox.db")), 64 << 20)
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path of text")
}

/// Waits until an aggregator takes requests.
pub(crate) async fn listens(aggregator: &mut Daemon) -> Result<()> {
    until("the aggregator listens", async || {
        aggregator.check()?;
        Ok(aggregator.output().contains("listening on ").then_some(()))
    })
    .await
}
