//! The program's metrics, for a scraper that reads OpenMetrics. Every name begins with `coroner_`.
//!
//! Labels are few and come from fixed lists (sources, tasks, kinds), so what a registry holds is bounded by the program
//! itself.

use std::sync::{Arc, Mutex, PoisonError};

pub use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};
use prometheus_client::{
    encoding::text::encode,
    metrics::{family::Family, info::Info},
    registry::Registry,
};

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels and their values.
type Labels<const N: usize> = [(&'static str, String); N];

/// The registry. Cloned freely; all clones are one.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Registry::with_prefix("coroner"))))
    }
}

impl Metrics {
    /// A value that goes up and down.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.registry(|registry| registry.register(name, help, gauge.clone()));
        gauge
    }

    /// A count since the program's start. `name` without `_total`, which the text adds.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.registry(|registry| registry.register(name, help, counter.clone()));
        counter
    }

    /// Registers `build_info{version}`, whose value is always 1.
    pub fn build_info(&self, version: &'static str) {
        let info = Info::new([("version", version)]);
        self.registry(|registry| registry.register("build", "The version of the program", info));
    }

    /// Counts of values by these upper bounds, and their sum.
    pub fn histogram(&self, name: &str, buckets: impl IntoIterator<Item = f64>, help: &str) -> Histogram {
        let histogram = Histogram::new(buckets);
        self.registry(|registry| registry.register(name, help, histogram.clone()));
        histogram
    }

    /// A gauge for each value of a label.
    pub fn gauges(&self, name: &str, label: &'static str, help: &str) -> Gauges {
        let family = Family::default();
        self.registry(|registry| registry.register(name, help, family.clone()));
        Gauges { label, family }
    }

    /// A counter for each value of a label. `name` without `_total`, which the text adds.
    pub fn counters(&self, name: &str, label: &'static str, help: &str) -> Counters {
        self.counters_by(name, [label], help)
    }

    /// A counter for each combination of the values of some labels. `name` without `_total`, which the text adds.
    pub fn counters_by<const N: usize>(&self, name: &str, labels: [&'static str; N], help: &str) -> Counters<N> {
        let family = Family::default();
        self.registry(|registry| registry.register(name, help, family.clone()));
        Counters { labels, family }
    }

    /// All metrics as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let _infallible = self.registry(|registry| encode(&mut text, registry));
        text
    }

    fn registry<T>(&self, act: impl FnOnce(&mut Registry) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Gauges that differ in one label.
#[derive(Clone, Debug)]
pub struct Gauges {
    label: &'static str,
    family: Family<Labels<1>, Gauge>,
}

impl Gauges {
    /// The gauge of this value, created at its first request. Callers that set it often should keep it.
    pub fn of(&self, value: &str) -> Gauge {
        self.family.get_or_create_owned(&[(self.label, value.to_owned())])
    }

    /// Sets the gauge with this value of the label.
    pub fn set(&self, value: &str, to: i64) {
        self.of(value).set(to);
    }

    /// No longer shows the gauge of this value.
    pub fn remove(&self, value: &str) {
        self.family.remove(&[(self.label, value.to_owned())]);
    }
}

/// Counters that differ in their labels.
#[derive(Clone, Debug)]
pub struct Counters<const N: usize = 1> {
    labels: [&'static str; N],
    family: Family<Labels<N>, Counter>,
}

impl Counters {
    /// The counter of this value, created at its first request. Callers that count often should keep it.
    pub fn of(&self, value: &str) -> Counter {
        self.with([value])
    }

    /// No longer shows the counter of this value.
    pub fn remove(&self, value: &str) {
        self.family.remove(&[(self.labels[0], value.to_owned())]);
    }
}

impl<const N: usize> Counters<N> {
    /// The counter of these values, in the order of the labels, made when it is first asked for.
    pub fn with(&self, values: [&str; N]) -> Counter {
        self.family.get_or_create_owned(&std::array::from_fn(|n| (self.labels[n], values[n].to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_names_help_labels_and_values() {
        let metrics = Metrics::default();
        let up = metrics.gauges("task_up", "task", "Whether a task runs");
        up.set("examiner", 1);
        up.set("uplink \"x\"", 0);
        up.set("gone", 1);
        up.remove("gone");
        metrics.counters("observations", "source", "Observations of a source").of("cri").inc_by(3);
        metrics.gauge("outbox_bytes", "Size of the outbox").set(4096);
        metrics.counter("pushes", "Pushes").inc();
        metrics.counters_by("deaths", ["cause", "severity"], "Deaths").with(["OOM_NODE", "error"]).inc();
        metrics.histogram("delay_seconds", [0.5, 2.0], "Delays").observe(1.0);
        metrics.build_info("1.2.3");

        let text = metrics.text();

        for line in [
            "# HELP coroner_task_up Whether a task runs.",
            "coroner_task_up{task=\"examiner\"} 1",
            "coroner_task_up{task=\"uplink \\\"x\\\"\"} 0",
            "coroner_observations_total{source=\"cri\"} 3",
            "coroner_outbox_bytes 4096",
            "coroner_pushes_total 1",
            "coroner_deaths_total{cause=\"OOM_NODE\",severity=\"error\"} 1",
            "coroner_delay_seconds_bucket{le=\"0.5\"} 0",
            "coroner_delay_seconds_bucket{le=\"2.0\"} 1",
            "coroner_build_info{version=\"1.2.3\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("gone"));
    }
}
