//! The metrics of the aggregator, read from its parts every few seconds.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use coroner_proto::v1::SourceHealth;
use coroner_runtime::metrics::{Counters, Gauge, Gauges, Metrics};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{Reason, Refusals},
    export::Exporter,
    feed::Feed,
    intake::CLUSTER_WATCH,
    ledger::{self, Ledger},
    memory::Limits,
    net::{Acceptor, Expiry},
    nodes::Nodes,
    status::Status,
    time::now,
    triage::Hub,
};

/// How often they are read.
const INTERVAL: Duration = Duration::from_secs(5);
/// Days before a certificate expires from which on the log warns about it,
const WARN_DAYS: i64 = 28;
/// and how often.
const WARN_INTERVAL: Duration = Duration::from_secs(86_400);

/// The metrics, and where they are read from.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    status: Status,
    feed: Feed,
    acceptor: Acceptor,
    hub: Arc<Hub>,
    ledger: OfLedger,
    exporters: OfExporters,
    nodes: Gauge,
    silent: Gauge,
    connections: Gauge,
    streams: Gauge,
    memory: Gauge,
    memory_limit: Gauge,
    limits: Limits,
    watched: Gauges,
    refused: Counters,
    expiries: Gauges,
    /// When the log last warned that a certificate expires soon.
    warned: Option<Instant>,
}

#[derive(Clone, Debug)]
struct OfLedger {
    records: Gauge,
    waiting: Gauge,
    bytes: Gauge,
}

#[derive(Clone, Debug)]
struct OfExporters {
    lag: Gauges,
    lag_seconds: Gauges,
    sent: Counters,
    retried: Counters,
    refused: Counters,
    lost: Counters,
}

impl Reading {
    /// Registers the metrics of these parts. The ledger takes at most `retain_bytes`.
    pub(super) fn new(
        metrics: &Metrics,
        status: Status,
        feed: Feed,
        (acceptor, hub): (Acceptor, Arc<Hub>),
        retain_bytes: u64,
    ) -> Self {
        metrics.build_info(env!("CARGO_PKG_VERSION"));
        metrics.gauge("ledger_limit_bytes", "Bytes that the ledger may use").set(signed(retain_bytes));
        Self {
            status,
            feed,
            acceptor,
            hub,
            ledger: OfLedger {
                records: metrics.gauge("ledger_records", "Records that are kept"),
                waiting: metrics.gauge("ledger_inbox_records", "Records that are stored and not indexed yet"),
                bytes: metrics.gauge("ledger_bytes", "Bytes of the ledger's file that are in use"),
            },
            exporters: OfExporters {
                lag: metrics.gauges("exporter_lag_records", "exporter", "Records that are still to come"),
                lag_seconds: metrics.gauges("exporter_lag_seconds", "exporter", "For how long records have waited"),
                sent: metrics.counters("exporter_sent", "exporter", "Records that the receiver has taken"),
                retried: metrics.counters("exporter_retries", "exporter", "Attempts that were followed by another one"),
                refused: metrics.counters("exporter_refused", "exporter", "Records that the receiver refused for good"),
                lost: metrics.counters("exporter_lost", "exporter", "Records removed before they could be sent"),
            },
            nodes: metrics.gauge("nodes", "Nodes whose agents have reported"),
            silent: metrics.gauge("nodes_silent", "Nodes of which no report comes just now"),
            connections: metrics.gauge("connections", "Connections of agents and readers over TCP"),
            streams: metrics.gauge("streams", "Streams of readers"),
            memory: metrics.gauge("memory_bytes", "Resident memory of the process"),
            memory_limit: metrics.gauge("memory_limit_bytes", "Memory limit of its cgroup; 0 without one"),
            limits: Limits::find(),
            watched: metrics.gauges("cluster_watched", "kind", "Whether all objects of a kind are watched: 1, else 0"),
            refused: metrics.counters("refused", "reason", "Connections and requests that were refused"),
            expiries: metrics.gauges(
                "certificate_expire_timestamp_seconds",
                "purpose",
                "When the first certificate of a kind expires",
            ),
            warned: None,
        }
    }

    /// Reads the values at intervals until it is stopped.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let Status { ledger, nodes, refusals, exporters, .. } = &self.status;
            self.read_ledger(ledger).await;
            self.read_exporters(exporters, *ledger.committed().borrow());
            self.read_others(nodes, refusals);
            self.read_certificates();
        }
    }

    async fn read_ledger(&self, ledger: &Ledger) {
        let read = ledger.query(|connection| Ok((ledger::extent(connection)?, ledger::used_bytes(connection)?))).await;
        // What cannot be read now stays as it was: the queries themselves fail visibly.
        let Ok((extent, bytes)) = read else { return };
        self.ledger.records.set(signed(extent.record_count));
        self.ledger.waiting.set(signed(extent.waiting_count));
        self.ledger.bytes.set(signed(bytes));
    }

    fn read_exporters(&self, exporters: &[Exporter], committed: ledger::Offset) {
        let OfExporters { lag, lag_seconds, sent, retried, refused, lost } = &self.exporters;
        for Exporter { target, counters } in exporters {
            lag.set(&target.name, signed(counters.lag(committed)));
            lag_seconds.set(&target.name, counters.lag_seconds(committed, now()));
            let of_counters = [
                (sent, &counters.sent),
                (retried, &counters.retries),
                (refused, &counters.dead_lettered),
                (lost, &counters.lost),
            ];
            for (metric, count) in of_counters {
                metric.of(&target.name).inner().store(count.load(Relaxed), Relaxed);
            }
        }
    }

    fn read_certificates(&mut self) {
        let expiries = self.status.tls.iter().flat_map(|tls| tls.expiries());
        let mut soonest: Option<Expiry> = None;
        for expiry in expiries {
            self.expiries.set(expiry.purpose, expiry.time);
            soonest = Some(soonest.filter(|other| other.time <= expiry.time).unwrap_or(expiry));
        }
        let Some(Expiry { purpose, time }) = soonest else { return };
        let days = (time - now() / 1_000_000_000).div_euclid(86_400);
        if days < WARN_DAYS && self.warned.is_none_or(|at| at.elapsed() >= WARN_INTERVAL) {
            self.warned = Some(Instant::now());
            tracing::warn!(purpose, days, "A certificate expires soon: renew it, it is taken up without a restart");
        }
    }

    fn read_others(&self, nodes: &Nodes, refusals: &Refusals) {
        self.nodes.set(signed(nodes.count() as u64));
        self.silent.set(signed(self.hub.silent_count() as u64));
        self.connections.set(signed(self.acceptor.open_count() as u64));
        self.streams.set(signed(self.feed.open_count() as u64));
        if let Some(bytes) = resident_bytes() {
            self.memory.set(signed(bytes));
        }
        self.memory_limit.set(signed(self.limits.memory().map_or(0, |memory| memory.limit)));
        for source in nodes.of(CLUSTER_WATCH).into_iter().flat_map(|watch| watch.sources) {
            self.watched.set(&source.source, i64::from(source.health() == SourceHealth::Ok));
        }
        for reason in Reason::ALL {
            self.refused.of(reason.name()).inner().store(refusals.of(reason), Relaxed);
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The line `VmRSS:     1234 kB` of proc_pid_status(5).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_memory_of_this_process_is_known() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
