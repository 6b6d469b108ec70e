//! A node whose reports stop: what is asked, what is concluded, and when it is over.

use std::sync::Arc;

use coroner_proto::v1::{Cause, Confidence, DaemonState, Diagnosis, ProbeOutcome};
use jiff::{SignedDuration, Timestamp};

use super::{
    Finding, Request, Subject, Triage, Watch, boot,
    facts::{Pod, Probe, Prober, Stopping},
    node::{self, LEASE, NodeCase, RECENT, SUSPECT, Silence},
    removal,
};
use crate::{
    aspect::Aspect,
    messages::{Message, triage as texts},
    observation::{Source, kube::Kind},
    verdict::{Evidence, Related, Verdict},
};

/// With two confirming probes, a node counts as unreachable when nothing has come from it for so long.
const CONFIRMED: SignedDuration = SignedDuration::from_secs(12);
/// An agent may be away for so long while its pod is replaced.
const AGENT: SignedDuration = SignedDuration::from_secs(60);
/// The same where its pods cannot be listed, or when it announced its end.
const AGENT_UNKNOWN: SignedDuration = SignedDuration::from_mins(5);
/// A host that announced its end may take so long to return.
const SHUTDOWN: SignedDuration = SignedDuration::from_mins(10);
/// A prober that reached another so shortly before or after can show that a node does not answer: both are probed
/// together.
const ABLE: SignedDuration = SignedDuration::from_secs(10);
/// A silent node is probed again so often, at first and later.
const AGAIN: [SignedDuration; 2] = [SignedDuration::from_secs(10), SignedDuration::from_secs(60)];
/// Its pods are listed again so often.
const LIST: SignedDuration = SignedDuration::from_secs(60);
/// A silent node is looked at again so often, before and after it is clear what holds of it.
const LOOK: [SignedDuration; 2] = [SignedDuration::from_secs(1), SignedDuration::from_secs(5)];
/// Nodes that were silent from the same time on fall under one verdict: this much apart.
pub(super) const TOGETHER: SignedDuration = SignedDuration::from_secs(90);
/// Without a probe, a node counts as one that does not answer after so long.
const UNPROBED: SignedDuration = SignedDuration::from_secs(15);
/// Names of pods that a verdict gives.
const NAMES: usize = 10;

/// What of a node that neither reports nor renews its Lease still answers probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answering {
    /// Its kubelet, which is cut off or refused where it has to write.
    Kubelet,
    /// Its kernel alone: connections are accepted or refused, and no program answers.
    Host,
    Nothing,
}

impl Triage {
    /// Looks at a node: whether it is silent, and what follows.
    pub(super) fn examine(&mut self, name: &Arc<str>, diagnoses: &mut Vec<Diagnosis>) {
        let now = self.now;
        let watched = self.watched_since();
        let Some(case) = self.nodes.get_mut(name) else { return };
        let lease_due = watched.and_then(|watched| Some(case.lease?.seen.max(watched) + LEASE));
        let due = case.reported().map(|at| at + SUSPECT).or(lease_due);
        let Some(due) = due else {
            if case.object.is_none() && now.duration_since(case.last_sign()) >= super::FORGOTTEN {
                return self.close(name, diagnoses);
            }
            return self.waiting.wait(name, now + LEASE);
        };
        if now < due {
            return self.waiting.wait(name, due);
        }
        if case.object.is_none() && now.duration_since(case.last_sign()) >= super::FORGOTTEN {
            return self.close(name, diagnoses);
        }
        if case.silence.is_none() {
            let unknown = case.object.as_ref().is_some_and(|object| object.ready.is_none());
            case.silence = Some(Box::new(Silence { unknown, ..Silence::default() }));
            if let Some(lease) = &mut case.lease {
                lease.renewals = 0;
            }
            self.silent.insert(Arc::clone(name));
        }
        self.ask(name);
        self.judge(name, diagnoses);
        let is_new = self.nodes.get(name).is_some_and(|case| now.duration_since(case.last_sign()) < TOGETHER);
        let settled = !is_new || self.holds(name, &Aspect::Silence) || self.is_gone(name);
        self.waiting.wait(name, now + LOOK[usize::from(settled)]);
    }

