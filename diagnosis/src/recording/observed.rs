//! Observations as they are: `observed`, which `coroner record` writes. The other files of a case quote what an
//! interface gave, this one holds what a source made of it: `{"t": …, "at": …, "fact": {"kernel_log": {…}}}`, where
//! `at` is when it happened, unless that is `t`.
//!
//! A field that a later version adds is left out here and passed over there, so that rows of either can be read.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Context, Facts, Problem};
use crate::{
    observation::{
        Fact, Observation,
        cri::Pod,
        docker,
        kube::{self, Object},
    },
    redact,
};

/// The name of the file without its ending. Of several parts, `observed.1`, `observed.2` …, each has this name.
pub const OBSERVED: &str = "observed";

#[derive(Serialize)]
struct Row<'o> {
    t: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    fact: &'o Fact,
}

/// A row of `observed`: one line of JSON without its end, and without what looks like a secret. `None` for a time that
/// no clock shows.
pub fn row(observation: &Observation) -> Option<String> {
    let Observation { seen_at, happened_at, fact } = observation;
    let t = i64::try_from(seen_at.as_nanosecond()).ok()?;
    let row = Row { t, at: Some(*happened_at).filter(|at| at < seen_at), fact };
    let mut row = serde_json::to_value(row).ok()?;
    redact(&mut row);
    Some(row.to_string())
}

/// Takes secrets out of all texts in this. Names of fields stay as they are.
pub fn redact(json: &mut Value) {
    match json {
        Value::String(text) => {
            let (cleaned, found) = redact::clean(text);
            if !found.is_empty() {
                *text = cleaned;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::Object(fields) => fields.values_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[derive(Deserialize)]
pub(super) struct ObservedRow {
    at: Option<Timestamp>,
    fact: Fact,
}

pub(super) fn observed(_: &Context<'_>, row: ObservedRow) -> Result<Facts, Problem> {
    Ok(vec![(row.at, row.fact)])
}

/// Which pods a recording is about. What names no pod belongs to each: the kernel's log, processes, cgroups, the node.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Only pods of this namespace; `None` for any.
    pub namespace: Option<String>,
    /// Only pods of these names; empty for all.
    pub pods: BTreeSet<String>,
}

impl Scope {
    /// As much of an observation as is about these pods. `None`: nothing.
    pub fn narrow(&self, mut observation: Observation) -> Option<Observation> {
        let holds = match &mut observation.fact {
            Fact::Container(container) => self.holds(&container.pod),
            Fact::Docker(docker::Report::Container(container)) => self.holds(&container.pod),
            Fact::Sandbox(sandbox) | Fact::Docker(docker::Report::Sandbox(sandbox)) => self.holds(&sandbox.pod),
            Fact::ContainerName { pod, .. } => self.holds(pod),
            Fact::Log(tail) => self.holds(&tail.pod),
            Fact::KubeletPod(pod) => self.holds_object(&pod.meta),
            Fact::KubeletSummary(summary) => {
                summary.pods.retain(|pod| self.holds_name(&pod.pod_ref.namespace, Some(&pod.pod_ref.name)));
                true
            }
            Fact::Object(_, object) => self.holds_any(object),
            // An answer to the examiner of this moment. A replay has everything that was read.
            Fact::ReadUpTo(_) => false,
            _ => true,
        };
        holds.then_some(observation)
    }

    fn holds_name(&self, namespace: &str, pod: Option<&str>) -> bool {
        self.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
            && pod.is_none_or(|pod| self.pods.is_empty() || self.pods.contains(pod))
    }

    fn holds(&self, pod: &Pod) -> bool {
        self.holds_name(&pod.namespace, Some(&pod.name))
    }

    fn holds_object(&self, pod: &kube::Meta) -> bool {
        self.holds_name(&pod.namespace, Some(&pod.name))
    }

    fn holds_any(&self, object: &Object) -> bool {
        let within = |meta: &kube::Meta| self.holds_name(&meta.namespace, None);
        match object {
            Object::Pod(pod) => self.holds_object(&pod.meta),
            Object::Event(event) if event.about.kind == "Pod" => {
                self.holds_name(&event.about.namespace, Some(&event.about.name))
            }
            Object::Event(event) => event.about.namespace.is_empty() || within(&event.meta),
            Object::Node(_) => true,
            Object::Workload(workload) => within(&workload.meta),
            Object::Service(service) => within(&service.meta),
            Object::EndpointSlice(slice) => within(&slice.meta),
            Object::Ingress(ingress) => within(&ingress.meta),
            Object::ResourceQuota(quota) => within(&quota.meta),
            Object::LimitRange(range) => within(&range.meta),
            Object::Claim(claim) => within(&claim.meta),
        }
    }
}
