//! Events of the Kubernetes API, so that `kubectl describe pod` shows the cause: one for each diagnosis, with a
//! series where it repeats. They are a pointer and no store: the API server keeps them for an hour.

use std::{
    fmt,
    time::{Duration, Instant},
};

use coroner_diagnosis::{
    messages::{Message, operation},
    text,
};
use coroner_proto::v1::{Diagnosis, Severity, SubjectKind};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client, Error,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{
    super::{
        format::{self, Names, reason},
        item::{Item, Record},
    },
    Refused, Remedy, Sink, Taken,
};

/// As the API server keeps them; what is older is not made any more.
const AGE_MAX: Duration = Duration::from_secs(3_600);
/// So many at once, and then one a second.
const BURST: u32 = 25;
/// Bytes of a note (`NoteLengthLimit` of the API).
const NOTE_BYTES: usize = 1024;
/// The namespace of events about nodes.
const OF_NODES: &str = "default";

/// Creates events of the Kubernetes API.
pub(in super::super) struct Events {
    client: Client,
    /// How many may still be made at once.
    left: f64,
    filled: Instant,
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Events").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Events {
    pub(in super::super) fn new(client: Client) -> Self {
        Self { client, left: BURST.into(), filled: Instant::now() }
    }

    /// Whether another one may be made now.
    fn spend(&mut self) -> bool {
        let now = Instant::now();
        self.left = (self.left + now.duration_since(self.filled).as_secs_f64()).min(BURST.into());
        self.filled = now;
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }

    async fn make(&self, event: Event, occurrences: u64) -> Result<(), Error> {
        let namespace = event.metadata.namespace.as_deref().unwrap_or(OF_NODES);
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let series = EventSeries {
            count: i32::try_from(occurrences).unwrap_or(i32::MAX),
            last_observed_time: event.event_time.clone().unwrap_or(MicroTime(Timestamp::UNIX_EPOCH)),
        };
        match api.create(&PostParams::default(), &event).await {
            // It is there: what comes twice, or again.
            Err(Error::Api(status)) if status.code == 409 && occurrences > 1 => {
                let name = event.metadata.name.as_deref().unwrap_or_default();
                let patch = Patch::Merge(json!({"series": series}));
                api.patch(name, &PatchParams::default(), &patch).await.map(drop)
            }
            made => made.map(drop),
        }
    }
}

impl Sink for Events {
    async fn send(&mut self, batch: &[Item]) -> Result<Taken, Refused> {
        let now = Timestamp::now();
        for (done, item) in batch.iter().enumerate() {
            let Some((event, occurrences)) = event_of(item, now) else { continue };
            let refused = |remedy, why: Message| Err(Refused { done, remedy, why: why.into() });
            let failed = |error: &dyn std::fmt::Display| operation::export_failed(error.to_string());
            if !self.spend() {
                let after = Some(Duration::from_secs(1));
                return refused(Remedy::Retry { after }, operation::export_events_spaced(BURST));
            }
            match self.make(event, occurrences).await {
                Ok(()) => {}
                Err(Error::Api(status)) => match status.code {
                    // It is there; or its namespace is gone or going.
                    404 | 409 => {}
                    400 | 422 => return refused(Remedy::Bisect, failed(&status)),
                    401 | 403 if !status.message.contains("being terminated") => {
                        return refused(Remedy::Hold, failed(&status));
                    }
                    403 => {}
                    _ => return refused(Remedy::RETRY, failed(&status)),
                },
                Err(error) => return refused(Remedy::RETRY, failed(&error)),
            }
        }
        Ok(Taken::default())
    }
}

