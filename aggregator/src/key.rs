//! What a record is found by: the values of its indexed columns.

use coroner_proto::v1;

use crate::time::nanoseconds;

/// The columns of a record: what it can be found by without decoding it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// When it happened, in nanoseconds since 1970.
    pub event_time: i64,
    /// The namespace of the subject; empty for none.
    pub namespace: String,
    /// The name of the pod, node, workload, Service or Ingress that it is about.
    pub name: String,
    /// The node it was on; of a gap, the node that lost something, empty for the aggregator.
    pub node: String,
    /// The name of the container; empty for none.
    pub container: String,
    /// The workload nearest to it, as `ReplicaSet/web-5d9c`; empty for none.
    pub workload: String,
    /// The one above that, as `Deployment/web`; empty for none.
    pub workload_above: String,
    /// `Cause` as a number, as are the next three.
    pub cause: i32,
    /// `SubjectKind` as a number.
    pub kind: i32,
    /// `Severity`; of a later version's ones beyond the highest that is known, that.
    pub severity: i32,
    /// `Confidence` as a number: the higher, the more certain.
    pub confidence: i32,
    /// Whether a container or pod ended.
    pub fatal: bool,
}

impl Key {
    /// The key of a gap that was stored at `now`.
    pub fn of_gap(gap: &v1::Gap, now: i64) -> Self {
        Self { event_time: now, node: gap.node.clone(), ..Self::default() }
    }

    /// The key of a diagnosis that was stored at `now`. Where it has no event time, the time when it was observed
    /// or stored stands in.
    pub fn of(diagnosis: &v1::Diagnosis, now: i64) -> Self {
        let subject = diagnosis.subject.clone().unwrap_or_default();
        let time = diagnosis.event_time.as_ref().or(diagnosis.observe_time.as_ref());
        let mut workloads = diagnosis.workloads.iter().map(|workload| format!("{}/{}", workload.kind, workload.name));
        Self {
            event_time: time.and_then(nanoseconds).unwrap_or(now),
            namespace: subject.namespace,
            node: node_of(diagnosis).to_owned(),
            name: subject.name,
            container: subject.container,
            workload: workloads.next().unwrap_or_default(),
            workload_above: workloads.next().unwrap_or_default(),
            cause: diagnosis.cause,
            kind: subject.kind,
            severity: diagnosis.severity.min(v1::Severity::Critical.into()),
            confidence: diagnosis.confidence,
            fatal: diagnosis.fatal,
        }
    }
}

/// The node that a diagnosis is about; empty for none.
pub fn node_of(diagnosis: &v1::Diagnosis) -> &str {
    match (&diagnosis.subject, &diagnosis.node) {
        (Some(subject), _) if !subject.node.is_empty() => &subject.node,
        (Some(subject), _) if subject.kind() == v1::SubjectKind::Node => &subject.name,
        (_, Some(node)) => &node.name,
        (_, None) => "",
    }
}
