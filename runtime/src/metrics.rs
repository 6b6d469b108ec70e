//! The program's metrics, for a scraper that reads OpenMetrics. Every name begins with `coroner_`.
//!
//! Labels are few and come from fixed lists (sources, tasks, kinds), so what a registry holds is bounded by the program itself.

use std::sync::{Arc, Mutex, PoisonError};

pub use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use prometheus_client::{encoding::text::encode, metrics::family::Family, registry::Registry};

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A label and its value.
type Label = [(&'static str, String); 1];

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

    /// A gauge for each value of a label.
    pub fn gauges(&self, name: &str, label: &'static str, help: &str) -> Gauges {
        let family = Family::default();
        self.registry(|registry| registry.register(name, help, family.clone()));
        Gauges { label, family }
    }

    /// A counter for each value of a label. `name` without `_total`, which the text adds.
    pub fn counters(&self, name: &str, label: &'static str, help: &str) -> Counters {
        let family = Family::default();
        self.registry(|registry| registry.register(name, help, family.clone()));
        Counters { label, family }
    }

    /// All of them as OpenMetrics text.
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
    family: Family<Label, Gauge>,
}

impl Gauges {
    /// The gauge of this value, made when it is first asked for. To be kept by whoever sets it often.
    pub fn of(&self, value: &str) -> Gauge {
        self.family.get_or_create_owned(&[(self.label, value.to_owned())])
    }

    /// Sets the gauge of this value.
    pub fn set(&self, value: &str, to: i64) {
        self.of(value).set(to);
    }

    /// No longer shows the gauge of this value.
    pub fn remove(&self, value: &str) {
        self.family.remove(&[(self.label, value.to_owned())]);
    }
}

/// Counters that differ in one label.
#[derive(Clone, Debug)]
pub struct Counters {
    label: &'static str,
    family: Family<Label, Counter>,
}

impl Counters {
    /// The counter of this value, made when it is first asked for. To be kept by whoever counts often.
    pub fn of(&self, value: &str) -> Counter {
        self.family.get_or_create_owned(&[(self.label, value.to_owned())])
    }

    /// No longer shows the counter of this value.
    pub fn remove(&self, value: &str) {
        self.family.remove(&[(self.label, value.to_owned())]);
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

        let text = metrics.text();

        for line in [
            "# HELP coroner_task_up Whether a task runs.",
            "coroner_task_up{task=\"examiner\"} 1",
            "coroner_task_up{task=\"uplink \\\"x\\\"\"} 0",
            "coroner_observations_total{source=\"cri\"} 3",
            "coroner_outbox_bytes 4096",
            "coroner_pushes_total 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("gone"));
    }
}
