//! Parts of pages: rows of diagnoses, one by one and grouped by workload and cause.

use std::collections::BTreeMap;

use coroner_proto::v1::{Diagnosis, Severity, SubjectKind};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{messages::texts, view::View, words};

/// Diagnoses of one workload and one cause; those without a workload by their subject.
#[derive(Debug)]
pub(super) struct Group<'a> {
    key: String,
    /// The newest first, at least one.
    diagnoses: Vec<&'a Diagnosis>,
}

/// Groups diagnoses, in the order of the newest of each.
pub(super) fn groups(diagnoses: &[Diagnosis]) -> Vec<Group<'_>> {
    let (mut groups, mut places) = (Vec::<Group<'_>>::new(), BTreeMap::new());
    for diagnosis in diagnoses {
        let key = key(diagnosis);
        match places.get(&key) {
            Some(place) => {
                let group: &mut Group<'_> = &mut groups[*place];
                group.diagnoses.push(diagnosis);
            }
            None => {
                places.insert(key.clone(), groups.len());
                groups.push(Group { key, diagnoses: vec![diagnosis] });
            }
        }
    }
    groups
}

/// Each diagnosis as a group of its own.
pub(super) fn each(diagnoses: &[Diagnosis]) -> impl Iterator<Item = Group<'_>> {
    diagnoses.iter().map(|diagnosis| Group { key: key(diagnosis), diagnoses: vec![diagnosis] })
}

/// What the diagnoses of a group have in common, as a short name.
fn key(diagnosis: &Diagnosis) -> String {
    let subject = diagnosis.subject.clone().unwrap_or_default();
    let of = words::workload(diagnosis).map(|workload| format!("{}/{}", workload.kind, workload.name));
    let of = of.unwrap_or_else(|| words::subject(&subject));
    let key =
        [&subject.namespace, &of, &subject.container, &diagnosis.cause.to_string()].map(String::as_str).join("\n");
    format!("{:016x}", crate::token::question(key))
}

/// A list of groups.
pub(super) fn list(diagnoses: &[Diagnosis], view: &View) -> Markup {
    html! {
        ol.groups #groups {
            @for group in groups(diagnoses) { (group.draw(view)) }
        }
    }
}

impl Group<'_> {
    /// A group as an entry of a list. The newest represents all.
    pub(super) fn draw(&self, view: &View) -> Markup {
        let Some(newest) = self.diagnoses.first() else { return Markup::default() };
        let first = self.diagnoses.last().and_then(|oldest| words::event(oldest));
        let count = self.diagnoses.len();
        html! {
            li.group data-group=(self.key) {
                (lead(newest, view))
                details hidden[count == 1] {
                    summary {
                        span.count { (count) } " "
                        span { (view.text(&texts::in_this_list())) }
                        @if let Some(first) = first {
                            span.since { (view.text(&texts::since(words::span(view.now.duration_since(first))))) }
                        }
                    }
                    ol.rows {
                        @for diagnosis in &self.diagnoses { (row(diagnosis, view)) }
                    }
                }
            }
        }
    }
}

/// What stands at the head of a group: what happened, to what, and when.
fn lead(diagnosis: &Diagnosis, view: &View) -> Markup {
    let severity = diagnosis.severity();
    html! {
        div.lead {
            (badge(severity, view))
            div.what {
                a.headline href=(words::of_diagnosis(&diagnosis.uid)) { (words::summary(diagnosis, view.language)) }
                (place(diagnosis, view))
            }
            div.when {
                @if let Some(time) = words::event(diagnosis) { (age(time, view)) }
                span.sure { (view.text(&words::confidence(diagnosis))) }
            }
        }
    }
}

/// Namespace, workload, pod, container and node, each of which leads somewhere.
pub(super) fn place(diagnosis: &Diagnosis, view: &View) -> Markup {
    let subject = diagnosis.subject.clone().unwrap_or_default();
    let node = words::node(diagnosis);
    let is_node = subject.kind() == SubjectKind::Node;
    html! {
        p.place {
            @if is_node {
                a href=(words::of_node(&subject.name)) { (words::subject(&subject)) }
            } @else if subject.namespace.is_empty() {
                span { (words::subject(&subject)) }
            } @else {
                span { (subject.namespace) }
                @if let Some(workload) = words::workload(diagnosis) {
                    span.step {}
                    a href=(words::of_workload(&subject.namespace, workload)) { (workload.kind) " " (workload.name) }
                }
                span.step {}
                span { (subject.name) }
                @if !subject.container.is_empty() {
                    span.step {}
                    span { (subject.container) }
                }
            }
            @if !node.is_empty() && !is_node {
                span.on {
                    (view.text(&texts::on_node())) " "
                    a href=(words::of_node(node)) { (node) }
                }
            }
        }
    }
}

/// A diagnosis as one row of a list.
pub(super) fn row(diagnosis: &Diagnosis, view: &View) -> Markup {
    let subject = diagnosis.subject.clone().unwrap_or_default();
    html! {
        li.row data-uid=(diagnosis.uid) {
            span class={ "dot " (words::class(diagnosis.severity())) } {}
            @if let Some(time) = words::event(diagnosis) { (moment(time)) }
            a href=(words::of_diagnosis(&diagnosis.uid)) { (words::summary(diagnosis, view.language)) }
            span.of {
                (words::subject(&subject))
                @if !subject.container.is_empty() { " · " (subject.container) }
            }
        }
    }
}

/// Rows one after the other; a text where there are none.
pub(super) fn rows<'a>(diagnoses: impl IntoIterator<Item = &'a Diagnosis>, view: &View) -> Markup {
    let mut diagnoses = diagnoses.into_iter().peekable();
    html! {
        @if diagnoses.peek().is_none() {
            p.none { (view.text(&texts::none())) }
        } @else {
            ol.rows {
                @for diagnosis in diagnoses { (row(diagnosis, view)) }
            }
        }
    }
}

/// The severity, by its colour and in words.
pub(super) fn badge(severity: Severity, view: &View) -> Markup {
    html! { span class={ "badge " (words::class(severity)) } { (view.text(&words::severity(severity))) } }
}

/// A moment, to the second.
pub(super) fn moment(time: Timestamp) -> Markup {
    html! { time datetime=(time) { (words::moment(time)) } }
}

/// How long ago a moment was.
pub(super) fn age(time: Timestamp, view: &View) -> Markup {
    html! { time datetime=(time) title={ (words::moment(time)) " UTC" } { (view.text(&words::age(time, view.now))) } }
}
