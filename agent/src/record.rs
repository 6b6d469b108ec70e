//! `coroner-agent record`: what the sources of this node observe for a while, for `coroner record` to pack.
//!
//! Nothing is examined and nothing is sent. Each line on stdout is a row of `observed` (`diagnosis/recording`), without
//! secrets; the last line is `{"case": …}`, the contents of `case.json`. Beside a running agent: each source has a
//! connection of its own, and takes nothing from the other's.

use std::{
    io::{self, Write},
    time::Duration,
};

use coroner_diagnosis::{
    observation::Observation,
    recording::{FORMAT, RecordedNode, Recording, Scope, row},
};
use coroner_runtime::{metrics::Metrics, signals::StopSignals, tasks::Supervisor};
use jiff::Timestamp;
use serde_json::json;
use tokio::{select, sync::mpsc, time::sleep};

use crate::{
    config::{NodeConfig, RecordConfig},
    node,
    report::NodeState,
    sources::{self, logs, outlet::CAPACITY, site::Site},
};

/// How long sources may take to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(2);
/// Observations that are taken at once.
const BURST: usize = 64;

/// Records until the time is over, the bound is reached, or a signal asks for the end.
///
/// # Errors
/// If the reader of `out` has gone.
pub async fn run(config: RecordConfig, out: impl Write) -> io::Result<()> {
    let RecordConfig { node: NodeConfig { name, cluster_uid, sources }, duration, max_bytes, scope } = config;
    let mut stop_signals = StopSignals::listen()?;
    let node = node::identify(&sources.host, name, cluster_uid);
    let start = Timestamp::now();
    let supervisor = Supervisor::new(&Metrics::default());
    let group = supervisor.group();
    let (sender, mut observations) = mpsc::channel(CAPACITY);
    let site = Site::new(group.clone(), sender);
    let logs = sources::start(&site, &sources, &node.name, &NodeState::default());
    drop(site);

    let namespace = scope.namespace.clone().unwrap_or_default();
    let mut rows = Rows { out, left: max_bytes, scope, logs };
    let mut burst = Vec::with_capacity(BURST);
    let mut over = Box::pin(sleep(duration));
    let mut full = false;
    while !full {
        select! {
            seen = observations.recv_many(&mut burst, BURST) => if seen == 0 { break },
            () = &mut over => break,
            _ = stop_signals.next() => break,
        }
        full = rows.write(burst.drain(..))?;
    }
    // What the sources have already observed belongs to the recording.
    observations.close();
    while !full && observations.recv_many(&mut burst, BURST).await > 0 {
        full = rows.write(burst.drain(..))?;
    }
    group.stop(STOP_DEADLINE).await;
    let recording = Recording {
        format: FORMAT,
        coroner: env!("CARGO_PKG_VERSION").to_owned(),
        full,
        start,
        end: Timestamp::now(),
        boot_offset_ns: 0,
        namespace,
        node: RecordedNode { name: node.name, kernel: node.kernel_release, ..RecordedNode::default() },
    };
    writeln!(rows.out, "{}", json!({ "case": recording }))?;
    rows.out.flush()
}

/// Where the rows go.
struct Rows<W> {
    out: W,
    /// Bytes that may still be written.
    left: u64,
    scope: Scope,
    logs: logs::Requests,
}

impl<W: Write> Rows<W> {
    /// Writes what is within the scope, and returns whether the bound is reached.
    fn write(&mut self, observations: impl Iterator<Item = Observation>) -> io::Result<bool> {
        for observation in observations {
            let Some(observation) = self.scope.narrow(observation) else { continue };
            self.logs.follow(&observation.fact);
            let Some(row) = row(&observation) else { continue };
            let bytes = u64::try_from(row.len()).unwrap_or(u64::MAX).saturating_add(1);
            let Some(left) = self.left.checked_sub(bytes) else { return Ok(true) };
            self.left = left;
            writeln!(self.out, "{row}")?;
        }
        Ok(false)
    }
}