    /// Asks for probes and pods of a silent node.
    fn ask(&mut self, name: &Arc<str>) {
        let now = self.now;
        let Some(case) = self.nodes.get_mut(name) else { return };
        let age = now.duration_since(case.last_sign());
        let agent_age = case.reported().map_or(age, |at| now.duration_since(at));
        let Some(silence) = &mut case.silence else { return };
        let every = AGAIN[usize::from(agent_age >= AGENT)];
        if silence.probed.is_none_or(|at| now.duration_since(at) >= every) {
            silence.probed = Some(now);
            silence.asked.retain(|(_, at)| now.duration_since(*at) < AGAIN[1]);
            self.requests.push(Request::Probe(Arc::clone(name)));
            self.wanted.insert(Arc::clone(name));
        }
        let worth = agent_age >= SUSPECT + SignedDuration::from_secs(2);
        if worth && silence.listed.is_none_or(|at| now.duration_since(at) >= LIST) {
            silence.listed = Some(now);
            self.requests.push(Request::Pods(Arc::clone(name)));
        }
    }

    fn judge(&mut self, name: &Arc<str>, diagnoses: &mut Vec<Diagnosis>) {
        let (now, subject) = (self.now, Subject::Node(Arc::clone(name)));
        if matches!(self.watch, Watch::Broken(..)) || self.is_gone(name) {
            return;
        }
        let Some(case) = self.nodes.get(name).filter(|case| self.is_of_cluster(case)) else { return };
        if let Some((confidence, answering)) = self.unreachable(case) {
            if self.path.holds(now) && !self.holds(name, &Aspect::Silence) {
                return;
            }
            let verdict = self.unreachable_verdict(case, confidence, answering);
            // While nothing comes from it, what was certain stays so, whatever later probes are worth.
            let known = self.unresolved(&subject, &Aspect::Silence);
            let rank = |of: &Verdict| (of.confidence, of.headline.id == texts::triage_unreachable().id);
            if known
                .map(|known| &known.content.verdict)
                .is_some_and(|known| known.cause == Cause::NodeUnreachable && rank(&verdict) < rank(known))
            {
                return;
            }
            let planned = case.plan().filter(|_| !self.holds(name, &Aspect::Silence));
            let (aspect, verdict) = match planned {
                Some((plan, why)) => (Aspect::Leave, removal::silent(plan, why, case.last_sign(), now)),
                None => (Aspect::Silence, verdict),
            };
            let finding = finding(name, case, verdict);
            return self.report(&subject, &aspect, finding, diagnoses);
        }
        // Agents that fell silent together are counted before one of them is reported.
        if self.agent_silent(case, UNPROBED) && !self.path.holds(now) && !self.holds(name, &Aspect::Silence) {
            let finding = finding(name, case, agent_verdict(case, now));
            self.report(&subject, &Aspect::Silence, finding, diagnoses);
        }
    }

    /// Whether it was reported that a node is silent when it had sent this already.
    pub(super) fn is_judged_after(&self, name: &Arc<str>, sent: Timestamp) -> bool {
        let known = self.unresolved(&Subject::Node(Arc::clone(name)), &Aspect::Silence);
        known.is_some_and(|known| sent < known.content.verdict.at + CONFIRMED)
    }

    /// Whether its going was reported, so that its silence is no news.
    pub(super) fn is_gone(&self, name: &Arc<str>) -> bool {
        let known = self.revisions.get(&Subject::Node(Arc::clone(name)), &Aspect::Leave);
        let silent_since = self.nodes.get(name).map(NodeCase::last_sign);
        known.is_some_and(|known| Some(known.content.verdict.at) >= silent_since)
    }

