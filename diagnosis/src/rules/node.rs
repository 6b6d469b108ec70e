//! The rules about the node itself, as its own agent sees it: states that hold until what was observed of them is over.

mod api_server;
mod certificate;
mod clock;
mod down;
mod hung;
mod kernel_fault;
mod misconfigured;
mod network;
mod pressure;
mod table;
mod unready;
mod volume;

use jiff::Timestamp;

use super::{Finding, Needs, pod::cause_of};
use crate::{
    aspect::Aspect,
    case::{DaemonFile, NodeFile, NodeState},
    explanation::{self, Considered},
    messages::{Message, explain, node as texts},
    observation::{
        Reason,
        kube::Condition,
        node::{Answer, Daemon, Process},
    },
};

/// The node, as the rules look at it.
#[derive(Clone, Copy, Debug)]
struct NodeCase<'a> {
    /// The node's file.
    node: &'a NodeFile,
    /// What is known of the node as a whole.
    state: &'a NodeState,
    /// Now.
    now: Timestamp,
}

/// An error as a part of a sentence: what others wrote is in quotation marks.
fn worded(error: &Reason) -> Message {
    match error {
        Reason::Quote(text) => texts::node_quoted(text),
        Reason::Message(message) => message.clone(),
    }
}

/// A rule about the node: it looks at it and gives what holds now.
type Rule = fn(NodeCase<'_>) -> Vec<Finding>;

/// The rules. Of several findings about one aspect, the first stands: why a daemon does not start explains that it is
/// down.
const RULES: [(&str, Rule, Needs); 12] = [
    ("misconfigured", misconfigured::findings, explain::node_misconfigured),
    ("down", down::findings, explain::node_down),
    ("hung", hung::findings, explain::node_hung),
    ("unready", unready::findings, explain::node_unready),
    ("API server", api_server::findings, explain::node_without_api_server),
    ("pressure", pressure::findings, explain::node_pressure),
    ("network", network::findings, explain::node_without_network),
    ("clock", clock::findings, explain::node_clock),
    ("certificate", certificate::findings, explain::node_certificate),
    ("kernel fault", kernel_fault::findings, explain::node_with_kernel_fault),
    ("volume", volume::findings, explain::node_volume),
    ("table", table::findings, explain::node_table),
];

/// What holds of the node now. A node without a name has no findings: whose state it would be is not known.
pub fn node(node: &NodeFile, now: Timestamp) -> Vec<Finding> {
    if node.node.name.is_empty() {
        return Vec::new();
    }
    let case = NodeCase { node, state: &node.state, now };
    let mut findings: Vec<Finding> = Vec::new();
    for finding in RULES.iter().flat_map(|(_, rule, _)| rule(case)) {
        if findings.iter().all(|known| known.aspect != finding.aspect) {
            findings.push(finding);
        }
    }
    findings
}

/// What each rule concludes of one aspect of the node.
pub(crate) fn considered(node: &NodeFile, now: Timestamp, aspect: &Aspect) -> Vec<Considered> {
    let case = NodeCase { node, state: &node.state, now };
    explanation::considered(RULES, |rule| cause_of(rule(case), aspect))
}

/// Whether a daemon is known not to work just now, so that what it was to do is not held against others.
pub fn is_daemon_out(node: &NodeFile, daemon: Daemon) -> bool {
    node.state.daemon(daemon).is_some_and(|file| file.is_gone() || file.is_stopped() || file.is_mute())
}

impl<'a> NodeCase<'a> {
    /// A condition of the Node object, as the kubelet set it, if it is true. Of a kubelet that is silent it is out of
    /// date.
    fn condition(self, kind: &str) -> Option<&'a Condition> {
        let node = self.node.objects.node.as_ref()?;
        node.condition(kind).filter(|condition| condition.status == Some(true))
    }

    /// Whether the host is being shut down: by what it shows itself, or by the kubelet (`nodeShutdownNotReadyReason` in
    /// `pkg/kubelet/nodeshutdown`), which joins its reasons.
    fn is_shutting_down(self) -> bool {
        self.state.shutdown.is_some() || self.reasons().contains(&"node is shutting down")
    }

    /// Why the kubelet is not ready, by its own words; it joins several in brackets.
    fn reasons(self) -> Vec<&'a str> {
        let ready = self.node.objects.node.as_ref().and_then(|node| node.condition("Ready"));
        let message = ready.filter(|ready| ready.status == Some(false)).map(|ready| ready.message.as_str());
        let message = message.unwrap_or_default();
        let inside = message.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inside.unwrap_or(message).split(", ").collect()
    }

    /// Whether the node is so short of memory that daemons cannot be expected to answer in time.
    fn is_strained(self) -> bool {
        pressure::shortage(self).is_some()
    }
}

impl DaemonFile {
    /// Its process, if one runs.
    fn running(&self) -> Option<Process> {
        self.process.as_ref()?.what
    }

    /// Whether its process ended, no other has taken its place, and nothing has answered since.
    fn is_gone(&self) -> bool {
        let gone = self.process.as_ref().filter(|process| process.what.is_none() && self.ended.is_some());
        gone.is_some_and(|gone| self.answered.is_none_or(|answered| answered < gone.at))
    }

    /// Whether a signal has stopped its process.
    fn is_stopped(&self) -> bool {
        self.running().is_some_and(|process| process.stopped)
    }

    /// Whether it does not answer in time, or refuses.
    fn is_mute(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| matches!(answer.what, Answer::Timeout | Answer::Refused(_)))
    }

    /// Ends of its processes since it last answered that all is well, and within the last ten minutes, the oldest
    /// first.
    fn recent_ends(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let from = now - RECENT;
        let healthy = self.answered.unwrap_or(Timestamp::MIN);
        self.ends.iter().copied().filter(move |at| *at >= from && *at >= healthy)
    }
}

/// How far back ends of a daemon's processes count as one trouble.
const RECENT: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);