/// The event of a diagnosis of a pod or a node, and how often it has happened; none of what is too old, over, or a
/// revision of the same.
fn event_of(item: &Item, now: Timestamp) -> Option<(Event, u64)> {
    let Record::Diagnosis(diagnosis) = &item.record else { return None };
    let occurrences = diagnosis.occurrence_count;
    let is_old = now.duration_since(format::event_time(item)).unsigned_abs() > AGE_MAX;
    let is_news = diagnosis.revision <= 1 || occurrences > 1;
    if is_old || !is_news || diagnosis.resolve_time.is_some() {
        return None;
    }
    let (regarding, namespace) = regarding(diagnosis)?;
    let node = Names::of(diagnosis).node.filter(|_| regarding.kind.as_deref() == Some("Pod"));
    let related = node.map(|node| ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Node".to_owned()),
        name: Some(node.to_owned()),
        ..ObjectReference::default()
    });
    let is_normal = diagnosis.severity() == Severity::Info;
    let note = text::clean(&format!("{}. {}", diagnosis.summary, diagnosis.explanation), NOTE_BYTES);
    let event = Event {
        metadata: ObjectMeta {
            // By the uid of the diagnosis: what comes twice is there already.
            name: Some(format!("coroner.{}", diagnosis.uid)),
            namespace: Some(namespace),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(format::event_time(item))),
        reporting_controller: Some("coroner/aggregator".to_owned()),
        reporting_instance: Some("coroner-aggregator".to_owned()),
        action: Some("Diagnosed".to_owned()),
        reason: Some(reason(diagnosis.cause())),
        regarding: Some(regarding),
        related,
        note: Some(note),
        type_: Some(if is_normal { "Normal" } else { "Warning" }.to_owned()),
        ..Event::default()
    };
    Some((event, occurrences.into()))
}

/// The pod or the node that a diagnosis is about, and the namespace of its events.
fn regarding(diagnosis: &Diagnosis) -> Option<(ObjectReference, String)> {
    let subject = diagnosis.subject.as_ref()?;
    let api_version = Some("v1".to_owned());
    let name = Some(subject.name.clone()).filter(|name| !name.is_empty())?;
    match subject.kind() {
        SubjectKind::Pod | SubjectKind::Container if !subject.namespace.is_empty() => {
            let container = format::known(&subject.container);
            let uid = diagnosis.pod.as_ref().and_then(|pod| format::known(&pod.uid));
            let reference = ObjectReference {
                api_version,
                kind: Some("Pod".to_owned()),
                namespace: Some(subject.namespace.clone()),
                name: Some(name),
                uid: uid.map(str::to_owned),
                field_path: container.map(|container| format!("spec.containers{{{container}}}")),
                ..ObjectReference::default()
            };
            Some((reference, subject.namespace.clone()))
        }
        SubjectKind::Node => {
            // The kubelet names the node for its uid, and so do those who look for events of nodes.
            let uid = Some(name.clone());
            let reference = ObjectReference {
                api_version,
                kind: Some("Node".to_owned()),
                name: Some(name),
                uid,
                ..ObjectReference::default()
            };
            Some((reference, OF_NODES.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::format::samples;
    use super::*;

    #[test]
    fn an_event_is_about_the_container_of_the_pod_and_within_the_bounds_of_the_api() {
        let mut item = samples::oom();
        let now = format::event_time(&item);
        let Record::Diagnosis(diagnosis) = &mut item.record else { panic!() };
        diagnosis.explanation = "é".repeat(2000);
        let (event, occurrences) = event_of(&item, now).unwrap();
        let regarding = event.regarding.unwrap();
        assert_eq!(regarding.field_path.as_deref(), Some("spec.containers{app}"));
        assert_eq!((event.metadata.namespace.as_deref(), occurrences), (Some("shop"), 3));
        assert_eq!((event.reason.as_deref(), event.type_.as_deref()), (Some("OomContainerLimit"), Some("Warning")));
        assert_eq!(event.related.unwrap().name.as_deref(), Some("node-1"));
        assert!(event.note.unwrap().len() <= NOTE_BYTES);
        assert!(event_of(&samples::gap(), now).is_none());
        let (of_node, _) = event_of(&samples::node(), now).unwrap();
        assert_eq!(of_node.metadata.namespace.as_deref(), Some(OF_NODES));
    }

    #[test]
    fn what_is_old_or_over_or_the_same_again_makes_none() {
        let now = format::event_time(&samples::oom());
        let with = |change: fn(&mut Diagnosis)| {
            let mut item = samples::oom();
            let Record::Diagnosis(diagnosis) = &mut item.record else { panic!() };
            change(diagnosis);
            event_of(&item, now).is_some()
        };
        assert!(with(|_| {}));
        assert!(!with(|diagnosis| diagnosis.resolve_time = diagnosis.event_time));
        assert!(!with(|diagnosis| diagnosis.occurrence_count = 1), "a revision");
        assert!(event_of(&samples::oom(), now + Duration::from_secs(3_700)).is_none());
    }
}