    /// Whether this is a node of the cluster, as far as that can be known: one whose Node object was deleted may report
    /// until its machine is switched off.
    pub(super) fn is_of_cluster(&self, case: &NodeCase) -> bool {
        case.object.is_some() || !matches!(self.watch, Watch::Well(_))
    }

    /// Whether a node does not answer, or what of it answers does nothing else; and how sure that is.
    fn unreachable(&self, case: &NodeCase) -> Option<(Confidence, Answering)> {
        let (now, age) = (self.now, self.now.duration_since(case.last_sign()));
        let announced = case.stopping() == Some(Stopping::Host);
        if announced && case.reported().is_some_and(|at| now.duration_since(at) < SHUTDOWN) {
            return None;
        }
        let confirmations = self.confirmations(case).count();
        let last_act = self.last_act(case);
        // The kubelet does not answer, the host does: that is for the agent to report.
        let recorded = case.recorded.filter(|(_, at)| *at >= last_act).map(|(state, _)| state);
        let explained = matches!(recorded, Some(DaemonState::Down | DaemonState::Hung | DaemonState::Restarting));
        let lease_silent = self.lease_is_silent(case) == Some(true);
        let unknown = case.object.as_ref().is_some_and(|object| object.ready.is_none());
        let is_sure = lease_silent && unknown && self.has_two_sources();
        let is_idle = lease_silent && !explained && now.duration_since(last_act) >= LEASE;
        let answering = self.answering(case);
        let confidence = match (confirmations, answering) {
            (2.., _) if age >= CONFIRMED => Some(Confidence::Certain),
            (1, _) if age >= LEASE && is_sure => Some(Confidence::Certain),
            (1, _) if age >= LEASE => Some(Confidence::Likely),
            (0, Answering::Nothing) if age >= LEASE && is_idle && unknown => Some(Confidence::Likely),
            (0, Answering::Kubelet) if is_idle && unknown => return Some((Confidence::Likely, answering)),
            (0, Answering::Host) if is_idle => return Some((Confidence::Likely, answering)),
            _ => None,
        };
        confidence.map(|confidence| (confidence, Answering::Nothing))
    }

    /// When the node last did something of its own accord: a report or a renewal; answers are left out.
    fn last_act(&self, case: &NodeCase) -> Timestamp {
        let seen = [case.reported(), case.lease.map(|lease| lease.seen)].into_iter().flatten();
        seen.fold(case.since, Timestamp::max)
    }

    /// Whether its kubelet has missed renewals of its Lease; `None` where that cannot be seen.
    fn lease_is_silent(&self, case: &NodeCase) -> Option<bool> {
        let age = self.watched_since().and_then(|watched| case.lease_age(self.now, watched))?;
        Some(age >= LEASE)
    }

    /// What of it answered the newest probes.
    fn answering(&self, case: &NodeCase) -> Answering {
        let last_act = self.last_act(case);
        let probes = case.silence.as_deref().into_iter().flat_map(|silence| silence.probes.values());
        let newest = probes.clone().map(|probe| probe.at).max().unwrap_or(last_act);
        let mut newest = probes.filter(|probe| probe.at >= last_act && newest.duration_since(probe.at) <= ABLE);
        let is_there = |probe: &Probe| [probe.kubelet, probe.agent].into_iter().any(node::shows_host);
        match newest.clone().any(|probe| probe.kubelet == ProbeOutcome::Answered) {
            true => Answering::Kubelet,
            false if newest.any(is_there) => Answering::Host,
            false => Answering::Nothing,
        }
    }

    /// The probes that show that nothing comes back from a node: newer than its last sign, and by who reaches others.
    pub(super) fn confirmations<'a>(&'a self, case: &'a NodeCase) -> impl Iterator<Item = &'a Probe> {
        let probes = case.silence.as_deref().into_iter().flat_map(|silence| silence.probes.values());
        probes.filter(move |probe| probe.at >= case.last_sign() && self.shows_absence(case, probe))
    }

