//! Nodes in trouble: those that are silent, whose sources do not see all, or about which something was found.

use std::collections::BTreeMap;

use coroner_proto::v1::{Daemon, DaemonState, Diagnosis, NodeStatus, Severity, SourceHealth, SourceStatus};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::{messages::texts, parts, view::View, words};

/// An agent reports every 15 s; after so long it counts as silent.
const SILENT: SignedDuration = SignedDuration::from_secs(60);
/// Nodes that are shown one by one.
const SHOWN: usize = 12;

/// A node in trouble.
#[derive(Debug, Default)]
pub(super) struct Trouble<'a> {
    status: Option<&'a NodeStatus>,
    diagnoses: Vec<&'a Diagnosis>,
}

/// Since when a node has not reported, if that is too long.
pub(super) fn silent_since(status: &NodeStatus, now: Timestamp) -> Option<Timestamp> {
    let last = words::time(status.last_seen_time.as_ref())?;
    (now.duration_since(last) > SILENT).then_some(last)
}

/// Sources that do not see all they should.
pub(super) fn impaired(status: &NodeStatus) -> impl Iterator<Item = &SourceStatus> {
    status.sources.iter().filter(|source| source.health() == SourceHealth::Degraded)
}

/// Whether kubelet or runtime are reported not to work.
fn is_down(daemon: Option<&Daemon>) -> bool {
    daemon.is_some_and(|daemon| !matches!(daemon.state(), DaemonState::Unspecified | DaemonState::Running))
}

/// All nodes in trouble, the worst first.
pub(super) fn in_trouble<'a>(
    nodes: &'a [NodeStatus],
    diagnoses: &'a [Diagnosis],
    now: Timestamp,
) -> Vec<(&'a str, Trouble<'a>)> {
    let mut troubles: BTreeMap<&str, Trouble<'_>> = BTreeMap::new();
    for status in nodes {
        let report = status.report.as_ref();
        let reports_trouble =
            report.is_some_and(|report| is_down(report.kubelet.as_ref()) || is_down(report.runtime.as_ref()));
        if silent_since(status, now).is_some() || impaired(status).next().is_some() || reports_trouble {
            troubles.entry(&status.node).or_default().status = Some(status);
        }
    }
    for diagnosis in diagnoses {
        let node = words::node(diagnosis);
        let trouble = troubles.entry(node).or_default();
        trouble.status = trouble.status.or_else(|| nodes.iter().find(|status| status.node == node));
        trouble.diagnoses.push(diagnosis);
    }
    let mut troubles: Vec<_> = troubles.into_iter().collect();
    troubles.sort_by_key(|(_, trouble)| std::cmp::Reverse(trouble.severity(now)));
    troubles
}

impl Trouble<'_> {
    fn severity(&self, now: Timestamp) -> Severity {
        let found = self.diagnoses.iter().map(|diagnosis| diagnosis.severity());
        let silent = self.status.and_then(|status| silent_since(status, now)).map(|_| Severity::Critical);
        found.chain(silent).max().unwrap_or(Severity::Warning)
    }
}

/// Nodes in trouble as a list; nothing where there are none.
pub(super) fn pinned(troubles: &[(&str, Trouble<'_>)], view: &View) -> Markup {
    html! {
        section.pinned #pinned aria-label=(view.text(&texts::nodes_in_trouble())) {
            @if !troubles.is_empty() {
                h2 { (view.text(&texts::nodes_in_trouble())) " " span.count { (troubles.len()) } }
                ul.nodes {
                    @for (name, trouble) in troubles.iter().take(SHOWN) {
                        li class={ "node " (words::class(trouble.severity(view.now))) } {
                            @if name.is_empty() {
                                span.name { (view.text(&texts::the_cluster())) }
                            } @else {
                                a.name href=(words::of_node(name)) { (name) }
                            }
                            (reasons(trouble, view))
                        }
                    }
                    @if troubles.len() > SHOWN {
                        li.node.more {
                            details {
                                summary { (view.text(&texts::more_nodes(troubles.len() - SHOWN))) }
                                ul {
                                    @for (name, _) in troubles.iter().skip(SHOWN) {
                                        li { a href=(words::of_node(name)) { (name) } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn reasons(trouble: &Trouble<'_>, view: &View) -> Markup {
    let silent = trouble.status.and_then(|status| silent_since(status, view.now));
    let sources: Vec<_> = trouble.status.into_iter().flat_map(impaired).map(|source| &*source.source).collect();
    html! {
        ul.reasons {
            @if let Some(last) = silent {
                li { (view.text(&texts::node_silent(words::span(view.now.duration_since(last))))) }
            }
            @let reporting = trouble.status.filter(|_| silent.is_none());
            @if let Some(report) = reporting.and_then(|status| status.report.as_ref()) {
                @for (name, daemon) in [("kubelet", &report.kubelet), ("runtime", &report.runtime)] {
                    @if is_down(daemon.as_ref()) { li { (view.text(&texts::daemon_not_running(name))) } }
                }
            }
            @for diagnosis in &trouble.diagnoses {
                li { a href=(words::of_diagnosis(&diagnosis.uid)) { (words::summary(diagnosis, view.language)) } " "
                    @if let Some(time) = words::event(diagnosis) { (parts::age(time, view)) }
                }
            }
            @if silent.is_none() && !sources.is_empty() {
                li { (view.text(&texts::node_impaired(sources))) }
            }
        }
    }
}
