//! The way from agents to readers: what the aggregator takes, durable, beside the disk's own limit and beside NATS
//! JetStream; what it serves; and what it costs when there is much of either.

mod alternate;
mod ceiling;
mod connected;
mod jetstream;
mod load;
mod page;
mod readers;
mod stored;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::load::Load;
use crate::{aggregator::Aggregator, table};

/// How much; each can be set by an argument, as `stored=10000000`.
#[derive(Debug)]
pub(crate) struct Scale {
    /// Diagnoses of each row of ingest.
    records: u64,
    /// Diagnoses that are searched.
    stored: u64,
    /// Agents that are connected at once.
    agents: u64,
    /// Another build of the aggregator, which alone is compared with this one.
    other: Option<PathBuf>,
}

impl Scale {
    pub(crate) fn new(settings: &[String]) -> Result<Self> {
        let mut scale = Self { records: 200_000, stored: 1_000_000, agents: 5_000, other: None };
        for setting in settings {
            let (name, value) = setting.split_once('=').context("a setting is NAME=VALUE")?;
            let number = || value.parse().with_context(|| format!("{setting}: no number"));
            match name {
                "records" => scale.records = number()?,
                "stored" => scale.stored = number()?,
                "agents" => scale.agents = number()?,
                "other" => scale.other = Some(value.into()),
                _ => bail!("{setting}: settings are records, stored, agents and other"),
            }
        }
        Ok(scale)
    }
}

/// Senders at once.
const AGENTS: [u64; 3] = [1, 10, 1_000];
/// Readers of the same at once.
const READERS: [usize; 3] = [1, 10, 100];

pub(crate) async fn measure(scale: &Scale) -> Result<String> {
    allow_many_descriptors()?;
    if let Some(other) = &scale.other {
        return alternate::measure(other, scale.records).await.context("two builds in turns");
    }
    let tables = [
        ingest(scale).await.context("ingest")?,
        fan_out(scale).await.context("fan-out")?,
        connected::measure(scale.agents).await.context("connected agents")?,
        stored::measure(scale.stored).await.context("queries")?,
    ];
    Ok(tables.join("\n"))
}

async fn ingest(scale: &Scale) -> Result<String> {
    let mut rows = vec![(
        "straight into SQLite, batches of 500, each synced (the ceiling)".to_owned(),
        Ok(ceiling::measure(scale.records)?),
    )];
    for agents in AGENTS {
        let aggregator = Aggregator::start().await?;
        let load = Load::new(agents, scale.records);
        let rate = load.push(&aggregator).await?;
        let name = format!("aggregator, {}", load.describe("agents"));
        let readable = format!("{name}, until all can be read");
        rows.push((name, Ok(rate.acknowledged)));
        rows.push((readable, Ok(rate.readable)));
    }
    for clients in AGENTS {
        // A tenth: a message that is synced by itself takes its time.
        let load = Load::new(clients, scale.records / 10);
        let name = format!("JetStream on files, {}", load.describe("clients"));
        match jetstream::Server::start().await? {
            Ok(server) => rows.push((format!("{name}, {}", server.syncs()), Ok(server.publish(&load).await?))),
            Err(why) => rows.push((name, Err(why))),
        }
    }
    let title = format!("{} diagnoses of about 1 KiB, acknowledged when they are durable", scale.records);
    Ok(table::rates(&title, "diagnoses/s", &rows))
}

async fn fan_out(scale: &Scale) -> Result<String> {
    // A tenth, as the last row reads it a hundred times.
    let records = scale.records / 10;
    let aggregator = Aggregator::start().await?;
    Load::new(1, records).push(&aggregator).await?;
    let mut rows = Vec::new();
    for readers in READERS {
        let rate = readers::measure(&aggregator, readers, records).await?;
        let each = rate.frames / readers as f64;
        rows.push((format!("{readers} readers, {each:.1} frames/s each"), Ok(rate.diagnoses)));
    }
    let title = format!("all of {records} diagnoses, read by each of so many at once");
    Ok(table::rates(&title, "diagnoses/s, all readers", &rows))
}

/// Each agent is a connection, at either end.
fn allow_many_descriptors() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("asking for the limit of descriptors")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raising the limit of descriptors")
}