    fn shows_absence(&self, case: &NodeCase, probe: &Probe) -> bool {
        let reaches = match &probe.by {
            Prober::Aggregator => Some(self.reaches),
            Prober::Node(prober) => self.nodes.get(prober).map(|prober| prober.reaches),
        };
        let Some(reaches) = reaches else { return false };
        let outcomes = [probe.kubelet, probe.agent];
        let is_able = |at: Timestamp| at != Timestamp::MIN && probe.at.duration_since(at).abs() <= ABLE;
        let absent = |n: usize| is_able(reaches[n]) && node::shows_nothing(outcomes[n]);
        // The address of an agent goes with its pod: where the kubelet's cannot be probed, the Lease has to agree.
        let is_absent = absent(0) || absent(1) && self.lease_is_silent(case) == Some(true);
        is_absent && !outcomes.map(node::shows_host).contains(&true)
    }

    /// Whether a node counts among those that fall silent together: nothing came from it, and no prober reaches it. One
    /// whose end was announced, or whose silence or going is reported, has a cause of its own.
    pub(super) fn is_doubtful(&self, name: &Arc<str>, case: &NodeCase) -> bool {
        let age = self.now.duration_since(case.last_sign());
        let announced = case.stopping() == Some(Stopping::Host) || case.plan().is_some();
        let unproven = if case.report.is_some() { UNPROBED } else { LEASE };
        let absent = self.confirmations(case).next().is_some() || age >= unproven || self.unreachable(case).is_some();
        self.is_of_cluster(case) && absent && !announced && !self.holds(name, &Aspect::Silence) && !self.is_gone(name)
    }

    /// Whether the agent alone is silent, and has been for so much longer than it may be: the kubelet gave signs since
    /// and renews its Lease, and the agent is not being replaced.
    pub(super) fn agent_silent(&self, case: &NodeCase, longer: SignedDuration) -> bool {
        let Some(reported) = case.reported().filter(|_| self.is_of_cluster(case)) else { return false };
        if self.lease_is_silent(case) == Some(true) {
            return false;
        }
        // For as long as the kubelet has given signs and the agent none.
        let age = self.now.duration_since(reported.max(case.kubelet_since));
        let settled = case.agent_is_settled(self.now, AGENT);
        let patience = match (settled, case.stopping()) {
            (_, Some(Stopping::Host)) => SHUTDOWN,
            (Some(true), None) => AGENT,
            (_, Some(Stopping::Agent)) | (None, None) | (Some(false), None) => AGENT_UNKNOWN,
        };
        let works = self.now.duration_since(case.kubelet_sign) <= RECENT && case.kubelet_sign > reported;
        age >= patience + longer && works && settled != Some(false)
    }

    fn unreachable_verdict(&self, case: &NodeCase, confidence: Confidence, answering: Answering) -> Verdict {
        let now = self.now;
        let since = if answering == Answering::Nothing { case.last_sign() } else { self.last_act(case) };
        let silent_for = now.duration_since(since);
        let stalled = case.report.as_ref().is_some_and(|(report, _)| report.stalled);
        let (headline, how) = match answering {
            Answering::Nothing if case.stopping() == Some(Stopping::Host) => (texts::triage_not_back(), None),
            Answering::Nothing => (texts::triage_unreachable(), None),
            Answering::Host => (texts::triage_host_alone(), Some(texts::triage_host_alone_how())),
            Answering::Kubelet => (texts::triage_kubelet_alone(), Some(texts::triage_kubelet_alone_how())),
        };
        let how = how.unwrap_or_else(|| texts::triage_silent_for(silent_for));
        let one = self.confirmations(case).count() == 1 && confidence < Confidence::Certain;
        let pods = case.silence.as_deref().and_then(|silence| silence.pods.as_deref());
        let probes = case.silence.as_deref().into_iter().flat_map(|silence| silence.probes.values());
        let answered = probes.filter(|probe| answering != Answering::Nothing && probe.at >= since);
        let mut verdict = Verdict::new(Cause::NodeUnreachable, confidence, since)
            .not_fatal()
            .headed(headline)
            .explained(how)
            .explained(stalled.then(texts::triage_was_stalled))
            .explained(one.then(texts::triage_unconfirmed))
            .supported(signs(case, now, self.watched_since()));
        verdict.related = pods.map(related).unwrap_or_default();
        verdict.explanation.extend(pods.map(|pods| effect(pods, silent_for)).unwrap_or_default());
        verdict.supported(self.confirmations(case).chain(answered).map(probed))
    }

