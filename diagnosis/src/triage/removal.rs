//! A node that goes on purpose.

use std::sync::Arc;

use coroner_proto::v1::{Cause, Confidence, Diagnosis};
use jiff::Timestamp;

use super::{
    Subject, Triage,
    node::{Object, Plan},
    silence::finding,
};
use crate::{
    aspect::Aspect,
    messages::{Message, triage as texts},
    observation::{
        Source,
        kube::{self, Kind},
    },
    text,
    verdict::Verdict,
};

impl Triage {
    /// Its Node object is gone: nothing of it is judged any more.
    pub(super) fn record_deleted(&mut self, node: &kube::Node, diagnoses: &mut Vec<Diagnosis>) {
        let name: Arc<str> = text::clean(&node.meta.name, 253).into();
        let (now, object) = (self.now, Object::from(node));
        let Some(case) = self.nodes.get_mut(&name) else { return };
        if case.object.as_ref().is_some_and(|known| known.uid != object.uid) {
            return;
        }
        // A list that lacks it does not show how it was last.
        if object.plan.is_some() || case.object.is_none() {
            case.object = Some(object);
        }
        let (plan, why) = case.plan().map_or((Plan::Deleted, String::new()), |(plan, why)| (plan, why.to_owned()));
        // An object that no machine stood behind is no node that has gone.
        let is_news = plan != Plan::Deleted || case.report.is_some() || case.lease.is_some();
        let verdict = Verdict::new(Cause::NodeRemoved, Confidence::Certain, now)
            .not_fatal()
            .headed(headline(plan))
            .explained(texts::triage_object_deleted())
            .supported_by(Source::Api(Kind::Nodes), now, texts::triage_object_deleted());
        let verdict = if why.is_empty() { verdict } else { verdict.supported_by(Source::Api(Kind::Nodes), now, why) };
        let finding = finding(&name, case, verdict);
        let subject = Subject::Node(Arc::clone(&name));
        self.resolve(&subject, &Aspect::Silence, diagnoses);
        if is_news && self.revisions.get(&subject, &Aspect::Leave).is_none() {
            self.report(&subject, &Aspect::Leave, finding, diagnoses);
        }
        self.bury(&name, diagnoses);
    }
}

/// A node that was to go is silent now.
pub(super) fn silent(plan: Plan, why: &str, since: Timestamp, now: Timestamp) -> Verdict {
    let confidence = if plan == Plan::Drained { Confidence::Likely } else { Confidence::Certain };
    Verdict::new(Cause::NodeRemoved, confidence, since)
        .not_fatal()
        .headed(headline(plan))
        .explained(texts::triage_planned_silence(now.duration_since(since)))
        .supported_by(Source::Api(Kind::Nodes), since, why)
}

fn headline(plan: Plan) -> Message {
    match plan {
        Plan::Autoscaler => texts::triage_removed_autoscaler(),
        Plan::Karpenter => texts::triage_removed_karpenter(),
        Plan::Cloud => texts::triage_removed_cloud(),
        Plan::Maintenance => texts::triage_removed_maintenance(),
        Plan::Drained => texts::triage_removed_drained(),
        Plan::Deleted => texts::triage_removed_deleted(),
    }
}
