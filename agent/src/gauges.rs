//! What the agent's metrics show of its work: how much is observed, and how much is kept.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed, time::Duration};

use coroner_diagnosis::{examiner::Sizes, observation::Source};
use coroner_runtime::metrics::{Counter, Gauge, Histogram, Metrics};
use jiff::Timestamp;
use tokio::time::sleep;

use crate::{
    outbox::{Closed, Keeper},
    sources,
};

/// How often the outbox is measured.
const INTERVAL: Duration = Duration::from_secs(15);
/// Upper bounds in seconds: most verdicts leave within two, those that wait for slow sources within half a minute.
const LATENCY_BUCKETS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];

/// The metrics of the examination.
#[derive(Clone, Debug)]
pub struct Gauges {
    observations: BTreeMap<Source, Counter>,
    /// By what is kept.
    kept: [Gauge; 6],
    refused: Counter,
    latency: Histogram,
    certificate: Gauge,
    client_certificate: Gauge,
}

impl Gauges {
    /// Registers the gauges and counters.
    pub fn new(metrics: &Metrics) -> Self {
        let counters = metrics.counters("observations", "source", "Observations of a source");
        let files = metrics.gauges("case_files", "kind", "Case files that are kept");
        let kept = metrics.gauges("examiner_entries", "kind", "What the examiner keeps beside case files");
        Self {
            observations: sources::all().map(|source| (source, counters.of(source.name()))).collect(),
            kept: [
                files.of("container"),
                files.of("pod"),
                kept.of("object"),
                kept.of("statement"),
                kept.of("subject"),
                kept.of("waiting"),
            ],
            latency: metrics.histogram(
                "diagnosis_latency_seconds",
                LATENCY_BUCKETS,
                "Seconds from when something ended to its first diagnosis",
            ),
            refused: metrics.counter(
                "case_files_refused",
                "Times at which a container or pod got no case file, as too many are running: diagnoses may be missing",
            ),
            certificate: metrics.gauge(
                "kubelet_certificate_expire_timestamp_seconds",
                "When the certificate expires that the kubelet serves with; 0 while that is not known",
            ),
            client_certificate: metrics.gauge(
                "kubelet_client_certificate_expire_timestamp_seconds",
                "When the kubelet's client certificate expires, by its file; 0 while that is not known",
            ),
        }
    }

    /// Counts one observation of a source.
    pub fn count(&self, source: Source) {
        if let Some(counter) = self.observations.get(&source) {
            counter.inc();
        }
    }

    /// Sets when the kubelet's serving certificate expires, in seconds since 1970.
    pub fn set_certificate(&self, expires: Timestamp) {
        self.certificate.set(expires.as_second());
    }

    /// Sets when the kubelet's client certificate expires, in seconds since 1970.
    pub fn set_client_certificate(&self, expires: Timestamp) {
        self.client_certificate.set(expires.as_second());
    }

    /// Counts a first diagnosis of what ended so many seconds before it.
    pub fn count_latency(&self, seconds: f64) {
        self.latency.observe(seconds);
    }

    /// Sets the gauges of what the examiner keeps.
    pub fn measure(&self, sizes: &Sizes) {
        let Sizes { containers, pods, objects, statements, subjects, waiting, refused } = *sizes;
        for (gauge, size) in self.kept.iter().zip([containers, pods, objects, statements, subjects, waiting]) {
            gauge.set(i64::try_from(size).unwrap_or(i64::MAX));
        }
        self.refused.inner().store(refused, Relaxed);
    }
}

/// The task that measures the outbox at intervals.
#[derive(Clone, Debug)]
pub struct OutboxGauges {
    waiting: Gauge,
    bytes: Gauge,
}

impl OutboxGauges {
    /// Registers them, for an outbox of at most `max_bytes`.
    pub fn new(metrics: &Metrics, max_bytes: u64) -> Self {
        let limit = metrics.gauge("outbox_limit_bytes", "Bytes that the outbox may use");
        limit.set(i64::try_from(max_bytes).unwrap_or(i64::MAX));
        Self {
            waiting: metrics.gauge("outbox_records", "Records that the aggregator has not acknowledged yet"),
            bytes: metrics.gauge("outbox_bytes", "Bytes of the outbox' file that are in use"),
        }
    }

    /// Measures until it is dropped.
    ///
    /// # Errors
    /// If the outbox' owner has ended.
    pub async fn run(self, outbox: Keeper) -> Result<(), Closed> {
        loop {
            let sizes = outbox.sizes().await?;
            self.waiting.set(i64::try_from(sizes.waiting).unwrap_or(i64::MAX));
            self.bytes.set(i64::try_from(sizes.bytes).unwrap_or(i64::MAX));
            sleep(INTERVAL).await;
        }
    }
}