    /// The node reports again: its silence is over.
    pub(super) fn end_silence(&mut self, name: &Arc<str>, diagnoses: &mut Vec<Diagnosis>) {
        self.silent.remove(name);
        self.wanted.remove(name);
        let Some(case) = self.nodes.get_mut(name) else { return };
        case.silence = None;
        self.return_of(name, diagnoses);
    }

    /// The same where its kubelet alone shows it: by two renewals, or one and a status that it wrote.
    pub(super) fn return_by_lease(&mut self, name: &Arc<str>, diagnoses: &mut Vec<Diagnosis>) {
        let Some(case) = self.silent.get(name).and_then(|name| self.nodes.get(name)) else { return };
        let Some(lease) = case.lease else { return };
        let posts = case.object.as_ref().is_some_and(|object| object.ready.is_some());
        let subject = Subject::Node(Arc::clone(name));
        let cause = self.revisions.get(&subject, &Aspect::Silence).map(|known| known.content.verdict.cause);
        let by_kubelet = case.report.is_none() || cause == Some(Cause::NodeUnreachable);
        if !by_kubelet
            || !posts
            || lease.renewals < 1
            || lease.renewals < 2 && !case.silence.as_deref().is_some_and(|of| of.unknown)
        {
            return;
        }
        if case.report.is_none() {
            return self.end_silence(name, diagnoses);
        }
        self.return_of(name, diagnoses);
    }

    /// Ends what was reported of a node's silence, with what its return shows.
    fn return_of(&mut self, name: &Arc<str>, diagnoses: &mut Vec<Diagnosis>) {
        let subject = Subject::Node(Arc::clone(name));
        let Some(known) = self.unresolved(&subject, &Aspect::Silence) else { return };
        let (verdict, boot_id) = (&known.content.verdict, &known.content.boot_id);
        if let Some(case) = self.nodes.get(name)
            && verdict.cause == Cause::NodeUnreachable
        {
            let returned = verdict.clone();
            let lasted = self.now.duration_since(returned.at);
            let now = boot::of(case);
            let how = match (boot_id.is_empty() || now.is_empty(), **boot_id == *now) {
                (true, _) => texts::triage_returned(lasted),
                (false, true) => texts::triage_returned_same(lasted),
                (false, false) => texts::triage_returned_rebooted(lasted),
            };
            let headline = if **boot_id == *now && !now.is_empty() {
                texts::triage_was_cut_off()
            } else {
                texts::triage_was_unreachable()
            };
            let mut returned = returned.headed(headline);
            // What it meant for as long as it lasted holds no more.
            returned.explanation = vec![how];
            let finding = finding(name, case, returned);
            self.revisions.report(self.now, &subject, &Aspect::Silence, finding, 1);
        }
        self.resolve(&subject, &Aspect::Silence, diagnoses);
    }
}

fn agent_verdict(case: &NodeCase, now: Timestamp) -> Verdict {
    let since = case.reported().unwrap_or(now);
    let probes = case.silence.as_deref().into_iter().flat_map(|silence| silence.probes.values());
    let refused = probes.clone().any(|probe| probe.agent == ProbeOutcome::Refused);
    let confidence = if refused { Confidence::Certain } else { Confidence::Likely };
    Verdict::new(Cause::AgentSilent, confidence, since)
        .not_fatal()
        .headed(texts::triage_agent_silent())
        .explained(match case.lease {
            Some(_) => texts::triage_agent_silent_for(now.duration_since(since)),
            None => texts::triage_agent_silent_probed(now.duration_since(since)),
        })
        .supported(signs(case, now, Some(Timestamp::MIN)))
        .supported(probes.filter(|probe| probe.at >= since).map(probed))
}

