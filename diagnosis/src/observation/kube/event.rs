//! Events.

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use serde::{Deserialize, Serialize};

use super::{Meta, text, time};

/// An Event: a component's statement about an object. Repetitions are counted into one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Name, namespace and uid of the Event object.
    pub meta: Meta,
    /// The object that the event is about (`involvedObject`, `regarding`).
    pub about: Reference,
    /// The machine-readable reason, such as `Unhealthy`.
    pub reason: String,
    /// The same in words. The wording changes between releases.
    pub message: String,
    /// Whether its type is `Warning`; otherwise it is `Normal`.
    pub warning: bool,
    /// The reporting component, such as `kubelet` or `default-scheduler`.
    pub by: String,
    /// When it was observed first.
    pub first: Option<Timestamp>,
    /// When it was observed last.
    pub last: Option<Timestamp>,
    /// How often it was observed; 1 if the API does not state it.
    pub count: i32,
}

/// The object that an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reference {
    /// The kind of the object, such as `Pod`.
    pub kind: String,
    /// The namespace that the object is in; empty for a node.
    pub namespace: String,
    /// The name by which the API server knows the object.
    pub name: String,
    /// Its uid. The kubelet puts a node's name here.
    pub uid: String,
    /// The part of the object, such as `spec.containers{web}`; empty for the whole.
    pub field: String,
}

impl Reference {
    /// The name of the container, from `field`; `None` if the event is about another part.
    pub fn container(&self) -> Option<&str> {
        let (_, name) = self.field.split_once('{')?;
        name.strip_suffix('}')
    }
}

impl From<&core::Event> for Event {
    fn from(event: &core::Event) -> Self {
        let about = &event.involved_object;
        let precise = event.event_time.as_ref().map(|at| at.0);
        let series = event.series.as_ref();
        let by = text(&event.reporting_component);
        Self {
            meta: Meta::from(&event.metadata),
            about: Reference {
                kind: text(&about.kind),
                namespace: text(&about.namespace),
                name: text(&about.name),
                uid: text(&about.uid),
                field: text(&about.field_path),
            },
            reason: text(&event.reason),
            message: text(&event.message),
            warning: event.type_.as_deref() == Some("Warning"),
            by: if by.is_empty() {
                event.source.as_ref().map(|source| text(&source.component)).unwrap_or_default()
            } else {
                by
            },
            first: event.first_timestamp.as_ref().map(time).or(precise),
            last: series
                .and_then(|series| series.last_observed_time.as_ref().map(|at| at.0))
                .or_else(|| event.last_timestamp.as_ref().map(time))
                .or(precise),
            count: series.and_then(|series| series.count).or(event.count).unwrap_or(1),
        }
    }
}
