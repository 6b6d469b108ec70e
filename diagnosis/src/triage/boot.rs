//! A node that was restarted, by the id of its boot: as its agent reports it, or the kubelet in the Node object.

use std::sync::Arc;

use coroner_proto::v1::{Cause, Confidence, Diagnosis, PreviousEnd};
use jiff::{SignedDuration, Timestamp};

use super::{
    Finding, Request, Subject, Triage,
    facts::{Pod, Report, Stopping},
    node::{NodeCase, Object},
    silence::{finding, related},
};
use crate::{
    aspect::Aspect,
    messages::{Message, triage as texts},
    observation::{Source, kube::Kind},
    verdict::{Evidence, Related, Verdict},
};

/// The first report of a node shows a restart only so soon after it.
const FRESH: SignedDuration = SignedDuration::from_mins(15);

/// A restart.
#[derive(Debug)]
pub(super) struct Reboot {
    boot_id: Box<str>,
    at: Timestamp,
    end: PreviousEnd,
    evidence: Evidence,
    /// For how long the node gave no sign before.
    away: SignedDuration,
}

/// The id of a node's boot, by its agent, else by the kubelet; empty where neither is known.
pub(super) fn of(case: &NodeCase) -> &str {
    let reported = case.report.as_ref().map(|(report, _)| &*report.boot_id).filter(|id| !id.is_empty());
    reported.or_else(|| case.object.as_ref().map(|object| &*object.boot_id)).unwrap_or_default()
}

/// Whether a report, which has arrived `now`, shows a restart.
pub(super) fn by_report(case: &NodeCase, report: &Report, now: Timestamp) -> Option<Reboot> {
    let before = case.report.as_ref().map(|(report, _)| &*report.boot_id).filter(|id| !id.is_empty());
    let in_object = case.object.as_ref().map(|object| &*object.boot_id).filter(|id| !id.is_empty());
    let known = before.or(in_object);
    let agent_returned = report.previous_end != PreviousEnd::Unspecified;
    let is_new = match known {
        Some(known) => known != &*report.boot_id,
        // The aggregator saw nothing before, the agent did.
        None => agent_returned && report.uptime < FRESH,
    };
    if !is_new || report.boot_id.is_empty() {
        return None;
    }
    let announced = case.stopping() == Some(Stopping::Host);
    let end = match (report.previous_end, announced) {
        (PreviousEnd::Unspecified, true) => PreviousEnd::Clean,
        (end, _) => end,
    };
    let text = texts::triage_boot_reported(&*report.boot_id, report.uptime);
    let away = now.duration_since(case.last_sign());
    Some(Reboot {
        boot_id: report.boot_id.clone(),
        at: now - report.uptime,
        end,
        evidence: Evidence::new(Source::NodeReports, now, text),
        away,
    })
}

/// Whether the Node object shows a restart.
pub(super) fn by_object(case: &NodeCase, object: &Object, now: Timestamp) -> Option<Reboot> {
    let before = case.object.as_ref().map(|object| &*object.boot_id).filter(|id| !id.is_empty())?;
    if before == &*object.boot_id || object.boot_id.is_empty() {
        return None;
    }
    let announced = case.stopping() == Some(Stopping::Host);
    let reported = case.report.as_ref().filter(|(report, _)| report.boot_id == object.boot_id);
    let end = reported.map(|(report, _)| report.previous_end).filter(|end| *end != PreviousEnd::Unspecified);
    let otherwise = if announced { PreviousEnd::Clean } else { PreviousEnd::Unspecified };
    Some(Reboot {
        boot_id: object.boot_id.clone(),
        at: reported.map_or(now, |(report, at)| *at - report.uptime),
        end: end.unwrap_or(otherwise),
        evidence: Evidence::new(Source::Api(Kind::Nodes), now, texts::triage_boot_in_object(&*object.boot_id)),
        away: now.duration_since(case.last_sign()),
    })
}

fn with_pods(mut verdict: Verdict, related: Vec<Related>, count: Option<&Message>) -> Verdict {
    verdict.related = related;
    verdict.explained(count.cloned())
}

fn is_count(message: &Message) -> bool {
    message.id == texts::triage_rebooted_count(0_usize).id
}

impl Triage {
    /// Reports a restart. What is known of it already is not taken back.
    pub(super) fn report_boot(&mut self, name: &Arc<str>, reboot: Option<Reboot>, diagnoses: &mut Vec<Diagnosis>) {
        let Some(Reboot { boot_id, at, end, evidence, away }) = reboot else { return };
        let subject = Subject::Node(Arc::clone(name));
        let aspect = Aspect::Boot { id: boot_id.to_string() };
        let known = self.revisions.get(&subject, &aspect).map(|known| &known.content.verdict);
        if known.is_some() && end == PreviousEnd::Unspecified {
            return;
        }
        let Some(case) = self.nodes.get(name) else { return };
        let (headline, how) = match end {
            PreviousEnd::Clean => (texts::triage_rebooted_clean(), Some(texts::triage_rebooted_clean_how())),
            PreviousEnd::Panic => (texts::triage_rebooted_panic(), Some(texts::triage_rebooted_panic_how())),
            PreviousEnd::Abrupt => (texts::triage_rebooted_abrupt(), Some(texts::triage_rebooted_abrupt_how())),
            PreviousEnd::Unspecified => (texts::triage_rebooted(), None),
        };
        // Reports come every few seconds.
        let quiet = away >= SignedDuration::from_secs(10);
        let verdict = Verdict::new(Cause::NodeRebooted, Confidence::Certain, at)
            .not_fatal()
            .headed(headline)
            .explained(how)
            .explained(quiet.then(|| texts::triage_rebooted_away(away)))
            .explained(texts::triage_rebooted_pods())
            .supported([evidence]);
        let verdict = match known {
            Some(known) => with_pods(verdict, known.related.clone(), known.explanation.iter().find(|of| is_count(of))),
            None => verdict,
        };
        let is_listed = !verdict.related.is_empty();
        let mut finding = finding(name, case, verdict);
        finding.boot_id = boot_id.clone();
        self.report(&subject, &aspect, finding, diagnoses);
        if let Some(case) = self.nodes.get_mut(name).filter(|_| !is_listed) {
            case.rebooted = Some((boot_id, at));
            self.requests.push(Request::Pods(Arc::clone(name)));
        }
    }

    /// Names the pods that were there when a node was restarted: all that ran in them ended with the boot.
    pub(super) fn relate_boot(&mut self, name: &Arc<str>, pods: &[Pod], diagnoses: &mut Vec<Diagnosis>) {
        let Some((id, at)) = self.nodes.get_mut(name).and_then(|case| case.rebooted.take()) else { return };
        let (subject, aspect) = (Subject::Node(Arc::clone(name)), Aspect::Boot { id: id.to_string() });
        let were_there = pods.iter().filter(|pod| !pod.ended && pod.created.is_some_and(|created| created < at));
        let were_there: Vec<&Pod> = were_there.collect();
        let Some(known) = self.revisions.get(&subject, &aspect).filter(|_| !were_there.is_empty()) else { return };
        let count = texts::triage_rebooted_count(were_there.len());
        let verdict = with_pods(known.content.verdict.clone(), related(were_there), Some(&count));
        let finding = Finding { verdict, ..known.content.clone() };
        self.report(&subject, &aspect, finding, diagnoses);
    }
}