pub(super) fn finding(name: &Arc<str>, case: &NodeCase, verdict: Verdict) -> Finding {
    let uid = case.object.as_ref().map(|object| object.uid.clone()).filter(|uid| !uid.is_empty());
    Finding {
        uid: uid.unwrap_or_else(|| (**name).into()),
        name: Arc::clone(name),
        boot_id: boot::of(case).into(),
        verdict,
    }
}

/// The last signs of a node, with its last report.
fn signs(case: &NodeCase, now: Timestamp, watched: Option<Timestamp>) -> Vec<Evidence> {
    let mut signs = Vec::new();
    if let Some((report, at)) = &case.report {
        let state = report.kubelet.as_str_name().trim_start_matches("DAEMON_STATE_").to_lowercase();
        let text = texts::triage_last_report(now.duration_since(*at), state);
        signs.push(Evidence::new(Source::NodeReports, *at, text));
        if report.stopping == Some(Stopping::Host) {
            signs.push(Evidence::new(Source::NodeReports, *at, texts::triage_announced()));
        }
        if let Some(fault) = &report.fault {
            signs.push(Evidence::new(Source::NodeReports, *at, fault.to_string()));
        }
        if report.stalled {
            signs.push(Evidence::new(Source::NodeReports, *at, texts::triage_stalled()));
        }
    }
    if let Some((lease, age)) = case.lease.zip(watched.and_then(|watched| case.lease_age(now, watched))) {
        signs.push(Evidence::new(Source::Leases, lease.seen, texts::triage_lease(age)));
    }
    if let Some(object) = case.object.as_ref().filter(|object| !object.ready_text.is_empty()) {
        signs.push(Evidence::new(Source::Api(Kind::Nodes), now, object.ready_text.to_string()));
    }
    signs
}

fn probed(probe: &Probe) -> Evidence {
    let outcome = |outcome: ProbeOutcome| outcome.as_str_name().trim_start_matches("PROBE_OUTCOME_").to_lowercase();
    let (kubelet, agent) = (outcome(probe.kubelet), outcome(probe.agent));
    let text = match &probe.by {
        Prober::Aggregator => texts::triage_probed_here(kubelet, agent),
        Prober::Node(node) => texts::triage_probed(node, kubelet, agent),
    };
    Evidence::new(Source::Probes, probe.at, text)
}

/// The pods that may still run on a node, by name.
pub(super) fn related<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Vec<Related> {
    let alive = pods.into_iter().filter(|pod| !pod.ended).filter_map(|pod| pod.name.split_once('/'));
    alive.map(|(namespace, name)| Related::pod(namespace, name)).take(NAMES).collect()
}

/// What the silence of a node means for its pods.
fn effect(pods: &[Pod], silent_for: SignedDuration) -> Vec<Message> {
    let alive: Vec<&Pod> = pods.iter().filter(|pod| !pod.ended).collect();
    if alive.is_empty() {
        return vec![texts::triage_no_pods()];
    }
    let bound = texts::triage_pods(alive.len());
    let tolerated = alive.iter().filter(|pod| !pod.deleting).filter_map(|pod| pod.tolerated);
    let count = tolerated.clone().count();
    // The node controller notices after 40 s or 50 s, and the taint counts from then on.
    let first = tolerated.min().map(|tolerated| (LEASE + tolerated - silent_for).max(SignedDuration::ZERO));
    let deleted = first.map(|first| texts::triage_pods_deleted(count, first));
    [bound].into_iter().chain(deleted).collect()
}
