//! The memory of the aggregator for agents that are connected and have nothing to report.

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};

use super::{Aggregator, load};
use crate::{process, table};

/// Connections that are made at once.
const CONNECTING: usize = 32;

pub(super) async fn measure(agents: u64) -> Result<String> {
    let aggregator = Aggregator::start().await?;
    let (before, _) = process::memory(aggregator.pid())?;
    let clients = (0..agents).map(async |agent| {
        let mut client = aggregator.ingest().await?;
        load::deliver(&mut client, load::push(agent, agent, agent..agent + 1)).await?;
        anyhow::Ok(client)
    });
    // Held until the memory is read: each is a connection.
    let clients: Vec<_> = stream::iter(clients).buffer_unordered(CONNECTING).try_collect().await?;
    let (now, most) = process::memory(aggregator.pid())?;
    drop(clients);
    let of_each = now.saturating_sub(before) / agents.max(1);
    let rows = [
        ("aggregator's memory without any", table::mebibytes(before)),
        ("with all of them, most ever", format!("{}, {}", table::mebibytes(now), table::mebibytes(most))),
        ("of each", format!("{:.1} KiB", of_each as f64 / 1024.0)),
    ];
    Ok(table::values(&format!("{agents} agents connected, one push each"), &rows))
}
